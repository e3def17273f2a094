"""Whatever comes in over a socket, the answer is an error of OpenAI's shape, never a fault, and nothing has changed.

After each bad request the server is compared with a twin that never saw one. Spec: errors §1.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.raw_http import Answer, chunked, connect, exchange, head, parse, read_on, request
from tests.support.serving import FROZEN, Served, serving

OK = {"model": "gpt-4.1", "input": "hello"}
UNKNOWN = "resp_" + "0" * 50
NO_CONVERSATION = "conv_" + "0" * 48
LIMIT = 1000
DEEP = 10_000
HUGE = "9" * 400


@pytest.fixture(scope="module")
def abused() -> Iterator[Served]:
    with serving(*FROZEN) as served:
        yield served


@pytest.fixture(scope="module")
def twin() -> Iterator[Served]:
    with serving(*FROZEN) as served:
        yield served


@pytest.fixture(scope="module")
def narrow() -> Iterator[Served]:
    """A server that reads small bodies only."""
    with serving(*FROZEN, "--max-body-bytes", str(LIMIT)) as served:
        yield served


def check_error(answer: Answer) -> dict[str, Any]:
    """Check that an answer is an error as OpenAI sends it, and return what it says."""
    assert 400 <= answer.status < 500, answer
    assert answer.header("content-type") == "application/json"
    body = answer.json
    assert list(body) == ["error"] and list(body["error"]) == ["message", "type", "param", "code"]
    assert answer.body.decode("ascii") == json.dumps(body, indent=2)
    error = body["error"]
    assert error["type"] == "invalid_request_error" and isinstance(error["message"], str) and error["message"]
    assert all(error[key] is None or isinstance(error[key], str) for key in ("param", "code"))
    return error


def check_unchanged(abused: Served, twin: Served) -> None:
    """Check that a server is as it would be without the bad request: what it lists, and the next ids it gives."""
    for path in ("/responses", "/conversations", "/clock"):
        assert abused.control("GET", path) == twin.control("GET", path)
    for path, body in (("/v1/responses", OK), ("/v1/conversations", {})):
        one, other = (served.request("POST", path, body) for served in (abused, twin))
        assert one.status == 200 and one.body == other.body


def refused(abused: Served, twin: Served, data: bytes) -> dict[str, Any]:
    """Send a bad request; returns its error after all checks."""
    answer = exchange(abused.port, data)
    error = check_error(answer)
    check_unchanged(abused, twin)
    return {"status": answer.status, **error}


def create(raw: bytes = b"", **fields: Any) -> bytes:
    return request("POST", "/v1/responses", raw or {**OK, **fields})


def with_input(value: str) -> bytes:
    """Return a request with this JSON text as its input."""
    return create(b'{"model": "gpt-4.1", "input": %b}' % value.encode("utf-8", "surrogatepass"))


def nested(opening: str, inside: str, closing: str) -> str:
    return opening * DEEP + inside + closing * DEEP


UNREADABLE = {
    "empty": b"",
    "blank": b" \n",
    "broken": b"{",
    "trailing-comma": b'{"model": "gpt-4.1", "input": "x",}',
    "single-quotes": b"{'model': 'gpt-4.1'}",
    "two-values": b'{"model": "gpt-4.1", "input": "x"} {}',
    "invalid-utf8": b'{"model": "gpt-4.1", "input": "\xff\xfe"}',
    "utf16": json.dumps(OK).encode("utf-16"),
    "raw-surrogate": b'{"model": "gpt-4.1", "input": "\xed\xa0\x80"}',
    "lone-surrogate": rb'{"model": "gpt-4.1", "input": "\ud800"}',
    "swapped-surrogates": rb'{"model": "gpt-4.1", "input": "\udc00\ud800"}',
    "nan": b'{"model": "gpt-4.1", "input": "x", "temperature": NaN}',
    "infinity": b'{"model": "gpt-4.1", "input": "x", "temperature": -Infinity}',
    "control-character": b'{"model": "gpt-4.1", "input": "\x00"}',
    "array": b"[]",
    "string": b'"text"',
    "null": b"null",
    "number": b"1",
    "true": b"true",
    "form": b"model=gpt-4.1&input=x",
    "deep-array": nested("[", "1", "]").encode(),
    "deep-object": nested('{"a":', "1", "}").encode(),
    "deep-unclosed": b"[" * DEEP,
}
BODY_PATHS = (
    "/v1/responses",
    "/v1/responses/input_tokens",
    "/v1/conversations",
    "/v1/conversations/{id}",
    "/v1/conversations/{id}/items",
)


MAY_BE_EMPTY = "/v1/conversations"  # a conversation of nothing may be asked for with nothing


@pytest.mark.parametrize(
    ("path", "name"),
    [
        pytest.param(path, name, marks=() if path == BODY_PATHS[0] else pytest.mark.slow)
        for path in BODY_PATHS
        for name in UNREADABLE
        if (path, name) != (MAY_BE_EMPTY, "empty")
    ],
)
def test_body_that_is_no_json_object(abused: Served, twin: Served, path: str, name: str) -> None:
    conversation = twin.control("GET", "/conversations")["data"]
    known = conversation[0]["id"] if conversation else NO_CONVERSATION
    refused(abused, twin, request("POST", path.replace("{id}", known), UNREADABLE[name]))


BAD_FIELDS = {
    "model-missing": create(b'{"input": "x"}'),
    "model-null": create(model=None),
    "model-number": create(model=4),
    "model-empty": create(model=""),
    "model-long": create(model="m" * 100_000),
    "input-missing": create(b'{"model": "gpt-4.1"}'),
    "input-null": create(input=None),
    "input-number": create(input=1),
    "input-object": create(input={}),
    "input-empty": create(input=[]),
    "input-too-long": create(input="x" * 10_485_761),
    "item-null": create(input=[None]),
    "item-array": create(input=[[]]),
    "item-no-role": create(input=[{"content": "x"}]),
    "item-bad-role": create(input=[{"role": "robot", "content": "x"}]),
    "item-bad-type": create(input=[{"type": "bogus"}]),
    "item-type-object": create(input=[{"type": {}}]),
    "item-bad-key": create(input=[{"role": "user", "content": "x", "bogus": 1}]),
    "item-id-long": create(input=[{"role": "user", "content": "x", "id": "msg_" + "x" * 100}]),
    "item-id-prefix": create(input=[{"type": "message", "role": "assistant", "content": "x", "id": "rs_1"}]),
    "item-reference": create(input=[{"type": "item_reference", "id": "msg_unknown"}]),
    "item-output-alone": create(input=[{"type": "function_call_output", "call_id": "call_x", "output": "x"}]),
    "item-twice": create(input=[{"role": "user", "content": "x", "id": "msg_1"}] * 2),
    "content-number": create(input=[{"role": "user", "content": 1}]),
    "content-null": create(input=[{"role": "user", "content": None}]),
    "content-part": create(input=[{"role": "user", "content": [{"type": "bogus"}]}]),
    "content-text-object": create(input=[{"role": "user", "content": [{"type": "input_text", "text": {}}]}]),
    "parent-object": create(previous_response_id={}),
    "parent-empty": create(previous_response_id=""),
    "parent-unknown": create(previous_response_id=UNKNOWN),
    "parent-unknown-streamed": create(previous_response_id=UNKNOWN, stream=True),
    "parent-other-prefix": create(previous_response_id="msg_1"),
    "parent-long": create(previous_response_id="resp_" + "0" * 100_000),
    "conversation-unknown": create(conversation=NO_CONVERSATION),
    "conversation-number": create(conversation=1),
    "conversation-empty": create(conversation={}),
    "conversation-and-parent": create(conversation=NO_CONVERSATION, previous_response_id=UNKNOWN),
    "prompt-unknown": create(prompt={"id": "pmpt_unknown"}),
    "unknown-key": create(bogus=1),
    "unknown-key-long": create(**{"k" * 100_000: 1}),
    "unknown-key-empty": create(**{"": 1}),
    "unknown-key-unicode": create(ключ=1),
    "chat-messages": create(b'{"model": "gpt-4.1", "messages": []}'),
    "stream-text": create(stream="yes"),
    "stream-number": create(stream=1),
    "stream-options-alone": create(stream_options={"include_obfuscation": True}),
    "store-text": create(store="no"),
    "temperature-text": create(temperature="hot"),
    "temperature-low": create(temperature=-1),
    "temperature-huge": create(b'{"model": "gpt-4.1", "input": "x", "temperature": 1e308}'),
    "temperature-huge-integer": create(b'{"model": "gpt-4.1", "input": "x", "temperature": %b}' % HUGE.encode()),
    "max-tokens-huge": create(b'{"model": "gpt-4.1", "input": "x", "max_output_tokens": -%b}' % HUGE.encode()),
    "max-tokens-beyond": create(b'{"model": "gpt-4.1", "input": "x", "max_output_tokens": 1e400}'),
    "max-tokens-64-bit": create(max_output_tokens=2**64),
    "max-tokens-small": create(max_output_tokens=1),
    "max-tokens-decimal": create(max_output_tokens=16.5),
    "max-tool-calls": create(max_tool_calls=0),
    "metadata-text": create(metadata="x"),
    "metadata-nested": create(metadata={"a": {}}),
    "metadata-many": create(metadata={str(number): "x" for number in range(17)}),
    "metadata-key-long": create(metadata={"k" * 65: "x"}),
    "metadata-value-long": create(metadata={"k": "x" * 513}),
    "include-unknown": create(include=["bogus"]),
    "include-text": create(include="bogus"),
    "tools-object": create(tools={}),
    "tools-many": create(tools=[{"type": "function", "name": f"f{number}", "parameters": {}} for number in range(129)]),
    "tool-unknown": create(tools=[{"type": "bogus"}]),
    "tool-no-name": create(tools=[{"type": "function"}]),
    "tool-choice-unknown": create(tool_choice="maybe"),
    "tool-choice-absent": create(tool_choice={"type": "function", "name": "absent"}),
    "tool-schema": create(tools=[{"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": True}]),
    "format-unknown": create(text={"format": {"type": "bogus"}}),
    "format-no-schema": create(text={"format": {"type": "json_schema", "name": "n"}}),
    "format-no-json": create(text={"format": {"type": "json_object"}}),
    "reasoning-text": create(reasoning="high"),
    "reasoning-elsewhere": create(reasoning={"effort": "high"}),
    "truncation": create(truncation="bogus"),
    "service-tier": create(service_tier="bogus"),
    "cache-key-long": create(prompt_cache_key="k" * 65),
    "context-management": create(context_management="compaction"),
    "instructions-number": create(instructions=1),
    "input-deep": with_input(nested("[", "1", "]")),
    "input-deep-objects": with_input(nested('[{"role":"user","content":', '"x"', "}]")),
    "metadata-deep": create(b'{"model": "gpt-4.1", "input": "x", "metadata": %b}' % nested('{"a":', "1", "}").encode()),
    "schema-deep": create(
        b'{"model": "gpt-4.1", "input": "x", "tools": [{"type": "function", "name": "f", "parameters": %b}]}'
        % nested('{"items":', "{}", "}").encode()
    ),
}


@pytest.mark.parametrize("name", BAD_FIELDS)
def test_bad_field_of_a_response(abused: Served, twin: Served, name: str) -> None:
    refused(abused, twin, BAD_FIELDS[name])


BAD_CONVERSATIONS = {
    "items-text": {"items": "x"},
    "items-null-item": {"items": [None]},
    "items-many": {"items": [{"role": "user", "content": "x"}] * 21},
    "items-reference": {"items": [{"type": "item_reference", "id": "msg_1"}]},
    "items-trigger": {"items": [{"type": "compaction_trigger"}]},
    "items-role": {"items": [{"role": "robot", "content": "x"}]},
    "items-good-then-bad": {"items": [{"role": "user", "content": "x"}, {"role": "user", "content": 1}]},
    "metadata-number": {"metadata": {"a": 1}},
    "metadata-list": {"metadata": []},
    "unknown-key": {"bogus": 1},
}


@pytest.mark.parametrize("name", BAD_CONVERSATIONS)
def test_bad_conversation(abused: Served, twin: Served, name: str) -> None:
    refused(abused, twin, request("POST", "/v1/conversations", BAD_CONVERSATIONS[name]))


@pytest.mark.parametrize("name", [name for name in BAD_CONVERSATIONS if name.startswith("items-")])
def test_bad_items_of_a_conversation(abused: Served, twin: Served, name: str) -> None:
    made = [served.request("POST", "/v1/conversations", {}).json["id"] for served in (abused, twin)]
    assert made[0] == made[1]
    items = f"/v1/conversations/{made[0]}/items"
    refused(abused, twin, request("POST", items, BAD_CONVERSATIONS[name]))
    assert abused.request("GET", items).json["data"] == []


STRANGE_IDS = {
    "unknown": UNKNOWN,
    "other-kind": NO_CONVERSATION,
    "short": "x",
    "long": "resp_" + "0" * 20_000,
    "null-byte": "resp_%00",
    "slash": "a%2Fb",
    "not-utf8": "%FF%FE",
    "surrogate": "%ED%A0%80",
    "unicode": "%F0%9F%99%82",
    "quote": "%22%0A%5C",
    "sql": "'%20OR%20'1'='1",
}
BY_ID = (
    ("GET", "/v1/responses/{id}"),
    ("GET", "/v1/responses/{id}?stream=true"),
    ("DELETE", "/v1/responses/{id}"),
    ("GET", "/v1/responses/{id}/input_items"),
    ("GET", "/v1/conversations/{id}"),
    ("DELETE", "/v1/conversations/{id}"),
    ("GET", "/v1/conversations/{id}/items"),
    ("GET", "/v1/conversations/{id}/items/msg_1"),
    ("DELETE", "/v1/conversations/{id}/items/msg_1"),
    ("GET", "/v1/models/{id}"),
)


@pytest.mark.parametrize(("method", "path"), BY_ID)
def test_unknown_id(abused: Served, twin: Served, method: str, path: str) -> None:
    for id in STRANGE_IDS.values():
        answer = exchange(abused.port, request(method, path.replace("{id}", id)))
        check_error(answer)
        assert answer.status == 404, answer
    check_unchanged(abused, twin)


@pytest.mark.parametrize(
    ("path", "body"), [("", {"metadata": {}}), ("/items", {"items": [{"role": "user", "content": "x"}]})]
)
def test_writing_to_an_unknown_conversation(abused: Served, twin: Served, path: str, body: Any) -> None:
    error = refused(abused, twin, request("POST", f"/v1/conversations/{NO_CONVERSATION}{path}", body))
    assert error["status"] == 404 and error["message"] == f"Conversation with id '{NO_CONVERSATION}' not found."


LISTS = ("/v1/responses/{response}/input_items", "/v1/conversations/{conversation}/items")
BAD_QUERIES = (
    "limit=0",
    "limit=-1",
    "limit=101",
    f"limit={HUGE}",
    f"limit={'9' * 5000}",
    "limit=ten",
    "limit=1.5",
    "limit=%FF",
    "limit=%D9%A1",
    "order=up",
    "order=%00",
    "after=msg_unknown",
    "after=%FF",
    "before=msg_unknown",
    "include=bogus",
    "include%5B%5D=bogus",
    "include[]=reasoning.encrypted_content&include[]=",
)


@pytest.fixture(scope="module")
def place(abused: Served, twin: Served) -> dict[str, str]:
    """The ids of something to list, the same in both servers."""
    made = [served.request("POST", "/v1/conversations", {}).json["id"] for served in (abused, twin)]
    turn = {**OK, "conversation": made[0]}
    responses = [served.request("POST", "/v1/responses", turn).json["id"] for served in (abused, twin)]
    assert made[0] == made[1] and responses[0] == responses[1]
    return {"conversation": made[0], "response": responses[0]}


@pytest.mark.parametrize("query", BAD_QUERIES)
@pytest.mark.parametrize("path", LISTS)
def test_bad_query_of_a_list(abused: Served, twin: Served, place: dict[str, str], path: str, query: str) -> None:
    refused(abused, twin, request("GET", f"{path.format(**place)}?{query}"))


@pytest.mark.parametrize(
    "query",
    [
        "stream=maybe",
        "stream=2",
        "stream=true&starting_after=x",
        "stream=true&starting_after=1.5",
        "stream=true&include_obfuscation=perhaps",
        "include=bogus",
    ],
)
def test_bad_query_of_a_retrieval(abused: Served, twin: Served, place: dict[str, str], query: str) -> None:
    refused(abused, twin, request("GET", f"/v1/responses/{place['response']}?{query}"))


@pytest.mark.parametrize("after", ["-1", "-2", "-1000", "-" + HUGE])
def test_a_stream_after_a_number_before_its_beginning(abused: Served, place: dict[str, str], after: str) -> None:
    """Spec: S11.1, every event with a greater number; refusing the number would do as well."""
    stream = f"/v1/responses/{place['response']}?stream=true"
    answer = exchange(abused.port, request("GET", f"{stream}&starting_after={after}"))
    if answer.status == 200:
        assert answer.body == exchange(abused.port, request("GET", stream)).body
    else:
        check_error(answer)


WRONG_METHODS = {
    "/v1/responses": ("GET", "PUT", "PATCH", "DELETE", "OPTIONS"),
    "/v1/responses/input_tokens": ("PUT",),
    f"/v1/responses/{UNKNOWN}": ("POST", "PUT", "PATCH"),
    f"/v1/responses/{UNKNOWN}/input_items": ("POST", "DELETE"),
    "/v1/conversations": ("GET", "DELETE"),
    f"/v1/conversations/{NO_CONVERSATION}": ("PUT", "PATCH"),
    f"/v1/conversations/{NO_CONVERSATION}/items": ("PUT", "DELETE"),
    f"/v1/conversations/{NO_CONVERSATION}/items/msg_1": ("POST",),
    "/v1/models": ("POST",),
}


@pytest.mark.parametrize(("path", "method"), [(path, one) for path, many in WRONG_METHODS.items() for one in many])
def test_wrong_method(abused: Served, twin: Served, path: str, method: str) -> None:
    error = refused(abused, twin, request(method, path, {}))
    assert error["status"] == 405 and error["message"] == f"Invalid method for URL ({method} {path})"


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "\xff",
        "",
    ],
)
@pytest.mark.parametrize("path", ["/v1/responses", "/v1/conversations"])
def test_wrong_content_type(abused: Served, twin: Served, path: str, kind: str) -> None:
    body = {"responses": OK, "conversations": {}}[path.rpartition("/")[2]]
    error = refused(abused, twin, request("POST", path, body, f"content-type: {kind}"))
    assert error["code"] == "unsupported_content_type"


@pytest.mark.parametrize(
    "path",
    [
        f"/v1/conversations/{NO_CONVERSATION}/messages",
        f"/v1/responses/{UNKNOWN}/bogus",
        "/v1/responses/a/b/c",
        "/v1/responses/",
        "/v1/conversations//items",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_unknown_url(abused: Served, twin: Served, method: str, path: str) -> None:
    error = refused(abused, twin, request(method, path, {} if method == "POST" else None))
    assert error["status"] == 404 and error["message"] == f"Invalid URL ({method} {path})"


@pytest.mark.parametrize("path", ["/v1", "/v1/nothing", "/v1/chat/completions", "/v2/responses", "/v1/responsesx"])
def test_what_is_not_mocked_says_so(abused: Served, twin: Served, path: str) -> None:
    """Such a request has nowhere to go without an upstream, which is the test author's mistake."""
    answer = exchange(abused.port, request("GET", path))
    assert answer.status == 501 and answer.json["error"]["type"] == "mock_error"
    assert answer.header("x-should-retry") == "false"
    check_unchanged(abused, twin)


