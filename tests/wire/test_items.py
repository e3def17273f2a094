"""Input items: every shape clients send is accepted, and what is wrong with one is said in the service's words."""

from __future__ import annotations

import typing
from collections.abc import Iterator
from typing import Any, Literal, get_args, get_origin

import orjson
import pytest
from openai.types.responses import ResponseInputItemParam

from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests.items import INPUT, ITEM_TYPES, ITEMS, item_list
from mockserver.wire.requests.schema import shape
from mockserver.wire.requests.validation import Validator
from tests.support.request_examples import ITEM_EXAMPLES

JUDGE = Validator(shape({"input": INPUT}))


def judge(*items: Any) -> None:
    JUDGE.validate({"input": list(items)})


def complaint(*items: Any) -> APIError:
    with pytest.raises(APIError) as caught:
        judge(*items)
    return caught.value


def check(error: APIError, param: str | None, code: str | None, message: str) -> None:
    assert (error.status, error.message, error.param, error.code) == (400, message, param, code)


BETA = ("agent_message", "multi_agent_call", "multi_agent_call_output")


@pytest.mark.parametrize("item", [pytest.param(item, id=item.get("type") or "untyped") for item in ITEM_EXAMPLES])
def test_shape_is_accepted(item: dict[str, Any]) -> None:
    judge(item)


def test_every_listed_type_has_a_shape_and_an_example() -> None:
    shown = {item.get("type") for item in ITEM_EXAMPLES} - {None}
    assert set(ITEMS) == {*ITEM_TYPES, "configuration_update"} == {*shown, *BETA}


@pytest.mark.parametrize("kind", BETA)
def test_R15_8_items_of_the_beta_are_refused_loudly(kind: str) -> None:
    with pytest.raises(MockError) as caught:
        judge({"role": "user", "content": "x"}, {"type": kind, "anything": 1})
    assert (caught.value.status, caught.value.param) == (501, "input[1]")


ALL_TYPES = (
    "'additional_tools', 'agent_message', 'apply_patch_call', 'apply_patch_call_output', 'code_interpreter_call', "
    "'compaction', 'compaction_trigger', 'computer_call', 'computer_call_output', 'custom_tool_call', "
    "'custom_tool_call_output', 'file_search_call', 'function_call', 'function_call_output', "
    "'image_generation_call', 'item_reference', 'local_shell_call', 'local_shell_call_output', "
    "'mcp_approval_request', 'mcp_approval_response', 'mcp_call', 'mcp_list_tools', 'message', 'multi_agent_call', "
    "'multi_agent_call_output', 'program', 'program_output', 'reasoning', 'shell_call', 'shell_call_output', "
    "'tool_search_call', 'tool_search_output', and 'web_search_call'"
)
ROLES = "'assistant', 'system', 'developer', and 'user'"
CALLED = {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}
RETURNED = {"type": "function_call_output", "call_id": "c", "output": "x"}
SUMMARY = {"type": "reasoning", "summary": []}


def valued(path: str, value: str, values: str) -> tuple[str, str, str]:
    return path, "invalid_value", f"Invalid value: '{value}'. Supported values are: {values}."


def prefixed(value: str, prefix: str) -> tuple[str, str, str]:
    message = f"Invalid 'input[0].id': '{value}'. Expected an ID that begins with '{prefix}'."
    return "input[0].id", "invalid_value", message


def missing(path: str) -> tuple[str, str, str]:
    return path, "missing_required_parameter", f"Missing required parameter: '{path}'."


def unknown(path: str) -> tuple[str, str, str]:
    return path, "unknown_parameter", f"Unknown parameter: '{path}'."


def too_long(path: str, most: int, length: int) -> tuple[str, str, str]:
    return (
        path,
        "string_above_max_length",
        f"Invalid '{path}': string too long. Expected a string with maximum length {most}, "
        f"but got a string with length {length} instead.",
    )


