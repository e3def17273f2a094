"""Links between processes that share a store on another machine: each hears of events and clocks of all.

They say short texts to each other, which the store's server hands on (`Notifications`).
"""

# How it works. Whoever begins to listen says `hear`, and again from time to time. The others then pass on what happens
# in them, as long as they are asked to, and answer `heard` once they have begun. So nothing is said while nobody
# listens anywhere, besides that a clock was moved.
#
# What must stay true:
# * A process passes on only what happened in itself. Else two that listen to each other would never stop.
# * A process that was killed is left out after `PATIENCE_S`, once.
# * What comes from others is a text that anybody with access to the database can send: what can't be read is dropped.

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from threading import Condition, Event, Thread
from typing import NamedTuple, Protocol

from mockserver.delivery.events import Body, Wait
from mockserver.engine.engine import Engine
from mockserver.engine.event_hub import EventStream

PATIENCE_S = 1.0
HEAR_S = 5.0  # how often it is said that somebody listens
FORGET_S = 16.0  # after which nobody listens that has not said so
EXCHANGES_APART = 1_000_000  # numbers of exchanges that a process has for itself
MOST_BYTES = 7600  # of a text's part; PostgreSQL takes less than 8000
MOST_HELD = 4 * 1024 * 1024  # bytes of parts whose rest has not come yet

HERE, HELLO, GONE, HEAR, HEARD, EVENTS, CLOCK = "here", "hello", "gone", "hear", "heard", "events", "clock"


class Speaker(Protocol):
    """What brings texts to the other processes."""

    def open(self) -> None: ...
    def say(self, text: str) -> None: ...
    def close(self) -> None: ...


class Message(NamedTuple):
    """What a process says: who it is, what it says, how many parts of it still come, and the text."""

    sender: str
    kind: str
    more: int
    text: str

    def encode(self) -> str:
        """The message as it is sent."""
        return f"{self.sender} {self.kind} {self.more}\n{self.text}"


def decode(text: str) -> Message:
    """A message that was sent; raises ValueError for anything else."""
    head, _, rest = text.partition("\n")
    sender, kind, more = head.split(" ")
    return Message(sender, kind, int(more), rest)


