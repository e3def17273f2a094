"""What input items may look like: one shape per type, message parts by role.

A new item type is one entry of `ITEMS`. Every member the service puts on an output item is accepted back, because
clients replay whole items (Spec: F8.6). Sources: endpoints.md I3 (members), F11 (limits), wire.md W2
(id prefixes), errors.md E16, E17 (listed values).
"""

from __future__ import annotations

from typing import Any

from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.errors.api import MockError
from mockserver.wire.requests.parts import ASSISTANT_CONTENT, TOOL_CONTENT, USER_CONTENT
from mockserver.wire.requests.schema import (
    ANY,
    BOOLEAN,
    ID_LENGTH,
    LONG_TEXT,
    STRING_MAP,
    TEXT,
    CrossFieldError,
    Fields,
    Schema,
    array,
    choice,
    decimal,
    either,
    enum,
    identifier,
    integer,
    mapping,
    name,
    opaque,
    shape,
    string,
    strings,
    union_by_tag,
    with_check,
)
from mockserver.wire.requests.tools import (
    CONTAINER,
    EFFORT,
    IMAGE_ACTION,
    IMAGE_BACKGROUND,
    IMAGE_FORMAT,
    IMAGE_QUALITY,
    LOCAL_SKILLS,
    SCHEMA_FORMAT,
    TOOL_LIST,
)

ROLES = ("assistant", "system", "developer", "user")

# Spec: E16, the service's own list of 2026-08-30. It didn't know `configuration_update` yet, which is accepted too.
ITEM_TYPES = (
    "additional_tools",
    "agent_message",
    "apply_patch_call",
    "apply_patch_call_output",
    "code_interpreter_call",
    "compaction",
    "compaction_trigger",
    "computer_call",
    "computer_call_output",
    "custom_tool_call",
    "custom_tool_call_output",
    "file_search_call",
    "function_call",
    "function_call_output",
    "image_generation_call",
    "item_reference",
    "local_shell_call",
    "local_shell_call_output",
    "mcp_approval_request",
    "mcp_approval_response",
    "mcp_call",
    "mcp_list_tools",
    "message",
    "multi_agent_call",
    "multi_agent_call_output",
    "program",
    "program_output",
    "reasoning",
    "shell_call",
    "shell_call_output",
    "tool_search_call",
    "tool_search_output",
    "web_search_call",
)

# --- Members shared by items --------------------------------------------------------------------------------------

