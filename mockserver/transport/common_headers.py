"""Headers that every answer made in this process carries: its date and where it came from."""

# `Date` belongs in every answer of a server with a clock (RFC 9110 §6.6.1). uvicorn would add one to every response,
# and a forwarded response would have two, the upstream's and ours. Therefore uvicorn's is off (`serve.py`), and this
# app adds one where there is none. The date is the machine's and not the project's clock: it belongs to the connection,
# and caches and clients compare it with their own.

from __future__ import annotations

import time
from collections.abc import Awaitable, Iterable
from email.utils import formatdate
from functools import lru_cache

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mockserver.transport.http import FRAMES, WHOLE, Whole, make_whole, write_lines

STARTS = frozenset(("http.response.start", "websocket.http.response.start"))


@lru_cache(maxsize=1)  # a busy server asks a thousand times for the same second
def date(second: int) -> bytes:
    """The header's value for a time in unix seconds."""
    return formatdate(second, usegmt=True).encode()


class CommonHeaders:
    """An ASGI app whose answers carry `Date` (unless they have one) and the given headers."""

    def __init__(self, app: ASGIApp, headers: Iterable[tuple[bytes, bytes]] = ()) -> None:
        self._app = app
        self._headers = list(headers)
        self._lines = write_lines(self._headers)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] == "lifespan":
            return self._app(scope, receive, send)

        def send_with_headers(message: Message) -> Awaitable[None]:
            if message["type"] in STARTS:
                headers = message.get("headers", ())
                dated = () if b"date" in dict(headers) else ((b"date", date(int(time.time()))),)
                message = {**message, "headers": [*dated, *headers, *self._headers]}
            return send(message)

        offers = scope.get("extensions", {})
        if offers.get(FRAMES) == (receive, send):
            offers[FRAMES] = receive, send_with_headers
        whole = offers.get(WHOLE)
        if whole is not None and whole.ways == (receive, send):
            offers[WHOLE] = self._pass_on(whole, (receive, send_with_headers))
        return self._app(scope, receive, send_with_headers)

    def _pass_on(self, whole: Whole, ways: tuple[Receive, Send]) -> Whole:
        """The server's offer to the app, whose lines get these around them; a date of its own they never have."""

        def respond(status: int, lines: bytes, body: bytes, is_sized: bool) -> None:
            lines = b"date: %b\r\n%b%b" % (date(int(time.time())), lines, self._lines)
            whole.respond(status, lines, body, is_sized)

        return make_whole(Whole, (ways, respond))
