"""What tools may look like: one union for requests, `tool_search_output` and `additional_tools`; and `tool_choice`.

A new tool is one entry of `TOOLS`. Sources: endpoints.md I6 (members), F11 (limits), F12 (required), F6 (tool_choice).
"""

from __future__ import annotations

from typing import Any

from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.requests.schema import (
    ANY,
    BOOLEAN,
    OBJECT,
    STRING_MAP,
    TEXT,
    CrossFieldError,
    Fields,
    Schema,
    array,
    decimal,
    either,
    enum,
    integer,
    mapping,
    name,
    shape,
    string,
    strings,
    union_by_tag,
    with_check,
)

EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
EFFORT = enum(
    *EFFORTS,
    expected_for={
        # Measured 2026-08, E23: the stammer and the shorter list are the service's.
        dict: "one of one of 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', or 'max' or integer",
        list: "one of one of 'none', 'minimal', 'low', 'medium', 'high', 'xhigh', or 'max' or integer",
        int: "one of 'minimal', 'low', 'medium', or 'high'",
    },
)

IMAGE_BACKGROUND = enum("transparent", "opaque", "auto")
IMAGE_ACTION = enum("generate", "edit", "auto")
IMAGE_FORMAT = enum("png", "webp", "jpeg", "gif", "svg")
IMAGE_QUALITY = enum("low", "medium", "high", "xhigh", "max", "auto")
CONTAINER = shape({"type": ANY, "container_id": TEXT})
LOCAL_SKILLS = array(shape({"description": TEXT, "name": TEXT, "path": TEXT}), longest=200)

_CALLERS = array(enum("direct", "programmatic"), expected="an array of one of 'direct' or 'pro...tic'", shortest=1)
_FUNCTION_NAME = name(longest=64)
_NETWORK = union_by_tag(
    {
        "disabled": shape({"type": ANY}),
        "allowlist": shape(
            {"type": ANY, "allowed_domains": strings(shortest=1)},
            {"domain_secrets": array(shape({"domain": TEXT, "name": TEXT, "value": TEXT}))},
        ),
    }
)
_CONTAINER_OPTIONS: Fields = {
    "file_ids": strings(longest=50),
    "memory_limit": enum("1g", "4g", "16g", "64g"),
    "network_policy": _NETWORK,
}
_COMPARISON = shape(
    {
        "type": enum("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"),
        "key": TEXT,
        "value": either(
            "one of a string, decimal, boolean, or array",
            string=TEXT,
            number=decimal(),
            boolean=BOOLEAN,
            array=array(either("one of a string or decimal", string=TEXT, number=decimal())),
        ),
    }
)
_COMPOUND = shape({"type": ANY, "filters": array(ANY)})
_FILTERS = union_by_tag(
    {
        **dict.fromkeys(("eq", "ne", "gt", "gte", "lt", "lte", "in", "nin"), _COMPARISON),
        **dict.fromkeys(("and", "or"), _COMPOUND),
    }
)
_LOCATION = shape({}, {"type": enum("approximate"), **dict.fromkeys(("city", "country", "region", "timezone"), TEXT)})
_MCP_TOOLS = shape({}, {"read_only": BOOLEAN, "tool_names": strings()})
_GRAMMAR = union_by_tag(
    {
        "text": shape({"type": ANY}),
        "grammar": shape({"type": ANY, "definition": TEXT, "syntax": enum("lark", "regex")}),
    }
)
_SKILL = union_by_tag(
    {
        "skill_reference": shape({"type": ANY, "skill_id": string(shortest=1, longest=64)}, {"version": TEXT}),
        "inline": shape(
            {
                "type": ANY,
                "description": TEXT,
                "name": TEXT,
                "source": shape(
                    {
                        "type": enum("base64"),
                        "data": string(longest=70_254_592),
                        "media_type": enum("application/zip"),
                    }
                ),
            }
        ),
    }
)
_SHELL_ENVIRONMENT = union_by_tag(
    {
        "container_auto": shape({"type": ANY}, {**_CONTAINER_OPTIONS, "skills": array(_SKILL, longest=200)}),
        "local": shape({"type": ANY}, {"skills": LOCAL_SKILLS}),
        "container_reference": CONTAINER,
    }
)


