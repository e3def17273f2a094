"""The output of `understudy conform`: a table row by row with progress, one JSON document, a JUnit file."""

# What must stay true: evidence comes from foreign servers, so everything printed is text without markup,
# without control characters, and of bounded length unless the rule failed.

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from io import StringIO
from typing import Any, NamedTuple
from xml.etree import ElementTree

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from mockserver.conformance.rule_catalog import Source
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED
from mockserver.conformance.terms import CAPABILITIES, CONTRACT
from mockserver.conformance.topics import scores, topic_of

WIDTH = 160  # characters of evidence shown for what passed; what failed is shown whole
UNLIMITED = 100_000  # columns of a file
STYLES = {PASSED: "green", FAILED: "bold red", NOT_OBSERVABLE: "dim"}
# The characters that XML 1.0 can't hold, not even escaped; a terminal must not get control characters either.
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Row(NamedTuple):
    """A rule with its verdict, and what the catalogue says of it; the machine has neither sources nor confidence.

    `lacks` is the capability without which the rule is not observable.
    """

    id: str
    verdict: str
    sentence: str
    evidence: str
    seconds: float = 0.0
    sources: tuple[Source, ...] = ()
    confidence: str | None = None
    profile: str | None = None
    lacks: str | None = None

    @property
    def topic(self) -> str:
        """What it is about."""
        return topic_of(self.id)


class Target(NamedTuple):
    """The server that was judged."""

    base_url: str
    model: str
    mock: bool
    profile: str = CONTRACT


def table(row: Row) -> Table:
    """A row of the table: rule, verdict, sentence, and the evidence below it."""
    cells = Table.grid(padding=(0, 1, 0, 0))
    cells.add_column(width=8)
    cells.add_column(width=15)
    cells.add_column(overflow="fold")
    evidence = row.evidence if row.verdict == FAILED else _shorten(row.evidence)
    # text, never markup: evidence is full of square brackets, and a strange server's may hold codes for terminals
    text = Text(printable(f"{row.sentence}\n{evidence}"))
    cells.add_row(Text(row.id), Text(row.verdict, style=STYLES[row.verdict]), text)
    return cells


def line(row: Row) -> str:
    """A row of the table as plain lines."""
    console = Console(file=StringIO(), width=UNLIMITED, color_system=None, legacy_windows=False)
    with console.capture() as captured:
        console.print(table(row))
    return "\n".join(text.rstrip() for text in captured.get().splitlines())


