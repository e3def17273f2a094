"""Every field of a request, as the client's types know it, each with a request that has it and one that doesn't.

The types are walked: the top level, then every object inside, with one branch per member of a union. Values are made up
from the types; `VALUES` holds those that must mean something.
"""

from __future__ import annotations

import collections.abc
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Union

import typing_extensions

from mockserver.core.tool_pairing import ANSWERS
from mockserver.wire.responses.ids import PREFIXES
from tests.support.item_inputs import CALL, INPUTS, unstored
from tests.support.scripted_items import PNG

Put = Callable[[Any], dict[str, Any]]
IMAGE = f"data:image/png;base64,{PNG}"

# pattern of a path → a value for the field there, where the type alone doesn't say enough
SCHEMA = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "additionalProperties": False,
    "required": ["a"],
}
VALUES: Mapping[str, Any] = {
    r"text\.format\[json_schema\]\.strict": True,
    r"(.*\.)?(parallel_tool_calls|store|include_obfuscation|strict|external_web_access)": False,
    r"image\.context_compression": "enabled",
    r"include": ["reasoning.encrypted_content"],
    r"stream_options": {"include_obfuscation": False},
    r"items": [{"type": "message", "role": "user", "content": "hi"}],
    r"instructions": "Answer in French.",
    r"max_output_tokens": 16,
    r"model": "gpt-4.1-mini",
    r"(previous_response_id|.*\.comparison_response_id)": "resp_" + "1" * 50,
    r"(conversation|conversation\[.*\]\.id)": "conv_1",
    r"context_management\.type": "compaction",
    r"context_management": [{"type": "compaction", "compact_threshold": 2000}],
    r"context_management\.compact_threshold": 2000,
    r"prompt\.variables": {"a": "b"},
    r"service_tier": "flex",
    r"top_logprobs": 2,
    r"tool_choice": "none",
    r"truncation": "auto",
    r".*\.tunnel_id": "tunnel_" + "a" * 32,
    r".*\.(image_url|file_url)": IMAGE,
    r".*\.file_data": "data:text/plain;base64,aGk=",
    r".*\[input_file\]\.filename": "a.txt",
    r".*\.schema": SCHEMA,
    r".*\.connector_id": "connector_gmail",
    r".*\.server_url": "https://example.com/mcp",
    r".*\.parameters": SCHEMA,
    r"tools\[file_search\]\.max_num_results": 7,
    r"tools\[file_search\]\.filters": {"type": "eq", "key": "a", "value": "b"},
    r"tools\[file_search\]\.ranking_options": {"ranker": "default-2024-11-15"},
    r"tools\[web_search\]\.filters": {"allowed_domains": ["example.com"]},
    r"tools\[.*\]\.partial_images": 2,
    r"tools\[.*\]\.moderation": "low",
    r"tools\[.*\]\.quality": "low",
    r"tools\[.*\]\.background": "opaque",
    r"tools\[.*\]\.output_format": "webp",
    r"tools\[.*\]\.size": "1024x1024",
    r"tools\[.*\]\.output_compression": 50,
    r"tools\[.*\]\.search_context_size": "low",
    r"tools\[.*\]\.ranker": "default-2024-11-15",
    r"tools\[.*\]\.search_content_types": ["image"],
    r"tools\[.*\]\.require_approval": "never",
    r"tools\[.*\]\.score_threshold": 0.5,
    r"tools\[.*\]\.skills": [],
    r"tools\[image_generation\]\.n": 2,
    r"input\[reasoning\]\.encrypted_content": "bogus",
    r"input\[compaction\]\.encrypted_content": "bogus",
    r"input\[.*\]\.call_id": CALL,
    r"reasoning": {"effort": "low"},
    r"reasoning\.effort": "low",
    r"reasoning\.summary": "concise",
    r"reasoning\.context": "current_turn",
    r"reasoning\.mode": "pro",
    r"text": {"verbosity": "low"},
    r"text\.verbosity": "low",
    r"text\.format": {"type": "json_schema", "name": "n", "schema": SCHEMA},
}
# where an optional member needs another one, or can't stand beside a required one: what the object is then
BASES: Mapping[str, dict[str, Any]] = {
    r".*\[input_file\]\.(file_data|file_url|file_id)": {"type": "input_file"},
    r".*\[input_file\]\.filename": {"type": "input_file", "file_data": "data:text/plain;base64,aGk="},
    r"input\[message EasyInputMessageParam\]\.phase": {"type": "message", "role": "assistant", "content": "hi"},
    r"input\[reasoning\](\.[a-z_]+)?": {"type": "reasoning", "summary": []},
    r"tools\[mcp\]": {"type": "mcp", "server_label": "s", "server_url": "https://example.com/mcp"},
    r"tools\[mcp\]\.(connector_id|tunnel_id|server_url)": {"type": "mcp", "server_label": "s"},
    r".*\[input_file\]": {"type": "input_file", "file_id": "file-1"},
    r".*\[input_image\]\.(image_url|file_id)": {"type": "input_image", "detail": "auto"},
    r".*\[input_image\]": {"type": "input_image", "image_url": IMAGE},
}


