"""HTTP in and out: a request read into a `Call`, an `Answer` written; the only code that waits on a socket for it."""

# How it works. An answer that takes no time is two ASGI messages. One with a player is a row of chunks and waits
# (`chunks`), which the in-process transport plays too, so bytes don't depend on the way they travel.
#
# Nearly every answer needs neither messages nor a task: when its request has come whole, it is made in one call. For
# these the server makes an offer (`Whole`), and an app that takes it returns what to call then (`WhenWhole`). A turn
# over HTTP costs a seventh less that way.
#
# What must stay true:
# * A body that breaks off must not end properly: `Abort` leaves this module after the head was sent, never before it.
#   Without a head there would be no torn body, only a connection that failed.
# * The head leaves with the first chunk. A delay therefore holds back the status too, as a slow service does.
# * A body is refused by its declared length before a byte of it is read, and by its size where none is declared or the
#   declaration lies.
# * A client that leaves is noticed while we wait, not only when we write: with a pace of seconds, whoever leaves would
#   else hold a turn until its next event. Spec: R9.20.
# * HEAD has the headers of GET and no body (RFC 9110 §9.3.2).

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from starlette.types import Receive, Scope, Send

from mockserver.delivery.answer import JSON, Answer
from mockserver.delivery.answer import SSE as STREAM
from mockserver.delivery.events import Body, Cut, Emit, Malformed, Partial, Wait
from mockserver.delivery.fault_effects import truncate_json
from mockserver.delivery.player import KeepAlive
from mockserver.journal.exchange import Call
from mockserver.transport.abort import Abort
from mockserver.wire.catalog import LONGEST_NAME
from mockserver.wire.errors import api as errors
from mockserver.wire.responses.event_list import AT_ONCE, SSE, sse, write_in_pieces

Headers = list[tuple[bytes, bytes]]

MOST_JOINED = 65_536  # bytes of body; a larger one is not copied only to have its head in front of it
MOST_AWAITED = 65_536  # bytes of a body; of more than that a server reads no more until the app asks for it
MOST_WRITTEN = 262_144  # bytes of a body that are handed to the connection at once
PROJECT_HEADER = b"x-understudy-project"  # whose state a control call means, if not that of its caller's key
WHOLE = "understudy.whole"  # in the extensions of a request's scope: the server's offer
FRAMES = "understudy.frames"  # the extension of ASGI that `websocket_protocol` has; in a scope: its receive and send
BY_NAME = "understudy.headers"  # in a request's scope: its headers by name, the last of each, made once
REASON = "understudy.reason"  # in the state of a request's scope: the reason phrase of its answer, as bytes
COMMENT = b": keep-alive\n\n"
WORKERS = "understudy.workers"  # in the scope of a worker's lifespan: where it meets the others
STOPPING = "understudy.stopping"  # in a request's scope once its server ends: what has no end of its own ends now


_USUAL = frozenset((JSON, STREAM))  # content types
_OF_CONNECTION = frozenset((b"connection", b"transfer-encoding", b"content-length", b"date"))  # headers
_NO_BODY = frozenset((204, 304))  # statuses


class Disconnected(Exception):
    """The client went away."""


class Whole(NamedTuple):
    """What a server offers: to call the app again when the request has come whole, to answer it within that call.

    `respond` takes a status, the lines of the headers (see `write_lines`), a body of 1 to `MOST_JOINED` bytes, and
    whether the lines say how long it is. An app whose `receive` and `send` are not these `ways` stands behind somebody
    who would not see such an answer.
    """

    ways: tuple[Receive, Send]
    respond: Callable[[int, bytes, bytes, bool], None]


# what `Whole(…)` does, without the call of Python's that checks names: a percent of a turn
make_whole: Callable[[type[Whole], tuple[Any, ...]], Whole] = tuple.__new__


class WhenWhole:
    """What an app returns that takes an offer; for whoever awaits it, the request is served as any other.

    `answer` is called with the body, the offer and the request; it returns what is left to await, None for nothing.
    """

    __slots__ = ("_answer", "_offer", "_request", "_serve")

    def __init__(
        self,
        answer: Callable[..., Awaitable[None] | None],
        serve: Callable[[Scope, Receive, Send], Awaitable[None]],
        offer: Whole,
        request: tuple[Scope, Receive, Send],
    ) -> None:
        self._answer, self._serve, self._offer, self._request = answer, serve, offer, request

    def answer(self, body: bytes) -> Awaitable[None] | None:
        """Have the request answered; returns None if that is done, else what to await."""
        return self._answer(body, self._offer, *self._request)

    def __await__(self) -> Generator[Any, None, None]:
        return self._serve(*self._request).__await__()


