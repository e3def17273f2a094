"""One HTTP/1.1 connection to the upstream and the exchange on it."""

# httptools parses; `Connection` is the asyncio protocol, which outlives its exchanges; `Exchange` is one request and
# its response. The response is read from the first byte of the request on: bytes arrive in `feed`, wait in `_chunks`,
# and leave by `read`. Each exchange ends once, in `_finish` or `_fail`, and gives its connection back or closes it.
#
# What must stay true:
# * A torn response is never complete. Only what delimits it ends it: its length, its last chunk, or, if it has neither,
#   a clean end of the connection. The tests cut a response at each of its bytes.
# * A connection is used again only if both sides are done with it: the response is complete and allows it, the request
#   is sent to its end, and no byte came that belongs to neither. Such a byte could be the answer to the next request.
# * The upstream may answer before it has the whole request, and the answer counts: then the upload stops.
# * Nothing here grows without limit: beyond HIGH_WATER the upstream's socket is not read, and `drain` holds the upload.
# * Silence is the upstream's fault only if it is the upstream's turn: not while the client does not read on, nor while
#   it has not sent its body yet (`_check_silence`). One timer for each exchange, not one for each read.
#
# Why not h11, which is installed too? It takes 10 to 14 times the CPU to parse a response (tests/bench/bench_relay.py:
# 40 µs, a quarter of what a whole forwarded request costs), and writes Host first whatever the order. It would take the
# place of the parser, not of the rest. Errors are httpx's own exceptions, because `upstream.Upstream` is an httpx
# transport; why it is not one of httpx's is told there.

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, Callable
from dataclasses import dataclass
from typing import Any, cast

import httptools
import httpx

HIGH_WATER = 256 * 1024  # bytes of a response that wait here for their reader before the upstream is made to wait
# RFC 9112 §6.3: these never have a body, whatever their headers say (an answer to HEAD has none either)
BODILESS = frozenset((204, 304))


@dataclass(slots=True)
class Head:
    """What precedes the body of a response: status, reason phrase, headers as they came."""

    status: int
    reason: bytes
    headers: list[tuple[bytes, bytes]]


