"""The writes that a response becomes: the head goes with the first bytes, and never waits for a later turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from mockserver.transport.http_protocol import MOST_JOINED, HttpProtocol

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Written(asyncio.Transport):
    """A transport that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def serve(app: Any, request: bytes = REQUEST) -> Written:
    """Return what is written when an app answers a request."""
    transport = Written()

    async def run() -> None:
        config = uvicorn.Config(app, lifespan="off", log_config=None)
        state = ServerState()
        protocol = HttpProtocol(config, state, {})
        protocol.connection_made(transport)
        protocol.data_received(request)
        await asyncio.gather(*state.tasks)

    asyncio.run(run())
    return transport


def answering(*pieces: bytes, length: int | None = None, between: Any = None) -> Any:
    """An app that sends a head and these pieces; `between` is awaited after the head."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [] if length is None else [(b"content-length", b"%d" % length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if between is not None:
            await between()
        for number, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    return app


def test_a_head_and_a_body_are_one_write() -> None:
    (whole,) = serve(answering(b"hello", length=5)).writes
    assert whole == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


def test_a_head_waits_for_no_body_that_is_still_to_come() -> None:
    async def let_the_loop_come_round() -> None:
        await asyncio.sleep(0)

    head, body = serve(answering(b"hello", length=5, between=let_the_loop_come_round)).writes
    assert head == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    assert body == b"hello"


def test_pieces_after_the_first_are_written_as_they_come() -> None:
    first, second, end = serve(answering(b"a", b"b", b"")).writes
    assert first == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"
    assert (second, end) == (b"1\r\nb\r\n", b"0\r\n\r\n")


def test_a_large_body_is_not_copied_behind_its_head() -> None:
    large = b"x" * (MOST_JOINED + 1)
    head, body = serve(answering(large, length=len(large))).writes
    assert head.endswith(b"\r\n\r\n")
    assert body == large


def test_a_head_is_written_before_an_app_that_fails_closes_the_connection() -> None:
    async def fail() -> None:
        raise OSError("broken")

    transport = serve(answering(length=5, between=fail))
    assert transport.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"]
    assert transport.closed


@pytest.mark.parametrize("expected", [b"100-continue", b"100-Continue"])
def test_a_client_that_waits_for_a_go_ahead_gets_it_at_once(expected: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await answering(b"hello", length=5)(scope, receive, send)

    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: %b\r\nContent-Length: 2\r\n\r\nhi" % expected
    go_ahead, *answer = serve(app, request).writes
    assert go_ahead == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b"".join(answer) == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"