@dataclass(frozen=True)
class Field:
    """One field: its path, whether it is required, and a request with and without it."""

    path: str
    required: bool
    having: dict[str, Any]
    lacking: dict[str, Any]


def fields_of(params: Any, base: dict[str, Any], deep: frozenset[str]) -> Iterator[Field]:
    """Walk a request's type; only the top-level fields named in `deep` are entered."""
    for name, hint in hints(params).items():
        lacking = {key: value for key, value in {**base, **_COMPANIONS.get(name, {})}.items() if key != name}
        value = value_of(hint, name)
        yield Field(name, required(params, name), {**lacking, name: value}, lacking)
        if name in deep:
            yield from _inside(hint, name, _putter(base, name), listed=False)


def _putter(base: dict[str, Any], name: str) -> Put:
    return lambda value: {**base, **_COMPANIONS.get(name, {}), name: value}


# what a field needs beside it to mean anything
_COMPANIONS: Mapping[str, dict[str, Any]] = {
    "stream_options": {"stream": True},
    "context_management": {"input": "word " * 2100},
    "tools": {"stream": True, "tool_choice": "required"},
    "tool_choice": {
        "tools": [
            {"type": "function", "name": "x"},
            {"type": "custom", "name": "x"},
            {"type": "mcp", "server_label": "x", "server_url": "https://example.com/mcp"},
            {"type": "file_search", "vector_store_ids": ["vs_1"]},
            {"type": "apply_patch"},
            {"type": "shell"},
            {"type": "programmatic_tool_calling"},
        ]
    },
}


def _inside(hint: Any, path: str, put: Put, *, listed: bool) -> Iterator[Field]:
    """Walk the objects that a field may hold, one branch each."""
    for shape, in_list in _shapes(hint, listed):
        tag = _tag(shape)
        place = f"{path}[{tag}]" if tag else path
        yield from _members(shape, place, _list_put(put, path) if in_list else put)


def _list_put(put: Put, path: str) -> Put:
    if path == "input":
        return lambda value: put(_with_company(value))
    return lambda value: put([value])


