"""Long journals are read in time that grows with them, and others go on between two steps of it.

What is counted is work (looks into the store, bytes of an answer), for time depends on the machine.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.store.memory import MemoryStore
from mockserver.transport import control_api
from mockserver.transport.control_api import control_answer
from mockserver.transport.http import Chunk, chunks
from tests.support.driving import NOON, Driver


class Counting(MemoryStore):
    """A store that counts how often it is looked into."""

    looks = 0

    def get(self, project: str, kind: str, id: str) -> bytes | None:
        self.looks += 1
        return super().get(project, kind, id)

    def scan(self, *given: Any, **how: Any) -> list[Any]:
        self.looks += 1
        return super().scan(*given, **how)


def chain_of(length: int, store: Counting) -> Driver:
    """A client that has chained so many turns."""
    drive = Driver(Engine(Settings(clock=NOON, journal=1000), store=store))
    last: dict[str, Any] = {}
    for number in range(length):
        last = drive.create(f"turn {number}", **({"previous_response_id": last["id"]} if last else {}))
    store.looks = 0
    return drive


READS: dict[str, Callable[[Driver], Any]] = {
    "journal": lambda drive: drive.engine.control.journal("p", limit=1000),
    "verdict": lambda drive: drive.engine.control.verdict("p"),
    "graph": lambda drive: list(drive.engine.control.graph("p")),
}


@pytest.mark.parametrize("read", READS)
def test_a_chain_that_is_twice_as_long_takes_twice_the_work(read: str) -> None:
    looks: list[int] = []
    sizes: list[int] = []
    for length in (100, 200):
        store = Counting()
        found = READS[read](chain_of(length, store))
        looks.append(store.looks)
        sizes.append(len(json.dumps(found, default=str)))
    assert looks[1] <= 2.1 * looks[0] + 10
    assert sizes[1] <= 2.2 * sizes[0] + 10, "contexts are named, and not listed"


def test_a_listing_says_where_a_context_can_be_read() -> None:
    drive = chain_of(3, Counting())
    third = drive.engine.control.journal("p", limit=10)["data"][2]
    assert third["context"] == {
        "href": "/_mock/journal?after=2&limit=1&context=full",
        "input_tokens": third["context"]["input_tokens"],
    }
    (same,) = drive.engine.control.journal("p", after=2, limit=1, context="full")["data"]
    assert [item["content"][0]["text"] for item in same["context"]["items"][::2]] == ["turn 0", "turn 1", "turn 2"]


# a read → how many of its steps come between two times at which others may go on
STEPS: dict[str, Callable[[Driver], Iterator[Any]]] = {
    "contexts": lambda drive: drive.engine.control.read_journal("p", limit=1000, context="full"),
    "verdict": lambda drive: drive.engine.control.find_mistakes("p"),
}


@pytest.mark.parametrize("steps", STEPS)
def test_others_may_go_on_after_each_exchange(steps: str) -> None:
    pauses = [step for step in STEPS[steps](chain_of(50, Counting())) if step is None]
    assert len(pauses) >= 50


@pytest.mark.parametrize("path", ["/_mock/journal", "/_mock/verdict", "/_mock/graph"])
def test_an_answer_that_takes_long_leaves_in_pieces_and_lets_others_pass(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    engine = chain_of(30, Counting()).engine
    query = [("limit", "1000"), ("context", "full")] if path.endswith("journal") else []
    call = Call("GET", path, query=query)
    monkeypatch.setattr(control_api, "SLICE_S", math.inf)
    whole = control_answer(engine, "p", call).body
    assert whole
    monkeypatch.setattr(control_api, "SLICE_S", -1.0)  # every step takes too long
    answer = control_answer(engine, "p", call)
    parts = list(chunks(answer))
    assert b"".join(part.data for part in parts if isinstance(part, Chunk)) == whole
    assert len([part for part in parts if not isinstance(part, Chunk)]) >= 30, "after each step"
