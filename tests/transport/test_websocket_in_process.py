"""The protocol of a WebSocket in this process: what is text, what ends a connection, and what the app is told."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.client import ClientProtocol
from websockets.exceptions import ConnectionClosed
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection, connect
from websockets.uri import parse_uri

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from mockserver.transport.server_thread import ServerThread
from mockserver.transport.websocket_protocol import INVALID_TEXT, WebSocketProtocol
from tests.support.driving import NOON

NO_TEXT = [b"\xff", b'{"type": "\xcc"}', "ü".encode()[:1], b"\xed\xa0\x80", b"\xc0\x80"]  # lone surrogate, overlong


@pytest.fixture
def wire() -> Iterator[ClientConnection]:
    settings = Settings(clock=NOON)
    server = ServerThread(MockApp(Engine(settings)), settings)
    headers = {"authorization": "Bearer key"}
    try:
        with connect(
            f"ws://127.0.0.1:{server.port}/v1/responses", additional_headers=headers, proxy=None
        ) as connection:
            yield connection
    finally:
        server.stop()


@pytest.mark.parametrize("data", NO_TEXT)
def test_text_that_is_none_ends_the_connection_without_a_traceback(
    wire: ClientConnection, caplog: pytest.LogCaptureFixture, data: bytes
) -> None:
    wire.send(data, text=True)
    with pytest.raises(ConnectionClosed) as ended:
        wire.recv(30)
    assert ended.value.rcvd is not None and ended.value.rcvd.code == INVALID_TEXT == 1007
    assert not [record for record in caplog.records if record.exc_info]


@pytest.mark.parametrize("text", ['{"type": "plain"}', '{"type": "grün"}', '{"type": "日本語 🙂"}'])
def test_text_is_answered_whatever_its_letters(wire: ClientConnection, text: str) -> None:
    wire.send(text)
    assert '"type":"error"' in str(wire.recv(30)).replace(" ", "")
    wire.send(text)
    assert wire.recv(30), "the connection goes on"


def test_a_letter_may_be_divided_between_two_frames(wire: ClientConnection) -> None:
    """RFC 6455, 5.6: a frame may end within a letter, the message may not."""
    whole = '{"type": "ü"}'.encode()
    cut = whole.index(b"\xc3") + 1
    wire.protocol.send_text(whole[:cut], fin=False)
    wire.protocol.send_continuation(whole[cut:], fin=True)
    wire.socket.sendall(b"".join(wire.protocol.data_to_send()))
    assert "error" in str(wire.recv(30))


# --- the protocol alone, between an app and the bytes of a client ----------------------------------------------------

App = Callable[[Any, Any, Any], Awaitable[None]]


class Wire(asyncio.Transport):
    """A connection whose bytes stay in memory."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


class Line:
    """A protocol that an app serves, and the client at its other end."""

    def __init__(self, app: App) -> None:
        config = uvicorn.Config(app, interface="asgi3", log_config=None, lifespan="off")
        config.load()
        self.protocol = WebSocketProtocol(config, ServerState(), {})
        self.wire = Wire()
        self.protocol.connection_made(self.wire)
        self.client = ClientProtocol(parse_uri("ws://host/v1/responses"))
        self.client.send_request(self.client.connect())
        self.pass_on()

    def pass_on(self) -> None:
        """Let the server read what the client has written, and the client what the server has."""
        self.protocol.data_received(b"".join(self.client.data_to_send()))
        self.read()

    def read(self) -> None:
        written, self.wire.written = self.wire.written, b""
        self.client.receive_data(written)

    async def end(self) -> None:
        await asyncio.gather(*self.protocol.tasks, return_exceptions=True)


@pytest.mark.parametrize("data", NO_TEXT)
def test_the_app_is_told_of_the_end_and_can_send_no_more(data: bytes, caplog: pytest.LogCaptureFixture) -> None:
    told: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        told.append(await receive())
        await send({"type": "websocket.accept"})
        opened.set()
        told.append(await receive())
        with pytest.raises(ConnectionResetError):
            await send({"type": "websocket.send", "text": "too late"})
        told.append("refused")

    async def talk() -> Line:
        line = Line(app)
        await opened.wait()
        line.read()
        line.client.send_text(data)
        line.pass_on()
        await line.end()
        line.read()
        return line

    opened = asyncio.Event()
    line = asyncio.run(talk())
    assert [one if isinstance(one, str) else one["type"] for one in told] == [
        "websocket.connect",
        "websocket.disconnect",
        "refused",
    ]
    assert told[1]["code"] == INVALID_TEXT
    frames = [event for event in line.client.events_received() if isinstance(event, Frame)]
    assert [frame.opcode for frame in frames] == [Opcode.CLOSE], "nothing is sent after the end"
    assert line.wire.closed and not [one for one in caplog.records if one.levelno >= logging.ERROR]


def test_what_comes_after_the_apps_own_end_is_not_looked_at() -> None:
    """RFC 6455, 7.1.1: who has sent a close frame waits for the other's, and may discard what comes before it."""
    codes: list[int] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.close", "code": 4000})
        codes.append((await receive())["code"])

    async def talk() -> Line:
        line = Line(app)
        await line.end()
        head, _, frame = line.wire.written.partition(b"\r\n\r\n")
        line.client.receive_data(head + b"\r\n\r\n")
        line.client.send_text(b"\xff")  # before the client has read the frame that closes
        line.wire.written = b""
        line.pass_on()
        ends.append(line.wire.closed)
        line.client.receive_data(frame)
        line.pass_on()
        ends.append(line.wire.closed)
        return line

    ends: list[bool] = []
    line = asyncio.run(talk())
    assert codes == [4000] and line.client.close_rcvd is not None and line.client.close_rcvd.code == 4000
    assert ends == [False, True], "the connection ends with the client's close frame, not with its text"


def test_bytes_that_are_no_text_may_be_sent_as_bytes() -> None:
    got: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        opened.set()
        got.append(await receive())
        await send({"type": "websocket.send", "text": "thanks"})

    async def talk() -> Line:
        line = Line(app)
        await opened.wait()
        line.read()
        line.client.send_binary(b"\xff\xfe")
        line.pass_on()
        await line.end()
        line.read()
        return line

    opened = asyncio.Event()
    line = asyncio.run(talk())
    assert got == [{"type": "websocket.receive", "bytes": b"\xff\xfe"}]
    frames = [event for event in line.client.events_received() if isinstance(event, Frame)]
    assert [bytes(frame.data) for frame in frames] == [b"thanks"]
