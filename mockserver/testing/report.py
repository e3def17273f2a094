"""What `understudy conform` writes: a table row by row, one JSON document, a JUnit file, and a bar meanwhile."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TextIO
from xml.etree import ElementTree

import orjson

from mockserver.testing.catalogue import Source
from mockserver.testing.verdicts import FAILED, NOT_OBSERVABLE, PASSED

WIDTH = 160  # characters of evidence shown for what passed; what failed is shown whole
BAR = 30
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Row(NamedTuple):
    """A rule with its verdict, and what the catalogue says of it; the machine has neither sources nor confidence."""

    id: str
    verdict: str
    sentence: str
    evidence: str
    seconds: float = 0.0
    sources: tuple[Source, ...] = ()
    confidence: str | None = None


class Target(NamedTuple):
    """What was judged."""

    base_url: str
    model: str
    mock: bool


def line(row: Row) -> str:
    """Return a row of the table: rule, verdict, sentence, and below it the evidence."""
    evidence = " ".join(row.evidence.split(" ")) if row.verdict == FAILED else _shortened(row.evidence)
    below = evidence.replace("\n", "\n" + " " * 25)
    return f"{row.id:<8} {row.verdict:<15} {row.sentence}\n{'':<24} {below}"


def _shortened(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= WIDTH else text[: WIDTH - 1] + "…"


def counts(rows: Sequence[Row]) -> dict[str, int]:
    """Return how many rules passed, failed, and could not be observed."""
    found = Counter(row.verdict for row in rows)
    return {verdict: found[verdict] for verdict in (PASSED, FAILED, NOT_OBSERVABLE)}


def summary(rows: Sequence[Row]) -> str:
    """Return the table's last line."""
    return ", ".join(f"{number} {verdict}" for verdict, number in counts(rows).items())


def as_json(rows: Sequence[Row], target: Target) -> bytes:
    """Return everything as one JSON document."""
    document: dict[str, Any] = {
        "version": 1,
        "base_url": target.base_url,
        "model": target.model,
        "server": "understudy" if target.mock else "other",
        "summary": counts(rows),
        "rules": [{**row._asdict(), "sources": [source._asdict() for source in row.sources]} for row in rows],
    }
    return orjson.dumps(document, option=orjson.OPT_INDENT_2)


def as_junit(rows: Sequence[Row], target: Target) -> bytes:
    """Return everything as JUnit XML: a test case per rule, skipped where it could not be observed."""
    found = counts(rows)
    suite = ElementTree.Element(
        "testsuite",
        name="understudy conform",
        tests=str(len(rows)),
        failures=str(found[FAILED]),
        errors="0",
        skipped=str(found[NOT_OBSERVABLE]),
        time=f"{sum(row.seconds for row in rows):.3f}",
    )
    properties = ElementTree.SubElement(suite, "properties")
    for name, value in (("base_url", target.base_url), ("model", target.model)):
        ElementTree.SubElement(properties, "property", name=name, value=_printable(value))
    for row in rows:
        name = _printable(f"{row.id} {row.sentence}")
        section = f"conform.{row.id.partition('.')[0]}"
        case = ElementTree.SubElement(suite, "testcase", classname=section, name=name, time=f"{row.seconds:.3f}")
        evidence = _printable(row.evidence)
        if row.verdict == FAILED:
            ElementTree.SubElement(case, "failure", message=evidence.splitlines()[0]).text = evidence
        elif row.verdict == NOT_OBSERVABLE:
            ElementTree.SubElement(case, "skipped", message=evidence)
        else:
            ElementTree.SubElement(case, "system-out").text = evidence
    return ElementTree.tostring(suite, encoding="utf-8", xml_declaration=True)


def _printable(text: str) -> str:
    return _UNPRINTABLE.sub("\ufffd", text) or "-"


class Bar:
    """A bar on a terminal that says how far things are; anywhere else it is nothing."""

    def __init__(self, stream: TextIO, total: int) -> None:
        self._stream, self._total, self._done = stream, total, 0
        self._shown = stream.isatty()

    def show(self, what: str) -> None:
        """Say what is being done; what was said before counts as done."""
        if self._shown:
            filled = BAR * self._done // max(self._total, 1)
            bar = "█" * filled + "·" * (BAR - filled)
            self._stream.write(f"\r\x1b[K{bar} {self._done}/{self._total} {what}")
            self._stream.flush()
        self._done += 1

    def clear(self) -> None:
        """Take the bar away, so that something can be printed."""
        if self._shown:
            self._stream.write("\r\x1b[K")
            self._stream.flush()
