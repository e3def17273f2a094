"""Calls of tools that are defined with `async`: they say so, and their output may come later. Spec: F8.9, R1.33."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.core.tool_pairing import mark_async_calls
from tests.support.driving import Driver, refused

MODEL = "gpt-6-sol"
SLOW: dict[str, Any] = {"type": "function", "name": "slow", "parameters": {"type": "object", "properties": {}}}
ASYNC = {**SLOW, "async": True}
CUSTOM = {"type": "custom", "name": "later", "async": True}
FORCED: dict[str, Any] = {"tools": [ASYNC], "tool_choice": {"type": "function", "name": "slow"}}


def call_of(response: dict[str, Any]) -> dict[str, Any]:
    return next(item for item in response["output"] if item["type"].endswith("_call"))


@pytest.mark.parametrize(
    ("tool", "kind"),
    [
        (ASYNC, "function_call"),
        (CUSTOM, "custom_tool_call"),
        ({**SLOW, "async": False}, "function_call"),
        (SLOW, "function_call"),
    ],
)
def test_F8_9_a_call_says_async_where_its_tool_does_and_else_has_no_such_key(tool: dict[str, Any], kind: str) -> None:
    choice = {"type": tool["type"], "name": tool["name"]}
    call = call_of(Driver().create(model=MODEL, tools=[tool], tool_choice=choice))
    assert call["type"] == kind
    assert call.get("async", "absent") == (True if tool.get("async") else "absent")


def test_W7_the_place_of_async() -> None:
    space = {"type": "namespace", "name": "n", "description": "d", "tools": [ASYNC]}
    drive = Driver()
    drive.script(
        {"reply": {"output": [{"type": "function_call", "name": "slow", "namespace": "n", "arguments": "{}"}]}}
    )
    call = call_of(drive.create(model=MODEL, tools=[space]))
    assert list(call) == ["id", "type", "status", "arguments", "async", "call_id", "name", "namespace"]


def test_F8_9_events_items_and_lists_have_it_too() -> None:
    drive = Driver()
    events = drive.stream(model=MODEL, **FORCED)
    items = [event["item"] for event in events if event["type"].startswith("response.output_item")]
    assert [item["async"] for item in items if item["type"] == "function_call"] == [True, True]
    id = events[-1]["response"]["id"]
    assert call_of(events[-1]["response"])["async"] is True
    next_turn = drive.create("go on", model=MODEL, previous_response_id=id)
    listed = drive.input_items(next_turn["id"])["data"]
    assert [item["async"] for item in listed if item["type"] == "function_call"] == [True]


@pytest.mark.parametrize("model", ["gpt-5.6-terra", "gpt-4.1"])
def test_F8_9_models_before_gpt_6_have_no_async_calls(model: str) -> None:
    response = Driver().create(model=model, **FORCED)
    assert "async" not in call_of(response) and response["tools"][0]["async"] is True


def test_R1_33_the_output_may_come_in_any_later_request() -> None:
    drive = Driver()
    first = drive.create(model=MODEL, **FORCED)
    call = call_of(first)
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "done"}
    second = drive.create("meanwhile", model=MODEL, previous_response_id=first["id"])
    third = drive.create([output], model=MODEL, previous_response_id=second["id"])
    assert third["status"] == "completed"
    replayed = [{"role": "user", "content": "u"}, call, {"role": "user", "content": "meanwhile"}]
    assert drive.create(replayed, model=MODEL, store=False)["status"] == "completed"
    assert drive.create([*replayed, output], model=MODEL, store=False)["status"] == "completed"
    conversation = drive.conversation()["id"]
    drive.create(model=MODEL, conversation=conversation, **FORCED)
    assert drive.create("meanwhile", model=MODEL, conversation=conversation)["status"] == "completed"


def test_R1_33_other_calls_are_owed_as_ever() -> None:
    drive = Driver()
    first = drive.create(model=MODEL, tools=[SLOW], tool_choice="required")
    error = refused(drive.create, "meanwhile", model=MODEL, previous_response_id=first["id"])
    assert error.message == f"No tool output found for function call {call_of(first)['call_id']}."


def test_F8_9_what_a_script_says_is_left_alone() -> None:
    items = [{"type": "function_call", "name": "slow", "async": False}, {"type": "message"}]
    assert mark_async_calls(items, [ASYNC]) == items
    assert mark_async_calls(items, [SLOW]) is items
