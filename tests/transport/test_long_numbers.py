"""Numbers of more digits than Python reads, or than anything can have: a client's mistake, no fault of the mock."""

from __future__ import annotations

import json
from urllib.parse import quote

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from tests.support.asgi import PING, ask
from tests.support.driving import NOON

LONG = "9" * 5000  # Python's int() refuses more than 4300
LARGE = "1" + "0" * 30  # 10^30, beyond 64 bits
MULTIPART = "multipart/form-data; boundary=x"


@pytest.fixture
def app() -> MockApp:
    return MockApp(Engine(Settings(clock=NOON)))


@pytest.mark.parametrize("digits", [LONG, LARGE, "-" + LONG, "٣", "1_0", "²"])
@pytest.mark.parametrize(
    "path",
    [
        "/v1/responses/{id}/input_items?limit={digits}",
        "/v1/conversations/{conversation}/items?limit={digits}",
        "/v1/files?limit={digits}",
        "/v1/vector_stores?limit={digits}",
        "/v1/containers?limit={digits}",
        "/_mock/responses?limit={digits}",
        "/_mock/conversations?limit={digits}",
        "/_mock/journal?limit={digits}",
        "/_mock/journal?after={digits}",
    ],
)
def test_a_query_with_such_a_number_is_refused(app: MockApp, path: str, digits: str) -> None:
    response = json.loads(ask(app, "POST", "/v1/responses", PING)[2])["id"]
    conversation = json.loads(ask(app, "POST", "/v1/conversations", b"{}")[2])["id"]
    status, _, answer = ask(app, "GET", path.format(id=response, conversation=conversation, digits=quote(digits)))
    assert status == 400, answer


@pytest.mark.parametrize(("digits", "status"), [(LARGE, 200), ("-" + LARGE, 200), (LONG, 400), ("²", 400)])
def test_S12_a_stream_is_taken_up_after_such_a_number(app: MockApp, digits: str, status: int) -> None:
    body = {"model": "gpt-4.1", "input": "x", "background": True, "stream": True}
    answer = ask(app, "POST", "/v1/responses", json.dumps(body).encode())[2].decode()
    response = json.loads(answer.partition("data: ")[2].partition("\n")[0])["response"]["id"]
    path = f"/v1/responses/{response}?stream=true&starting_after={quote(digits)}"
    assert ask(app, "GET", path)[0] == status


@pytest.mark.parametrize("digits", [LONG, LARGE, "-" + LONG, LONG + "." + LONG, "1e999"])
@pytest.mark.parametrize(
    "member",
    [
        '"max_output_tokens":{}',
        '"top_logprobs":{}',
        '"max_tool_calls":{}',
        '"seed":{}',
        '"metadata":{{"a":{}}}',
        '"model":{}',
    ],
)
def test_a_body_with_such_a_number_is_refused(app: MockApp, member: str, digits: str) -> None:
    body = '{"input":"x","model":"gpt-4.1",' + member.format(digits) + "}"
    status, _, answer = ask(app, "POST", "/v1/responses", body.encode())
    assert status == 400, answer


@pytest.mark.parametrize("digits", [LONG, LARGE, "1e999"])
@pytest.mark.parametrize(
    "schema", ['{{"maximum":{}}}', '{{"minimum":{}}}', '{{"minLength":{}}}', '{{"multipleOf":{}}}', '{{"const":{}}}']
)
def test_a_tool_with_such_a_number_is_a_tool(app: MockApp, schema: str, digits: str) -> None:
    """A schema may say what it likes; whether a value can be made for it is the mock's to say."""
    parameters = '{"type":"object","properties":{"a":' + schema.format(digits) + "}}"
    tool = '{"type":"function","name":"f","strict":false,"parameters":' + parameters + "}"
    body = '{"input":"f","model":"gpt-4.1","tool_choice":"required","tools":[' + tool + "]}"
    assert ask(app, "POST", "/v1/responses", body.encode())[0] in (200, 400)


@pytest.mark.parametrize("digits", [LONG, "²", "٣"])
def test_a_reference_with_such_an_index_leads_nowhere(app: MockApp, digits: str) -> None:
    schema = {"type": "object", "properties": {"a": {"$ref": f"#/anyOf/{digits}"}}, "anyOf": [{"type": "object"}]}
    tool = {"type": "function", "name": "f", "strict": False, "parameters": schema}
    body = {"model": "gpt-4.1", "input": "f", "tool_choice": "required", "tools": [tool]}
    assert ask(app, "POST", "/v1/responses", json.dumps(body).encode())[0] in (200, 400)


def test_E2_a_length_of_such_a_number_is_too_large(app: MockApp) -> None:
    assert ask(app, "POST", "/v1/responses", PING, content_length=LONG)[0] == 413


@pytest.mark.parametrize("digits", [LONG, LARGE])
def test_a_file_does_not_live_so_long(app: MockApp, digits: str) -> None:
    parts = {"purpose": "batch", "expires_after[anchor]": "created_at", "expires_after[seconds]": digits}
    start = "--x\r\ncontent-disposition: form-data; name="
    fields = [f'{start}"{name}"\r\n\r\n{value}\r\n' for name, value in parts.items()]
    file = f'{start}"file"; filename="a"\r\n\r\nx\r\n--x--\r\n'
    status, _, answer = ask(app, "POST", "/v1/files", ("".join(fields) + file).encode(), content_type=MULTIPART)
    assert status == 400 and b"expires_after[seconds]" in answer, answer


@pytest.mark.parametrize("digits", [LONG, LARGE])
def test_a_snapshot_with_such_a_name_is_no_fault(app: MockApp, digits: str) -> None:
    document = json.loads(ask(app, "GET", "/_mock/snapshot")[2])
    document["lines"][digits] = {"line": {"reply": {"text": "x"}}, "used": False}
    document["faults"][digits] = {"fault": {"do": "cut"}, "used": 0}
    assert ask(app, "PUT", "/_mock/snapshot", json.dumps(document).encode())[0] < 500


@pytest.mark.parametrize("body", ['{{"now":{}}}', '{{"seconds":{}}}', '{{"days":{}}}'])
@pytest.mark.parametrize("digits", [LONG, LARGE])
def test_no_clock_shows_such_a_time(app: MockApp, body: str, digits: str) -> None:
    path = "clock" if "now" in body else "clock/advance"
    method = "PUT" if "now" in body else "POST"
    assert ask(app, method, f"/_mock/{path}", body.format(digits).encode())[0] == 400


def test_a_scripted_limit_of_such_a_number_is_a_text(app: MockApp) -> None:
    message = f"Rate limit reached for gpt-4.1 in organization o on tokens per min (TPM): Limit {LONG}, Used 1."
    lines = {"lines": [{"reply": {"error": {"status": 429, "message": message}}}]}
    assert ask(app, "POST", "/_mock/script", json.dumps(lines).encode())[0] < 300
    assert ask(app, "POST", "/v1/responses", PING)[0] == 429
