"""Pages of a journal: numbers without gaps, whole pages that go, what waits for a store that refuses."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mockserver.core.records import Record
from mockserver.engine.journal_pages import BATCH, DROPPED, PAGES_AT_ONCE, JournalPages, entries_of, lines_of
from mockserver.journal.exchange import KIND, Call, Exchange
from mockserver.store.memory import MemoryStore
from mockserver.store.sqlite import SQLiteStore
from mockserver.store.view import Store
from mockserver.wire.errors.api import MockError

PLENTY = 1 << 30


def exchange(name: str = "", body: bytes = b"", **fields: Any) -> Exchange:
    return Exchange(Call(path=f"/{name}", body=body), "http", at=0.0, **fields)


def pages(store: Store | None = None, *, most: int = 1000, most_bytes: int = PLENTY, batch: int = 1) -> JournalPages:
    return JournalPages(store or MemoryStore(), most, most_bytes, batch)


def add(journal: JournalPages, *names: str, project: str = "p") -> list[Exchange]:
    made = [exchange(name) for name in names]
    for one in made:
        journal.add(project, one)
    return made


def listed(journal: JournalPages, after: int = 0, project: str = "p") -> list[tuple[int, str]]:
    """The numbers and paths of a journal's exchanges, as a reader finds them."""
    return [(entry.number, json.loads(entry.doc)["path"][1:]) for entry in journal.entries(project, after)]


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


# --- what is written, and where ---------------------------------------------------------------------------------------


def test_a_page_has_a_document_on_each_line_numbered_from_its_first() -> None:
    found = entries_of(Record("000000000065", b'{"a":1}\n{"a":2}', 65))
    assert [tuple(entry) for entry in found] == [(65, b'{"a":1}'), (66, b'{"a":2}')]


def test_exchanges_wait_until_a_page_is_full(store: MemoryStore) -> None:
    journal = pages(store, batch=3)
    first, second = add(journal, "a", "b")
    assert store.records("p/journal") == [] and first.waits and first.number is None
    (third,) = add(journal, "c")
    (page,) = store.records("p/journal")
    assert len(lines_of(page.doc)) == 3 and [one.number for one in (first, second, third)] == [1, 2, 3]
    assert not first.waits and store.records("p") == [], "a reset of the project leaves its journal alone"


def test_a_reader_finds_what_waits(store: MemoryStore) -> None:
    journal = pages(store, batch=BATCH)
    assert listed(journal) == []
    add(journal, "a", "b")
    assert listed(journal) == [(1, "a"), (2, "b")]
    add(journal, "c")
    assert listed(journal, after=1) == [(2, "b"), (3, "c")] and listed(journal, after=3) == []


def test_long_journals_are_read_some_pages_at_a_time() -> None:
    journal, many = pages(batch=BATCH), BATCH * (PAGES_AT_ONCE + 2) + 5
    add(journal, *map(str, range(1, many + 1)))
    assert listed(journal) == [(number, str(number)) for number in range(1, many + 1)]
    assert [number for number, _ in listed(journal, after=BATCH + 1)] == list(range(BATCH + 2, many + 1))


def test_more_than_a_page_that_waits_becomes_several(tmp_path: Path) -> None:
    store = SQLiteStore(str(tmp_path / "state.db"))
    journal = pages(store, batch=BATCH)
    with locked(tmp_path / "state.db"):
        add_refused(journal, BATCH)
        add(journal, *["later"] * 6)
    journal.close()
    assert [len(lines_of(page.doc)) for page in store.records("p/journal")] == [BATCH, 6]
    store.close()


def test_projects_have_journals_of_their_own(store: MemoryStore) -> None:
    journal = pages(store, batch=BATCH)
    add(journal, "a")
    add(journal, "b", project="q")
    journal.close()
    assert [len(store.records(f"{name}/journal")) for name in "pq"] == [1, 1]
    assert listed(journal) == [(1, "a")] and listed(journal, project="q") == [(1, "b")]


def test_processes_that_write_at_once_find_each_others(store: MemoryStore) -> None:
    one, other = pages(store), pages(store)
    for journal, name in ((one, "a"), (other, "b"), (one, "c")):
        add(journal, name)
    assert listed(one) == listed(other) == [(1, "a"), (2, "b"), (3, "c")]


# --- an exchange that goes on -----------------------------------------------------------------------------------------


def ends(journal: JournalPages) -> list[str | None]:
    return [json.loads(entry.doc)["ended"] for entry in journal.entries("p", 0)]


def test_one_that_goes_on_while_it_waits_is_there_once() -> None:
    journal = pages(batch=BATCH)
    (one,) = add(journal, "a")
    one.ended = "delivered"
    journal.add("p", one)
    assert listed(journal) == [(1, "a")] and ends(journal) == ["delivered"]


def test_one_that_goes_on_after_it_was_written_is_written_again_in_its_old_place() -> None:
    journal = pages(batch=3)
    _, second, _, fourth = add(journal, "a", "b", "c", "d")
    journal.write("p")
    for one in (fourth, second):
        one.ended = "aborted"
        journal.add("p", one)
    assert ends(journal) == [None, "aborted", None, "aborted"] and (second.number, fourth.number) == (2, 4)
    assert listed(journal) == [(1, "a"), (2, "b"), (3, "c"), (4, "d")]


def test_one_that_was_forgotten_meanwhile_stays_so() -> None:
    journal = pages()
    first, second = add(journal, "a", "b")
    journal.forget("p")
    journal.add("p", first)
    assert listed(journal) == []
    add(journal, "c")
    second.ended = "delivered"
    journal.add("p", second)
    assert listed(journal) == [(1, "c")], "there is no second one now, and the first is another"


# --- limits -----------------------------------------------------------------------------------------------------------


