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

from mockserver.core.records import PENDING_KINDS, UNORDERED_KINDS, Change, Put, Record, Watch

_Place = tuple[int, str]  # (order, id): the place of a record below its parent
_new = tuple.__new__  # makes one as Record(...) does, without a call of Python's
_LOCKS = 1024
_Document = bytes | tuple[bytes, ...]  # whole, or in parts
_Placed = tuple[_Document, str, int]  # (doc, parent, order): a plain tuple, which the garbage collector need not follow
_Kept = bytes | _Placed  # without a place: no parent, and 0
_SMALL, _LARGE, _MOST_SHARED = 512, 65_536, 4_194_304  # bytes of a response, of one part, of all parts


class _Project:
    """One project's records: kind → id → what is kept, `(kind, parent)` → places in order; its agenda by kind.

    A place that is alone stands there without a list: nearly every node has one that goes on from it.
    """

    def __init__(self) -> None:
        self.records: dict[str, dict[str, _Kept]] = {}
        self.places: dict[tuple[str, str], _Place | list[_Place]] = {}
        self.agenda: dict[str, int] = {}  # kind → how many of it; a kind of which there is none is not there
        self.listed: dict[str, list[Record]] = {}  # kind on the agenda → all of it, as it was listed last


# What responses have in common: where it begins, what stands before and after the output, how many bytes name the
# response that one goes on from, and what follows those.
_NO_CUT = (0, b"", b"", 0, b"")


class _Parts:
    """Parts of documents that are the same in many."""

    def __init__(self) -> None:
        self._shared: dict[bytes, bytes] = {}
        self._bytes = 0
        self._latest = _NO_CUT  # the latest response's, which the next often has in the same place

    def cut(self, doc: bytes) -> _Document:
        """A response in parts, of which some are shared; other documents as they are."""
        if len(doc) < _SMALL:
            return doc
        # these stand at the left margin, where nothing that a client sends can stand
        first, before, after, parent, rest = self._latest
        end, fifth = first + len(before), doc.rfind(b'\n  "usage": ')
        fourth = fifth - len(rest)
        third = fourth - parent
        second = third - len(after)
        if before and end <= second and doc[first:end] == before and doc[second:third] == after:
            # few turns of a test have figures of their own
            if not parent:
                return doc[:first], before, doc[end:second], after, self._share(doc[fifth:])
            if doc[fourth:fifth] == rest:
                tail = self._share(doc[fifth:])
                return doc[:first], before, doc[end:second], after, doc[third:fourth], rest, tail
        return self._cut_anew(doc, fifth)

    def _cut_anew(self, doc: bytes, fifth: int) -> _Document:
        first = doc.find(b'\n  "error": ')
        end = doc.find(b'\n  "output": ', first)
        second = doc.rfind(b'\n  "parallel_tool_calls": ', end, fifth)
        if min(first, end, second, fifth) < 0:
            return doc
        third = doc.find(b'\n  "previous_response_id": "', second, fifth)
        fourth = doc.find(b"\n", third + 1, fifth) if third > 0 else -1
        if fourth < 0:
            third = fourth = fifth
        before, after, rest = (
            self._share(doc[first:end]),
            self._share(doc[second:third]),
            self._share(doc[fourth:fifth]),
        )
        self._latest = first, before, after, fourth - third, rest
        if third == fourth:
            return doc[:first], before, doc[end:second], after, self._share(doc[fifth:])
        return doc[:first], before, doc[end:second], after, doc[third:fourth], rest, self._share(doc[fifth:])

    def _share(self, part: bytes) -> bytes:
        if len(part) > _LARGE:
            return part
        known = self._shared.get(part)
        if known is None:
            if self._bytes > _MOST_SHARED:
                self._shared.clear()
                self._bytes = 0
                self._latest = _NO_CUT
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
        return self._locks[hash(project) % _LOCKS]

    def get(self, project: str, kind: str, id: str) -> bytes | None:
        """A record's document, None when there is none."""
        try:
            kept = self._projects[project].records[kind].get(id)
        except KeyError:  # a new project, or a kind of which it never had any
            return None
        if not isinstance(kept, tuple):
            return kept
        doc = kept[0]
        return doc if isinstance(doc, bytes) else b"".join(doc)

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
        is_whole = parent == "" and after is None and limit is None and not descending
        if is_whole and mine is not None and (known := mine.listed.get(kind)) is not None:
            return known.copy()
        if not mine or not mine.places.get((kind, parent)):
            return []
        with self.transaction(project):  # another thread may be deleting what is found here
            listed = mine.places.get((kind, parent), [])
            places = [listed] if isinstance(listed, tuple) else listed
            if descending:
                end = len(places) if after is None else bisect_left(places, (after, ""))
                start = 0 if limit is None else max(0, end - limit)
                chosen = places[start:end][::-1]
            else:
                start = 0 if after is None else bisect_right(places, (after, "\U0010ffff"))
                chosen = places[start:] if limit is None else places[start : start + limit]
            records = mine.records[kind]
            if kind == "response":  # whose documents alone are in parts
                found = [_new(Record, (id, _join(_find_place(records[id])[0]), order)) for order, id in chosen]
            else:
                found = [_new(Record, (id, records[id][0], order)) for order, id in chosen]
            if is_whole and kind in PENDING_KINDS:  # every call asks for them
                mine.listed[kind] = found.copy()
        return found

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
        records, listed = mine.records, mine.places
        for change in changes:
            if not isinstance(change, Put):
                _delete(mine, *change)
                continue
            kind, id, doc, parent, order = change
            same = records.get(kind)
            if same is None:
                same = records[kind] = {}
            if not parent and kind in UNORDERED_KINDS:
                if kind == "node" and (old := same.get(id)) is not None and _find_place(old)[1]:
                    _displace(mine, kind, id, old)  # it has no parent any more
                same[id] = (doc, parent, order) if order else doc
                continue
            # all of a call that takes its time, so nothing is called for what is usual
            old = same.get(id)
            if kind in PENDING_KINDS:
                _list(mine, kind, id, parent, order)
                mine.listed.pop(kind, None)
            elif old is None:
                place, below = (order, id), (kind, parent)
                places = listed.get(below)
                if places is None:
                    listed[below] = place
                elif isinstance(places, tuple):
                    listed[below] = [places, place] if places < place else [place, places]
                elif places[-1] < place:
                    places.append(place)
                else:
                    insort(places, place)
            elif old[1:] != (parent, order):
                _list(mine, kind, id, parent, order)
            same[id] = (self._parts.cut(doc) if kind == "response" else doc, parent, order)

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
        places = mine.places.get((kind, "")) if mine else None
        if places is None:
            return 0
        return len(places) if isinstance(places, list) else 1

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
            mine.places[kind, parent] = place
        elif isinstance(places, tuple):
            mine.places[kind, parent] = sorted((places, place))
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
    if isinstance(places, list):
        del places[bisect_left(places, (order, id))]
    if isinstance(places, tuple) or not places:
        del mine.places[kind, parent]
    if kind in PENDING_KINDS:
        mine.listed.pop(kind, None)
        mine.agenda[kind] -= 1
        if not mine.agenda[kind]:
            del mine.agenda[kind]
