"""Headers that every answer made in this process carries: its date and where it came from."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable
from email.utils import formatdate
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

STARTS = frozenset(("http.response.start", "websocket.http.response.start"))


@lru_cache(maxsize=1)
def date(second: int) -> bytes:
    """Return the header's value for a time in unix seconds."""
    return formatdate(second, usegmt=True).encode()


class CommonHeaders:
    """An ASGI app whose answers carry `Date` (unless they have one) and the given headers."""

    def __init__(self, app: ASGIApp, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._app = app
        self._headers = list(headers)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request or connection."""
        if scope["type"] == "lifespan":
            return self._app(scope, receive, send)

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] in STARTS:
                headers = message.get("headers", ())
                dated = () if b"date" in [name for name, _ in headers] else ((b"date", date(int(time.time()))),)
                message = {**message, "headers": [*dated, *headers, *self._headers]}
            return send(message)

        return self._app(scope, receive, send_with_headers)
