"""The journals of a process that keeps its state in memory: the newest exchanges, by number and by bytes."""

# How it works. An exchange is kept as it is, and its document is made when somebody reads it: most are never read. A
# long one is packed at once: its document is made, cut and redacted as it would be for a reader, and what it came from
# (the body, the turn, the changes) is let go. Long base64 texts in it (images, sealed content), which clients send
# again with every turn, are kept once for all projects.
#
# What must stay true:
# * `_bytes` is the sum of the weights of all exchanges here and of the shared texts. Above the limit the oldest of all
#   projects go, an eighth of the limit at a time, so that looking for them costs little per call.
# * The weight of what is not packed is an estimate, never far too small: a request is parsed, and what was parsed
#   takes several times the room of its text.
# * An exchange has its number from the beginning. One that fell out while it was in progress stays out.
# * `pack` does the long work and touches nothing of the ring: it is called without the lock that `add` needs.

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from hashlib import sha256
from heapq import heapify, heappop, heapreplace
from itertools import islice
from operator import itemgetter

from mockserver.core.records import Change, Put
from mockserver.journal.exchange import (
    Entry,
    Exchange,
    document_of,
    find_runs,
    head_size_of,
    release_sources,
    release_turn,
)

PACKED_FROM = (
    32 * 1024
)  # bytes of a request, its headers among them, or of what it changed, from which an exchange is packed
LIGHTEST = 3 * 1024  # what an exchange takes without its body
SHARED_FROM = 4096  # letters of a base64 text that is kept once
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_-"


class _Journal:
    """The exchanges of one project, and the number of the next."""

    __slots__ = ("exchanges", "next")

    def __init__(self) -> None:
        self.exchanges: deque[Exchange] = deque()
        self.next = 1


class JournalRing:
    """At most `most` exchanges of each project, and `most_bytes` of all together; the oldest go first."""

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._journals: dict[str, _Journal] = {}
        self.bytes = 0
        self._texts: dict[bytes, tuple[bytes, int]] = {}  # hash → a shared text, and how many documents hold it

    def pack(self, exchange: Exchange) -> tuple[bytes, ...] | None:
        """The document of a long exchange that has ended, every other piece to be shared; None for any other."""
        exchange.size = size_of(exchange)
        if exchange.ended is None or exchange.document is not None:
            return None
        release_turn(exchange)
        if exchange.relayed is not None:  # it is bytes by reference: to look at them is for whoever reads
            return None
        if exchange.size < PACKED_FROM and not exchange.misses:
            return None
        document, done, pieces = document_of(exchange), 0, list[bytes]()
        for start, end in find_runs(document, SHARED_FROM, _BASE64):
            pieces += [document[done:start], document[start:end]]
            done = end
        return (*pieces, document[done:]) if pieces else (document,)

    def add(self, project: str, exchange: Exchange, document: tuple[bytes, ...] | None = None) -> None:
        """Add an exchange with what `pack` has made of it, or note that one has gone on."""
        journal = self._journals.get(project)
        if exchange.number is not None:
            if journal is not None and journal.exchanges and exchange.number >= journal.next - len(journal.exchanges):
                self._weigh(exchange, document)
            return
        if journal is None:
            journal = self._journals[project] = _Journal()
        exchange.number = journal.next
        journal.next += 1
        journal.exchanges.append(exchange)
        self._weigh(exchange, document)
        if len(journal.exchanges) > self._most:
            self._drop(journal)
        if self.bytes > self._most_bytes:
            self._make_room()

    def entries(self, project: str, after: int) -> Iterator[Entry]:
        """The exchanges after a number, oldest first, as they are when they are reached."""
        journal = self._journals.get(project)
        if journal is None:
            return iter(())
        first = journal.next - len(journal.exchanges)
        found = list(islice(journal.exchanges, max(after + 1 - first, 0), None))
        return (Entry(one.number or 0, _document(one)) for one in found)

    def forget(self, project: str) -> None:
        """Empty a project's journal; the next exchange is the first again."""
        journal = self._journals.pop(project, None)
        while journal is not None and journal.exchanges:
            self._drop(journal)

    def write(self, project: str) -> None:
        """Nothing to write."""

    def close(self) -> None:
        """Nothing to write."""

    # --- weights --------------------------------------------------------------------------------------------------

    def _weigh(self, exchange: Exchange, document: tuple[bytes, ...] | None) -> None:
        if document is not None:
            self._hold(exchange, document)
        elif exchange.document is None:  # else it was packed, and has gone on: only small members change
            weight = LIGHTEST + 3 * exchange.size  # as `_set_weight` does it, which nearly every call would pay for
            self.bytes += weight - exchange.weight
            exchange.weight = weight

    def _set_weight(self, exchange: Exchange, weight: int) -> None:
        self.bytes += weight - exchange.weight
        exchange.weight = weight

    def _hold(self, exchange: Exchange, document: tuple[bytes, ...]) -> None:
        """Keep only the document of an exchange, its long texts shared."""
        pieces = list(document)
        for index in range(1, len(pieces), 2):
            name = sha256(pieces[index]).digest()
            text, holders = self._texts.get(name, (pieces[index], 0))
            self._texts[name] = text, holders + 1
            self.bytes += 0 if holders else len(text)
            pieces[index] = text
        release_sources(exchange, tuple(pieces))
        self._set_weight(exchange, LIGHTEST + sum(map(len, pieces[::2])))

    def _drop(self, journal: _Journal) -> None:
        """Forget the oldest exchange of a journal."""
        exchange = journal.exchanges.popleft()
        self._set_weight(exchange, 0)
        for text in (exchange.document or ())[1::2]:
            name = sha256(text).digest()
            text, holders = self._texts[name]
            if holders > 1:
                self._texts[name] = text, holders - 1
            else:
                del self._texts[name]
                self.bytes -= len(text)

    def _make_room(self) -> None:
        """Forget the oldest exchanges of all projects."""
        wanted = self._most_bytes - self._most_bytes // 8
        oldest = [(one.exchanges[0].started, name) for name, one in self._journals.items() if one.exchanges]
        heapify(oldest)
        while self.bytes > wanted and oldest:
            name = oldest[0][1]
            journal = self._journals[name]
            self._drop(journal)
            if journal.exchanges:
                heapreplace(oldest, (journal.exchanges[0].started, name))
            else:
                heappop(oldest)


_document_in = itemgetter(2)


def size_of(exchange: Exchange) -> int:
    """The bytes of what an exchange came from: its body, its headers, its line, its changes, roughly its answer."""
    call, turn = exchange.call, exchange.turn
    size = len(call.body) + head_size_of(exchange) + exchange.line_size
    if exchange.changes:
        size += _size_of(exchange.changes)
    if turn is not None:
        figures = turn.figures
        size += 0 if figures is None else 6 * int(figures[2])
    return size if exchange.relayed is None else size + exchange.relayed.size


def _size_of(changes: Sequence[Change]) -> int:
    """The bytes of what changes write."""
    try:
        return sum(map(len, map(_document_in, changes)))
    except IndexError:  # one deletes something
        return sum([len(change[2]) for change in changes if isinstance(change, Put)])


def _document(exchange: Exchange) -> bytes:
    if exchange.document is not None:
        return b"".join(exchange.document)
    release_turn(exchange)
    return document_of(exchange)
