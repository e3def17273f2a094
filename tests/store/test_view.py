"""A store as one project sees it."""

from __future__ import annotations

from pathlib import Path

from mockserver.core.records import Put
from mockserver.store.memory import MemoryStore
from mockserver.store.sqlite import SQLiteStore
from mockserver.store.view import open_store, view_project


def test_a_setting_names_the_store(tmp_path: Path) -> None:
    assert isinstance(open_store("memory"), MemoryStore)
    store = open_store(f"sqlite:///{tmp_path}/x.db")
    assert isinstance(store, SQLiteStore)
    store.close()


def test_a_view_shows_one_project() -> None:
    store = MemoryStore()
    for project in ("a", "b"):
        store.apply(project, [Put("line", project, b"1", "", 1), Put("line", project * 2, b"2", "", 2)])
    view = view_project(store, "a")
    assert (view.get("line", "a"), view.get("line", "b")) == (b"1", None)
    assert [record.id for record in view.scan("line")] == ["a", "aa"]
    assert [record.id for record in view.scan("line", after=1)] == ["aa"]
    assert [record.id for record in view.scan("line", limit=1, descending=True)] == ["aa"]
