"""One call, one transaction: who raises has written nothing but the time that passed; each writer has its number."""

from __future__ import annotations

import pytest

from mockserver.config.settings import Settings
from mockserver.core.records import Change, Put
from mockserver.engine.engine import Engine
from mockserver.engine.transactions import Transactions, UnitOfWork
from mockserver.model.prompt import Prompt, Reply
from mockserver.store.memory import MemoryStore
from mockserver.store.sqlite import SQLiteStore
from tests.support.driving import NOON, Driver


def test_calls_are_numbered_and_each_has_ids_of_its_own() -> None:
    calls = Transactions(Settings(clock=NOON), None, lambda: 0.0)

    def note(at: UnitOfWork) -> tuple[tuple[int, str], list[Change]]:
        return (at.ordinal, at.id_generator.node()), [Put("use", "a", b"1")]

    (first, one), (second, two) = calls.write("p", note), calls.write("p", note)
    assert (first, second) == (0, 1) and one != two
    assert calls.write("q", note)[0] == 0
    assert calls.reading("p")[0].get("use", "a") == b"1"


def test_what_raises_is_neither_written_nor_numbered() -> None:
    calls = Transactions(Settings(clock=NOON), None, lambda: 0.0)

    def fail(at: UnitOfWork) -> None:
        raise RuntimeError("no")

    with pytest.raises(RuntimeError):
        calls.write("p", fail)
    assert calls.reading("p")[0].get("use", "a") is None
    assert calls.write("p", lambda at: (at.ordinal, [])) == 0


def test_who_raises_has_noted_the_turns_that_ended_on_every_store() -> None:
    def fail(at: UnitOfWork) -> None:
        raise RuntimeError("no")

    for store in (MemoryStore(), SQLiteStore(":memory:")):
        drive = Driver(Engine(Settings(clock=NOON), store=store))
        made = drive.create(background=True)
        with pytest.raises(RuntimeError):
            drive.engine._calls.write("p", fail)
        assert store.get("p", "response", made["id"]) is not None
        assert store.get("p", "running", made["id"]) is None


def test_a_turn_that_ended_is_written_by_the_next_reader() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "late"}, "pacing": {"first_token": 5}})
    made = drive.create(background=True)
    calls = drive.engine._calls
    assert calls.reading("p")[0].get("response", made["id"]) is None
    drive.engine.control.set_clock("p", NOON + 5)
    assert calls.reading("p")[0].get("response", made["id"]) is not None


def test_a_model_that_raises_changes_nothing() -> None:
    class Broken:
        def respond(self, prompt: Prompt) -> Reply:
            raise RuntimeError("no")

    for store in (MemoryStore(), SQLiteStore(":memory:")):
        drive = Driver(Engine(Settings(clock=NOON), store=store, model=Broken()))
        with pytest.raises(RuntimeError):
            drive.create()
        assert drive.engine.control.list_responses("p", limit=9, after=None)["data"] == []
        drive.engine.close()
