"""The state machine of the testing room against our own server: both stores, in process and over a socket."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis.stateful import run_state_machine_as_test

from mockserver.config.settings import Settings
from mockserver.conformance.drivers import NOON, EngineDriver, HTTPDriver
from mockserver.conformance.machine.hypothesis_machine import ResponsesMachine
from mockserver.conformance.machine.random_walk import walk
from mockserver.engine.engine import Engine
from mockserver.store.sqlite import SQLiteStore
from tests.support.examples import examples, part_of
from tests.support.serving import FROZEN, serving

FEW = examples(8, stateful_step_count=25)


def sqlite_driver(name: str = ":memory:") -> EngineDriver:
    return EngineDriver(Engine(Settings(clock=NOON), store=SQLiteStore(name)))


class SQLiteMachine(ResponsesMachine):
    """The same programs over an SQLite file."""

    driver = sqlite_driver()


TestEngine = ResponsesMachine.TestCase
TestEngine.settings = examples(200, stateful_step_count=40)
TestSQLite = SQLiteMachine.TestCase
TestSQLite.settings = examples(40, stateful_step_count=40)


@pytest.mark.parametrize("seed", [0, *(pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2))])
def test_walks_over_an_engine(seed: int) -> None:
    driver = EngineDriver(Engine(Settings(clock=NOON, seed=seed)))
    walk(driver, seed, part_of(6000))
    driver.close()


def test_a_walk_over_sqlite() -> None:
    driver = sqlite_driver()
    walk(driver, 10, part_of(2000))
    driver.close()


@pytest.mark.slow
def test_a_long_program() -> None:
    driver = EngineDriver()
    walk(driver, 11, 2000, length=1000)
    driver.close()


def test_over_a_socket() -> None:
    with serving(*FROZEN) as served, closing(HTTPDriver(served.base_url, "machine")) as driver:
        run_state_machine_as_test(type("SocketMachine", (ResponsesMachine,), {"driver": driver}), settings=FEW)
        walk(driver, 12, part_of(400))


@pytest.mark.slow  # three interpreters; that workers share a file is seen in `tests/contract/test_durability.py`
def test_over_two_workers(tmp_path: Path) -> None:
    options = ("--workers", "2", "--store", f"sqlite:///{tmp_path / 'state.db'}")
    with serving(*options) as served, closing(HTTPDriver(served.base_url, "machine")) as driver:
        walk(driver, 13, part_of(300))
