"""Rules between the items of one output: the real API sends no output that breaks them.

Each item by itself has the right shape; a scripted turn that breaks a rule would show clients what never happens.
"""

# What may be refused: only what the specification rules out. A recording may hold more than we would guess (a hosted
# call that is `searching` when the turn is over, an error beside an output), and it must go through a script.
#
# Why rules of code beside the shapes: pydantic and JSON Schema judge one item at a time. Each rule here is a
# generator over all items of an output, so that a file with several mistakes gets all of them reported at once.
#
# What must stay true: an id that comes from a template (`{{ turn }}`) is unknown before the turn, so no rule
# may complain about it; `_explicit_id` is the one place that decides that.

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence, Set
from typing import Any

from mockserver.scenarios.validation import Location, format_value, has_template

Item = Mapping[str, Any]

# type of an answer → types of what it answers. Spec: I2, R1.34.
_ANSWERS: Mapping[str, tuple[str, ...]] = {
    "apply_patch_call_output": ("apply_patch_call",),
    "computer_call_output": ("computer_call",),
    "custom_tool_call_output": ("custom_tool_call",),
    "function_call_output": ("function_call", "tool_search_call"),
    "mcp_approval_response": ("mcp_approval_request",),
    "program_output": ("program",),
    "shell_call_output": ("shell_call",),
    "tool_search_output": ("tool_search_call",),
}
# where an item says what it is called by answers, or what it answers, when that is not `call_id`
_NAMED_BY: Mapping[str, str] = {"mcp_approval_request": "id", "mcp_approval_response": "approval_request_id"}
# What the model says itself is completed when its turn is. Spec: S8 a, c, d, g.
_SPOKEN = ("message", "function_call", "custom_tool_call")
_STATUSES: Mapping[Any, str] = {
    "in_progress": "can't be in_progress when the turn is over",
    "incomplete": "is incomplete only where the reply says incomplete or failed",
}


def _is_programmatic(item: Item) -> bool:
    """Whether a program makes a call, which is in progress until the program has ended. Spec: I4."""
    caller = item.get("caller")
    return isinstance(caller, Mapping) and caller.get("type") == "program"


def output_mistakes(items: Sequence[Item]) -> Iterator[tuple[Location, str]]:
    """Yield the mistakes between the items of an output; each item by itself has the right shape."""
    for rule in (_same_ids, _answers, _searches):
        for number, member, words in rule(items):
            yield (number, member), words


def reply_mistakes(given: Set[str], output: Sequence[Item]) -> Iterator[tuple[Location, str]]:
    """Yield the mistakes between the members of a reply that has one form; `given` are their names."""
    if "error" in given:
        for key in sorted(given - {"error"}):
            yield (key,), "can't be combined with error, which has no response"
    if {"failed", "usage"} <= given:  # Spec: S12.2
        yield ("usage",), "can't be combined with failed: a failed response has no usage"
    if not given.isdisjoint(("failed", "incomplete")):
        return
    for number, item in enumerate(output):
        words = _STATUSES.get(item.get("status"))
        if words and item.get("type", "message") in _SPOKEN and not _is_programmatic(item):
            yield ("output", number, "status"), words


ItemMistake = tuple[int, str, str]  # the item's place, the member, what is wrong with it


def _explicit_id(item: Item, key: str) -> str | None:
    """The id that a script writes out, None if it is left out or comes from a template."""
    value = item.get(key)
    return None if not value or has_template(value) else str(value)


def _same_ids(items: Sequence[Item]) -> Iterator[ItemMistake]:
    """No two items of a response have the same id. Spec: R1.36, S9."""
    seen: set[str] = set()
    for number, item in enumerate(items):
        id = _explicit_id(item, "id")
        if id in seen:
            yield number, "id", f"is the id of an earlier item: {format_value(id)}"
        seen |= {id} if id else set()


def _answers(items: Sequence[Item]) -> Iterator[ItemMistake]:
    """An answer comes after the one call that it answers, and has its type. Spec: R1.34, S9."""
    calls: dict[str, str] = {}
    answered: set[str] = set()
    later = _names(items)
    for number, item in enumerate(items):
        kind = item.get("type", "message")
        key = _NAMED_BY.get(kind, "call_id")
        name = _explicit_id(item, key)
        if name is None:
            continue
        if kind not in _ANSWERS:
            if kind in _CALLS and name in calls:
                yield number, key, f"is that of an earlier call: {format_value(name)}"
            calls[name] = kind
            continue
        if name not in calls and name in later:
            yield number, key, f"comes before the call it answers: {format_value(name)}"
        elif name in calls and calls[name] not in _ANSWERS[kind]:
            yield number, key, f"names a {calls[name]}, which has another type of answer"
        elif name in answered:
            yield number, key, f"was answered before: {format_value(name)}"
        answered.add(name)


_CALLS = frozenset(("local_shell_call", *(call for calls in _ANSWERS.values() for call in calls)))


def _names(items: Sequence[Item]) -> set[str]:
    calls = [item for item in items if item.get("type") in _CALLS]
    return {name for item in calls if (name := _explicit_id(item, _NAMED_BY.get(item["type"], "call_id")))}


def _searches(items: Sequence[Item]) -> Iterator[ItemMistake]:
    """A search that the server runs has no call id. Spec: I8."""
    for number, item in enumerate(items):
        ours = str(item.get("type")).startswith("tool_search_") and item.get("execution") in (None, "server")
        if ours and item.get("call_id") is not None:
            yield number, "call_id", "belongs to searches with execution: client only"
