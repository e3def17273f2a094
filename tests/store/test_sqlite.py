"""The SQLite store passes the stores' suite, survives a restart and shares its file."""

from __future__ import annotations

import gc
import sqlite3
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.core.records import Delete, Put, Record
from mockserver.store.failures import StoreError, StoreUnavailable
from mockserver.store.fair_lock import FairLock
from mockserver.store.sqlite import CHECKPOINT_PAGES, PAGE, SQLiteStore
from mockserver.store.sqlite_file import LISTED, place_of
from mockserver.store.sqlite_statements import GET, LONG, MANY
from tests.support.store_suite import StoreSuite, store, write

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


def test_what_was_absent_is_found_once_another_process_has_written_it(tmp_path: Path) -> None:
    one, two = SQLiteStore(str(tmp_path / "s.db")), SQLiteStore(str(tmp_path / "s.db"))
    assert one.scan("project", "line") == two.scan("project", "line") == []
    assert not one.pending("project") and not two.pending("project")
    for number, (writer, reader) in enumerate(((one, two), (two, one), (one, two)), 1):
        write(writer, Put("line", f"{number}", b"", "", number))
        assert [record.order for record in writer.scan("project", "line")] == list(range(1, number + 1))
        assert reader.scan("project", "line") == writer.scan("project", "line")
        assert set(reader.pending("project")) == set(writer.pending("project")) == {"line"} and not reader.pending(
            "other"
        )
    write(one, *(Delete("line", f"{number}") for number in (1, 2, 3)))
    assert two.scan("project", "line") == one.scan("project", "line") == []
    assert not one.pending("project") and not two.pending("project")
    one.close()
    two.close()


def test_what_another_process_writes_between_a_call_s_look_and_its_transaction_is_seen_there(tmp_path: Path) -> None:
    """What is remembered is given without a look within the transaction: one is made as it begins."""
    one, two = SQLiteStore(str(tmp_path / "s.db")), SQLiteStore(str(tmp_path / "s.db"))
    write(one, Put("project", "project", b"1"))
    assert not one.pending("project") and one.get("project", "project", "project") == b"1"
    write(two, Put("fault", "f", b"x", "", 1), Put("project", "project", b"2"))
    with one.transaction("project"):
        assert set(one.pending("project")) == {"fault"} and one.get("project", "project", "project") == b"2"
    write(two, Delete("fault", "f"))
    assert not one.pending("project")
    one.close()
    two.close()


def test_a_transaction_that_cannot_look_for_others_is_not_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = SQLiteStore(str(tmp_path / "s.db")), SQLiteStore(str(tmp_path / "s.db"))
    write(two, Put("node", "n", b"1"))

    def fail(*_: object) -> None:
        raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patched:
        patched.setattr(one._recent, "load", fail)
        with pytest.raises(StoreUnavailable, match="disk I/O error"):
            write(one, Put("node", "m", b"2"))
    write(two, Put("node", "o", b"3"))
    assert [one.get("project", "node", id) for id in "nmo"] == [b"1", None, b"3"]
    write(one, Put("node", "m", b"2"))
    assert two.get("project", "node", "m") == b"2"
    one.close()
    two.close()


def test_what_a_failed_transaction_took_away_is_not_absent() -> None:
    opened = SQLiteStore(":memory:")
    write(opened, Put("line", "1", b"x", "", 1))
    with pytest.raises(RuntimeError), opened.transaction("project"):
        opened.apply("project", [Delete("line", "1")])
        assert opened.scan("project", "line") == [] and not opened.pending("project")
        raise RuntimeError
    assert opened.scan("project", "line") == [Record("1", b"x", 1)] and set(opened.pending("project")) == {"line"}
    opened.close()


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


def test_a_file_of_another_program_is_refused_and_stays_as_it_is(tmp_path: Path) -> None:
    """It was taken over: our table was written beside the others."""
    for number, script in enumerate(
        (
            "CREATE TABLE people (name TEXT)",
            "CREATE TABLE records (x TEXT)",
            "CREATE TABLE people (name TEXT); PRAGMA user_version = 2",
            "CREATE TABLE records (x TEXT); PRAGMA user_version = 2; PRAGMA application_id = 7",
        )
    ):
        path = tmp_path / f"{number}.db"
        with sqlite3.connect(path) as other:
            other.executescript(script)
        other.close()
        before = path.read_bytes()
        with pytest.raises(StoreError, match="another program"):
            SQLiteStore(str(path))
        assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == number + 1


def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "s.db").touch()
    opened = SQLiteStore(str(tmp_path / "s.db"))
    write(opened, Put("node", "n", b"1"))
    opened.close()
    SQLiteStore(str(tmp_path / "s.db")).close()


