"""The newest answers of a process as they left, so that what happened can be written down as a recording."""

# The journal says what was asked and what came of it, not the bytes of each answer. Those are held here, next to it and
# whatever the store is: by reference, for a body was just made and a stream's events are there anyway. So keeping one
# costs an append, and nothing is encoded until somebody asks.
#
# What must stay true: `_bytes` is the sum of all weights, and never stays above the limit. Above it the answers of the
# project that has been there longest go, the oldest first.

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from orjson import loads

from mockserver.core.turn import public_events
from mockserver.delivery.events import Emit, Step, count_events
from mockserver.journal.exchange import Call, Exchange, head_size_of

LIGHTEST = 1024  # what is held of a call without its bodies, in bytes
EVENT = 700  # an event with its objects, which it shares with others
RESPONSE = 4096


class KeptAnswer(NamedTuple):
    """An answer with its call: a `body`, or the `steps` of a delivery and what a stream ends in.

    `stream` is the kind of a stream: `sse`, `websocket`, or nothing for a body. `lane` is that of a socket, `socket`
    the same object for all that went over one. `sent` are frames of the client's in the middle of a turn, each with the
    number of steps before it. `again` is what the events of a stream that left at once are made of: the final Response
    or its JSON, its cues, its figures, and the rules.
    """

    call: Call
    exchange: Exchange
    body: bytes = b""
    status: int = 200
    content_type: bytes = b"application/json"
    headers: tuple[tuple[bytes, bytes], ...] = ()
    steps: Sequence[Step] = ()
    stream: str = ""
    tail: bytes = b""
    lane: str | None = None
    again: tuple[Any, ...] = ()
    socket: object = None
    sent: Sequence[tuple[int, bytes]] = ()

    @property
    def weight(self) -> int:
        """What it takes in memory, in bytes, about."""
        weight = LIGHTEST + head_size_of(self.exchange) + len(self.call.body) + len(self.body)
        weight += sum([len(frame) for _, frame in self.sent])
        if self.again:
            figures = self.again[2]
            return weight + RESPONSE + (0 if figures is None else 6 * figures[2])
        if self.steps:
            weight += EVENT * count_events(self.steps)
        return weight

    def laid_out(self) -> Sequence[Step]:
        """The steps in which it left."""
        if not self.again:
            return self.steps
        final, cues, _, rules = self.again
        if isinstance(final, bytes):
            final = loads(final)
        # a socket's frames have no such options: it drops them
        options = {} if self.stream == "websocket" else loads(self.call.body).get("stream_options") or {}
        return (Emit(public_events(final, cues, rules, padded=options.get("include_obfuscation"))),)


class _Held:
    """The answers of one project, the oldest first, and what each of them weighs."""

    __slots__ = ("answers", "weights")

    def __init__(self) -> None:
        self.answers: deque[KeptAnswer] = deque()
        self.weights: deque[int] = deque()  # apart: a pair is one more object for each turn, to be looked at for cycles


class KeptAnswers:
    """The answers of all projects, `most_bytes` of them at most."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._projects: dict[str, _Held] = {}

    def add(self, project: str, answer: KeptAnswer, weight: int | None = None) -> None:
        """Keep an answer; its weight is given where it is known."""
        held = self._projects.get(project)
        if weight is None:
            weight = answer.weight
        if held is None:
            held = self._projects[project] = _Held()
        held.answers.append(answer)
        held.weights.append(weight)
        self._bytes += weight
        if self._bytes > self._most_bytes:
            self._make_room()

    def _make_room(self) -> None:
        while self._bytes > self._most_bytes:
            project, held = next(iter(self._projects.items()))
            while held.weights and self._bytes > self._most_bytes:
                held.answers.popleft()
                self._bytes -= held.weights.popleft()
            if not held.weights:
                del self._projects[project]

    def of(self, project: str | None) -> list[KeptAnswer]:
        """The answers of a project, or of all (None), oldest first."""
        if project is not None:
            mine = self._projects.get(project)
            return [] if mine is None else [*mine.answers]
        every = [answer for held in self._projects.values() for answer in held.answers]
        return sorted(every, key=lambda answer: answer.exchange.started)

    def drop(self, project: str, exchange: Exchange) -> None:
        """Forget the answer of an exchange that went on otherwise than it was laid out."""
        held = self._projects.get(project)
        if held is None:
            return
        for place in [place for place, one in enumerate(held.answers) if one.exchange is exchange][::-1]:
            del held.answers[place]
            self._bytes -= held.weights[place]
            del held.weights[place]

    def forget(self, project: str) -> None:
        """Forget the answers of a project."""
        held = self._projects.pop(project, None)
        self._bytes -= 0 if held is None else sum(held.weights)
