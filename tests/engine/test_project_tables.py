"""A project that was reset leaves nothing behind: no record, no cache, no journal."""

from __future__ import annotations

import gc
import tracemalloc

import pytest

from mockserver.config.settings import Settings
from mockserver.engine import project_directory
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.store.memory import MemoryStore
from tests.support.driving import NOON


def turn(engine: Engine, number: int) -> bytes:
    headers = {b"authorization": b"Bearer sk-%d" % number}
    return engine.handle(Call("POST", "/v1/responses", b'{"model":"gpt-4.1","input":"x"}', headers=headers)).body


@pytest.fixture
def engine() -> Engine:
    return Engine(Settings(clock=NOON))


def test_nothing_stays_of_projects_that_were_reset(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """1.2 KB stayed of each."""
    monkeypatch.setattr(project_directory, "FEW", 3)
    projects = [engine.project(f"Bearer sk-{number}", None) for number in range(5)]
    for number, project in enumerate(projects):
        turn(engine, number)
        engine.control.enqueue(project, [{"reply": {"text": "once"}}])
        engine.control.advance_clock(project, 60)
    for project in projects:
        engine.control.reset(project)
    calls, store = engine._calls, engine.store
    assert isinstance(store, MemoryStore)
    assert (store._projects, calls._known, calls._spared, engine.journal._entries._journals) == ({}, {}, {}, {})
    directory = engine.projects
    assert len(directory._keys) == len(directory._logbook.active) == 3  # few are remembered for who looks at them
    assert calls.view.cache_info().currsize == engine._project_of.cache_info().currsize == 0


def test_no_byte_of_many_projects_stays(engine: Engine) -> None:
    """What Python holds for projects that were reset, by its own account of memory; 1.2 KB of each stayed once."""
    several = 400

    def serve_and_reset(first: int) -> None:
        for number in range(first, first + several):
            turn(engine, number)
            engine.control.reset(engine.project(f"Bearer sk-{number}", None))
        gc.collect()

    serve_and_reset(0)  # fills what is remembered of a few
    tracemalloc.start()
    try:
        serve_and_reset(several)
        before, _ = tracemalloc.get_traced_memory()
        serve_and_reset(2 * several)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (after - before) / several < 20


def test_a_reset_project_begins_as_a_new_one(engine: Engine) -> None:
    first = turn(engine, 1)
    assert turn(engine, 1) != first
    engine.control.reset(engine.project("Bearer sk-1", None))
    assert turn(engine, 1) == first


@pytest.mark.parametrize("part", ["state", "scenario", "faults", "journal", "clock"])
def test_a_partial_reset_keeps_the_rest(engine: Engine, part: str) -> None:
    project = engine.project("Bearer sk-1", None)
    engine.control.enqueue(project, [{"reply": {"text": "once"}}])
    engine.control.set_faults(project, [{"do": "cut", "when": {"path": "/v1/none"}}])
    engine.control.advance_clock(project, 60)
    turn(engine, 2)
    engine.control.reset(project, [part])
    kept = {put.kind for put in engine.store.records(project)}
    assert "project" in kept
    assert ("line" in kept) == (part != "scenario")
    assert ("fault" in kept) == (part != "faults")
