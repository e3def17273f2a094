"""What the latest calls wrote stands in rows of its own, and reads as if it stood among the records."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from random import Random

import pytest

from mockserver.core.records import Change, Delete, Put
from mockserver.store.memory import MemoryStore
from mockserver.store.sqlite import SQLiteStore
from mockserver.store.sqlite_recent import LONGEST, MOST, SHORT, SLOTS
from mockserver.store.sqlite_statements import MANY
from mockserver.store.view import Store
from tests.support.examples import first_of
from tests.support.store_suite import write

KINDS = ("response", "node", "item", "entry", "line", "conversation")
PROJECTS = ("one", "two")


def changes_of(random: Random) -> list[Change]:
    """What a call may write: mostly a few short records, sometimes long ones, many, or deletions."""
    count = random.choice((1, 2, 5, 5, 5, MANY + 9)) if random.random() < 0.1 else random.randrange(1, 5)
    changes = list[Change]()
    for _ in range(count):
        kind, number = random.choice(KINDS), random.randrange(40)
        id, parent = f"x_{number}", "" if number % 3 else "below"  # a record stays below its parent
        if random.random() < 0.15:
            changes.append(Delete(kind, id))
        else:
            doc = b"%d " % random.randrange(1000) * (2 * SHORT if random.random() < 0.03 else 3)
            changes.append(Put(kind, id, doc, parent, random.randrange(9)))
    return [*changes, Put("project", "project", b"%d" % random.randrange(10**6))]


def contents(store: Store, random: Random | None = None) -> list[object]:
    """What a store shows; where it is chosen at `random`, a part of that."""
    shown: list[object] = []
    for project in PROJECTS if random is None else [random.choice(PROJECTS)]:
        for kind in (*KINDS, "project") if random is None else [random.choice(KINDS)]:
            shown += [store.get(project, kind, f"x_{n}") for n in range(0, 40, 1 if random is None else 7)]
            shown += [store.scan(project, kind, parent) for parent in ("", "below")]
            for after, limit in ((3, None), (None, 2), (4, 3)):
                shown.append(store.scan(project, kind, after=after, limit=limit))
                shown.append(store.scan(project, kind, "below", after=after, limit=limit, descending=True))
            if kind not in ("node", "item", "project"):
                shown.append(store.count(project, kind))
        shown += [store.get(project, "project", "project"), store.records(project)]
        shown.append({*store.pending(project)})
    return [*shown, sorted(store.projects())]


@pytest.mark.parametrize("seed", first_of(range(6), 2))
def test_two_processes_and_a_restart_show_what_a_store_in_memory_shows(tmp_path: Path, seed: int) -> None:
    random, path = Random(seed), str(tmp_path / "s.db")
    stores, expected = [SQLiteStore(path), SQLiteStore(path)], MemoryStore()
    for number in range(2 * SLOTS + 50):
        store, project = stores[random.randrange(2) if seed % 2 else number // 300 % 2], random.choice(PROJECTS)
        if random.random() < 0.01:
            for one in (store, expected):
                with one.transaction(project):
                    one.clear(project)
        changes = changes_of(random) if seed % 3 else [one for one in changes_of(random)[:9] if len(one) == 5]
        if random.random() < 0.02:
            with pytest.raises(RuntimeError), store.transaction(project):
                store.apply(project, changes)
                raise RuntimeError
        else:
            write(store, *changes, project=project)
            write(expected, *changes, project=project)
        if random.random() < 0.1:
            view = random.random()
            assert contents(random.choice(stores), Random(view)) == contents(expected, Random(view)), number
    for one in stores:
        assert contents(one) == contents(expected)
        one.close()
    opened = SQLiteStore(path)
    assert contents(opened) == contents(expected)
    opened.close()


def rows_of(path: str) -> list[bytes]:
    """All that stands in the file of what calls have written."""
    file = sqlite3.connect(path)
    rows = [doc for table in ("recent", "records") for (doc,) in file.execute(f"SELECT doc FROM {table}")]
    file.close()
    return rows


def test_what_was_deleted_stands_nowhere(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    store = SQLiteStore(path)
    for last in (0, 10, SLOTS, SLOTS + 10):
        write(store, Put("node", "n", b"secret"))
        for number in range(last):
            write(store, Put("node", "other", b"%d" % number))
        assert any(b"secret" in doc for doc in rows_of(path))
        if last % 4:
            write(store, Delete("node", "n"))
        else:
            with store.transaction("project"):
                store.clear("project")
        assert not any(b"secret" in doc for doc in rows_of(path)), last
    store.close()


def test_a_call_writes_one_row(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    store = SQLiteStore(path)
    write(store, *[Put("node", f"n{number}", b"1", "", number) for number in range(9)])
    assert len(rows_of(path)) == 1
    for number in range(SLOTS):
        write(store, Put("node", "other", b"%d" % number))
    assert len(rows_of(path)) == SLOTS + 1 + 10, "all rows, the mark, and the records of those before the last one"
    store.close()


def test_what_is_remembered_of_rows_is_bounded(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    store = SQLiteStore(path)
    for number in range(SLOTS - 1):
        write(store, *[Put("node", f"n{number}_{part}", b"x" * (SHORT - 1)) for part in range(3)])
        assert sum([len(put.doc) for put in store._recent.of("project")]) <= MOST + LONGEST
    before = len(store._recent.of("project"))
    write(store, *[Put("node", f"long_{part}", b"x" * (SHORT - 1)) for part in range(9)])
    assert len(store._recent.of("project")) == before, "a long row is no row"
    assert len(store.records("project")) == 3 * (SLOTS - 1) + 9
    store.close()


def test_many_records_of_a_call_stand_over_recent_ones(tmp_path: Path) -> None:
    path = str(tmp_path / "s.db")
    store = SQLiteStore(path)
    write(store, Put("node", "n1", b"old"), Put("node", "other", b"old"))
    write(store, *[Put("node", f"n{number}", b"new") for number in range(MANY + 9)])
    other = SQLiteStore(path)
    for one in (store, other):
        assert (one.get("project", "node", "n1"), one.get("project", "node", "other")) == (b"new", b"old")
        one.close()
