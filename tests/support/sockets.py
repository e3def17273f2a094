"""WebSockets in a test: a server in a thread of this process, and clients that speak in plain dicts."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import websockets.sync.client
from websockets.sync.client import ClientConnection

from mockserver.config.settings import Settings
from mockserver.delivery.events import Emit, Wait
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from mockserver.transport.guard import Guard
from mockserver.transport.serve import Server, bind, server_config
from mockserver.websocket.playback import Out, Playback, SendFrames
from mockserver.websocket.session import WebSocketSession
from tests.support.driving import CHAT, NOON

PATIENCE_S = 120.0
KEY = "k"
TERMINAL = ("response.completed", "response.incomplete", "response.failed", "error")


@dataclass
class Wire:
    """One client's connection."""

    socket: ClientConnection

    def send(self, frame: Any) -> None:
        """Send a frame: an object as JSON, text and bytes as they are."""
        self.socket.send(frame if isinstance(frame, str | bytes) else json.dumps(frame))

    def create(self, input: Any = "hello", **fields: Any) -> None:
        """Send a `response.create`."""
        self.send({"type": "response.create", "model": CHAT, "input": input, **fields})

    def next(self, timeout: float = PATIENCE_S) -> dict[str, Any]:
        """Return the next frame, which must be text."""
        got = self.socket.recv(timeout)
        assert isinstance(got, str)
        return json.loads(got)

    def nothing_came(self) -> bool:
        """Say whether the server, which has answered a ping by now, has sent no frame before."""
        assert self.socket.ping().wait(PATIENCE_S)
        try:
            self.socket.recv(0)
        except TimeoutError:
            return True
        return False

    def until(self, *types: str) -> list[dict[str, Any]]:
        """Return the frames up to and with the first of one of these types."""
        got = [self.next()]
        while got[-1]["type"] not in types:
            got.append(self.next())
        return got

    def turn(self, input: Any = "hello", **fields: Any) -> dict[str, Any]:
        """Play a turn; returns its terminal Response, or the error frame."""
        self.create(input, **fields)
        last = self.until(*TERMINAL)[-1]
        return last if last["type"] == "error" else last["response"]


class Frames:
    """A connection without a socket: frames in and out as dicts.

    Turns that take no time are played at once; one that takes time is found in `playing` and goes on with `step`.
    """

    def __init__(self, engine: Engine | None = None, project: str = "p") -> None:
        self.engine = engine or Engine(Settings(clock=NOON))
        self.project = project
        self.connection = WebSocketSession(self.engine, project)
        self.playing: list[Playback] = []

    def __call__(self, frame: Any) -> list[dict[str, Any]]:
        data = frame if isinstance(frame, bytes) else json.dumps(frame).encode()
        return self._do(self.connection.receive(data))

    def _do(self, outs: list[Out]) -> list[dict[str, Any]]:
        said: list[dict[str, Any]] = []
        todo = list(outs)
        while todo:
            out = todo.pop(0)
            if isinstance(out, SendFrames):
                said += out.frames
            elif out.player.instant:
                while (step := self.connection.advance(out)) is not None:
                    said += step.events if isinstance(step, Emit) else []
                todo = [*self.connection.on_turn_end(out), *todo]
            else:
                self.playing.append(out)
        return said

    def step(self, playback: Playback) -> list[dict[str, Any]]:
        """Play a turn up to and with its next wait, or to its end and what follows it."""
        said: list[dict[str, Any]] = []
        while (step := self.connection.advance(playback)) is not None:
            if isinstance(step, Wait):
                return said
            said += step.events
        self.playing.remove(playback)
        return [*said, *self._do(self.connection.on_turn_end(playback))]

    def rest(self, playback: Playback) -> list[dict[str, Any]]:
        """Play a turn to its end, and what follows at once."""
        said: list[dict[str, Any]] = []
        while playback in self.playing:
            said += self.step(playback)
        return said

    def script(self, *lines: dict[str, Any]) -> None:
        """Queue lines."""
        self.engine.control.enqueue(self.project, list(lines))

    def send(self, input: Any = "hello", **fields: Any) -> list[dict[str, Any]]:
        """Send a `response.create`; returns what is said at once."""
        return self({"type": "response.create", "model": CHAT, "input": input, **fields})

    def create(self, input: Any = "hello", **fields: Any) -> dict[str, Any]:
        """Play a turn; returns its terminal Response, or the error frame."""
        last = self.send(input, **fields)[-1]
        return last.get("response", last)


@dataclass
class Place:
    """A server in a thread."""

    app: MockApp
    port: int
    server: Server

    @property
    def engine(self) -> Engine:
        """The engine behind it."""
        return self.app.engine

    def stop(self) -> None:
        """Let the server end."""
        self.server.should_exit = True

    @property
    def project(self) -> str:
        """The project of those who bring the usual key."""
        return self.engine.project(f"Bearer {KEY}", None)

    @contextmanager
    def open(self, path: str = "/v1/responses", key: str | None = KEY, **options: Any) -> Iterator[Wire]:
        """Connect."""
        headers = dict(options.pop("additional_headers", {}))
        if key is not None:
            headers["authorization"] = f"Bearer {key}"
        with websockets.sync.client.connect(
            f"ws://127.0.0.1:{self.port}{path}",
            additional_headers=headers,
            proxy=None,
            **{"compression": None, "max_size": None, **options},
        ) as socket:
            yield Wire(socket)


@contextmanager
def served(port: int = 0, **settings: Any) -> Iterator[Place]:
    """Serve the mock from this process, on a free port unless one is given."""
    chosen = Settings(**{"clock": NOON, "port": 0, **settings})
    app = MockApp(Engine(chosen))
    listener = bind("127.0.0.1", port)
    started = threading.Event()
    server = Server(server_config(Guard(app, chosen), chosen), started.set)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield Place(app, listener.getsockname()[1], server)
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