def test_a_lock_of_another_process_is_told_in_words_and_passes_by_itself(tmp_path: Path) -> None:
    """Every caller waited 30 s on the event loop."""
    opened = SQLiteStore(str(tmp_path / "s.db"))
    other = sqlite3.connect(tmp_path / "s.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match=r"s\.db is locked by another process") as caught:
            write(opened, Put("node", "n", b"1"))
        assert (caught.value.status, caught.value.headers) == (503, {"x-should-retry": "true"})
        with pytest.raises(StoreUnavailable):
            opened.check()
    assert opened.get("project", "node", "n") is None, "reading goes on"
    other.execute("ROLLBACK")
    opened.check()
    write(opened, Put("node", "n", b"1"))
    assert opened.get("project", "node", "n") == b"1"
    other.close()
    opened.close()


def test_a_full_disk_is_told_in_words_and_passes_by_itself(tmp_path: Path) -> None:
    opened = SQLiteStore(str(tmp_path / "s.db"))
    (pages,) = opened._connection.execute("PRAGMA page_count").fetchone()
    opened._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
    with pytest.raises(StoreUnavailable, match="disk is full"):
        write(opened, Put("node", "small", b"1"), Put("node", "large", b"x" * 100_000))
    assert opened.get("project", "node", "small") is None
    opened._connection.execute("PRAGMA max_page_count = 100000")
    write(opened, Put("node", "large", b"x" * 100_000))
    opened.close()


def test_a_file_that_is_gone_bad_is_told_in_words(tmp_path: Path) -> None:
    opened = SQLiteStore(str(tmp_path / "s.db"))
    opened._connection.execute("PRAGMA query_only = 1")
    with pytest.raises(StoreUnavailable, match="can't be used now"):
        write(opened, Put("node", "n", b"1"))
    opened.close()


def empty_log(opened: SQLiteStore) -> None:
    """Bring all that the log holds into the file."""
    if opened._checkpoint is not None:
        opened._checkpoint.join()
    assert opened._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)


def test_the_file_shrinks_when_records_go(tmp_path: Path) -> None:
    opened = SQLiteStore(str(tmp_path / "s.db"))
    for number in range(2000):
        write(opened, Put("response", f"resp_{number}", b"x" * 4000, "", number))
    empty_log(opened)
    full = (tmp_path / "s.db").stat().st_size
    for number in range(2000):
        write(opened, Delete("response", f"resp_{number}"))
    empty_log(opened)
    assert (tmp_path / "s.db").stat().st_size < full / 4
    opened.close()


def test_a_newer_version_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "s.db") as other:
        other.execute("PRAGMA user_version = 99")
    other.close()
    with pytest.raises(StoreError, match="99"):
        SQLiteStore(str(tmp_path / "s.db"))


VERSION_1 = """
CREATE TABLE records (
  project TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  parent TEXT NOT NULL, "order" INTEGER NOT NULL, doc BLOB NOT NULL,
  PRIMARY KEY (project, kind, id)
) WITHOUT ROWID;
CREATE INDEX listed ON records (project, kind, parent, "order", id) WHERE kind NOT IN ('item', 'node', 'project');
INSERT INTO records VALUES ('project', 'entry', 'conv_1/msg_1', 'conv_1', 7, x'31'),
  ('project', 'node', 'resp_1', '', 0, x'32'), ('other', 'node', 'resp_1', '', 0, x'33'),
  ('project', 'node', 'resp_2', '', 0, CAST('["resp_2","resp_1",1]' || char(10) || '[]' AS BLOB));
PRAGMA user_version = 1;
"""
VERSION_2 = """
CREATE TABLE records (
  number INTEGER PRIMARY KEY, project TEXT NOT NULL, place TEXT NOT NULL, kind TEXT NOT NULL, id TEXT NOT NULL,
  parent TEXT NOT NULL, "order" INTEGER NOT NULL, doc BLOB NOT NULL
);
CREATE UNIQUE INDEX found ON records (project, place, kind);
CREATE INDEX listed ON records (project, kind, parent, "order", id) WHERE kind NOT IN ('item', 'node', 'project');
INSERT INTO records VALUES (1, 'project', '1/msg_1_conv', 'entry', 'conv_1/msg_1', 'conv_1', 7, x'31'),
  (2, 'project', '1_resp', 'node', 'resp_1', '', 0, x'32'), (3, 'other', '1_resp', 'node', 'resp_1', '', 0, x'33'),
  (4, 'project', '2_resp', 'node', 'resp_2', '', 0, CAST('["resp_2","resp_1",1]' || char(10) || '[]' AS BLOB));
PRAGMA user_version = 2;
"""
VERSION_3 = (
    VERSION_2.replace("(1, 'project', '1/msg_1_conv'", "(7, 'project', '1/msg_1_conv'")
    .replace("'resp_2', '', 0, CAST", "'resp_2', 'resp_1', 0, CAST")
    .replace("user_version = 2", "user_version = 3; PRAGMA application_id = 1970168947")
)
VERSION_4 = (
    VERSION_3.replace("user_version = 3", "user_version = 4")
    .replace(
        "CREATE INDEX",
        "CREATE TABLE parts (project TEXT, name BLOB, doc BLOB NOT NULL, PRIMARY KEY (project, name)) WITHOUT ROWID;"
        "CREATE INDEX",
    )
    .replace("kind NOT IN ('item', 'node', 'project')", LISTED)
    .replace("CREATE TABLE records", "PRAGMA auto_vacuum = INCREMENTAL; CREATE TABLE records")
)


