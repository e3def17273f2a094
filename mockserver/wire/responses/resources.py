"""Objects as they go out: items in resource form, conversations, list envelopes, delete markers.

Key order is the service's: `id`, `type`, `status`, then alphabetical (Spec: W7). What a caller must ask for by
`include` is always stored and filtered on the way out by `present`.
"""

# What must stay true:
# * Only keys that the wire names are put in order. What a caller made up (a tool's arguments, a schema, metadata)
#   keeps the order it was sent in, since the model reads it in that order and tokens are counted by it.
# * An item is complete when it is stored. `include` never adds anything later, it only stops things from being
#   left out: a GET may ask for more than the POST did, and finds it.
# * Ids are taken in the order of the items, and within an item of the model's: its call's, its container's, its
#   own.

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import chain
from operator import itemgetter, methodcaller
from typing import Any, NamedTuple

from mockserver.wire.catalog import Model
from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.responses.ids import IdGenerator
from mockserver.wire.responses.tool_echo import redact_mcp_tool

Item = dict[str, Any]

# Items without a status on the wire (Spec: W7, endpoints §5.5).
STATUSLESS = frozenset(
    {
        "reasoning",
        "compaction",
        "mcp_list_tools",
        "mcp_approval_request",
        "mcp_approval_response",
        "program",
        "additional_tools",
        "configuration_update",
    }
)

# Keys that a resource carries although nobody set them (Spec: O8, I8).
ALWAYS_PRESENT: dict[str, dict[str, Any]] = {
    "reasoning": {"content": [], "summary": []},
    "file_search_call": {"queries": [], "results": None},
    "code_interpreter_call": {"code": None, "outputs": None},
    "image_generation_call": {"result": None},
    "mcp_list_tools": {"tools": []},
    "shell_call": {"environment": None},
    "shell_call_output": {"max_output_length": None},
    "tool_search_call": {"call_id": None, "execution": "server"},
    "tool_search_output": {"call_id": None, "execution": "server"},
    "mcp_call": {"approval_request_id": None, "error": None, "output": None},
    "computer_call": {"pending_safety_checks": []},
}

_HEAD = ("id", "type", "status")


def order_keys(item: Item) -> Item:
    """An item in the wire's key order."""
    keys = [key for key in _HEAD if key in item]
    keys += sorted(key for key in item if key not in _HEAD)
    return {key: item[key] for key in keys}


def _order_part(part: Any) -> Any:
    if not isinstance(part, dict):
        return part
    return {key: part[key] for key in sorted(part, key=lambda key: (key != "type", key))}


def _alphabetical(value: Any) -> Any:
    """An object, or each object of a list, in the wire's key order; what lies deeper stays as it is."""
    return [_order_part(one) for one in value] if isinstance(value, list) else _order_part(value)


def _shell_action(action: dict[str, Any]) -> dict[str, Any]:
    return _order_part({"max_output_length": None, "timeout_ms": None, **action})


