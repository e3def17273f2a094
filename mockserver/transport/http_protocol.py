"""The server's side of an HTTP connection: uvicorn's, for clients that are silent, verbose or ask for more.

A response's head and first bytes are one write. A head that does not end, in time or in size, ends the connection. An
upgrade that this server doesn't know is ignored, and the request served.
"""

# Why more than uvicorn does:
# * uvicorn writes a head as soon as it has one, so an ordinary answer is two system calls and two packets, of which the
#   first says nothing yet; and it looks at each header by itself. `response_cycle` has what is done instead.
# * A request that asks for an upgrade the server doesn't know is to be served as if it had not asked (RFC 9110 §7.8).
#   Java's HttpClient asks for h2c with every first request. The parser takes the request's body for another protocol
#   and stops, so the head is given to a new parser once more, without the wish. A WebSocket is asked for with GET
#   (RFC 6455 §4.1); with another method the wish is one that the server doesn't know.
# * Most clients send a head and then its body, which come in two pieces. The app is called with the head; if it can
#   answer in one go it is called again with the body, and needs no task that waits for it (`response_cycle`).
# * The size of a head is bounded while it comes, not when it is complete, and so is the time it takes. The timer only
#   runs while a head is missing or incomplete: a request that comes in one piece arms none.
# * uvicorn arms a timer after each answer, by which an idle connection ends, and cancels it with the next request. Here
#   a connection has one, which looks when it comes due how long nothing has been asked, and waits for the rest.

from __future__ import annotations

import asyncio
from functools import lru_cache
from itertools import chain
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from mockserver.transport.http import BY_NAME, STOPPING
from mockserver.transport.response_cycle import LazyEvent, ResponseCycle

MOST_HEAD = 65_536  # bytes
SHORT_TARGET = 256  # bytes; a few targets come again and again, and are taken apart once
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
        self._idle_timer: asyncio.TimerHandle | None = None
        self._idle_since = 0.0  # on the loop's clock
        self._in_head = self._in_message = False
        self._head_size = 0  # what came of a head in earlier pieces
        self._piece_size = 0  # of the piece that is being read
        self._next: ResponseCycle | None = None  # whose head has come, and whose turn it is
        self._is_first = True  # whether the piece began with the message that it is in
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
        self._stop_idle_timer()
        if self._next is not None:
            self._next.abandon()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read on; a head that is still incomplete then may not be too large yet, and has to be complete in time."""
        self._is_first, self._piece_size = not self._in_message, len(data)
        super().data_received(data)
        if self._next is not None:
            self._answer_next(self._next)
        if not self._in_head or self.transport.is_closing():
            return
        # what came before the head in this piece was a message, which is no part of it
        self._head_size += len(data) if self._is_first or self._head_size else self._known_size()
        if self._head_size > MOST_HEAD:
            self.refuse_head()
        elif self._head_timer is None:
            self._start_timer()

    def _answer_next(self, cycle: ResponseCycle) -> None:
        """Have the app answer a request, in a task unless it does so within its call.

        Of requests that came together this is the first; those after it get tasks, so that others are served as well.
        """
        app = cycle.call(self.app)
        if app is not None:
            self._start_asgi_task(cycle, app)
        if app is not None or not cycle.more_body:
            self._next = None

    def _known_size(self) -> int:
        return len(self.url) + sum(map(len, chain.from_iterable(self.headers)))

    def _start_timer(self) -> None:
        self._head_timer = self.loop.call_later(self._head_timeout_s, self.transport.close)

    def _stop_timer(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def on_response_complete(self) -> None:
        """Have the next request answered; if none is there, the connection is idle from now on."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self._idle_timer is None:
            self._idle_timer = self.loop.call_later(self.timeout_keep_alive, self._end_if_idle)

    def _end_if_idle(self) -> None:
        """End a connection on which nothing was asked for as long as it may be idle."""
        self._idle_timer = None
        if self._in_message or self.cycle is None or not self.cycle.response_complete:
            return  # the end of this answer arms it again
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._idle_timer = self.loop.call_later(left, self._end_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the protocol of WebSockets, which has a time of its own."""
        self._stop_idle_timer()
        super().handle_websocket_upgrade()

    def shutdown(self) -> None:
        """End: at once between two requests, else with the answer to this one, which is told so."""
        if self.cycle is not None:
            self.cycle.scope[STOPPING] = True  # type: ignore[literal-required]  # a key of our own
        super().shutdown()

    def on_message_begin(self) -> None:
        """Begin to read a head."""
        self._in_head = self._in_message = True
        super().on_message_begin()

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        """Serve the request, unless it is to be read again without a wish."""
        self._in_head = False
        if self._head_size or self._piece_size > MOST_HEAD:
            self._head_size = 0
            if self._known_size() > MOST_HEAD:
                raise HeadTooLarge
        if self._head_timer is not None:
            self._stop_timer()
        parser = self.parser
        if parser.should_upgrade() and (self._has_vain_wish() or self._should_upgrade()):
            if not self._has_vain_wish():
                super().on_headers_complete()
            return
        self._begin_response()

    def _begin_response(self) -> None:
        """Have the app answer the request whose head was read, after those that came before it."""
        parser, scope, version = self.parser, self.scope, self.parser.get_http_version()
        scope["method"] = parser.get_method().decode("ascii")
        said: dict[bytes, bytes] = dict(self.headers)
        scope[BY_NAME] = said  # type: ignore[literal-required]  # a key of our own
        if version != "1.1":
            scope["http_version"] = version
        scope["path"], scope["raw_path"], scope["query_string"] = _read_target(self.url)
        before, self.cycle = (
            self.cycle,
            ResponseCycle(
                self.loop,
                scope,
                self.transport,
                self.flow,
                self.logger,
                self.access_logger,
                False,  # no log of uvicorn's
                self.server_state.default_headers,
                LazyEvent(),
                said.get(b"expect", b"").lower() == b"100-continue",
                version != "1.0" and parser.should_keep_alive(),
                self.on_response_complete,
            ),
        )
        if before is None or before.response_complete:
            self._next = self.cycle
        else:
            self.flow.pause_reading()
            self.pipeline.appendleft((self.cycle, self.app))

    def on_message_complete(self) -> None:
        """End the request's body."""
        self._in_message = self._is_first = False
        if not self._has_vain_wish():
            super().on_message_complete()

    def _has_vain_wish(self) -> bool:
        wished = self.parser.should_upgrade() and self.parser.get_method() not in _WITHOUT_WISH
        return wished and not self._should_upgrade()

    def _should_upgrade(self) -> bool:
        return self.parser.get_method() == b"GET" and super()._should_upgrade()

    def refuse_head(self) -> None:
        """Answer a head that does not end."""
        self._in_head = False
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


@lru_cache(maxsize=1024)
def _read_short_target(url: bytes) -> tuple[str, bytes, bytes]:
    parsed = httptools.parse_url(url)
    path = parsed.path.decode("ascii")
    return unquote(path) if "%" in path else path, parsed.path, parsed.query or b""


def _read_target(url: bytes) -> tuple[str, bytes, bytes]:
    """The decoded path, the path and the query of a request's target."""
    return _read_short_target(url) if len(url) < SHORT_TARGET else _read_short_target.__wrapped__(url)


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
