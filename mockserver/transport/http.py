"""HTTP in and out: a request as a value, an answer as a value, and the only code that waits on a socket."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from mockserver.control.effects import Act, Cut, Garble, Part, broken_json
from mockserver.control.journal import CUT, DELIVERED, DISCONNECTED, Exchange
from mockserver.core.turn import Emit, Wait
from mockserver.logbook import Account
from mockserver.transport.abort import Abort
from mockserver.wire import errors
from mockserver.wire.errors import APIError, MockError
from mockserver.wire.events import Event, sse

Headers = list[tuple[bytes, bytes]]

JSON = b"application/json"
COMMENT = b": keep-alive\n\n"
LOOK_S = 0.25  # how often a stream that waits looks whether its turn was cancelled or has ended
SSE = b"text/event-stream; charset=utf-8"


class Disconnected(Exception):
    """The client went away."""


class Call(Exchange):
    """A request as the handlers see it: method, decoded path, its named parts, query pairs, headers, whole body.

    It is what the journal takes in. A turn's handler leaves its model here, and how many seconds the turn takes before
    an answer begins (`lead`).
    """

    parts: Mapping[str, str] = MappingProxyType({})
    model: str = ""
    lead: float = 0.0

    def __init__(
        self,
        method: str,
        path: str,
        query: Sequence[tuple[str, str]],
        headers: Mapping[bytes, bytes],
        body: bytes = b"",
        project: str = "",
    ) -> None:
        self.method, self.path, self.query, self.headers, self.body = method, path, query, headers, body
        self.project = project

    def header(self, name: bytes) -> str | None:
        """Return a header's value, None when it was not sent; `name` in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(slots=True)  # not frozen, for that makes building one three times as slow
class Answer:
    """What goes back: a body, or steps of a stream.

    `ended` is called once all of it has been delivered, `left` when the client goes away before. A stream ends in
    `tail` and sends a comment whenever it has been silent for `silence` seconds. `account` is told how it ends.

    A fault may hold all of it back for `delay` seconds, and let nothing follow the first `after` bytes of a body:
    then the connection breaks off, or `stalls`.
    """

    body: bytes = b""
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    steps: Sequence[Act] | None = None
    streamed: bool = False
    ended: Callable[[], None] | None = None
    left: Callable[[], None] | None = None
    interrupted: Callable[[int], list[Event] | None] | None = None
    tail: bytes = b""
    silence: float = math.inf
    delay: float = 0.0
    after: int | None = None
    stalls: bool = False
    account: Account | None = None

    @property
    def later(self) -> bool:
        """Whether it has not left as soon as it is there."""
        return self.steps is not None or self.delay > 0 or self.after is not None

    @property
    def waits(self) -> bool:
        """Whether time passes before all of it has left."""
        return self.delay > 0 or self.stalls or any(isinstance(step, Wait) for step in self.steps or ())

    def gather(self) -> int:
        """Make one body of a stream whose events leave in one write, with no end to wait for; returns how many."""
        steps = self.steps or ()
        if len(steps) != 1 or not isinstance(steps[0], Emit) or self.delay or self.ended is not None:
            return 0
        events = steps[0].events
        self.body, self.steps = sse(events) + self.tail, None
        return len(events)

    def leave(self) -> None:
        """Note that the client went away before the end."""
        self._end(DISCONNECTED, self.left)

    def finish(self) -> None:
        """Note that all of it is delivered."""
        self._end(DELIVERED, self.ended)

    def tear(self) -> Abort:
        """Note that the connection breaks off, which to a turn is a client that leaves; returns what does it."""
        self._end(CUT, self.left)
        return Abort()

    def _end(self, how: str, turn: Callable[[], None] | None) -> None:
        if turn is not None:
            turn()
        if self.account is not None:
            self.account.end(how)


def error_answer(error: APIError | MockError) -> Answer:
    """Return the answer that an error is."""
    headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items())
    return Answer(error.body(), error.status, headers=headers)


def read_head(scope: Scope) -> Call:
    """Return a request without its body."""
    return Call(scope["method"], scope["path"], query_pairs(scope["query_string"]), dict(scope["headers"]))


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """Return the parameters of a query string."""
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []


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
    headers = [(b"content-type", answer.content_type), *common] if answer.content_type else common.copy()
    headers += answer.headers
    if not answer.streamed:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    return headers


async def send_answer(answer: Answer, headers: Headers, receive: Receive, send: Send, *, head: bool) -> None:
    """Deliver an answer; a client that goes away ends the delivery, and whether also the turn is not decided here.

    Spec: R9.20.
    """
    if answer.later:
        await _deliver(answer, headers, receive, send)
        return
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})


