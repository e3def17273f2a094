"""The journal of every project, beside its records: a ring of exchanges, written in pages, read in order.

Exchanges wait in this process until they are written; reading writes them first. With a store in memory all of them
wait, and most are never written. If several processes share a store, each exchange is written at once, so that each
process finds those of the others.
"""

# How it works. A project's journal has records of its own in the store, in the place `PROJECT/journal`, so that
# a reset or a snapshot of the project leaves it alone. A record is a page: up to `BATCH` documents, one to a
# line, under the number of its first. An exchange waits in this process until a page is full, or until somebody
# reads; then the project's queue is written in one transaction.
#
# What must stay true:
# * A number counts every call of the project: an exchange gets its number when it is written, and those that
#   fell out of the ring before that are counted (`_skipped`) though they are not stored.
# * Only whole pages are deleted, so up to a page more is stored than is shown; `_read_entries` cuts it off.
# * An exchange that continues after it was written (a stream) is written again in its old place.
# * A `Turn` is large: once an exchange has ended, only what its document will say is held (`release_turn`).
# * Whoever reads writes first, so a reader never misses a call that this process has answered.

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise
from threading import RLock
from time import perf_counter
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from mockserver.core import inspection
from mockserver.core.lifecycle import read_running
from mockserver.core.records import Change, Delete, Put, Record
from mockserver.core.state import Node, decode_node, read_node
from mockserver.core.turn import Turn
from mockserver.delivery.fault_effects import Effect
from mockserver.engine.transactions import Transactions
from mockserver.faults.apply import ActiveFault, FaultOutcome
from mockserver.faults.rate_limits import Buckets
from mockserver.journal.exchange import KIND, Call, Exchange, document_of, to_public
from mockserver.journal.history import History, call_of
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.responses.resources import page

BATCH = 64
MOST_WAITING = 16_384  # of all projects
FORGOTTEN = 0  # the number of an exchange that fell out of the ring before it was written