@pytest.mark.parametrize("version", [VERSION_1, VERSION_2, VERSION_3, VERSION_4])
def test_a_file_of_an_earlier_version_is_brought_up_to_date(tmp_path: Path, version: str) -> None:
    path = str(tmp_path / "s.db")
    with sqlite3.connect(path) as other:
        other.executescript(version)
    other.close()
    for _ in range(2):
        opened = SQLiteStore(path)
        assert opened.scan("project", "entry", "conv_1") == [Record("conv_1/msg_1", b"1", 7)]
        assert [opened.get(project, "node", "resp_1") for project in ("project", "other")] == [b"2", b"3"]
        assert [record.id for record in opened.scan("project", "node", "resp_1")] == ["resp_2"]
        write(opened, Put("node", "resp_1", b"2"), Put("entry", "conv_1/msg_1", b"1", "conv_1", 7))
        assert [put.id for put in opened.records("project")] == ["conv_1/msg_1", "resp_1", "resp_2"]
        opened.close()
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall() == [
            ("records",),
            ("parts",),
            ("recent",),
        ]
        assert other.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    other.close()


IDS = st.text(alphabet="ab_/", max_size=6)


@given(st.lists(IDS, unique=True))
def test_no_two_ids_have_one_place(ids: list[str]) -> None:
    assert len({place_of(id) for id in ids}) == len(ids)


@given(st.lists(st.text(alphabet="0a", min_size=50, max_size=50).map("msg_{}".format), unique=True))
def test_no_two_long_ids_have_one_place_and_the_later_comes_later(ids: list[str]) -> None:
    assert len({place_of(id) for id in ids}) == len(ids)
    times = [id[22:34] for id in ids]  # a prefix, the key of a chain and a mark stand before it
    assert sorted(times) == [place[:12] for place in sorted(map(place_of, ids))]


def test_a_project_s_own_record_is_the_latest_whoever_wrote_it(tmp_path: Path) -> None:
    """It is remembered, with its row."""
    own = ("project", "project")
    one, two = SQLiteStore(str(tmp_path / "s.db")), SQLiteStore(str(tmp_path / "s.db"))
    for number, writer in enumerate((one, one, two, one, two, two), 1):
        with writer.transaction("project"):
            assert writer.get("project", *own) == (b"%d" % (number - 1) if number > 1 else None)
            writer.apply("project", [Put("node", f"n{number}", b""), Put(*own, b"%d" % number)])
            assert writer.get("project", *own) == b"%d" % number
    with pytest.raises(RuntimeError), one.transaction("project"):
        assert one.get("project", *own) == b"6"
        one.apply("project", [Put(*own, b"never")])
        raise RuntimeError
    assert one.get("project", *own) == two.get("project", *own) == b"6"
    write(one, Put(*own, b"moved", "below", 7))
    assert one.scan("project", "project", "below") == [Record("project", b"moved", 7)]
    write(one, Put(*own, b"8"))
    assert one.scan("project", "project", "below") == [] and one.get("project", *own) == b"8"
    write(one, Delete(*own))
    assert one.get("project", *own) is two.get("project", *own) is None
    write(two, Put(*own, b"9"))
    with two.transaction("project"):
        two.clear("project")
    assert one.get("project", *own) is two.get("project", *own) is None
    one.close()
    two.close()


def test_many_changes_are_those_that_they_are_one_by_one() -> None:
    changes = [Put("item", f"msg_{n}", b"%d" % n, "c", n) for n in range(2 * MANY)]
    changes += [Put("line", "l", b"x", "", 1), Put("item", "msg_0", b"again", "c", 0)]
    swept = [Delete("item", f"msg_{n}") for n in range(MANY, MANY + 9)]
    mixed = [*swept, *changes, Delete("item", "msg_1"), Put("item", "msg_2", b"last", "c", 2)]
    mixed += [Put("item", f"msg_{n % 5}", b"over %d" % n, "c", n % 5) for n in range(3, 2 * MANY + 9)]
    many, one_by_one = SQLiteStore(":memory:"), SQLiteStore(":memory:")
    assert not many.pending("project")
    write(many, *mixed)
    for change in mixed:
        write(one_by_one, change)
    assert many.records("project") == one_by_one.records("project") and set(many.pending("project")) == {"line"}
    assert many.get("project", "item", "msg_0") == b"over 135", "the last of many for one record"
    many.close()
    one_by_one.close()


