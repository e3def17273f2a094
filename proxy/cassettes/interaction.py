"""An interaction: one request with all that came back, as a cassette keeps it. A pure value, secrets already gone."""

# A stream is a sequence of pieces, each with the seconds since the request; a body that came whole is one piece. Bodies
# are bytes: what is text is told by its bytes when it is written (`document`), so nothing is decoded twice.
#
# A WebSocket has no requests. A turn on it is an interaction too: its `response.create` frame is the body, the frames
# that came for it are the pieces, and what the client sent in the middle of the turn (`response.steer`) stands between
# them with `sent` set. Turns of one socket bear its number; how it was closed between two of them is one more
# interaction, without a body.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

import orjson

from mockserver.config.settings import SettingError


class CassetteError(SettingError):
    """A file that can't be used as a cassette; the message names the file and says why."""


Headers = tuple[tuple[str, str], ...]
Ending = Literal["complete", "cut"]

EVENT_STREAM = "text/event-stream"
TERMINAL_EVENTS = frozenset(("response.completed", "response.incomplete", "response.failed", "error"))


class Piece(NamedTuple):
    """Bytes that arrived together: seconds since the request, and whether the client `sent` them (a frame)."""

    at: float
    data: bytes
    sent: bool = False


class Closing(NamedTuple):
    """How the upstream closed a socket: with a code and a reason; `code` is None where the connection was lost."""

    code: int | None
    reason: str = ""


@dataclass(frozen=True)
class Request:
    """What was asked: the path as it came (percent-encoded), the query without `?`, lower-case header names."""

    method: str
    path: str
    query: str = ""
    headers: Headers = ()
    body: bytes = b""
    socket: bool = False

    @cached_property
    def value(self) -> Any:
        """The JSON of the body, None for any other."""
        return parse_json(self.body)

    def header(self, name: str) -> str | None:
        """The first value of a header; `name` in lower case."""
        return next((value for key, value in self.headers if key == name), None)


@dataclass(frozen=True)
class Response:
    """What came back. `streamed` bodies keep their pieces and times, others are one piece."""

    status: int
    headers: Headers = ()
    pieces: tuple[Piece, ...] = ()
    streamed: bool = False
    ended: Ending = "complete"
    closing: Closing | None = None

    @cached_property
    def body(self) -> bytes:
        """All that came, in one."""
        return b"".join(piece.data for piece in self.pieces if not piece.sent)

    def header(self, name: str) -> str | None:
        """The first value of a header; `name` in lower case."""
        return next((value for key, value in self.headers if key.lower() == name), None)

    @cached_property
    def seconds(self) -> float:
        """When the last of it had come, in seconds since the request."""
        return self.pieces[-1].at if self.pieces else 0.0


@dataclass(frozen=True)
class Interaction:
    """A request and its answer: `id` counts requests of a cassette from 1, `at` is seconds since its head.

    `lane` is the named lane of a socket, `connection` the socket: the id of what came first over it. `rehydrated` says
    that the upstream was given the parent's items again.
    """

    id: int
    at: float
    request: Request
    response: Response
    lane: str | None = None
    rehydrated: bool = False
    connection: int | None = None

    @property
    def closes(self) -> bool:
        """Whether it only tells how the upstream closed a socket on which no turn was under way."""
        return self.request.socket and not self.request.body and self.response.closing is not None

    @cached_property
    def events(self) -> tuple[dict[str, Any], ...]:
        """The events of a stream or a socket's turn, in order; empty for a body."""
        if self.request.socket:
            values = (parse_json(piece.data) for piece in self.response.pieces if not piece.sent)
        elif (self.response.header("content-type") or "").startswith(EVENT_STREAM):
            values = (parse_json(event_data(text)) for text in split_events(self.response.body))
        else:
            return ()
        return tuple(value for value in values if isinstance(value, dict))

    @cached_property
    def value(self) -> Any:
        """The JSON of the body that came back; of a stream, None."""
        return None if self.response.streamed and self.events else parse_json(self.response.body)

    @cached_property
    def resource(self) -> Any:
        """The object that was answered: of a turn's events, the last Response that they show."""
        for event in reversed(self.events):
            if isinstance(event.get("response"), dict):
                return event["response"]
        return self.value


@dataclass(frozen=True)
class Head:
    """The first document of a cassette: what was recorded, and when (ISO 8601, UTC)."""

    upstream: str | None = None
    recorded: str | None = None


class Problem(NamedTuple):
    """What of a file can't be used: the document (from 1, without the head) or its line, and why."""

    place: str
    reason: str

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}"


@dataclass(frozen=True)
class Cassette:
    """A whole file, read; the interactions of a large one are read from it each time that they are asked for."""

    path: str
    head: Head = field(default_factory=Head)
    interactions: Sequence[Interaction] = ()
    problems: tuple[Problem, ...] = ()
    lines: Mapping[int, int] = field(default_factory=dict)  # interaction id → the line where it begins
    kind: str = "understudy"


def parse_json(body: bytes) -> Any:
    """The value of a JSON body, None for anything else."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def split_events(body: bytes) -> list[bytes]:
    """The events of a stream, each with the empty line that ends it; what is left at the end is one more."""
    if b"\r" not in body:  # nearly always
        events = [part + b"\n\n" for part in body.split(b"\n\n")]
        events[-1] = events[-1][:-2]
        return events if events[-1] else events[:-1]
    events = []
    start = 0
    while start < len(body):
        end = _event_end(body, start)
        events.append(body[start:end])
        start = end
    return events


def _event_end(body: bytes, start: int) -> int:
    """Where the event ends that begins here: behind its empty line, in whichever line ends it is written."""
    ends = [found + len(mark) for mark in (b"\n\n", b"\r\n\r\n") if (found := body.find(mark, start)) >= 0]
    return min(ends, default=len(body))


def event_data(event: bytes) -> bytes:
    """The data of one event, its lines joined (WHATWG HTML §9.2.6)."""
    lines = [line[5:].removeprefix(b" ") for line in event.splitlines() if line.startswith(b"data:")]
    return b"\n".join(lines)