_STD = ("in_progress", "completed", "incomplete")
STATUS = enum(*_STD)
_CALL_ID = string(shortest=1, longest=ID_LENGTH)
_LONG = string(longest=LONG_TEXT)
_NAME = name(longest=128)
_CALLER = union_by_tag({"direct": shape({"type": ANY}), "program": shape({"type": ANY, "caller_id": TEXT})})
_NAMESPACE = string(shortest=1, longest=ID_LENGTH)
_EXECUTION = enum("server", "client")
_OUTPUT = either(string=_LONG, array=TOOL_CONTENT)
_PHASE = enum("commentary", "final_answer")
_CHECKS = array(shape({"id": TEXT}, {"code": TEXT, "message": TEXT}))
_PLACE: Fields = {"x": integer(), "y": integer()}
_KEYS: Fields = {"keys": strings()}
_COMPUTER_ACTION = union_by_tag(
    {
        "click": shape({"type": ANY, "button": enum("left", "right", "wheel", "back", "forward"), **_PLACE}, _KEYS),
        "double_click": shape({"type": ANY, **_PLACE}, _KEYS),
        "drag": shape({"type": ANY, "path": array(shape(_PLACE))}, _KEYS),
        "keypress": shape({"type": ANY, **_KEYS}),
        "move": shape({"type": ANY, **_PLACE}, _KEYS),
        "screenshot": shape({"type": ANY}),
        "scroll": shape({"type": ANY, **_PLACE, "scroll_x": integer(), "scroll_y": integer()}, _KEYS),
        "type": shape({"type": ANY, "text": TEXT}),
        "wait": shape({"type": ANY}),
    }
)
_SOURCE = union_by_tag({"url": shape({"type": ANY, "url": TEXT}), "api": shape({"type": ANY, "name": TEXT})})
_WEB_ACTION = union_by_tag(
    {
        "search": shape(
            {"type": ANY},
            {"query": TEXT, "queries": strings(), "sources": array(_SOURCE)},
        ),
        "open_page": shape({"type": ANY}, {"url": TEXT}),
        "find_in_page": shape({"type": ANY, "pattern": TEXT}, {"url": TEXT}),
    }
)
_EXEC_ACTION = shape(
    {"type": enum("exec"), "command": strings(), "env": STRING_MAP},
    {"timeout_ms": integer(), "user": TEXT, "working_directory": TEXT},
)
_SHELL_ACTION = shape({"commands": strings()}, {"max_output_length": integer(), "timeout_ms": integer()})
_SHELL_ENVIRONMENT = union_by_tag(
    {"local": shape({"type": ANY}, {"skills": LOCAL_SKILLS}), "container_reference": CONTAINER}
)
_SHELL_OUTPUT = shape(
    {
        "stdout": _LONG,
        "stderr": _LONG,
        "outcome": union_by_tag(
            {"timeout": shape({"type": ANY}), "exit": shape({"type": ANY, "exit_code": integer()})}
        ),
    },
    {"created_by": TEXT},
)
_PATCH = shape({"type": ANY, "path": string(shortest=1), "diff": _LONG})
_PATCH_OPERATION = union_by_tag(
    {
        "create_file": _PATCH,
        "delete_file": shape({"type": ANY, "path": string(shortest=1)}),
        "update_file": _PATCH,
    }
)
_MCP_ERROR = either(
    "one of a string or object",
    string=TEXT,
    object=union_by_tag(
        {
            "mcp_protocol_error": shape({"type": ANY, "code": integer(), "message": TEXT}),
            "mcp_tool_execution_error": shape({"type": ANY, "content": ANY}),
            "http_error": shape({"type": ANY, "code": integer(), "message": TEXT}),
        }
    ),
)
_MCP_TOOL = shape({"name": TEXT, "input_schema": ANY}, {"description": TEXT, "annotations": ANY})
_ATTRIBUTES = mapping(
    either("one of a string, decimal, or boolean", string=string(longest=512), number=decimal(), boolean=BOOLEAN),
    longest_key=64,
    most=16,
)
_SEARCH_RESULT = shape(
    {},
    {
        "attributes": _ATTRIBUTES,
        "file_id": TEXT,
        "filename": TEXT,
        "score": decimal(),
        "text": TEXT,
        "vector_store_id": TEXT,
    },
)
_IMAGE_ERROR = shape(
    {"type": TEXT, "message": TEXT},
    {
        "code": TEXT,
        "param": TEXT,
        "moderation_details": shape({}, {"categories": ANY, "moderation_stage": enum("input", "output", "unknown")}),
    },
)
_SVG_USAGE = shape(
    {},
    {
        "model": TEXT,
        "input_tokens": integer(),
        "output_tokens": integer(),
        "reasoning_tokens": integer(),
        "total_tokens": integer(),
    },
)
_CODE_OUTPUT = union_by_tag({"logs": shape({"type": ANY, "logs": TEXT}), "image": shape({"type": ANY, "url": TEXT})})


# --- Items --------------------------------------------------------------------------------------------------------


# Codex sends the last one with every item when it takes a server for OpenAI's own. Spec: F8.6.
_ALWAYS: Fields = {"status": STATUS, "created_by": TEXT, "internal_chat_message_metadata_passthrough": ANY}


def _item(prefix: str | None, required: Fields | None = None, optional: Fields | None = None) -> Schema:
    """An item's shape: its id is optional unless required."""
    identity = identifier(prefix)
    needed = {key: identity if key == "id" else field for key, field in (required or {}).items()}
    extra = {"id": identity, **_ALWAYS, **(optional or {})}
    return shape({"type": ANY, **needed}, {key: field for key, field in extra.items() if key not in needed})


_ID: Fields = {"id": ANY}


def _message(content: Schema, optional: Fields | None = None, *, typed: bool) -> Schema:
    """A message, with or without its `type`. Spec: F8.2, F8.3."""
    required = {"type": ANY} if typed else {}
    members = {"id": identifier("msg"), **_ALWAYS, **(optional or {})}
    return shape({**required, "role": ANY, "content": either(string=_LONG, array=content)}, members)


