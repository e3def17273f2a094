"""Connections that a rule holds in its hand: WebSockets, streams that are read step by step or dropped, raw answers."""

# How it works. `Connections` is the part of a driver that not every driver has: it is found by `connections_of`. Over
# an engine, a socket is a session without its socket, and a stream is the row of chunks that a transport would send.
#
# What must stay true:
# * An engine's turn goes on only when it is read: a check that sends two frames has both accepted before either is
#   played, as a server does whose model is held.
# * A frame or an event that does not come is an AssertionError, so that it is a verdict with evidence.

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from typing import Any, NamedTuple, Protocol

import httpx
import orjson
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException
from websockets.sync.client import connect

from mockserver.conformance.drivers import JSON_HEADERS, Driver, EngineDriver, HTTPDriver, read_events
from mockserver.conformance.http_clients import new_client
from mockserver.conformance.recorder import Recorder
from mockserver.delivery.answer import Answer as Delivered
from mockserver.delivery.events import Emit, Wait
from mockserver.journal.exchange import Call
from mockserver.transport.http import chunks
from mockserver.websocket.playback import Out, SendFrames
from mockserver.websocket.session import WebSocketSession

Item = dict[str, Any]
CREATE = "response.create"
RESPONSES = "/responses"


class Refused(Exception):
    """A handshake was refused; `status` is that of the answer, 0 if there was none."""

    def __init__(self, why: str, status: int = 0) -> None:
        super().__init__(why)
        self.status = status


class Handshake(NamedTuple):
    """The answer to an upgrade: its status, its headers by lower-case names, and the subprotocol."""

    status: int
    headers: Mapping[str, str]
    subprotocol: str | None


class RawAnswer(NamedTuple):
    """An answer as bytes: its status, its headers by lower-case names, its body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Socket(Protocol):
    """A WebSocket; a frame that is not a string is sent as JSON."""

    @property
    def handshake(self) -> Handshake | None:
        """The answer to the upgrade, None where there was no network."""
        ...

    def send(self, frame: Any) -> None:
        """Send a frame."""
        ...

    def receive(self, seconds: float | None = None) -> Item:
        """The next frame; raises AssertionError if none comes, within `seconds` or the patience of the driver."""
        ...

    def ping(self) -> bool:
        """Whether a ping is answered."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class Stream(Protocol):
    """A streamed answer that is being read."""

    def read(self) -> Item | None:
        """The next event, None after the last; raises AssertionError if the answer is no stream."""
        ...

    def drop(self) -> None:
        """Break the connection off."""
        ...


class Connections(Protocol):
    """What opens connections to a server; `network` says whether there are bytes and headers to look at."""

    network: bool

    def open_socket(self, **options: Any) -> Socket:
        """Open a WebSocket; raises Refused."""
        ...

    def open_stream(self, body: Item | None, path: str = RESPONSES, **query: str) -> Stream:
        """POST a body, or GET without one, for a stream that is not read yet."""
        ...

    def fetch(self, method: str, path: str, body: Any = None) -> RawAnswer:
        """Send a request and keep the bytes of its answer; only where there is a network."""
        ...


def connections_of(driver: Driver) -> Connections | None:
    """What opens connections to a driver's server, None for a driver that has nothing of the kind."""
    if isinstance(driver, Recorder):
        return connections_of(driver.driver)
    if isinstance(driver, EngineDriver):
        return EngineConnections(driver)
    return HTTPConnections(driver) if isinstance(driver, HTTPDriver) else None


# --- over an engine ----------------------------------------------------------------------------------------------


class EngineConnections:
    """Connections to an engine in this process."""

    network = False

    def __init__(self, driver: EngineDriver) -> None:
        self._driver = driver

    def open_socket(self, **options: Any) -> Socket:
        """Open a session."""
        return _EngineSocket(WebSocketSession(self._driver.engine, self._driver.project))

    def open_stream(self, body: Item | None, path: str = RESPONSES, **query: str) -> Stream:
        """Send a request; what is not read has not left."""
        method, sent = ("GET", b"") if body is None else ("POST", orjson.dumps(body))
        call = Call(method, f"/v1{path}", sent, self._driver.project, list(query.items()), JSON_HEADERS)
        return _EngineStream(self._driver.engine.handle(call))

    def fetch(self, method: str, path: str, body: Any = None) -> RawAnswer:
        """Refuse: nothing is sent."""
        raise NotImplementedError("an engine in this process sends no bytes")


class _EngineSocket:
    handshake = None

    def __init__(self, session: WebSocketSession) -> None:
        self._session = session
        self._frames: deque[Item] = deque()
        self._turns: deque[Any] = deque()

    def send(self, frame: Any) -> None:
        self._take(self._session.receive(frame.encode() if isinstance(frame, str) else orjson.dumps(frame)))

    def _take(self, outs: list[Out]) -> None:
        for out in outs:
            if isinstance(out, SendFrames):
                self._frames += map(dict, out.frames)
            else:
                self._turns.append(out)

    def receive(self, seconds: float | None = None) -> Item:
        while not self._frames:
            if not self._turns:
                raise AssertionError("no further frame")
            step = self._session.advance(self._turns[0])
            if step is None:
                self._take(self._session.on_turn_end(self._turns.popleft()))
            elif isinstance(step, Emit):
                self._frames += map(dict, step.events)
        return self._frames.popleft()

    def ping(self) -> bool:
        return True

    def close(self) -> None:
        self._session.leave()