# What `bytes.translate` leaves when it takes away the bytes that are allowed is wrong: one pass in C for each.
_IN_NAMES = bytes(byte for byte in range(256) if byte in b"0123456789-abcdefghijklmnopqrstuvwxyz")
_IN_VALUES = bytes(byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127))


def write_lines(headers: Headers) -> bytes:
    """The lines of headers whose names are lower case; raises ValueError for one that could end itself (RFC 9110 §5.5).

    Only whoever passes everything through here may hand lines to a server.
    """
    names, values = zip(*headers, strict=True) if headers else ((), ())
    if b"".join(names).translate(None, _IN_NAMES) or b"".join(values).translate(None, _IN_VALUES) or b"" in names:
        raise ValueError(f"not headers, or not in lower case: {headers!r}")
    return b"\r\n".join([*map(b": ".join, headers), b""])


def read_call(scope: Scope, headers: Mapping[bytes, bytes], body: bytes) -> Call:
    """A request whose body was read."""
    query = scope["query_string"]
    return Call(scope["method"], scope["path"], body, None, query_pairs(query) if query else (), headers)


def query_pairs(query: bytes) -> list[tuple[str, str]]:
    """The parameters of a query string."""
    return parse_qsl(query.decode("latin-1"), keep_blank_values=True) if query else []


_LONGEST_NUMBER = 18  # digits of a length; int() takes 4300


def is_short(headers: Mapping[bytes, bytes], limit: int) -> bool:
    """Whether a request has no body, or says of it that it has at most so many bytes."""
    length = headers.get(b"content-length")
    if length is None or b"transfer-encoding" in headers:
        return b"transfer-encoding" not in headers
    return length.isdigit() and len(length) <= _LONGEST_NUMBER and int(length) <= limit


async def read_body(receive: Receive, headers: Mapping[bytes, bytes], limit: int) -> bytes:
    """A request's body; raises APIError 413 beyond `limit` bytes, before reading more than that."""
    declared = headers.get(b"content-length", b"0")
    if declared.isdigit() and (len(declared) > _LONGEST_NUMBER or int(declared) > limit):
        raise errors.body_too_large(limit)
    message = await receive()
    # nearly every body comes in one message: no list, no join
    if message["type"] == "http.request" and not message.get("more_body"):
        body = message.get("body", b"")
        return body if len(body) <= limit else within(body, limit)
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
    """A body that was read at once; raises APIError 413 beyond `limit` bytes."""
    if len(body) > limit:
        raise errors.body_too_large(limit)
    return body


def all_headers(answer: Answer, common: Headers) -> Headers:
    """The headers of an answer, those that all answers have included."""
    headers = [(b"content-type", answer.content_type), *common] if answer.content_type else common.copy()
    if answer.headers:
        headers += answer.headers
    if not answer.streamed:
        headers.append((b"content-length", b"%d" % len(answer.body)))
    return headers


def is_usual(answer: Answer) -> bool:
    """Whether an answer has no headers of its own, as nearly all, and those of its model may be remembered."""
    if answer.error is not None or answer.headers or answer.buckets or answer.lead_s:
        return False
    return answer.content_type in _USUAL and len(answer.model) <= LONGEST_NAME


def usual_lines(answer: Answer, body: bytes, request_id: bytes, common: bytes) -> bytes:
    """What `all_headers` says of a usual answer, as lines; `common` are those after the id of the request.

    Only `common` has passed `write_lines`: an id has but letters and digits, and the content type is one of two.
    """
    if answer.streamed:
        return b"content-type: %b\r\nx-request-id: %b\r\n%b" % (answer.content_type, request_id, common)
    sized = b"content-type: %b\r\nx-request-id: %b\r\n%bcontent-length: %d\r\n"
    return sized % (answer.content_type, request_id, common, len(body))


def own_lines(answer: Answer, headers: Headers) -> bytes:
    """All headers of any answer as lines; none where some need the closer look that a server takes at messages."""
    if not _OF_CONNECTION.isdisjoint(dict(answer.headers)):
        return b""
    try:
        return write_lines(headers)
    except ValueError:
        return b""


def body_at_once(answer: Answer) -> bytes:
    """The body of an answer that leaves in one piece, as nearly all do; else none."""
    if answer.player is not None or answer.status in _NO_BODY:
        return b""
    if answer.events is not None and len(answer.events) > AT_ONCE:
        return b""
    body = whole_body(answer)
    return body if len(body) <= MOST_JOINED else b""