def _messages(*, typed: bool) -> Fields:
    """The shape of a message by role; only assistants have a `phase`. Spec: E19-E21."""
    asked = _message(USER_CONTENT, typed=typed)
    answered = _message(ASSISTANT_CONTENT, {"phase": _PHASE}, typed=typed)
    return {role: answered if role == "assistant" else asked for role in ROLES}


def _check_sealed(item: dict[str, Any]) -> dict[str, Any]:
    """Reasoning is either readable or encrypted. Spec: E29."""
    content = item.get("content")
    if content and item.get("encrypted_content") is not None:
        raise CrossFieldError(lambda path: validation_errors.array_too_long(f"{path}.content", 0, len(content)))
    return item


def _unbuilt(item: dict[str, Any]) -> dict[str, Any]:
    """Refuse what the service takes and the mock does not do. Spec: R15.8."""
    text = f"The mock does not support '{item['type']}' items."
    raise CrossFieldError(lambda path: MockError(text, status=501, param=path))


_FILE_SEARCH_STATUS = enum("in_progress", "searching", "completed", "incomplete", "failed")
_IMAGE_CALL: Fields = {
    "result": TEXT,
    "action": IMAGE_ACTION,
    "background": IMAGE_BACKGROUND,
    "error": _IMAGE_ERROR,
    "output_format": IMAGE_FORMAT,
    "quality": IMAGE_QUALITY,
    "revised_prompt": TEXT,
    "size": TEXT,
    "svg_usage": _SVG_USAGE,
}
_CONFIGURATION: Fields = {
    "reasoning": shape({}, {"effort": EFFORT}),
    "text": shape({}, {"format": union_by_tag({"text": shape({"type": ANY}), "json_schema": SCHEMA_FORMAT})}),
}
_MCP_CALL: Fields = {
    "approval_request_id": TEXT,
    "error": _MCP_ERROR,
    "output": TEXT,
    "status": enum(*_STD, "calling", "failed"),
}
_CALL: Fields = {"id": ANY, "call_id": _CALL_ID}

