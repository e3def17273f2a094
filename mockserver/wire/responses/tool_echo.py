"""Tools as `Response.tools` shows them: filled in, redacted, in order, with those that the input loaded.

Spec: F7, W8.
"""

# How it works. `echo_tool` shows one tool. `merge_loaded` makes of the tools of a request those that the model has once
# items of its input have brought more; the same list is what a model may call and, each of its tools echoed, what the
# Response says. So a tool is called by the name under which it is shown (R11.7).
#
# What must stay true: functions stand first, then `tool_search`, then namespaces, each in the order in which they were
# sent (41 of 41 recordings); a tool of another type keeps its place.

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from mockserver.wire.catalog import Model

Tool = dict[str, Any]

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
        "return_token_budget": "default",
        "search_content_types": ["text"],
        "search_context_size": "medium",
        "user_location": {"type": "approximate", "city": None, "country": "US", "region": None, "timezone": None},
    },
    "web_search_preview": {
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
        "model": "gpt-image-1",  # recorded 2026-03; the documented default is newer, but nobody has recorded it
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
_HOSTED_DEFAULTS["web_search_preview_2025_03_11"] = _HOSTED_DEFAULTS["web_search_preview"]
_NOT_ECHOED = {
    "web_search": ("external_web_access",),
    "web_search_2025_08_26": ("external_web_access",),
    "image_generation": ("partial_images", "input_fidelity"),
}


def echo_tool(tool: dict[str, Any]) -> dict[str, Any]:
    """A tool as `Response.tools` shows it. Spec: F7, W8."""
    kind = tool["type"]
    if kind == "function":
        return _function(tool)
    if kind == "namespace":
        inner = [echo_tool(one) for one in tool["tools"]]
        return {"type": kind, "description": tool.get("description"), "name": tool["name"], "tools": inner}
    sent = {key: value for key, value in tool.items() if value is not None and key not in _NOT_ECHOED.get(kind, ())}
    if kind == "mcp":
        sent = redact_mcp_tool(sent)
    defaults = _HOSTED_DEFAULTS.get(kind, {})
    filled = {**defaults, **sent}
    if kind == "custom" and "format" in sent:
        filled["format"] = _order(sent["format"])
    for key in _FILLED_INSIDE & sent.keys() & defaults.keys():
        own = {**dict.fromkeys(_LOCATION), "type": "approximate"} if key == "user_location" else defaults[key]
        filled[key] = _order({**own, **_without_nulls(sent[key])})
    return _order(filled)


# members whose own members are filled in too (Spec: F7)
_FILLED_INSIDE = frozenset({"ranking_options", "user_location"})
_LOCATION = ("city", "country", "region", "timezone")


def _without_nulls(value: dict[str, Any]) -> dict[str, Any]:
    return {key: member for key, member in value.items() if member is not None}


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
    filled = {"output_schema": None, "parameters": None, **tool, "description": tool.get("description") or None}
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
    properties = schema.get("properties") or {}
    if not _NOT_STRICT.isdisjoint(schema) or schema.get("additionalProperties") not in (None, False):
        return None
    if not isinstance(properties, dict):
        return None
    strict: dict[str, Any] = {}
    for key, value in schema.items():
        strict[key] = _strict_member(key, value)
        if strict[key] is None and value is not None:
            return None
    if schema.get("type") == "object" or schema.get("properties") is not None:
        strict["additionalProperties"] = False
        strict["required"] = list(properties)
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


# --- The order of the echo, and tools that the input loaded -----------------------------------------------------------

# [how it was loaded, the tool]: `server` is a search of the service, `client` one of the client, or `additional_tools`
LoadedTool = Sequence[Any]

_PLACES = {"function": 0, "tool_search": 1, "namespace": 2}
_CALLED_BY_NAME = ("function", "custom")


def echo_tools(tools: Iterable[Tool]) -> list[Tool]:
    """The tools of a request as its Response shows them, in the order of the echo. Spec: F7."""
    shown = [echo_tool(tool) for tool in tools]
    ranked = [tool for tool in shown if tool["type"] in _PLACES]
    if len(ranked) < 2:
        return shown
    in_order = iter(sorted(ranked, key=lambda tool: _PLACES[tool["type"]]))
    return [next(in_order) if tool["type"] in _PLACES else tool for tool in shown]


def is_loaded_plainly(how: str, model: Model) -> bool:
    """Whether a loaded tool is a tool like any other, and not in a namespace of its own. Spec: F7, R11.7.

    It is from gpt-5.6 on, whose catalogue rows are those with exact cache boundaries, if the client has loaded it.
    """
    return model.exact_cache and how == "client"


def merge_loaded(tools: Iterable[Tool], loaded: Iterable[LoadedTool], model: Model) -> list[Tool]:
    """The tools that a model has: those of a request, and those that its effective input has loaded. Spec: F7."""
    plain: dict[str, Tool] = {}
    spaces: dict[str, Tool] = {}
    others: list[Tool] = []
    for how, tool in loaded:
        if tool["type"] not in _CALLED_BY_NAME:
            others.append(tool)
        elif is_loaded_plainly(how, model):
            plain[tool["name"]] = _no_longer_deferred(tool)
            spaces.pop(tool["name"], None)
        else:
            plain.pop(tool["name"], None)
            spaces[tool["name"]] = _own_namespace(_no_longer_deferred(tool))
    merged = [*_replace_loaded(tools, plain, spaces), *plain.values()]
    for tool in others:
        _add(merged, tool)
    return [*merged, *spaces.values()]


def _replace_loaded(tools: Iterable[Tool], plain: dict[str, Tool], spaces: dict[str, Tool]) -> Iterator[Tool]:
    """The tools of a request without those in `spaces`, and with those in `plain`, which are taken out of it."""
    for tool in tools:
        name = tool.get("name") if tool["type"] in _CALLED_BY_NAME else None
        if name is None or name not in (plain.keys() | spaces.keys()):
            yield tool
        elif name in plain:
            yield plain.pop(name)


def _no_longer_deferred(tool: Tool) -> Tool:
    return {key: value for key, value in tool.items() if key != "defer_loading"}


def _own_namespace(tool: Tool) -> Tool:
    description = tool.get("description") or None
    return {"type": "namespace", "description": description, "name": tool["name"], "tools": [tool]}


def _add(tools: list[Tool], tool: Tool) -> None:
    """Add a loaded tool that is not called by its name; a namespace that is there already gets what is new in it."""
    if tool["type"] != "namespace":
        if tool not in tools:
            tools.append(tool)
        return
    inner = {one["name"]: _no_longer_deferred(one) for one in tool["tools"]}
    for index, known in enumerate(tools):
        if known["type"] == "namespace" and known["name"] == tool["name"]:
            kept = [inner.pop(one["name"], one) for one in known["tools"]]
            tools[index] = {**known, "tools": [*kept, *inner.values()]}
            return
    tools.append({**tool, "tools": list(inner.values())})
