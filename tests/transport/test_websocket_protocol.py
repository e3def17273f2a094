"""Text frames that are no text: the connection ends with 1007 (RFC 6455 §8.1), and the log says nothing of it."""

from __future__ import annotations

import asyncio
import gc
import json
import weakref
from collections.abc import Iterable
from functools import partial
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from mockserver.transport.http import FRAMES
from mockserver.transport.websocket import ANSWER
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
    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


HANDSHAKE = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


def begin(app: Any, transport: Recorded) -> tuple[WebSocketProtocol, ServerState]:
    """A connection to an app whose handshake has come in."""
    config = uvicorn.Config(app, lifespan="off", log_config=None, ws_ping_interval=None)
    config.load()
    state = ServerState()
    protocol = WebSocketProtocol(config=config, server_state=state, app_state={})
    protocol.connection_made(transport)
    protocol.data_received(HANDSHAKE)
    return protocol, state


def play(app: Any) -> list[bytes]:
    """What is written to a socket that an app serves."""
    transport = Recorded()

    async def run() -> None:
        protocol, state = begin(app, transport)
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


def frame(payload: bytes, head: int = 0x81) -> bytes:
    """A frame of a client's, masked. RFC 6455 §5.2."""
    mask, size = b"\x01\x02\x03\x04", len(payload)
    length = b"\xff" + size.to_bytes(8)
    if size < 65_536:
        length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2)
    masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(payload))
    return bytes([head]) + length + mask + masked


class Answering:
    """An app that answers texts at once, or leaves them for `receive`; what it was called with, and what was left."""

    def __init__(self) -> None:
        self.called: list[bytes] = []
        self.heard: list[Any] = []
        self.hears = asyncio.Event()
        self.hears.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept", ANSWER: partial(self.answer, send)})
        while (message := await receive())["type"] == "websocket.receive":
            self.heard.append(message.get("left", message.get("text")))
            await self.hears.wait()

    def answer(self, send: Any, text: bytes, write: Any) -> Any:
        self.called.append(text)
        if text != b"now":
            return {"type": "websocket.receive", "left": text}
        write(b"answered")
        return None


def test_an_app_may_answer_a_text_within_its_servers_call() -> None:
    async def talk() -> None:
        app, transport = Answering(), Recorded()
        protocol, state = begin(app, transport)
        await asyncio.sleep(0)
        protocol.data_received(frame(b"now"))
        assert transport.writes[1:] == [b"answered"]
        protocol.data_received(frame(b"later"))
        await asyncio.sleep(0)
        assert app.called == [b"now", b"later"] and app.heard == [b"later"]
        for head in (0x82, 0x01):  # a binary message, and the beginning of one in fragments
            protocol.data_received(frame(b"now", head))
        protocol.data_received(frame(b"", 0x80))
        assert len(app.called) == 2, "the library reads these, and the app gets messages"
        protocol.connection_lost(None)
        await asyncio.gather(*state.tasks)

    asyncio.run(talk())


def test_an_app_is_not_asked_while_it_is_busy_or_its_reader_is_slow() -> None:
    async def talk() -> None:
        app = Answering()
        protocol, state = begin(app, Recorded())
        await asyncio.sleep(0)
        app.hears.clear()
        protocol.data_received(frame(b"later"))
        await asyncio.sleep(0)
        protocol.pause_writing()
        protocol.data_received(frame(b"now"))
        protocol.resume_writing()
        protocol.data_received(frame(b"now"))  # one waits before it
        assert app.called == [b"later"]
        app.hears.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert app.heard == [b"later", "now", "now"]
        protocol.data_received(frame(b"now"))
        assert app.called == [b"later", b"now"]
        protocol.data_received(frame(b"\xff"))
        assert len(app.called) == 2, "what is not UTF-8 ends the connection, as ever"
        protocol.connection_lost(None)
        await asyncio.gather(*state.tasks)

    asyncio.run(talk())


@pytest.mark.parametrize("has_begun", [True, False])
def test_a_lost_connection_is_gone_without_the_collector(has_begun: bool) -> None:
    async def talk() -> None:
        protocol, state = begin(Answering(), Recorded())
        gone = weakref.ref(protocol)
        if has_begun:
            await asyncio.sleep(0)
            protocol.data_received(frame(b"now"))
        protocol.connection_lost(None)
        await asyncio.wait(state.tasks)
        await asyncio.sleep(0)
        del protocol
        assert gone() is None

    gc.collect()
    gc.disable()
    try:
        asyncio.run(talk())
    finally:
        gc.enable()


