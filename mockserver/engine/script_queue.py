"""Scripted lines with the project's other records: a queue of one-shot answers, then a scenario that stays."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import orjson

from mockserver.core.records import Change, Delete, Put, State
from mockserver.scenarios.lines import parse_lines, validate_entry
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import encode_compact

T = TypeVar("T")


def waiting_lines(state: State) -> list[Any]:
    """Return the documents of the lines that still wait, first one first."""
    return [orjson.loads(record.doc) for record in state.scan("line")]


def validate(lines: Any) -> list[bytes]:
    """Return lines as unused entries of the queue; raises MockError for the first mistake."""
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
    """Return what the first line that is accepted becomes, and the changes that use it up.

    `accept` gets an entry's document (`{"line", "used"}`) and returns None to pass it over. A line with `times: n`
    stays for n uses.
    """
    for record in state.scan("line"):
        # not decoded before it is accepted: a queue may be long, and every turn walks over the lines that still wait
        accepted = accept(record.doc)
        if accepted is not None:
            entry = orjson.loads(record.doc)
            used = entry["used"] + 1
            if used >= entry["line"].get("times", 1):
                return accepted, [Delete("line", record.id)]
            doc = encode_compact({**entry, "used": used})
            return accepted, [Put("line", record.id, doc, "", record.order)]
    return None, []


# --- The scenario: lines that stay, and how often each was used --------------------------------------------------

KINDS = ("line", "scenario", "played")


def records(state: State) -> list[Put]:
    """Return all that a project keeps of scripts: the queue, a scenario of its own, use counts."""
    return [Put(kind, one.id, one.doc, "", one.order) for kind in KINDS for one in state.scan(kind)]


def scenario_put(lines: list[Any], seed: int | None) -> Put:
    """Return the change that gives a project a scenario of its own."""
    return Put("scenario", "scenario", encode_compact({"seed": seed, "lines": lines}))


def scenario_of(state: State) -> bytes | None:
    """Return the document of a project's own scenario, None when it has the server's."""
    return state.get("scenario", "scenario")


def use_count(state: State, number: int) -> int:
    """Return how often a line of the scenario has answered."""
    return int(state.get("played", f"{number:06d}") or 0)


def count_use(state: State, number: int) -> Change:
    """Return the change that counts one more use of a line of the scenario."""
    return Put("played", f"{number:06d}", b"%d" % (use_count(state, number) + 1), "", number)
