"""The same program gives the same bytes: in memory and in SQLite, and when a snapshot is restored ahead of a call."""

from __future__ import annotations

import pytest

from mockserver.conformance.machine.hypothesis_machine import ResponsesMachine
from mockserver.conformance.machine.random_walk import walk
from mockserver.store.memory import MemoryStore
from mockserver.store.sqlite import SQLiteStore
from tests.support.examples import examples, part_of
from tests.support.twins import Twins


class TwinMachine(ResponsesMachine):
    """Any program, in memory and in SQLite."""

    driver = Twins(MemoryStore(), SQLiteStore(":memory:"))


TestTwins = TwinMachine.TestCase
TestTwins.settings = examples(30, stateful_step_count=30)


@pytest.mark.parametrize("seed", range(2))
def test_both_stores_give_the_same_bytes(seed: int) -> None:
    twins = Twins(MemoryStore(), SQLiteStore(":memory:"))
    walk(twins, seed, part_of(1500))
    twins.close()


def test_a_restored_snapshot_gives_the_same_bytes() -> None:
    twins = Twins(MemoryStore(), SQLiteStore(":memory:"), moving=True)
    walk(twins, 7, part_of(400), length=40)
    twins.close()
