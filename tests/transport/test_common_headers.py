"""Headers of every answer made here."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from mockserver.transport.common_headers import CommonHeaders
from mockserver.transport.http import WHOLE, Whole

TOLD: list[bytes] = []
DONE: Any = object()


async def receive() -> Any: ...


async def send(message: Any) -> None: ...


def respond(status: int, lines: bytes, body: bytes, is_sized: bool) -> None:
    TOLD.append(lines)


def stamped(*headers: tuple[bytes, bytes], kind: str = "http") -> list[tuple[bytes, bytes]]:
    """The headers of an app's answer once they are stamped."""
    sent = []

    async def app(scope, receive, send) -> None:
        await send({"type": f"{kind}.start", "status": 200, "headers": headers})
        await send({"type": f"{kind}.body", "body": b"x"})

    async def send(message) -> None:
        sent.append(message)

    asyncio.run(CommonHeaders(app, [(b"x-source", b"here")])({"type": "http"}, None, send))
    assert sent[1] == {"type": f"{kind}.body", "body": b"x"}
    return sent[0]["headers"]


def test_date_and_given_headers() -> None:
    (name, value), *rest = stamped((b"a", b"1"), kind="http.response")
    assert name == b"date" and value.endswith(b" GMT") and len(value) == 29
    assert rest == [(b"a", b"1"), (b"x-source", b"here")]


def test_date_of_the_app_stays() -> None:
    assert stamped((b"date", b"then"), kind="http.response") == [(b"date", b"then"), (b"x-source", b"here")]


def test_an_answer_within_the_call_has_the_same_headers() -> None:
    lines = ask({WHOLE: Whole((receive, send), respond)})
    assert re.fullmatch(rb"date: [^\r]{25} GMT\r\na: 1\r\nx-source: here\r\n", lines)


@pytest.mark.parametrize(
    "extensions", [{}, {WHOLE: Whole((receive, print), respond)}, {WHOLE: Whole((print, send), respond)}]
)
def test_an_app_behind_somebody_else_has_no_offer(extensions: dict[str, Any]) -> None:
    assert ask(extensions) == b""


def ask(extensions: dict[str, Any]) -> bytes:
    """The lines of an app's answer to a server with these extensions, none if it could not answer within its call."""
    TOLD.clear()

    def app(scope, receive, send):
        whole = scope["extensions"].get(WHOLE)
        if whole is not None and whole.ways == (receive, send):
            whole.respond(200, b"a: 1\r\n", b"x", False)
        return DONE

    told = CommonHeaders(app, [(b"x-source", b"here")])({"type": "http", "extensions": extensions}, receive, send)
    assert told is DONE, "what the app returns is for the server to see"
    return b"".join(TOLD)


def test_refused_websocket() -> None:
    assert (b"x-source", b"here") in stamped(kind="websocket.http.response")
