"""Tools that the context loads: in the echo, and how they are called. Spec: F7, R11.7, R11.8, E47."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.driving import Driver, refused

TOOL = {
    "type": "function",
    "name": "look_up",
    "description": "Looks a word up.",
    "parameters": {"type": "object", "properties": {}},
    "defer_loading": True,
}
OTHER = {"type": "function", "name": "other"}
SEARCH = {"type": "tool_search"}
USER = {"role": "user", "content": "hello"}
ADDED = {"type": "additional_tools", "role": "developer", "tools": [TOOL]}
FORCED = {"type": "function", "name": "look_up"}


def searched(execution: str) -> list[dict[str, Any]]:
    """A search for tools and what it found, as a client replays them."""
    call_id = {"call_id": "call_1"} if execution == "client" else {}
    call = {"type": "tool_search_call", "arguments": {}, "execution": execution, **call_id}
    return [call, {"type": "tool_search_output", "tools": [TOOL], "execution": execution, **call_id}]


def shown(response: dict[str, Any]) -> list[tuple[str, str]]:
    return [(tool["type"], tool.get("name", "")) for tool in response["tools"]]


def call_of(response: dict[str, Any]) -> tuple[str, str | None]:
    call = response["output"][-1]
    assert call["type"] == "function_call", call
    return call["name"], call.get("namespace")


WAYS = [
    ("gpt-5.4", searched("client"), True),
    ("gpt-5.4", searched("server"), True),
    ("gpt-5.4", [ADDED], True),
    ("gpt-5.6-terra", searched("server"), True),
    ("gpt-5.6-terra", searched("client"), False),
    ("gpt-5.6-terra", [ADDED], False),
    ("gpt-6-sol", [ADDED], False),
]


@pytest.mark.parametrize(("model", "items", "spaced"), WAYS)
def test_R11_7_a_loaded_tool_is_called_as_it_is_echoed(model: str, items: list[Any], spaced: bool) -> None:
    drive = Driver()
    tools = [OTHER, TOOL, SEARCH]
    response = drive.create([USER, *items], model=model, tools=tools, tool_choice=FORCED)
    if spaced:
        assert shown(response) == [("function", "other"), ("tool_search", ""), ("namespace", "look_up")]
    else:
        assert shown(response) == [("function", "other"), ("function", "look_up"), ("tool_search", "")]
    assert call_of(response) == ("look_up", "look_up" if spaced else None)


@pytest.mark.parametrize(("model", "items", "spaced"), WAYS)
def test_F7_what_an_earlier_turn_loaded_stays_loaded(model: str, items: list[Any], spaced: bool) -> None:
    drive = Driver()
    first = drive.create([USER, *items], model=model)
    chained = drive.create("next", model=model, previous_response_id=first["id"], tool_choice=FORCED)
    assert shown(chained) == [("namespace" if spaced else "function", "look_up")]
    assert call_of(chained) == ("look_up", "look_up" if spaced else None)
    conversation = drive.conversation(items=[USER, *items])["id"]
    for _ in range(2):
        assert shown(drive.create("next", model=model, conversation=conversation)) == shown(chained)
    assert drive.create("next", model=model)["tools"] == []


def test_F7_what_a_search_of_the_service_found_counts_from_the_next_turn_on() -> None:
    drive = Driver()
    drive.script({"reply": {"output": searched("server")}})
    first = drive.create("find it", model="gpt-5.4", tools=[TOOL, SEARCH])
    assert shown(first) == [("function", "look_up"), ("tool_search", "")]
    second = drive.create("next", model="gpt-5.4", tools=[TOOL, SEARCH], previous_response_id=first["id"])
    assert shown(second) == [("tool_search", ""), ("namespace", "look_up")]


def test_E47_a_tool_that_was_loaded_before_can_be_chosen() -> None:
    drive = Driver()
    first = drive.create([USER, ADDED], model="gpt-5.6-terra")["id"]
    assert drive.create("x", model="gpt-5.6-terra", previous_response_id=first, tool_choice=FORCED)["output"]
    error = refused(drive.create, "x", model="gpt-5.6-terra", tool_choice=FORCED)
    assert error.message == "Tool choice 'look_up' not found in 'tools' parameter."


def test_F7_a_stream_and_a_poll_show_the_same_tools() -> None:
    drive = Driver()
    events = drive.stream([USER, ADDED], model="gpt-5.4", tools=[SEARCH])
    for event in (events[0], events[-1]):
        assert shown(event["response"]) == [("tool_search", ""), ("namespace", "look_up")]
    assert shown(drive.get(events[0]["response"]["id"])) == shown(events[-1]["response"])
