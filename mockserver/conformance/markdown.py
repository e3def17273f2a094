"""The report as Markdown, for a pull request, and as the JSON of a badge."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import orjson

from mockserver.conformance.report import Row, Target, counts, describe_lacks, printable
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED
from mockserver.conformance.topics import scores

LONGEST = 500  # characters of evidence
_SPECIAL = re.compile(r"[\\`*_{}\[\]<>#|~]")
# the least share in percent for each colour
_COLOURS: tuple[tuple[int, str], ...] = ((100, "brightgreen"), (90, "green"), (75, "yellow"), (50, "orange"))


def as_markdown(rows: Sequence[Row], target: Target, lacks: Mapping[str, str]) -> str:
    """The report: a table of topics, what failed with its evidence, what the server lacks."""
    numbers = counts(rows)
    lines = [f"## Conformance: profile {target.profile}", ""]
    lines += [", ".join(f"{number} {verdict}" for verdict, number in numbers.items()), ""]
    lines += ["| topic | passed | failed | not observable | score |", "|---|--:|--:|--:|--:|"]
    for topic, score in scores((row.id, row.verdict) for row in rows).items():
        percent = "–" if score.percent is None else f"{score.percent} %"
        lines.append(f"| {topic} | {score.passed} | {score.failed} | {score.hidden} | {percent} |")
    failed = [row for row in rows if row.verdict == FAILED]
    if failed:
        lines += ["", "### Failed", ""]
        lines += [f"* **{row.id}** {_escape(row.sentence)}<br>{_escape(row.evidence)}" for row in failed]
    hidden = describe_lacks(rows, lacks)
    if hidden:
        lines += ["", "### What the server does not have", "", *[f"* {_escape(text)}" for text in hidden]]
    return "\n".join([*lines, ""])


def _escape(text: str) -> str:
    """A text of a foreign server as Markdown that shows it and nothing else."""
    line = " ".join(printable(text).split())
    line = line if len(line) <= LONGEST else line[: LONGEST - 1] + "…"
    return _SPECIAL.sub(lambda match: "\\" + match[0], line)


def as_badge(rows: Sequence[Row], target: Target) -> bytes:
    """The JSON that shields.io reads as an endpoint: how many of the observable rules passed."""
    numbers = counts(rows)
    passed, seen = numbers[PASSED], len(rows) - numbers[NOT_OBSERVABLE]
    percent = passed * 100 // seen if seen else 0
    colour = next((name for least, name in _COLOURS if percent >= least), "red")
    badge = {"schemaVersion": 1, "label": f"responses {target.profile}", "message": f"{passed}/{seen}", "color": colour}
    return orjson.dumps(badge, option=orjson.OPT_INDENT_2)
