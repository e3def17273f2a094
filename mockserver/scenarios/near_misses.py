"""Why no line of a script answered: the nearest lines, and the keys of each that did not hold."""

# How it works. For each candidate line the keys of its `when` that do not hold are collected. A line whose keys
# all hold but which is used up comes first. The others are sorted by how many keys held.
#
# What must stay true: this runs only when a request has already failed under `--strict`, so it may be slow; and
# its sentence is short, because it stands in an error message that a terminal shows on a few lines.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from mockserver.model.prompt import Prompt
from mockserver.scenarios.conditions import mismatches
from mockserver.scenarios.lines import Line
from mockserver.wire.responses.encoding import json_compact

# Limits of the sentence: a terminal shows it on a few lines.
NEAREST = 3
LONGEST = 60


class Candidate(NamedTuple):
    """A line that might have answered: its place, and whether it is used up."""

    place: str
    line: Line
    spent: bool


def explain(candidates: Iterable[Candidate], prompt: Prompt) -> str:
    """A sentence about the nearest lines: used-up ones that hold, then those with the most keys that hold."""
    judged = _judge(candidates, prompt)
    if not judged:
        return "There are none: nothing is queued and the scenario is empty."
    nearest = "; ".join(_why(candidate, wrong) for candidate, wrong in judged[:NEAREST])
    more = len(judged) - NEAREST
    return f"Nearest of {len(judged)}: {nearest}." if more > 0 else f"Nearest: {nearest}."


def list_nearest(candidates: Iterable[Candidate], prompt: Prompt) -> list[dict[str, Any]]:
    """The same as values: of each line its place, how many keys it has, and those that did not hold."""
    return [
        {
            "place": candidate.place,
            "spent": candidate.spent,
            "keys": len(candidate.line.when),
            "mismatches": [
                {"key": key, "wants": short(want), "found": short(actual)} for key, (want, actual) in wrong.items()
            ],
        }
        for candidate, wrong in _judge(candidates, prompt)[:NEAREST]
    ]


_Judged = tuple[Candidate, dict[str, tuple[Any, Any]]]


def _judge(candidates: Iterable[Candidate], prompt: Prompt) -> list[_Judged]:
    """Candidates with the keys that do not hold, the nearest first."""
    judged = [(candidate, mismatches(candidate.line.when, prompt)) for candidate in candidates]
    return sorted(judged, key=lambda pair: (bool(pair[1]), len(pair[1]) - len(pair[0].line.when)))


def _why(candidate: Candidate, wrong: dict[str, tuple[Any, Any]]) -> str:
    number = len(candidate.line.when)
    parts = [describe_mismatches(wrong)] if wrong else []
    if candidate.spent:
        parts.append("it was used as often as `times` allows")
    if not parts:
        parts.append("it answers compaction triggers only where it names them")
    held = f"{number - len(wrong)} of {number} keys hold" if number else "no keys"
    return f"{candidate.place} ({held}): {' and '.join(parts)}"


def describe_mismatches(wrong: Mapping[str, tuple[Any, Any]]) -> str:
    """The keys of a line that did not hold, each with what it wants and what there was."""
    return " and ".join(f"{key} wants {short(want)}, found {short(actual)}" for key, (want, actual) in wrong.items())


def short(value: Any) -> str:
    """The value as JSON of at most `LONGEST` characters."""
    text = json_compact(value).decode()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
