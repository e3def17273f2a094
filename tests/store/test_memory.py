"""The memory store passes the stores' suite; a project has one lock, and nothing stays of it."""

from mockserver.core.records import Put
from mockserver.store.memory import MemoryStore
from tests.support.store_suite import StoreSuite, store

__all__ = ["store"]


class TestMemory(StoreSuite):
    def fresh(self) -> MemoryStore:
        return MemoryStore()


def test_a_project_has_one_lock_which_few_others_share() -> None:
    stored = MemoryStore()
    locks = {id(stored.transaction(f"project {number}")) for number in range(1000)}
    assert stored.transaction("p") is stored.transaction("p")
    assert 500 < len(locks) < 1000


def test_nothing_stays_of_projects_that_are_cleared() -> None:
    stored = MemoryStore()
    for number in range(3):
        with stored.transaction(f"p{number}"):
            stored.apply(f"p{number}", [Put("response", "resp_1", b"{}", "", 1)])
            stored.clear(f"p{number}")
        assert stored.scan(f"p{number}", "response") == []
    assert stored._projects == {}
