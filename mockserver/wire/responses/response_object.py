"""The Response object: how every request field is echoed, normalised or dropped. Spec: O1, W9, W12, R1.54, F4–F7."""

# How it works. The Response to a request that says nothing is built once per model and copied; then each field
# that was sent puts its echo in its place. The keys of the copy are in the wire's order, so nothing is sorted per
# request.
#
# What must stay true: nobody changes what the copied dictionary holds (it is a shallow copy); a field that is
# echoed in another form than it was sent has a row in `_ECHOES`, and one without a row is not echoed at all
# (R1.54).

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from operator import itemgetter
from typing import Any

from mockserver.wire.catalog import Model

Request = dict[str, Any]

TERMINAL = frozenset({"completed", "incomplete", "failed", "cancelled"})

# tier asked for → tier reported once completed (Spec: F1, W12)
_TIERS = {"auto": "default", "fast": "priority"}

_NO_IMAGES = {
    "input_tokens": 0,
    "input_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "output_tokens": 0,
    "output_tokens_details": {"image_tokens": 0, "text_tokens": 0},
    "total_tokens": 0,
}

_FUNCTION_ORDER = (
    "type",
    "allowed_callers",
    "async",
    "defer_loading",
    "description",
    "name",
    "output_schema",
    "parameters",
    "strict",
)

_NULLABLE = ("description", "output_schema", "parameters", "strict")

# What a hosted tool's echo holds when the request is silent (Spec: F7).
_HOSTED_DEFAULTS: dict[str, dict[str, Any]] = {
    "web_search": {
        "filters": None,
        "return_token_budget": "default",
        "search_content_types": ["text"],
        "search_context_size": "medium",
        "user_location": {"type": "approximate", "city": None, "country": "US", "region": None, "timezone": None},
    },
    "file_search": {
        "filters": None,
        "max_num_results": 20,
        "ranking_options": {"ranker": "auto", "score_threshold": 0.0},
    },
    "image_generation": {
        "background": "auto",
        "moderation": "auto",
        "n": 1,
        "output_compression": 100,
        "output_format": "png",
        "quality": "auto",
        "size": "auto",
    },
    "mcp": {
        "allowed_tools": None,
        "headers": None,
        "require_approval": "always",
        "server_description": None,
        "server_url": None,
    },
    "tool_search": {"description": None, "parameters": None},
}
_HOSTED_DEFAULTS["web_search_2025_08_26"] = _HOSTED_DEFAULTS["web_search"]
_NOT_ECHOED = {
    "web_search": ("external_web_access",),
    "web_search_2025_08_26": ("external_web_access",),
    "image_generation": ("partial_images", "input_fidelity"),
}


def response_object(
    request: Request, model: Model, *, identifier: str, created_at: int, stored: bool, conversation: str | None
) -> dict[str, Any]:
    """A Response without output and usage, with the keys of a JSON body in the wire's order. Spec: W9, W12."""
    response = _silent(model).copy()
    response["id"], response["created_at"], response["store"] = identifier, created_at, stored
    for name, value in request.items():
        if name in _ECHOES:
            response[name] = _ECHOES[name](value, model)
    if conversation is None:
        del response["conversation"]
    else:
        response["conversation"] = {"id": conversation}
    if "prompt_cache_options" not in request:
        del response["prompt_cache_options"]
    if not _NEWEST.isdisjoint(request):
        response = with_fields(response, _newest(request))
    return response