def _shorten(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """The number of rules that passed, failed, and could not be observed."""
    counter = Counter(row.verdict for row in rows)
    return {verdict: counter[verdict] for verdict in (PASSED, FAILED, NOT_OBSERVABLE)}


def summary(rows: Sequence[Row]) -> str:
    return ", ".join(f"{number} {verdict}" for verdict, number in counts(rows).items())


def as_json(rows: Sequence[Row], target: Target, lacks: Mapping[str, str] | None = None) -> bytes:
    """The whole report as one JSON document; `lacks` are the missing capabilities, with what showed it."""
    document: dict[str, Any] = {
        "version": 1,
        "base_url": target.base_url,
        "model": target.model,
        "server": "understudy" if target.mock else "other",
        "profile": target.profile,
        "summary": counts(rows),
        "topics": {topic: score._asdict() for topic, score in scores((row.id, row.verdict) for row in rows).items()},
        "lacks": dict(lacks or {}),
        "rules": [
            {**row._asdict(), "topic": row.topic, "sources": [source._asdict() for source in row.sources]}
            for row in rows
        ],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def scoreboard(rows: Sequence[Row], lacks: Mapping[str, str]) -> list[str]:
    """The end of the table: a line for each topic with its score, a line for each capability that is missing."""
    lines = [f"{'topic':14} {PASSED:>6} {FAILED:>6} {NOT_OBSERVABLE:>14}  score"]
    for topic, score in scores((row.id, row.verdict) for row in rows).items():
        percent = "-" if score.percent is None else f"{score.percent} %"
        lines.append(f"{topic:14} {score.passed:6} {score.failed:6} {score.hidden:14}  {percent:>5}")
    lines += [printable(text) for text in describe_lacks(rows, lacks)]
    return lines


def describe_lacks(rows: Sequence[Row], lacks: Mapping[str, str]) -> list[str]:
    """A line for each capability that is missing, then how many rules could be observed at all; none if none is."""
    numbers = Counter(row.lacks for row in rows if row.lacks)
    lines = []
    for capability, number in numbers.items():
        why = f" ({lacks[capability]})" if capability in lacks else ""
        lines.append(f"{CAPABILITIES[capability]}{why}: {number} {'rule' if number == 1 else 'rules'} not observable")
    if lines:
        seen = sum(row.verdict != NOT_OBSERVABLE for row in rows)
        able = len(rows) - sum(numbers.values())
        lines.append(f"{seen} of {len(rows)} observable; {able} need nothing that the server lacks")
    return lines


def as_junit(rows: Sequence[Row], target: Target) -> bytes:
    """The whole report as JUnit XML: a test case per rule, skipped where it could not be observed."""
    numbers = counts(rows)
    suite = ElementTree.Element(
        "testsuite",
        name="understudy conform",
        tests=str(len(rows)),
        failures=str(numbers[FAILED]),
        errors="0",
        skipped=str(numbers[NOT_OBSERVABLE]),
        time=f"{sum(row.seconds for row in rows):.3f}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("base_url", target.base_url), ("model", target.model)):
        ElementTree.SubElement(properties, "property", name=name, value=printable(value))
    for row in rows:
        name = printable(f"{row.id} {row.sentence}")
        section = f"conform.{row.id.partition('.')[0]}"
        case = ElementTree.SubElement(suite, "testcase", classname=section, name=name, time=f"{row.seconds:.3f}")
        evidence = printable(row.evidence)
        if row.verdict == FAILED:
            ElementTree.SubElement(case, "failure", message=evidence.splitlines()[0]).text = evidence
        elif row.verdict == NOT_OBSERVABLE:
            ElementTree.SubElement(case, "skipped", message=evidence)
        else:
            ElementTree.SubElement(case, "system-out").text = evidence
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)


def printable(text: str) -> str:
    """A text without what a terminal or XML can't show; never empty."""
    return _UNPRINTABLE.sub("\ufffd", text) or "-"


class Report:
    """The table on standard output, row by row, and a progress bar; a context manager.

    A terminal gets colours, its own width, and the bar below the rows. Files and pipes get plain lines of any length,
    so that `grep` finds whole sentences; the bar then goes to standard error, if that is a terminal.
    """

    def __init__(self, total: int, *, rows_shown: bool = True) -> None:
        self._rows_shown = rows_shown
        self._styled = rows_shown and sys.stdout.isatty()
        stream = sys.stdout if self._styled else sys.stderr
        self._live = stream.isatty()
        self._progress = Progress(
            TextColumn("{task.description:<8}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(file=stream),
            disable=not self._live,
            transient=True,  # what stays are the rows
            redirect_stdout=False,  # rows for a file would otherwise be shown above a bar on standard error
            redirect_stderr=False,
        )
        self._task = self._progress.add_task("", total=total)

    def __enter__(self) -> Report:
        if self._live:
            self._progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        if self._live:
            self._progress.stop()

    def begin(self, what: str) -> None:
        """Show which rule is being judged."""
        self._progress.update(self._task, description=what)

    def add(self, row: Row) -> None:
        """Write a row, and advance the progress by one rule; what a server lacks is told once, at the end."""
        if row.lacks:
            pass
        elif self._styled:
            self._progress.console.print(table(row))
        elif self._rows_shown:
            print(line(row), flush=True)
        self._progress.advance(self._task)
