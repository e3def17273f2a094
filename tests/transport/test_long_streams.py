"""A long turn begins to leave before its last event is made, over HTTP and over a WebSocket, at once or at a pace."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import orjson
import pytest

from mockserver.config.pacing import Pacing
from mockserver.config.settings import Settings
from mockserver.transport.app import create_app
from mockserver.transport.http import FRAMES
from mockserver.wire.responses.event_list import AT_ONCE, TextDeltas
from tests.support import virtual_time

TOKENS = 20_000
PACES = {"instant": Pacing(), "paced": Pacing(0.5, 1000.0)}
HEADERS = [(b"host", b"localhost"), (b"content-type", b"application/json")]
DELTA = "response.output_text.delta"

Send = Callable[[Any], Awaitable[None]]


class Left(ConnectionResetError):
    """The client has seen enough."""


def request(tokens: int) -> dict[str, Any]:
    """What is answered with a few tokens more."""
    return {"model": "gpt-4.1", "input": "word " * tokens}


class Made:
    """How many deltas were made, as dictionaries or as bytes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.deltas = 0
        for name in ("tell", "write"):
            monkeypatch.setattr(TextDeltas, name, self._counting(getattr(TextDeltas, name)))

    def _counting(self, make: Callable[..., Any]) -> Callable[..., Any]:
        def counted(row: TextDeltas, *given: Any) -> Any:
            self.deltas += given[-1] - given[-2]
            return make(row, *given)

        return counted


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Made:
    return Made(monkeypatch)


async def post(app: Any, send: Send, tokens: int) -> None:
    """Ask for a streamed turn."""
    body, sent = orjson.dumps({**request(tokens), "stream": True}), False

    async def receive() -> Any:
        nonlocal sent
        if sent:
            await asyncio.Event().wait()
        sent = True
        return {"type": "http.request", "body": body}

    scope = {"type": "http", "method": "POST", "path": "/v1/responses", "query_string": b"", "headers": HEADERS}
    await app(scope, receive, send)


async def talk(app: Any, send: Send, tokens: int) -> None:
    """Ask for a turn over a WebSocket, and leave when it is over."""
    over = asyncio.Event()
    left = [
        {"type": "websocket.receive", "text": orjson.dumps({"type": "response.create", **request(tokens)}).decode()},
        {"type": "websocket.connect"},
    ]

    async def receive() -> Any:
        if left:
            return left.pop()
        await over.wait()
        return {"type": "websocket.disconnect"}

    async def send_on(message: Any) -> None:
        try:
            await send(message)
        except Left:
            over.set()
            raise
        if b"response.completed" in payload(message):
            over.set()

    scope = {"type": "websocket", "path": "/v1/responses", "headers": HEADERS, "extensions": {FRAMES: {}}}
    await app(scope, receive, send_on)


def payload(message: Any) -> bytes:
    """The bytes of a message's events."""
    return message.get("body", b"") + b"\n".join([*message.get("texts", ()), message.get("text", "").encode()])


@pytest.mark.parametrize("ask", [post, talk])
@pytest.mark.parametrize("pace", PACES)
def test_the_first_event_leaves_before_the_last_is_made(made: Made, ask: Callable[..., Any], pace: str) -> None:
    """Of a turn of 20,000 tokens, no more than a tenth of the deltas is made when the first bytes leave."""
    made_then: list[int] = []

    async def send(message: Any) -> None:
        if b'"response.created"' in payload(message):
            made_then.append(made.deltas)
            raise Left

    with suppress(Left):
        virtual_time.run(ask(create_app(Settings(pacing=PACES[pace])), send, TOKENS))
    assert len(made_then) == 1 and made_then[0] <= TOKENS / 10


def test_a_long_stream_is_the_same_however_it_leaves() -> None:
    """Its events are numbered without a gap, and its deltas add up to its text. Spec: S5, S9."""
    streams = []
    for ask, pace in ((post, "instant"), (post, "paced"), (talk, "instant")):
        sent: list[bytes] = []

        async def send(message: Any, sent: list[bytes] = sent) -> None:
            sent.append(payload(message))

        virtual_time.run(ask(create_app(Settings(pacing=PACES[pace], clock=1_800_000_000.0)), send, 2 * AT_ONCE))
        lines = [line.removeprefix(b"data: ") for line in b"\n".join(sent).splitlines()]
        events = [orjson.loads(line) for line in lines if line.startswith(b"{")]
        assert len(events) > 2 * AT_ONCE
        assert [event["sequence_number"] for event in events] == list(range(len(events)))
        text = "".join([event["delta"] for event in events if event["type"] == DELTA])
        assert events[-1]["response"]["output"][0]["content"][0]["text"] == text
        streams.append([(event["type"], event.get("delta"), event.get("obfuscation")) for event in events])
    assert streams[0] == streams[1] == streams[2]