@cache
def _silent(model: Model) -> dict[str, Any]:
    """The Response to a request that says nothing, to be copied; nobody changes what it holds. Spec: W12."""
    return {
        "id": "",
        "object": "response",
        "created_at": 0,
        "status": "in_progress",
        "background": False,
        "billing": {"payer": "developer"},
        "completed_at": None,
        "conversation": None,
        "error": None,
        "frequency_penalty": 0.0,
        "incomplete_details": None,
        "instructions": None,
        "max_output_tokens": None,
        "max_tool_calls": None,
        "model": model.id,
        "moderation": None,
        "output": [],
        "parallel_tool_calls": True,
        "presence_penalty": 0.0,
        "previous_response_id": None,
        "prompt_cache_key": None,
        "prompt_cache_options": None,
        "prompt_cache_retention": model.prompt_cache_retention,
        "reasoning": _reasoning({}, model),
        "safety_identifier": None,
        "service_tier": "auto",
        "store": True,
        "temperature": 1.0,
        "text": _text({}),
        "tool_choice": "auto",
        "tool_usage": _tool_usage(0),
        "tools": [],
        "top_logprobs": 0,
        "top_p": model.top_p,
        "truncation": "disabled",
        "usage": None,
        "user": None,
        "metadata": {},
    }


# request fields that add a key to the Response (Spec: O1, R15.4)
_NEWEST = frozenset({"access_programs", "image", "prompt", "prompt_cache_options"})


def _newest(request: Request) -> dict[str, Any]:
    """The keys that a Response has only because of what the newest clients may send.

    The mock compresses no context, so `auto` comes out as disabled; it keeps no cache that two prompts could be
    compared by, so the answer to a `comparison_response_id` is that the comparison is unavailable.
    """
    keys: dict[str, Any] = {}
    if "access_programs" in request:
        keys["access_programs"] = {"cyber": "standard", **_without_nulls(request["access_programs"])}
    if "image" in request:
        keys["image"] = image_options(request["image"])
    if "prompt" in request:
        keys["prompt"] = request["prompt"]
    if (request.get("prompt_cache_options") or {}).get("comparison_response_id") is not None:
        keys["prompt_cache_diagnostics"] = {"type": "unavailable"}
    return keys


