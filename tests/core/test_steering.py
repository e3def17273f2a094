"""Where a turn stops for new input, and what it ends as. Spec: R4.16."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.core.records import Put
from mockserver.core.state import Node, Summary
from mockserver.core.steering import (
    Steer,
    boundary,
    input_stubs,
    refusal_reason,
    reschedule,
    stop_response,
    stub,
    successor,
    truncate_output,
    usage_until,
    with_steers,
)
from mockserver.core.turn import Turn
from mockserver.store.view import view_project
from mockserver.wire import catalog
from tests.support.driving import Driver
from tests.support.records import Records, semantics

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
    assert steerable == {"gpt-6-astra", "gpt-6.2-astra"}
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


# --- what a stopped turn is ----------------------------------------------------------------------------------------

STEERABLE = "gpt-6-astra"


def two_messages(**fields: Any) -> Turn:
    """A turn that says two messages, which takes a minute."""
    drive = Driver()
    drive.script({"reply": {"output": [{"text": "one two"}, {"text": "three"}]}, "pacing": {"first_token": 60}})
    body = {"model": STEERABLE, "input": "u", "stream": True, **fields}
    turn = drive.engine.create_response("p", json.dumps(body).encode()).turn
    assert turn is not None
    return turn


def test_R4_16_A_a_stopped_turn_is_incomplete_because_it_was_steered() -> None:
    final = two_messages().final
    kept = [item for item in final["output"] if item["type"] == "message"][:1]
    stopped = stop_response(final, kept, {"output_tokens": 3})
    assert (stopped["status"], stopped["completed_at"]) == ("incomplete", None)
    assert stopped["incomplete_details"] == {"reason": "steered"}
    assert (stopped["output"], stopped["usage"]) == (kept, {"output_tokens": 3})
    told = {"status", "completed_at", "incomplete_details", "output", "usage", "tool_usage"}
    assert {key: value for key, value in stopped.items() if key not in told} == {
        key: value for key, value in final.items() if key not in told
    }


THOUGHT = {"type": "reasoning", "id": "rs_1", "summary": []}


def said(text: str) -> dict[str, Any]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return {"type": "message", "role": "assistant", "status": "completed", "content": content}


def final_of(*output: dict[str, Any], output_tokens: int, thought: int) -> dict[str, Any]:
    usage = {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": output_tokens,
        "output_tokens_details": {"reasoning_tokens": thought},
        "total_tokens": 10 + output_tokens,
    }
    return {"output": list(output), "usage": usage}


def bill(final: dict[str, Any], kept: list[dict[str, Any]]) -> tuple[int, int, int]:
    model = catalog.resolve(STEERABLE)
    assert model
    usage = usage_until(final, kept, {}, model, semantics())
    return usage["output_tokens"], usage["output_tokens_details"]["reasoning_tokens"], usage["total_tokens"]


def test_R4_16_what_was_not_said_is_not_paid_for() -> None:
    whole = final_of(THOUGHT, said("abc"), said("defgh"), output_tokens=100, thought=40)
    paid, thought, total = bill(whole, whole["output"])
    assert (paid, thought, total) == (100, 40, 110), "all was said"
    paid, thought, total = bill(whole, whole["output"][:2])
    assert 40 < paid <= 95, "at least the five tokens of the second text fall away"
    assert (thought, total) == (40, 10 + paid)
    paid, thought, total = bill(whole, [said("abc")])
    assert (paid < 60, thought, total) == (True, 0, 10 + paid), "hidden reasoning goes with its item"
    assert bill(whole, []) == (0, 0, 10), "nothing was said"


def test_R4_16_no_usage_stays_none() -> None:
    model = catalog.resolve(STEERABLE)
    assert model
    assert usage_until({"usage": None}, [], {}, model, semantics()) is None


def test_R4_16_the_context_keeps_the_input_and_what_was_said() -> None:
    items = [{"type": "message", "role": "user", "content": "u"}, said("a"), said("b")]
    node = Node("resp_1", None, items, 1, 0, Summary(), status="completed", cues={"0": {"a": 1}, "1": {"b": 2}})
    stopped = truncate_output(Records(), node, 1)
    assert (stopped.items, stopped.status, stopped.cues) == (items[:2], "incomplete", {"0": {"a": 1}})
    assert (stopped.summary.count, stopped.summary.turn) == (2, 1)


def test_R4_16_a_turn_under_way_ends_at_another_time_as_another() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "one"}, "pacing": {"first_token": 60}})
    body = {"model": STEERABLE, "input": "u", "stream": True}
    turn = drive.engine.create_response("p", json.dumps(body).encode()).turn
    assert turn is not None
    stopped = turn._replace(final=stop_response(turn.final, [], turn.final["usage"]))
    [change] = reschedule(view_project(drive.engine.store, "p"), stopped, 5.0)
    assert isinstance(change, Put)
    running = json.loads(change.doc)
    assert (change.kind, change.id, running["ends_at"]) == ("running", turn.id, 5.0)
    assert json.loads(running["body"])["incomplete_details"] == {"reason": "steered"}
    assert reschedule(Records(), stopped, 5.0) == [], "it has ended"
