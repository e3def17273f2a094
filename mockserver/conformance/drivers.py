"""How the conformance kit reaches what it judges: an engine in this process, or any server by its base URL.

Both take the API's own paths (`/responses`, below the base URL) and give back what a client sees; nothing raises for
an error status. What only the mock has (clock, script) is reached by `control` and missing on foreign servers.
"""

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
from mockserver.delivery.answer import Answer as Delivered
from mockserver.delivery.fault_effects import truncate_json
from mockserver.delivery.schedule import FOREVER, Cut, Emit, Malformed, Wait
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.transport.abort import Abort
from mockserver.transport.control_api import call_control
from mockserver.transport.http import chunks, whole_body
from mockserver.websocket.playback import Out, SendFrames
from mockserver.websocket.session import WebSocketSession
from mockserver.wire.errors.api import MockError

NOON = 1_795_176_000.0  # 2026-11-20T12:00:00Z, where an engine's clock stands
NO_ANSWER = 0  # the status of what is not an HTTP answer at all


class Answer(NamedTuple):
    """What came back: the status (0: nothing did), the parsed body or its text, the events of a stream."""

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

        A query stands in `path`, behind a question mark.
        """
        ...

    def new_project(self, name: str) -> Driver:
        """Return a driver for another project with nothing in it, where the server has projects; else this one."""
        ...

    def close(self) -> None:
        """Let go of the server."""
        ...


class EngineDriver:
    """An engine in this process, reached by the same routes and handlers as over a socket."""

    controls = sockets = True

    def __init__(self, engine: Engine | None = None, project: str = "default") -> None:
        self.engine = engine or Engine(Settings(clock=NOON))
        self.project = project

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Call the API. Errors of the engine are answers, its own failures are not caught."""
        sent = b"" if body is None else orjson.dumps(body)
        call = Call(method, f"/v1{path}", sent, self.project, list(query.items()), _HEADERS)
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
        """Return a driver for another project of the same engine."""
        return EngineDriver(self.engine, f"{self.project}/{name}")

    def close(self) -> None:
        """Close the engine's store."""
        self.engine.close()


_HEADERS = {b"content-type": b"application/json"}


def _receive(answer: Delivered) -> Answer:
    """Return what a client sees of an answer once all of it was delivered, whatever time that takes.

    One that a fault breaks off, or that never ends, is none: the client has an error of its own.
    """
    if answer.events is not None:
        return Answer(answer.status, None, [dict(event) for event in answer.events])
    if answer.player is None:
        return _is_count(answer, whole_body(answer))
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
    return _is_count(answer, sent)


def _is_count(answer: Delivered, body: bytes) -> Answer:
    if answer.streamed:
        return Answer(answer.status, None, _events(body.decode()))
    return Answer(answer.status, _parse(body))


def _play(connection: WebSocketSession, outs: list[Out]) -> list[dict[str, Any]]:
    """Return the frames of everything that is to be said and played, whatever time it takes.

    A fault that closes the socket or lets it stall ends them; a broken frame is one that can't be read.
    """
    said: list[dict[str, Any]] = []
    todo = deque(outs)
    while todo:
        out = todo.popleft()
        if isinstance(out, SendFrames):
            said += map(dict, out.frames)
            continue
        while (step := connection.advance(out)) is not None:
            if isinstance(step, Emit):
                said += map(dict, step.events)
            elif isinstance(step, Malformed):
                said.append({"type": "unreadable", "data": truncate_json(orjson.dumps(step.event)).decode()})
            elif isinstance(step, Cut) or step == FOREVER:
                return said
        todo.extend(connection.on_turn_end(out))
    return said


def _of_frames(frames: list[dict[str, Any]]) -> Answer:
    """Return the answer that frames are: a stream, or an error if the first of them is one."""
    if frames and frames[0]["type"] == "error":
        return Answer(frames[0].get("status", NO_ANSWER), frames[0])
    return Answer(200, None, frames)


class HTTPDriver:
    """Any server that speaks the API, by its base URL (which ends in `/v1` as OPENAI_BASE_URL does).

    `project` goes with every call as `OpenAI-Project`.
    """

    def __init__(self, base_url: str, api_key: str = "any", *, project: str = "", timeout_s: float = 60.0) -> None:
        self.base_url, self.api_key, self.project = base_url.rstrip("/"), api_key, project
        self._timeout_s = timeout_s
        self._client = httpx.Client(timeout=timeout_s, trust_env=False)
        self._borrowed = False  # whether the connections are another driver's
        self.controls = self._has_controls()
        self.sockets = self.controls

    def _has_controls(self) -> bool:
        """Whether the mock itself answers: a proxy in front of something else has controls that move nothing there."""
        health = self._send("GET", self._control_url("/health"), None, {})
        return isinstance(health.body, dict) and health.body.get("mode") == "mock" and "switches" in health.body

    def _control_url(self, path: str) -> str:
        return f"{self.base_url.removesuffix('/v1')}/_mock{path}"

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        """Call the API; what can't be reached or read is an answer of status 0 that says why."""
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
            with connect(url, additional_headers=self._head(), proxy=None, open_timeout=self._timeout_s) as socket:
                socket.send(orjson.dumps({**body, "type": "response.create"}).decode())
                while not frames or frames[-1]["type"] not in (_TERMINAL if len(frames) > 1 else _REFUSED):
                    frames.append(orjson.loads(socket.recv(self._timeout_s)))
        except (OSError, WebSocketException, orjson.JSONDecodeError) as error:
            return Answer(NO_ANSWER, f"{type(error).__name__}: {error}")
        return _of_frames(frames)

    def _head(self) -> dict[str, str]:
        project = {"openai-project": self.project} if self.project else {}
        return {"authorization": f"Bearer {self.api_key}", **project}

    def _send(self, method: str, url: str, body: Any, query: dict[str, str]) -> Answer:
        headers = self._head()
        if body is not None:
            headers["content-type"] = "application/json"
        content = None if body is None else orjson.dumps(body)
        try:
            answer = self._client.request(method, url, params=query, content=content, headers=headers)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return Answer(NO_ANSWER, f"{type(error).__name__}: {error}")
        if answer.headers.get("content-type", "").startswith("text/event-stream"):
            return Answer(answer.status_code, None, _events(answer.text))
        return Answer(answer.status_code, _parse(answer.content))

    def new_project(self, name: str) -> HTTPDriver:
        """Return a driver for another project where the server is the mock, else this one.

        Its key tells it apart, so that a client needs nothing else; where only given keys are let in, `OpenAI-Project`.
        """
        if not self.controls:
            return self
        made = copy(self)
        made.api_key, made._borrowed = f"{self.api_key}-{name}", True
        if not made._has_controls():
            made.api_key, made.project = self.api_key, f"{self.project} {name}".strip()
        return made

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


def _events(text: str) -> list[dict[str, Any]]:
    """Return the events of a stream; a line of data that is not an object becomes an event of type `unreadable`."""
    lines = [line.removeprefix("data:").strip() for line in text.split("\n") if line.startswith("data:")]
    parsed = [_parse(line.encode()) for line in lines if line != "[DONE]"]
    return [one if isinstance(one, dict) else {"type": "unreadable", "data": one} for one in parsed]
