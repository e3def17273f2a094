"""Where a turn stops for new input, and what it ends as. Spec: R4.16."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.core.steering import Steer, boundary, input_stubs, refusal_reason, stub, successor, with_steers
from mockserver.wire import catalog

CALL = {"type": "function_call", "call_id": "c", "name": "f"}


def events(*plan: str) -> list[dict[str, Any]]:
    """Return events by short names: `+` and `-` begin and end a message, `(` and `)` a call, `.` is a token."""
    made = {"+": ("added", {"type": "message"}), "-": ("done", {"type": "message"}), "(": ("added", CALL)}
    made[")"] = ("done", CALL)
    return [
        {"type": f"response.output_item.{made[one][0]}", "item": made[one][1]}
        if one in made
        else {"type": {".": "response.output_text.delta", "!": "response.completed", "?": "error"}[one]}
        for one in "".join(plan)
    ]


@pytest.mark.parametrize(
    ("past", "ahead", "stop"),
    [
        ("", "+..-+..-!", 0),
        ("+.", ".-+..-!", 2),
        ("+..-", "+..-!", 0),
        ("+..-+.", ".-!", None),
        ("+.", ".-!", None),
        ("", "!", None),
        ("+..-", "()!", 0),
        ("+.", "-()!", 1),
        ("+..-(", ")+.-!", None),
        ("()", "+.-!", None),
        ("+.", "-?!", None),
    ],
)
def test_boundaries(past: str, ahead: str, stop: int | None) -> None:
    assert boundary(events(past), events(ahead)) == stop


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (CALL, {"type": "function_call_output", "call_id": "c", "name": "f"}),
        ({"type": "custom_tool_call", "call_id": "c", "name": "f"}, {"type": "custom_tool_call_output"}),
        ({"type": "computer_call", "call_id": "c"}, {"type": "computer_call_output"}),
        ({"type": "shell_call", "call_id": "c"}, {"type": "shell_call_output"}),
        ({"type": "apply_patch_call", "call_id": "c"}, {"type": "apply_patch_call_output"}),
        (
            {"type": "tool_search_call", "call_id": "c", "execution": "client"},
            {"type": "tool_search_output", "execution": "client"},
        ),
    ],
)
def test_stubs(item: dict[str, Any], expected: dict[str, Any]) -> None:
    assert stub(item) == {"call_id": "c", **expected}


def test_approvals_are_required_and_answered_by_id() -> None:
    request = {"type": "mcp_approval_request", "id": "mcpr_1", "name": "f"}
    hosted = [{"type": "web_search_call", "id": "ws_1"}, {"type": "tool_search_call", "execution": "server"}]
    assert input_stubs([*hosted, request]) == [{"type": "mcp_approval_response", "approval_request_id": "mcpr_1"}]


def test_only_one_family_takes_it() -> None:
    steerable = {model.id for _, model in catalog.names() if model.steering}
    assert steerable == {"gpt-6-astra"}
    astra, other = catalog.resolve("gpt-6-astra"), catalog.resolve("gpt-6-sol")
    assert astra
    assert other
    assert refusal_reason({}, astra) is None
    assert refusal_reason({}, other)
    assert refusal_reason({"conversation": "conv_1"}, astra)
    assert refusal_reason({"context_management": [{"type": "compaction"}]}, astra)


def test_what_goes_on() -> None:
    steers = [Steer("1", {"input": "a"}), Steer("2", {"input": [{"role": "user", "content": "b"}]})]
    request = {"model": "m", "instructions": "i", "input": "old", "previous_response_id": "r0"}
    follower = successor(request, "r1", steers)
    assert [one["content"] for one in follower["input"]] == ["a", "b"]
    assert {**follower, "input": "old", "previous_response_id": "r0"} == request
    explicit = with_steers({"input": [{"type": "function_call_output"}]}, steers)["input"]
    assert [one["type"] for one in explicit] == ["message", "message", "function_call_output"]
    assert with_steers({"input": "own"}, steers)["input"][-1]["content"] == "own"
    assert len(with_steers({}, steers)["input"]) == 2
