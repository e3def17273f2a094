"""Scripted output items: which members a type has, what may be written shorter, what is filled in.

Ids, statuses and call ids that a script leaves out are filled in later, with the turn. What an item's stream shows
beyond the item is written beside its members (`CUES`) and never stored with it. Spec: I2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from difflib import get_close_matches
from typing import Any

from mockserver.model.conditions import known_keys, shown
from mockserver.model.prompt import Item, Prompt
from mockserver.model.seeded import text_part
from mockserver.wire.encoding import json_compact
from mockserver.wire.errors import MockError

# By type: the members a script must give, then those it may give besides id, type, status and created_by.
_MEMBERS: Mapping[str, tuple[str, str]] = {
    "message": ("", "content text role phase audio_chunks audio_transcript"),
    "file_search_call": ("", "queries results"),
    "function_call": ("name", "arguments call_id namespace caller async"),
    "function_call_output": ("output", "call_id caller name namespace"),
    "web_search_call": ("", "action"),
    "computer_call": ("", "call_id pending_safety_checks action actions"),
    "computer_call_output": ("output", "call_id acknowledged_safety_checks"),
    "reasoning": ("", "summary content encrypted_content"),
    "program": ("code", "call_id fingerprint"),
    "program_output": ("result", "call_id"),
    "tool_search_call": ("", "arguments execution call_id"),
    "tool_search_output": ("tools", "execution call_id"),
    "additional_tools": ("tools", "role"),
    "compaction": ("", "encrypted_content compacting"),
    "image_generation_call": (
        "",
        "result action background error output_format quality revised_prompt size svg_usage partial_images",
    ),
    "code_interpreter_call": ("", "container_id code outputs"),
    "local_shell_call": ("action", "call_id"),
    "local_shell_call_output": ("output", ""),
    "shell_call": ("action", "call_id environment caller"),
    "shell_call_output": ("output", "call_id max_output_length caller"),
    "apply_patch_call": ("operation", "call_id caller"),
    "apply_patch_call_output": ("", "call_id output caller"),
    "mcp_call": ("name", "arguments server_label approval_request_id error output"),
    "mcp_list_tools": ("", "tools server_label error"),
    "mcp_approval_request": ("name", "arguments server_label"),
    "mcp_approval_response": ("approval_request_id approve", "reason"),
    "custom_tool_call": ("name", "input call_id namespace caller async"),
    "custom_tool_call_output": ("output", "call_id caller"),
}
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
_ALL = ("id", "type", "status", "created_by")
_ARGUMENTS = ("function_call", "mcp_call", "mcp_approval_request")
_TEXTS = ("id", "name", "call_id", "input", "namespace", "text", "code", "server_label", "status")
_PARTS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "output_text": ("text", ("annotations", "logprobs")),
    "refusal": ("refusal", ()),
    "summary_text": ("text", ()),
    "reasoning_text": ("text", ()),
}


def check_items(value: Any, where: str) -> None:
    """Raise MockError for the first mistake in a list of output items."""
    if not isinstance(value, list):
        raise MockError(f"'{where}' must be a list of output items, not {shown(value)}.", param=where)
    for number, item in enumerate(value):
        _check_item(item, f"{where}[{number}]")


def _check_item(item: Any, where: str) -> None:
    if not isinstance(item, dict):
        raise MockError(f"'{where}' must be an object, not {shown(item)}.", param=where)
    kind = item.get("type", "message")
    if kind not in _MEMBERS:
        near = get_close_matches(str(kind), _MEMBERS, n=1)
        hint = f" Did you mean '{near[0]}'?" if near else ""
        raise MockError(f"Unknown output item type {shown(kind)}.{hint}", param=f"{where}.type")
    required, optional = (words.split() for words in _MEMBERS[kind])
    known_keys(item, (*_ALL, *required, *optional), where)
    for key in required:
        if key not in item:
            raise MockError(f"'{where}' has no {key}.", param=f"{where}.{key}")
    for key in _TEXTS:
        if key in item and not isinstance(item[key], str | None):
            raise MockError(f"'{where}.{key}' must be a text, not {shown(item[key])}.", param=f"{where}.{key}")
    for key in CUES.keys() & item.keys():
        CUES[key](item[key], f"{where}.{key}")
    _CHECKS.get(kind, _check_arguments)(item, where)


def _check_arguments(item: Item, where: str) -> None:
    value = item.get("arguments", "")
    if item.get("type") in _ARGUMENTS and not isinstance(value, str | dict):
        raise MockError(f"'{where}.arguments' must be an object or a text.", param=f"{where}.arguments")


def _check_message(item: Item, where: str) -> None:
    if ("text" in item) == ("content" in item):
        raise MockError(f"'{where}' must have either text or content.", param=where)
    if item.get("role", "assistant") != "assistant":
        raise MockError(f"'{where}.role' must be assistant in an output item.", param=f"{where}.role")
    if item.get("phase") not in (None, "commentary", "final_answer"):
        raise MockError(f"'{where}.phase' must be commentary or final_answer.", param=f"{where}.phase")
    if not isinstance(item.get("content"), str):
        _check_parts(item.get("content", []), ("output_text", "refusal"), f"{where}.content")


def _check_reasoning(item: Item, where: str) -> None:
    if not isinstance(item.get("summary"), str):
        _check_parts(item.get("summary") or [], ("summary_text",), f"{where}.summary")
    _check_parts(item.get("content") or [], ("reasoning_text",), f"{where}.content")


def _check_parts(parts: Any, kinds: tuple[str, ...], where: str) -> None:
    if not isinstance(parts, list):
        raise MockError(f"'{where}' must be a list of parts, not {shown(parts)}.", param=where)
    for number, part in enumerate(parts):
        place = f"{where}[{number}]"
        if isinstance(part, str):
            continue
        kind = part.get("type") if isinstance(part, dict) else None
        if kind not in kinds:
            raise MockError(f"'{place}' must be a text or a part of type {' or '.join(kinds)}.", param=place)
        text, others = _PARTS[kind]
        known_keys(part, ("type", text, *others), place)
        if not isinstance(part.get(text), str):
            raise MockError(f"'{place}.{text}' must be a text.", param=f"{place}.{text}")


_CHECKS = {"message": _check_message, "reasoning": _check_reasoning}


def _check_texts(value: Any, where: str) -> None:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise MockError(f"'{where}' must be a list of texts in base64, not {shown(value)}.", param=where)


def _check_times(value: Any, where: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 1000:
        raise MockError(f"'{where}' must be a whole number from 0 to 1000, not {shown(value)}.", param=where)


def _check_words(value: Any, where: str) -> None:
    if not isinstance(value, str):
        raise MockError(f"'{where}' must be a text, not {shown(value)}.", param=where)


# What an item's stream shows beyond the item, and how it is judged (Spec: S16).
CUES: Mapping[str, Callable[[Any, str], None]] = {
    "audio_chunks": _check_texts,
    "audio_transcript": _check_words,
    "compacting": _check_times,
    "partial_images": _check_texts,
}


def cues(items: Iterable[Item]) -> tuple[list[Item], dict[str, dict[str, Any]]]:
    """Return items without their cues, and the cues by the item's index as text."""
    plain, found = [], {}
    for index, item in enumerate(items):
        shown_only = {key: item[key] for key in CUES if key in item}
        if shown_only:
            found[str(index)] = shown_only
            item = {key: value for key, value in item.items() if key not in CUES}
        plain.append(item)
    return plain, found