def test_a_long_document_is_read_without_the_lock(tmp_path: Path) -> None:
    """All other callers would wait for it; within a transaction what that has written is read."""
    opened = SQLiteStore(str(tmp_path / "s.db"))
    long, longer = b"x" * (LONG + 1), b"y" * (LONG + 2)
    write(opened, Put("node", "n", long), Put("node", "short", b"x" * LONG))
    locked: list[bool] = []
    fetch = opened._fetch

    def note(query: str, *given: Any) -> Any:
        if query == GET:
            locked.append(opened._lock.is_taken)
        return fetch(query, *given)

    opened._fetch = note  # type: ignore[method-assign]
    assert opened.get("project", "node", "n") == long and locked == [False]
    assert opened.get("project", "node", "short") == b"x" * LONG and len(locked) == 1
    with opened.transaction("project"):
        opened.apply("project", [Put("node", "n", longer)])
        assert opened.get("project", "node", "n") == longer and locked == [False, True]
    assert opened.get("project", "node", "n") == longer
    write(opened, Delete("node", "n"))
    assert opened.get("project", "node", "n") is None
    opened.close()


def test_what_a_thread_reads_with_goes_with_it(tmp_path: Path) -> None:
    opened = SQLiteStore(str(tmp_path / "s.db"))
    write(opened, Put("node", "n", b"x" * (LONG + 1)))
    found: list[tuple[int, int]] = []

    def read() -> None:
        found.append((len(opened.get("project", "node", "n") or b""), len(opened._opened)))

    for _ in range(3):
        thread = Thread(target=read)
        thread.start()
        thread.join()
        gc.collect()  # a connection and its statements hold each other
    assert found == [(LONG + 1, 1)] * 3 and not opened._opened
    opened.close()


def test_a_long_document_that_is_deleted_while_it_is_read_is_not_there(tmp_path: Path) -> None:
    opened = SQLiteStore(str(tmp_path / "s.db"))
    write(opened, Put("node", "n", b"x" * (LONG + 1)))
    reader = opened._reader

    def delete_first() -> sqlite3.Connection:
        write(opened, Delete("node", "n"))
        return reader()

    opened._reader = delete_first  # type: ignore[method-assign]
    assert opened.get("project", "node", "n") is None
    opened.close()


def test_threads_get_the_lock_in_turn() -> None:
    """One that takes it again and again lets the other one have it after its next time."""
    lock, order, waits = FairLock(), list[str](), Event()

    def wait() -> None:
        waits.set()
        with lock:
            order.append("other")

    other = Thread(target=wait)
    with lock, lock:
        other.start()
        waits.wait()
        while not lock._next.locked():
            pass
        order.append("first")
    with lock:
        order.append("again")
    other.join()
    assert order == ["first", "other", "again"] and not lock.is_taken


def test_what_the_log_holds_is_moved_into_the_file_beside_the_transactions(tmp_path: Path) -> None:
    """By a thread: it waits for the disk, and while it did so in a transaction all other callers waited too."""
    path = tmp_path / "s.db"
    opened = SQLiteStore(str(path))
    before = path.stat().st_size
    write(opened, Put("node", "small", b"1"))
    assert opened._checkpoint is None
    large = CHECKPOINT_PAGES * PAGE
    write(opened, Put("node", "large", b"x" * large))
    assert opened._checkpoint is not None
    opened._checkpoint.join()
    assert path.stat().st_size >= before + large
    assert opened.get("project", "node", "small") == b"1"
    write(opened, Put("node", "many", b"x" * 10), *[Put("item", f"i{n}", b"x" * PAGE) for n in range(CHECKPOINT_PAGES)])
    opened._checkpoint.join()
    assert path.stat().st_size >= before + 2 * large
    opened.close()


def test_a_log_that_cannot_be_moved_now_costs_nobody_anything(tmp_path: Path) -> None:
    opened = SQLiteStore(str(tmp_path / "s.db"))
    opened._path = str(tmp_path / "none" / "s.db")
    write(opened, Put("node", "large", b"x" * CHECKPOINT_PAGES * PAGE))
    opened.close()
    again = SQLiteStore(str(tmp_path / "s.db"))
    assert len(again.get("project", "node", "large") or b"") == CHECKPOINT_PAGES * PAGE
    again.close()