class StoreLinks:
    """What one process tells the others that share its store, and hears of them.

    `open_speaker` is given what is called with each text, and what is called when texts may have been missed. `wake` is
    called with a project whose clock was moved elsewhere, with None if any may have been.
    """

    def __init__(
        self,
        engine: Engine,
        open_speaker: Callable[[Callable[[str], None], Callable[[], None]], Speaker],
        wake: Callable[[str | None], None],
    ) -> None:
        self._events, self._wake = engine.events, wake
        number = secrets.randbits(32)
        self._name = f"{number:08x}"
        self._end, self._tells_until, self._is_telling = Event(), -math.inf, False
        self._is_known = False  # whether the others have been told of this process
        self._others: set[str] = set()
        self._silent: set[str] = set()  # those who have not answered yet that they are heard
        self._parts: dict[str, list[str]] = {}
        self._changed = Condition()
        self._events.number_exchanges_from(number * EXCHANGES_APART)
        self._events.on_heard = self._start_hearing
        self._speaker = open_speaker(self._receive, self._connect)
        engine.control.on_clock_moved(lambda project: self._say(CLOCK, project))
        self._speaker.open()
        Thread(target=self._go_on_hearing, name="understudy: hearing", daemon=True).start()

    def close(self) -> None:
        """Tell the others that this process ends."""
        self._end.set()
        self._say(GONE)
        self._speaker.close()

    def _say(self, kind: str, text: str = "") -> None:
        parts = [*_split(text)]
        for index, part in enumerate(parts):
            self._speaker.say(Message(self._name, kind, len(parts) - 1 - index, part).encode())

    def _connect(self) -> None:
        """Say who is here: nobody knows what was said while this process did not hear it."""
        if self._is_known:  # else this is the beginning
            self._events.lose()
        self._parts.clear()
        self._is_known = True
        self._say(HERE)
        if self._events.is_heard:
            self._say(HEAR)
        self._wake(None)

    # --- what the others say ------------------------------------------------------------------------------------

    def _receive(self, text: str) -> None:
        try:
            message = decode(text)
        except ValueError:
            return
        if message.sender == self._name:
            return
        parts = self._parts.setdefault(message.sender, [])
        parts.append(message.text)
        if message.more:
            if sum(map(len, parts)) > MOST_HELD:
                parts.clear()
            return
        del self._parts[message.sender]
        answer = _ANSWERS.get(message.kind)
        if answer is not None:
            answer(self, message.sender, "".join(parts))

    def _meet(self, sender: str, text: str) -> None:
        self._say(HELLO)
        self._greet(sender, text)
        if self._events.is_heard:
            self._say(HEAR)

    def _greet(self, sender: str, text: str) -> None:
        self._others.add(sender)

    def _part(self, sender: str, text: str) -> None:
        self._others.discard(sender)
        self._note_answer(sender, text)

    def _tell(self, sender: str, text: str) -> None:
        """Tell what happens here from now on; that this has begun is an answer."""
        self._others.add(sender)
        with self._changed:
            self._tells_until = time.monotonic() + FORGET_S
            begins, self._is_telling = not self._is_telling, True
        if begins:
            stream = self._events.listen_as_worker()
            Thread(target=self._tell_events, args=(stream,), name="understudy: telling", daemon=True).start()
        self._say(HEARD)

    def _tell_events(self, stream: EventStream) -> None:
        while self._is_heard() and (step := stream.next()) is not None:
            if isinstance(step, Body):
                self._say(EVENTS, step.data.decode())
            elif isinstance(step, Wait):
                self._end.wait(step.seconds)
        stream.leave()

    def _is_heard(self) -> bool:
        """Whether another process still listens to this one; if not, telling ends."""
        with self._changed:
            self._is_telling = not self._end.is_set() and time.monotonic() < self._tells_until
            return self._is_telling

    def _note_answer(self, sender: str, text: str) -> None:
        with self._changed:
            self._silent.discard(sender)
            self._changed.notify_all()

    def _relay(self, sender: str, text: str) -> None:
        for block in text.encode().split(b"\n\n"):
            try:
                self._events.relay(block)
            except (KeyError, TypeError, ValueError):  # nothing that one of us has said
                return

    def _wake_sockets(self, sender: str, text: str) -> None:
        self._wake(text)

    # --- what is asked of the others ----------------------------------------------------------------------------

    def _start_hearing(self) -> None:
        """Have the others tell what happens in them; returns when they do, so that whoever listens misses none."""
        with self._changed:
            self._silent = set(self._others)
            self._say(HEAR)
            self._changed.wait_for(lambda: not self._silent, PATIENCE_S)
            self._others -= self._silent

    def _go_on_hearing(self) -> None:
        while not self._end.wait(HEAR_S):
            if self._events.is_heard:
                self._say(HEAR)


_ANSWERS: Mapping[str, Callable[[StoreLinks, str, str], None]] = {
    HERE: StoreLinks._meet,
    HELLO: StoreLinks._greet,
    GONE: StoreLinks._part,
    HEAR: StoreLinks._tell,
    HEARD: StoreLinks._note_answer,
    EVENTS: StoreLinks._relay,
    CLOCK: StoreLinks._wake_sockets,
}


def _split(text: str) -> Iterator[str]:
    """A text in parts that are short enough to be sent, at least one."""
    data, start = text.encode(), 0
    while len(data) - start > MOST_BYTES:
        end = start + MOST_BYTES
        while data[end] & 0xC0 == 0x80:  # within a character
            end -= 1
        yield data[start:end].decode()
        start = end
    yield data[start:].decode()
