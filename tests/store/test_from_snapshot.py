"""A store whose projects start with records passes the stores' suite; what it starts with is there once."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockserver.core.records import PROJECT_KEY, Delete, Put
from mockserver.store.from_snapshot import Started
from mockserver.store.memory import MemoryStore
from mockserver.store.sqlite import SQLiteStore
from mockserver.store.view import Store
from tests.support.store_suite import StoreSuite, store

__all__ = ["store"]

RECORDS = [Put(*PROJECT_KEY, b"{}"), Put("response", "resp_1", b"1", "", 1)]


class TestStarted(StoreSuite):
    def fresh(self) -> Started:
        return Started(MemoryStore(), lambda project: [])


def one(kind: str, path: Path) -> Store:
    return MemoryStore() if kind == "memory" else SQLiteStore(str(path / "state.db"))


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_every_project_starts_with_the_records(kind: str, tmp_path: Path) -> None:
    started = Started(one(kind, tmp_path), lambda project: RECORDS)
    assert started.get("a", "response", "resp_1") == b"1"
    assert [record.id for record in started.scan("b", "response")] == ["resp_1"]
    assert len(started.records("c")) == 2
    with started.transaction("d"):
        started.apply("d", [Delete("response", "resp_1")])
    assert started.get("d", "response", "resp_1") is None
    with started.transaction("a"):
        started.clear("a")
    assert started.get("a", "response", "resp_1") is None
    assert started.records("a/journal") == []
    started.close()


def test_a_project_that_has_begun_elsewhere_is_left_alone(tmp_path: Path) -> None:
    first = one("sqlite", tmp_path)
    with first.transaction("a"):
        first.apply("a", [Put(*PROJECT_KEY, b'{"own": 1}')])
    first.close()
    again = Started(one("sqlite", tmp_path), lambda project: RECORDS)
    assert again.get("a", "response", "resp_1") is None and again.get("a", *PROJECT_KEY) == b'{"own": 1}'
    again.close()