def image_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options for images as they are in effect: nothing is compressed unless that is required."""
    asked = options.get("context_compression")
    return {"context_compression": "disabled" if asked in (None, "auto") else asked}


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {key: one for key, one in value.items() if one is not None}


# What of a Response may hold numbers that are not whole, unless a script says more than items.
with_numbers = itemgetter(
    "output",
    "text",
    "tools",
    "tool_choice",
    "moderation",
    "temperature",
    "top_p",
    "frequency_penalty",
    "presence_penalty",
)


def with_fields(response: dict[str, Any], fields: Mapping[str, Any]) -> dict[str, Any]:
    """A Response with these fields, new ones in alphabetical position. Spec: W7."""
    entries: list[tuple[str, Any]] = list({**response, **fields}.items())
    head, tail = [one for one in entries if one[0] in _HEAD], [one for one in entries if one[0] in _TAIL]
    body = [one for one in entries if one[0] not in _HEAD and one[0] not in _TAIL]
    return dict(head + sorted(body, key=lambda one: one[0]) + tail)


_HEAD = ("id", "object", "created_at", "status")
_TAIL = ("user", "metadata")


def without_billing(response: dict[str, Any]) -> dict[str, Any]:
    """The form that events carry: only the body of a terminal response names who pays. Spec: W9."""
    bare = response.copy()
    bare.pop("billing", None)
    return bare


def in_progress_view(response: dict[str, Any]) -> dict[str, Any]:
    """The Response as its own `response.created` event showed it. Spec: W18."""
    tier = response["service_tier"]
    known_later = {key: None for key in _KNOWN_LATER if response.get(key) is not None}
    return (
        without_billing(response)
        | known_later
        | {
            "status": "in_progress",
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "output": [],
            "service_tier": tier if tier == "flex" else "auto",
            "tool_usage": _tool_usage(0),
            "usage": None,
        }
    )


# what only a terminal Response says (Spec: O1, O5)
_KNOWN_LATER = ("input_transformations", "moderation", "prompt_cache_diagnostics")


def final_tier(asked: str | None) -> str:
    """The service tier of a completed response. Spec: F1, R1.54."""
    return _TIERS.get(asked or "auto", asked or "default")


def tool_usage(output: list[dict[str, Any]]) -> dict[str, Any]:
    """The counts of hosted tool use; `num_requests` counts searches. Spec: W12."""
    searches = 0
    for item in output:  # a loop, for most turns have one item
        searches += item["type"] == "web_search_call"
    return _tool_usage(searches)


@cache
def _tool_usage(searches: int) -> dict[str, Any]:
    return {"image_gen": _NO_IMAGES, "web_search": {"num_requests": searches}}


_MODERATED = (
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
)


def _moderation(asked: dict[str, Any]) -> dict[str, Any]:
    """The verdicts on input and output: the mock flags nothing, so nothing is ever blocked. Spec: O5."""
    verdict = {
        "type": "moderation_result",
        "categories": dict.fromkeys(_MODERATED, False),
        "category_applied_input_types": {category: ["text"] for category in _MODERATED},
        "category_scores": dict.fromkeys(_MODERATED, 0.0),
        "flagged": False,
        "model": asked["model"],
    }
    return {"input": verdict, "output": verdict}


def _cache_options(options: dict[str, Any] | None) -> dict[str, Any]:
    sent = {key: value for key, value in (options or {}).items() if value is not None and key != "prewarm"}
    filled = {"mode": "implicit", "ttl": "30m", **sent}
    return {key: filled[key] for key in sorted(filled)}


def _reasoning(asked: dict[str, Any], model: Model) -> dict[str, Any]:
    if not model.reasoning:
        return {"context": None, "effort": None, "summary": None}
    context = asked.get("context")
    summary = asked.get("summary")
    return {
        "context": model.reasoning_context if context in (None, "auto") else context,
        "effort": asked.get("effort") or model.default_effort,
        "mode": asked.get("mode") or "standard",
        "summary": "detailed" if summary == "auto" else summary,
    }


def _text(asked: dict[str, Any]) -> dict[str, Any]:
    text_format = asked.get("format") or {"type": "text"}
    if text_format["type"] == "json_schema":
        text_format = {
            "description": text_format.get("description"),
            "name": text_format["name"],
            "schema": text_format["schema"],
            "strict": bool(text_format.get("strict")),
            "type": "json_schema",
        }
    return {"format": text_format, "verbosity": asked.get("verbosity") or "medium"}


def echo_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool as `Response.tools` shows it. Spec: F7, W8."""
    kind = tool["type"]
    if kind == "function":
        return _function(tool)
    if kind == "namespace":
        inner = [_function(one) if one["type"] == "function" else one for one in tool["tools"]]
        return {"type": kind, "description": tool.get("description"), "name": tool["name"], "tools": inner}
    sent = {key: value for key, value in tool.items() if value is not None and key not in _NOT_ECHOED.get(kind, ())}
    if kind == "mcp":
        sent = redact_mcp_tool(sent)
    defaults = _HOSTED_DEFAULTS.get(kind, {})
    filled = {**defaults, **sent}
    for key in _FILLED_INSIDE & sent.keys() & defaults.keys():
        own = {**dict.fromkeys(_LOCATION), "type": "approximate"} if key == "user_location" else defaults[key]
        filled[key] = _order({**own, **_without_nulls(sent[key])})
    return _order(filled)


# members whose own members are filled in too (Spec: F7)
_FILLED_INSIDE = frozenset({"ranking_options", "user_location"})
_LOCATION = ("city", "country", "region", "timezone")


def _order(value: dict[str, Any]) -> dict[str, Any]:
    return {key: value[key] for key in sorted(value, key=lambda key: (key != "type", key))}


_AFTER_HOST = re.compile(r"[/?#]")


