"""The log's lines for what the mock does not answer: a request or a socket of the relay, when it has ended."""

from __future__ import annotations

from collections.abc import Awaitable
from time import perf_counter

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mockserver.engine.telemetry import log_request


def log_requests(app: ASGIApp, source: str) -> ASGIApp:
    """An app whose requests and sockets are told when they have ended, as answered by `source`."""

    def logged(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return _serve(app, source, scope, receive, send)

    return logged


async def _serve(app: ASGIApp, source: str, scope: Scope, receive: Receive, send: Send) -> None:
    began, status = perf_counter(), 0

    async def watch(message: Message) -> None:
        nonlocal status
        status = status or message.get("status", 101 if message["type"] == "websocket.accept" else 0)
        await send(message)

    try:
        await app(scope, receive, watch)
    finally:
        log_request(scope.get("method", "GET"), scope["path"], status, perf_counter() - began, source)
