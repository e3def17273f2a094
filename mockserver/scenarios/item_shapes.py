"""The shapes of scripted output items: those of `wire.requests.items`, with members to leave out and short forms."""

# Why they are no models of their own: the service takes back every item that it gives out (Spec: F8.6), so an
# output item has the members of an input item, and `wire.requests.items` has them as core schemas, which is
# what pydantic makes of a model. To write thirty models beside them would state each member, bound and id
# prefix twice. So a schema of the wire is adapted here, and the model of a reply uses it through the annotation
# `OutputItems`.
#
# What is adapted, and must stay so:
# * A list reports all its bad members, not only the first, and a union only what is wrong in the branch that
#   was meant.
# * Members that the service always sends (ids, statuses, call ids) may be left out or null: the turn fills them
#   in.
# * A text with a template in it passes whatever a pattern or a length asks.

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from mockserver.scenarios.document import reject
from mockserver.scenarios.validation import has_template
from mockserver.wire.requests.items import ITEMS, ROLES
from mockserver.wire.requests.parts import ASSISTANT_CONTENT, TOOL_CONTENT
from mockserver.wire.requests.schema import (
    LONG_TEXT,
    OBJECT,
    TEXT,
    Fields,
    Schema,
    array,
    either,
    enum,
    integer,
    nullable,
    string,
)
from mockserver.wire.requests.tools import TOOL_LIST

# Spec: I2, endpoints §5.5: what a response's output never holds.
_INPUT_ONLY = ("compaction_trigger", "configuration_update", "item_reference")
_UNKNOWN_SHAPES = ("agent_message", "multi_agent_call", "multi_agent_call_output")
_NEVER = {
    **{kind: f"'{kind}' is an input item; no response puts one out." for kind in _INPUT_ONLY},
    **{kind: f"The mock does not support '{kind}' items." for kind in _UNKNOWN_SHAPES},
}
# no response has it: Codex adds it to the items that it sends back
_NOT_OURS = "internal_chat_message_metadata_passthrough"
KINDS = tuple(kind for kind in ITEMS if kind not in _NEVER)

# By type: the members that a script must give; ids, statuses, call ids and what clients insist on are filled in.
_REQUIRED: Mapping[str, tuple[str, ...]] = {
    "function_call": ("name",),
    "function_call_output": ("output",),
    "computer_call_output": ("output",),
    "program": ("code",),
    "program_output": ("result",),
    "tool_search_output": ("tools",),
    "additional_tools": ("tools",),
    "local_shell_call": ("action",),
    "local_shell_call_output": ("output",),
    "shell_call": ("action",),
    "shell_call_output": ("output",),
    "apply_patch_call": ("operation",),
    "mcp_call": ("name",),
    "mcp_approval_request": ("name",),
    "mcp_approval_response": ("approval_request_id", "approve"),
    "custom_tool_call": ("name",),
    "custom_tool_call_output": ("output",),
}


def _with_rule(schema: Schema, rule: Callable[[Any], str | None], json: Mapping[str, Any]) -> Schema:
    """A shape and a rule, which returns what is wrong; `json` says of it what JSON Schema can say."""

    def check(value: Any) -> Any:
        words = rule(value)
        reject([] if words is None else [((), words)])
        return value

    function = {"type": "no-info", "function": check}
    return {"type": "function-after", "function": function, "schema": schema, "metadata": {"json": dict(json)}}


def _with_descriptions(schema: Schema, about: str) -> Schema:
    return {**schema, "metadata": {**schema.get("metadata", {}), "about": about}}


_BASE64_TEXT = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def _check_base64(value: str) -> str | None:
    return None if has_template(value) or _BASE64_TEXT.fullmatch(value) else "must be a text in base64"


_BASE64 = array(_with_rule(TEXT, _check_base64, {"contentEncoding": "base64"}))

