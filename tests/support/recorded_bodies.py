"""Bodies of responses as the newest client's types have them: any item, any status, any end.

The shapes are read from the types themselves, so a member that a new release adds is tried too. What the types leave
open and the specification does not (the prefix of an id, the characters of a name) stands in `_WORDS`.
"""

from __future__ import annotations

from itertools import count
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from hypothesis import strategies as st
from openai.types.responses import ResponseOutputItem
from pydantic import BaseModel

from mockserver.wire.responses.ids import PREFIXES
from tests.support.scripted_items import PNG, TOOL

Strategy = st.SearchStrategy[Any]

TEXTS = st.sampled_from(["", "a", "Grüße {{ turn }} 😀", "two\n\nlines", '{"city":"Paris"}'])
# Spec: W2, E27, F11. What a member with this name holds wherever it stands.
_WORDS: dict[str, Strategy] = {
    "name": st.sampled_from(["look", "get_weather"]),
    "namespace": st.just("tools"),
    "path": st.just("a.txt"),
    "arguments": st.sampled_from(["{}", '{"city":"Paris"}', '{"city":"Pa']),  # the last one was cut off
    "logprob": st.sampled_from([-0.00007493430894101039, -7.5e-05, -1.25, 0.0]),
    "result": st.sampled_from([PNG, "done"]),
    "encrypted_content": st.just("gAAAAABsealed"),
    "environment": st.none() | st.just({"type": "local"}),
    "tools": st.just([TOOL | {"strict": None}]),
    "input_schema": st.just({"type": "object"}),
}
_LISTED = {"name": "t", "input_schema": {"type": "object"}, "description": "d", "annotations": {"read_only": True}}
_NEVER: Strategy = st.nothing()
# Members of one type that the specification narrows: a status is there or not there (W7), reasoning is sealed or in the
# open (E29), searches of the service have no call id (I8), an image has one source (R2.17).
_BY_TYPE: dict[str, dict[str, Strategy]] = {
    "reasoning": {"content": st.sampled_from([[], [{"type": "reasoning_text", "text": "raw"}]]), "status": _NEVER},
    "code_interpreter_call": {"container_id": st.just("cntr_1")},
    "message": {"phase": st.sampled_from(["commentary", "final_answer"])},
    "tool_search_call": {"execution": st.just("server"), "call_id": st.none(), "arguments": st.just({"paths": ["a"]})},
    "tool_search_output": {"execution": st.just("server"), "call_id": st.none()},
    "additional_tools": {"role": st.just("developer")},
    "mcp_list_tools": {"tools": st.lists(st.just(_LISTED), max_size=2)},
    "output_text": {"logprobs": st.just([])},  # who does not ask for them does not get them (F3)
    "input_image": {"file_id": st.just("file-1"), "image_url": _NEVER, "prompt_cache_breakpoint": _NEVER},
    "input_file": {"file_id": st.just("file-1"), "prompt_cache_breakpoint": _NEVER}
    | dict.fromkeys(("file_data", "file_url", "filename"), _NEVER),
}
# Members that are always there, and what they are when nothing is known of them. Spec: O8, W7.
_ALWAYS: dict[str, dict[str, Any]] = {
    "code_interpreter_call": {"code": None, "outputs": None},
    "double_click": {"keys": None},
    "file_search_call": {"results": None},
    "image_generation_call": {"result": None},
    "input_image": {"detail": "auto", "file_id": "file-1"},
    "input_file": {"file_id": "file-1"},
    "mcp_call": {"approval_request_id": None, "error": None, "output": None},
    "output_text": {"logprobs": []},
    "shell_call": {"environment": None},
    "shell_call_output": {"max_output_length": None},
    "tool_search_call": {"call_id": None},
    "tool_search_output": {"call_id": None},
}
_WITHOUT_STATUS = ("reasoning", "compaction", "mcp_list_tools", "mcp_approval_request", "mcp_approval_response")
_WITHOUT_STATUS += ("program", "additional_tools")


def _is_model(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def values(kind: Any, name: str = "") -> Strategy:
    """Values of a type annotation that stands at a member `name`."""
    origin = get_origin(kind)
    if origin is Annotated:
        return values(get_args(kind)[0], name)
    if origin in (Union, UnionType):
        return st.one_of([values(one, name) for one in get_args(kind)])
    if origin is Literal:
        return st.sampled_from(get_args(kind))
    if origin is list:
        return st.lists(values(get_args(kind)[0], name), max_size=2)
    if origin is dict:
        return st.dictionaries(st.sampled_from(["a", "b"]), values(get_args(kind)[1], name), max_size=2)
    if _is_model(kind):
        return objects(kind)
    simple: dict[Any, Strategy] = {
        str: TEXTS,
        int: st.integers(0, 9),
        float: st.sampled_from([0.5, -1.25]),
        bool: st.booleans(),
        type(None): st.none(),
    }
    return simple.get(kind, st.just({"any": 1}))


@st.composite
def objects(draw: st.DrawFn, kind: type[BaseModel]) -> dict[str, Any]:
    """Objects of a model: its required members, and some of the others."""
    fields = {field.alias or name: field for name, field in kind.model_fields.items()}
    tags = get_args(fields["type"].annotation) if "type" in fields else ()
    tag = tags[0] if tags else ""
    narrowed = {**_WORDS, **_BY_TYPE.get(tag, {})}
    made: dict[str, Any] = {}
    for name, field in fields.items():
        strategy = narrowed.get(name)
        left_out = strategy is _NEVER or not (field.is_required() or draw(st.booleans()))
        if not left_out and not (name == "id" and tag in PREFIXES):
            made[name] = draw(values(field.annotation, name) if strategy is None else strategy)
    if tag in PREFIXES and tag not in _WITHOUT_STATUS and made.get("status") is None:
        made["status"] = "completed"
    return {**_ALWAYS.get(tag, {}), **made}


def _members(kind: Any) -> list[type[BaseModel]]:
    if _is_model(kind):
        return [kind]
    return [model for one in get_args(kind) for model in _members(one)]


ITEMS = {get_args(model.model_fields["type"].annotation)[0]: model for model in _members(ResponseOutputItem)}


@st.composite
def outputs(draw: st.DrawFn, kinds: frozenset[str] = frozenset(ITEMS)) -> list[dict[str, Any]]:
    """Outputs of a few items, each with an id of its own, and a call id where it has one."""
    numbers = count()
    made = []
    for kind in draw(st.lists(st.sampled_from(sorted(kinds)), max_size=4)):
        item, number = draw(objects(ITEMS[kind])), next(numbers)
        item["id"] = f"{PREFIXES[kind]}_{number}"
        if item.get("call_id") is not None or kind == "function_call_output":
            item["call_id"] = f"call_{number}"
        if kind == "mcp_approval_response":
            item["approval_request_id"] = f"mcpr_answered_{number}"
        if item.get("content") and kind == "reasoning":
            item.pop("encrypted_content", None)
        if kind == "shell_call":
            item["action"] = {"max_output_length": None, "timeout_ms": None, **item["action"]}
        made.append(item)
    return made
