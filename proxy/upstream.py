"""The way to the upstream: an `httpx.AsyncBaseTransport` with a pool of plain HTTP/1.1 connections.

It was chosen by measurement (`tests/bench/bench_relay.py`), and because it alone sends and returns headers byte for
byte and reads a response that comes before the request's end. No proxies from the environment, no `.netrc`, no
cookies, no redirects, no headers of its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from asyncio.staggered import staggered_race
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import httpx

from proxy.headers import CHUNKED
from proxy.http1 import Connection, Exchange

Origin = tuple[str, str, int]

IDLE_S = 15.0  # how long a connection is kept for the next request
NEXT_ADDRESS_S = 0.25  # how long one address of a host has before the next is tried beside it (RFC 8305)
REPEATABLE = frozenset(("GET", "HEAD", "OPTIONS", "PUT", "DELETE"))
PORTS = {"http": 80, "https": 443}


class WholeBody(httpx.AsyncByteStream):
    """A request body that is there already."""

    def __init__(self, data: bytes) -> None:
        self.data = data

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield it."""
        yield self.data


class ResponseBody(httpx.AsyncByteStream):
    """A response body, as it comes."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    def __aiter__(self) -> ResponseBody:
        return self

    async def __anext__(self) -> bytes:
        """Return what has arrived."""
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
            connection = self._kept(origin)
            kept = connection is not None
            if connection is None:
                connection = await self._connect(origin, timeout.get("connect"))
            exchange = connection.exchange(request.method, timeout.get("read"))
            try:
                _send(exchange, request)
                head = await exchange.head
            except httpx.TransportError:
                if kept and not exchange.answered and _repeatable(request):
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
        for connection in [one for kept in self._idle.values() for one in kept]:
            connection.close()
        self._idle.clear()

    def _kept(self, origin: Origin) -> Connection | None:
        kept = self._idle.get(origin)
        while kept:
            connection = kept.pop()
            if not connection.lost and not connection.transport.is_closing():
                return connection
        return None

    def _keep(self, origin: Origin, connection: Connection) -> None:
        self._idle.setdefault(origin, []).append(connection)
        if self._sweeper is None:
            self._sweeper = connection.loop.call_later(IDLE_S, self._sweep, connection.loop)

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        """Close what was not used for a while; kept connections are ordered by their last use."""
        oldest = loop.time() - IDLE_S
        for origin, kept in list(self._idle.items()):
            for connection in kept:
                if connection.free_since <= oldest and not connection.lost:
                    connection.close()
            self._idle[origin] = [one for one in kept if not one.lost]
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
            self._tls = httpx.create_ssl_context()
            self._tls.set_alpn_protocols(["http/1.1"])
        return self._tls


def _origin(url: httpx.URL) -> Origin:
    return url.scheme, url.host, url.port or PORTS[url.scheme]


def _repeatable(request: httpx.Request) -> bool:
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
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    if len(found) == 1:
        return await _connect_address(loop, *found[0])
    attempts = [partial(_connect_address, loop, *one) for one in _interleaved(found)]
    winner, _, errors = await staggered_race(attempts, NEXT_ADDRESS_S)
    if winner is None:
        raise next((error for error in errors if error is not None), OSError(f"{host} has no address"))
    return winner


def _interleaved(found: list[Any]) -> list[Any]:
    """Order addresses so that families take turns, the resolver's first choice first."""
    family = found[0][0]
    places: dict[bool, int] = {True: 0, False: 0}
    ranked = []
    for one in found:
        other = one[0] != family
        ranked.append((places[other], other, one))
        places[other] += 1
    return [one for _, _, one in sorted(ranked, key=lambda rank: rank[:2])]


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
