"""Tools and tool_choice: every shape of the client types, and the words for what is wrong with one."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire.errors.api import APIError
from mockserver.wire.requests.schema import shape
from mockserver.wire.requests.tools import TOOL_CHOICE, TOOL_LIST, TOOLS
from mockserver.wire.requests.validation import Validator
from tests.support.request_examples import FUNCTION_TOOL, TOOL_EXAMPLES

JUDGE = Validator(shape({}, {"tools": TOOL_LIST, "tool_choice": TOOL_CHOICE}))


def complaint(body: dict[str, Any]) -> tuple[str | None, str | None, str]:
    with pytest.raises(APIError) as caught:
        JUDGE.validate(body)
    return caught.value.param, caught.value.code, caught.value.message


@pytest.mark.parametrize("tool", TOOL_EXAMPLES, ids=lambda tool: tool["type"])
def test_tool_is_accepted(tool: dict[str, Any]) -> None:
    JUDGE.validate({"tools": [tool]})


def test_every_type_has_an_example() -> None:
    assert {tool["type"] for tool in TOOL_EXAMPLES} == set(TOOLS)


def missing(path: str) -> tuple[str, str, str]:
    return path, "missing_required_parameter", f"Missing required parameter: '{path}'."


def unknown(path: str) -> tuple[str, str, str]:
    return path, "unknown_parameter", f"Unknown parameter: '{path}'."


def empty(path: str) -> tuple[str, str, str]:
    return (
        path,
        "empty_array",
        f"Invalid '{path}': empty array. Expected an array with minimum length 1, but got an empty array instead.",
    )


SERVER = {"type": "mcp", "server_label": "s"}
ROWS: list[tuple[str, dict[str, Any], tuple[str, str, str]]] = [
    ("E9-type", {}, missing("tools[0].type")),
    ("E9-name", {"type": "function"}, missing("tools[0].name")),
    ("E9-chat-shape", {"type": "function", "function": {"name": "f"}}, missing("tools[0].name")),
    ("E5", {**FUNCTION_TOOL, "bogus": 1}, unknown("tools[0].bogus")),
    ("E5-computer", {"type": "computer", "display_width": 1}, unknown("tools[0].display_width")),
    ("E9-F12-container", {"type": "code_interpreter"}, missing("tools[0].container")),
    ("E9-F12-label", {"type": "mcp"}, missing("tools[0].server_label")),
    ("E30-namespace", {"type": "namespace", "name": "n", "description": "d", "tools": []}, empty("tools[0].tools")),
    ("E30-callers", {**FUNCTION_TOOL, "allowed_callers": []}, empty("tools[0].allowed_callers")),
    (
        "F12-server",
        SERVER,
        (
            "tools[0]",
            "missing_mutually_exclusive_parameters",
            "Missing mutually exclusive parameters: 'tools[0]'. Ensure you are providing exactly one of: "
            "'server_url', 'connector_id', or 'tunnel_id'.",
        ),
    ),
    (
        "E27-name",
        {"type": "function", "name": "n" * 65},
        (
            "tools[0].name",
            "string_above_max_length",
            "Invalid 'tools[0].name': string too long. Expected a string with maximum length 64, "
            "but got a string with length 65 instead.",
        ),
    ),
    (
        "F11-name",
        {"type": "function", "name": "a.b"},
        (
            "tools[0].name",
            "invalid_value",
            "Invalid 'tools[0].name': string does not match pattern. Expected a string that matches the pattern "
            "'^[a-zA-Z0-9_-]+$'.",
        ),
    ),
    (
        "E10-parameters",
        {**FUNCTION_TOOL, "parameters": "x"},
        (
            "tools[0].parameters",
            "invalid_type",
            "Invalid type for 'tools[0].parameters': expected an object, but got a string instead.",
        ),
    ),
    (
        "E25-F11",
        {"type": "image_generation", "partial_images": 4},
        (
            "tools[0].partial_images",
            "integer_above_max_value",
            "Invalid 'tools[0].partial_images': integer above maximum value. Expected a value <= 3, but got 4 instead.",
        ),
    ),
    (
        "E22",
        {"type": "custom", "name": "c", "format": {"type": "grammar", "syntax": "ebnf", "definition": "x"}},
        (
            "tools[0].format.syntax",
            "invalid_value",
            "Invalid value: 'ebnf'. Supported values are: 'lark' and 'regex'.",
        ),
    ),
]


@pytest.mark.parametrize(("tool", "expected"), [pytest.param(*row[1:], id=row[0]) for row in ROWS])
def test_row(tool: dict[str, Any], expected: tuple[str, str, str]) -> None:
    assert complaint({"tools": [tool]}) == expected


def test_an_unknown_type_lists_them_all() -> None:
    param, code, message = complaint({"tools": [{"type": "bogus"}]})
    assert (param, code) == ("tools[0].type", "invalid_value")
    assert message.startswith("Invalid value: 'bogus'. Supported values are: 'function', 'file_search', ")


def test_choices() -> None:
    for choice in ("auto", {"type": "mcp", "server_label": "s"}, {"type": "shell"}, {"type": "web_search"}):
        JUDGE.validate({"tool_choice": choice})
    assert complaint({"tool_choice": {"type": "function"}}) == missing("tool_choice.name")
    assert complaint({"tool_choice": {}}) == missing("tool_choice.type")
    assert complaint({"tool_choice": {"type": "bogus"}})[:2] == ("tool_choice.type", "invalid_value")
