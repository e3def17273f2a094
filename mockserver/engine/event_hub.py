"""Live events: what happens in the engine, told to whoever listens; nothing is worked out while nobody does.

A listener (`EventStream`) is played like the body of any other answer. Its events are those of all projects, or of one.
"""

# How it works. A call only leaves the values of an event. They are encoded when a listener looks, or when `LOOK_EVERY`
# events wait, all in one loop: that takes half the time it would take call by call. There is one row of the latest
# events for all listeners, encoded once, and each listener has a place in it. So an event costs the same for one
# listener as for ten, memory is bounded whatever a listener does, and who reads too slowly finds that the row has moved
# on. Listeners look at the row from time to time: to wake one for each event would cost a turn more than all the rest
# does.
#
# What must stay true:
# * `is_on` is all that a call looks at while nobody listens. It stays on for a while after the last listener has left,
#   so that one that reconnects misses nothing; then one of the next events finds nobody there and turns it off.
# * Changes are told by the store, which all of them go through, before they are written: only then it can be seen what
#   is new. A listener that reads the state when it is told finds them written, or waits for the transaction.
# * Nothing here may fail a call. What is told was made by ourselves, so encoding it can't fail.
# * The values of an event are those of the moment at which it happened, and none of them is long: the bounds of the row
#   do not count what waits. Numbers are given when events are encoded, in the order in which they happened.

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count, islice
from threading import RLock
from time import perf_counter
from typing import Any
from weakref import WeakSet

from orjson import dumps, loads

from mockserver.config.redaction import clean
from mockserver.core.records import Change, Put
from mockserver.delivery.events import Body, Wait
from mockserver.delivery.player import KEEP_ALIVE, KeepAlive, Pieces
from mockserver.engine.transactions import Transactions
from mockserver.journal.exchange import Exchange
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import encode_compact

MOST_EVENTS = 4096
MOST_BYTES = 4 * 1024 * 1024
MOST_CHANGES = 100  # of one event
RESUME_S = 60.0  # how long after the last listener left events are kept for one that comes back
LOOK_EVERY = 64  # events that wait at most; when so many do, it is looked whether anybody listens
LOOK_S = 0.05  # how often a listener looks for new events
SILENCE_S = 15.0  # after which a comment is sent
HELLO = b": understudy\n\n"  # a head leaves with the first bytes, and a browser's page waits for the head
_ENCODED = b"id: %b-%d\nevent: %b\ndata: %b\n\n"
_KINDS = frozenset(("response", "running", "conversation"))


# An event in the row: its project, its bytes, if another worker of the same server has relayed it. A plain tuple, which
# the garbage collector need not follow.
_Event = tuple[str, bytes, bool]
# What waits to be encoded: the event's name and project, its values, what makes its data of them, if it is relayed.
_Waiting = tuple[bytes, str, Any, Callable[[Any], bytes], bool]