def test_pages_beyond_the_limit_go_whole(store: MemoryStore) -> None:
    journal = pages(store, most=4, batch=3)
    add(journal, *"abcdefghi")
    assert [page.order for page in store.scan("p/journal", KIND)] == [4, 7], "a page more is stored than is shown"
    assert [number for number, _ in listed(journal)] == [6, 7, 8, 9]


def test_many_pages_may_go_at_once(store: MemoryStore) -> None:
    add(pages(store), *"abcdef")
    add(pages(store, most=1), "g")
    assert [page.order for page in store.scan("p/journal", KIND)] == [7]


def test_the_oldest_pages_beyond_the_bytes_go(store: MemoryStore) -> None:
    journal = pages(store, most_bytes=4000)
    add(journal, *["x"] * 40)
    kept = store.records("p/journal")
    weight = sum(len(page.doc) for page in kept)
    assert 1 < len(kept) < 40 and weight <= 4000 * 9 / 8, "it is looked at after each eighth of the bytes"
    assert [number for number, _ in listed(journal)] == list(range(41 - len(kept), 41))


def test_the_newest_stays_however_large_for_it_has_the_last_number(store: MemoryStore) -> None:
    journal = pages(store, most_bytes=1000)
    for _ in range(3):
        journal.add("p", exchange("large", b"x" * 5000))
    assert listed(journal) == [(3, "large")]


def test_what_waits_of_all_projects_is_written_before_it_takes_much(store: MemoryStore) -> None:
    journal = pages(store, most_bytes=8 * 3 * 100, batch=BATCH)  # a body of 100 bytes takes three times as much
    journal.add("q", exchange("small", b"x" * 40))
    journal.add("p", exchange("a", b"x" * 60))
    assert store.records("q/journal") == store.records("p/journal") == []
    journal.add("p", exchange("b", b"x"))
    assert len(store.records("q/journal")) == len(store.records("p/journal")) == 1
    journal.add("p", exchange("c", b"x" * 100))
    assert len(store.records("p/journal")) == 1, "what was written counts no more"


# --- forgetting -------------------------------------------------------------------------------------------------------


def test_a_forgotten_journal_begins_again_with_one(store: MemoryStore) -> None:
    journal = pages(store, batch=2)
    _, _, waiting = add(journal, "a", "b", "c")
    add(journal, "other", project="q")
    journal.forget("p")
    assert not waiting.waits and store.records("p/journal") == [] and listed(journal) == []
    add(journal, "d")
    assert listed(journal) == [(1, "d")] and listed(journal, project="q") == [(1, "other")]


# --- a store that refuses ---------------------------------------------------------------------------------------------


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another program writes to a store's file for as long as this lasts."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def add_refused(journal: JournalPages, count: int = 1) -> list[Exchange]:
    """Add exchanges, at the last of which the store refuses."""
    made = add(journal, *["waits"] * (count - 1))
    last = exchange("refused")
    with pytest.raises(MockError) as caught:
        journal.add("p", last)
    assert caught.value.status == 503
    return [*made, last]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state.db"


@pytest.fixture
def shared(file: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(str(file))
    yield store
    store.close()


def test_what_waits_is_kept_and_tried_again_a_page_later(file: Path, shared: SQLiteStore) -> None:
    journal = pages(shared)
    with locked(file):
        add_refused(journal)
        add(journal, *["waits"] * (BATCH - 1))  # nobody tries meanwhile, or each would wait for the file
        add_refused(journal)
    add(journal, *["waits"] * BATCH)
    assert len(shared.records("p/journal")) == 3
    assert [number for number, _ in listed(journal)] == list(range(1, 2 * BATCH + 2))


def test_after_it_was_written_each_is_written_at_once_again(file: Path, shared: SQLiteStore) -> None:
    journal = pages(shared)
    with locked(file):
        add_refused(journal)
    assert listed(journal) == [(1, "refused")]
    add(journal, "next")
    assert len(shared.records("p/journal")) == 2


def test_the_oldest_that_wait_are_dropped_and_counted(file: Path, shared: SQLiteStore) -> None:
    journal = pages(shared, most=3)
    add(journal, "written")
    with locked(file):
        (dropped,) = add_refused(journal)
        second, *_ = add(journal, "b", "c", "d", "e")
    assert (dropped.number, second.number, dropped.waits) == (DROPPED, DROPPED, False)
    assert listed(journal) == [(4, "c"), (5, "d"), (6, "e")]
    dropped.ended = "delivered"
    journal.add("p", dropped)
    assert [number for number, _ in listed(journal)] == [4, 5, 6], "what was dropped does not come back"


def test_one_that_has_a_number_is_not_counted_again_where_its_end_is_dropped(file: Path, shared: SQLiteStore) -> None:
    journal = pages(shared, most=3)
    (one,) = add(journal, "a")
    one.ended = "delivered"
    with locked(file):
        with pytest.raises(MockError):
            journal.add("p", one)
        add(journal, "b", "c", "d")
    assert one.number == 1 and listed(journal) == [(2, "b"), (3, "c"), (4, "d")]


def test_a_forgotten_journal_does_not_count_what_was_dropped(file: Path, shared: SQLiteStore) -> None:
    journal = pages(shared, most=1)
    with locked(file):
        add_refused(journal)
        add(journal, "b", "c")
    journal.forget("p")
    add(journal, "d")
    assert listed(journal) == [(1, "d")]


def test_it_drops_for_bytes_too_but_never_the_last(file: Path, shared: SQLiteStore) -> None:
    journal = pages(shared, most_bytes=PLENTY)
    with locked(file):
        add_refused(journal)
        journal._most_bytes = 3000
        for name in "abc":
            journal.add("p", exchange(name, b"x" * 2000))
    assert listed(journal) == [(4, "c")]
