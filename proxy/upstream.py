"""The way to the upstream: an `httpx.AsyncBaseTransport` with a pool of plain HTTP/1.1 connections."""

# A request takes the connection that was used last, or a new one; when its response is complete the connection is kept
# for IDLE_S seconds. There are as many connections as there are requests at a time. No proxies from the environment, no
# `.netrc`, no cookies, no redirects, no decoding, no headers of its own.
#
# Why our own client. What a proxy has to do and the libraries don't (tests/proxy/test_own_client.py, and
# tests/bench/bench_relay.py for aiohttp; both fail as soon as a library has learned it):
#
#                                                httpx, httpx2 (h11)           aiohttp
#   the request's headers keep their order       no: Host goes first           no: Host goes first
#   header values with bytes above 127           yes                           no: sent as UTF-8, other bytes
#   no header is added                           yes                           no: Content-Length: 0 to a POST without
#   an answer before the request's end           no: it reads after the last   yes
#                                                byte of the body is sent
#   a response's head of 200 kB                  no: error above 100 kB        no: error above 8190 B a line (an option)
#   CPU of a forwarded JSON request              4.3 to 5.1 (httpx)            1.6 to 1.7
#   CPU of a forwarded answer of 50 events       2.8 to 3.2 (httpx)            1.2 to 1.4
#
# The CPU is the proxy's, as a ratio to a bare ASGI relay on aiohttp; ours is 0.9 to 1.2 for both, the more the busier
# the machine. No option of httpx gives the order of headers or the early answer: h11 writes the head, and httpcore
# sends the whole body before it reads a byte. What is no reason: the exact target (httpx takes one in `extensions`,
# aiohttp in `URL(encoded=True)`), the case of names, torn answers (all raise), and repeating (httpx never repeats a
# request, aiohttp repeats what we repeat).
#
# What must stay true: a request is sent a second time only if it may be done twice (RFC 9110 §9.2.2), its body is
# still here, it went over a kept connection, and not one byte came back: so a POST, which costs money, never is.

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from asyncio.staggered import staggered_race
from collections.abc import AsyncIterator
from functools import partial
from itertools import zip_longest
from typing import Any

import httpx

from proxy.headers import CHUNKED
from proxy.http1 import Connection, Exchange

Origin = tuple[str, str, int]

# how long a connection is kept for the next request: shorter means more TLS handshakes, longer means more requests on a
# connection that the upstream has just closed, and those of them that can't be repeated fail
IDLE_S = 15.0
NEXT_ADDRESS_S = 0.25  # how long one address of a host has before the next is tried beside it (RFC 8305)
# the idempotent methods that a client of the API uses (RFC 9110 §9.2.2)
REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
PORTS = {"http": 80, "https": 443}


class WholeBody(httpx.AsyncByteStream):
    """A request body that is there already."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self.data


class ResponseBody(httpx.AsyncByteStream):
    """A response body, as it comes."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> ResponseBody:
        return self

    async def __anext__(self) -> bytes:
        data = await self._exchange.read()
        if not data:
            raise StopAsyncIteration
        return data

    async def aclose(self) -> None:
        """Stop reading; the connection is closed unless the response is complete."""
        self._exchange.give_up()