class EventHub:
    """The latest events of an engine, and who listens to them."""

    def __init__(self, transactions: Transactions) -> None:
        self.is_on = False
        self._calls = transactions
        self._lock = RLock()
        self._listeners: WeakSet[EventStream] = WeakSet()  # one that was dropped without a word is no listener
        self._guests: WeakSet[EventStream] = WeakSet()  # other workers
        self._last_left = -math.inf
        self._first_exchange = 0
        self.on_heard: Callable[[], None] | None = None  # called when somebody begins to listen and nobody did
        self._run = b""
        self._waiting: deque[_Waiting] = deque()
        self._events: deque[_Event] = deque()
        self._bytes = self._number = 0
        self._exchanges = count(1)
        self._ordinals = Counter[str]()  # how many events of a project there were

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return len(self._listeners)

    # --- listeners ----------------------------------------------------------------------------------------------

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens, or may come back; other workers do not count."""
        return bool(self._listeners) or perf_counter() - self._last_left <= RESUME_S

    def number_exchanges_from(self, first: int) -> None:
        """Give exchanges numbers that no other worker gives."""
        self._first_exchange = first

    def listen(self, project: str | None = None, last_id: str | None = None) -> EventStream:
        """A stream of a project's events, or of all (None), from now on or from after an event's id."""
        with self._lock:
            was_heard = self.is_heard
            self._prepare()
            number, known = self._find(last_id)
            stream = EventStream(self, project, number)
            if not known:
                stream.lose_unknown()
            self._listeners.add(stream)
        if not was_heard and self.on_heard is not None:
            self.on_heard()
        return stream

    def listen_as_worker(self) -> EventStream:
        """A stream of what happens in this process, for another worker."""
        with self._lock:
            self._prepare()
            stream = EventStream(self, None, self._number, only_own=True)
            self._guests.add(stream)
            return stream

    def _find(self, last_id: str | None) -> tuple[int, bool]:
        """The number of the event with an id, the latest for none; and whether all that came after it is here."""
        if not last_id:
            return self._number, True
        run, _, text = last_id.rpartition("-")
        number = int(text) if text.isdecimal() and len(text) < 20 else -1
        if run.encode(errors="replace") != self._run or not 0 <= self._number - number <= len(self._events):
            return self._number, False
        return number, True

    def leave(self, stream: EventStream) -> None:
        """Note that a listener has left."""
        with self._lock:
            self._guests.discard(stream)
            if stream in self._listeners:
                self._listeners.discard(stream)
                self._last_left = perf_counter()

    def lose(self) -> None:
        """Tell all who listen that nobody knows what they have missed: this process could not hear others."""
        with self._lock:
            for stream in self._listeners:
                stream.lose_unknown()

    def take_waiting(self, stream: EventStream) -> bytes:
        """What waits for a listener besides events."""
        with self._lock:
            waiting, stream.waiting = stream.waiting, b""
            return waiting

    def _prepare(self) -> None:
        """Be on, with all that has happened until now in the row."""
        if self.is_on:
            self._encode_waiting()
            return
        self._run = b"%x" % int(self._calls.wall() * 1000)  # ids of an earlier run are not ours
        self._number, self._exchanges = 0, count(self._first_exchange + 1)
        self._waiting.clear()  # a call may have told of something while this was turned off
        self._calls.store.watch(self._announce_changes)
        self.is_on = True

    def _turn_off(self) -> None:
        self.is_on = False
        self._calls.store.watch(None)
        self._waiting.clear()
        self._events.clear()
        self._ordinals.clear()
        self._bytes = 0

    # --- what happens -------------------------------------------------------------------------------------------

    def begin(self, project: str, exchange: Exchange) -> None:
        """Tell that a call of a project has begun."""
        exchange.announced = number = next(self._exchanges)  # in one step, so that no two get the same
        calls, call = self._calls, exchange.call
        try:
            at = calls.project(project, calls.view(project)).clock.reading(calls.wall())
        except MockError:  # the store can't be read now: the call will find that out itself
            at = None
        values = project, number, at, call.transport, call.method, call.path
        # how many wait is looked at with its end
        self._waiting.append((b"exchange.began", project, values, _encode_begin, False))

    def end(self, project: str, exchange: Exchange, summary: dict[str, Any]) -> None:
        """Tell how an exchange has ended, if it was told that it began, or there was nobody to tell."""
        self.publish(b"exchange.ended", {"project": project, "exchange": exchange.announced, **summary})

    def end_later(self, project: str, exchange: Exchange, summarize: Callable[[Exchange], dict[str, Any]]) -> None:
        """Tell the same of an exchange whose members are short and change no more: it is summarized when encoded."""
        values = project, exchange, exchange.number or None, summarize
        self._append((b"exchange.ended", project, values, _encode_end, False))

    def _announce_changes(self, project: str, changes: Iterable[Change] | None) -> Iterable[Change]:
        """Tell which responses and conversations are about to change, all (None) or some."""
        if project.endswith("/journal"):  # the journal of a store that has one
            return changes or ()
        if changes is None:
            self.publish(b"state", {"project": project, "cleared": True, "changes": [], "more": 0})
            return ()
        changes = list(changes)
        listed = [change for change in changes if change[0] in _KINDS]
        if listed:
            told = [self._describe(project, change) for change in listed[:MOST_CHANGES]]
            self._append((b"state", project, (project, told, len(listed) - len(told)), _encode_changes, False))
        return changes

    def _describe(self, project: str, change: Change) -> tuple[str, str, str]:
        kind, id = change[:2]
        if type(change) is not Put:
            return "deleted", kind, id
        return "created" if self._calls.store.get(project, kind, id) is None else "updated", kind, id

    def publish(self, name: bytes, data: dict[str, Any]) -> None:
        """Add an event of the project that `data` names."""
        self._append((name, data["project"], encode_compact(data), bytes, False))

    def relay(self, block: bytes) -> None:
        """Add an event of another worker, as it was sent there."""
        fields = dict(line.split(b": ", 1) for line in block.split(b"\n") if line[:1] not in (b"", b":"))
        if b"id" in fields:  # else it is a loss between workers, which has no project
            text = fields[b"data"]
            self._append((fields[b"event"], loads(text)["project"], text, bytes, True))

    def _append(self, event: _Waiting) -> None:
        """Have an event wait; any thread may do so at any time."""
        self._waiting.append(event)
        if len(self._waiting) >= LOOK_EVERY:
            with self._lock:
                # to look each time would cost as much as all the rest
                if self._guests or self.is_heard:
                    self._encode_waiting()
                else:
                    self._turn_off()

    def _encode_waiting(self) -> None:
        """Put what waits into the row; the lock is held."""
        waiting, events, run, number = self._waiting, self._events, self._run, self._number
        projects, size = [], 0
        try:
            while waiting:
                name, project, values, encode, relayed = waiting.popleft()
                text = encode(values)
                if text.find(b"sk-") >= 0:  # as in the journal, nothing that looks like a key is shown
                    text = clean(text.decode()).encode()
                number += 1
                encoded = _ENCODED % (run, number, name, text)
                events.append((project, encoded, relayed))
                projects.append(project)
                size += len(encoded)
        finally:
            self._number = number
            self._ordinals.update(projects)
            self._bytes += size
            while self._bytes > MOST_BYTES or len(events) > MOST_EVENTS:
                self._bytes -= len(events.popleft()[1])

    def read(self, project: str | None, number: int, ordinal: int) -> tuple[bytes, int, int, int]:
        """What came after an event: the encoded events, the latest number and ordinal, and how many are lost."""
        if number == self._number and not self._waiting:
            return b"", number, ordinal, 0
        with self._lock:
            self._encode_waiting()
            mine = [data for name, data, _ in self._newest(number) if project is None or project == name]
            latest = self._number if project is None else self._ordinals[project]
            lost = max(0, latest - ordinal - len(mine))
            return b"".join(mine[::-1]), self._number, latest, lost

    def read_own(self, number: int) -> tuple[bytes, int]:
        """What happened in this process after an event: the encoded events, and the latest number."""
        with self._lock:
            self._encode_waiting()
            own = [data for _, data, relayed in self._newest(number) if not relayed]
            return b"".join(own[::-1]), self._number

    def _newest(self, number: int) -> Iterator[_Event]:
        """The events after a number, the newest first: from the other end it would be a walk along the whole row."""
        return islice(reversed(self._events), self._number - number)

    def ordinal(self, project: str | None, number: int) -> int:
        """How many events of a project, or of all, there were up to a number that is no older than the row."""
        if project is None:
            return number
        return self._ordinals[project] - sum(name == project for name, _, _ in self._newest(number))


def _encode_begin(values: tuple[str, int, float | None, str, str, str]) -> bytes:
    project, number, at, transport, method, path = values
    data = {"project": project, "exchange": number, "at": at, "transport": transport, "method": method, "path": path}
    return dumps(data)


def _encode_end(values: tuple[str, Exchange, int | None, Callable[[Exchange], dict[str, Any]]]) -> bytes:
    project, exchange, number, summarize = values
    summary = summarize(exchange)
    summary["id"] = number
    # two texts are joined faster than two dictionaries
    return b"%b,%b" % (dumps({"project": project, "exchange": exchange.announced})[:-1], dumps(summary)[1:])


def _encode_changes(values: tuple[str, list[tuple[str, str, str]], int]) -> bytes:
    project, told, more = values
    changes = [{"change": what, "kind": kind, "id": id} for what, kind, id in told]
    return dumps({"project": project, "cleared": False, "changes": changes, "more": more})


def _never() -> bool:
    return False


class EventStream(Pieces):
    """What a listener is sent, as it happens; it ends when `is_stopping` says that the server does."""

    instant = False

    def __init__(self, hub: EventHub, project: str | None, number: int, *, only_own: bool = False) -> None:
        super().__init__(iter(()))
        self._only_own = only_own
        self._hub, self._project, self._number = hub, project, number
        self._ordinal = hub.ordinal(project, number)
        self.waiting = HELLO
        self._silent_s = 0.0
        self.is_stopping: Callable[[], Any] = _never

    def lose_unknown(self) -> None:
        """Tell first that nobody knows what was missed."""
        self.waiting += _write_lost(None)

    def next(self) -> Body | Wait | KeepAlive | None:  # type: ignore[override]
        """What has happened since, or how long to wait before asking again; None at the server's end."""
        if self.ended or self.is_stopping():
            self.leave()
            return None
        data = self._read()
        if self.waiting:
            data = self._hub.take_waiting(self) + data
        if data:
            self._silent_s = 0.0
            return Body(data)
        if self._silent_s >= SILENCE_S:
            self._silent_s = 0.0
            return KEEP_ALIVE
        self._silent_s += LOOK_S
        return Wait(LOOK_S)

    def _read(self) -> bytes:
        if self._only_own:
            data, self._number = self._hub.read_own(self._number)
            return data
        data, self._number, self._ordinal, lost = self._hub.read(self._project, self._number, self._ordinal)
        return _write_lost(lost) + data if lost else data

    def leave(self) -> None:
        """Listen no longer."""
        if not self.ended:
            self.ended = True
            self._hub.leave(self)


def _write_lost(count: int | None) -> bytes:
    """The event in place of those that are gone; without an id, so that a resumption does not start from it."""
    return b'event: lost\ndata: {"count":%b}\n\n' % dumps(count)
