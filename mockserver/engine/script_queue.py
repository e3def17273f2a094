"""Scripted lines with the project's other records: a queue of one-shot answers, then a scenario that stays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from mockserver.core.records import Change, Delete, Put, State
from mockserver.wire.responses.encoding import encode_compact

T = TypeVar("T")


def waiting_lines(state: State) -> list[Any]:
    """Return the documents of the lines that still wait, first one first."""
    return [orjson.loads(record.doc) for record in state.scan("line")]


def enqueue(state: State, lines: list[Any]) -> list[Change]:
    """Return the changes that put lines at the end of the queue."""
    last = state.scan("line", limit=1, descending=True)
    first = last[0].order + 1 if last else 0
    return [
        Put("line", f"{order:012d}", encode_compact({"line": line, "used": 0}), "", order)
        for order, line in enumerate(lines, first)
    ]


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
