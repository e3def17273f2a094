"""The newest answers of a process as they left, so that what happened can be written down as a recording."""

# The journal says what was asked and what came of it, not the bytes of each answer. Those are held here, next to it and
# whatever the store is: by reference, for a body was just made and a stream's events are there anyway. So keeping one
# costs an append, and nothing is encoded until somebody asks.
#
# What must stay true: `_bytes` is the sum of all weights, and never stays above the limit. Above it the answers of the
# project that has been there longest go, the oldest first. No project without answers is held.

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, NamedTuple

from orjson import loads

from mockserver.core.turn import public_events
from mockserver.delivery.events import Emit, Step
from mockserver.journal.exchange import Call, Exchange

LIGHTEST = 1024  # what is held of a call without its bodies, in bytes
EVENT = 700  # an event with its objects, which it shares with others
RESPONSE = 4096
_NOTHING = {"output_tokens": 0}


class KeptAnswer(NamedTuple):
    """An answer with its call: a `body`, or the `steps` of a delivery and what a stream ends in.

    `stream` is the kind of a stream: `sse`, `websocket`, or nothing for a body. `lane` is that of a socket, `socket`
    the same object for all that went over one. `again` is what the events of a stream that left at once are made of:
    the final Response, its cues, and the rules.
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

    @property
    def weight(self) -> int:
        """What it takes in memory, in bytes, about."""
        weight = LIGHTEST + len(self.call.body) + len(self.body)
        if self.again:
            return weight + RESPONSE + 6 * (self.again[0]["usage"] or _NOTHING)["output_tokens"]
        if self.steps:
            weight += EVENT * sum([len(step[0]) for step in self.steps if isinstance(step, Emit)])
        return weight

    def laid_out(self) -> Sequence[Step]:
        """The steps in which it left."""
        if not self.again:
            return self.steps
        final, cues, rules = self.again
        options = loads(self.call.body).get("stream_options") or {}
        return (Emit(public_events(final, cues, rules, padded=options.get("include_obfuscation"))),)


class KeptAnswers:
    """The answers of all projects, `most_bytes` of them at most."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes, self._bytes = most_bytes, 0
        self._projects: dict[str, deque[KeptAnswer]] = {}

    def add(self, project: str, answer: KeptAnswer) -> None:
        """Keep an answer."""
        kept = self._projects.get(project)
        if kept is None:
            kept = self._projects[project] = deque()
        kept.append(answer)
        self._bytes += answer.weight
        while self._bytes > self._most_bytes:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        project = next(iter(self._projects))
        kept = self._projects[project]
        self._bytes -= kept.popleft().weight
        if not kept:
            del self._projects[project]

    def of(self, project: str | None) -> list[KeptAnswer]:
        """The answers of a project, or of all (None), oldest first."""
        if project is not None:
            return list(self._projects.get(project, ()))
        every = [answer for kept in self._projects.values() for answer in kept]
        return sorted(every, key=lambda answer: answer.exchange.started)

    def drop(self, project: str, exchange: Exchange) -> None:
        """Forget the answer of an exchange that went on otherwise than it was laid out."""
        kept = self._projects.get(project, deque())
        for answer in [one for one in kept if one.exchange is exchange]:
            kept.remove(answer)
            self._bytes -= answer.weight
        if not kept:  # nothing could be taken from it when room is needed
            self._projects.pop(project, None)

    def forget(self, project: str) -> None:
        """Forget the answers of a project."""
        self._bytes -= sum([answer.weight for answer in self._projects.pop(project, ())])
