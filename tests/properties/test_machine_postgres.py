"""The same program gives the same bytes in memory and in PostgreSQL."""

from __future__ import annotations

import pytest

from mockserver.conformance.machine.random_walk import walk
from mockserver.store.memory import MemoryStore
from mockserver.store.postgres import PostgresStore
from tests.support.examples import part_of
from tests.support.postgres import server, url
from tests.support.twins import Twins

__all__ = ["server", "url"]

pytestmark = pytest.mark.services


@pytest.mark.parametrize("seed", range(2))
def test_both_stores_give_the_same_bytes(url: str, seed: int) -> None:
    twins = Twins(MemoryStore(), PostgresStore(url))
    walk(twins, seed, part_of(1000))
    twins.close()