class JournalStore:
    """The journals of one store; at most `settings.journal` exchanges are kept per project, none for 0."""

    def __init__(self, transactions: Transactions) -> None:
        self._calls = transactions
        self._most = transactions.settings.journal
        self._ring = transactions.settings.store == "memory"
        self._batch = 1 if transactions.settings.workers > 1 else BATCH
        self._waiting: dict[str, deque[Exchange]] = {}
        self._skipped: Counter[str] = Counter()  # exchanges that fell out of a project's ring, not yet counted
        self._count = 0
        self._lock = RLock()
        self.on_end: Callable[[Exchange], None] | None = None  # told of each exchange that has ended, kept or not

    def record(self, call: Call) -> ExchangeRecorder:
        """Begin to record a call."""
        return ExchangeRecorder(self, call)

    def note(self, project: str, exchange: Exchange) -> None:
        """Add an exchange; one that is noted again, since it has gone on, is written again."""
        if self.on_end is not None and exchange.ended is not None:
            self.on_end(exchange)
        if self._most <= 0 or not project:
            return
        if exchange.at is None:  # nothing was read for it
            calls = self._calls
            exchange.at = calls.project(project, calls.view(project)).clock.reading(calls.wall())
        with self._lock:
            if exchange.ended is not None:
                release_turn(exchange)
            if exchange.waits:
                return
            waiting = self._waiting.get(project)
            if waiting is None:
                waiting = self._waiting[project] = deque()
            waiting.append(exchange)
            exchange.waits = True
            self._count += 1
            if self._ring and len(waiting) > self._most:
                self._skip(project, waiting.popleft())
            elif not self._ring and len(waiting) >= self._batch:
                self.write(project)
            if self._count >= MOST_WAITING:
                self.close()

    def _skip(self, project: str, exchange: Exchange) -> None:
        """Forget the oldest exchange that waits."""
        exchange.waits = False
        self._count -= 1
        if exchange.number is None:
            exchange.number = FORGOTTEN
            self._skipped[project] += 1

    def write(self, project: str) -> None:
        """Write the waiting exchanges of a project; the oldest beyond the limit are deleted."""
        with self._lock:
            waiting = self._waiting.pop(project, deque())
            if not waiting:
                return
            self._count -= len(waiting)
            store, place = self._calls.store, _place(project)
            with store.transaction(place):
                last = store.scan(place, KIND, limit=1, descending=True)
                number = last[0].order + len(lines_of(last[0].doc)) if last else 1
                number += self._skipped.pop(project, 0)
                changes = self._rewrite(place, [one for one in waiting if one.number is not None])
                fresh = [one for one in waiting if one.number is None]
                for index in range(0, len(fresh), BATCH):
                    changes.append(_page(number + index, [_document(one) for one in fresh[index : index + BATCH]]))
                store.apply(place, changes)
                store.apply(place, self._surplus(place, number + len(fresh)))
            for exchange in waiting:
                exchange.waits = False
            for index, exchange in enumerate(fresh):
                exchange.number = number + index

    def _rewrite(self, place: str, known: list[Exchange]) -> list[Change]:
        """The changes that replace exchanges which were written before they ended."""
        pages: dict[int, list[bytes]] = {}
        for exchange in known:
            number = exchange.number or 0
            records = self._calls.store.scan(place, KIND, after=number + 1, limit=1, descending=True)
            if records:  # else it was forgotten meanwhile
                lines = pages.setdefault(records[0].order, lines_of(records[0].doc))
                lines[number - records[0].order] = _document(exchange)
        return [_page(first, lines) for first, lines in pages.items()]

    def _surplus(self, place: str, next_number: int) -> list[Change]:
        """The changes that delete pages whose exchanges are all beyond the limit."""
        kept_from, scan = next_number - self._most, self._calls.store.scan
        if all(after.order > kept_from for after in scan(place, KIND, limit=2)[1:]):
            return []
        return [Delete(KIND, record.id) for record, after in pairwise(scan(place, KIND)) if after.order <= kept_from]

    def forget(self, project: str) -> None:
        """Empty a project's journal; the next exchange is the first again."""
        with self._lock:
            self._skipped.pop(project, None)
            for exchange in self._waiting.pop(project, ()):
                exchange.waits = False
                self._count -= 1
            store, place = self._calls.store, _place(project)
            with store.transaction(place):
                store.clear(place)

    def close(self) -> None:
        """Write all waiting exchanges."""
        for project in list(self._waiting):
            self.write(project)

    def read(
        self,
        project: str,
        *,
        limit: int,
        after: int | None,
        path: str | None = None,
        response_id: str | None = None,
        context: bool = True,
    ) -> dict[str, Any]:
        """A page of exchanges after the number `after`, oldest first; `path` may be a pattern."""
        self.write(project)
        wanted = [entry for entry in self._read_entries(project, after or 0) if _matches(entry, path, response_id)][
            : limit + 1
        ]
        contexts = _Contexts(self._calls, project) if context else None
        exchanges = [self._to_public(entry, contexts) for entry in wanted[:limit]]
        return page(exchanges, has_more=len(wanted) > limit)

    def history(self, project: str) -> History:
        """The journal as the history of a client."""
        self.write(project)
        contexts = _Contexts(self._calls, project)
        entries = [(entry.number, orjson.loads(entry.doc)) for entry in self._read_entries(project, 0)]
        return History(
            [call_of(number, document, contexts.new_node(document)) for number, document in entries], contexts.node
        )

    def _read_entries(self, project: str, after: int) -> Iterator[Entry]:
        store, place = self._calls.store, _place(project)
        pages = store.scan(place, KIND, after=max(after - BATCH, 0))
        entries = [entry for record in pages for entry in entries_of(record)]
        first = max(after, entries[-1].number - self._most) if entries else 0
        return (entry for entry in entries if entry.number > first)

    def _to_public(self, entry: Entry, contexts: _Contexts | None) -> dict[str, Any]:
        exchange = to_public(entry.number, entry.doc)
        saw = exchange.pop("saw")
        if contexts is None:
            return exchange
        exchange["context"] = None if saw is None else contexts.of(exchange["response_id"], saw)
        return exchange


class ExchangeRecorder:
    """Fills in the journal entry of one call, and collects the effects of faults on its answer.

    It travels with the call, so the same is recorded whichever process or thread answers.
    """

    __slots__ = ("_logbook", "buckets", "call", "effects", "exchange", "project", "turn_faults")

    def __init__(self, logbook: JournalStore, call: Call) -> None:
        self._logbook, self.call = logbook, call
        self.project = ""  # of a caller who was not let in
        self.exchange = Exchange(call, call.transport, perf_counter())
        self.effects: Sequence[Effect] = ()
        self.buckets: Mapping[str, Buckets] = _NO_BUCKETS
        self.turn_faults: Sequence[ActiveFault] | None = None

    def add_reads(self, now: float) -> None:
        """Note the project's time at which something was read."""
        self.exchange.at = now

    def add_line(self, line: dict[str, Any]) -> None:
        """Note the scripted line that answers, and its place."""
        self.exchange.line = line

    def add_writes(self, now: float | None, changes: Sequence[Change]) -> None:
        """Note what else the call changed, and when; the end of a delivery (None) sets no time."""
        exchange = self.exchange
        if now is not None:
            exchange.at = now
        exchange.changes = [*exchange.changes, *changes] if exchange.changes else changes

    def add_turn(self, turn: Turn, dropped: Collection[int]) -> None:
        """Note the turn that answers, and the places of items dropped from its context."""
        self.exchange.turn, self.exchange.dropped = turn, dropped

    def add_faults(self, struck: FaultOutcome) -> None:
        """Note which faults apply, their effects on the answer, and the buckets that counted the call."""
        self.exchange.faults = [*self.exchange.faults, *struck.kinds]
        self.effects = [*self.effects, *struck.effects]
        self.buckets = {**self.buckets, **struck.buckets}

    def answer(self, status: int, error: APIError | MockError | None = None) -> None:
        """Note the status and error of the answer, which may still be in progress."""
        exchange = self.exchange
        exchange.seconds = perf_counter() - exchange.started
        exchange.status = status
        if isinstance(error, APIError):
            body = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
            exchange.error = body
        elif error is not None:
            exchange.error = {"message": error.message, "type": "mock_error", "param": error.param, "code": None}
        self._logbook.note(self.project, exchange)

    def end(self, how: str) -> None:
        """Note how the delivery ended."""
        self.exchange.ended = how
        self.exchange.seconds = perf_counter() - self.exchange.started
        self._logbook.note(self.project, self.exchange)