# What an item's stream shows beyond the item, by the types that can show it. Spec: S8, S16, F12.
_SHOWN: Mapping[str, Fields] = {
    "message": {
        "audio_chunks": _with_descriptions(_BASE64, "sound that the stream carries, in base64"),
        "audio_transcript": _with_descriptions(TEXT, "the words of that sound"),
    },
    "image_generation_call": {
        "partial_images": _with_descriptions(
            {**_BASE64, "max_length": 3}, "images on the way that the stream shows, in base64"
        )
    },
    "compaction": {
        "compacting": _with_descriptions(integer(least=0, most=1000), "how many events say that it goes on")
    },
}

_ARGUMENTS = either("a text or an object", string=TEXT, object=OBJECT)
_LONG = string(longest=LONG_TEXT)


def _parts(part: Schema, short: str) -> Schema:
    """Parts, or texts in their place, or one text alone."""
    return either("a text or a list of parts", string=_LONG, array=array(either(short, string=_LONG, object=part)))


def _inner(schema: Schema) -> Schema:
    while "schema" in schema:
        schema = schema["schema"]
    return schema


def _part_of(kind: str, key: str) -> Schema:
    """The shape of a part in a member of an item; there is only one type, so it may be left out."""
    part = _inner(_inner(ITEMS[kind])["fields"][key]["schema"])["items_schema"]
    type_field = {**part["fields"]["type"], "required": False}
    return {**part, "fields": {**part["fields"], "type": type_field}}


# Members that a script may write shorter than the wire.
_SHORTER: Mapping[str, Fields] = {
    "message": {
        "content": _parts(ASSISTANT_CONTENT["items_schema"], "a text or a part"),
        "text": _LONG,
        "role": enum("assistant"),
    },
    "reasoning": {
        "summary": _parts(_part_of("reasoning", "summary"), "a text or a part"),
        "content": array(either("a text or a part", string=_LONG, object=_part_of("reasoning", "content"))),
    },
    **{kind: {"arguments": _ARGUMENTS} for kind in ("function_call", "mcp_call", "mcp_approval_request")},
    "additional_tools": {
        "role": enum("developer", "unknown", "user", "assistant", "system", "critic", "discriminator", "tool")
    },
}


def _check_content(item: Mapping[str, Any]) -> str | None:
    once = (item.get("text") is None) != (item.get("content") is None)
    return None if once else "must have either text or content"


def _item(kind: str) -> Schema:
    """The shape of a scripted output item; null means left out."""
    wire = ITEMS[kind] if kind != "message" else ITEMS[kind]["choices"]["assistant"]
    shape = _inner(wire)
    members = {key: field["schema"] for key, field in shape["fields"].items() if key != _NOT_OURS}
    members |= {**_SHORTER.get(kind, {}), **_SHOWN.get(kind, {})}
    required = _REQUIRED.get(kind, ())
    fields = {key: _field(members[key], required=True) for key in required}
    fields |= {key: _field(member, required=False) for key, member in members.items() if key not in required}
    item = {**shape, "fields": fields}
    if kind == "message":
        return _with_rule(item, _check_content, {"oneOf": [{"required": ["text"]}, {"required": ["content"]}]})
    return {**wire, "schema": item} if wire["type"] == "function-after" else item


def _field(schema: Schema, *, required: bool) -> Schema:
    plain = schema["schema"] if schema["type"] == "nullable" else schema
    return {"type": "typed-dict-field", "schema": plain if required else nullable(plain), "required": required}


# --- From a shape of the wire to one of a script ---------------------------------------------------------------------


def _pass_templates(value: Any, judge: Callable[[Any], Any]) -> Any:
    return value if has_template(value) else judge(value)


# Long shapes that several items use: each is compiled once, and is one definition of the JSON Schema.
_SHARED: Fields = {"Tools": TOOL_LIST, "ToolContent": TOOL_CONTENT}


def _adapt(schema: Schema) -> Schema:
    """Adapt a shape of the wire so that it reports every mistake and lets templates pass."""
    for name, shared in _SHARED.items():
        if schema is shared:
            return {"type": "definition-ref", "schema_ref": name}
    return _adapt_shape(schema)


