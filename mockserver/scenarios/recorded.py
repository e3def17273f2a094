"""A recorded Response as the reply of a line, which answers with the same output, end, figures and model."""

# What must stay true: what comes out of a line made here equals what went in, ids and times apart, wherever the
# request is the same. So what the service may leave out and the mock would fill in is written as null: a phase
# (Spec: I5), a blob of reasoning (Spec: R1.41). What the Response echoes of its request is left out: the mock
# echoes it by itself.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import json_compact

Item = dict[str, Any]

# Members of a Response that do not follow from its request. Spec: F1, O1, O5.
_FOUND_OUT = ("input_transformations", "moderation", "prompt_cache_diagnostics", "service_tier", "tool_usage")


def reply_of(response: Mapping[str, Any]) -> dict[str, Any]:
    """The scripted reply that a finished Response came from; raises MockError for one without an end of its own."""
    status = response["status"]
    if status not in _ENDS:
        raise MockError(f"A response that is {status} can't be scripted: a line says how a turn ends.", param="status")
    output = [_as_script(item) for item in response["output"]]
    reply = {"output": output, "model": response["model"], **_ENDS[status](response)}
    if status == "failed" and not output:
        del reply["output"]
    found = {key: response[key] for key in _FOUND_OUT if response.get(key) is not None}
    if found:
        reply["response"] = found
    return {**reply, "verbatim": True} if b"{{" in json_compact(reply) else reply


def _with_usage(response: Mapping[str, Any], **end: Any) -> dict[str, Any]:
    return end if response.get("usage") is None else {**end, "usage": response["usage"]}


_ENDS: Mapping[str, Any] = {
    "completed": _with_usage,
    "incomplete": lambda response: _with_usage(response, incomplete=response["incomplete_details"]["reason"]),
    "failed": lambda response: {"failed": response["error"]},
}


def _as_script(item: Item) -> Item:
    kind = item.get("type", "message")
    if kind == "message":
        return {"phase": None, **item}
    return {"encrypted_content": None, **item} if kind == "reasoning" and not item.get("content") else item
