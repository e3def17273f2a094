"""The SQLite store passes the stores' suite, survives a restart and shares its file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from mockserver.core.state import Put, Record
from mockserver.store.sqlite import SQLiteStore, StoreError
from tests.store_suite import StoreSuite, store, write

__all__ = ["store"]


class TestSQLite(StoreSuite):
    def fresh(self) -> SQLiteStore:
        return SQLiteStore(":memory:")


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    path = str(tmp_path / "state.db")
    first = SQLiteStore(path)
    write(first, Put("entry", "x", b"1", "c", 7), Put("node", "n", b"2"))
    first.close()
    second = SQLiteStore(path)
    assert second.scan("project", "entry", "c") == [Record("x", b"1", 7)]
    assert second.get("project", "node", "n") == b"2"
    second.close()


def test_it_writes_ahead(tmp_path: Path) -> None:
    opened = SQLiteStore(str(tmp_path / "state.db"))
    with sqlite3.connect(tmp_path / "state.db") as other:
        assert other.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    other.close()
    opened.close()


def test_two_processes_see_each_other(tmp_path: Path) -> None:
    one, two = SQLiteStore(str(tmp_path / "s.db")), SQLiteStore(str(tmp_path / "s.db"))
    write(one, Put("node", "n", b"1"))
    assert two.get("project", "node", "n") == b"1"
    one.close()
    two.close()


def test_a_transaction_that_fails_writes_nothing(tmp_path: Path) -> None:
    opened = SQLiteStore(str(tmp_path / "s.db"))
    with pytest.raises(RuntimeError), opened.transaction("project"):
        opened.apply("project", [Put("node", "n", b"1")])
        raise RuntimeError
    assert opened.get("project", "node", "n") is None
    opened.close()


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database at all, just a text of some length\n" * 20)
    with pytest.raises(StoreError, match="text"):
        SQLiteStore(str(tmp_path / "text"))
    with pytest.raises(StoreError, match="missing"):
        SQLiteStore(str(tmp_path / "missing" / "s.db"))


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.db") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError, match="99"):
        SQLiteStore(str(tmp_path / "s.db"))