def _tool(required: Fields | None = None, optional: Fields | None = None) -> Schema:
    return shape({"type": ANY, **(required or {})}, optional)


def _one_server(tool: dict[str, Any]) -> dict[str, Any]:
    """An MCP tool names where its server is. Spec: F12."""
    places = ("server_url", "connector_id", "tunnel_id")
    if not any(tool.get(place) for place in places):
        raise CrossFieldError(lambda path: validation_errors.missing_exclusive(path, places))
    return tool


_FUNCTION = _tool(
    {"name": _FUNCTION_NAME},
    {
        "parameters": OBJECT,
        "strict": BOOLEAN,
        "allowed_callers": _CALLERS,
        "async": BOOLEAN,
        "defer_loading": BOOLEAN,
        "description": TEXT,
        "output_schema": OBJECT,
    },
)
_CUSTOM = _tool(
    {"name": _FUNCTION_NAME},
    {
        "allowed_callers": _CALLERS,
        "async": BOOLEAN,
        "defer_loading": BOOLEAN,
        "description": TEXT,
        "format": _GRAMMAR,
    },
)
_WEB_SEARCH = _tool(
    optional={
        "external_web_access": BOOLEAN,
        "filters": shape({}, {"allowed_domains": strings(shortest=1)}),
        "search_context_size": enum("low", "medium", "high"),
        "user_location": _LOCATION,
        # Echoed by the service since 2026-05 and 2026-07 (F7), so a client that sends a tool back sends them too.
        "return_token_budget": TEXT,
        "search_content_types": strings(),
    }
)
_WEB_SEARCH_PREVIEW = _tool(
    optional={
        "search_content_types": array(enum("text", "image"), expected="an array of one of 'text' or 'image'"),
        "search_context_size": enum("low", "medium", "high"),
        "user_location": _LOCATION,
    }
)
_MCP = with_check(
    _tool(
        {"server_label": TEXT},
        {
            "allowed_callers": _CALLERS,
            "allowed_tools": either("one of an array of strings or object", array=strings(), object=_MCP_TOOLS),
            "authorization": TEXT,
            "connector_id": enum(
                "connector_dropbox",
                "connector_gmail",
                "connector_googlecalendar",
                "connector_googledrive",
                "connector_microsoftteams",
                "connector_outlookcalendar",
                "connector_outlookemail",
                "connector_sharepoint",
            ),
            "defer_loading": BOOLEAN,
            "headers": STRING_MAP,
            "require_approval": either(
                "one of an object or 'always' or 'never'",
                string=enum("always", "never"),
                object=shape({}, {"always": _MCP_TOOLS, "never": _MCP_TOOLS}),
            ),
            "server_description": TEXT,
            "server_url": TEXT,
            "tunnel_id": string(pattern="^tunnel_[a-z0-9]{32}$"),
        },
    ),
    _one_server,
)
_IMAGE_GENERATION = _tool(
    optional={
        "action": IMAGE_ACTION,
        "background": IMAGE_BACKGROUND,
        "complexity": enum("low", "medium", "high"),
        "frame_count": integer(),
        "frame_duration_ms": integer(),
        "input_fidelity": enum("high", "low"),
        "input_image_mask": shape({}, {"file_id": TEXT, "image_url": TEXT}),
        "model": TEXT,
        "moderation": enum("auto", "low"),
        "n": integer(least=1),
        "output_compression": integer(least=0, most=100),
        "output_format": IMAGE_FORMAT,
        "partial_images": integer(least=0, most=3),
        "quality": IMAGE_QUALITY,
        "size": TEXT,
        "svg": shape({}, {"model": TEXT, "reasoning": shape({}, {"effort": EFFORT})}),
    }
)

