"""Calls of tools without a schema of their own: forced, they are made, or refused loudly. Spec: R11.8, R11.11, F6."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.model.default_model import SeededModel
from mockserver.wire.errors.api import MockError
from tests.support.driving import Driver
from tests.support.prompts import prompt, user

ASKED = user("tidy up my files")
FUNCTION = {"type": "function", "name": "lookup", "parameters": {"type": "object", "properties": {}}}
DEFERRED = {**FUNCTION, "name": "later", "defer_loading": True}
SERVER = {"type": "mcp", "server_label": "wiki", "server_url": "https://wiki.example/mcp"}
LISTED = {
    "type": "mcp_list_tools",
    "id": "mcpl_1",
    "server_label": "wiki",
    "tools": [
        {
            "name": "read",
            "input_schema": {"type": "object", "properties": {"page": {"type": "integer"}}, "required": ["page"]},
        },
        {"name": "write", "input_schema": {"type": "object"}},
    ],
}


def calls(*items: dict[str, Any], **request: Any) -> list[dict[str, Any]]:
    return list(SeededModel().respond(prompt(*(items or (ASKED,)), **request)).output)


def forced(tool: dict[str, Any], choice: dict[str, Any] | None = None, *items: dict[str, Any]) -> list[dict[str, Any]]:
    return calls(*items, tools=[tool], tool_choice=choice or {"type": tool["type"]})


LOOK = {"type": "screenshot"}
SHELL = {"type": "shell_call", "action": {"commands": ["ls"]}}
RAN = {
    "type": "shell_call_output",
    "output": [{"outcome": {"type": "exit", "exit_code": 0}, "stderr": "", "stdout": ""}],
}

# name → tool, what forces it, the calls (Spec: I1 has their members)
FORCED: dict[str, tuple[dict[str, Any], Any, list[dict[str, Any]]]] = {
    "computer": (
        {"type": "computer"},
        None,
        [{"type": "computer_call", "actions": [LOOK], "pending_safety_checks": []}],
    ),
    "computer, by its older name": (
        {"type": "computer"},
        {"type": "computer_use"},
        [{"type": "computer_call", "actions": [LOOK], "pending_safety_checks": []}],
    ),
    "computer_use_preview": (
        {"type": "computer_use_preview", "display_height": 1, "display_width": 1, "environment": "linux"},
        None,
        [{"type": "computer_call", "action": LOOK, "pending_safety_checks": []}],
    ),
    "shell": ({"type": "shell"}, None, [SHELL]),
    "shell of the client": (
        {"type": "shell", "environment": {"type": "local"}},
        None,
        [{**SHELL, "environment": {"type": "local"}}],
    ),
    "shell in a container": (
        {"type": "shell", "environment": {"type": "container_auto", "memory_limit": "1g"}},
        None,
        [{**SHELL, "environment": {"type": "container_reference"}}, RAN],
    ),
    "shell in a container of the client's": (
        {"type": "shell", "environment": {"type": "container_reference", "container_id": "cntr_1"}},
        None,
        [{**SHELL, "environment": {"type": "container_reference", "container_id": "cntr_1"}}, RAN],
    ),
    "local_shell": (
        {"type": "local_shell"},
        "required",
        [{"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}}],
    ),
    "apply_patch": (
        {"type": "apply_patch"},
        None,
        [
            {
                "type": "apply_patch_call",
                "operation": {"type": "create_file", "diff": "+tidy up my files\n", "path": "mock.txt"},
            }
        ],
    ),
    "file_search": (
        {"type": "file_search", "vector_store_ids": ["vs_1"]},
        None,
        [{"type": "file_search_call", "queries": ["tidy up my files"], "results": []}],
    ),
    "web_search": (
        {"type": "web_search_2025_08_26"},
        {"type": "web_search"},
        [
            {
                "type": "web_search_call",
                "action": {"type": "search", "queries": ["tidy up my files"], "query": "tidy up my files"},
            }
        ],
    ),
    "code_interpreter": (
        {"type": "code_interpreter", "container": {"type": "auto"}},
        None,
        [{"type": "code_interpreter_call", "code": "print(2 + 2)", "outputs": []}],
    ),
    "tool_search of the client": (
        {
            "type": "tool_search",
            "execution": "client",
            "parameters": {"type": "object", "properties": {"limit": {"type": "integer", "minimum": 3, "maximum": 3}}},
        },
        "required",
        [{"type": "tool_search_call", "arguments": {"limit": 3}, "execution": "client"}],
    ),
}


@pytest.mark.parametrize("name", FORCED)
def test_R11_11_a_forced_tool_is_called(name: str) -> None:
    tool, choice, expected = FORCED[name]
    made = calls(tools=[tool], tool_choice=choice or {"type": tool["type"]})
    assert made == expected
    assert calls(tools=[tool], tool_choice="required") == expected, "it is the only one there is"


@pytest.mark.parametrize("name", FORCED)
def test_tools_without_a_schema_are_called_only_when_forced(name: str) -> None:
    [item] = calls(tools=[FORCED[name][0]])
    assert item["type"] == "message"


def test_a_patch_of_several_lines_adds_each() -> None:
    [item] = forced({"type": "apply_patch"}, None, user("a\nb"))
    assert item["operation"]["diff"] == "+a\n+b\n"
    [bare] = forced({"type": "apply_patch"}, None, user(""))
    assert bare["operation"]["diff"] == "+\n"


# --- MCP: list once, ask for approval where it is needed, then call ----------------------------------------------


def test_R11_11_a_forced_mcp_tool_is_listed_and_called() -> None:
    choice = {"type": "mcp", "server_label": "wiki", "name": "read"}
    listing, call = forced({**SERVER, "require_approval": "never"}, choice)
    assert (listing["type"], listing["server_label"]) == ("mcp_list_tools", "wiki")
    assert [tool["name"] for tool in listing["tools"]] == ["read"]
    assert call == {
        "type": "mcp_call",
        "approval_request_id": None,
        "arguments": "{}",
        "name": "read",
        "error": None,
        "output": "",
        "server_label": "wiki",
    }


def test_F12_without_a_word_a_call_waits_for_approval() -> None:
    choice = {"type": "mcp", "server_label": "wiki", "name": "read"}
    _, asked = forced(SERVER, choice)
    assert asked == {"type": "mcp_approval_request", "arguments": "{}", "name": "read", "server_label": "wiki"}
    granted = {"type": "mcp_approval_response", "approval_request_id": "mcpr_1", "approve": True}
    request = {**asked, "id": "mcpr_1", "arguments": '{"page":1}'}
    [call] = forced(SERVER, choice, LISTED, request, granted)
    assert (call["type"], call["approval_request_id"], call["arguments"]) == ("mcp_call", "mcpr_1", '{"page":1}')
    [again] = forced(SERVER, choice, LISTED, request, {**granted, "approve": False})
    assert again["type"] == "mcp_approval_request"
    elsewhere = {**request, "server_label": "other"}
    assert forced(SERVER, choice, LISTED, elsewhere, granted)[0]["type"] == "mcp_approval_request"


@pytest.mark.parametrize(
    ("rule", "waits"),
    [
        ("never", False),
        ("always", True),
        ({"never": {"tool_names": ["read"]}}, False),
        ({"never": {"tool_names": ["write"]}}, True),
        ({"always": {"tool_names": ["read"]}}, True),
        ({"always": {"tool_names": ["write"]}}, False),
    ],
)
def test_which_calls_wait_for_approval(rule: Any, waits: bool) -> None:
    choice = {"type": "mcp", "server_label": "wiki", "name": "read"}
    last = forced({**SERVER, "require_approval": rule}, choice)[-1]
    assert (last["type"] == "mcp_approval_request") is waits


def test_a_server_is_called_by_what_is_known_of_its_tools() -> None:
    choice = {"type": "mcp", "server_label": "wiki"}
    open_server = {**SERVER, "require_approval": "never"}
    [call] = forced(open_server, choice, LISTED, ASKED)
    assert call["name"] == "read" and call["arguments"].startswith('{"page":')
    [other] = forced({**open_server, "allowed_tools": ["write"]}, choice, LISTED, ASKED)
    assert other["name"] == "write"
    for allowed in (["find", "get"], {"tool_names": ["find", "get"]}):
        listing, first = forced({**open_server, "allowed_tools": allowed}, choice)
        assert [tool["name"] for tool in listing["tools"]] == ["find", "get"] and first["name"] == "find"


def test_the_server_that_is_forced_is_called() -> None:
    tools = [{**SERVER, "allowed_tools": ["a"]}, {**SERVER, "server_label": "shop", "allowed_tools": ["b"]}]
    made = calls(tools=tools, tool_choice={"type": "mcp", "server_label": "shop"})
    assert {item["server_label"] for item in made} == {"shop"}


# --- What can't be called, and says so ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"tools": [SERVER], "tool_choice": {"type": "mcp", "server_label": "wiki"}}, "MCP server 'wiki'"),
        ({"tools": [SERVER], "tool_choice": "required"}, "MCP server 'wiki'"),
        (
            {
                "tools": [{"type": "programmatic_tool_calling"}],
                "tool_choice": {"type": "programmatic_tool_calling"},
            },
            "tool 'programmatic_tool_calling'",
        ),
        ({"tool_choice": "required"}, "any tool of this request"),
        (
            {
                "tools": [FUNCTION, {"type": "computer"}],
                "tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "shell"}]},
            },
            "any tool of this request",
        ),
    ],
)
def test_R11_11_what_can_not_be_called_is_refused(request_: dict[str, Any], said: str) -> None:
    with pytest.raises(MockError) as refused:
        calls(**request_)
    assert said in refused.value.message and "cript the reply" in refused.value.message
    assert (refused.value.status, refused.value.param) == (501, "tool_choice")


def test_required_takes_the_first_tool_that_can_be_called() -> None:
    assert calls(tools=[SERVER, {"type": "shell"}], tool_choice="required") == [SHELL]
    assert calls(tools=[{"type": "shell"}, FUNCTION], tool_choice="required")[0]["name"] == "lookup"
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "apply_patch"}]}
    tools = [{"type": "shell"}, {"type": "apply_patch"}]
    assert calls(tools=tools, tool_choice=allowed)[0]["type"] == "apply_patch_call"


def test_a_forced_function_is_found_under_another_type_too() -> None:
    assert calls(tools=[FUNCTION], tool_choice={"type": "custom", "name": "lookup"})[0]["name"] == "lookup"


def test_R11_8_what_an_older_turn_has_loaded_is_called() -> None:
    drive = Driver()
    loaded = {"type": "additional_tools", "role": "developer", "tools": [FUNCTION]}
    first = drive.create([loaded, ASKED], model="gpt-5.4", tool_choice="none")
    [call] = drive.create("now", model="gpt-5.4", previous_response_id=first["id"], tool_choice="required")["output"]
    assert (call["name"], call["namespace"]) == ("lookup", "lookup")
    brought = [{**loaded, "tools": [{"type": "shell"}]}, ASKED]
    [call] = drive.create(brought, model="gpt-5.4", tool_choice={"type": "shell"})["output"]
    assert call["type"] == "shell_call"


# --- Tools that wait for a search --------------------------------------------------------------------------------


def test_R11_8_a_required_tool_that_is_not_loaded_is_searched_first() -> None:
    search, found, call = calls(tools=[{"type": "tool_search"}, DEFERRED], tool_choice="required")
    assert search == {"type": "tool_search_call", "arguments": {"paths": ["later"]}, "execution": "server"}
    assert found == {"type": "tool_search_output", "execution": "server", "tools": [DEFERRED]}
    assert (call["type"], call["name"], call["namespace"]) == ("function_call", "later", "later")


def test_R11_8_a_tool_in_a_namespace_is_found_with_it() -> None:
    space = {"type": "namespace", "name": "crm", "description": "d", "tools": [DEFERRED]}
    search, found, call = calls(tools=[{"type": "tool_search"}, space], tool_choice="required")
    assert search["arguments"] == {"paths": ["crm"]} and found["tools"] == [space] and call["namespace"] == "crm"


def test_R11_8_the_client_searches_for_itself() -> None:
    tools = [{"type": "tool_search", "execution": "client"}, DEFERRED]
    [search] = calls(tools=tools, tool_choice="required")
    assert (search["type"], search["execution"]) == ("tool_search_call", "client")
    [call] = calls(tools=[DEFERRED], tool_choice="required")
    assert call["name"] == "later", "nobody can search for it"
