"""The memory store passes the stores' suite."""

from mockserver.store.memory import MemoryStore
from tests.support.store_suite import StoreSuite, store

__all__ = ["store"]


class TestMemory(StoreSuite):
    def fresh(self) -> MemoryStore:
        return MemoryStore()
