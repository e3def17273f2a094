"""How the conformance kit reaches what it judges: an engine in this process, or any server by its base URL.

Both take the API's own paths (`/responses`, below the base URL) and return what a client sees; an error status raises
nothing. `control` reaches what only the mock has (clock, script); foreign servers lack it.
"""

# How it works. `EngineDriver` hands a call to an engine in this process and plays its delivery without waiting;
# `HTTPDriver` speaks to a URL. Both reduce what came back to an `Answer`, so that checks and machine can't tell
# which of them they use.
#
# What must stay true:
# * Nothing raises for an error status or a broken stream: a fault that cuts an answer gives the status 0 that a
#   client would see as a connection error.
# * Time is never waited for in this process: a `Wait` of the schedule is skipped, an endless one ends the
#   answer.
# * Projects are told apart by API key, which every client can send; only where keys are fixed by a header.

from __future__ import annotations

import math
from collections import deque
from copy import copy
from typing import Any, NamedTuple, Protocol
from urllib.parse import parse_qsl

import httpx
import orjson
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from mockserver.config.settings import Settings
from mockserver.conformance.http_clients import new_client
from mockserver.delivery.answer import Answer as Delivered
from mockserver.delivery.events import FOREVER, Cut, Emit, Malformed, Wait
from mockserver.delivery.fault_effects import truncate_json
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.transport.abort import Abort
from mockserver.transport.control_api import call_control
from mockserver.transport.http import chunks, whole_body
from mockserver.websocket.playback import Out, SendFrames
from mockserver.websocket.session import WebSocketSession
from mockserver.wire.errors.api import MockError

NOON = 1_795_176_000.0  # 2026-11-20T12:00:00Z, at which an engine's clock is frozen
NO_ANSWER = 0  # the status if there was no HTTP answer at all


class Answer(NamedTuple):
    """A server's answer: the status (0 if there was none), the parsed body or its text, the events of a stream."""

    status: int
    body: Any
    events: list[dict[str, Any]] | None = None

    @property
    def error(self) -> dict[str, Any]:
        """The error object of the body, empty when it holds none."""
        error = self.body.get("error") if isinstance(self.body, dict) else None
        return error if isinstance(error, dict) else {}


class Driver(Protocol):
    """A way to call the API on behalf of one project."""

    @property
    def controls(self) -> bool:
        """Whether the server has the mock's control API: a clock to move, a queue of scripted replies."""
        ...

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Call the API; `path` counts from the base URL, `body` goes as JSON."""
        ...

    @property
    def sockets(self) -> bool:
        """Whether responses can be created over WebSockets as well."""
        ...

    def create_over_socket(self, body: Any) -> Answer:
        """Create a response over a WebSocket of its own; an error frame is an answer with its status."""
        ...

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the mock's control API below `/_mock`; returns its JSON, raises LookupError when it refuses.

        `path` includes the query, after a question mark.
        """
        ...

    def new_project(self, name: str) -> Driver:
        """A driver for another, empty project where the server has projects; else this one."""
        ...

    def close(self) -> None:
        """Close the connections to the server."""
        ...


class EngineDriver:
    """An engine in this process, reached by the same routes and handlers as over a socket."""

    controls = sockets = True

    def __init__(self, engine: Engine | None = None, project: str = "default") -> None:
        self.engine = engine or Engine(Settings(clock=NOON))
        self.project = project

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Call the API. Errors of the API are answers; exceptions inside the engine are not caught."""
        sent = b"" if body is None else orjson.dumps(body)
        call = Call(method, f"/v1{path}", sent, self.project, list(query.items()), JSON_HEADERS)
        return _receive(self.engine.handle(call))

    def create_over_socket(self, body: Any) -> Answer:
        """Create a response as a frame of a connection without a socket."""
        connection = WebSocketSession(self.engine, self.project)
        frames = _play(connection, connection.receive(orjson.dumps({**body, "type": "response.create"})))
        connection.leave()
        return _of_frames(frames)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API."""
        try:
            return call_control(self.engine, self.project, method, path, body)
        except MockError as error:
            raise LookupError(f"{method} {path}: {error.message}") from error

    def new_project(self, name: str) -> EngineDriver:
        """A driver for another project of the same engine."""
        return EngineDriver(self.engine, f"{self.project}/{name}")

    def close(self) -> None:
        """Close the engine's store."""
        self.engine.close()


JSON_HEADERS = {b"content-type": b"application/json"}


def _receive(answer: Delivered) -> Answer:
    """The whole answer as a client sees it, after delivery; waits are skipped.

    An answer that a fault cuts, or that never ends, has status 0: a client would raise an error of its own.
    """
    if answer.events is not None:
        return Answer(answer.status, None, [dict(event) for event in answer.events])
    if answer.player is None:
        return _to_answer(answer, whole_body(answer))
    sent = b""
    try:
        for chunk in chunks(answer):
            if not isinstance(chunk, Wait):
                sent += chunk.data
            elif chunk.seconds == math.inf:
                answer.player.leave()
                return Answer(NO_ANSWER, "the answer stalled")
    except Abort:
        return Answer(NO_ANSWER, "the connection was broken off")
    return _to_answer(answer, sent)


def _to_answer(answer: Delivered, body: bytes) -> Answer:
    if answer.streamed:
        return Answer(answer.status, None, read_events(body.decode()))
    return Answer(answer.status, _parse(body))