class _EngineStream:
    def __init__(self, answer: Delivered) -> None:
        self._answer = answer
        self._events = self._read(answer)

    def _read(self, answer: Delivered) -> Iterator[Item]:
        if not answer.streamed:
            raise AssertionError(f"the answer is no stream but {answer.status}")
        if answer.events is not None:  # it takes no time, so it was not laid out in chunks
            yield from map(dict, answer.events)
            return
        for chunk in chunks(answer):
            if not isinstance(chunk, Wait):
                yield from read_events(chunk.data.decode())

    def read(self) -> Item | None:
        return next(self._events, None)

    def drop(self) -> None:
        if self._answer.player is not None:
            self._answer.player.leave()


# --- over a network ----------------------------------------------------------------------------------------------


class HTTPConnections:
    """Connections to a base URL."""

    network = True

    def __init__(self, driver: HTTPDriver) -> None:
        self._driver = driver

    def open_socket(self, path: str = RESPONSES, **options: Any) -> Socket:
        """Open a WebSocket with the headers of the driver and those of `options`."""
        driver = self._driver
        headers = {**driver.headers(), **options.pop("headers", {})}
        url = "ws" + driver.base_url.removeprefix("http") + path
        known: Item = {"proxy": None, "open_timeout": driver.timeout_s, "compression": None, "max_size": None}
        stack = ExitStack()
        try:
            socket = stack.enter_context(connect(url, additional_headers=headers, **{**known, **options}))
            return _HTTPSocket(socket, driver.timeout_s, stack)
        except InvalidStatus as refusal:
            status = refusal.response.status_code
            raise Refused(f"the handshake answers {status}", status) from None
        except (OSError, WebSocketException) as error:
            raise Refused(f"the handshake fails: {type(error).__name__}: {error}") from None

    def open_stream(self, body: Item | None, path: str = RESPONSES, **query: str) -> Stream:
        """Send a request over a connection of its own."""
        return _HTTPStream(self._driver, body, path, query)

    def fetch(self, method: str, path: str, body: Any = None) -> RawAnswer:
        """Send a request; raises AssertionError without an answer."""
        try:
            with new_client(self._driver.timeout_s) as client:
                url = self._driver.base_url + path
                answer = client.request(method, url, json=body, headers=self._driver.headers())
        except httpx.HTTPError as error:
            raise AssertionError(f"{method} {path}: {type(error).__name__}: {error}") from None
        return RawAnswer(answer.status_code, dict(answer.headers), answer.content)


class _HTTPSocket:
    def __init__(self, socket: Any, timeout_s: float, stack: ExitStack) -> None:
        self._socket, self._timeout_s, self._stack = socket, timeout_s, stack
        response = socket.response
        headers = {name.lower(): value for name, value in response.headers.raw_items()}
        self.handshake: Handshake | None = Handshake(response.status_code, headers, socket.subprotocol)

    def send(self, frame: Any) -> None:
        try:
            self._socket.send(frame if isinstance(frame, str) else orjson.dumps(frame).decode())
        except ConnectionClosed as error:
            raise AssertionError(f"the socket is closed: {error}") from None

    def receive(self, seconds: float | None = None) -> Item:
        try:
            text = self._socket.recv(seconds or self._timeout_s)
        except (TimeoutError, ConnectionClosed) as error:
            raise AssertionError(f"no further frame: {type(error).__name__}: {error}") from None
        try:
            frame = orjson.loads(text)
        except orjson.JSONDecodeError:
            frame = None
        return frame if isinstance(frame, dict) else {"type": "unreadable", "data": text}

    def ping(self) -> bool:
        return bool(self._socket.ping().wait(self._timeout_s))

    def close(self) -> None:
        self._stack.close()


class _HTTPStream:
    def __init__(self, driver: HTTPDriver, body: Item | None, path: str, query: dict[str, str]) -> None:
        self._stack = ExitStack()
        client = self._stack.enter_context(new_client(driver.timeout_s))
        method, url, headers = "GET" if body is None else "POST", driver.base_url + path, driver.headers()
        request = client.stream(method, url, params=query, json=body, headers=headers)
        try:
            self._answer = self._stack.enter_context(request)
        except httpx.HTTPError as error:
            self._stack.close()
            raise AssertionError(f"no answer: {type(error).__name__}: {error}") from None
        self._events = self._read()

    def _read(self) -> Iterator[Item]:
        if self._answer.status_code != 200:
            raise AssertionError(f"the answer is no stream but {self._answer.status_code}")
        try:
            for line in self._answer.iter_lines():
                yield from read_events(line)
        except httpx.HTTPError as error:
            raise AssertionError(f"the stream broke off: {type(error).__name__}: {error}") from None

    def read(self) -> Item | None:
        return next(self._events, None)

    def drop(self) -> None:
        self._stack.close()


def read_until(read: Callable[[], Item | None], done: Callable[[list[Item]], object]) -> list[Item]:
    """Read frames or events until a test of them holds; raises AssertionError at an earlier end."""
    found: list[Item] = []
    while not found or not done(found):
        item = read()
        if item is None:
            raise AssertionError(f"it ends after {[entry.get('type') for entry in found][-3:]}")
        found.append(item)
    return found
