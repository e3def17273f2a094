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

from mockserver.engine import Engine
from mockserver.settings import Settings
from mockserver.transport.app import MockApp
from mockserver.transport.guard import Guard
from mockserver.transport.serve import Server, bind, server_config
from tests.driving import CHAT, NOON

PATIENCE_S = 30.0
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


@dataclass
class Place:
    """A server in a thread."""

    engine: Engine
    port: int

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
def served(**settings: Any) -> Iterator[Place]:
    """Serve the mock on a free port of this process."""
    chosen = Settings(**{"clock": NOON, "port": 0, **settings})
    engine = Engine(chosen)
    listener = bind("127.0.0.1", 0)
    started = threading.Event()
    server = Server(server_config(Guard(MockApp(engine), chosen), chosen), started.set)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    assert started.wait(PATIENCE_S)
    try:
        yield Place(engine, listener.getsockname()[1])
    finally:
        server.should_exit = True
        thread.join(PATIENCE_S)
        assert not thread.is_alive()