ITEMS: Fields = {
    "message": union_by_tag(_messages(typed=True), key="role", values=ROLES),
    "file_search_call": _item(
        "fs", {**_ID, "queries": strings(), "status": _FILE_SEARCH_STATUS}, {"results": array(_SEARCH_RESULT)}
    ),
    "computer_call": _item(
        "cu",
        {**_CALL, "pending_safety_checks": _CHECKS},
        {"action": _COMPUTER_ACTION, "actions": array(_COMPUTER_ACTION)},
    ),
    "computer_call_output": _item(
        "cuo",
        {
            "call_id": _CALL_ID,
            "output": shape(
                {"type": enum("computer_screenshot")},
                {"image_url": TEXT, "file_id": TEXT, "detail": enum("low", "high", "auto", "original")},
            ),
        },
        {"acknowledged_safety_checks": _CHECKS, "status": enum(*_STD, "failed")},
    ),
    "web_search_call": _item("ws", _ID, {"action": _WEB_ACTION, "status": _FILE_SEARCH_STATUS}),
    "function_call": _item(
        "fc",
        {"arguments": TEXT, "call_id": _CALL_ID, "name": _NAME},
        {"async": BOOLEAN, "caller": _CALLER, "namespace": TEXT},
    ),
    "function_call_output": _item(
        "fc", {"output": _OUTPUT}, {"call_id": _CALL_ID, "caller": _CALLER, "name": TEXT, "namespace": _NAMESPACE}
    ),
    "tool_search_call": _item("tsc", {"arguments": ANY}, {"call_id": _CALL_ID, "execution": _EXECUTION}),
    "tool_search_output": _item("tso", {"tools": TOOL_LIST}, {"call_id": _CALL_ID, "execution": _EXECUTION}),
    "additional_tools": _item("at", {"role": enum("developer"), "tools": TOOL_LIST}),
    "configuration_update": _item("cfg", None, _CONFIGURATION),
    "reasoning": with_check(
        _item(
            "rs",
            {"summary": array(shape({"type": enum("summary_text"), "text": _LONG}))},
            {
                "content": array(shape({"type": enum("reasoning_text"), "text": _LONG})),
                "encrypted_content": TEXT,
            },
        ),
        _check_sealed,
    ),
    "compaction": _item("cmp", {"encrypted_content": string(longest=20_971_520)}),
    "image_generation_call": _item(
        # the id is enough: clients drop the image itself before they replay it (Spec: I3)
        "ig",
        _ID,
        {"status": enum("in_progress", "completed", "generating", "failed"), **_IMAGE_CALL},
    ),
    "code_interpreter_call": _item(
        "ci",
        {**_ID, "container_id": TEXT, "status": enum(*_STD, "interpreting", "failed")},
        {"code": TEXT, "outputs": array(_CODE_OUTPUT)},
    ),
    "local_shell_call": _item("lsh", {**_CALL, "action": _EXEC_ACTION}),
    "local_shell_call_output": _item(None, {**_ID, "output": TEXT}),
    "shell_call": _item(
        "sh", {"call_id": _CALL_ID, "action": _SHELL_ACTION}, {"caller": _CALLER, "environment": _SHELL_ENVIRONMENT}
    ),
    "shell_call_output": _item(
        "sho",
        {"call_id": _CALL_ID, "output": array(_SHELL_OUTPUT)},
        {"caller": _CALLER, "max_output_length": integer()},
    ),
    "apply_patch_call": _item(
        "apc",
        {"call_id": _CALL_ID, "operation": _PATCH_OPERATION, "status": enum("in_progress", "completed")},
        {"caller": _CALLER},
    ),
    "apply_patch_call_output": _item(
        "apco", {"call_id": _CALL_ID, "status": enum("completed", "failed")}, {"caller": _CALLER, "output": _LONG}
    ),
    "mcp_list_tools": _item("mcpl", {**_ID, "server_label": TEXT, "tools": array(_MCP_TOOL)}, {"error": ANY}),
    "mcp_approval_request": _item("mcpr", {**_ID, "arguments": TEXT, "name": TEXT, "server_label": TEXT}),
    "mcp_approval_response": _item(None, {"approval_request_id": TEXT, "approve": BOOLEAN}, {"reason": TEXT}),
    "mcp_call": _item("mcp", {**_ID, "arguments": TEXT, "name": TEXT, "server_label": TEXT}, _MCP_CALL),
    "custom_tool_call_output": _item("ctco", {"call_id": _CALL_ID, "output": _OUTPUT}, {"caller": _CALLER}),
    "custom_tool_call": _item(
        "ctc",
        {"call_id": _CALL_ID, "input": TEXT, "name": TEXT},
        {"async": BOOLEAN, "caller": _CALLER, "namespace": TEXT},
    ),
    "compaction_trigger": _item("ctr"),
    "item_reference": shape({"type": ANY, "id": identifier()}),
    "program": _item("cm", {**_CALL, "code": _LONG, "fingerprint": _LONG}),
    "program_output": _item("cmo", {**_CALL, "result": _LONG, "status": enum("completed", "incomplete")}),
    # Of the multi-agent beta only the names are known.
    **dict.fromkeys(
        ("agent_message", "multi_agent_call", "multi_agent_call_output"), with_check(opaque({"type": ANY}), _unbuilt)
    ),
}


def _branch(item: Any) -> str | None:
    """Tell how an item says what it is: by type, by role, or as a lone id. Spec: F8.2, E16, E17."""
    if isinstance(item, dict) and (item.keys() == {"id"} or (item.keys() == {"id", "type"} and item["type"] is None)):
        return "reference"
    return _item_tag(item)


def _item_tag(item: Any) -> str | None:
    if not isinstance(item, dict):
        return None
    return "typed" if "type" in item else "by role"


def item_list(*, longest: int | None = None, without: tuple[str, ...] = ()) -> Schema:
    """An array of input items; `without` names types this endpoint refuses. Spec: E15-E17, F8.10."""
    types = {key: item for key, item in ITEMS.items() if key not in without}
    values = tuple(key for key in ITEM_TYPES if key not in without)
    branches = {
        "typed": union_by_tag(types, values=values, whole="an input item"),
        "by role": union_by_tag(_messages(typed=False), key="role", values=ROLES, whole="an input item"),
    }
    choose = _item_tag
    if "item_reference" not in without:
        branches["reference"] = shape({"id": identifier()}, {"type": {"type": "none"}})
        choose = _branch
    items = choice(branches, choose, expected="an input item")
    return array(items, expected="an array of input items", longest=longest)


INPUT = either(
    "one of a string or array of input items",
    expected_for={type(None): "a string"},
    string=_LONG,
    array=item_list(),
)
