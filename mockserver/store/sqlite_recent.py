"""What the latest calls have written: a row for each of them, until all of it is moved to the records at once."""

# Why: a turn writes a response, its node, where its items are, and the project's own record. As records they change
# some nine pages of 4 KB, those of two indices among them, and each page is hashed and written to the log. One row
# changes one page. Moved for 256 turns at once, in the order of the index, the same records change a page per turn.
#
# How it works. Rows have numbers that only grow, and take turns in `SLOTS` places of their table, so that no page is
# allocated or freed for them. The row in the place `_MARK` has the number up to which rows were moved: those after it
# are read when the file is opened, and what is in them stands over the records.
#
# What must stay true:
# * The rows after the mark are all there, without a gap, and at most `SLOTS`. Another process has moved all rows that
#   it had found: where the mark is past what this one knows, nothing that it remembers is recent any more.
# * A record is written elsewhere, or deleted, only when it is not in these rows: they are moved before that.
# * What was deleted must not go on standing in the file, also not in rows that were moved (`clean`).

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, repeat
from operator import itemgetter
from typing import Any

import orjson

from mockserver.core.records import UNORDERED_KINDS, Put
from mockserver.store.sqlite_file import place_of

SLOTS = 256
SHORT, LONGEST = 8192, 32_768  # bytes of a document, and of a row, above which it is written where it belongs
MOST = 1_048_576  # bytes of rows that are moved in any case, for they are in memory too
_MARK = -1
_WRITE = "INSERT OR REPLACE INTO recent (slot, number, project, doc) VALUES (?, ?, ?, ?)"
_READ = "SELECT number, project, doc FROM recent WHERE slot = ?"
_CLEAN = "DELETE FROM recent WHERE slot >= 0 AND number <= ?"
_NONE: Mapping[str, Put] = {}

Key = tuple[str, str]  # kind and id
Row = tuple[str, str, str, str, str, int, bytearray]  # of the records: project, place, kind, id, parent, order, doc
Run = Callable[[str, Sequence[Any]], Any]  # executes a statement