ROWS: list[tuple[str, Any, tuple[str | None, str | None, str]]] = [
    ("E5", {"role": "user", "content": "x", "bogus": 1}, unknown("input[0].bogus")),
    ("E5-call", {**CALLED, "bogus": 1}, unknown("input[0].bogus")),
    ("E9-content", {"role": "user"}, missing("input[0].content")),
    ("E9-image", {"type": "image_generation_call"}, missing("input[0].id")),
    ("E9-role", {"type": "message", "content": "x"}, missing("input[0].role")),
    ("E9-arguments", {"type": "function_call", "call_id": "c", "name": "f"}, missing("input[0].arguments")),
    ("E9-reference", {"type": "item_reference"}, missing("input[0].id")),
    (
        "E10-content",
        {"role": "user", "content": 5},
        (
            "input[0].content",
            "invalid_type",
            "Invalid type for 'input[0].content': expected one of a string or array of objects, "
            "but got an integer instead.",
        ),
    ),
    (
        "E10-arguments",
        {**CALLED, "arguments": {}},
        (
            "input[0].arguments",
            "invalid_type",
            "Invalid type for 'input[0].arguments': expected a string, but got an object instead.",
        ),
    ),
    (
        "E15",
        "x",
        (
            "input[0]",
            "invalid_type",
            "Invalid type for 'input[0]': expected an input item, but got a string instead.",
        ),
    ),
    (
        "E15-null",
        None,
        ("input[0]", "invalid_type", "Invalid type for 'input[0]': expected an input item, but got null instead."),
    ),
    ("E16", {"type": "bogus"}, valued("input[0]", "bogus", ALL_TYPES)),
    ("E16-role-as-type", {"type": "user", "role": "user", "content": "x"}, valued("input[0]", "user", ALL_TYPES)),
    ("E16-null", {"type": None, "role": "user", "content": "x"}, valued("input[0]", "", ALL_TYPES)),
    ("E16-number", {"type": 5}, valued("input[0]", "", ALL_TYPES)),
    ("E17-empty", {}, valued("input[0]", "", ROLES)),
    ("E17-unknown", {"role": "tool", "content": "x"}, valued("input[0]", "tool", ROLES)),
    ("E17-id-and-more", {"id": "msg_1", "content": "x"}, valued("input[0]", "", ROLES)),
    ("E21-user", {"role": "user", "content": "x", "phase": "commentary"}, unknown("input[0].phase")),
    (
        "E21-value",
        {"role": "assistant", "content": "x", "phase": "bogus"},
        valued("input[0].phase", "bogus", "'commentary' and 'final_answer'"),
    ),
    ("E27-id", {**CALLED, "id": "fc_" + "1" * 62}, too_long("input[0].id", 64, 65)),
    ("E27-call_id", {**CALLED, "call_id": "c" * 65}, too_long("input[0].call_id", 64, 65)),
    (
        "E28",
        {**CALLED, "call_id": ""},
        (
            "input[0].call_id",
            "empty_string",
            "Invalid 'input[0].call_id': empty string. Expected a string with minimum length 1, "
            "but got an empty string instead.",
        ),
    ),
    (
        "E29-reasoning",
        {**SUMMARY, "encrypted_content": "x", "content": [{"type": "reasoning_text", "text": "x"}]},
        (
            "input[0].content",
            "array_above_max_length",
            "Invalid 'input[0].content': array too long. Expected an array with maximum length 0, "
            "but got an array with length 1 instead.",
        ),
    ),
    (
        "E33-item-id",
        {**CALLED, "id": "fc_a b"},
        (
            "input[0].id",
            "invalid_value",
            "Invalid 'input[0].id': 'fc_a b'. Expected an ID that contains letters, numbers, underscores, or dashes, "
            "but this value contained additional characters.",
        ),
    ),
    ("E34-message", {"role": "user", "content": "x", "id": "m1"}, prefixed("m1", "msg")),
    ("E34-reasoning", {**SUMMARY, "id": "msg_1"}, prefixed("msg_1", "rs")),
    ("E34-call", {**CALLED, "id": "call_1"}, prefixed("call_1", "fc")),
    ("E34-output", {**RETURNED, "id": "out_1"}, prefixed("out_1", "fc")),
    (
        "E34-search",
        {"type": "web_search_call", "id": "x", "status": "completed", "action": {"type": "search"}},
        prefixed("x", "ws"),
    ),
    (
        "E34-custom-call",
        {"type": "custom_tool_call", "call_id": "c", "name": "t", "input": "", "id": "fc_1"},
        prefixed("fc_1", "ctc"),
    ),
    (
        "E34-custom-output",
        {"type": "custom_tool_call_output", "call_id": "c", "output": "", "id": "ctc_1"},
        prefixed("ctc_1", "ctco"),
    ),
    (
        "F11-name",
        {**CALLED, "name": "a b"},
        (
            "input[0].name",
            "invalid_value",
            "Invalid 'input[0].name': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
        ),
    ),
    ("F11-output", {**RETURNED, "output": "x" * 10_485_761}, too_long("input[0].output", 10_485_760, 10_485_761)),
    ("E9-tools", {"type": "tool_search_output", "tools": [{}]}, missing("input[0].tools[0].type")),
]


