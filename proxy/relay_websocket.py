"""Forwarding a WebSocket: messages pass as they are, in order, both ways; it ends for one as it ended for the other."""

# The upstream's handshake comes first, the client's is answered after it: so a refusal (401, 404, a redirect) reaches
# the client as the HTTP answer that it is, and the subprotocol is the one that the upstream chose. Then two tasks pass
# messages on, one in each direction, until one side ends; the other is ended in the same way.
#
# What must stay true:
# * Codes and reasons pass, 1005 ("no code") as a close without a code; 1006 means that there was no close frame and
#   must not be sent (RFC 6455 §7.4.1), so a lost connection is broken off on the other side too (`LOST`, Abort).
# * What was sent before the end arrives before the end: when the upstream closes, `_pass_down` empties its queue first.
# * A side that is slow makes the other side wait: at most two messages are held in each direction (`max_queue=1` and
#   the one on its way), however much is sent.
# * A client that leaves during the handshake ends it: its first message is awaited while the handshake runs, since ASGI
#   tells of leaving by `receive()` alone.
# * Fragments, pings and compression are between neighbours: the libraries on both sides deal with them. Compression is
#   offered upstream only if the client offered it, as a server may answer differently.

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from dataclasses import dataclass, replace

import httpx
from starlette.types import Message, Receive, Scope, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.http11 import Response
from websockets.typing import Subprotocol

from mockserver.config.settings import Settings
from mockserver.transport.abort import Abort
from mockserver.wire.errors.api import MockError
from proxy import headers
from proxy.target import CONNECT_S, Target, describe_request
from proxy.upstream import PORTS, connect_socket

log = logging.getLogger("understudy.proxy")

PING_S = 20.0  # a pong proves that the upstream is there, while a model may say nothing for minutes
CLOSE_S = 5.0  # how long the upstream has to answer a close frame
NO_STATUS, ABNORMAL = 1005, 1006  # what a closed connection has instead of a code
FAILURES = (OSError, InvalidHandshake, ValueError)  # TimeoutError is an OSError, UnicodeError a ValueError
# beginnings of the names that the library writes itself; a copy of the client's key would be a second, wrong one
HANDSHAKE_HEADERS = (b"sec-websocket-", b"host", b"content-length")


class Connect(connect):
    """An opening handshake whose answer is passed on, whatever it is: a redirect is the client's to follow."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """The answer as it is; the library would follow it, or complain that our socket can't be used twice."""
        return exc


@dataclass(frozen=True, slots=True)
class Ending:
    """How a connection ended: with a close frame, whose code may be missing, or just so."""

    code: int | None = None
    reason: str = ""
    lost: bool = False


LOST = Ending(lost=True)