TOOLS: Fields = {
    "function": _FUNCTION,
    "file_search": _tool(
        {"vector_store_ids": strings()},
        {
            "filters": _FILTERS,
            "max_num_results": integer(least=1, most=50),
            "ranking_options": shape(
                {},
                {
                    "hybrid_search": shape({"embedding_weight": decimal(), "text_weight": decimal()}),
                    "ranker": enum("auto", "default-2024-11-15"),
                    "score_threshold": decimal(least=0, most=1),
                },
            ),
        },
    ),
    "computer": _tool(),
    "computer_use_preview": _tool(
        {
            "display_height": integer(),
            "display_width": integer(),
            "environment": enum("windows", "mac", "linux", "ubuntu", "browser"),
        }
    ),
    "web_search": _WEB_SEARCH,
    "web_search_2025_08_26": _WEB_SEARCH,
    "mcp": _MCP,
    "code_interpreter": _tool(
        {
            "container": either(
                "one of a string or object", string=TEXT, object=shape({"type": enum("auto")}, _CONTAINER_OPTIONS)
            )
        },
        {"allowed_callers": _CALLERS},
    ),
    "programmatic_tool_calling": _tool(),
    "image_generation": _IMAGE_GENERATION,
    "local_shell": _tool(),
    "shell": _tool(optional={"allowed_callers": _CALLERS, "environment": _SHELL_ENVIRONMENT}),
    "custom": _CUSTOM,
    "namespace": _tool(
        {
            "description": TEXT,
            "name": TEXT,
            "tools": array(
                union_by_tag({"function": _FUNCTION, "custom": _CUSTOM}), expected="an array of tools", shortest=1
            ),
        }
    ),
    "tool_search": _tool(optional={"description": TEXT, "execution": enum("server", "client"), "parameters": ANY}),
    "web_search_preview": _WEB_SEARCH_PREVIEW,
    "web_search_preview_2025_03_11": _WEB_SEARCH_PREVIEW,
    "apply_patch": _tool(optional={"allowed_callers": _CALLERS}),
}

TOOL_LIST = array(union_by_tag(TOOLS), expected="an array of tools", longest=128)

_HOSTED_CHOICES = (
    "file_search",
    "web_search_preview",
    "web_search_preview_2025_03_11",
    "computer",
    "computer_use_preview",
    "computer_use",
    "image_generation",
    "code_interpreter",
    # Not in the client types, but these tools can be forced like their preview.
    "web_search",
    "web_search_2025_08_26",
    "apply_patch",
    "shell",
    "programmatic_tool_calling",
)

TOOL_CHOICE = either(
    "one of an object or 'none', 'auto', or 'required'",
    string=enum("none", "auto", "required"),
    object=union_by_tag(
        {
            "allowed_tools": shape({"type": ANY, "mode": enum("auto", "required"), "tools": array(OBJECT)}),
            "function": shape({"type": ANY, "name": TEXT}),
            "custom": shape({"type": ANY, "name": TEXT}),
            "mcp": shape({"type": ANY, "server_label": TEXT}, {"name": TEXT}),
            **dict.fromkeys(_HOSTED_CHOICES, shape({"type": ANY})),
        }
    ),
)

SCHEMA_FORMAT = shape(
    {"type": ANY, "name": name(longest=64), "schema": OBJECT}, {"description": TEXT, "strict": BOOLEAN}
)
FORMAT = union_by_tag({"json_object": shape({"type": ANY}), "text": shape({"type": ANY}), "json_schema": SCHEMA_FORMAT})
VERBOSITY = enum("low", "medium", "high")
TEXT_CONFIG = shape({}, {"format": FORMAT, "verbosity": VERBOSITY})
METADATA = mapping(string(longest=512), expected="a metadata object", longest_key=64, most=16)