def _adapt_shape(schema: Schema) -> Schema:
    # fail_fast is right for a request, where the service complains once; an author wants all mistakes at once
    adapted = {key: value for key, value in schema.items() if key != "fail_fast"}
    for key in ("schema", "items_schema", "values_schema"):
        if key in adapted:
            adapted[key] = _adapt(adapted[key])
    if "fields" in adapted:
        adapted["fields"] = {key: _adapt(field) for key, field in adapted["fields"].items()}
    if schema["type"] == "union":
        return _adapt_union(schema)
    if schema["type"] == "tagged-union":
        adapted["choices"] = {tag: _adapt(branch) for tag, branch in schema["choices"].items()}
    if schema["type"] == "str" and not adapted.keys().isdisjoint(("pattern", "min_length", "max_length")):
        function = {"type": "no-info", "function": _pass_templates}
        return {"type": "function-wrap", "function": function, "schema": adapted}
    return adapted


def _adapt_union(schema: Schema) -> Schema:
    """Adapt a union so that one branch, chosen by the kind of the JSON value, complains."""
    choices = {label: _adapt(branch) for branch, label in schema["choices"]}
    metadata = schema["metadata"]
    return {"type": "tagged-union", "discriminator": metadata["choose"], "choices": choices, "metadata": metadata}


def _type_of(item: Any) -> str | None:
    """The type of an item; one without a type is a message."""
    kind = item.get("type", "message") if isinstance(item, dict) else None
    return kind if isinstance(kind, str) else None


def output_item() -> Schema:
    """The core schema of one output item."""
    union = {
        "type": "tagged-union",
        "discriminator": _type_of,
        "choices": {kind: _adapt(_item(kind)) for kind in KINDS},
        "metadata": {"key": "type", "default": "message", "never": _NEVER},
    }
    definitions = [{**_adapt_shape(schema), "ref": name} for name, schema in _SHARED.items()]
    return {"type": "definitions", "schema": union, "definitions": definitions}


def context_item() -> Schema:
    """The core schema of one item of a context: what a client sends, or what a model has answered."""
    roles = {role: _with_optional_type(ITEMS["message"]["choices"][role]) for role in ROLES if role != "assistant"}
    message = {
        "type": "tagged-union",
        "discriminator": _role_of,
        "choices": {**{role: _adapt(shape) for role, shape in roles.items()}, "assistant": _adapt(_item("message"))},
        "metadata": {"key": "role"},
    }
    kinds = (*KINDS, "configuration_update")
    union = {
        "type": "tagged-union",
        "discriminator": _type_of,
        "choices": {**{kind: _adapt(_item(kind)) for kind in kinds}, "message": message},
        "metadata": {"key": "type", "default": "message", "never": _NOT_KEPT},
    }
    definitions = [{**_adapt_shape(schema), "ref": name} for name, schema in _SHARED.items()]
    return {"type": "definitions", "schema": union, "definitions": definitions}


# Spec: endpoints §5.5: what no context keeps.
_NOT_KEPT = {
    **dict.fromkeys(("compaction_trigger", "item_reference"), "It is no item that a context keeps."),
    **{kind: _NEVER[kind] for kind in _UNKNOWN_SHAPES},
}


def _with_optional_type(message: Schema) -> Schema:
    fields = message["fields"]
    return {**message, "fields": {**fields, "type": {**fields["type"], "required": False}}}


def _role_of(item: Any) -> str | None:
    """The role of a message; a text without a role is the assistant's, as in an output."""
    role = item.get("role", "assistant") if isinstance(item, dict) else None
    return role if isinstance(role, str) else None


class ContextItem(dict[str, Any]):
    """An item of a context; a dict to type checkers, and pydantic gets its shape from here."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return context_item()


class OutputItem(dict[str, Any]):
    """An output item; a dict to type checkers, and pydantic gets its shape from here."""

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        return output_item()
