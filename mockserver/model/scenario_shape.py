"""What a scenario may hold: the one table that the loader, `scenario check` and the JSON Schema read.

The members of output items are those of `wire.items`, for the service takes back every item that it gives out
(Spec: F8.6); what a script may leave out or write shorter is said here. Rules between items are in `scenario_grammar`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from mockserver.model.conditions import WHEN
from mockserver.model.scenario_grammar import output_rule, reply_rule
from mockserver.model.scenario_mistakes import Mistakes, members, ruled, templated, told
from mockserver.wire.errors import MockError
from mockserver.wire.fields import (
    ANY,
    LONG_TEXT,
    OBJECT,
    STRING_MAP,
    TEXT,
    Fields,
    Schema,
    array,
    decimal,
    either,
    enum,
    integer,
    nullable,
    string,
    tagged,
)
from mockserver.wire.items import ITEMS
from mockserver.wire.parts import ASSISTANT_CONTENT

REASONS = ("max_output_tokens", "content_filter")
PHASES = ("commentary", "final_answer")

# --- Output items ------------------------------------------------------------------------------------------------

# Spec: I2, endpoints §5.5: what a response's output never holds.
_INPUT_ONLY = ("compaction_trigger", "configuration_update", "item_reference")
_UNKNOWN_SHAPES = ("agent_message", "multi_agent_call", "multi_agent_call_output")
_NEVER = {
    **{kind: f"'{kind}' is an input item; no response puts one out." for kind in _INPUT_ONLY},
    **{kind: f"The mock does not support '{kind}' items." for kind in _UNKNOWN_SHAPES},
}
_NOT_OURS = "internal_chat_message_metadata_passthrough"  # Codex's own, on what it sends

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


_BASE64_TEXT = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


def _base64_rule(value: str, where: str) -> Mistakes:
    if not templated(value) and not re.fullmatch(
        r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", value
    ):
        yield MockError(f"'{where}' must be a text in base64.", param=where)


_BASE64 = array(ruled(TEXT, _base64_rule, {"contentEncoding": "base64"}))

# What an item's stream shows beyond the item, by the types that can show it. Spec: S8, S16, F12.
_SHOWN: Mapping[str, Fields] = {
    "message": {
        "audio_chunks": told(_BASE64, "sound that the stream carries, in base64"),
        "audio_transcript": told(TEXT, "the words of that sound"),
    },
    "image_generation_call": {
        "partial_images": told({**_BASE64, "max_length": 3}, "images on the way that the stream shows, in base64")
    },
    "compaction": {"compacting": told(integer(least=0, most=1000), "how many events say that it goes on")},
}
CUES = tuple(sorted(key for shown in _SHOWN.values() for key in shown))

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
    """Return the shape of a part in a member of an item; there is only one type, so it need not be said."""
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


def _said_once(value: Mapping[str, Any], where: str) -> Mistakes:
    if (value.get("text") is None) == (value.get("content") is None):
        yield MockError(f"'{where}' must have either text or content.", param=where)


def _item(kind: str) -> Schema:
    """Return what a script may say of an output item; null stands for what is left out."""
    wire = ITEMS[kind] if kind != "message" else ITEMS[kind]["choices"]["assistant"]
    fields = {key: _inner_field(field) for key, field in _inner(wire)["fields"].items() if key != _NOT_OURS}
    fields |= {**_SHORTER.get(kind, {}), **_SHOWN.get(kind, {})}
    required = _REQUIRED.get(kind, ())
    optional = {key: nullable(field) for key, field in fields.items() if key not in required}
    item = members({key: fields[key] for key in required}, optional)
    if kind == "message":
        return ruled(item, _said_once, {"oneOf": [{"required": ["text"]}, {"required": ["content"]}]})
    return {**wire, "schema": item} if wire["type"] == "function-after" else item


def _inner_field(field: Schema) -> Schema:
    schema = field["schema"]
    return schema["schema"] if schema["type"] == "nullable" else schema


def _output_items() -> Schema:
    kinds = [kind for kind in ITEMS if kind not in _NEVER]
    union = tagged({kind: _item(kind) for kind in kinds})
    return {**union, "metadata": {**union["metadata"], "default": "message", "never": _NEVER}}


OUTPUT = ruled(array(_output_items()), output_rule, {})

# --- Replies -----------------------------------------------------------------------------------------------------


def _error_rule(value: Mapping[str, Any], where: str) -> Mistakes:
    if value.get("status") is None and value.get("code") is None:
        yield MockError(f"'{where}' needs a code or a status.", param=where)


_GIVEN = [{"required": [key], "properties": {key: {"not": {"type": "null"}}}} for key in ("code", "status")]
_OR_NULL = nullable(TEXT)
ERROR = ruled(
    members(
        {},
        {
            "code": _OR_NULL,
            "status": nullable(integer(least=400, most=599)),
            **dict.fromkeys(("type", "message", "param"), _OR_NULL),
            "headers": nullable(STRING_MAP),
        },
    ),
    _error_rule,
    {"anyOf": _GIVEN},
)
_FIGURE = integer(least=0)
_USAGE = members(
    {},
    {
        "input_tokens": _FIGURE,
        "input_tokens_details": members({}, {"cache_write_tokens": _FIGURE, "cached_tokens": _FIGURE}),
        "output_tokens": _FIGURE,
        "output_tokens_details": members({}, {"reasoning_tokens": _FIGURE}),
        "total_tokens": _FIGURE,
    },
)
# What is laid over the finished Response: what only a real backend finds out. Spec: O1.
_RESPONSE = members(
    {},
    {
        "input_transformations": array(ANY),
        **dict.fromkeys(("moderation", "prompt", "prompt_cache_diagnostics", "tool_usage"), OBJECT),
    },
)

FORMS: Fields = {
    "text": told(TEXT, "what the model says"),
    "output": told(OUTPUT, "output items in the wire's own shape"),
    "refusal": told(TEXT, "a refusal"),
    "json": told(ANY, "a value for structured output"),
    "error": told(ERROR, "the request fails with this HTTP error"),
    "failed": told(members({}, {"code": TEXT, "message": TEXT}), "the turn starts and fails"),
    "incomplete": told(enum(*REASONS), "the turn is cut short, for this reason"),
}
BESIDE: Fields = {
    "reasoning": told(TEXT, "the summary of a reasoning item that stands first"),
    "usage": told(_USAGE, "figures in place of counted ones"),
    "phase": told(enum(*PHASES), "the phase of messages that say none"),
    "model": told(TEXT, "the model's name as the response gives it"),
    "response": told(_RESPONSE, "members laid over the finished Response"),
}
# forms that may stand together: an answer, or its beginning, cut short
TOGETHER = tuple((before, cut) for before in ("text", "output") for cut in ("failed", "incomplete"))


def _one_form(value: Mapping[str, Any], where: str) -> Mistakes:
    forms = [key for key in FORMS if key in value]
    if len(forms) == 1 or tuple(forms) in TOGETHER:
        yield from reply_rule(value, where)
        return
    found = f"has {' and '.join(forms)}" if forms else "has none"
    yield MockError(f"'{where}' must have one of {', '.join(FORMS)}; it {found}.", param=where)


def _only(*forms: str) -> dict[str, Any]:
    others = [{"required": [key]} for key in FORMS if key not in forms]
    return {"required": list(forms), "not": {"anyOf": others}}


REPLY = ruled(
    members({}, {**FORMS, **BESIDE}),
    _one_form,
    {
        "oneOf": [*(_only(form) for form in FORMS), *(_only(*pair) for pair in TOGETHER)],
        "if": {"required": ["error"]},
        "then": {"maxProperties": 1},
        "dependentSchemas": {"failed": {"not": {"required": ["usage"]}}},
    },
)

# --- Lines -------------------------------------------------------------------------------------------------------

_PACE = decimal(least=0, most=1e9)
LINE = members(
    {"reply": told(REPLY, "what the line answers")},
    {
        "when": told(WHEN, "all of this must hold; without it the line answers every request"),
        "pacing": nullable(members({}, {"first_token": _PACE, "tokens_per_second": _PACE})),
        "times": nullable(told(integer(least=1), "how often the line answers; without it, without limit")),
    },
)
LINES = array(LINE)
SCENARIO = members(
    {"lines": told(LINES, "the first line whose `when` holds answers")},
    {
        "seed": told(integer(), "the run's seed, unless the server is given one"),
        "$schema": told(TEXT, "for editors only"),
        "about": told(TEXT, "for readers only, where a file can't have comments"),
    },
)