def _shell_output(chunks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [_order_part({**chunk, "outcome": _order_part(chunk["outcome"])}) for chunk in chunks]


def _computer_action(action: dict[str, Any]) -> dict[str, Any]:
    return _order_part({"keys": None, **action} if action["type"] == "double_click" else action)


def _tool_content(output: Any) -> Any:
    return output if isinstance(output, str) else [_part(part) for part in output]


def _tools(tools: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The tools that an item brings: without secrets, functions with the keys that are never left out."""
    return [_tool(tool) for tool in tools]


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    match tool["type"]:
        case "mcp":
            return redact_mcp_tool(tool)
        case "function":
            return {**tool, "parameters": tool.get("parameters"), "strict": tool.get("strict")}
        case _:
            return tool


# item type → how members are filled in and ordered; only what the wire names, never what a caller made up (Spec: W7)
_MEMBERS: dict[str, dict[str, Callable[[Any], Any]]] = {
    "additional_tools": {"tools": _tools},
    "apply_patch_call": {"operation": _alphabetical},
    "code_interpreter_call": {"outputs": _alphabetical},
    "computer_call": {
        "action": _computer_action,
        "actions": lambda actions: [_computer_action(one) for one in actions],
        "pending_safety_checks": _alphabetical,
    },
    "computer_call_output": {"acknowledged_safety_checks": _alphabetical, "output": _alphabetical},
    "custom_tool_call_output": {"output": _tool_content},
    "file_search_call": {"results": _alphabetical},
    "function_call_output": {"output": _tool_content},
    "local_shell_call": {"action": _alphabetical},
    "mcp_list_tools": {"tools": _alphabetical},
    "reasoning": {"content": _alphabetical, "summary": _alphabetical},
    "shell_call": {"action": _shell_action, "environment": _alphabetical},
    "shell_call_output": {"output": _shell_output},
    "tool_search_output": {"tools": _tools},
    "web_search_call": {"action": _alphabetical},
}


def assistant_message(model: Model, *parts: Item, phase: str | None = None) -> Item:
    """A message as a model says it; models that mark phases mark it as the final answer. Spec: R12.4."""
    item: Item = {"type": "message", "role": "assistant", "content": list(parts)}
    if phase or model.phase:
        item["phase"] = phase or "final_answer"
    return item


def text_part(text: str) -> dict[str, Any]:
    """An output_text part as the wire spells it out."""
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _content(content: Any, role: str) -> list[Any]:
    """Return typed parts for what a message may carry. Spec: F8.3, F8.4, F8.5."""
    if isinstance(content, str):
        return [text_part(content)] if role == "assistant" else [{"type": "input_text", "text": content}]
    if len(content) == 1 and content[0]["type"] == "output_text":  # as nearly every answer
        return [_output_text(content[0])]
    return [_part(part) for part in content]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    match part["type"]:
        case "output_text":
            return _output_text(part)
        case "input_image":
            return _order_part({**part, "detail": part.get("detail") or "auto"})
        case _:
            return _order_part(part)


def _output_text(part: dict[str, Any]) -> dict[str, Any]:
    annotations = part.get("annotations")
    known = {
        "type": "output_text",
        "annotations": [_order_part(one) for one in annotations] if annotations else [],
        "logprobs": part.get("logprobs") or [],
        "text": part["text"],
    }
    if part.keys() <= known.keys():
        return known
    return _order_part({**{key: value for key, value in part.items() if value is not None}, **known})


def place_of_citation(annotation: dict[str, Any]) -> int:
    """After how many characters of its text an annotation is told: its end, or its index. Spec: S8 a."""
    return int(annotation.get("end_index", annotation.get("index", 0)))


def with_type(item: Item) -> Item:
    """An input item with its `type` written out. Spec: F8.2."""
    if item.get("type"):
        return item
    return {**item, "type": "message" if "role" in item else "item_reference"}


def input_items(value: str | Iterable[Item]) -> list[Item]:
    """The items of an `input`; text is one user message. Spec: F8.1."""
    if isinstance(value, str):
        return [{"type": "message", "role": "user", "content": value}]
    return [with_type(item) for item in value]


_NO_MEMBERS: dict[str, Callable[[Any], Any]] = {}


def fill_items(items: Iterable[Item], id_generator: IdGenerator) -> tuple[list[Item], IdGenerator]:
    """Items as they are stored, and the source of the ids after theirs: only what brings no id gets one."""
    kept: list[Item] = []
    number = 0
    for item in items:
        store = _fill_message if item["type"] == "message" else fill_item
        kept.append(store(item, id_generator, number))
        number += not item.get("id")
    return kept, id_generator.skip(number)


def fill_item(item: Item, id_generator: IdGenerator, number: int = 0) -> Item:
    """An item as it is stored and listed: id, status and typed parts filled in. Spec: F8, R2.17, R3.2.

    An item without an id gets the source's id of that number.
    """
    kind = item["type"]
    if kind == "message":
        return _fill_message(item, id_generator, number)
    filled = {**ALWAYS_PRESENT.get(kind, {}), **{key: value for key, value in item.items() if value is not None}}
    filled["id"] = item.get("id") or id_generator.item(kind, number)
    for key, complete in _MEMBERS.get(kind, _NO_MEMBERS).items():
        if filled.get(key):
            filled[key] = complete(filled[key])
    if kind not in STATUSLESS:
        filled["status"] = item.get("status") or "completed"
    else:
        filled.pop("status", None)
    return order_keys(filled)


def _fill_message(item: Item, id_generator: IdGenerator, number: int) -> Item:
    # written out in the wire's order, so that the most frequent items need no sorting
    message = {
        "id": item.get("id") or id_generator.new("msg", number),
        "type": "message",
        "status": item.get("status") or "completed",
        "content": _content(item["content"], item["role"]),
    }
    if item.get("phase"):
        message["phase"] = item["phase"]
    message["role"] = item["role"]
    return message


def output_items(drafts: Iterable[Item], id_generator: IdGenerator) -> tuple[list[Item], IdGenerator]:
    """A model's drafts as the items of `Response.output`, and the source of the ids after theirs.

    Outputs answer the call that stands before them.
    """
    items: list[Item] = []
    number = 0
    for draft in drafts:
        item, number = output_item(draft, id_generator, number, items)
        items.append(item)
    return items, id_generator.skip(number)


# output type → the type of call that it answers
_ANSWERED = {
    "apply_patch_call_output": "apply_patch_call",
    "computer_call_output": "computer_call",
    "custom_tool_call_output": "custom_tool_call",
    "function_call_output": "function_call",
    "program_output": "program",
    "shell_call_output": "shell_call",
}


def _last_call(items: Sequence[Item], kind: str) -> str | None:
    return next((item["call_id"] for item in reversed(items) if item["type"] == kind), None)


def output_item(
    draft: Item, id_generator: IdGenerator, number: int = 0, before: Sequence[Item] = ()
) -> tuple[Item, int]:
    """A model's draft as an item of `Response.output`: ids, call ids and status filled in when absent.

    It takes ids from `number` on, in this order: its call's, its container's, its own; returned is the number after
    those. `before` is the output so far.
    """
    kind = draft["type"]
    if kind == "message":
        item = _fill_message(draft if "role" in draft else {"role": "assistant", **draft}, id_generator, number)
        return item, number + (not draft.get("id"))
    for key, answered in _call_ids(draft):
        if not draft.get(key):
            call = _last_call(before, answered) if answered else None
            draft = {**draft, key: call or id_generator.call(number)}
            number += call is None
    if kind == "code_interpreter_call" and not draft.get("container_id"):
        draft = {**draft, "container_id": id_generator.container(number)}
        number += 1
    if kind == "shell_call" and (draft.get("environment") or {}) == {"type": "container_reference"}:
        draft = {**draft, "environment": {**draft["environment"], "container_id": id_generator.container(number)}}
        number += 1
    item = fill_item(draft, id_generator, number)
    if kind in STATUSLESS or None in draft.values():
        item = _keep_written(draft, item)
    return item, number + (not draft.get("id"))


def _keep_written(draft: Item, item: Item) -> Item:
    """An item of the output with what its draft says although most items lack it: nulls, a status.

    A recording comes back as it was: reasoning that brings its id has no more members than were written (Spec: W7).
    """
    kept = {key: value for key, value in draft.items() if key not in item and key not in _FILLED_LATER}
    if draft["type"] == "reasoning" and draft.get("id") and draft.get("content") is None:
        item = {key: value for key, value in item.items() if key != "content"}
        kept.pop("content", None)
    if draft.get("status") is None:
        kept.pop("status", None)
    return order_keys({**item, **kept}) if kept else item


_FILLED_LATER = ("encrypted_content", "phase")  # null stands for "none" here, and the wire has no such null


def _call_ids(draft: Item) -> Iterator[tuple[str, str | None]]:
    """Yield the key of an item that holds a call id, with the type of the call that it answers, if it is an answer."""
    kind = draft["type"]
    if kind in _ANSWERED:
        yield "call_id", _ANSWERED[kind]
    elif kind == "local_shell_call_output":
        yield "id", "local_shell_call"
    elif kind in _NEEDS_CALL_ID or (kind == "tool_search_call" and draft.get("execution") == "client"):
        yield "call_id", None


_NEEDS_CALL_ID = frozenset(
    {
        "apply_patch_call",
        "computer_call",
        "custom_tool_call",
        "function_call",
        "local_shell_call",
        "program",
        "shell_call",
    }
)


def _without(item: Item, *keys: str) -> Item:
    return {key: value for key, value in item.items() if key not in keys}


def _message_without_logprobs(item: Item) -> Item:
    for part in item["content"]:
        if part.get("logprobs"):
            return {
                **item,
                "content": [{**one, "logprobs": []} if "logprobs" in one else one for one in item["content"]],
            }
    return item


def _message_without_image_urls(item: Item) -> Item:
    for part in item["content"]:
        if part["type"] == "input_image":
            return {**item, "content": [_without_image_url(one) for one in item["content"]]}
    return item


def _without_image_url(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "image_url": None} if part["type"] == "input_image" else part


def _without_sources(item: Item) -> Item:
    action = item.get("action")
    return {**item, "action": _without(action, "sources")} if isinstance(action, dict) else item


def _without_screenshot(item: Item) -> Item:
    return {**item, "output": {**item["output"], "image_url": None}}


# item type → include values about it, and what an item looks like without each (Spec: F3, I8)
_FILTERS: dict[str, tuple[tuple[str, Callable[[Item], Item]], ...]] = {
    "reasoning": (("reasoning.encrypted_content", lambda item: _without(item, "encrypted_content")),),
    "message": (
        ("message.output_text.logprobs", _message_without_logprobs),
        ("message.input_image.image_url", _message_without_image_urls),
    ),
    "file_search_call": (("file_search_call.results", lambda item: {**item, "results": None}),),
    "web_search_call": (
        ("web_search_call.results", lambda item: _without(item, "results")),
        ("web_search_call.action.sources", _without_sources),
    ),
    "code_interpreter_call": (("code_interpreter_call.outputs", lambda item: {**item, "outputs": None}),),
    "computer_call_output": (("computer_call_output.output.image_url", _without_screenshot),),
}


def present(item: Item, include: Collection[str]) -> Item:
    """An item as a caller sees it who asked for `include`. Spec: F3."""
    if item["type"] == "message" and len(item["content"]) == 1 and _is_bare(item["content"][0]):  # as nearly all
        return item
    for name, strip in _FILTERS.get(item["type"], ()):
        if name not in include:
            item = strip(item)
    return item


def _is_bare(part: dict[str, Any]) -> bool:
    """Whether a part of a message holds nothing that a caller has to ask for."""
    return part["type"] != "input_image" and not part.get("logprobs")


_OF_A_TEXT = frozenset(("type", "text", "annotations", "logprobs"))


def without_bare_texts(items: list[Item]) -> list[Item]:
    """Those of the items that are more than a message of one text: they may have numbers, or what must be asked for."""
    if _MESSAGE.issuperset(map(_type_of, items)):  # most lists have no others, and are looked at in a few steps
        contents = [*map(_content_of, items)]
        parts = [*chain.from_iterable(contents)]
        if len(parts) == len(contents) and all(contents) and _hold_texts_alone(parts):
            return []
    return [item for item in items if not is_bare_text(item)]


def is_bare_text(item: Item) -> bool:
    """Whether an item is a message of one text and nothing else: no numbers, nothing that a caller has to ask for."""
    return item["type"] == "message" and len(item["content"]) == 1 and _hold_texts_alone(item["content"])


def _hold_texts_alone(parts: list[Any]) -> bool:
    if not _OF_A_TEXT.issuperset(chain.from_iterable(parts)):
        return False
    return not (any(map(_annotations_of, parts)) or any(map(_logprobs_of, parts)))


_MESSAGE = frozenset(("message",))
_type_of, _content_of = itemgetter("type"), itemgetter("content")
_annotations_of, _logprobs_of = methodcaller("get", "annotations"), methodcaller("get", "logprobs")


def conversation(identifier: str, created_at: int, metadata: dict[str, str]) -> dict[str, Any]:
    """A Conversation object. Spec: W7, endpoints §4."""
    return {"id": identifier, "object": "conversation", "created_at": created_at, "metadata": metadata}


def deletion_marker(identifier: str, kind: str) -> dict[str, Any]:
    """A delete marker. Spec: P3, P12."""
    return {"id": identifier, "object": kind, "deleted": True}


def page(items: list[Any], *, has_more: bool) -> dict[str, Any]:
    """A list envelope. Spec: P25."""
    first, last = (items[0]["id"], items[-1]["id"]) if items else (None, None)
    return {"object": "list", "data": items, "first_id": first, "last_id": last, "has_more": has_more}


class Listing(NamedTuple):
    """A list envelope, and the part of it that may hold numbers with an exponent (see `json_body`)."""

    page: dict[str, Any]
    numbers: list[Item]


def model(name: str, entry: Model) -> dict[str, Any]:
    """A Model object. Spec: P18."""
    made = {"id": name, "object": "model", "created": entry.created, "owned_by": entry.owned_by}
    return {**made, "shutdown_date": entry.shutdown_date}


# --- Items as text ----------------------------------------------------------------------------------------------------

_UNREADABLE = ("input_image", "input_file", "computer_screenshot")
_TEXT_KEYS = ("content", "output", "arguments", "input", "summary", "text", "result", "code", "queries", "action")


def item_text(item: Item) -> str:
    """The readable text of an item: a message's text, a call's arguments, a tool's output."""
    if item.get("type") == "message":
        content = item.get("content")
        if isinstance(content, list) and len(content) == 1 and isinstance(content[0].get("text"), str):  # as most are
            return str(content[0]["text"])
        return _text(content)
    return "\n".join(text for key in _TEXT_KEYS if (text := _text(item.get(key))))


def _text(value: Any) -> str:
    if isinstance(value, str) or value is None:
        return value or ""
    if isinstance(value, list):
        return "".join([_part_text(part) if isinstance(part, dict) else _text(part) for part in value])
    if isinstance(value, dict):
        return _part_text(value)
    return str(value)


def _part_text(part: Item) -> str:
    for key in ("text", "refusal"):
        text = part.get(key)
        if isinstance(text, str):
            return text
    return "" if part.get("type") in _UNREADABLE else json_compact(part).decode()