@pytest.mark.parametrize(("item", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_row(item: Any, expected: tuple[str | None, str | None, str]) -> None:
    check(complaint(item), *expected)


def test_the_first_item_with_a_fault_is_named() -> None:
    assert complaint({"role": "user", "content": "x"}, {"role": "user"}, 5).param == "input[1].content"


def test_limits_are_inclusive() -> None:
    judge({**CALLED, "call_id": "c" * 64, "id": "fc_" + "1" * 61, "name": "n" * 128})


def test_a_list_may_refuse_types() -> None:
    judge_some = Validator(item_list(longest=2, without=("item_reference",))).validate
    judge_some([{"role": "user", "content": "x"}])
    for refused in ({"type": "item_reference", "id": "msg_1"}, {"id": "msg_1"}):
        with pytest.raises(APIError, match="Invalid value") as caught:
            judge_some([refused])
        assert "'item_reference'" not in caught.value.message.partition("Supported")[2]


# --- Every value the client's types allow ---------------------------------------------------------------------------


def samples(hint: Any) -> Iterator[Any]:
    """A few JSON values of a type: each branch, each literal, each optional member once."""
    origin = get_origin(hint)
    if origin in (typing.Required, typing.NotRequired):
        yield from samples(*get_args(hint))
    elif hasattr(hint, "__required_keys__"):
        yield from objects(hint)
    elif hint in PLAIN:
        yield PLAIN[hint]
    elif origin is Literal:
        yield from get_args(hint)
    elif origin is dict:
        yield from ({"k": value} for value in samples(get_args(hint)[1]))
    elif origin is typing.Union:
        for branch in get_args(hint):
            yield from samples(branch)
    else:
        yield from ([value] for value in samples(*(get_args(hint) or (str,))))


PLAIN: dict[Any, Any] = {
    str: "x",
    int: 1,
    float: 0.5,
    bool: True,
    type(None): None,
    object: {},
    Any: {},
}


def objects(hint: Any) -> Iterator[dict[str, Any]]:
    hints = typing.get_type_hints(hint, include_extras=True)
    least = {key: next(samples(value)) for key, value in hints.items() if get_origin(value) is typing.Required}
    yield least
    for key in hints:
        yield from ({**least, key: value} for value in samples(hints[key]))


def prefix(kind: str) -> str:
    """The id prefix of an item type."""
    schema = ITEMS[kind]
    while schema["type"] != "typed-dict":
        schema = schema.get("schema") or schema["choices"]["user"]
    identity = schema["fields"]["id"]["schema"]
    return identity.get("schema", identity)["metadata"]["prefix"]


# What the types allow and the service refuses: E21, R2.17, F12 and the pattern of F11.
STRICTER = ("].phase'", "mutually exclusive", "Mutually exclusive", ".tunnel_id'")


def test_every_value_of_the_client_types_is_accepted() -> None:
    count = 0
    for sample in samples(ResponseInputItemParam):
        item = orjson.loads(orjson.dumps(sample))
        if isinstance(item.get("id"), str):
            item["id"] = prefix(item.get("type") or "message") + "_1"
        count += 1
        try:
            judge(item)
        except APIError as error:
            assert any(reason in error.message for reason in STRICTER), (error, item)
    assert count > 1000