class Connection(asyncio.Protocol):
    """A connection that carries one exchange at a time; `on_free` is called whenever it can carry another."""

    def __init__(self, loop: asyncio.AbstractEventLoop, on_free: Callable[[Connection], None]) -> None:
        self.loop = loop
        self.lost = False
        self.free_since = 0.0
        self.transport: asyncio.Transport
        self._on_free = on_free
        self._exchange: Exchange | None = None
        self._writable: asyncio.Future[None] | None = None
        self._writing_paused = False

    def begin_exchange(self, method: str, read_timeout: float | None) -> Exchange:
        """Begin an exchange; the one before must have ended."""
        self._exchange = Exchange(self, method, read_timeout)
        return self._exchange

    def end_exchange(self, *, reusable: bool) -> None:
        """Let go of the exchange, which is complete or given up."""
        self._exchange = None
        if reusable and not self.lost:
            self.free_since = self.loop.time()
            self._on_free(self)
        else:
            self.close()

    def close(self) -> None:
        """Close at once; what was not sent yet is dropped."""
        self.lost = True
        # not close(): it would wait for an upstream that takes no bytes
        self.transport.abort()

    def resume_reading(self) -> None:
        """Let the upstream send on."""
        if not self.lost and not self.transport.is_closing():
            self.transport.resume_reading()

    async def drain(self) -> None:
        """Wait until the upstream takes more bytes."""
        if self._writing_paused and not self.lost:
            self._writable = self.loop.create_future()
            await self._writable

    @property
    def is_blocked(self) -> bool:
        """Whether the upstream does not take what was sent."""
        return self._writing_paused

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)  # uvloop's class is not a subclass of asyncio's

    def data_received(self, data: bytes) -> None:
        """Pass bytes to the exchange; bytes that nobody asked for make the connection unusable."""
        if self._exchange is None:
            self.close()
        else:
            self._exchange.feed(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Tell the exchange that nothing more will come."""
        self.lost = True
        self.resume_writing()
        if self._exchange is not None:
            self._exchange.feed_end(error)

    def pause_writing(self) -> None:
        """Note that the upstream does not take more bytes for now."""
        self._writing_paused = True

    def resume_writing(self) -> None:
        """Wake whoever waits in `drain`."""
        self._writing_paused = False
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)


class Exchange:
    """A request and its response: `send`, await `head`, then `read` until it returns nothing; or `give_up`."""

    def __init__(self, connection: Connection, method: str, read_timeout: float | None) -> None:
        loop = connection.loop
        self.head: asyncio.Future[Head] = loop.create_future()
        self.answered = False  # whether the upstream sent a single byte
        self._connection = connection
        self._bodiless = method == "HEAD"
        self._parser: Any = httptools.HttpResponseParser(self)
        self._status = 0
        self._reason = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._delimited = False  # by a length or chunks, not by the end of the connection
        self._keep_alive = False
        self._complete = False
        self._excess = False
        self._error: Exception | None = None
        self._chunks: list[bytes] = []
        self._waiting_bytes = 0
        self._reading_paused = False
        self._reader: asyncio.Future[None] | None = None
        self._upload: asyncio.Task[None] | None = None
        self._timeout = read_timeout
        self._heard = loop.time()
        self._timer = None if read_timeout is None else loop.call_later(read_timeout, self._check_silence)

    # the request

    def send(self, head: bytes, body: bytes) -> None:
        """Send a request that is complete."""
        # one write, so one packet for most requests
        self._connection.transport.write(head + body if body else head)

    def send_stream(self, head: bytes, body: AsyncIterable[bytes], *, chunked: bool) -> None:
        """Send a request whose body arrives bit by bit, while the response may already be read."""
        self._connection.transport.write(head)
        self._upload = self._connection.loop.create_task(self._send_body(body, chunked=chunked))

    async def _send_body(self, body: AsyncIterable[bytes], *, chunked: bool) -> None:
        connection = self._connection
        try:
            async for part in body:
                if connection.lost:
                    return  # `feed_end` says what happened
                if part:
                    connection.transport.write(b"%x\r\n%b\r\n" % (len(part), part) if chunked else part)
                    self._heard = connection.loop.time()
                    await connection.drain()
            if chunked:
                connection.transport.write(b"0\r\n\r\n")
            # from here on it is the upstream's turn
            self._heard = connection.loop.time()
            self._upload = None
        except Exception as error:
            # the client's side failed; its exception reaches whoever waits for the head
            self._fail(error)

    # the response, as the connection sees it

    def feed(self, data: bytes) -> None:
        """Take bytes of the response."""
        self.answered = True
        self._heard = self._connection.loop.time()
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # also behind a complete response, where `_fail` does nothing: the connection must not be kept
            self._excess = True
            self._fail(httpx.RemoteProtocolError(f"invalid response: {error}"))
        # only now, not in the parser's callbacks: the same bytes may hold more than this response
        if self._complete:
            self._finish()
        elif self._chunks:
            self._wake()

    def feed_end(self, error: Exception | None) -> None:
        """Take the end of the connection, which ends the response only if nothing else delimits it."""
        if self.head.done() and not self._delimited and error is None:
            self._complete = True
            self._keep_alive = False
            self._finish()
        elif error is None:
            where = "in the middle of a response" if self.head.done() else "before it answered"
            self._fail(httpx.RemoteProtocolError(f"the server closed the connection {where}"))
        else:
            self._fail(httpx.ReadError(str(error) or type(error).__name__))

    # the response, as its reader sees it

    async def read(self) -> bytes:
        """Return what has arrived, waiting for at least one byte; nothing at the end; raises if it broke off."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._complete:
                return b""
            self._reader = self._connection.loop.create_future()
            await self._reader
        # all that waits in one piece: fewer messages to a client that is slower than the upstream
        data = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        self._chunks.clear()
        self._waiting_bytes = 0
        if self._reading_paused:
            self._reading_paused = False
            self._heard = self._connection.loop.time()
            self._connection.resume_reading()
        return data

    def give_up(self) -> None:
        """Close the connection unless the response is complete."""
        self._fail(httpx.ReadError("given up"))

    # the end

    def _finish(self) -> None:
        """The response is complete; its last bytes may still wait for their reader."""
        self._stop()
        self._wake()
        sent = self._upload is None
        self._stop_upload()
        self._connection.end_exchange(reusable=self._keep_alive and sent and not self._excess)

    def _fail(self, error: Exception) -> None:
        if self._complete or self._error is not None:
            return
        self._error = error
        self._stop()
        if not self.head.done():
            self.head.set_exception(error)
            self.head.exception()  # marks it as seen: asyncio would log it if nobody waits any more
        self._wake()
        self._stop_upload()
        self._connection.end_exchange(reusable=False)

    def _stop(self) -> None:
        self._parser = None  # it knows this exchange: what knows each other waits for the garbage collector
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reading_paused and self._complete:
            self._reading_paused = False
            self._connection.resume_reading()

    def _stop_upload(self) -> None:
        # the upload itself may be what failed; a task that cancels itself would end as cancelled, not as done
        if self._upload is not None and self._upload is not asyncio.current_task():
            self._upload.cancel()

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def _check_silence(self) -> None:
        """Fail when it is the upstream that kept silent, not the client that does not read or send."""
        assert self._timeout is not None
        loop = self._connection.loop
        client_turn = self._reading_paused or (self._upload is not None and not self._connection.is_blocked)
        silent = 0.0 if client_turn else loop.time() - self._heard
        if silent >= self._timeout:
            failure = httpx.WriteTimeout if self._connection.is_blocked else httpx.ReadTimeout
            self._fail(failure(f"no byte for {self._timeout:g} s"))
        else:
            self._timer = loop.call_later(self._timeout - silent, self._check_silence)

    # what httptools calls

    def on_message_begin(self) -> None:
        """A response begins; after the first it is more than was asked for."""
        self._excess = self._excess or self._complete

    def on_status(self, reason: bytes) -> None:
        self._reason += reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header, or a trailer, which is dropped."""
        # trailers: nobody announced them to the client, whose head is sent
        if not self.head.done():
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete; 1xx are for this connection alone."""
        self._status = self._parser.get_status_code()
        if self._status < 200 or self.head.done():
            return
        names = {name.lower() for name, _ in self._headers}
        self._keep_alive = self._parser.should_keep_alive()
        self._bodiless = self._bodiless or self._status in BODILESS
        self._delimited = b"content-length" in names or b"transfer-encoding" in names or self._bodiless
        self.head.set_result(Head(self._status, self._reason, self._headers))
        # the parser does not know the method, so it would wait for the body that an answer to HEAD announces
        if self._bodiless:
            self._complete = True

    def on_body(self, data: bytes) -> None:
        if self._complete:
            self._excess = True
            return
        self._chunks.append(data)
        self._waiting_bytes += len(data)
        if self._waiting_bytes > HIGH_WATER and not self._reading_paused:
            self._reading_paused = True
            self._connection.transport.pause_reading()

    def on_message_complete(self) -> None:
        """The response is complete, unless it was a 1xx."""
        if self._status < 200:
            self._headers, self._reason = [], b""
        else:
            self._complete = True
