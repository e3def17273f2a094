"""Records in memory: dictionaries per project, and per parent a list kept in order."""

# Why a dictionary by id for each kind and lists of places beside it: nearly all reads are by id. Lists are kept for
# kinds that are listed, in order, so that a page is a slice. Most records are only found by id, and kept as their
# bytes. A response is mostly what its request did not say: those parts of it are kept once (`_Parts`). A transaction
# is the lock and nothing more: the core returns its changes and they are applied last, so there is never anything to
# roll back. Few projects share a lock, so that what takes long in one does not hold up the others. One lock for each
# would have to stay when the project goes: nobody can tell whether another thread is about to take it.

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Collection, Iterable
from contextlib import AbstractContextManager, nullcontext
from threading import RLock
from zlib import crc32

from mockserver.core.records import PENDING_KINDS, UNORDERED_KINDS, Change, Put, Record, Watch

_Place = tuple[int, str]  # (order, id): the place of a record below its parent
_new = tuple.__new__  # makes one as Record(...) does, without a call of Python's
_LOCKS = 1024
_Document = bytes | tuple[bytes, ...]  # whole, or in parts
_Placed = tuple[_Document, str, int]  # (doc, parent, order): a plain tuple, which the garbage collector need not follow
_Kept = bytes | _Placed  # without a place: no parent, and 0
_SMALL, _LARGE, _MOST_SHARED = 512, 65_536, 4_194_304  # bytes of a response, of one part, of all parts


class _Project:
    """One project's records: kind → id → what is kept, `(kind, parent)` → places in order; its agenda by kind."""

    def __init__(self) -> None:
        self.records: dict[str, dict[str, _Kept]] = {}
        self.places: dict[tuple[str, str], list[_Place]] = {}
        self.agenda: dict[str, int] = {}  # kind → how many of it; a kind of which there is none is not there


class _Parts:
    """Parts of documents that are the same in many."""

    def __init__(self) -> None:
        self._shared: dict[bytes, bytes] = {}
        self._bytes = 0
        self._latest = b"", b""  # the shared parts of the latest response; the next one often has the same

    def cut(self, doc: bytes) -> _Document:
        """A response in parts, of which some are shared; other documents as they are."""
        if len(doc) < _SMALL:
            return doc
        # these stand at the left margin, where nothing that a client sends can stand
        first, fourth = doc.find(b'\n  "error": '), doc.rfind(b'\n  "usage": ')
        before, after = self._latest
        third = fourth - len(after)
        if before and third > first > 0 and doc.startswith(before, first) and doc.startswith(after, third):
            return doc[:first], before, doc[first + len(before) : third], after, self._share(doc[fourth:])
        second = doc.find(b'\n  "output": ', first)
        third = doc.rfind(b'\n  "parallel_tool_calls": ', second, fourth)
        if min(first, second, third, fourth) < 0:
            return doc
        before, after = self._latest = self._share(doc[first:second]), self._share(doc[third:fourth])
        # few turns of a test have figures of their own
        return doc[:first], before, doc[second:third], after, self._share(doc[fourth:])

    def _share(self, part: bytes) -> bytes:
        if len(part) > _LARGE:
            return part
        known = self._shared.get(part)
        if known is None:
            if self._bytes > _MOST_SHARED:
                self._shared.clear()
                self._bytes = 0
                self._latest = b"", b""
            self._bytes += len(part)
            known = self._shared[part] = part
        return known


def _join(doc: _Document) -> bytes:
    return doc if isinstance(doc, bytes) else b"".join(doc)


def _find_place(kept: _Kept) -> _Placed:
    return (kept, "", 0) if isinstance(kept, bytes) else kept


