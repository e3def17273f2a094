"""What every stream must be like: the 59 event types with their exact keys, each item's grammar, the invariants.

Sources: streaming.md S5-S9 (rules and orders), S16 (types).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from mockserver.wire.responses.events import Event

_ITEM = "item_id output_index"
_PART = "content_index item_id output_index"
_SUMMARY = "item_id output_index summary_index"
_COMMAND = "command_index output_index"

# type → its keys besides `type` and `sequence_number`; a question mark: not in every stream (Spec: S6, S16)
KEYS: Mapping[str, str] = {
    "response.audio.delta": "delta",
    "response.audio.done": "",
    "response.audio.transcript.delta": "delta",
    "response.audio.transcript.done": "",
    "response.code_interpreter_call_code.delta": f"delta {_ITEM} obfuscation?",
    "response.code_interpreter_call_code.done": f"code {_ITEM}",
    "response.code_interpreter_call.completed": _ITEM,
    "response.code_interpreter_call.in_progress": _ITEM,
    "response.code_interpreter_call.interpreting": _ITEM,
    "response.compaction.compacting": _ITEM,
    "response.completed": "response",
    "response.content_part.added": f"{_PART} part",
    "response.content_part.done": f"{_PART} part",
    "response.created": "response",
    "error": "error",
    "response.file_search_call.completed": _ITEM,
    "response.file_search_call.in_progress": _ITEM,
    "response.file_search_call.searching": _ITEM,
    "response.function_call_arguments.delta": f"delta {_ITEM} obfuscation?",
    "response.function_call_arguments.done": f"arguments {_ITEM}",
    "response.shell_call_command.added": f"command {_COMMAND}",
    "response.shell_call_command.delta": f"delta {_COMMAND} obfuscation?",
    "response.shell_call_command.done": f"command {_COMMAND}",
    "response.shell_call_output_content.delta": f"command_index delta {_ITEM}",
    "response.shell_call_output_content.done": f"command_index {_ITEM} output",
    "response.in_progress": "response",
    "response.failed": "response",
    "response.incomplete": "response",
    "response.output_item.added": "item output_index",
    "response.output_item.done": "item output_index",
    "response.reasoning_summary_part.added": f"{_SUMMARY} part",
    "response.reasoning_summary_part.done": f"{_SUMMARY} part",
    "response.reasoning_summary_text.delta": f"delta {_SUMMARY} obfuscation?",
    "response.reasoning_summary_text.done": f"{_SUMMARY} text",
    "response.reasoning_text.delta": f"delta {_PART}",
    "response.reasoning_text.done": f"{_PART} text",
    "response.refusal.delta": f"delta {_PART}",
    "response.refusal.done": f"{_PART} refusal",
    "response.output_text.delta": f"delta {_PART} logprobs obfuscation?",
    "response.output_text.done": f"{_PART} logprobs text",
    "response.web_search_call.completed": _ITEM,
    "response.web_search_call.in_progress": _ITEM,
    "response.web_search_call.searching": _ITEM,
    "response.image_generation_call.completed": _ITEM,
    "response.image_generation_call.generating": _ITEM,
    "response.image_generation_call.in_progress": _ITEM,
    "response.image_generation_call.partial_image": (
        f"background? {_ITEM} output_format? partial_image_b64 partial_image_index quality? size?"
    ),
    "response.mcp_call_arguments.delta": f"delta {_ITEM} obfuscation?",
    "response.mcp_call_arguments.done": f"arguments {_ITEM}",
    "response.mcp_call.completed": _ITEM,
    "response.mcp_call.failed": _ITEM,
    "response.mcp_call.in_progress": _ITEM,
    "response.mcp_list_tools.completed": _ITEM,
    "response.mcp_list_tools.failed": _ITEM,
    "response.mcp_list_tools.in_progress": _ITEM,
    "response.output_text.annotation.added": f"annotation annotation_index {_PART}",
    "response.queued": "response",
    "response.custom_tool_call_input.delta": f"delta {_ITEM}",
    "response.custom_tool_call_input.done": f"input {_ITEM}",
}

_TEXT = (
    "content_part.added (output_text.delta (output_text.annotation.added )*)*(output_text.annotation.added )*"
    "output_text.done content_part.done "
)
_REFUSAL = "content_part.added (refusal.delta )*refusal.done content_part.done "
_AUDIO = "((audio.delta )*audio.done )?((audio.transcript.delta )*audio.transcript.done )?"
_SUMMARIES = (
    "(reasoning_summary_part.added (reasoning_summary_text.delta )*reasoning_summary_text.done "
    "reasoning_summary_part.done )*"
)
_THOUGHTS = "(content_part.added (reasoning_text.delta )*reasoning_text.done content_part.done )*"

# hosted calls whose `.completed` event says that they did not fail
COMPLETED_UNLESS_FAILED = frozenset(("web_search_call", "file_search_call", "code_interpreter_call"))

# item type → what stands between its added and its done event (Spec: S8); a type that is not here has nothing
GRAMMAR: Mapping[str, str] = {
    "message": f"(({_TEXT})|({_REFUSAL}))*{_AUDIO}",
    "reasoning": _SUMMARIES + _THOUGHTS,
    "function_call": "(function_call_arguments.delta )*function_call_arguments.done ",
    "custom_tool_call": "(custom_tool_call_input.delta )*custom_tool_call_input.done ",
    "web_search_call": "web_search_call.in_progress web_search_call.searching (web_search_call.completed )?",
    "file_search_call": "file_search_call.in_progress file_search_call.searching (file_search_call.completed )?",
    "code_interpreter_call": (
        "code_interpreter_call.in_progress (code_interpreter_call_code.delta )*code_interpreter_call_code.done "
        "code_interpreter_call.interpreting (code_interpreter_call.completed )?"
    ),
    "image_generation_call": (
        "image_generation_call.in_progress image_generation_call.generating "
        "(image_generation_call.partial_image )*(image_generation_call.completed )?"
    ),
    "mcp_list_tools": "mcp_list_tools.in_progress mcp_list_tools.(completed|failed) ",
    "mcp_call": ("mcp_call.in_progress mcp_call_arguments.delta mcp_call_arguments.done mcp_call.(completed|failed) "),
    "compaction": "(compaction.compacting )*",
    "shell_call": "(shell_call_command.added (shell_call_command.delta )*shell_call_command.done )*",
    "shell_call_output": "((shell_call_output_content.delta )?shell_call_output_content.done )*",
}
TERMINAL = frozenset({"response.completed", "response.failed", "response.incomplete"})


def check_stream(stream: list[Event]) -> None:
    """Assert all that holds for every stream. Spec: S5, S6, S7, S9."""
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    for event in stream:
        check_keys(event)
    types = [event["type"] for event in stream]
    opening = ["response.created", "response.queued", "response.in_progress"]
    assert [type for type in types if type in opening] == [type for type in opening if type in types]
    assert types[0] == opening[0]
    assert [at for at, type in enumerate(types) if type in TERMINAL] == [len(types) - 1]
    assert len({event["response"]["id"] for event in stream if "response" in event}) == 1
    _check_items(stream)


def check_keys(event: Event) -> None:
    """Assert that an event has exactly its keys, `type` first and the others in alphabetical order. Spec: S7, S16."""
    wanted = KEYS[event["type"]].split()
    needed = {key for key in wanted if not key.endswith("?")} | {"sequence_number"}
    keys = list(event)
    assert keys[0] == "type"
    assert keys[1:] == sorted(keys[1:]), event["type"]
    assert needed <= set(keys[1:]) <= needed | {key.rstrip("?") for key in wanted}, (event["type"], keys)
    if "obfuscation" in event:
        assert (len(event["delta"]) + len(event["obfuscation"])) % 16 == 0


def _check_items(stream: list[Event]) -> None:
    """Assert that items come one after the other, each by its grammar, and end up as the terminal response says."""
    added: dict[int, dict[str, Any]] = {}
    done: dict[int, dict[str, Any]] = {}
    between: dict[int, list[Event]] = defaultdict(list)
    begun: list[int] = []
    for event in stream:
        match event["type"]:
            case "response.output_item.added":
                assert event["output_index"] == len(added)
                kinds = {added[index]["type"] for index in begun} | {event["item"]["type"]}
                assert not begun or kinds == {"mcp_list_tools"}, "items overlap"
                added[event["output_index"]] = event["item"]
                begun.append(event["output_index"])
            case "response.output_item.done":
                done[event["output_index"]] = event["item"]
                begun.remove(event["output_index"])
            case type if type != "error" and "response" not in event:
                index = event.get("output_index", begun[0])
                assert index in begun
                assert event.get("item_id", added[index]["id"]) == added[index]["id"]
                between[index].append(event)
    assert not begun
    output = stream[-1]["response"]["output"]
    assert [done[index] for index in sorted(done)] == output
    for index, item in added.items():
        _check_item(item, between[index], done[index])


def _check_item(added: dict[str, Any], events: list[Event], done: dict[str, Any]) -> None:
    assert [added.get(key) for key in ("id", "type", "call_id")] == [done.get(key) for key in ("id", "type", "call_id")]
    told = "".join(event["type"].removeprefix("response.") + " " for event in events)
    assert re.fullmatch(GRAMMAR.get(done["type"], ""), told), (done["type"], told)
    if done["type"] in COMPLETED_UNLESS_FAILED:
        assert (f"{done['type']}.completed " in told) == (done["status"] != "failed"), (done["status"], told)
    _check_deltas(events)


def _check_deltas(events: list[Event]) -> None:
    """Assert that the deltas of a text add up to what its done event says."""
    texts: dict[tuple[Any, ...], str] = defaultdict(str)
    for event in events:
        family, _, phase = event["type"].rpartition(".")
        place = (family, *(event.get(key) for key in ("content_index", "summary_index", "command_index")))
        if phase == "delta" and isinstance(event["delta"], str):
            texts[place] += event["delta"]
        elif phase == "done":
            whole = [event[key] for key in _WHOLE if isinstance(event.get(key), str)]
            if whole:
                assert texts[place] == whole[0]


_WHOLE = ("text", "refusal", "arguments", "input", "code", "command")