def redact_mcp_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """Hide what an MCP tool must not show once it was sent: authorization, header values, the URL's path. Spec: F7."""
    hidden = dict(tool)
    if "authorization" in hidden:
        hidden["authorization"] = "<redacted>"
    if "headers" in hidden:
        hidden["headers"] = dict.fromkeys(hidden["headers"], "<redacted>")
    if "server_url" in hidden:
        scheme, mark, rest = hidden["server_url"].partition("://")
        host = _AFTER_HOST.split(rest if mark else scheme, maxsplit=1)[0]
        path = "/<redacted>" if len(host) < len(rest if mark else scheme) else ""
        # a user name and password are no part of the host; a URL without a scheme may hold them too
        hidden["server_url"] = f"{scheme if mark else ''}{mark}{host.rpartition('@')[2]}{path}"
    return hidden


def _function(tool: dict[str, Any]) -> dict[str, Any]:
    filled = {"description": None, "output_schema": None, "parameters": None, **tool}
    if tool.get("strict") is None:
        strict_schema = strict_form(tool.get("parameters") or {"type": "object", "properties": {}})
        filled["strict"] = strict_schema is not None
        if strict_schema is not None:
            filled["parameters"] = strict_schema
    return {key: filled[key] for key in _FUNCTION_ORDER if key in _NULLABLE or filled.get(key) is not None}


# Keywords that have no strict form (Spec: R10.5): a schema that uses one stays as it is and is not strict.
_NOT_STRICT = frozenset({"allOf", "not", "if", "then", "else", "dependentRequired", "dependentSchemas",
                         "uniqueItems", "oneOf", "patternProperties", "propertyNames"})  # fmt: skip


def strict_form(schema: Any) -> Any:
    """The strict form of a function's schema, None when it has none. Spec: F7, R11.2.

    Objects gain `additionalProperties: false` and a `required` that lists every property, at their end.
    """
    if not isinstance(schema, dict):
        return schema
    if not _NOT_STRICT.isdisjoint(schema) or schema.get("additionalProperties") not in (None, False):
        return None
    strict: dict[str, Any] = {}
    for key, value in schema.items():
        strict[key] = _strict_member(key, value)
        if strict[key] is None and value is not None:
            return None
    properties = schema.get("properties")
    if schema.get("type") == "object" or properties is not None:
        strict["additionalProperties"] = False
        strict["required"] = list(properties or ())
    return strict


def _strict_member(key: str, value: Any) -> Any:
    """The strict form of a keyword's value; keywords that hold no schema keep theirs."""
    if key in ("properties", "$defs", "definitions") and isinstance(value, dict):
        members = {name: strict_form(one) for name, one in value.items()}
        return None if None in members.values() else members
    if key == "anyOf" and isinstance(value, list):
        branches = [strict_form(one) for one in value]
        return None if None in branches else branches
    return strict_form(value) if key == "items" else value


def _verbatim(value: Any, model: Model) -> Any:
    return value


def _number(value: float, model: Model) -> float:
    return float(value)


# request field → how the Response echoes it (Spec: R1.54, F1, F4–F7); a field without a row is not echoed
_ECHOES: dict[str, Callable[[Any, Model], Any]] = {
    "background": _verbatim,
    "frequency_penalty": _number,
    "instructions": _verbatim,
    "max_output_tokens": _verbatim,
    "max_tool_calls": _verbatim,
    "metadata": _verbatim,
    "moderation": lambda value, model: _moderation(value),
    "parallel_tool_calls": _verbatim,
    "presence_penalty": _number,
    "previous_response_id": _verbatim,
    "prompt_cache_key": _verbatim,
    "prompt_cache_options": lambda value, model: _cache_options(value),
    "prompt_cache_retention": _verbatim,
    "reasoning": _reasoning,
    "safety_identifier": _verbatim,
    "service_tier": lambda value, model: "flex" if value == "flex" else "auto",
    "temperature": _number,
    "text": lambda value, model: _text(value),
    "tool_choice": _verbatim,
    "tools": lambda value, model: [echo_tool(tool) for tool in value],
    "top_logprobs": _verbatim,
    "top_p": _number,
    "truncation": _verbatim,
    "user": _verbatim,
}