def output_items(items: list[Item], prompt: Prompt, phase: str | None) -> list[Item]:
    """Return checked items in the wire's shape: arguments as text, texts as parts, `phase` where the model has it."""
    return [_FILLED.get(item.get("type", "message"), _call)(item, prompt, phase) for item in items]


def _message(item: Item, prompt: Prompt, phase: str | None) -> Item:
    content = item.get("content", item.get("text"))
    parts = [content] if isinstance(content, str) else content or []
    made = {key: value for key, value in item.items() if key != "text"}
    made |= {"type": "message", "role": "assistant", "content": [_part(part, "output_text") for part in parts]}
    if "phase" not in item and (phase or prompt.model.phase):
        made["phase"] = phase or "final_answer"
    return made


def _part(part: Any, kind: str) -> Item:
    if isinstance(part, str):
        return text_part(part) if kind == "output_text" else {"type": kind, "text": part}
    return {**text_part(""), **part} if part["type"] == "output_text" else part


def _reasoning(item: Item, prompt: Prompt, phase: str | None) -> Item:
    summary = item.get("summary") or []
    parts = [summary] if isinstance(summary, str) else summary
    made = {**item, "summary": [_part(part, "summary_text") for part in parts]}
    if item.get("content"):
        made["content"] = [_part(part, "reasoning_text") for part in item["content"]]
    return made


def _call(item: Item, prompt: Prompt, phase: str | None) -> Item:
    kind = item["type"]
    if kind in _DEFAULTS:
        item = {**_DEFAULTS[kind], **item}
    if item.get("error") and kind in _FAILING:
        item = {"status": "failed", **item}
    if kind not in _ARGUMENTS:
        return item
    arguments = item.get("arguments", {})
    return {**item, "arguments": arguments if isinstance(arguments, str) else json_compact(arguments).decode()}


_FAILING = ("image_generation_call", "mcp_call")
_FILLED = {"message": _message, "reasoning": _reasoning}
