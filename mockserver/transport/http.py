"""HTTP in and out: a request as a value, an answer as a value, and the only code that waits on a socket."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from mockserver.core.turn import Emit, Step, Wait
from mockserver.wire import errors
from mockserver.wire.errors import APIError, MockError
from mockserver.wire.events import Event, sse

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
COMMENT = b": keep-alive\n\n"
SSE = b"text/event-stream; charset=utf-8"


class Disconnected(Exception):
    """The client went away."""


@dataclass(slots=True)
class Call:
    """A request as the handlers see it: method, decoded path, its named parts, query pairs, headers, whole body.

    A turn's handler leaves its model here, and how many seconds the turn takes before an answer begins.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: Mapping[bytes, bytes]
    body: bytes = b""
    project: str = ""
    parts: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    seconds: float = 0.0

    def header(self, name: bytes) -> str | None:
        """Return a header's value, None when it was not sent; `name` in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back: a body, or steps of a stream.

    `ended` is called once all of it has been delivered, `left` when the client goes away before. A stream ends in
    `tail` and sends a comment whenever it has been silent for `silence` seconds.
    """

    body: bytes = b""
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    steps: list[Step] | None = None
    streamed: bool = False
    ended: Callable[[], None] | None = None
    left: Callable[[], None] | None = None
    interrupted: Callable[[int], list[Event] | None] | None = None
    tail: bytes = b""
    silence: float = math.inf


def error_answer(error: APIError | MockError) -> Answer:
    """Return the answer that an error is."""
    headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items())
    return Answer(error.body(), error.status, headers=headers)


def read_head(scope: Scope) -> Call:
    """Return a request without its body."""
    query = scope["query_string"]
    pairs = parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []
    return Call(scope["method"], scope["path"], pairs, dict(scope["headers"]))


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """Return a request's body; raises APIError 413 beyond `limit` bytes, before reading more than that."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and int(declared) > limit:
        raise errors.body_too_large(limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body"):
        return within(message.get("body", b""), limit)
    chunks: list[bytes] = []
    size = 0
    while True:
        if message["type"] == "http.disconnect":
            raise Disconnected
        chunks.append(message.get("body", b""))
        size += len(chunks[-1])
        if size > limit:
            raise errors.body_too_large(limit)
        if not message.get("more_body"):
            return b"".join(chunks)
        message = await receive()


def within(body: bytes, limit: int) -> bytes:
    """Return a body that was read at once; raises APIError 413 beyond `limit` bytes."""
    if len(body) > limit:
        raise errors.body_too_large(limit)
    return body


def all_headers(answer: Answer, common: Headers) -> Headers:
    """Return the headers of an answer, those that all answers have included."""
    headers = [*common, *answer.headers]
    if answer.content_type:
        headers.insert(0, (b"content-type", answer.content_type))
    if not answer.streamed:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    return headers


async def send_answer(answer: Answer, headers: Headers, receive: Receive, send: Send, *, head: bool) -> None:
    """Deliver an answer; a client that goes away ends the delivery, and whether also the turn is not decided here.

    Spec: R9.20.
    """
    if answer.steps is None:
        await _send_whole(answer, headers, send, head=head)
    else:
        await _deliver(answer, headers, receive, send)


async def _send_whole(answer: Answer, headers: Headers, send: Send, *, head: bool) -> None:
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})


async def _deliver(answer: Answer, headers: Headers, receive: Receive, send: Send) -> None:
    """Interpret the steps of a turn: emit, or wait unless the client goes away meanwhile."""
    steps = answer.steps or []
    if not any(isinstance(step, Wait) for step in steps):
        await _play(answer, headers, None, send)
        return
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        await _play(answer, headers, gone, send)
    except Disconnected:
        if answer.left is not None:
            answer.left()
    finally:
        gone.cancel()


async def _play(answer: Answer, headers: Headers, gone: asyncio.Future[None] | None, send: Send) -> None:
    if answer.streamed:
        await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    for piece in pieces(answer):
        if not isinstance(piece, Piece):
            await _wait(piece, gone)
        elif answer.streamed:
            await send({"type": "http.response.body", "body": piece.body, "more_body": piece.more})
        else:
            await _send_whole(answer, headers, send, head=False)


class Piece(NamedTuple):
    """A part of a body, and whether another one follows."""

    body: bytes
    more: bool


def pieces(answer: Answer) -> Iterator[Piece | float]:
    """Yield the parts of an answer's body, and the seconds to wait before them, for whoever sends them in time."""
    if answer.streamed:
        yield from _stream(answer, answer.steps or [])
        return
    for step in answer.steps or ():
        if isinstance(step, Wait):
            yield step.seconds
    _end(answer)
    yield Piece(answer.body, more=False)


def _stream(answer: Answer, steps: list[Step]) -> Iterator[Piece | float]:
    last, number, hurry = len(steps) - 1, 0, False
    for at, step in enumerate(steps):
        if isinstance(step, Wait):
            if hurry:
                continue
            yield from _rest(answer, step.seconds)
            events = answer.interrupted(number) if answer.interrupted is not None else None
            if events:
                yield Piece(sse(events) + answer.tail, more=False)
                return
            hurry = events is not None
        elif isinstance(step, Emit):
            body = sse(step.events)
            number = step.events[-1].get("sequence_number", number) + 1 if step.events else number
            if at == last:
                _end(answer)
                body += answer.tail
            yield Piece(body, more=at < last)


def _rest(answer: Answer, seconds: float) -> Iterator[Piece | float]:
    """Wait, with a sign of life whenever a stream has been silent for long. Spec: S4."""
    while seconds > answer.silence:
        yield answer.silence
        yield Piece(COMMENT, more=True)
        seconds -= answer.silence
    yield seconds


def _end(answer: Answer) -> None:
    # before the last byte leaves, so that whoever has read it finds the turn written (read your writes)
    if answer.ended is not None:
        answer.ended()


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _wait(seconds: float, gone: asyncio.Future[None] | None) -> None:
    if gone is None:
        await asyncio.sleep(seconds)
        return
    await asyncio.wait([gone], timeout=seconds)
    if gone.done():
        raise Disconnected