@pytest.mark.parametrize("path", ["/v1/responses", "/v1/conversations", f"/v1/conversations/{NO_CONVERSATION}/items"])
@pytest.mark.parametrize("way", ["announced", "chunked", "announced-only", "huge"])
def test_body_too_large(narrow: Served, path: str, way: str) -> None:
    body = json.dumps({**OK, "input": "x" * LIMIT}).encode()
    before = narrow.control("GET", "/responses")
    data = {
        "announced": request("POST", path, body),
        "chunked": chunked("POST", path, body, 100),
        # the answer must not wait for a body that nobody will read
        "announced-only": head("POST", path, "content-type: application/json", f"content-length: {len(body)}"),
        "huge": head("POST", path, "content-type: application/json", f"content-length: {HUGE[:18]}"),
    }[way]
    with connect(narrow.port) as sock:
        sock.sendall(data)
        answer = parse(read_on(sock))
    check_error(answer)
    assert answer.status == 413
    assert narrow.control("GET", "/responses") == before


def test_body_as_large_as_allowed(narrow: Served) -> None:
    body = json.dumps(OK).encode()
    exact = body + b" " * (LIMIT - len(body))
    assert exchange(narrow.port, request("POST", "/v1/responses", exact)).status == 200
    assert exchange(narrow.port, chunked("POST", "/v1/responses", exact, 300)).status == 200
    assert exchange(narrow.port, request("POST", "/v1/responses", exact + b" ")).status == 413


