"""Items and replies as functions: what they return is what a scenario file would hold."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import mockserver
from mockserver import MockError
from mockserver.scenarios.item_shapes import KINDS
from mockserver.scenarios.lines import parse_lines
from mockserver.testing import items

PNG = "iVBORw0KGgo="
MADE: dict[str, Any] = {
    "message": (items.message("hi"), {"text": "hi"}),
    "reasoning": (items.reasoning(["a", "b"]), {"summary": ["a", "b"]}),
    "compaction": (items.compaction(compacting=2), {"compacting": 2}),
    "function_call": (items.function_call("f", {"a": 1}), {"name": "f", "arguments": {"a": 1}}),
    "custom_tool_call": (items.custom_tool_call("f", "x"), {"name": "f", "input": "x"}),
    "computer_call": (
        items.computer_call({"type": "double_click", "x": 1, "y": 2}),
        {"action": {"type": "double_click", "x": 1, "y": 2}},
    ),
    "shell_call": (items.shell_call("ls", "pwd"), {"action": {"commands": ["ls", "pwd"]}}),
    "local_shell_call": (
        items.local_shell_call("ls", "-l"),
        {"action": {"type": "exec", "command": ["ls", "-l"], "env": {}}},
    ),
    "apply_patch_call": (
        items.apply_patch_call("delete_file", "a.txt"),
        {"operation": {"type": "delete_file", "path": "a.txt"}},
    ),
    "mcp_approval_request": (items.mcp_approval_request("f"), {"name": "f", "arguments": "{}"}),
    "web_search_call": (
        items.web_search_call("news", sources=["https://a.test"]),
        {
            "action": {
                "type": "search",
                "query": "news",
                "queries": ["news"],
                "sources": [{"type": "url", "url": "https://a.test"}],
            }
        },
    ),
    "file_search_call": (
        items.file_search_call("plan", results=[{"file_id": "file-1", "text": "x"}]),
        {"queries": ["plan"], "results": [{"file_id": "file-1", "text": "x"}]},
    ),
    "code_interpreter_call": (
        items.code_interpreter_call("print(1)", logs="1"),
        {"code": "print(1)", "outputs": [{"type": "logs", "logs": "1"}]},
    ),
    "image_generation_call": (
        items.image_generation_call(PNG, partial_images=[PNG]),
        {"result": PNG, "partial_images": [PNG]},
    ),
    "mcp_call": (items.mcp_call("f", output="x"), {"name": "f", "arguments": "{}", "output": "x"}),
    "mcp_list_tools": (
        items.mcp_list_tools({"name": "f", "input_schema": {}}),
        {"tools": [{"name": "f", "input_schema": {}}]},
    ),
    "tool_search_call": (items.tool_search_call({"q": "x"}), {"arguments": {"q": "x"}}),
    "program": (items.program("f()"), {"code": "f()"}),
}
REPLIES = {
    "error": (
        items.error("rate_limit_exceeded", headers={"a": "b"}),
        {"code": "rate_limit_exceeded", "headers": {"a": "b"}},
    ),
    "failed": (items.failed(message="no"), {"code": "server_error", "message": "no"}),
    "incomplete": (items.incomplete("content_filter"), "content_filter"),
    "structured": (items.structured([1]), [1]),
}


@pytest.mark.parametrize("kind", MADE)
def test_items_are_what_a_scenario_takes(kind: str) -> None:
    made, members = MADE[kind]
    assert made == {"type": kind, **members}
    parse_lines([items.line_of(made)])


def test_refusals_and_open_reasoning() -> None:
    assert items.refusal("no")["content"] == [{"type": "refusal", "refusal": "no"}]
    assert items.reasoning(content="hm") == {"type": "reasoning", "summary": [], "content": ["hm"]}
    assert items.computer_call({"type": "wait"}, {"type": "wait"})["actions"] == [{"type": "wait"}, {"type": "wait"}]
    parse_lines([items.line_of([items.reasoning(content="hm"), items.refusal("no")])])


@pytest.mark.parametrize("form", REPLIES)
def test_replies_that_are_no_items(form: str) -> None:
    made, said = REPLIES[form]
    assert made[{"structured": "json"}.get(form, form)] == said
    parse_lines([items.line_of(made)])


def test_further_members_go_under_the_api_s_names() -> None:
    assert items.function_call("f", call_id="call_1")["call_id"] == "call_1"
    assert items.web_search_call(action={"type": "open_page", "url": "https://a.test"})["action"]["type"] == "open_page"


def test_whatever_a_turn_may_be() -> None:
    assert items.line_of("hi") == {"reply": {"text": "hi"}}
    assert items.line_of(["hi", items.program("x")]) == {
        "reply": {"output": [{"type": "message", "text": "hi"}, {"type": "program", "code": "x"}]}
    }
    assert items.line_of({"text": "hi", "reasoning": "hm"}) == {"reply": {"text": "hi", "reasoning": "hm"}}
    assert items.line_of({"when": {"turn": 2}, "reply": {"text": "hi"}})["when"] == {"turn": 2}
    with pytest.raises(MockError, match="not int"):
        items.line_of(3)


def test_every_item_that_a_model_puts_out_has_its_function() -> None:
    kinds = {kind for kind in KINDS if not kind.endswith(("_output", "_response"))}
    assert {kind for kind in kinds if not hasattr(items, kind)} == {"additional_tools"}


def test_all_of_them_are_exported_and_documented() -> None:
    functions = dict(inspect.getmembers(items, inspect.isfunction))
    public = {name for name, one in functions.items() if one.__module__ == items.__name__ and name[0] != "_"}
    assert public - {"line_of"} == {
        name for name in mockserver.__all__ if getattr(mockserver, name) in functions.values()
    }
    for name in public:
        assert functions[name].__doc__, name
