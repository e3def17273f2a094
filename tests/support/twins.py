"""Two engines that are asked the same and must answer the same bytes."""

from __future__ import annotations

from typing import Any, NamedTuple
from urllib.parse import parse_qsl

import orjson

from mockserver.config.settings import Settings
from mockserver.conformance.drivers import NOON, Answer, EngineDriver
from mockserver.delivery.answer import error_answer
from mockserver.delivery.events import events_in
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.store.view import Store
from mockserver.transport.control_api import control_answer
from mockserver.transport.http import Chunk, chunks, whole_body
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.events import Event


class Said(NamedTuple):
    """An answer in bytes, and the events that they are."""

    status: int
    body: bytes
    events: list[Event] | None


def said(engine: Engine, call: Call) -> Said:
    if call.path.startswith("/v1/"):
        with engine.store.open_call(call.project or "", writes=call.method != "GET"):
            answer = engine.handle(call)
    else:
        try:
            answer = control_answer(engine, call.project or "", call)
        except MockError as error:
            answer = error_answer(error)
    if answer.events is not None:
        return Said(answer.status, whole_body(answer), [dict(event) for event in answer.events])
    if answer.player is None:
        return Said(answer.status, answer.body, None)
    events = events_in(answer.player.steps)
    body = b"".join(chunk.data for chunk in chunks(answer) if isinstance(chunk, Chunk))
    return Said(answer.status, body, [dict(event) for event in events] if answer.streamed else None)


class Twins:
    """Two engines that are asked the same and must answer the same bytes; with `moving`, the second one's project is
    put elsewhere and back by snapshots, between any two calls.
    """

    controls = sockets = True

    def __init__(self, here: Store, there: Store, *, moving: bool = False, project: str = "twin") -> None:
        self.engines = [Engine(Settings(clock=NOON), store=one) for one in (here, there)]
        self.moving, self.project = moving, project

    def ask(self, method: str, path: str, body: Any, query: dict[str, str]) -> Said:
        sent = b"" if body is None else orjson.dumps(body)
        headers = {b"content-type": b"application/json"}
        if self.moving:
            self.move()
        answers = [
            said(engine, Call(method, path, sent, self.project, list(query.items()), headers))
            for engine in self.engines
        ]
        assert answers[0] == answers[1], f"{method} {path} {body}"
        return answers[0]

    def move(self) -> None:
        levers = self.engines[1].control
        document = levers.snapshot(self.project)
        levers.restore("elsewhere", document)
        levers.reset(self.project)
        levers.restore(self.project, levers.snapshot("elsewhere"))

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        status, found, events = self.ask(method, "/v1" + path, body, query)
        return Answer(status, None if events is not None or not found else orjson.loads(found), events)

    def create_over_socket(self, body: Any) -> Answer:
        if self.moving:
            self.move()
        first, second = (EngineDriver(engine, self.project).create_over_socket(body) for engine in self.engines)
        assert orjson.dumps([*first]) == orjson.dumps([*second]), body
        return first

    def control(self, method: str, path: str, body: Any = None) -> Any:
        path, _, query = path.partition("?")
        status, found, _ = self.ask(method, "/_mock" + path, body, dict(parse_qsl(query)))
        assert status < 300, found
        return orjson.loads(found) if found else None

    def new_project(self, name: str) -> Twins:
        other = Twins.__new__(Twins)
        other.engines, other.moving, other.project = self.engines, self.moving, f"{self.project}/{name}"
        return other

    def close(self) -> None:
        for engine in self.engines:
            engine.close()
