"""What became of the thing that an error is about: who made a call, whose id an id is, when a response went."""

# An error of the API names an id and says that something is missing. Where the id came from stands in another call of
# the same test, often one whose error the agent swallowed. Nothing is guessed: what the journal does not show is not
# told.

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mockserver.testing.clock import DAY
from mockserver.testing.line_audit import LineAudit

if TYPE_CHECKING:
    from mockserver.journal.history import Call
    from mockserver.testing.journal import Exchange

Item = Mapping[str, Any]
Describe = Callable[[Item], str]

CALL_ID = re.compile(r"No tool (?P<missing>output|call) found for function call (?:output with call_id )?(\S+)\.")
PARENT = re.compile(r"Previous response with id '([^']*)' not found\.")


def explain_error(audit: LineAudit, call: Exchange, describe: Describe) -> str:
    """A sentence on the tool call or the response that the error of a call is about; empty where it is about neither.

    `describe` says what an output item is.
    """
    message = str((call.error or {}).get("message"))
    if match := CALL_ID.match(message):
        return _explain_call(audit, audit.known[call.id], match[2], match["missing"], describe)
    if match := PARENT.match(message):
        return _explain_parent(audit, audit.known[call.id], match[1])
    return ""


def _explain_call(audit: LineAudit, call: Call, wanted: str, missing: str, describe: Describe) -> str:
    """The tool call with a `call_id`, who made it, and where it or its output went; which calls are open for none.

    An id of the item in place of its `call_id` is told as such.
    """
    for item, origin in _tool_calls(audit, call):
        if item.get("call_id") == wanted:
            return f"{describe(item)} {origin}{_last_sent(audit, call, wanted, missing)}"
    for item, origin in _tool_calls(audit, call):
        if item.get("id") == wanted:
            said = f"{wanted} is the `id` of the item {describe(item)}, which {origin}"
            return f"{said}; an output names its call by `call_id`: {item.get('call_id')}"
    open_calls = list(_open_calls(audit, call))
    waiting = f"outputs are due for {', '.join(open_calls)}" if open_calls else "no call waits for an output"
    return f"no call with {wanted} is known; {waiting} here"


def _tool_calls(audit: LineAudit, call: Call) -> Iterator[tuple[Item, str]]:
    """The tool calls that a turn may be about, the newest first, and where each is from."""
    for earlier in reversed(audit.history.calls):
        for item in earlier.output if earlier.id < call.id else ():
            if _is_tool_call(item):
                yield item, f"came back from #{earlier.id}"
    for item in call.items:
        if _is_tool_call(item):
            yield item, "is among the items that this request sent"


def _last_sent(audit: LineAudit, call: Call, wanted: str, missing: str) -> str:
    """Which earlier request sent what this one misses, a call or its output."""
    is_missing = is_tool_output if missing == "output" else _is_tool_call
    for earlier in reversed(audit.history.turns):
        sent = earlier.id < call.id and any(item.get("call_id") == wanted for item in filter(is_missing, earlier.items))
        if sent and missing == "call":
            return f"; #{earlier.id} sent it with its items, #{call.id} does not"
        if sent:
            what = "was refused" if earlier.response_id is None else f"#{call.id} does not go on from"
            return f"; its output was sent with #{earlier.id}, which {what}"
    return ""


def is_tool_output(item: Item) -> bool:
    """Whether an item is what a tool has put out."""
    return str(item["type"]).endswith("_output")


def _is_tool_call(item: Item) -> bool:
    return str(item.get("type")).endswith("_call")


def _open_calls(audit: LineAudit, call: Call) -> Iterator[str]:
    """The ids of calls without output, of the context that a turn goes on from and of its own items."""
    before = audit.history.nodes_before(call)
    yield from before[-1].summary.pending if before else ()
    answered = {item.get("call_id") for item in call.items if is_tool_output(item)}
    for item in call.items:
        if item["type"] in ("function_call", "custom_tool_call") and item.get("call_id") not in answered:
            yield str(item.get("call_id"))


def _explain_parent(audit: LineAudit, call: Call, wanted: str) -> str:
    """Why a response can't be continued: it was deleted, never stored, has expired, or nobody here made it."""
    origin = audit.history.of_response.get(wanted)
    if origin is None or origin.id > call.id:
        return f"no call before this one came back with {wanted}"
    made = f"{wanted} came back from #{origin.id}"
    for later in audit.history.calls:
        if origin.id < later.id < call.id and later.method == "DELETE" and later.path.endswith(f"/{wanted}"):
            return f"{made} and was deleted by #{later.id}"
    if origin.request.get("store") is False:
        return f"{made}, which sent store=false: it was never stored"
    days = (call.at - origin.at) / DAY
    if 0 < audit.kept_days <= days:
        return f"{made} and has expired: it is {days:g} days old, and a response is kept for {audit.kept_days:g}"
    return made