class Recent:
    """The rows as this process knows them."""

    def __init__(self) -> None:
        self._puts: dict[str, dict[Key, Put]] = {}  # by project
        self._kinds: dict[str, dict[str, dict[str, Put]]] = {}  # project → kind → id, without those of `_unsorted`
        self._unsorted: dict[str, list[Sequence[Put]]] = {}  # project → those of calls, which few scans ask for
        self._number = self._moved = self._bytes = 0  # the newest row, the last one that was moved, what is between
        self._left: set[str] | None = None  # projects of rows that were moved and still stand there, None for any

    @property
    def is_full(self) -> bool:
        """Whether the rows have to be moved before there is room for another."""
        return self._number - self._moved >= SLOTS or self._bytes >= MOST

    def forget(self) -> None:
        """Forget everything, to be read anew: a transaction has failed."""
        self._forget_puts()
        self._left = None
        self._number = self._moved = self._bytes = 0

    def load(self, run: Run) -> None:
        """Read what other processes have written and moved."""
        ((moved, _, _),) = run(_READ, (_MARK,)).fetchall() or [(0, "", b"")]
        if moved > self._moved:
            self._forget_puts()
            self._left = None
            self._number, self._moved, self._bytes = moved, moved, 0
        rows = run(_READ, ((self._number + 1) % SLOTS,)).fetchall()
        while rows and rows[0][0] == self._number + 1:
            self._number += 1
            self._bytes += len(rows[0][2])
            puts = _decode(rows[0][2])
            self._remember(rows[0][1], puts)
            rows = run(_READ, ((self._number + 1) % SLOTS,)).fetchall()

    def append(self, run: Run, project: str, puts: Sequence[Put]) -> bool:
        """Write the records of a call as a row, unless they are too long for one."""
        docs = [*map(_doc_of, puts)]
        if sum(map(len, docs)) > LONGEST:
            return False
        number = self._number = self._number + 1
        about = orjson.dumps([(kind, id, parent, order, len(doc)) for kind, id, doc, parent, order in puts])
        row = bytearray().join((about, b"\n", *docs))  # for bytes the driver looks for an adapter, which takes 1 µs
        self._bytes += len(row)
        run(_WRITE, (number % SLOTS, number, project, row))
        self._remember(project, puts)
        return True

    def _remember(self, project: str, puts: Sequence[Put]) -> None:
        known = self._puts.get(project)
        if known is None:
            known = self._puts[project] = {}
            self._unsorted[project] = []
        for put in puts:
            known[put[:2]] = put
        self._unsorted[project].append(puts)

    def _forget_puts(self) -> None:
        self._puts, self._kinds, self._unsorted = {}, {}, {}

    def all(self) -> Iterator[Row]:
        """Every record as a row of the records, in the order of their index."""
        place = lru_cache(maxsize=1)(place_of)  # a response and its node have one id, and come one after the other
        for project in sorted(self._puts):
            kinds, ids, docs, parents, orders = zip(*self._puts[project].values(), strict=True)
            made = map(bytearray, docs)
            rows = [*zip(repeat(project), map(place, ids), kinds, ids, parents, orders, made, strict=False)]
            rows.sort(key=_of_place)
            yield from rows

    def mark(self, run: Run) -> None:
        """Note that all of it was moved."""
        run(_WRITE, (_MARK, self._number, "", b""))
        if self._left is not None:
            self._left.update(self._puts)
        self._forget_puts()
        self._moved, self._bytes = self._number, 0

    def clean(self, run: Run, project: str) -> None:
        """Take the rows away that were moved, if some may be of a project."""
        if self._left is None or project in self._left:
            run(_CLEAN, (self._moved,))
            self._left = set()

    def get(self, project: str, kind: str, id: str) -> Put | None:
        """The latest change of a record, None when it is in no row."""
        puts = self._puts.get(project)
        return None if puts is None else puts.get((kind, id))

    def of_kind(self, project: str, kind: str) -> Mapping[str, Put]:
        """The records of a kind, by id."""
        unsorted = self._unsorted.get(project)
        if unsorted is None:
            return _NONE
        kinds = self._kinds.setdefault(project, {})
        for put in chain.from_iterable(unsorted):
            kinds.setdefault(put[0], {})[put[1]] = put
        unsorted.clear()
        return kinds.get(kind, _NONE)

    def of(self, project: str) -> list[Put]:
        """All records of a project."""
        return [*self._puts.get(project, {}).values()]

    def drop(self, project: str) -> None:
        """Forget a project that is cleared; what is left has to be moved then."""
        self._kinds.pop(project, None)
        self._unsorted.pop(project, None)
        if self._puts.pop(project, None) is not None and self._left is not None:
            self._left.add(project)

    @property
    def projects(self) -> Collection[str]:
        """The projects that have records here."""
        return self._puts.keys()


def is_listed(put: Put) -> bool:
    """Whether a scan finds a record below its parent."""
    return put.parent != "" or put.kind not in UNORDERED_KINDS


def merge(
    rows: Iterable[Sequence[Any]], recent: Mapping[str, Put], parent: str, after: int | None, *, descending: bool
) -> list[Sequence[Any]]:
    """What a scan finds, rows of id, document and order: those of records, and the recent ones over them."""
    merged = [row for row in rows if row[0] not in recent]
    for put in recent.values():
        is_after = after is None or (put.order < after if descending else put.order > after)
        if is_after and put.parent == parent and is_listed(put):
            merged.append((put.id, put.doc, put.order))
    merged.sort(key=_by_order, reverse=descending)
    return merged


def merge_all(rows: list[Any], recent: Sequence[Put]) -> list[Any]:
    """All rows of a project, of kind, id, document, parent and order: the recent ones over those of records."""
    if not recent:
        return rows
    newer = {put[:2] for put in recent}
    return sorted([*(row for row in rows if row[:2] not in newer), *map(tuple, recent)], key=_by_place)


_doc_of, _of_place, _by_order, _by_place = itemgetter(2), itemgetter(1), itemgetter(2, 0), itemgetter(0, 3, 4, 1)


def _decode(row: bytes) -> list[Put]:
    """The records of a row: what they are, in one line, and their documents after it."""
    about, _, docs = row.partition(b"\n")
    puts, start = list[Put](), 0
    for kind, id, parent, order, length in orjson.loads(about):
        puts.append(Put(kind, id, docs[start : start + length], parent, order))
        start += length
    return puts
