"""Request bodies: what each endpoint refuses, in the service's words and order, and what it lets through unchanged."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests import bodies
from mockserver.wire.requests.validation import Validator
from tests.support.examples import examples
from tests.support.request_examples import FULL_REQUEST, MINIMAL


def complaint(body: Any, read: Callable[[bytes], Any] = bodies.create_response) -> APIError:
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    with pytest.raises(APIError) as caught:
        read(raw)
    return caught.value


def check(error: APIError, param: str | None, code: str | None, message: str) -> None:
    assert (error.message, error.param, error.code) == (message, param, code)
    assert (error.status, error.type) == (400, "invalid_request_error")


INVALID_JSON = (
    "Invalid body: failed to parse JSON value. Please check the value to ensure it is valid JSON. (Common errors "
    "include trailing commas, missing closing brackets, missing quotation marks, etc.)"
)


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="E1-empty"),
        pytest.param(b'{"model":}', id="E1-syntax"),
        pytest.param(b'{"model":"m","input":"\\ud800"}', id="E1-lone-surrogate"),
        pytest.param(b'{"a":NaN}', id="E1-nan"),
        pytest.param(b'{"a":' + 201 * b"[" + 201 * b"]" + b"}", id="E1-202-levels"),
        pytest.param(5000 * b"[", id="E1-never-closed"),
    ],
)
def test_body_is_not_json(body: bytes) -> None:
    check(complaint(body), None, "invalid_json", INVALID_JSON)


def test_body_of_200_levels_is_read() -> None:
    value: Any = "x"
    for _ in range(200):
        value = [value]
    assert bodies.read_json(orjson.dumps(value)) == value
    assert len(bodies.read_json(b"[" + b"[]," * 300 + b"1]")) == 301


def test_body_is_not_unicode() -> None:
    check(
        complaint(b'{"model":"\xff"}'),
        None,
        None,
        "Invalid body: encountered a unicode decode error when parsing this JSON value. "
        "Please check the value to ensure it is valid unicode.",
    )


@pytest.mark.parametrize(("body", "name"), [("[]", "an array"), ("null", "null"), ("1.5", "a decimal number")])
def test_body_is_not_an_object(body: str, name: str) -> None:
    message = f"Invalid type for request body: expected an object, but got {name} instead."
    check(complaint(body.encode()), None, "invalid_type", message)


def test_E4_content_type() -> None:
    for accepted in (None, "application/json", "Application/JSON; charset=utf-8"):
        bodies.check_content_type(accepted)
    with pytest.raises(APIError) as caught:
        bodies.check_content_type("text/plain")
    check(
        caught.value,
        None,
        "unsupported_content_type",
        "Unsupported content type: 'text/plain'. This API method only accepts 'application/json' requests, but you "
        "specified the header 'Content-Type: text/plain'. Please try again with a supported content type.",
    )


def typed(path: str, expected: str, actual: str) -> tuple[str, str, str]:
    return path, "invalid_type", f"Invalid type for '{path}': expected {expected}, but got {actual} instead."


def valued(path: str, value: str, values: str) -> tuple[str, str, str]:
    return path, "invalid_value", f"Invalid value: '{value}'. Supported values are: {values}."


def missing(path: str) -> tuple[str, str, str]:
    return path, "missing_required_parameter", f"Missing required parameter: '{path}'."


def unknown(path: str, hint: str = "") -> tuple[str, str, str]:
    return path, "unknown_parameter", f"Unknown parameter: '{path}'.{hint}"


EFFORT_PHRASE = "one of one of 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', or 'max' or integer"
INCLUDE_PHRASE = (
    "an array of one of 'fil...lts', 'web...lts', 'web...ces', 'mes...url', 'com...url', 'cod...uts', 'rea...ent', "
    "or 'mes...obs'"
)
INCLUDE_LIST = (
    "'file_search_call.results', 'web_search_call.results', 'web_search_call.action.sources', "
    "'message.input_image.image_url', 'computer_call_output.output.image_url', 'code_interpreter_call.outputs', "
    "'reasoning.encrypted_content', and 'message.output_text.logprobs'"
)
MOVED = (
    "Unsupported parameter: '{}'. In the Responses API, this parameter has moved to '{}'. Try again with the new "
    "parameter. See the API documentation for more information: "
    "https://platform.openai.com/docs/api-reference/responses/create."
)
FUNCTION = {"type": "function", "name": "f"}
LONG_KEY = "k" * 65

ROWS: list[tuple[str, dict[str, Any], tuple[str | None, str | None, str]]] = [
    ("E5", {"best_of": 1}, unknown("best_of")),
    ("E5-null", {"zzz": None}, unknown("zzz")),
    ("E6-chat-stop", {"stop": ["x"]}, unknown("stop", " Did you mean 'store'?")),
    ("E5-chat-logprobs", {"logprobs": 1}, unknown("logprobs")),
    ("E5-chat-n", {"n": 1}, unknown("n")),
    ("E5-chat-seed", {"seed": 1}, unknown("seed")),
    ("E5-chat-max_tokens", {"max_tokens": 1}, unknown("max_tokens")),
    ("E5-lane", {"stream_id": "a"}, unknown("stream_id")),
    ("E5-nested-text", {"text": {"zzz": 1}}, unknown("text.zzz")),
    ("E5-generate_summary", {"reasoning": {"generate_summary": "auto"}}, unknown("reasoning.generate_summary")),
    (
        "E5-include_usage",
        {"stream": True, "stream_options": {"include_usage": True}},
        unknown("stream_options.include_usage"),
    ),
    ("E5-cache", {"prompt_cache_options": {"bogus": 1}}, unknown("prompt_cache_options.bogus")),
    ("E6-one", {"temperatur": 1}, unknown("temperatur", " Did you mean 'temperature'?")),
    ("E6-two", {"tool_p": 1}, unknown("tool_p", " Did you mean 'tools' or 'top_p'?")),
    ("E6-taken", {"temperature": 1, "temperatura": 1}, unknown("temperatura")),
    ("E7-messages", {"messages": []}, (None, "unsupported_parameter", MOVED.format("messages", "input"))),
    (
        "E7-response_format",
        {"response_format": {}},
        (None, "unsupported_parameter", MOVED.format("response_format", "text.format")),
    ),
    ("E8", {"model": ...}, missing("model")),
    ("E9-input", {"input": ...}, missing("input")),
    ("E9-choice", {"tool_choice": {"type": "function"}}, missing("tool_choice.name")),
    ("E9-format-name", {"text": {"format": {"type": "json_schema", "schema": {}}}}, missing("text.format.name")),
    ("E9-format-schema", {"text": {"format": {"type": "json_schema", "name": "n"}}}, missing("text.format.schema")),
    ("E9-format-type", {"text": {"format": {}}}, missing("text.format.type")),
    ("E9-conversation", {"conversation": {}}, missing("conversation.id")),
    ("E9-moderation", {"moderation": {}}, missing("moderation.model")),
    ("E10-model", {"model": 3}, typed("model", "a string", "an integer")),
    ("E10-model-null", {"model": None}, typed("model", "a string", "an object")),
    ("E10-parent", {"previous_response_id": {}}, typed("previous_response_id", "a string", "an object")),
    ("E10-decimal", {"temperature": "1"}, typed("temperature", "a decimal", "a string")),
    ("E10-boolean", {"stream": 1}, typed("stream", "a boolean", "an integer")),
    ("E10-integer", {"max_output_tokens": 16.5}, typed("max_output_tokens", "an integer", "a decimal number")),
    ("E10-integer-boolean", {"top_logprobs": True}, typed("top_logprobs", "an integer", "a boolean")),
    ("E10-metadata", {"metadata": []}, typed("metadata", "a metadata object", "an array")),
    ("E10-metadata-value", {"metadata": {"a": 1}}, typed("metadata.a", "a string", "an integer")),
    ("E10-tools", {"tools": {}}, typed("tools", "an array of tools", "an object")),
    ("E10-tool-null", {"tools": [None]}, typed("tools[0]", "an object", "null")),
    ("E10-text", {"text": "x"}, typed("text", "an object", "a string")),
    (
        "E10-schema",
        {"text": {"format": {"type": "json_schema", "name": "n", "schema": []}}},
        typed("text.format.schema", "an object", "an array"),
    ),
    ("R5.1", {"context_management": "x"}, typed("context_management", "an array of objects", "a string")),
    ("E14-object", {"input": {}}, typed("input", "one of a string or array of input items", "an object")),
    ("E14-null", {"input": None}, typed("input", "a string", "an object")),
    ("E22-truncation", {"truncation": "x"}, valued("truncation", "x", "'auto' and 'disabled'")),
    (
        "E22-tier",
        {"service_tier": "x"},
        valued("service_tier", "x", "'auto', 'default', 'fast', 'flex', and 'priority'"),
    ),
    ("E22-verbosity", {"text": {"verbosity": "x"}}, valued("text.verbosity", "x", "'low', 'medium', and 'high'")),
    (
        "E22-format",
        {"text": {"format": {"type": "x"}}},
        valued("text.format.type", "x", "'json_object', 'text', and 'json_schema'"),
    ),
    (
        "E22-effort",
        {"reasoning": {"effort": "x"}},
        valued("reasoning.effort", "x", "'none', 'minimal', 'low', 'medium', 'high', 'xhigh', and 'max'"),
    ),
    (
        "E22-summary",
        {"reasoning": {"summary": "x"}},
        valued("reasoning.summary", "x", "'concise', 'detailed', and 'auto'"),
    ),
    ("E22-retention", {"prompt_cache_retention": "x"}, valued("prompt_cache_retention", "x", "'in_memory' and '24h'")),
    ("E22-choice", {"tool_choice": "x"}, valued("tool_choice", "x", "'none', 'auto', and 'required'")),
    ("E22-include", {"include": ["x"]}, valued("include[0]", "x", INCLUDE_LIST)),
    ("E22-ttl", {"prompt_cache_options": {"ttl": "24h"}}, valued("prompt_cache_options.ttl", "24h", "'30m'")),
    ("E23-truncation", {"truncation": {}}, typed("truncation", "one of 'auto' or 'disabled'", "an object")),
    (
        "E23-tier",
        {"service_tier": 1},
        typed("service_tier", "one of 'auto', 'default', 'fast', 'flex', or 'priority'", "an integer"),
    ),
    (
        "E23-retention",
        {"prompt_cache_retention": []},
        typed("prompt_cache_retention", "one of 'in_memory' or '24h'", "an array"),
    ),
    (
        "E23-choice",
        {"tool_choice": 1},
        typed("tool_choice", "one of an object or 'none', 'auto', or 'required'", "an integer"),
    ),
    ("E23-include", {"include": "x"}, typed("include", INCLUDE_PHRASE, "a string")),
    ("E23-effort-object", {"reasoning": {"effort": {}}}, typed("reasoning.effort", EFFORT_PHRASE, "an object")),
    ("E23-effort-array", {"reasoning": {"effort": []}}, typed("reasoning.effort", EFFORT_PHRASE, "an array")),
    (
        "E23-effort-integer",
        {"reasoning": {"effort": 1}},
        typed("reasoning.effort", "one of 'minimal', 'low', 'medium', or 'high'", "an integer"),
    ),
    (
        "E24-max_output_tokens",
        {"max_output_tokens": 15},
        (
            "max_output_tokens",
            "integer_below_min_value",
            "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16, but got 15 instead.",
        ),
    ),
    (
        "E24-max_tool_calls",
        {"max_tool_calls": 0},
        (
            "max_tool_calls",
            "integer_below_min_value",
            "Invalid 'max_tool_calls': integer below minimum value. Expected a value >= 1, but got 0 instead.",
        ),
    ),
    (
        "E24-R5.2",
        {"context_management": [{"type": "compaction", "compact_threshold": 1}]},
        (
            "context_management[0].compact_threshold",
            "integer_below_min_value",
            "Invalid 'context_management[0].compact_threshold': integer below minimum value. "
            "Expected a value >= 1000, but got 1 instead.",
        ),
    ),
    (
        "E25-top_logprobs",
        {"top_logprobs": 21},
        (
            "top_logprobs",
            "integer_above_max_value",
            "Invalid 'top_logprobs': integer above maximum value. Expected a value <= 20, but got 21 instead.",
        ),
    ),
    (
        "E26-below",
        {"temperature": -1},
        (
            "temperature",
            "decimal_below_min_value",
            "Invalid 'temperature': decimal below minimum value. Expected a value >= 0, but got -1 instead.",
        ),
    ),
    (
        "E26-above",
        {"temperature": 2.5},
        (
            "temperature",
            "decimal_above_max_value",
            "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 2.5 instead.",
        ),
    ),
    (
        "E27-cache-key",
        {"prompt_cache_key": "k" * 65},
        (
            "prompt_cache_key",
            "string_above_max_length",
            "Invalid 'prompt_cache_key': string too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead.",
        ),
    ),
    (
        "E27-metadata",
        {"metadata": {"a": "v" * 513}},
        (
            "metadata.a",
            "string_above_max_length",
            "Invalid 'metadata.a': string too long. Expected a string with maximum length 512, "
            "but got a string with length 513 instead.",
        ),
    ),
    (
        "E27-input",
        {"input": "x" * 10_485_761},
        (
            "input",
            "string_above_max_length",
            "Invalid 'input': string too long. Expected a string with maximum length 10485760, "
            "but got a string with length 10485761 instead.",
        ),
    ),
    (
        "E29-tools",
        {"tools": [FUNCTION] * 129},
        (
            "tools",
            "array_above_max_length",
            "Invalid 'tools': array too long. Expected an array with maximum length 128, "
            "but got an array with length 129 instead.",
        ),
    ),
    (
        "E30-context_management",
        {"context_management": []},
        (
            "context_management",
            "empty_array",
            "Invalid 'context_management': empty array. Expected an array with minimum length 1, "
            "but got an empty array instead.",
        ),
    ),
    (
        "E31",
        {"metadata": {str(number): "v" for number in range(17)}},
        (
            "metadata",
            "object_above_max_properties",
            "Invalid 'metadata': too many properties. Expected an object with at most 16 properties, "
            "but got an object with 17 properties instead.",
        ),
    ),
    (
        "E32",
        {"metadata": {LONG_KEY: "v"}},
        (
            f"metadata.{LONG_KEY}",
            "property_name_above_max_length",
            "Invalid property name in 'metadata': 'kkk...kkk' is too long. Expected a property name with maximum "
            "length 64, but got a property name with length 65 instead.",
        ),
    ),
    (
        "E33",
        {"previous_response_id": "resp_a b"},
        (
            "previous_response_id",
            "invalid_value",
            "Invalid 'previous_response_id': 'resp_a b'. Expected an ID that contains letters, numbers, underscores, "
            "or dashes, but this value contained additional characters.",
        ),
    ),
    (
        "E35",
        {"previous_response_id": "msg_1"},
        (
            "previous_response_id",
            "invalid_value",
            "Invalid 'previous_response_id': 'msg_1'. Expected an ID that begins with 'resp'.",
        ),
    ),
    (
        "E58",
        {"stream_options": {"include_obfuscation": False}},
        ("stream_options", None, "The 'stream_options' parameter is only allowed when 'stream' is enabled."),
    ),
]


def changed(changes: dict[str, Any]) -> dict[str, Any]:
    """The minimal request with some members set, or removed by an ellipsis."""
    body = {**MINIMAL, **changes}
    return {key: value for key, value in body.items() if value is not ...}


@pytest.mark.parametrize(("changes", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_row(changes: dict[str, Any], expected: tuple[str | None, str | None, str]) -> None:
    check(complaint(changed(changes)), *expected)


ORDER = [
    ("model-before-input", {"temperature": 9, "zzz": 1}, "model"),
    ("model-type-before-input", {"model": 1, "zzz": 1}, "model"),
    ("input-before-unknown", {"model": "m", "zzz": 1}, "input"),
    ("unknown-in-body-order", {**MINIMAL, "zzz": 1, "aaa": 1}, "zzz"),
    ("unknown-before-types", {"temperature": 9, **MINIMAL, "zzz": 1}, "zzz"),
    ("input-before-the-rest", {"temperature": 9, "store": 1, "model": "m", "input": [5]}, "input[0]"),
    ("first-item", {**MINIMAL, "input": [{"role": "user", "content": "x"}, 5, {}]}, "input[1]"),
    ("tools-before-metadata", {**MINIMAL, "metadata": 1, "tools": 1}, "tools"),
    ("text-before-temperature", {**MINIMAL, "temperature": 9, "text": 1}, "text"),
    ("store-before-tier", {**MINIMAL, "service_tier": 1, "store": 1}, "store"),
    ("parent-before-prompt", {**MINIMAL, "prompt": 1, "previous_response_id": 1}, "previous_response_id"),
    ("missing-before-unknown", {**MINIMAL, "tools": [{"type": "function", "function": {}}]}, "tools[0].name"),
    ("unknown-before-wrong", {**MINIMAL, "text": {"format": 1, "zzz": 1}}, "text.zzz"),
]


@pytest.mark.parametrize(("body", "param"), [pytest.param(*row[1:], id=row[0]) for row in ORDER])
def test_order_of_judgement(body: dict[str, Any], param: str) -> None:
    assert complaint(body).param == param


def test_E7_beats_the_missing_input() -> None:
    assert complaint({"model": "m", "messages": []}).message == MOVED.format("messages", "input")


@pytest.mark.parametrize("key", ["previous_response_id", "conversation", "prompt"])
def test_input_may_be_absent_with_state(key: str) -> None:
    value = {"id": "pmpt_1"} if key == "prompt" else "resp_1"
    assert bodies.create_response(orjson.dumps({"model": "m", key: value})) == {"model": "m", key: value}
    assert complaint({"model": "m", key: None}).param == "input"


def test_a_prompt_may_bring_the_model() -> None:
    assert bodies.create_response(b'{"prompt":{"id":"pmpt_1"}}') == {"prompt": {"id": "pmpt_1"}}


def test_nothing_else_is_changed() -> None:
    tools = b'[{"name":"f","type":"function","parameters":{"z":1,"a":2}}]'
    body = b'{"input":[{"content":"x","role":"user"}],"model":"m","tools":' + tools + b"}"
    assert orjson.dumps(bodies.create_response(body)) == body


def test_nulls_and_tolerated_keys_are_dropped() -> None:
    nulls = dict.fromkeys(bodies._CREATE_RESPONSE.known - {"model", "input"})
    body = {**MINIMAL, **nulls, "client_metadata": {"a": 1}, "verbosity": "low"}
    assert bodies.create_response(orjson.dumps(body)) == MINIMAL


def test_unknown_keys_may_be_ignored() -> None:
    body = orjson.dumps({**MINIMAL, "zzz": 1, "seed": None})
    assert bodies.create_response(body, unknown_keys="ignore") == MINIMAL
    assert complaint(body).param == "zzz"


def test_every_field_is_accepted() -> None:
    assert bodies.create_response(orjson.dumps(FULL_REQUEST)) == FULL_REQUEST
    assert set(FULL_REQUEST) == bodies._CREATE_RESPONSE.known


@pytest.mark.parametrize(
    "choice",
    [
        "none",
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        {"type": "custom", "name": "c"},
        {"type": "mcp", "server_label": "s", "name": None},
        {"type": "apply_patch"},
        {"type": "file_search"},
    ],
)
def test_tool_choice(choice: Any) -> None:
    assert bodies.create_response(orjson.dumps({**MINIMAL, "tool_choice": choice}))["tool_choice"] == choice


def test_a_frame_is_a_body_and_a_little_more() -> None:
    frame = {"type": "response.create", "stream_id": "a", "stream": True, "stream_options": 5, "generate": False}
    assert bodies.create_frame({**frame, **MINIMAL}) == {**MINIMAL, "generate": False}
    assert complaint({**MINIMAL, "generate": False}).param == "generate"


def test_input_tokens() -> None:
    read = bodies.count_input_tokens
    assert read(b"{}") == {}
    assert read(b'{"model":null,"input":null,"personality":"friendly"}') == {"personality": "friendly"}
    check(complaint({"store": True}, read), *unknown("store"))
    check(complaint({"input": 5}, read), *typed("input", "one of a string or array of input items", "an integer"))


def test_compact() -> None:
    read = bodies.compact
    body = {"model": "m", "input": [], "previous_response_id": "resp_1"}
    assert read(orjson.dumps({**body, "instructions": None})) == body
    check(complaint({}, read), *missing("model"))
    check(complaint({"model": None}, read), *typed("model", "a string", "an object"))
    check(complaint({"model": "m", "tools": []}, read), *unknown("tools"))


def test_conversations() -> None:
    read, item = bodies.create_conversation, {"role": "user", "content": "x"}
    assert read(b"{}") == read(b"") == read(b'{"items":null,"metadata":null}') == {}
    assert read(orjson.dumps({"items": [item]})) == {"items": [item]}
    check(
        complaint({"items": [{"role": "x"}]}, read),
        *valued("items[0]", "x", "'assistant', 'system', 'developer', and 'user'"),
    )
    check(
        complaint({"items": [item] * 21}, read),
        "items",
        "array_above_max_length",
        "Invalid 'items': array too long. Expected an array with maximum length 20, "
        "but got an array with length 21 instead.",
    )
    for refused in ({"type": "item_reference", "id": "msg_1"}, {"type": "compaction_trigger"}, {"id": "msg_1"}):
        assert complaint({"items": [refused]}, read).code == "invalid_value"


def test_updating_a_conversation() -> None:
    read = bodies.update_conversation
    assert read(b'{"metadata":null}') == {"metadata": None}
    assert read(b'{"metadata":{"a":"b"}}') == {"metadata": {"a": "b"}}
    check(complaint({}, read), *missing("metadata"))
    check(complaint({"metadata": {}, "items": []}, read), *unknown("items"))


def test_creating_items() -> None:
    read = bodies.create_items
    check(complaint({}, read), *missing("items"))
    check(complaint({"items": None}, read), *typed("items", "an array of input items", "an object"))
    check(complaint({"items": [5]}, read), *typed("items[0]", "an input item", "an integer"))


READERS = [
    bodies.create_response,
    bodies.count_input_tokens,
    bodies.compact,
    bodies.create_conversation,
    bodies.update_conversation,
    bodies.create_items,
]
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 2000)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


def refuses_politely(read: Callable[[bytes], Any], body: Any) -> None:
    """A body is read, or refused with the four-key envelope; nothing else ever happens."""
    try:
        assert isinstance(read(orjson.dumps(body)), dict)
    except APIError as error:
        assert 400 <= error.status < 500
        assert list(orjson.loads(error.body())["error"]) == ["message", "type", "param", "code"]


@examples(150)
@given(body=JSON)
def test_any_json_is_read_or_refused(body: Any) -> None:
    for read in READERS:
        refuses_politely(read, body)


ITEMS = [
    {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x"}]},
    {"role": "assistant", "content": "x", "phase": "commentary"},
    {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
    {"type": "function_call_output", "call_id": "c", "output": [{"type": "input_image", "image_url": "u"}]},
    {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"},
    {"id": "msg_1"},
]
SEED = {**FULL_REQUEST, "input": ITEMS, "items": ITEMS}


@st.composite
def mutations(draw: st.DrawFn) -> Any:
    """A valid request with one to three places replaced, removed or renamed."""
    body = orjson.loads(orjson.dumps(SEED))
    del body[draw(st.sampled_from(["items", "input"]))]
    for _ in range(draw(st.integers(1, 3))):
        place = body
        while True:
            key = draw(st.sampled_from(list(place) if isinstance(place, dict) else range(len(place))))
            if not isinstance(place[key], dict | list) or not place[key] or draw(st.booleans()):
                break
            place = place[key]
        action = draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            place[key] = draw(JSON)
        elif action == "remove":
            del place[key]
        elif isinstance(place, dict):
            place[draw(st.text(max_size=6))] = draw(JSON)
        if not body:
            break
    return body


@examples(400)
@given(body=mutations())
def test_any_mutation_is_read_or_refused(body: Any) -> None:
    for read in READERS:
        refuses_politely(read, body)


_CANDIDATES: tuple[Any, ...] = (
    *("", "x", "é", "resp", "resp_1", "resp_" + "a" * 59, "resp_" + "a" * 60, "resp_1\n", "resp 1", "respé", "msg_1"),
    *(True, False, 0, 1, 1.0, {}),
)


@pytest.mark.parametrize("key", [*bodies._PLAIN_TEXTS, *sorted(bodies._PLAIN_FLAGS)])
def test_what_is_plain_is_what_pydantic_lets_pass(key: str) -> None:
    judge = Validator(bodies._flat({}, {**bodies._MODEL, **bodies._CREATE})).validate
    for value in _CANDIDATES:
        if bodies._CREATE_RESPONSE.is_plain({key: value}):
            judge({key: value})
        else:
            with pytest.raises(APIError):
                judge({key: value})


@pytest.mark.parametrize(
    ("value", "is_read"),
    [
        ([0] * bodies.MOST_VALUES, True),
        ([0] * (bodies.MOST_VALUES + 1), False),
        ([{}] * (bodies.MOST_VALUES // 2 + 1), False),
        ({"a": "x,[{" * bodies.MOST_VALUES, "b": '\\",[{' * bodies.MOST_VALUES}, True),
    ],
    ids=["as many as may be", "one more", "objects", "signs in texts"],
)
def test_a_body_of_too_many_values_is_refused_unread(value: Any, is_read: bool) -> None:
    """A bound of the mock's own."""
    body = orjson.dumps(value)
    if is_read:
        assert bodies.read_json(body) == value
        return
    with pytest.raises(MockError, match="more than 500,000 JSON values") as caught:
        bodies.read_json(body)
    assert caught.value.status == 413


# --- what may take long to answer ----------------------------------------------------------------------------------


def with_schema(**words: Any) -> dict[str, Any]:
    return {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object", **words}}}}


@pytest.mark.parametrize(
    ("body", "long"),
    [
        ({"input": "x"}, False),
        ({"input": "x" * bodies.HEAVY}, True),
        ({"input": 'a "pattern" of "$ref" and "minItems"'}, False),
        (with_schema(properties={"a": {"type": "string"}}), False),
        (with_schema(properties={"a": {"type": "string", "pattern": "a{1000}"}}), True),
        (with_schema(**{"$ref": "#"}), True),
        (with_schema(minItems=1000), True),
        (with_schema(description="x" * bodies.SMALL), True),
        ({"tools": [{"type": "function", "name": "f", "parameters": {"allOf": []}}]}, True),
        ({"tools": [{"type": "function", "name": "f", "parameters": {}}]}, False),
    ],
)
def test_what_may_take_long(body: dict[str, Any], long: bool) -> None:
    assert bodies.takes_long(orjson.dumps(body)) is long


def test_a_word_of_a_schema_may_be_written_with_escapes() -> None:
    assert bodies.takes_long(rb'{"parameters":{"\u0070attern":"a{1000}"}}')
