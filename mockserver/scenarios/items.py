"""Scripted output items: short forms are expanded, defaults are filled in. Shapes: `item_shapes`.

The turn fills in ids, statuses and call ids later. An item's cues (what its stream shows beyond the item) are written
beside its members and never stored with it. Spec: I2.
"""

# What must stay true: what is filled in here depends on the script and the prompt alone. Ids and statuses
# depend on the turn, so they are filled in there.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from mockserver.model.prompt import Item, Prompt
from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.responses.resources import text_part

# What an item's stream shows beyond the item; which types can show it is in `item_shapes`. Spec: S8, S16, F12.
CUES = ("audio_chunks", "audio_transcript", "compacting", "partial_images")
# By type: the members a script may leave out although clients insist on them, and what they are then.
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "additional_tools": {"role": "developer"},
    "apply_patch_call_output": {"status": "completed"},
    "custom_tool_call": {"input": ""},
    "mcp_approval_request": {"server_label": "mcp"},
    "mcp_call": {"server_label": "mcp"},
    "mcp_list_tools": {"server_label": "mcp", "tools": []},
    "program": {"fingerprint": ""},
    "tool_search_call": {"arguments": {}},
    "web_search_call": {"action": {"type": "search", "queries": [], "query": ""}},
}
_ARGUMENTS = ("function_call", "mcp_call", "mcp_approval_request")


def cues(items: Iterable[Item]) -> tuple[list[Item], dict[str, dict[str, Any]]]:
    """Separate the cues from the items; returns both, the cues by the item's index as text."""
    plain, by_index = [], {}
    for index, item in enumerate(items):
        shown_only = {key: item[key] for key in CUES if item.get(key) is not None}
        if shown_only:
            by_index[str(index)] = shown_only
        if not item.keys().isdisjoint(CUES):
            item = {key: value for key, value in item.items() if key not in CUES}
        plain.append(item)
    return plain, by_index


def output_items(items: list[Item], prompt: Prompt, phase: str | None) -> list[Item]:
    """Fill in checked items: arguments as text, texts as parts, `phase` where the model has phases."""
    shown = phase or ("final_answer" if prompt.model.phase else None)
    return [expand(item, shown) for item in items]


def expand(item: Item, phase: str | None = None) -> Item:
    """A checked item in the wire's shape: arguments as text, texts as parts; `phase` is that of messages without."""
    return _FILLED.get(item.get("type", "message"), _call)(item, phase)


def _message(item: Item, phase: str | None) -> Item:
    if item.get("role", "assistant") != "assistant":
        return {"type": "message", **item}
    content = item.get("text") if item.get("content") is None else item["content"]
    parts = [content] if isinstance(content, str) else content or []
    message = {key: value for key, value in item.items() if key != "text"}
    message |= {"type": "message", "role": "assistant", "content": [_part(part, "output_text") for part in parts]}
    if "phase" not in item and phase:
        message["phase"] = phase
    return message


def _part(part: Any, kind: str) -> Item:
    if isinstance(part, str):
        return text_part(part) if kind == "output_text" else {"type": kind, "text": part}
    return {**text_part(""), **part} if kind == part.get("type", kind) == "output_text" else {"type": kind, **part}


def _reasoning(item: Item, phase: str | None) -> Item:
    summary = item.get("summary") or []
    parts = [summary] if isinstance(summary, str) else summary
    reasoning = {**item, "summary": [_part(part, "summary_text") for part in parts]}
    if item.get("content"):
        reasoning["content"] = [_part(part, "reasoning_text") for part in item["content"]]
    return reasoning


def _call(item: Item, phase: str | None) -> Item:
    kind = item["type"]
    if kind in _DEFAULTS:
        defaults = _DEFAULTS[kind]
        item = {**defaults, **{key: value for key, value in item.items() if value is not None or key not in defaults}}
    if item.get("error") and kind in _FAILING and item.get("status") is None:
        item = {**item, "status": "failed"}
    if kind not in _ARGUMENTS:
        return item
    arguments = {} if item.get("arguments") is None else item["arguments"]
    return {**item, "arguments": arguments if isinstance(arguments, str) else json_compact(arguments).decode()}


_FAILING = ("image_generation_call", "mcp_call")
_FILLED = {"message": _message, "reasoning": _reasoning}
