"""The journals of a store that survives the process: written in pages beside the projects' records."""

# How it works. A project's journal has records of its own in the store, in the place `PROJECT/journal`, so that
# a reset or a snapshot of the project leaves it alone. A record is a page: up to `BATCH` documents, one to a
# line, under the number of its first. An exchange waits in this process until a page is full, or until somebody
# reads; then the project's queue is written in one transaction. If several processes share the store, each exchange
# is written at once, so that each process finds those of the others.
#
# What must stay true:
# * What waits is taken from the queue only after it was written. If the store refuses (it is locked, the disk is
#   full), the queue is tried again with the next page, and its oldest exchanges are dropped when it grows too large.
# * A number counts every call of the project: an exchange gets its number when it is written, and those that
#   were dropped before that are counted (`_skipped`) though they are not stored.
# * Only whole pages are deleted, and not at once, so up to two pages more are stored than are shown; `entries` cuts
#   them off.
# * An exchange that continues after it was written (a stream) is written again in its old place.

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator
from itertools import pairwise

from mockserver.core.records import Change, Delete, Put, Record
from mockserver.engine.journal_ring import PACKED_FROM, size_of
from mockserver.journal.exchange import KIND, Entry, Exchange, document_of, head_size_of, release_sources, release_turn
from mockserver.journal.turn_document import document_of_turn
from mockserver.store.view import Store

BATCH = 64
MOST_WAITING = 16_384  # of all projects
PAGES_AT_ONCE = 4  # that are read
DROPPED = 0  # the number of an exchange that was dropped before it was written


