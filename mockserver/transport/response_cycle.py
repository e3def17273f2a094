"""One request and its response on an HTTP connection: what uvicorn's does, in fewer and larger steps.

A response's head and the first bytes of its body are one write. A head that could not be written safely (a name or a
value with control characters, RFC 9110 §5.5) is refused as uvicorn refuses it. An app may answer within its call
(`WHOLE`, in the scope's `extensions`).
"""

# Why our own. A response that is known whole costs uvicorn two regular expressions for each of its dozen headers, and a
# task that waits for a body which is there: together a third of what a mocked turn costs in a server. Here all names
# and all values are checked at once, and the head is laid out by one join. An app that answers within its call needs no
# task and no messages, and most lines of its head are those of the one before.
#
# What must stay true:
# * Nothing of what a peer or a script puts into a header may end it: both checks cover every byte of every header.
# * A head waits for the first piece of the body, and no longer than the event loop takes to come round: of a response
#   whose body is still to come (a relayed stream), the head is not held back.
# * A body that is longer or shorter than its `content-length` is an error of the app, and breaks the connection off:
#   what follows would be read as another response (RFC 9112 §6.3).
# * A relayed response has the reason phrase of its upstream. ASGI has no place for it: it comes in the scope's state.

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from mockserver.transport.http import MOST_JOINED, REASON, WHOLE, WhenWhole, Whole, make_whole

_CHUNKED = b"%b%btransfer-encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
# What `bytes.translate` leaves when it takes away the bytes that are allowed is wrong: one pass in C for each.
_IN_NAMES = bytes(byte for byte in range(256) if byte > 32 and byte != 127 and byte not in b'()<>@,;:\\[]={}"')
_IN_VALUES = bytes(byte for byte in range(256) if byte == 9 or (byte >= 32 and byte != 127))
_FRAMING = frozenset((b"connection", b"transfer-encoding", b"content-length"))
_NO_BODY = frozenset((204, 304))
_DISCONNECTED = {"type": "http.disconnect"}

Headers = list[tuple[bytes, bytes]]


class LazyEvent:
    """An `asyncio.Event` that is made when somebody waits: nearly every body is there before it is asked for."""

    __slots__ = ("_event", "_is_set")

    def __init__(self) -> None:
        self._event: asyncio.Event | None = None
        self._is_set = False

    def is_set(self) -> bool:
        """Whether nobody need wait."""
        return self._is_set

    def set(self) -> None:
        """Let go on who waits."""
        self._is_set = True
        if self._event is not None:
            self._event.set()

    def clear(self) -> None:
        """Have wait who comes."""
        self._is_set = False
        if self._event is not None:
            self._event.clear()

    async def wait(self) -> None:
        """Wait until it is set."""
        if self._event is None:
            self._event = asyncio.Event()
            if self._is_set:
                self._event.set()
        await self._event.wait()


