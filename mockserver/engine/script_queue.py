"""Scripted lines as records of the project: a queue of one-shot replies, and a scenario that persists."""

# How it works. A queued line is a record `line` (its document and its use count); a project's own scenario is
# one record; each line of a scenario has a use count `played` of its own. All functions are pure: they read a
# state and return changes, and the turn that uses a line commits them with its own.
#
# What must stay true: numbers in ids are padded with zeros, because stores sort ids as text; a line that waits
# keeps its order even if a later one is taken first.

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import orjson

from mockserver.core.records import Change, Delete, Put, State
from mockserver.scenarios.lines import parse_lines, validate_entry
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import encode_compact

T = TypeVar("T")


def waiting_lines(state: State) -> list[Any]:
    """The documents of the queued lines that are not used up, in order."""
    return [orjson.loads(record.doc) for record in state.scan("line")]


def validate(lines: Any) -> list[bytes]:
    """Validate lines and make them unused entries of the queue; raises MockError for the first mistake."""
    if not isinstance(lines, list) or not all(map(_is_valid, lines)):
        parse_lines(lines)  # which says where in the list the mistake is
    return [_entry(line) for line in lines]


def _is_valid(line: Any) -> bool:
    """Whether a line is valid; most come again and again, and none is parsed twice."""
    try:
        # What JSON does not tell apart may still be a mistake, a tuple for instance: only the same line is as valid.
        return validate_entry(_entry(line)).source == line
    except (MockError, TypeError):
        return False


def _entry(line: Any) -> bytes:
    return encode_compact({"line": line, "used": 0})


def enqueue(state: State, entries: Sequence[bytes]) -> tuple[int, list[Change]]:
    """Return how many lines wait with these entries at the end of the queue, and the changes that put them there."""
    waiting = state.scan("line")
    first = waiting[-1].order + 1 if waiting else 0
    puts = [Put("line", f"{order:012d}", entry, "", order) for order, entry in enumerate(entries, first)]
    return len(waiting) + len(puts), [*puts]


def take(state: State, accept: Callable[[bytes], T | None]) -> tuple[T | None, list[Change]]:
    """Use the first line that `accept` takes; returns its result and the changes that count the use.

    `accept` gets an entry's document (`{"line", "used"}`) and returns None to skip it. A line with `times: n`
    stays for n uses.
    """
    for record in state.scan("line"):
        # not decoded before it is accepted: a queue may be long, and every turn walks over the lines that still wait
        accepted = accept(record.doc)
        if accepted is not None:
            entry = orjson.loads(record.doc)
            used = entry["used"] + 1
            if used >= (entry["line"].get("times") or 1):
                return accepted, [Delete("line", record.id)]
            doc = encode_compact({**entry, "used": used})
            return accepted, [Put("line", record.id, doc, "", record.order)]
    return None, []


# --- The scenario: lines that stay; their uses are counted where lines are chosen (`scenario_selection`) -------------

KINDS = ("line", "scenario", "played")


def records(state: State) -> list[Put]:
    """All records of a project's scripts: the queue, its own scenario, use counts."""
    return [Put(kind, record.id, record.doc, "", record.order) for kind in KINDS for record in state.scan(kind)]


def scenario_put(lines: list[Any], seed: int | None, given: Mapping[str, Any] | None = None) -> Put:
    """The change that gives a project a scenario of its own."""
    more = {"given": given} if given else {}
    return Put("scenario", "scenario", encode_compact({"seed": seed, "lines": lines, **more}))