class JournalPages:
    """At most `most` exchanges of each project, in `most_bytes` of pages; `batch` of them wait to be written."""

    def __init__(self, store: Store, most: int, most_bytes: int, batch: int) -> None:
        self._store, self._most, self._most_bytes, self._batch = store, most, most_bytes, batch
        self._waiting: dict[str, deque[Exchange]] = {}
        self._skipped: Counter[str] = Counter()  # exchanges of a project that were dropped, not yet counted
        self._failed: dict[str, int] = {}  # project → how many exchanges must wait before it is tried again
        self._unchecked: Counter[str] = Counter()  # bytes written to a journal since its size was looked at
        self._count = self.bytes = 0

    def pack(self, exchange: Exchange) -> tuple[bytes, ...] | None:
        """The document of a long exchange that has ended, None for any other; nobody has to wait for it."""
        if exchange.ended is None or exchange.document is not None:
            return None
        release_turn(exchange)
        return (document_of(exchange),) if size_of(exchange) >= PACKED_FROM else None

    def add(self, project: str, exchange: Exchange, document: tuple[bytes, ...] | None = None) -> None:
        """Add an exchange with what `pack` has made of it, or one that has gone on.

        Raises what the store raises when a page can't be written.
        """
        if document is not None:
            release_sources(exchange, document)
        if exchange.waits:
            return
        waiting = self._waiting.get(project)
        if waiting is None:
            waiting = self._waiting[project] = deque()
        waiting.append(exchange)
        exchange.waits = True
        if exchange.document is None:
            weight = head_size_of(exchange) + 3 * len(exchange.call.body)
        else:
            weight = len(exchange.document[0])
        exchange.weight = weight
        self._count += 1
        self.bytes += weight
        needed = self._batch
        if project in self._failed:
            self._limit(project, waiting)
            needed = self._failed[project]
        if len(waiting) >= needed:
            self.write(project)
        if self._count >= MOST_WAITING or self.bytes > self._most_bytes // 8:
            for name in [name for name in self._waiting if name not in self._failed]:
                self.write(name)

    def write(self, project: str) -> None:
        """Write the waiting exchanges of a project; the oldest beyond the limits are deleted."""
        waiting = self._waiting.get(project)
        if not waiting:
            return
        try:
            self._write(project, list(waiting))
        except BaseException:
            self._failed[project] = len(waiting) + BATCH
            raise
        for exchange in waiting:
            self._release(exchange)
        del self._waiting[project]
        self._failed.pop(project, None)

    def _write(self, project: str, waiting: list[Exchange]) -> None:
        store, place = self._store, _place(project)
        known = [one for one in waiting if one.number is not None]
        fresh = [one for one in waiting if one.number is None]
        documents = [_document(one) for one in fresh]
        with store.transaction(place):
            last = store.scan(place, KIND, limit=1, descending=True)
            number = last[0].order + _count_lines(last[0].doc) if last else 1
            number += self._skipped[project]
            changes = self._rewrite(place, known)
            for index in range(0, len(fresh), BATCH):
                changes.append(_page(number + index, documents[index : index + BATCH]))
            store.apply(place, changes)
            store.apply(place, self._surplus(place, number, number + len(fresh)))
            store.apply(place, self._overweight(place, sum(map(len, documents))))
        self._skipped.pop(project, None)
        for index, exchange in enumerate(fresh):
            exchange.number = number + index

    def _release(self, exchange: Exchange) -> None:
        exchange.waits = False
        self._count -= 1
        self.bytes -= exchange.weight
        exchange.weight = 0

    def _limit(self, project: str, waiting: deque[Exchange]) -> None:
        """Drop the oldest exchanges of a project that can't be written, once too many wait."""
        while len(waiting) > max(self._most, 1) or (self.bytes > self._most_bytes and len(waiting) > 1):
            exchange = waiting.popleft()
            self._release(exchange)
            if self._failed[project] > BATCH:
                self._failed[project] -= 1
            if exchange.number is None:
                exchange.number = DROPPED
                self._skipped[project] += 1

    def _rewrite(self, place: str, known: list[Exchange]) -> list[Change]:
        """The changes that replace exchanges which were written before they ended."""
        pages: dict[int, list[bytes]] = {}
        for exchange in known:
            number = exchange.number or 0
            records = self._store.scan(place, KIND, after=number + 1, limit=1, descending=True)
            if number and records:  # else it was forgotten meanwhile
                lines = pages.setdefault(records[0].order, lines_of(records[0].doc))
                if number - records[0].order < len(lines):
                    lines[number - records[0].order] = _document(exchange)
        return [_page(first, lines) for first, lines in pages.items()]

    def _surplus(self, place: str, number: int, next_number: int) -> list[Change]:
        """The changes that delete pages whose exchanges are all beyond the limit.

        Where many exchanges have a page each, they are looked for once in `BATCH`: it would cost more than to write
        one.
        """
        if self._batch == 1 and self._most >= BATCH and number // BATCH == next_number // BATCH:
            return []
        kept_from, scan = next_number - self._most, self._store.scan
        oldest = scan(place, KIND, limit=3)  # a page is long, and nearly always one goes for one that comes
        if oldest and oldest[-1].order <= kept_from:
            oldest = scan(place, KIND, limit=2 * BATCH)
        return [Delete(KIND, record.id) for record, after in pairwise(oldest) if after.order <= kept_from]

    def _overweight(self, place: str, written: int) -> list[Change]:
        """The changes that delete the oldest pages beyond the limit of bytes; all pages are read for it, so seldom."""
        self._unchecked[place] += written
        if self._unchecked[place] < self._most_bytes // 8:
            return []
        del self._unchecked[place]
        left, gone = self._most_bytes, list[Change]()
        newest, *older = self._store.scan(place, KIND, descending=True)  # the newest stays: it has the last number
        left -= len(newest.doc)
        for record in older:
            left -= len(record.doc)
            if left < 0:
                gone.append(Delete(KIND, record.id))
        return gone

    def entries(self, project: str, after: int) -> Iterator[Entry]:
        """The exchanges after a number, oldest first; what waits is written before."""
        self.write(project)
        last = self._store.scan(_place(project), KIND, limit=1, descending=True)
        if not last:
            return iter(())
        return self._read(_place(project), max(after, entries_of(last[0])[-1].number - self._most))

    def _read(self, place: str, after: int) -> Iterator[Entry]:
        pages = self._store.scan(place, KIND, after=max(after - BATCH, 0), limit=PAGES_AT_ONCE)
        while pages:
            yield from (entry for record in pages for entry in entries_of(record) if entry.number > after)
            pages = self._store.scan(place, KIND, after=pages[-1].order, limit=PAGES_AT_ONCE)

    def forget(self, project: str) -> None:
        """Empty a project's journal; the next exchange is the first again."""
        store, place = self._store, _place(project)
        with store.transaction(place):
            store.clear(place)
        for exchange in self._waiting.pop(project, ()):
            self._release(exchange)
        for known in (self._skipped, self._failed):
            known.pop(project, None)
        self._unchecked.pop(place, None)

    def close(self) -> None:
        """Write all waiting exchanges."""
        for project in list(self._waiting):
            self.write(project)


def _document(exchange: Exchange) -> bytes:
    if exchange.document is not None:
        return exchange.document[0]
    return document_of_turn(exchange) or document_of(exchange)


def _place(project: str) -> str:
    """The place of a project's journal in the store: apart, so that it is no part of the project's state."""
    return f"{project}/journal"


def entries_of(record: Record) -> list[Entry]:
    """The exchanges of a page: one document per line, numbered from the page's first."""
    return [Entry(record.order + index, line) for index, line in enumerate(lines_of(record.doc))]


def lines_of(doc: bytes) -> list[bytes]:
    return doc.split(b"\n")


def _count_lines(doc: bytes) -> int:
    return doc.count(b"\n") + 1  # without making them: a page is long


def _page(first: int, lines: list[bytes]) -> Put:
    return Put(KIND, f"{first:012d}", b"\n".join(lines), "", first)
