"""The mock's app: headers of every answer, errors, faults of its own. Spec: W15, errors §1."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from mockserver.config.settings import SettingError, Settings
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp, create_app
from mockserver.transport.rate_limit_headers import of_request
from mockserver.wire.catalog import LONGEST_NAME
from tests.support.asgi import PING, ask
from tests.support.caller import Caller


def test_W15_headers_of_every_answer() -> None:
    app = MockApp(Engine())
    for method, path, body in (("POST", "/v1/responses", PING), ("GET", "/v1/nope", b""), ("GET", "/v1/models", b"")):
        _, headers, _ = ask(app, method, path, body)
        assert re.fullmatch(r"req_[0-9a-f]{32}", headers["x-request-id"])
        assert headers["openai-version"] == "2020-10-01"
        assert re.fullmatch(r"\d+", headers["openai-processing-ms"])
        assert headers["openai-organization"]
        assert headers["content-type"] == "application/json"


def test_request_ids_differ_and_repeat_with_the_seed() -> None:
    def ids(seed: int) -> list[str]:
        app = MockApp(Engine(Settings(seed=seed)))
        return [ask(app, "GET", "/v1/models")[1]["x-request-id"] for _ in range(3)]

    assert len(set(ids(1))) == 3
    assert ids(1) == ids(1)
    assert not set(ids(1)) & set(ids(2))


def test_errors_have_the_envelope_of_the_api() -> None:
    status, headers, body = ask(MockApp(Engine()), "POST", "/v1/responses", b"{")
    assert status == 400
    assert headers["content-length"] == str(len(body))
    assert list(json.loads(body)["error"]) == ["message", "type", "param", "code"]
    assert body.startswith(b'{\n  "error": {\n    "message": "Invalid body: failed to parse JSON value.')
    assert not body.endswith(b"\n")


def test_S3_errors_are_plain_http_even_when_streaming_was_asked_for() -> None:
    asked = b'{"model":"gpt-4.1","input":"x","stream":true,"previous_response_id":"resp_1"}'
    status, headers, _ = ask(MockApp(Engine()), "POST", "/v1/responses", asked)
    assert (status, headers["content-type"]) == (400, "application/json")


def test_E4_wrong_content_type() -> None:
    status, _, body = ask(MockApp(Engine()), "POST", "/v1/responses", PING, content_type="text/plain")
    assert status == 400
    assert json.loads(body)["error"]["code"] == "unsupported_content_type"


def test_the_key_decides_the_project() -> None:
    app = MockApp(Engine())
    made = json.loads(ask(app, "POST", "/v1/responses", PING, authorization="Bearer a")[2])
    path = f"/v1/responses/{made['id']}"
    assert ask(app, "GET", path, authorization="Bearer a")[0] == 200
    assert ask(app, "GET", path, authorization="Bearer b")[0] == 404
    assert ask(app, "GET", path, authorization="Bearer a", openai_project="proj_1")[0] == 404
    assert ask(app, "GET", path)[0] == 404


def test_E90_without_a_key_where_keys_are_asked_for() -> None:
    app = MockApp(Engine(Settings(api_key=("k",))))
    assert ask(app, "POST", "/v1/responses", PING)[0] == 401
    assert ask(app, "GET", "/_mock/clock")[0] == 401
    assert ask(app, "POST", "/v1/responses", PING, authorization="Bearer k")[0] == 200


def test_a_fault_of_the_mock_says_so_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def respond(self, prompt: Any) -> Any:
            raise RuntimeError("deliberate")

    status, headers, body = ask(MockApp(Engine(model=Broken())), "POST", "/v1/responses", PING)
    assert (status, headers["x-should-retry"]) == (500, "false")
    assert json.loads(body)["error"]["type"] == "mock_error"
    assert "deliberate" in caplog.text
    assert "deliberate" not in body.decode()


def test_a_store_that_cannot_be_opened_is_a_setting_error() -> None:
    with pytest.raises(SettingError, match="--store"):
        create_app(Settings(store="sqlite:////no/such/place/x.db"))


def test_X1_a_refused_handshake_is_an_answer_over_http() -> None:
    """Spec: X1, X2, R4.1, E90, E99."""

    def refused(engine: Engine, path: str = "/v1/responses") -> tuple[int, dict[str, str], Any]:
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "websocket.connect"}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "websocket", "path": path, "headers": [], "extensions": {"websocket.http.response": {}}}
        asyncio.run(MockApp(engine)(scope, receive, send))
        head = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], head, json.loads(sent[1]["body"])["error"]

    status, headers, error = refused(Engine(Settings(api_key=("k",))))
    assert (status, error["message"]) == (401, "Missing bearer or basic authentication in header")
    assert list(error) == ["message", "type", "param", "code"]
    assert re.fullmatch(r"req_[0-9a-f]{32}", headers["x-request-id"])
    status, _, error = refused(Engine(), "/v1/conversations")
    assert (status, error["message"]) == (404, "Invalid URL (GET /v1/conversations)")


@pytest.mark.parametrize(("length", "kept"), [(LONGEST_NAME, 1), (LONGEST_NAME + 1, 0)])
def test_headers_are_not_remembered_by_a_long_name_of_a_model(length: int, kept: int) -> None:
    app, name = MockApp(Engine(Settings(set=(("unknown_models", "allow"),)))), "a-mini".ljust(length, "x")
    before = of_request.cache_info().currsize
    status, headers, body = ask(app, "POST", "/v1/responses", json.dumps({"model": name, "input": "ping"}).encode())
    assert (status, json.loads(body)["model"]) == (200, name)
    assert headers["x-ratelimit-limit-requests"] == "30000"
    assert of_request.cache_info().currsize == before + kept


def test_W15_processing_takes_as_long_as_the_turn() -> None:
    def took(line: dict[str, Any], body: bytes = PING) -> str:
        app = MockApp(Engine(Settings(clock=0.0)))
        app.engine.control.enqueue("default", [line])
        return ask(app, "POST", "/v1/responses", body)[1]["openai-processing-ms"]

    slow = {"reply": {"text": "pong"}, "pacing": {"first_token": 0.025}}
    assert took({"reply": {"text": "pong"}}) == "1"
    assert took(slow) == "25"
    assert took(slow, PING[:-1] + b',"stream":true}') == "1", "the headers of a stream leave before it takes any time"


@pytest.mark.parametrize(
    ("path", "meant"), [("/responses", True), ("/conversations/c/items", True), ("/v1/responses/a/b", False)]
)
def test_E99_a_base_url_without_v1_is_told_how_to_set_it(path: str, meant: bool) -> None:
    status, headers, body = ask(MockApp(Engine()), "POST", path, PING, host="127.0.0.1:4321")
    error = json.loads(body)["error"]
    hint = ". Set OPENAI_BASE_URL to http://127.0.0.1:4321/v1; this path lacks its /v1." if meant else ""
    assert (status, error["type"], error["param"], error["code"]) == (404, "invalid_request_error", None, None)
    assert error["message"] == f"Invalid URL (POST {path}){hint}" and "x-request-id" in headers


@pytest.mark.parametrize("path", ["/", "/_mock/", "/_mock"])
def test_the_root_says_what_this_is(path: str) -> None:
    app = MockApp(Engine(Settings(api_key=("secret",))))
    status, headers, body = ask(app, "GET", path, host="box.test:4321")
    assert (status, headers["content-type"]) == (200, "text/plain; charset=utf-8")
    assert b"export OPENAI_BASE_URL=http://box.test:4321/v1\n" in body and b"GET /_mock/journal\n" in body
    assert b"GET /_mock/metrics\n" in body and b"secret" not in body
    assert ask(app, "POST", path)[0] == 401, "nothing else is there"


def test_whether_a_request_is_scripted_depends_on_its_project() -> None:
    call = Caller(api_key=("sk-a", "sk-b"))
    line = {"when": {"path": "/v1/embeddings"}, "reply": {"http": {"json": 1}}}
    call.levers.enqueue(call.app.engine.project("Bearer sk-a", None), [line])

    def is_scripted(key: bytes, path: str = "/v1/embeddings", type: str = "http") -> bool:
        headers = [(b"authorization", b"Bearer " + key)]
        return call.app.is_scripted({"type": type, "method": "POST", "path": path, "headers": headers})

    assert is_scripted(b"sk-a") and not is_scripted(b"sk-b") and not is_scripted(b"nobody")
    assert not is_scripted(b"sk-a", "/v1/batches") and not is_scripted(b"sk-a", type="websocket")
