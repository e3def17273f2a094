"""Text frames that are no text: the connection ends with 1007 (RFC 6455 §8.1), and the log says nothing of it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from mockserver.transport.websocket import FRAMES
from mockserver.transport.websocket_protocol import MOST_WRITTEN, WebSocketProtocol
from tests.support.serving import FROZEN, KEY, serving


@pytest.mark.parametrize("data", [b'{"type": "\xcc"}', b"\xff", "ü".encode()[:1]])
def test_text_that_is_not_utf8_ends_the_connection(data: bytes) -> None:
    with serving(*FROZEN) as served:
        address = f"ws://127.0.0.1:{served.port}/v1/responses"
        with connect(address, additional_headers={"authorization": f"Bearer {KEY}"}) as wire:
            wire.send(data, text=True)
            with pytest.raises(ConnectionClosed) as ended:
                wire.recv(30)
        assert ended.value.rcvd is not None and ended.value.rcvd.code == 1007
        served.stop()
        assert "Invalid" not in served.logged()


def test_text_outside_ascii_is_read() -> None:
    with serving(*FROZEN) as served:
        address = f"ws://127.0.0.1:{served.port}/v1/responses"
        with connect(address, additional_headers={"authorization": f"Bearer {KEY}"}) as wire:
            wire.send('{"type": "grün"}')
            assert "gr" in str(wire.recv(30))


def test_many_frames_of_a_turn_arrive_whole_and_in_their_order() -> None:
    """More than one write: a long turn leaves in pieces of `MOST_WRITTEN` bytes."""
    with serving(*FROZEN) as served:
        address = f"ws://127.0.0.1:{served.port}/v1/responses"
        with connect(address, additional_headers={"authorization": f"Bearer {KEY}"}, max_size=None) as wire:
            wire.send(json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "word " * 1500}))
            events = []
            while not events or events[-1]["type"] != "response.completed":
                events.append(json.loads(wire.recv(30)))
    assert [event["sequence_number"] for event in events] == [*range(len(events))]
    assert sum(len(json.dumps(event)) for event in events) > 4 * MOST_WRITTEN


class Recorded(asyncio.Transport):
    """A transport that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None: ...


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def play(app: Any) -> list[bytes]:
    """What is written to a socket that an app serves."""
    transport = Recorded()

    async def run() -> None:
        config = uvicorn.Config(app, lifespan="off", log_config=None, ws_ping_interval=None)
        config.load()
        state = ServerState()
        protocol = WebSocketProtocol(config=config, server_state=state, app_state={})
        protocol.connection_made(transport)
        protocol.data_received(HANDSHAKE)
        await asyncio.gather(*state.tasks)
        protocol.connection_lost(None)

    asyncio.run(run())
    return transport.writes


def test_texts_that_leave_together_are_one_write() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        assert FRAMES in scope["extensions"]
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": FRAMES, "texts": [b"one", "zwö".encode()]})
        await send({"type": "websocket.close"})

    _, frames, _ = play(app)
    assert frames == b"\x81\x03one\x81\x04zw\xc3\xb6"  # RFC 6455 §5.2: final text frames, unmasked, of 3 and 4 bytes


def test_after_a_close_texts_are_refused_as_for_a_client_that_has_left() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        with pytest.raises(OSError):
            await send({"type": FRAMES, "texts": [b"late"]})

    assert b"late" not in b"".join(play(app))