BAD_CONTROL = {
    "script-broken": ("POST", "/script", b"{"),
    "script-not-lines": ("POST", "/script", {"lines": 1}),
    "script-no-reply": ("POST", "/script", {"lines": [{"reply": {"text": "good"}}, {}]}),
    "script-deep": ("POST", "/script", nested("[", "1", "]").encode()),
    "clock-backwards": ("POST", "/clock/advance", {"seconds": -1}),
    "clock-text": ("POST", "/clock/advance", {"days": "1"}),
    "clock-nothing": ("POST", "/clock/advance", {}),
    "clock-huge": ("POST", "/clock/advance", b'{"days": 1e308}'),
    "clock-at": ("PUT", "/clock", {"now": "yesterday"}),
    "reset-unknown": ("POST", "/reset", {"only": ["everything"]}),
    "context-unknown": ("GET", f"/responses/{UNKNOWN}/context", None),
    "list-limit": ("GET", "/responses?limit=0", None),
    "list-filter": ("GET", "/responses?bogus=1", None),
    "list-after": ("GET", "/conversations?after=unknown", None),
    "path": ("GET", "/bogus", None),
    "method": ("PATCH", "/clock", {}),
}


@pytest.mark.parametrize("name", BAD_CONTROL)
def test_bad_call_of_the_control_api(abused: Served, twin: Served, name: str) -> None:
    method, path, body = BAD_CONTROL[name]
    answer = exchange(abused.port, request(method, f"/_mock{path}", body))
    assert 400 <= answer.status < 500, answer
    error = answer.json["error"]
    assert error["type"] == "mock_error" and error["message"]
    assert answer.header("x-should-retry") == "false"
    check_unchanged(abused, twin)