def _play(connection: WebSocketSession, outs: list[Out]) -> list[dict[str, Any]]:
    """The frames of everything that is sent and played; waits are skipped.

    A fault that closes or stalls the socket ends the frames; a malformed frame becomes one of type `unreadable`.
    """
    frames: list[dict[str, Any]] = []
    todo = deque(outs)
    while todo:
        out = todo.popleft()
        if isinstance(out, SendFrames):
            frames += map(dict, out.frames)
            continue
        while (step := connection.advance(out)) is not None:
            if isinstance(step, Emit):
                frames += map(dict, step.events)
            elif isinstance(step, Malformed):
                frames.append({"type": "unreadable", "data": truncate_json(orjson.dumps(step.event)).decode()})
            elif isinstance(step, Cut) or step == FOREVER:
                return frames
        # The end of a turn may let the next one of its lane begin.
        todo.extend(connection.on_turn_end(out))
    return frames


def _of_frames(frames: list[dict[str, Any]]) -> Answer:
    """The answer that frames stand for: a stream, or an error if the first of them is one."""
    if frames and frames[0]["type"] == "error":
        return Answer(frames[0].get("status", NO_ANSWER), frames[0])
    return Answer(200, None, frames)


class HTTPDriver:
    """Any server that speaks the API, by its base URL (which ends in `/v1` as OPENAI_BASE_URL does).

    `project` is sent with every call as `OpenAI-Project`.
    """

    def __init__(self, base_url: str, api_key: str = "any", *, project: str = "", timeout_s: float = 60.0) -> None:
        self.base_url, self.api_key, self.project = base_url.rstrip("/"), api_key, project
        self.timeout_s = timeout_s
        self._client = new_client(timeout_s)
        self._borrowed = False  # whether the connections are another driver's
        self.controls = self._has_controls()
        self.sockets = self.controls

    def _has_controls(self) -> bool:
        """Whether the mock itself answers: the controls of a proxy do not move the server after it."""
        health = self._send("GET", self._control_url("/health"), None, {})
        return isinstance(health.body, dict) and health.body.get("mode") == "mock" and "switches" in health.body

    def _control_url(self, path: str) -> str:
        return f"{self.base_url.removesuffix('/v1')}/_mock{path}"

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Call the API; a server that can't be reached or read gives an answer of status 0 whose body says why."""
        return self._send(method, self.base_url + path, body, query)

    def control(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API."""
        path, _, query = path.partition("?")
        answer = self._send(method, self._control_url(path), body, dict(parse_qsl(query)))
        if not 200 <= answer.status < 300:
            raise LookupError(f"{method} {path}: {answer.status} {answer.body}")
        return answer.body

    def create_over_socket(self, body: Any) -> Answer:
        """Create a response over a WebSocket of its own."""
        url = "ws" + self.base_url.removeprefix("http") + "/responses"
        frames: list[dict[str, Any]] = []
        try:
            with connect(url, additional_headers=self.headers(), proxy=None, open_timeout=self.timeout_s) as socket:
                socket.send(orjson.dumps({**body, "type": "response.create"}).decode())
                while not frames or frames[-1]["type"] not in (_TERMINAL if len(frames) > 1 else _REFUSED):
                    frames.append(orjson.loads(socket.recv(self.timeout_s)))
        except (OSError, WebSocketException, orjson.JSONDecodeError) as error:
            return Answer(NO_ANSWER, f"{type(error).__name__}: {error}")
        return _of_frames(frames)

    def headers(self) -> dict[str, str]:
        project = {"openai-project": self.project} if self.project else {}
        return {"authorization": f"Bearer {self.api_key}", **project}

    def _send(self, method: str, url: str, body: Any, query: dict[str, str]) -> Answer:
        headers = self.headers()
        if body is not None:
            headers["content-type"] = "application/json"
        content = None if body is None else orjson.dumps(body)
        try:
            answer = self._client.request(method, url, params=query, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(NO_ANSWER, f"{type(error).__name__}: {error}")
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return Answer(answer.status_code, None, read_events(answer.text))
        return Answer(answer.status_code, _parse(answer.content))

    def new_project(self, name: str) -> HTTPDriver:
        """A driver for another project where the server is the mock, else this one.

        Projects differ by API key, which every client can send; if only known keys are accepted, by `OpenAI-Project`.
        """
        if not self.controls:
            return self
        driver = copy(self)
        driver.api_key, driver._borrowed = f"{self.api_key}-{name}", True
        if not driver._has_controls():
            driver.api_key, driver.project = self.api_key, f"{self.project} {name}".strip()
        return driver

    def close(self) -> None:
        """Close the connections, unless they are those of the driver that this one comes from."""
        if not self._borrowed:
            self._client.close()


_TERMINAL = ("response.completed", "response.incomplete", "response.failed")
_REFUSED = ("error",)  # as the first frame; later ones are followed by the end of their turn (Spec: S12)


def _parse(content: bytes) -> Any:
    try:
        return orjson.loads(content) if content else None
    except orjson.JSONDecodeError:
        return content.decode(errors="replace")


def read_events(text: str) -> list[dict[str, Any]]:
    """The events of a stream; a line of data that is not an object becomes an event of type `unreadable`."""
    lines = [line.removeprefix("data:").strip() for line in text.split("\n") if line.startswith("data:")]
    parsed = [_parse(line.encode()) for line in lines if line != "[DONE]"]
    return [value if isinstance(value, dict) else {"type": "unreadable", "data": value} for value in parsed]