class MemoryStore:
    """A store that forgets with its process."""

    waits = False

    def __init__(self) -> None:
        self._projects: dict[str, _Project] = {}
        self._parts = _Parts()
        self._locks = [RLock() for _ in range(_LOCKS)]
        self._watch: Watch | None = None

    def open_call(self, project: str, *, writes: bool) -> AbstractContextManager[None]:
        """Nothing is worth being read before a call asks for it."""
        return nullcontext()

    def transaction(self, project: str) -> AbstractContextManager[object]:
        """Keep others out of the project; what is applied inside is applied at once, so callers apply last."""
        return self._lock(project)

    def _lock(self, project: str) -> AbstractContextManager[object]:
        return self._locks[crc32(project.encode()) % _LOCKS]

    def get(self, project: str, kind: str, id: str) -> bytes | None:
        """A record's document, None when there is none."""
        mine = self._projects.get(project)
        records = mine.records.get(kind) if mine else None
        kept = records.get(id) if records else None
        return kept if kept is None or isinstance(kept, bytes) else _join(kept[0])

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
        with self._lock(project):  # another thread may be deleting what is found here
            if descending:
                end = len(places) if after is None else bisect_left(places, (after, ""))
                start = 0 if limit is None else max(0, end - limit)
                chosen = places[start:end][::-1]
            else:
                start = 0 if after is None else bisect_right(places, (after, "\U0010ffff"))
                chosen = places[start:] if limit is None else places[start : start + limit]
            records = mine.records[kind]
            return [_new(Record, (id, _join(_find_place(records[id])[0]), order)) for order, id in chosen]

    def pending(self, project: str) -> Collection[str]:
        """The kinds of what is on a project's agenda, which is empty for nearly every project."""
        mine = self._projects.get(project)
        return () if mine is None else mine.agenda

    def records(self, project: str) -> list[Put]:
        """Every record as the change that would write it, by kind, parent, order and id."""
        mine = self._projects.get(project)
        kept = {} if mine is None else mine.records
        puts = []
        for kind, records in kept.items():
            for id, record in records.items():
                doc, parent, order = _find_place(record)
                puts.append(Put(kind, id, _join(doc), parent, order))
        return sorted(puts, key=_rank)

    def apply(self, project: str, changes: Iterable[Change]) -> None:
        """Write changes."""
        if self._watch is not None:
            changes = self._watch(project, changes)
        mine = self._projects.get(project)
        if mine is None:
            mine = self._projects[project] = _Project()
        records = mine.records
        for change in changes:
            if isinstance(change, Put):
                kind, id, doc, parent, order = change
                same = records.get(kind)
                if same is None:
                    same = records[kind] = {}
                if parent or kind not in UNORDERED_KINDS:
                    _list(mine, kind, id, parent, order)
                    same[id] = (self._parts.cut(doc) if kind == "response" else doc, parent, order)
                    continue
                if kind == "node" and (old := same.get(id)) is not None and _find_place(old)[1]:
                    _displace(mine, kind, id, old)  # it has no parent any more
                same[id] = (doc, parent, order) if order else doc
            else:
                _delete(mine, *change)

    def clear(self, project: str) -> None:
        """Forget a project."""
        if self._watch is not None:
            self._watch(project, None)
        self._projects.pop(project, None)

    def watch(self, watch: Watch | None) -> None:
        """Have somebody told of all changes, before they are written; None ends it."""
        self._watch = watch

    def projects(self) -> list[str]:
        """The names of all that has records."""
        return list(self._projects)

    def count(self, project: str, kind: str) -> int:
        """How many records of a listed kind there are below no parent."""
        mine = self._projects.get(project)
        return len(mine.places.get((kind, ""), ())) if mine else 0

    def check(self) -> None:
        """Nothing can be wrong."""

    def close(self) -> None:
        """Nothing to close."""


def _rank(put: Put) -> tuple[str, str, int, str]:
    return put.kind, put.parent, put.order, put.id


def _list(mine: _Project, kind: str, id: str, parent: str, order: int) -> None:
    old = mine.records[kind].get(id)
    if old is None or _find_place(old)[1:] != (parent, order):
        if old is not None and (_find_place(old)[1] or kind not in UNORDERED_KINDS):
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
    records = mine.records.get(kind)
    old = records.pop(id, None) if records else None
    if old is not None and (_find_place(old)[1] or kind not in UNORDERED_KINDS):
        _displace(mine, kind, id, old)


def _displace(mine: _Project, kind: str, id: str, old: _Kept) -> None:
    _, parent, order = _find_place(old)
    places = mine.places[kind, parent]
    del places[bisect_left(places, (order, id))]
    if not places:
        del mine.places[kind, parent]
    if kind in PENDING_KINDS:
        mine.agenda[kind] -= 1
        if not mine.agenda[kind]:
            del mine.agenda[kind]