def whole_body(answer: Answer) -> bytes:
    """The body of an answer that leaves at once."""
    return answer.body if answer.events is None else sse(answer.events) + answer.tail


Runner = Callable[..., Awaitable[Any]]  # runs a function where it may wait


async def send_answer(
    answer: Answer,
    headers: Headers,
    receive: Receive,
    send: Send,
    *,
    head: bool,
    run: Runner | None = None,
) -> None:
    """Deliver an answer; a client that goes away ends the delivery, and whether also the turn is not decided here.

    With `run`, steps of the delivery may wait for a store or take long, and are run by it. Spec: R9.20. Raises Abort
    where the connection is to be broken off.
    """
    start = {"type": "http.response.start", "status": answer.status, "headers": headers}
    player = answer.player
    if player is None:
        if answer.events is not None and len(answer.events) > AT_ONCE and not head:
            await send(start)
            await _send_events(answer, send, run)
            return
        body = whole_body(answer)
        await send(start)
        if len(body) > MOST_WRITTEN and not head:
            await _send_large(body, send)
            return
        await send({"type": "http.response.body", "body": b"" if head else body})
        return
    # watching for a client that leaves costs a task, and what takes no time is over before one could
    gone = None if player.instant else asyncio.ensure_future(_wait_for_disconnect(receive))
    begun = False
    parts = chunks(answer)
    try:
        while (chunk := next(parts, None) if run is None else await run(next, parts, None)) is not None:
            if isinstance(chunk, Wait):
                await _wait(chunk.seconds, gone)
                continue
            if not begun:  # not before: a delay holds back the head too
                begun = True
                await send(start)
            await send({"type": "http.response.body", "body": chunk.data, "more_body": chunk.more})
    except Disconnected:
        if run is None:
            player.leave()
        else:
            await run(player.leave)
    except Exception:  # whatever has broken off, the exchange has an end
        player.leave()
        raise
    finally:
        if gone is not None:
            gone.cancel()


async def _send_large(body: bytes, send: Send) -> None:
    """Send a body in pieces: `send` waits for a slow reader between them, and others are served."""
    last = len(body) - MOST_WRITTEN
    for start in range(0, len(body), MOST_WRITTEN):
        piece = body[start : start + MOST_WRITTEN]
        await send({"type": "http.response.body", "body": piece, "more_body": start < last})
        await asyncio.sleep(0)


async def _send_events(answer: Answer, send: Send, run: Runner | None) -> None:
    """Send a long stream that takes no time: its events leave while those after them are made."""
    pieces = write_in_pieces(answer.events or (), SSE)
    while piece := next(pieces, b"") if run is None else await run(next, pieces, b""):
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": answer.tail})


class Chunk(NamedTuple):
    """A part of a body, and whether another one follows."""

    data: bytes
    more: bool


def chunks(answer: Answer) -> Iterator[Chunk | Wait]:
    """Yield the parts of a played answer's body, and the waits before them, for whoever sends them in time.

    Raises Abort where the connection is to be broken off: after a part, for there must be a head to be torn.
    """
    player = answer.player
    assert player is not None
    ended = False
    while (step := player.next()) is not None:
        if isinstance(step, Wait):
            yield step
            continue
        if isinstance(step, Cut):
            yield Chunk(b"", more=True)  # has the head sent, if nothing was before
            raise Abort
        ended = player.ended  # known with the last step, so that its bytes and the end of the body are one message
        data = _ENCODE[type(step)](step)
        yield Chunk(data + answer.tail if ended else data, more=not ended)
    if not ended:  # a fault took the last events
        yield Chunk(answer.tail, more=False)


def _malform_event(step: Malformed) -> bytes:
    return truncate_json(sse([step.event]).removesuffix(b"\n\n")) + b"\n\n"


_ENCODE: Mapping[type, Callable[[Any], bytes]] = {
    Emit: lambda step: sse(step.events),
    Body: lambda step: step.data,
    Partial: lambda step: step.data,
    Malformed: _malform_event,
    KeepAlive: lambda step: COMMENT,
}


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _wait(seconds: float, gone: asyncio.Future[None] | None) -> None:
    if gone is None:
        await asyncio.sleep(seconds)
        return
    await asyncio.wait([gone], timeout=seconds if seconds < math.inf else None)
    if gone.done():
        raise Disconnected
