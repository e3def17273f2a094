"""Steering: where a turn in progress stops for new input, what it ends as, and what is still owed before it goes on.

Spec: R4.16. A safe boundary is the end of an output item, or the time before the first one, as long as the output owes
no answer of the client's: whoever called a tool is first given the result.
"""

# What must stay true:
# * A turn stops only where its output is a valid answer: before the first item or between two, and not while a
#   call in it waits for the client, which would lose the call (R4.16 C).
# * Tokens that were not emitted are not billed: the tokens of the items that fell away come off the bill, and hidden
#   reasoning with them once its item is gone. What was said before the stop stays as billed.
# * The old turn and its successor are two responses. The first ends incomplete, the second continues it like any
#   chain.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from mockserver.core import context
from mockserver.core.lifecycle import encode_body, read_running
from mockserver.core.records import Change, State
from mockserver.core.semantics import Semantics
from mockserver.core.state import Item, Node, read_summary
from mockserver.core.tool_pairing import ANSWERS, needs_client_output
from mockserver.core.transitions import IN_PROGRESS, INCOMPLETE, MODES, transition
from mockserver.core.turn import Turn
from mockserver.wire.catalog import Model
from mockserver.wire.requests import frames
from mockserver.wire.responses import events, response_object
from mockserver.wire.responses.events import Event
from mockserver.wire.tokens import context as context_tokens

MOST_PENDING = 16  # submissions that wait for one response; the service's figure is unknown


class Steer(NamedTuple):
    """One accepted submission: its id and the frame that brought it."""

    id: str
    frame: Mapping[str, Any]


def refusal_reason(request: Mapping[str, Any], model: Model) -> str | None:
    """Return why the turn of a request can't be steered, None when it can. Spec: R4.16, X4."""
    if not model.steering:
        return f"Steering is not supported with {model.id}."
    if request.get("conversation") is not None:
        return "Steering is not supported for responses that belong to a conversation."
    if request.get("context_management"):
        return "Steering is not supported for responses with automatic compaction."
    return None


def input_stubs(output: Iterable[Item]) -> list[dict[str, Any]]:
    """A stub for each answer that the client owes a turn's output. Spec: R4.16 C."""
    return [stub(item) for item in output if needs_client_output(item) or item["type"] == "mcp_approval_request"]


def stub(item: Item) -> dict[str, Any]:
    """Return what identifies the answer to one call or request for approval."""
    if item["type"] == "mcp_approval_request":
        return {"type": "mcp_approval_response", "approval_request_id": item["id"]}
    answer: dict[str, Any] = {"type": ANSWERS[item["type"]], "call_id": item["call_id"]}
    if item["type"] == "function_call":
        answer["name"] = item["name"]
    elif item["type"] == "tool_search_call":
        answer["execution"] = "client"
    return answer


def boundary(past: Iterable[Event], ahead: Sequence[Event]) -> int | None:
    """Return after how many of the events ahead a turn can stop, None when it has to run to its end."""
    begun = 0
    for event in past:
        begun += _opening_delta(event)
        if _owing(event):
            return None
    for at, event in enumerate(ahead):
        if event["type"] in events.TERMINAL or event["type"] == "error":
            return None
        if not begun and event["type"] == "response.output_item.added":
            return at
        begun += _opening_delta(event)
        if _owing(event):
            return None
    return None


def _opening_delta(event: Event) -> int:
    return _OPENED.get(event["type"], 0)


_OPENED = {"response.output_item.added": 1, "response.output_item.done": -1}


def _owing(event: Event) -> bool:
    return event["type"] in _OPENED and bool(input_stubs([event["item"]]))


def stop_response(final: dict[str, Any], kept: list[Item], usage: dict[str, Any]) -> dict[str, Any]:
    """The terminal Response of a turn that stopped with the output `kept`. Spec: R4.16 A."""
    status = transition(MODES[final["background"]], IN_PROGRESS, "steer")
    stopped = {"status": status, "completed_at": None, "incomplete_details": {"reason": "steered"}}
    return {**final, **stopped, "output": kept, "tool_usage": response_object.tool_usage(kept), "usage": usage}


def usage_until(
    final: dict[str, Any], kept: list[Item], request: dict[str, Any], model: Model, rules: Semantics
) -> Any:
    """The usage of a turn that stopped early: tokens that were not emitted are not billed."""
    usage = final["usage"]
    if usage is None:
        return None
    thought = usage["output_tokens_details"]["reasoning_tokens"]
    spared = _count_output_tokens(final["output"], request, model, rules) - _count_output_tokens(
        kept, request, model, rules
    )
    if not any(item["type"] == "reasoning" for item in kept):
        spared, thought = spared + thought, 0
    output = max(0, usage["output_tokens"] - spared) if kept else 0
    return {
        **usage,
        "output_tokens": output,
        "output_tokens_details": {**usage["output_tokens_details"], "reasoning_tokens": thought},
        "total_tokens": usage["input_tokens"] + output,
    }


def _count_output_tokens(items: list[Item], request: dict[str, Any], model: Model, rules: Semantics) -> int:
    return context_tokens.output_tokens(items, 0, request, model, rules.count)


def truncate_output(state: State, node: Node, kept: int) -> Node:
    """A turn's step in the context with only the first `kept` items of its output."""
    items = node.items[: node.own + kept]
    summary = context.extend_summary(read_summary(state, node.parent), items, turns=1)
    cues = response_object.begun_cues(node.cues, kept)
    return node._replace(packed=items, summary=summary, status=INCOMPLETE, cues=cues)


def reschedule(state: State, turn: Turn, ends_at: float) -> list[Change]:
    """The changes by which a turn in progress will end as this one, at another time. Spec: R4.16."""
    running = read_running(state, turn.id)
    if running is None:
        return []
    body = encode_body(turn).decode() if turn.stored else None
    return [replace(running, node=turn.node.doc().decode(), body=body, ends_at=ends_at).put()]


def successor(request: Mapping[str, Any], response_id: str, steers: Iterable[Steer]) -> dict[str, Any]:
    """The request that goes on with queued submissions: the old one's settings, their input. Spec: R4.16 B."""
    return {**request, "previous_response_id": response_id, "input": steer_messages(steers)}


def steer_messages(steers: Iterable[Steer]) -> list[dict[str, Any]]:
    """The messages of submissions in the order in which they came."""
    return [message for one in steers for message in frames.steering_input(one.frame["input"])]


def with_steers(request: Mapping[str, Any], steers: Sequence[Steer]) -> dict[str, Any]:
    """An explicit continuation with the queued submissions before its own input. Spec: R4.16 C."""
    own = request.get("input", [])
    rest = frames.steering_input(own) if isinstance(own, str) else own
    return {**request, "input": [*steer_messages(steers), *rest]}
