"""Records in memory: dictionaries per project, and per parent a list kept in order."""

# Why `(kind, id)` in one dictionary and lists of places beside it: nearly all reads are by id. Lists are kept for
# kinds that are listed, in order, so that a page is a slice. A transaction is the lock and nothing more: the core
# returns its changes and they are applied last, so there is never anything to roll back. Each project has a lock of its
# own: what takes long in one does not hold up the others.

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager
from threading import RLock
from typing import Any

from mockserver.core.records import PENDING_KINDS, UNORDERED_KINDS, Change, Put, Record

_Place = tuple[int, str]  # (order, id): the place of a record below its parent
_new = tuple.__new__  # makes one as Record(...) does, without a call of Python's
_Kept = tuple[bytes, str, int]  # (doc, parent, order): a plain tuple, which the garbage collector need not follow


class _Project:
    """One project's records: `(kind, id)` → what is kept, `(kind, parent)` → places in order; its agenda by kind."""

    def __init__(self) -> None:
        self.records: dict[tuple[str, str], _Kept] = {}
        self.places: dict[tuple[str, str], list[_Place]] = {}
        self.agenda: dict[str, int] = {}  # kind → how many of it; a kind of which there is none is not there


class _Locks(dict[str, Any]):
    """A lock per project, made when it is first asked for; the same one for all threads that ask at once.

    A `defaultdict` would not do: `RLock` is a function of Python's, in which another thread may take its turn.
    """

    def __missing__(self, project: str) -> Any:
        return self.setdefault(project, RLock())


class MemoryStore:
    """A store that forgets with its process."""

    waits = False

    def __init__(self) -> None:
        self._projects: dict[str, _Project] = {}
        self._locks = _Locks()

    def transaction(self, project: str) -> AbstractContextManager[object]:
        """Keep others out of the project; what is applied inside is applied at once, so callers apply last."""
        return self._locks[project]

    def get(self, project: str, kind: str, id: str) -> bytes | None:
        """A record's document, None when there is none."""
        mine = self._projects.get(project)
        kept = mine.records.get((kind, id)) if mine else None
        return kept[0] if kept else None

    def scan(
        self,
        project: str,
        kind: str,
        parent: str = "",
        *,
        after: int | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[Record]:
        """Return records of a kind below a parent by their order, strictly after `after` in that direction."""
        mine = self._projects.get(project)
        places = mine.places.get((kind, parent)) if mine else None
        if not mine or not places:
            return []
        with self._locks[project]:  # another thread may be deleting what is found here
            if descending:
                end = len(places) if after is None else bisect_left(places, (after, ""))
                start = 0 if limit is None else max(0, end - limit)
                chosen = places[start:end][::-1]
            else:
                start = 0 if after is None else bisect_right(places, (after, "\U0010ffff"))
                chosen = places[start:] if limit is None else places[start : start + limit]
            return [_new(Record, (id, mine.records[kind, id][0], order)) for order, id in chosen]

    def pending(self, project: str) -> Collection[str]:
        """The kinds of what is on a project's agenda, which is empty for nearly every project."""
        mine = self._projects.get(project)
        return () if mine is None else mine.agenda

    def records(self, project: str) -> list[Put]:
        """Every record as the change that would write it, by kind, parent, order and id."""
        mine = self._projects.get(project)
        kept = {} if mine is None else mine.records
        puts = [Put(kind, id, doc, parent, order) for (kind, id), (doc, parent, order) in kept.items()]
        return sorted(puts, key=_rank)

    def apply(self, project: str, changes: Iterable[Change]) -> None:
        """Write changes."""
        mine = self._projects.get(project)
        if mine is None:
            mine = self._projects[project] = _Project()
        records = mine.records
        for change in changes:
            if isinstance(change, Put):
                kind, id, doc, parent, order = change
                if parent or kind not in UNORDERED_KINDS:
                    _list(mine, kind, id, parent, order)
                elif kind == "node" and (old := records.get((kind, id))) is not None and old[1]:
                    _displace(mine, kind, id, old)  # it has no parent any more
                records[kind, id] = (doc, parent, order)
            else:
                _delete(mine, *change)

    def clear(self, project: str) -> None:
        """Forget a project."""
        self._projects.pop(project, None)

    def check(self) -> None:
        """Nothing can be wrong."""

    def close(self) -> None:
        """Nothing to close."""


def _rank(put: Put) -> tuple[str, str, int, str]:
    return put.kind, put.parent, put.order, put.id


def _list(mine: _Project, kind: str, id: str, parent: str, order: int) -> None:
    old = mine.records.get((kind, id))
    if old is None or old[1:] != (parent, order):
        if old is not None and (old[1] or kind not in UNORDERED_KINDS):
            _displace(mine, kind, id, old)
        if kind in PENDING_KINDS:
            mine.agenda[kind] = mine.agenda.get(kind, 0) + 1
        place, places = (order, id), mine.places.get((kind, parent))
        if places is None:
            mine.places[kind, parent] = [place]
        elif not places or places[-1] < place:  # as nearly always: what is new comes last, and nothing is compared
            places.append(place)
        else:
            insort(places, place)


def _delete(mine: _Project, kind: str, id: str) -> None:
    old = mine.records.pop((kind, id), None)
    if old is not None and (old[1] or kind not in UNORDERED_KINDS):
        _displace(mine, kind, id, old)


def _displace(mine: _Project, kind: str, id: str, old: _Kept) -> None:
    _, parent, order = old
    places = mine.places[kind, parent]
    del places[bisect_left(places, (order, id))]
    if not places:
        del mine.places[kind, parent]
    if kind in PENDING_KINDS:
        mine.agenda[kind] -= 1
        if not mine.agenda[kind]:
            del mine.agenda[kind]
