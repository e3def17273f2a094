"""The server's side of an HTTP connection: uvicorn's, for clients that are silent, verbose or ask for more.

A response's head and first bytes are one write. A head that does not end, in time or in size, ends the connection. An
upgrade that this server doesn't know is ignored, and the request served.
"""

# Why more than uvicorn does:
# * uvicorn writes a head as soon as it has one, so an ordinary answer is two system calls and two packets, of which the
#   first says nothing yet. Here the head waits for the first piece of the body, and no longer than the event loop takes
#   to come round: of a response whose body is still to come (a relayed stream), the head is not held back.
# * A request that asks for an upgrade the server doesn't know is to be served as if it had not asked (RFC 9110 §7.8).
#   Java's HttpClient asks for h2c with every first request. The parser takes the request's body for another protocol
#   and stops, so the head is given to a new parser once more, without the wish. A WebSocket is asked for with GET
#   (RFC 6455 §4.1); with another method the wish is one that the server doesn't know.
# * A relayed response has the reason phrase of its upstream. ASGI has no place for it: it comes in the scope's state.
# * The size of a head is bounded while it comes, not when it is complete, and so is the time it takes. The timer only
#   runs while a head is missing or incomplete: a request that comes in one piece arms none.

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from mockserver.transport.http import REASON, STOPPING

MOST_HEAD = 65_536  # bytes
MOST_JOINED = 65_536  # bytes of body; a larger one is not copied only to have its head in front of it
_WISHES = frozenset((b"upgrade", b"connection", b"http2-settings"))
_WITHOUT_WISH = frozenset((b"CONNECT", b"PRI"))  # after these the parser stops in any case, whatever the headers say
_COMPLAINT = b"The head of a request may have %d bytes." % MOST_HEAD
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\ncontent-type: text/plain; charset=utf-8\r\n"
    b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(_COMPLAINT), _COMPLAINT)
)


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol over httptools; `head_timeout_s` bounds how long a head may take, from the connection on."""

    def __init__(self, *args: Any, head_timeout_s: float, **more: Any) -> None:
        super().__init__(*args, **more)
        self._head_timeout_s = head_timeout_s
        self._head_timer: asyncio.TimerHandle | None = None
        self._head_size = 0  # of the head that is coming in; 0 between them
        self._new_parser()

    def _new_parser(self) -> None:
        self.parser = _Parser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for a first request, for so long."""
        super().connection_made(transport)
        self._start_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._stop_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that is still incomplete then has to be complete in time."""
        super().data_received(data)
        if self._head_timer is None and self._head_size:
            self._start_timer()

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(self._head_timeout_s, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def shutdown(self) -> None:
        """End: at once between two requests, else with the answer to this one, which is told so."""
        if self.cycle is not None:
            self.cycle.scope[STOPPING] = True  # type: ignore[literal-required]  # a key of our own
        super().shutdown()

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        self._head_size = 1
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Take a piece of the target."""
        self._grow(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._grow(len(name) + len(value))
        super().on_header(name, value)

    def _grow(self, size: int) -> None:
        self._head_size += size
        if self._head_size > MOST_HEAD:
            raise HeadTooLarge

    def on_headers_complete(self) -> None:
        """Serve the request, unless it is to be read again without a wish."""
        self._head_size = 0
        if self._head_timer is not None:
            self._stop_timer()
        if not self._has_vain_wish():
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """End the request's body."""
        if not self._has_vain_wish():
            super().on_message_complete()

    def _has_vain_wish(self) -> bool:
        wished = self.parser.should_upgrade() and self.parser.get_method() not in _WITHOUT_WISH
        return wished and not self._should_upgrade()

    def _should_upgrade(self) -> bool:
        return self.parser.get_method() == b"GET" and super()._should_upgrade()

    def refuse_head(self) -> None:
        """Answer a head that does not end."""
        self._head_size = 0
        self.transport.write(_TOO_LARGE)
        self.transport.close()

    def end_after_answer(self) -> None:
        """Answer what was read, and read no more: what follows is no HTTP."""
        if self.cycle is not None:
            self.cycle.keep_alive = False
        self.flow.pause_reading()

    def read_again(self, rest: bytes) -> None:
        """Read the request once more without its wish for an upgrade; `rest` is what came behind its head."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        kept = [b"%b: %b\r\n" % header for header in self.headers if header[0] not in _WISHES]
        kept += [b"connection: %b\r\n" % left for left in self._other_options()]
        head = b"".join([b"%b %b HTTP/%b\r\n" % (method, self.url, version), *kept, b"\r\n"])
        self._new_parser()
        self.parser.feed_data(head + rest)

    def _other_options(self) -> list[bytes]:
        """What the connection was asked for besides an upgrade, such as to be closed."""
        values = [value for name, value in self.headers if name == b"connection"]
        options = [option.strip().lower() for value in values for option in value.split(b",")]
        return [option for option in options if option and option not in _WISHES]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        if not cycle.waiting_for_100_continue:  # else the first write is no head
            cycle.transport = HeadJoiner(cycle, self.transport, self.loop)  # type: ignore[assignment]
        super()._start_asgi_task(cycle, app)


class HeadTooLarge(Exception):
    """A head is larger than `MOST_HEAD`."""


class _Parser(httptools.HttpRequestParser):
    """The parser of a connection, which knows what to do where uvicorn's protocol gives up."""

    def __init__(self, protocol: HttpProtocol) -> None:
        super().__init__(protocol)
        self._protocol = protocol

    def feed_data(self, data: Any) -> None:
        """Read on; raises HttpParserUpgrade for a WebSocket only."""
        try:
            super().feed_data(data)
        except httptools.HttpParserUpgrade as stopped:
            if self._protocol._should_upgrade():
                raise
            if self.get_method() in _WITHOUT_WISH:
                self._protocol.end_after_answer()
            else:
                self._protocol.read_again(data[stopped.args[0] :])
        except httptools.HttpParserCallbackError as failed:
            if not isinstance(failed.__context__, HeadTooLarge):
                raise
            self._protocol.refuse_head()


class HeadJoiner:
    """Stands for the transport of one response until its head is written; has what the response uses of one."""

    __slots__ = ("_cycle", "_head", "_loop", "_transport", "is_closing")

    def __init__(
        self, cycle: RequestResponseCycle, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop
    ) -> None:
        self._cycle, self._transport, self._loop = cycle, transport, loop
        self._head: bytes | None = None
        self.is_closing = transport.is_closing

    def write(self, data: bytes) -> None:
        """Hold the head; write it together with what comes next."""
        if self._head is None:
            state = self._cycle.scope.get("state")
            reason = state.get(REASON) if state else None  # nearly every answer is our own, and the state is empty
            if reason is not None:
                status, _, headers = data.partition(b"\r\n")
                data = b"%b %b\r\n%b" % (status[: len("HTTP/1.1 200")], reason, headers)
            self._head = data
            self._loop.call_soon(self._flush)
        elif len(data) <= MOST_JOINED:
            self._cycle.transport = self._transport
            self._transport.write(self._head + data)
        else:
            self._flush()
            self._transport.write(data)

    def close(self) -> None:
        """Close the connection behind what was written."""
        self._flush()
        self._transport.close()

    def _flush(self) -> None:
        """Write the head if it still waits."""
        if self._cycle.transport is self and self._head is not None:
            self._cycle.transport = self._transport
            self._transport.write(self._head)
