"""Headers that every answer made in this process carries: its date and where it came from."""

from __future__ import annotations

import time
from collections.abc import Iterable
from email.utils import formatdate
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

STARTS = frozenset(("http.response.start", "websocket.http.response.start"))


@lru_cache(maxsize=1)
def date(second: int) -> bytes:
    """Return the header's value for a time in unix seconds."""
    return formatdate(second, usegmt=True).encode()


class Stamp:
    """An ASGI app whose answers carry `Date` (unless they have one) and the given headers."""

    def __init__(self, app: ASGIApp, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._app = app
        self._headers = list(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or connection."""
        if scope["type"] == "lifespan":
            return await self._app(scope, receive, send)

        async def stamped(message: Message) -> None:
            if message["type"] in STARTS:
                headers = [*message.get("headers", ()), *self._headers]
                if b"date" not in [name for name, _ in headers]:
                    headers.insert(0, (b"date", date(int(time.time()))))
                message = {**message, "headers": headers}
            await send(message)

        return await self._app(scope, receive, stamped)