class Upstream(httpx.AsyncBaseTransport):
    """Sends requests over kept connections, as many as there are requests at a time.

    `request.extensions` may hold `timeout` (httpx's own: `connect` and `read`, in seconds) and `target`, the request
    target's exact bytes.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self._idle: dict[Origin, list[Connection]] = {}
        self._sweeper: asyncio.TimerHandle | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and return its response once the head is there; raises httpx.TransportError."""
        origin = _origin(request.url)
        timeout = request.extensions.get("timeout", {})
        while True:
            connection = self._take_idle(origin)
            reused = connection is not None
            if connection is None:
                connection = await self._connect(origin, timeout.get("connect"))
            exchange = connection.begin_exchange(request.method, timeout.get("read"))
            try:
                _send(exchange, request)
                head = await exchange.head
            except httpx.TransportError:
                # the upstream closed the idle connection at the moment when we used it; each turn of the loop uses up
                # one kept connection, so it ends
                if reused and not exchange.answered and _is_repeatable(request):
                    continue
                raise
            except BaseException:
                exchange.give_up()
                raise
            details = {"http_version": b"HTTP/1.1", "reason_phrase": head.reason}
            return httpx.Response(head.status, headers=head.headers, stream=ResponseBody(exchange), extensions=details)

    async def aclose(self) -> None:
        """Close the kept connections."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            self._sweeper = None
        for connection in [connection for idle in self._idle.values() for connection in idle]:
            connection.close()
        self._idle.clear()

    def _take_idle(self, origin: Origin) -> Connection | None:
        idle = self._idle.get(origin)
        # the one used last: it lives longest, and the others grow old together
        while idle:
            connection = idle.pop()
            if not connection.lost and not connection.transport.is_closing():
                return connection
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        self._idle.setdefault(origin, []).append(connection)
        if self._sweeper is None:
            self._sweeper = connection.loop.call_later(IDLE_S, self._sweep, connection.loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what was not used for a while."""
        # one timer for all connections: one for each would be set and cancelled by each request
        oldest = loop.time() - IDLE_S
        for origin, idle in list(self._idle.items()):
            for connection in idle:
                if connection.free_since <= oldest and not connection.lost:
                    connection.close()
            self._idle[origin] = [connection for connection in idle if not connection.lost]
        busy = any(self._idle.values())
        self._sweeper = loop.call_later(IDLE_S, self._sweep, loop) if busy else None

    async def _connect(self, origin: Origin, timeout: float | None) -> Connection:
        scheme, host, port = origin
        try:
            async with asyncio.timeout(timeout):
                return await self._open(scheme, host, port, partial(self._keep, origin))
        except TimeoutError:
            raise httpx.ConnectTimeout(f"no connection to {host}:{port} within {timeout:g} s") from None
        except (OSError, UnicodeError) as error:  # ssl.SSLError and socket.gaierror are OSErrors
            raise httpx.ConnectError(str(error) or type(error).__name__) from error

    async def _open(self, scheme: str, host: str, port: int, on_free: Any) -> Connection:
        loop = asyncio.get_running_loop()
        sock = await connect_socket(loop, host, port)
        try:
            # a short request must not wait until the last packet is confirmed
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls = self._tls_context() if scheme == "https" else None
            _, connection = await loop.create_connection(
                partial(Connection, loop, on_free), sock=sock, ssl=tls, server_hostname=host if tls else None
            )
        except BaseException:
            sock.close()
            raise
        return connection

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            # made when it is needed: reading the certificates takes 25 ms
            self._tls = httpx.create_ssl_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port or PORTS[url.scheme]


def _is_repeatable(request: httpx.Request) -> bool:
    return request.method in REPEATABLE and isinstance(request.stream, WholeBody)


def _send(exchange: Exchange, request: httpx.Request) -> None:
    headers = request.headers.raw
    target = request.extensions.get("target") or request.url.raw_path
    lines = [b"%b %b HTTP/1.1" % (request.method.encode("ascii"), target)]
    lines += [b"%b: %b" % header for header in headers]
    head = b"\r\n".join(lines) + b"\r\n\r\n"
    chunked = any(name.lower() == CHUNKED[0] for name, _ in headers)
    stream = request.stream
    if not isinstance(stream, WholeBody):
        assert isinstance(stream, httpx.AsyncByteStream)
        exchange.send_stream(head, stream, chunked=chunked)
    elif chunked and stream.data:
        exchange.send(head, b"%x\r\n%b\r\n0\r\n\r\n" % (len(stream.data), stream.data))
    else:
        exchange.send(head, b"0\r\n\r\n" if chunked else stream.data)


async def connect_socket(loop: asyncio.AbstractEventLoop, host: str, port: int) -> socket.socket:
    """Connect to the first address of the host that answers."""
    # not loop.create_connection(host): uvloop has no happy_eyeballs_delay, it tries the addresses one after the other
    addresses = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if len(addresses) == 1:
        return await _connect_address(loop, *addresses[0])
    attempts = [partial(_connect_address, loop, *address) for address in _alternate_families(addresses)]
    winner, _, errors = await staggered_race(attempts, NEXT_ADDRESS_S)
    if winner is None:
        raise next((error for error in errors if error is not None), OSError(f"{host} has no address"))
    return winner


def _alternate_families(addresses: list[Any]) -> list[Any]:
    """Order addresses so that families take turns, the resolver's first choice first."""
    # RFC 8305 §4: where IPv6 is broken, a host's second address would be of IPv6 too, and its third
    family = addresses[0][0]
    first_family = [address for address in addresses if address[0] == family]
    other_families = [address for address in addresses if address[0] != family]
    pairs = zip_longest(first_family, other_families)
    return [address for pair in pairs for address in pair if address is not None]


async def _connect_address(
    loop: asyncio.AbstractEventLoop, family: int, kind: int, protocol: int, _: str, address: Any
) -> socket.socket:
    sock = socket.socket(family, kind, protocol)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, address)
    except BaseException:
        with contextlib.suppress(OSError):
            sock.close()
        raise
    return sock
