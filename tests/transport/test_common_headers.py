"""Headers of every answer made here."""

from __future__ import annotations

import asyncio
from typing import Any

from mockserver.transport.common_headers import CommonHeaders
from mockserver.transport.http import WHOLE


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


def test_a_response_that_is_one_message() -> None:
    assert (b"x-source", b"here") in asyncio.run(stamp_whole())


async def stamp_whole() -> list[tuple[bytes, bytes]]:
    sent = []

    async def app(scope, receive, send) -> None:
        await send({"type": WHOLE, "status": 200, "headers": [], "body": b"x"})

    async def send(message) -> None:
        sent.append(message)

    await CommonHeaders(app, [(b"x-source", b"here")])({"type": "http"}, None, send)
    return sent[0]["headers"]


def test_who_sends_through_it_may_send_one_message_where_the_server_takes_that() -> None:
    async def ask(extensions: dict[str, Any]) -> bool:
        found = []

        async def app(scope, receive, send) -> None:
            found.append(scope["extensions"].get(WHOLE) == send)

        await CommonHeaders(app)({"type": "http", "extensions": extensions}, None, takes)
        return found[0]

    async def takes(message) -> None: ...

    assert [asyncio.run(ask(one)) for one in ({WHOLE: takes}, {WHOLE: print}, {})] == [True, False, False]


def test_refused_websocket() -> None:
    assert (b"x-source", b"here") in stamped(kind="websocket.http.response")