class WebSocketRelay:
    """Joins WebSockets to one upstream."""

    def __init__(self, settings: Settings, target: Target, tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._timeout = settings.upstream_timeout
        self._tls = tls
        # the library's own logger shows all headers, the keys too, as soon as somebody sets DEBUG for the process
        self._silent_log = logging.Logger("websockets", logging.CRITICAL + 1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> MockError | None:
        """Relay one WebSocket; returns the error to answer with when the upstream gave no answer. Raises Abort."""
        await receive()
        client = Client(receive)
        try:
            upstream = await self._open_unless_left(scope, client)
        except InvalidStatus as refusal:
            await _refuse(refusal.response, send)
            return None
        except FAILURES as failure:
            return self._target.report_failure(scope, failure)
        if upstream is not None:
            try:
                await _accept(upstream, send)
                await _join(scope, client, upstream, send)
            finally:
                client.first.cancel()
                # no close frame here: whoever closed properly has done so in `_join`, the rest is a lost connection
                upstream.transport.abort()
        return None

    async def _open_unless_left(self, scope: Scope, client: Client) -> ClientConnection | None:
        """The upstream's side, or None when the client left before it was there."""
        opening = asyncio.ensure_future(self._open(scope))
        try:
            await asyncio.wait((opening, client.first), return_when=asyncio.FIRST_COMPLETED)
            # a client may send before it is accepted; only leaving counts
            if opening.done() or not client.has_left:
                return await opening
            return None
        except BaseException:
            client.first.cancel()
            raise
        finally:
            # waiting for the end of the cancelled handshake closes its socket before we go on
            if opening.cancel():
                await asyncio.wait((opening,))

    async def _open(self, scope: Scope) -> ClientConnection:
        """Shake hands with the upstream; raises InvalidStatus when it refuses."""
        target = self._target
        secure = target.base.scheme == "https"
        opening = Connect(
            f"{'wss' if secure else 'ws'}://{target.host.decode('ascii')}/",
            ssl=self._tls_context() if secure else None,
            subprotocols=[Subprotocol(name) for name in scope["subprotocols"]] or None,
            compression="deflate" if _offers_compression(scope) else None,
            additional_headers=_handshake_headers(scope, target),
            user_agent_header=None,
            proxy=None,  # the library would take one from the environment
            open_timeout=self._timeout,
            ping_interval=PING_S,
            ping_timeout=self._timeout,
            close_timeout=CLOSE_S,
            max_size=None,  # how long a message may be is for the two ends to say
            max_queue=1,
            logger=self._silent_log,
            sock=await self._socket(),
        )
        # set afterwards: of a URL's last segment the library's parser (urlparse) drops what follows a `;`
        opening.ws_uri = replace(opening.ws_uri, path=target.request_target(scope).decode("ascii"))
        return await opening

    async def _socket(self) -> socket.socket:
        base = self._target.base
        async with asyncio.timeout(min(CONNECT_S, self._timeout)):
            return await connect_socket(asyncio.get_running_loop(), base.host, base.port or PORTS[base.scheme])

    def _tls_context(self) -> ssl.SSLContext:
        if self._tls is None:
            self._tls = httpx.create_ssl_context()
        return self._tls


class Client:
    """The client's side; its first message is awaited early, so that one who leaves during the handshake is noticed."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.first = asyncio.ensure_future(_receive(receive))

    @property
    def has_left(self) -> bool:
        """Whether it left before it sent anything."""
        return self.first.done() and self.first.result()["type"] == "websocket.disconnect"

    async def pass_on(self, upstream: ClientConnection) -> Ending | None:
        """Send its messages upstream until it ends; returns how it did, None when the upstream ended before it."""
        message = await self.first
        while message["type"] != "websocket.disconnect":
            text = message.get("text")
            try:
                await upstream.send(message["bytes"] if text is None else text)
            except ConnectionClosed:
                return None
            message = await self._receive()
        code, reason = message.get("code", NO_STATUS), message.get("reason")
        # uvicorn reports a broken connection as 1005 without a reason, a close frame without a code with an empty one
        if code == ABNORMAL or (code == NO_STATUS and reason is None):
            return LOST
        return Ending(None if code == NO_STATUS else code, reason or "")


async def _receive(receive: Receive) -> Message:
    return await receive()  # a task needs a coroutine; `receive` may return any awaitable


async def _join(scope: Scope, client: Client, upstream: ClientConnection, send: Send) -> None:
    """Pass messages on until one side ends, then end the other likewise. Raises Abort."""
    up = asyncio.ensure_future(client.pass_on(upstream))
    down = asyncio.ensure_future(_pass_down(upstream, send))
    try:
        await asyncio.wait((up, down), return_when=asyncio.FIRST_COMPLETED)
        # both may have ended at the same moment: then closing the upstream does nothing, and nobody is left to tell
        ending = up.result() if up.done() else None
        if ending is None:
            await _end_client(scope, await down, send)
        elif not ending.lost:
            await upstream.close(ending.code, ending.reason)  # type: ignore[arg-type]  # None: a close without a code
    finally:
        up.cancel()
        down.cancel()
        await asyncio.wait((up, down))


async def _pass_down(upstream: ClientConnection, send: Send) -> Ending:
    """Send the upstream's messages to the client until the upstream ends; what comes for one who left is dropped."""
    client_there = True
    while True:
        try:
            message = await upstream.recv()
        except ConnectionClosed as closed:
            return _ending(closed)
        # read on without a client: the upstream's answer to our close frame is behind what it has sent already
        if client_there:
            try:
                await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})
            except OSError:
                client_there = False


def _ending(closed: ConnectionClosed) -> Ending:
    """Return how the upstream ended: as its close frame says, if it sent one."""
    if closed.rcvd is None:
        return LOST
    return Ending(None if closed.rcvd.code == NO_STATUS else closed.rcvd.code, closed.rcvd.reason)


async def _end_client(scope: Scope, ending: Ending, send: Send) -> None:
    if ending.lost:
        log.warning("upstream broke off: %s", describe_request(scope))
        raise Abort
    with contextlib.suppress(OSError):  # the client may have left at the same moment
        await send({"type": "websocket.close", "code": ending.code, "reason": ending.reason})


async def _accept(upstream: ClientConnection, send: Send) -> None:
    assert upstream.response is not None
    end_to_end = headers.for_client(_raw_headers(upstream.response), 101)
    kept = [(name, value) for name, value in end_to_end if not name.lower().startswith(HANDSHAKE_HEADERS)]
    await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol, "headers": kept})


async def _refuse(response: Response, send: Send) -> None:
    """Pass on an upstream's answer that is no handshake."""
    status, kind = response.status_code, "websocket.http.response"
    passed = headers.for_client(_raw_headers(response), status)
    await send({"type": f"{kind}.start", "status": status, "headers": passed})
    await send({"type": f"{kind}.body", "body": response.body or b""})


def _raw_headers(response: Response) -> headers.Headers:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers.raw_items()]


def _handshake_headers(scope: Scope, target: Target) -> list[tuple[str, str]]:
    """The headers for the upstream's handshake without those that the library writes itself."""
    return [
        (name.decode("latin-1"), value.decode("latin-1"))
        for name, value in headers.for_upstream(scope["headers"], target.host, target.authorization)
        if not name.lower().startswith(HANDSHAKE_HEADERS)
    ]


def _offers_compression(scope: Scope) -> bool:
    return any(
        b"permessage-deflate" in value for name, value in scope["headers"] if name == b"sec-websocket-extensions"
    )