def _with_company(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return an item with the call or output that it needs."""
    kind = item.get("type", "message")
    for items in INPUTS.values():
        kinds = [one.get("type", "message") for one in items]
        if kind in kinds and len(items) == 2 and {*kinds} & {*ANSWERS}:
            return [item if one == kind else other for one, other in zip(kinds, items, strict=True)]
    return [item]


def _members(shape: Any, path: str, put: Put) -> Iterator[Field]:
    for name, hint in hints(shape).items():
        place = f"{path}.{name}"
        base = {key: value for key, value in minimal(shape, path, place).items() if key != name}
        value = value_of(hint, place)
        if re.fullmatch(r"input\[[^]]*\]", path) and name in ("id", "type"):
            kind = path[6:-1].partition(" ")[0]
            value = kind if name == "type" else unstored(PREFIXES.get(kind, "msg"), 7)
        yield Field(place, required(shape, name), put({**base, name: value}), put(base))
        if place.count("[") + place.count(".") < 8 and not (path.startswith("input") and name == "tools"):
            yield from _inside(
                hint, place, lambda inner, base=base, name=name: put({**base, name: inner}), listed=False
            )


# --- types --------------------------------------------------------------------------------------------------------


def hints(shape: Any) -> dict[str, Any]:
    """Return the members of a typed dictionary with their types."""
    return typing_extensions.get_type_hints(shape, include_extras=True)


def required(shape: Any, name: str) -> bool:
    """Whether a typed dictionary must have a member."""
    hint = hints(shape)[name]
    while typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    if typing.get_origin(hint) in (typing.Required, typing_extensions.Required):
        return True
    return bool(shape.__total__) and typing.get_origin(hint) not in (typing.NotRequired, typing_extensions.NotRequired)


def _plain(hint: Any) -> Any:
    wrappers = (typing.Required, typing_extensions.Required, typing.NotRequired, typing_extensions.NotRequired)
    while typing.get_origin(hint) in (*wrappers, typing.Annotated):
        hint = typing.get_args(hint)[0]
    return hint


def _branches(hint: Any) -> list[Any]:
    hint = _plain(hint)
    if typing.get_origin(hint) in (Union, types.UnionType):
        return [one for arg in typing.get_args(hint) if arg is not type(None) for one in _branches(arg)]
    return [hint]


_LISTS = (list, collections.abc.Iterable, collections.abc.Sequence)


def _shapes(hint: Any, listed: bool) -> Iterator[tuple[Any, bool]]:
    for one in _branches(hint):
        if typing_extensions.is_typeddict(one):
            yield one, listed
        elif typing.get_origin(one) in _LISTS:
            yield from _shapes(typing.get_args(one)[0], True)


def _tag(shape: Any) -> str:
    """Return what tells a branch of a union from the others: its type, or the name of a message's shape."""
    kind = _branches(hints(shape).get("type"))[0]
    if typing.get_origin(kind) is not Literal:
        return ""
    value = str(typing.get_args(kind)[0])
    return f"message {shape.__name__}" if value == "message" else value


def value_of(hint: Any, path: str) -> Any:
    """Return a value of a type."""
    for pattern, value in VALUES.items():
        if re.fullmatch(pattern, path):
            return value
    one = _branches(hint)[0]
    if typing_extensions.is_typeddict(one):
        return minimal(one, path, path)
    origin, args = typing.get_origin(one), typing.get_args(one)
    if origin is Literal:
        return args[-1] if not path.endswith(".type") else args[0]
    if origin in _LISTS:
        return [value_of(args[0], f"{path}[]")]
    if origin is dict or one is dict:
        return {"a": value_of(args[1], f"{path}.a") if args else "b"}
    made: Mapping[Any, Any] = {str: "x", bool: True, int: 20, float: 0.5}
    return made.get(one, {"a": "b"})


def minimal(shape: Any, path: str, wanted: str) -> dict[str, Any]:
    """Return an object with no more than it must have; `wanted` is the path of the member that will be added."""
    for pattern, base in BASES.items():
        if re.fullmatch(pattern, wanted) or re.fullmatch(pattern, path):
            return dict(base)
    needed = {name: hint for name, hint in hints(shape).items() if required(shape, name)}
    known = _known_item(shape, path, needed)
    return known or {name: value_of(hint, f"{path}.{name}") for name, hint in needed.items()}


def _known_item(shape: Any, path: str, needed: dict[str, Any]) -> dict[str, Any] | None:
    """Return what an item must have, taken from one that is known to be right."""
    if not re.fullmatch(r"input\[[^]]*\]", path):
        return None
    kind = _branches(hints(shape).get("type"))[0]
    name = str(typing.get_args(kind)[0]) if kind is not None else ""
    if "ResponseOutputMessageParam" in path:
        return dict(INPUTS["assistant's output"][0])
    for item in (one for items in INPUTS.values() for one in items):
        if item.get("type", "message") == name and needed.keys() <= item.keys() | {"type"}:
            kept = {**{key: item[key] for key in needed if key in item}, "type": name}
            return {**kept, "call_id": CALL} if "call_id" in item else kept
    special = {"item_reference": unstored("msg"), "compaction": None, "compaction_trigger": None}
    if name in special:
        made = {key: value_of(hint, f"{path}.{key}") for key, hint in needed.items()} | {"type": name}
        return {**made, "id": special[name]} if special[name] else made
    return None
