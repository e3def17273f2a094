"""The memory store passes the stores' suite; each project has one lock."""

from threading import RLock

import pytest

from mockserver.store import memory
from mockserver.store.memory import MemoryStore
from tests.support.store_suite import StoreSuite, store

__all__ = ["store"]


class TestMemory(StoreSuite):
    def fresh(self) -> MemoryStore:
        return MemoryStore()


def test_threads_that_ask_for_a_projects_first_lock_at_once_get_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second thread asks while the lock is being made for the first."""
    asked: list[object] = []

    def make() -> object:
        if not asked:
            asked.append(None)
            asked.append(stored.transaction("p"))
        return RLock()

    monkeypatch.setattr(memory, "RLock", make)
    stored = MemoryStore()
    assert stored.transaction("p") is asked[1] is stored.transaction("p")
    assert stored.transaction("q") is not asked[1]
