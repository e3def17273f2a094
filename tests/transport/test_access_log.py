"""One line of the log for each request."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from mockserver.config.settings import Settings
from mockserver.engine import telemetry
from mockserver.engine.engine import Engine
from mockserver.engine.telemetry import AccessLine
from mockserver.journal.exchange import Call
from mockserver.transport.access_log import log_requests
from mockserver.transport.app import MockApp, create_app
from mockserver.transport.serve import JsonLines, TextLines
from tests.support import virtual_time
from tests.support.asgi import PING, ask


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[AccessLine]:
    """The lines, as they are told."""
    lines: list[AccessLine] = []
    monkeypatch.setattr(telemetry, "tell", lines.append)
    return lines


def parts(line: AccessLine) -> tuple[Any, ...]:
    """What a line says, without its time."""
    assert line.ms >= 0
    return *line[:4], line.answered_by


def test_a_served_mock_tells_each_request_and_who_answered(told: list[AccessLine]) -> None:
    app = create_app(Settings(journal=0))
    app.engine.control.enqueue("default", [{"reply": {"text": "scripted"}}])
    ask(app, "POST", "/v1/responses", PING, content_type="application/json")
    ask(app, "POST", "/v1/responses", PING[:-1] + b',"stream":true}', content_type="application/json")
    ask(app, "GET", "/v1/responses/resp_none?user=sk-secret")
    app.engine.control.set_faults("default", [{"do": {"error": "server_is_overloaded"}}])
    ask(app, "POST", "/v1/responses", PING)
    ask(app, "GET", "/_mock/clock")
    assert [parts(line) for line in told] == [
        ("POST", "/v1/responses", "gpt-4.1-2025-04-14", 200, "queue"),
        ("POST", "/v1/responses", "gpt-4.1-2025-04-14", 200, "default model"),
        ("GET", "/v1/responses/resp_none", "-", 404, "-"),
        ("POST", "/v1/responses", "-", 503, "fault error"),
    ]


@pytest.mark.parametrize("level", ["warning", "error", "critical"])
def test_it_is_off_above_info_and_in_a_mock_of_a_test(told: list[AccessLine], level: str) -> None:
    for app in (create_app(Settings(log_level=level)), MockApp(Engine())):
        ask(app, "POST", "/v1/responses", PING)
    assert told == []


def test_a_line_is_one_line(told: list[AccessLine]) -> None:
    engine = create_app(Settings()).engine
    engine.handle(Call("GET", "/v1/models/a b\nINFO forged", project="p"))
    assert [line.path for line in told] == ["/v1/models/a%20b%0AINFO%20forged"]


def test_what_the_mock_does_not_answer_is_told_when_it_has_ended(told: list[AccessLine]) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.accept"})
            raise ConnectionError
        await send({"type": "http.response.start", "status": 418})
        await send({"type": "http.response.body"})

    async def nothing(message: Any = None) -> Any:
        return None

    logged = log_requests(app, "upstream")
    virtual_time.run(logged({"type": "http", "method": "PUT", "path": "/v1/x"}, nothing, nothing))
    with pytest.raises(ConnectionError):
        virtual_time.run(logged({"type": "websocket", "path": "/v1/realtime"}, nothing, nothing))
    assert [parts(line) for line in told] == [
        ("PUT", "/v1/x", "-", 418, "upstream"),
        ("GET", "/v1/realtime", "-", 101, "upstream"),
    ]


def test_as_text_and_as_json(caplog: pytest.LogCaptureFixture) -> None:
    line = AccessLine("POST", "/v1/responses", "gpt-5.5", 200, 1.25, "queue")
    with caplog.at_level(logging.INFO, "understudy.access"):
        telemetry.tell(line)
    (record,) = caplog.records
    text = "INFO understudy.access: POST /v1/responses gpt-5.5 200 1.2 ms, queue"
    assert TextLines().format(record).partition(" ")[2].partition(" ")[2] == text
    document = json.loads(JsonLines().format(record))
    assert {key: document[key] for key in AccessLine._fields} == line._asdict()
    assert document["level"] == "info" and document["message"] == str(line)
    with caplog.at_level(logging.WARNING, "understudy.access"):
        telemetry.tell(line)
    assert len(caplog.records) == 1
