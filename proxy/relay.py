"""Forwarding, byte for byte: nothing is decoded, buffered, followed or retried, and a torn answer stays torn."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from functools import lru_cache

import httpx
from starlette.types import Message, Receive, Scope, Send

from mockserver.settings import Settings
from mockserver.transport.abort import Abort
from mockserver.wire.errors import MockError
from proxy import headers
from proxy.target import CONNECT_S, Target, line, reason
from proxy.upstream import WholeBody

log = logging.getLogger("understudy.proxy")

FAILURES = (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, OSError)


class ClientGone(Exception):
    """The client closed its connection."""


class Client:
    """The request's side of a relay: its body, and whether it is still there."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.task = asyncio.current_task()
        self._watcher: asyncio.Task[None] | None = None
        self.gone = False
        self.served = False

    async def body(self) -> httpx.AsyncByteStream:
        """Wait for the first bytes of the body and return it; raises ClientGone."""
        message = await self._next()
        if message.get("more_body", False):
            return StreamedBody(self, message)
        self._watch()
        return WholeBody(message.get("body", b""))

    async def rest(self, message: Message) -> AsyncIterator[bytes]:
        """Yield the body from this message on; raises ClientGone."""
        yield message.get("body", b"")
        while message.get("more_body", False):
            message = await self._next()
            yield message.get("body", b"")
        self._watch()

    def leave(self) -> None:
        """Stop watching."""
        self.served = True
        if self._watcher is not None:
            self._watcher.cancel()

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        return message

    def _watch(self) -> None:
        """Cancel the relay as soon as the client leaves: it may be waiting for the upstream."""
        if not self.served:
            self._watcher = asyncio.get_running_loop().create_task(self._cancel_when_gone())

    async def _cancel_when_gone(self) -> None:
        try:
            await self._next()
        except ClientGone:
            if not self.served and self.task is not None:
                self.gone = True
                self.task.cancel()


class StreamedBody(httpx.AsyncByteStream):
    """A request body that is still coming."""

    def __init__(self, client: Client, message: Message) -> None:
        self._client = client
        self._message = message

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield its bytes."""
        return self._client.rest(self._message)


class Relay:
    """Sends requests to one upstream and its answers back."""

    def __init__(self, settings: Settings, target: Target, transport: httpx.AsyncBaseTransport) -> None:
        self._target = target
        self._transport = transport
        timeout = settings.upstream_timeout
        self._timeout = {"connect": min(CONNECT_S, timeout), "read": timeout, "write": timeout, "pool": None}
        self._url = lru_cache(maxsize=1024)(self._make_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> MockError | None:
        """Relay one request; returns the error to answer with when the upstream gave no answer."""
        client = Client(receive)
        try:
            response = await self._transport.handle_async_request(self._request(scope, await client.body()))
            try:
                return await self._answer(scope, response, client, send)
            finally:
                await response.stream.aclose()  # type: ignore[union-attr]
        except ClientGone:
            return None
        except asyncio.CancelledError:
            if client.gone and client.task is not None and client.task.uncancel() == 0:
                return None
            raise
        except FAILURES as failure:
            return self._target.unanswered(scope, failure)
        finally:
            client.leave()

    async def _answer(self, scope: Scope, response: httpx.Response, client: Client, send: Send) -> MockError | None:
        status = response.status_code
        if not 200 <= status <= 599:
            return self._target.unanswered(scope, httpx.RemoteProtocolError(f"status {status}"))
        passed = headers.for_client(response.headers.raw, status)
        await send({"type": "http.response.start", "status": status, "headers": passed})
        length = None if scope["method"] == "HEAD" else headers.first(passed, b"content-length")
        await self._pass_body(scope, response, client, send, -1 if length is None else int(length))
        return None

    async def _pass_body(self, scope: Scope, response: httpx.Response, client: Client, send: Send, length: int) -> None:
        """Send each chunk as it comes; `length` is -1 when only the end of the body tells it. Raises Abort."""
        count = 0
        try:
            async for chunk in response.stream:  # type: ignore[union-attr]
                count += len(chunk)
                client.served = count == length
                await send({"type": "http.response.body", "body": chunk, "more_body": not client.served})
            if count < length:
                raise httpx.RemoteProtocolError(f"{length} bytes were announced")
        except FAILURES as failure:
            log.warning("upstream broke off after %d bytes: %s: %s", count, line(scope), reason(failure))
            raise Abort from None
        if not client.served:
            client.served = True
            await send({"type": "http.response.body", "body": b""})

    def _request(self, scope: Scope, body: httpx.AsyncByteStream) -> httpx.Request:
        target = self._target.of(scope)
        return httpx.Request(
            scope["method"],
            self._url(target),
            headers=headers.for_upstream(scope["headers"], self._target.host, self._target.authorization),
            stream=body,
            extensions={"target": target, "timeout": self._timeout},
        )

    def _make_url(self, target: bytes) -> httpx.URL:
        try:
            return self._target.base.copy_with(raw_path=target)
        except httpx.InvalidURL:
            return self._target.base  # `target` goes out as it is