class ResponseCycle(RequestResponseCycle):
    """A request on its way to the app, and the response on its way back."""

    def __init__(self, loop: asyncio.AbstractEventLoop, *given: Any) -> None:
        super().__init__(*given)
        self._loop = loop
        self._head: bytes | None = None  # which waits for the first bytes of the body
        self._says_close = False
        self._when_whole: WhenWhole | None = None  # what waits for the rest of the request

    def call(self, app: Any) -> Any:
        """Have an app answer within its call, if both can; returns what is left for `run_asgi`, None if nothing is.

        While there is `more_body`, None is that the app wants to be called again with the rest of it.
        """
        try:
            answering = self._offer(app) if self._when_whole is None else self._when_whole
            if type(answering) is not WhenWhole:
                return answering
            self._when_whole = answering
            if self.more_body:
                return None
            self._when_whole = None  # or it and this would hold each other
            if self.flow.write_paused or self.transport.is_closing():
                return lambda *given: answering
            rest = answering.answer(bytes(self.body))
        except BaseException as error:
            return partial(_fail, error)
        if rest is not None:
            return lambda *given: rest
        self.on_response = _do_nothing
        return None

    def abandon(self) -> None:
        """Call the app no more, for the client has left before the end of its request."""
        self._when_whole, self.on_response = None, _do_nothing

    def _offer(self, app: Any) -> Any:
        """What an app says to the offer; if the request is a less usual one, or it declines, an app to be run."""
        scope, ways = self.scope, (self.receive, self.send)
        is_less_usual = self.waiting_for_100_continue or scope["method"] == "HEAD"
        if is_less_usual or scope["state"] or self.default_headers:
            return app
        scope["extensions"] = {WHOLE: make_whole(Whole, (ways, self._respond))}  # type: ignore[dict-item]
        try:
            answering = app(scope, *ways)
        finally:
            scope["extensions"] = {}
        return answering if type(answering) is WhenWhole else lambda *given: answering

    def _respond(self, status: int, lines: bytes, body: bytes, is_sized: bool) -> None:
        """Write a response to a request that was as usual."""
        if self.response_started or self.more_body:
            raise RuntimeError("The response has begun, or the request has not come whole.")
        self.response_started = self.response_complete = True
        if not self.keep_alive:
            lines += b"connection: close\r\n"
        if is_sized:
            data = b"%b%b\r\n%b" % (STATUS_LINE[status], lines, body)
        else:
            data = _CHUNKED % (STATUS_LINE[status], lines, len(body), body)
        self.transport.write(data)
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    async def run_asgi(self, app: Any) -> None:
        """Have an app answer; what it leaves unfinished is a 500, or breaks the connection off."""
        try:
            await app(self.scope, self.receive, self.send)
        except BaseException as error:
            self.logger.error("Exception in ASGI application\n", exc_info=error)
            await self._give_up()
        else:
            if not (self.response_complete or self.disconnected):
                self.logger.error("ASGI callable returned without completing response.")
                await self._give_up()
        finally:
            self.on_response = _do_nothing  # or a connection and its last response would hold each other

    async def _give_up(self) -> None:
        if not self.response_started:
            await self.send_500_response()
            return
        self._flush()
        self.transport.close()

    async def receive(self) -> Any:
        """The request's body as far as it has come, or that the client has gone."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not (self.disconnected or self.response_complete):
            self.flow.resume_reading()
            if not self.message_event.is_set():
                await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return _DISCONNECTED
        body, self.body = bytes(self.body), bytearray()
        return {"type": "http.request", "body": body, "more_body": self.more_body}

    async def send(self, message: Any) -> None:
        """Write the head or a piece of the body; raises RuntimeError for what is no response."""
        if self.flow.write_paused and not self.disconnected:
            await self.flow.drain()
        if self.disconnected:
            return
        kind = message["type"]
        if not self.response_started and kind == "http.response.start":
            self.response_started, self.waiting_for_100_continue = True, False
            self._head = self._lay_out_head(message["status"], message.get("headers", ()))
            self._loop.call_soon(self._flush)
        elif self.response_started and not self.response_complete and kind == "http.response.body":
            self._send_piece(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"The message {kind!r} is not what a response goes on with.")

    def _lay_out_head(self, status: int, given: Any) -> bytes:
        headers: Headers = [*self.default_headers, *given]
        names, values = zip(*headers, strict=True) if headers else ((), ())
        all_names = b"".join(names)
        if all_names.translate(None, _IN_NAMES) or b"".join(values).translate(None, _IN_VALUES):
            raise RuntimeError("A header has characters that its name or value may not have.")
        said = dict(headers)
        if len(said) == len(headers) and all_names.islower():  # as those of the mock; a relayed head keeps its own case
            for name in _FRAMING.intersection(said):
                self._note_header(name, said[name])
        else:
            for name, value in headers:
                self._note_header(name.lower(), value)
        line = STATUS_LINE[status][:-2]
        state = self.scope.get("state")
        reason = state.get(REASON) if state else None  # nearly every answer is our own, and the state is empty
        if reason is not None:
            line = b"%b %b" % (line[: len("HTTP/1.1 200")], reason)
        head = b"\r\n".join([line, *map(b": ".join, headers), b""])
        if not self.keep_alive and not self._says_close:
            head += b"connection: close\r\n"
        if self.chunked_encoding is None and status not in _NO_BODY and self.scope["method"] != "HEAD":
            self.chunked_encoding = True
            head += b"transfer-encoding: chunked\r\n"
        return head + b"\r\n"

    def _note_header(self, name: bytes, value: bytes) -> None:
        """Note what a header says of the body's length or of the connection."""
        if name == b"content-length" and self.chunked_encoding is None:
            self.expected_content_length, self.chunked_encoding = int(value), False
        elif name == b"transfer-encoding" and value.lower() == b"chunked":
            self.expected_content_length, self.chunked_encoding = 0, True
        elif name == b"connection" and b"close" in [option.strip() for option in value.lower().split(b",")]:
            self.keep_alive, self._says_close = False, True

    def _send_piece(self, data: bytes, more: bool) -> None:
        if self.scope["method"] == "HEAD":
            self.expected_content_length, data = 0, b""
        elif self.chunked_encoding:
            data = b"%x\r\n%b\r\n" % (len(data), data) if data else b""
            data = data if more else data + b"0\r\n\r\n"
        elif len(data) > self.expected_content_length:
            raise RuntimeError("Response content longer than Content-Length")
        else:
            self.expected_content_length -= len(data)
        self._write(data)
        if more:
            return
        if self.expected_content_length:
            raise RuntimeError("Response content shorter than Content-Length")
        self.response_complete = True
        self.message_event.set()
        if not self.keep_alive:
            self.transport.close()
        self.on_response()

    def _write(self, data: bytes) -> None:
        """Write a piece of the body, the head in front of it if that still waits."""
        head, self._head = self._head, None
        if head is None:
            self.transport.write(data)
        elif len(data) <= MOST_JOINED:
            self.transport.write(head + data)
        else:
            self.transport.write(head)
            self.transport.write(data)

    def _flush(self) -> None:
        """Write the head if it still waits."""
        if self._head is not None:
            self._write(b"")


def _fail(error: BaseException, *given: Any) -> Awaitable[None]:
    raise error


def _do_nothing() -> None: ...