_NO_BUCKETS: Mapping[str, Buckets] = MappingProxyType({})


def release_turn(exchange: Exchange) -> None:
    """Drop the turn of an exchange, except for what its document needs of it."""
    turn = exchange.turn
    if turn is not None:
        exchange.response_id, exchange.saw, exchange.turn = turn.final["id"], _saw(turn, exchange.dropped), None


def _saw(turn: Turn, dropped: Collection[int]) -> dict[str, Any]:
    """The data about what the model saw; for a stored turn, only what is lost when it is deleted."""
    final = turn.final
    usage = final["usage"]
    data = {
        "model": final["model"],
        "instructions": final["instructions"],
        "tools": final["tools"],
        "input_tokens": usage["input_tokens"] if usage else None,
        "dropped": sorted(dropped) if dropped else (),
        "incomplete": (final["incomplete_details"] or {}).get("reason"),
    }
    return data if turn.stored else {**data, "node": turn.node}


def _document(exchange: Exchange) -> bytes:
    release_turn(exchange)
    return document_of(exchange)


def _place(project: str) -> str:
    """The place of a project's journal in the store: apart, so that it is no part of the project's state."""
    return f"{project}/journal"


class Entry(NamedTuple):
    """One stored exchange: its number and its document."""

    number: int
    doc: bytes


def entries_of(record: Record) -> list[Entry]:
    """The exchanges of a page: one document per line, numbered from the page's first."""
    return [Entry(record.order + index, line) for index, line in enumerate(lines_of(record.doc))]


def lines_of(doc: bytes) -> list[bytes]:
    return doc.split(b"\n")


def _page(first: int, lines: list[bytes]) -> Put:
    return Put(KIND, f"{first:012d}", b"\n".join(lines), "", first)


def _matches(entry: Entry, path: str | None, response_id: str | None) -> bool:
    if path is None and response_id is None:
        return True
    exchange = orjson.loads(entry.doc)
    if path is not None and not fnmatchcase(exchange["path"], path):
        return False
    return response_id in (None, exchange["response_id"])


class _Contexts:
    """What models saw, read from the project's records and, for unstored turns, from the journal itself."""

    def __init__(self, transactions: Transactions, project: str) -> None:
        self._calls, self._project = transactions, project
        self._unstored: dict[str, bytes] | None = None
        self._state = transactions.view(project)

    def of(self, response_id: str, saw: dict[str, Any]) -> dict[str, Any] | None:
        """The effective context of a turn, None if a part of it is lost."""
        node = self._step(response_id, saw)
        if node is None:
            return None
        nodes = list(self._back(node))
        if nodes[-1].parent is not None:
            return None
        before = [item for step in reversed(nodes[1:]) for item in step.items]
        whole = [*before, *node.items[: node.own]]
        return inspection.effective_context(whole, saw["dropped"], saw, self._calls.rules)

    def new_node(self, document: dict[str, Any]) -> Node | None:
        """The node that an exchange added to a context, None if it is no turn or lost."""
        return None if document["saw"] is None else self._step(document["response_id"], document["saw"])

    def _step(self, response_id: str, saw: dict[str, Any]) -> Node | None:
        return decode_node(saw["node"]) if "node" in saw else self._read_node(response_id)

    def _read_node(self, id: str) -> Node | None:
        node = read_node(self._state, id)
        running = read_running(self._state, id) if node is None else None
        return node if running is None else decode_node(running.node)

    def _back(self, node: Node | None) -> Iterator[Node]:
        while node is not None:
            yield node
            node = None if node.parent is None else self.node(node.parent)

    def node(self, id: str) -> Node | None:
        """The node of a context by its id, None if it is lost."""
        node = read_node(self._state, id)
        if node is not None:
            return node
        if self._unstored is None:
            self._unstored = dict(self._read_documents())
        doc = self._unstored.get(id)
        return None if doc is None else decode_node(doc)

    def _read_documents(self) -> Iterator[tuple[str, bytes]]:
        pages = self._calls.store.scan(_place(self._project), KIND)
        for entry in (stored for record in pages for stored in entries_of(record)):
            exchange = orjson.loads(entry.doc)
            if exchange["saw"] is not None and "node" in exchange["saw"]:
                yield exchange["response_id"], exchange["saw"]["node"].encode()
