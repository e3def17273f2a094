"""The same program gives the same bytes in memory and in PostgreSQL: 2,000 programs of 60 steps with `--long`."""

from __future__ import annotations

import pytest

from mockserver.conformance.machine.random_walk import LENGTH, walk
from mockserver.store.memory import MemoryStore
from mockserver.store.postgres import PostgresStore
from tests.support.examples import part_of
from tests.support.postgres import server, url
from tests.support.twins import Twins

__all__ = ["server", "url"]

pytestmark = pytest.mark.services


SEEDS, PROGRAMS = 2, 2000


@pytest.fixture
def steps(request: pytest.FixtureRequest) -> int:
    """How many steps are taken with each seed."""
    return PROGRAMS // SEEDS * LENGTH if request.config.getoption("--long") else part_of(1000)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_both_stores_give_the_same_bytes(url: str, seed: int, steps: int) -> None:
    twins = Twins(MemoryStore(), PostgresStore(url))
    walk(twins, seed, steps)
    twins.close()
    print(f"\n{steps // LENGTH} programs of {LENGTH} steps, the same bytes in memory and in PostgreSQL")
