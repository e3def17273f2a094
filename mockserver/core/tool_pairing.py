"""Calls and outputs: every call a client must answer is answered, every output has its call. Spec: R1.33, R1.34."""

# Why `async` calls are no debt: their output may come in any later request, or never (R1.33). Why hosted calls
# are none either: the service answers them itself. What is left are the calls that stop a conversation until
# somebody answers: the message that names the first of them is the one that stuck agents show (E71).

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mockserver.wire.errors import api as errors
from mockserver.wire.responses.resources import order_keys

Item = dict[str, Any]

# call type → the output type that answers it
ANSWERS = {
    "function_call": "function_call_output",
    "custom_tool_call": "custom_tool_call_output",
    "computer_call": "computer_call_output",
    "shell_call": "shell_call_output",
    "local_shell_call": "local_shell_call_output",
    "apply_patch_call": "apply_patch_call_output",
    "tool_search_call": "tool_search_output",
}
OUTPUTS = frozenset(ANSWERS.values())
PAIRED = OUTPUTS | ANSWERS.keys()

# owed output → another type of output that answers the call as well (Spec: R1.34)
_ALSO = {"tool_search_output": "function_call_output"}


def call_id(item: Item) -> str | None:
    """Return what pairs a call with its output."""
    return item.get("call_id") or (item.get("id") if item["type"] == "local_shell_call_output" else None)


def needs_client_output(item: Item) -> bool:
    """Whether a call waits for an output that only the client can give."""
    if item["type"] not in ANSWERS or item.get("async") or call_id(item) is None:  # no output could name it
        return False
    if item["type"] == "shell_call":
        return (item.get("environment") or {}).get("type") != "container_reference"
    if item["type"] == "tool_search_call":
        return item.get("execution") == "client"
    return True


def mark_async_calls(items: list[Item], tools: Iterable[dict[str, Any]]) -> list[Item]:
    """Output items with `async` on the calls of tools that were defined with it, and on no others. Spec: F8.9."""
    tools = list(tools)
    spaces = [(tool["name"], inner) for tool in tools if tool["type"] == "namespace" for inner in tool["tools"]]
    named = [(None, tool) for tool in tools if tool["type"] in _NAMED]
    names = {(space, tool["name"]) for space, tool in (*named, *spaces) if tool.get("async")}
    if not names:
        return items
    return [
        order_keys({**item, "async": True})
        if item["type"] in _CALLS_BY_NAME and "async" not in item and (item.get("namespace"), item["name"]) in names
        else item
        for item in items
    ]


_NAMED = ("function", "custom")
_CALLS_BY_NAME = ("function_call", "custom_tool_call")


def pending_after(pending: dict[str, str], items: Iterable[Item]) -> dict[str, str]:
    """The outputs still owed after `items` follow a context that owes `pending`."""
    left = dict(pending)
    for item in items:
        if needs_client_output(item):
            left[item["call_id"]] = ANSWERS[item["type"]]
        elif item["type"] in OUTPUTS:
            left.pop(call_id(item) or "", None)
    return left


def orphans(pending: dict[str, str], items: list[Item]) -> list[Item]:
    """The outputs among `items` that answer neither a pending call nor one that stands before them."""
    calls = dict(pending)
    found = []
    for item in items:
        id = call_id(item)
        if item["type"] in ANSWERS and id is not None:
            calls[id] = ANSWERS[item["type"]]
        elif item["type"] in OUTPUTS and id is not None and not _answers(item["type"], calls.get(id, "")):
            found.append(item)
    return found


def _answers(output: str, owed: str) -> bool:
    """Whether an output of one type answers a call that another type was owed for. Spec: R1.34."""
    return output in (owed, _ALSO.get(owed))


def strays(pending: dict[str, str], items: list[Item], history: Iterable[Item]) -> list[Item]:
    """The outputs among `items` that answer no call, be it pending or one that `history` holds."""
    found = orphans(pending, items)
    if found:
        answered = {(call_id(one), ANSWERS[one["type"]]) for one in history if one["type"] in ANSWERS}
        answered |= {(id, _ALSO[output]) for id, output in answered if output in _ALSO}
        found = [stray for stray in found if (call_id(stray), stray["type"]) not in answered]
    return found


def check(pending: dict[str, str], items: list[Item], history: Iterable[Item]) -> dict[str, str]:
    """The outputs owed after `items`; raises E72 for an orphan output and E71 for an unanswered call.

    `history` walks the context before `items`; it is read only when an output's call is not among the pending ones.
    """
    for stray in strays(pending, items, history):
        raise errors.no_tool_call(call_id(stray) or "")
    left = pending_after(pending, items)
    if left:
        raise errors.no_tool_output(next(iter(left)))
    return left