async def _deliver(answer: Answer, headers: Headers, receive: Receive, send: Send) -> None:
    """Interpret the steps of a turn: emit, or wait unless the client goes away meanwhile. Raises Abort."""
    if not answer.waits:
        await _play(answer, headers, None, send)
        return
    gone = asyncio.ensure_future(_until_gone(receive))
    try:
        if answer.delay:
            await _wait(answer.delay, gone)
        await _play(answer, headers, gone, send)
    except Disconnected:
        answer.leave()
    finally:
        gone.cancel()


async def _play(answer: Answer, headers: Headers, gone: asyncio.Future[None] | None, send: Send) -> None:
    begun = False
    if answer.streamed:
        begun = await _begin(answer, headers, send)
    for piece in pieces(answer):
        if not isinstance(piece, Piece):
            await _wait(piece, gone)
            continue
        begun = begun or await _begin(answer, headers, send)
        await send({"type": "http.response.body", "body": piece.body, "more_body": piece.more})


async def _begin(answer: Answer, headers: Headers, send: Send) -> bool:
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    return True


class Piece(NamedTuple):
    """A part of a body, and whether another one follows."""

    body: bytes
    more: bool


def pieces(answer: Answer) -> Iterator[Piece | float]:
    """Yield the parts of an answer's body, and the seconds to wait before them, for whoever sends them in time.

    Raises Abort where the connection is to be broken off.
    """
    if answer.streamed:
        yield from _stream(answer, answer.steps or [])
        return
    for step in answer.steps or ():
        if isinstance(step, Wait):
            yield step.seconds
    if answer.after is None:
        answer.finish()  # as in a stream, before the last byte
        yield Piece(answer.body, more=False)
        return
    if answer.ended is not None:
        answer.ended()
    yield Piece(answer.body[: answer.after], more=True)
    if answer.stalls:
        yield math.inf
    raise answer.tear()


def _stream(answer: Answer, steps: Sequence[Act]) -> Iterator[Piece | float]:
    last, number, hurry = len(steps) - 1, 0, False
    for at, step in enumerate(steps):
        if isinstance(step, Wait):
            if hurry and step.seconds < math.inf:
                continue
            events = yield from _rest(answer, step.seconds, number)
            if events:
                _count(answer, len(events))
                answer.finish()
                yield Piece(sse(events) + answer.tail, more=False)
                return
            hurry = events is not None
        elif isinstance(step, Cut):
            raise answer.tear()
        else:
            body = _bytes(step)
            if isinstance(step, Emit):
                number = step.events[-1].get("sequence_number", number) + 1 if step.events else number
            _count(answer, len(step.events) if isinstance(step, Emit) else isinstance(step, Garble))
            if at == last:
                # before the last byte leaves, so that whoever has read it finds the turn written (read your writes)
                answer.finish()
                body += answer.tail
            yield Piece(body, more=at < last)
    if last < 0 or isinstance(steps[-1], Wait):  # a fault took the last events
        answer.finish()
        yield Piece(answer.tail, more=False)


def _bytes(act: Emit | Garble | Part) -> bytes:
    if isinstance(act, Emit):
        return sse(act.events)
    if isinstance(act, Part):
        return act.part
    return broken_json(sse([act.event]).removesuffix(b"\n\n")) + b"\n\n"


def _count(answer: Answer, events: int) -> None:
    if answer.account is not None:
        answer.account.exchange.events += events


def _rest(answer: Answer, seconds: float, number: int) -> Generator[Piece | float, None, list[Event] | None]:
    """Wait, with a sign of life whenever a stream has been silent for long; returns how it was interrupted, if it was.

    Spec: S4, S12.5.
    """
    silence, look = (answer.silence, LOOK_S) if seconds < math.inf else (math.inf, math.inf)
    silent = 0.0
    while seconds > 0:
        pause = min(seconds, silence - silent, look if answer.interrupted is not None else math.inf)
        yield pause
        seconds, silent = seconds - pause, silent + pause
        events = answer.interrupted(number) if answer.interrupted is not None else None
        if events is not None:
            return events
        if silent >= silence and seconds > 0:
            yield Piece(COMMENT, more=True)
            silent = 0.0
    return None


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _wait(seconds: float, gone: asyncio.Future[None] | None) -> None:
    if gone is None:
        await asyncio.sleep(seconds)
        return
    await asyncio.wait([gone], timeout=seconds if seconds < math.inf else None)
    if gone.done():
        raise Disconnected