class Reading:
    """What an app gets of pieces that come one after the other."""

    def __init__(self, *, limit: int = 1000_000, compressed: bool = False) -> None:
        self.heard: list[Any] = []
        self.by_library = 0  # pieces that its parser has read
        self.transport = Recorded()
        self._limit, self._extension = limit, EXTENSION if compressed else b""

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            self.heard.append(message.get("text", message.get("bytes")))
        self.heard.append(message["code"])

    async def _run(self, pieces: Iterable[bytes]) -> None:
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            ws_ping_interval=None,
            ws_max_size=self._limit,
        )
        config.load()
        state = ServerState()
        protocol = WebSocketProtocol(config=config, server_state=state, app_state={})
        protocol.connection_made(self.transport)
        protocol.data_received(HANDSHAKE.removesuffix(b"\r\n") + self._extension + b"\r\n")
        await asyncio.sleep(0)
        read = protocol.conn.receive_data
        for piece in pieces:
            counted = self.by_library

            def count(data: bytes, counted: int = counted) -> None:
                self.by_library = counted + 1
                read(data)

            protocol.conn.receive_data = count  # type: ignore[method-assign]
            protocol.data_received(piece)
            await asyncio.sleep(0)
        protocol.connection_lost(None)
        await asyncio.gather(*state.tasks)

    def read(self, *pieces: bytes) -> list[Any]:
        """What the app hears, at last the code of the end."""
        asyncio.run(self._run(pieces))
        return self.heard


EXTENSION = b"Sec-WebSocket-Extensions: permessage-deflate\r\n"
SENT = (
    frame(b"one"),
    frame(b"x" * 125),
    frame(b"x" * 126),
    frame("zwö".encode() * 1000),
    frame(b"", 0x81),
    frame(b"half", 0x01),
    frame(b"ping", 0x89),
    frame(b" and half", 0x80),
    frame(b"\xff\x00", 0x82),
    frame(b"x" * 127),
    frame(b"y" * 66_000),
    frame(b"last"),
)
HEARD = [
    *("one", "x" * 125, "x" * 126, "zwö" * 1000, "", "half and half", b"\xff\x00", "x" * 127, "y" * 66_000, "last"),
    1005,
]


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7, 131, 5000, 10_000_000])
def test_a_frame_is_the_same_however_it_comes(size: int) -> None:
    stream = b"".join(SENT)
    assert Reading().read(*[stream[at : at + size] for at in range(0, len(stream), size)]) == HEARD


def test_a_short_text_in_one_piece_is_read_without_the_library() -> None:
    reading = Reading()
    assert reading.read(*SENT) == HEARD
    assert reading.by_library == 5  # the message in two parts with a ping between, one of bytes, a long one


@pytest.mark.parametrize("end", [frame(b"\x03\xe8", 0x88), b"\x81\x03one", frame(b"\x00", 0xC1), frame(b"one", 0x80)])
def test_a_frame_that_ends_the_connection_is_the_library_s_business(end: bytes) -> None:
    """A close, a text without a mask, one with a bit of an extension, the end of a message that has not begun."""
    reading = Reading()
    heard = reading.read(frame(b"one"), end, frame(b"late"))
    assert heard[0] == "one" and "late" not in heard and len(heard) == 2
    assert reading.transport.writes[1][:1] == b"\x88"  # after the handshake


def test_a_text_that_is_too_long_ends_the_connection() -> None:
    assert Reading(limit=10).read(frame(b"x" * 10), frame(b"x" * 11)) == ["x" * 10, 1009]


def test_frames_of_a_compressed_connection_are_read_by_the_library() -> None:
    reading = Reading(compressed=True)
    assert reading.read(frame(b"one"), frame(b"two")) == ["one", "two", 1005]
    assert reading.by_library == 2


class Turned(Recorded):
    """One that notes when reading stops and goes on."""

    def __init__(self) -> None:
        super().__init__()
        self.turns: list[str] = []

    def pause_reading(self) -> None:
        self.turns.append("pause")

    def resume_reading(self) -> None:
        self.turns.append("resume")


def test_no_more_is_read_while_two_messages_wait() -> None:
    reading = Reading()
    reading.transport = transport = Turned()
    assert reading.read(frame(b"one"), frame(b"two"))[:2] == ["one", "two"]
    assert transport.turns == []  # each was taken before the next one came
    reading = Reading()
    reading.transport = transport = Turned()
    assert reading.read(frame(b"one") + frame(b"two") + frame(b"three"))[:3] == ["one", "two", "three"]
    assert transport.turns == ["pause", "resume"]


def test_after_a_close_the_connection_is_read_on() -> None:
    """Or the client's close would not be heard; what it still sends is dropped."""
    transport = Turned()

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await asyncio.sleep(0)
        await send({"type": "websocket.close"})

    async def run() -> None:
        protocol, state = begin(app, transport)
        await asyncio.sleep(0)
        protocol.data_received(frame(b"one") + frame(b"two"))
        await asyncio.gather(*state.tasks)
        protocol.data_received(frame(b"late"))
        protocol.data_received(frame(b"later") + frame(b"\x03\xe8", 0x88))
        protocol.connection_lost(None)

    asyncio.run(run())
    assert transport.turns == ["pause", "resume"]


def test_after_a_close_texts_are_refused_as_for_a_client_that_has_left() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close"})
        with pytest.raises(OSError):
            await send({"type": FRAMES, "texts": [b"late"]})

    assert b"late" not in b"".join(play(app))
