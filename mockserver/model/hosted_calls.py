"""Calls of tools that bring no schema of their own: what a model would call first, the same way every time.

Each type of tool is a function in `_CALLS`; one that a request can force and that is not there is refused loudly.
Spec: R11.8, R11.11, F6, F12, I8.
"""

# How it works. Such a tool is called only when the request forces it. The call is the one that opens such a loop: a
# screenshot, a list of files, a new file; what the user said is put where a model would put it (a query, a prompt).
# Where the service runs the tool itself (a container's shell, an MCP server), it has run without saying anything.
#
# What must stay true:
# * A forced tool is called or refused, never answered with a message (R11.11). What can't be called: a tool of an
#   MCP server that nobody has named, a program (R15.8).
# * Results that a caller has to ask for are there, empty; `present` takes them away from everybody else (I8).

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NoReturn

from mockserver.model.instances import instance
from mockserver.model.prompt import Item, Prompt
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.encoding import json_compact

Tool = Mapping[str, Any]

_LONGEST = 200
_TINY_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
_WITH_SCHEMA = ("function", "custom", "namespace")


def call_hosted(prompt: Prompt, tool: Tool, text: str, name: str | None = None) -> tuple[Item, ...]:
    """The items of a call to a tool, empty when there is no telling what to call.

    `text` is what the user said, `name` the tool of an MCP server that the request forces.
    """
    caller = _CALLS.get(_family(tool))
    return caller(prompt, tool, text[:_LONGEST], name) if caller else ()


def list_hosted_tools(prompt: Prompt) -> list[Tool]:
    """The tools without a schema, of a request that has those which the context loaded too."""
    return [tool for tool in prompt.request.get("tools") or () if tool.get("type") not in _WITH_SCHEMA]


def is_chosen(choice: Mapping[str, Any], tool: Tool) -> bool:
    """Whether a choice means this tool: one of the same kind, under whatever date, and of the same server."""
    if _family(choice) != _family(tool):
        return False
    return choice.get("server_label") == tool.get("server_label")


def refuse(*tools: Tool) -> NoReturn:
    """Raise MockError for forced tools that can't be called. Spec: R11.11."""
    for tool in tools:
        if tool.get("type") == "mcp":
            raise MockError(
                f"The default model can't call the MCP server {tool.get('server_label')!r}: it knows none of its "
                "tools. Name one in tool_choice or allowed_tools, send an mcp_list_tools item, or script the reply.",
                status=501,
                param="tool_choice",
            )
    what = f"the tool {tools[0].get('type')!r}" if tools else "any tool of this request, and tool_choice requires it"
    raise MockError(f"The default model can't call {what}. Script the reply.", status=501, param="tool_choice")


def _family(tool: Tool) -> str:
    kind = str(tool.get("type"))
    return next((family for family in _FAMILIES if kind.startswith(family)), kind)


# dated and older names of one tool begin with these (E47 takes one for the other)
_FAMILIES = ("web_search", "computer")


# --- What the service runs ---------------------------------------------------------------------------------------


def _web_search(prompt: Prompt, tool: Tool, text: str, name: str | None) -> tuple[Item, ...]:
    query = text or "news"
    return ({"type": "web_search_call", "action": {"type": "search", "queries": [query], "query": query}},)


def _file_search(prompt: Prompt, tool: Tool, text: str, name: str | None) -> tuple[Item, ...]:
    return ({"type": "file_search_call", "queries": [text or "overview"], "results": []},)


def _code_interpreter(prompt: Prompt, tool: Tool, text: str, name: str | None) -> tuple[Item, ...]:
    return ({"type": "code_interpreter_call", "code": "print(2 + 2)", "outputs": []},)


def _image_generation(prompt: Prompt, tool: Tool, text: str, name: str | None) -> tuple[Item, ...]:
    return (
        {
            "type": "image_generation_call",
            "background": "opaque",
            "output_format": "png",
            "quality": "low",
            "result": _TINY_PNG,
            "revised_prompt": text or "A single dot.",
            "size": "1024x1024",
        },
    )


def partial_images(prompt: Prompt, index: int) -> dict[str, dict[str, Any]]:
    """The cues for as many partial images as the tool requests. Spec: F12, S8."""
    tools = prompt.request.get("tools") or ()
    number = next((tool.get("partial_images") for tool in tools if tool.get("type") == "image_generation"), None)
    return {str(index): {"partial_images": [_TINY_PNG] * number}} if number else {}


# --- What the client runs ----------------------------------------------------------------------------------------


def _computer(prompt: Prompt, tool: Tool, text: str, name: str | None) -> tuple[Item, ...]:
    """Ask for a screenshot, as every loop begins; the preview has one action, the tool a list. Spec: I1."""
    look: Item = {"type": "screenshot"}
    does: Item = {"actions": [look]} if tool.get("type") == "computer" else {"action": look}
    return ({"type": "computer_call", **does, "pending_safety_checks": []},)


def _shell(prompt: Prompt, tool: Tool, text: str, name: str | None) -> tuple[Item, ...]:
    """List the files; in a container the service does so itself, and finds none."""
    call: Item = {"type": "shell_call", "action": {"commands": ["ls"]}}
    environment = tool.get("environment") or {}
    match environment.get("type"):
        case "container_auto" | "container_reference":
            container = {key: environment[key] for key in ("type", "container_id") if key in environment}
            done: Item = {"outcome": {"type": "exit", "exit_code": 0}, "stderr": "", "stdout": ""}
            return (
                {**call, "environment": {**container, "type": "container_reference"}},
                {"type": "shell_call_output", "output": [done]},
            )
        case "local":
            return ({**call, "environment": {"type": "local"}},)
        case _:
            return (call,)


def _local_shell(prompt: Prompt, tool: Tool, text: str, name: str | None) -> tuple[Item, ...]:
    return ({"type": "local_shell_call", "action": {"type": "exec", "command": ["ls"], "env": {}}},)


def _apply_patch(prompt: Prompt, tool: Tool, text: str, name: str | None) -> tuple[Item, ...]:
    """Create a file that holds what the user said."""
    diff = "".join(f"+{line}\n" for line in text.splitlines() or [""])
    return ({"type": "apply_patch_call", "operation": {"type": "create_file", "diff": diff, "path": "mock.txt"}},)


def _tool_search(prompt: Prompt, tool: Tool, text: str, name: str | None) -> tuple[Item, ...]:
    """Search on the client's side; the service's own search is made only for tools that it finds."""
    if tool.get("execution") != "client":
        return ()
    schema = tool.get("parameters") or {"type": "object"}
    arguments = instance(schema, prompt.seed, every_property=True)
    return ({"type": "tool_search_call", "arguments": arguments, "execution": "client"},)


# --- MCP ---------------------------------------------------------------------------------------------------------


def _mcp(prompt: Prompt, tool: Tool, text: str, name: str | None) -> tuple[Item, ...]:
    """Call a tool of a server, or ask for the approval that it needs; its tools are listed once in a context."""
    label = str(tool.get("server_label"))
    approval = _find_approval(prompt, label)
    if approval is not None:
        named = {"arguments": approval["arguments"], "name": approval["name"]}
        return (_mcp_call(label, named, approval["id"]),)
    listed = _find_listed_tools(prompt, label)
    allowed = _list_allowed(tool)
    known = [str(one["name"]) for one in listed or () if not allowed or one["name"] in allowed] or allowed
    chosen = name or next(iter(known), None)
    if chosen is None:
        return ()
    schema = next((one.get("input_schema") for one in listed or () if one["name"] == chosen), None)
    arguments = instance(schema, prompt.seed, every_property=True) if schema else {}
    named = {"arguments": json_compact(arguments).decode(), "name": chosen}
    opening = () if listed is not None else (_listing(label, allowed or [chosen]),)
    if _needs_approval(tool.get("require_approval"), chosen):
        return (*opening, {"type": "mcp_approval_request", **named, "server_label": label})
    return (*opening, _mcp_call(label, named, None))


def _mcp_call(label: str, named: Mapping[str, str], approval: str | None) -> Item:
    return {
        "type": "mcp_call",
        "approval_request_id": approval,
        **named,
        "error": None,
        "output": "",
        "server_label": label,
    }


def _listing(label: str, names: Iterable[str]) -> Item:
    """The list of a server's tools, as far as the request names them."""
    tools = [
        {"annotations": None, "description": None, "input_schema": {"type": "object"}, "name": name} for name in names
    ]
    return {"type": "mcp_list_tools", "server_label": label, "tools": tools}


def _find_listed_tools(prompt: Prompt, label: str) -> list[Mapping[str, Any]] | None:
    """The tools of a server that the context lists, None when it lists none."""
    for item in prompt.newest_first():
        if item.get("type") == "mcp_list_tools" and item.get("server_label") == label and not item.get("error"):
            return list(item.get("tools") or ())
    return None


def _list_allowed(tool: Tool) -> list[str]:
    allowed = tool.get("allowed_tools") or ()
    return list((allowed.get("tool_names") or ()) if isinstance(allowed, Mapping) else allowed)


def _needs_approval(asked: Any, name: str) -> bool:
    """Whether a call waits for the user; without a word every call does. Spec: F12."""
    if not isinstance(asked, Mapping):
        return asked != "never"
    if name in ((asked.get("never") or {}).get("tool_names") or ()):
        return False
    return "never" in asked or name in ((asked.get("always") or {}).get("tool_names") or ())


def _find_approval(prompt: Prompt, label: str) -> Mapping[str, Any] | None:
    """The request for approval that this turn's input grants, None when it grants none for the server."""
    granted = {
        item["approval_request_id"]
        for item in prompt.input
        if item.get("type") == "mcp_approval_response" and item.get("approve")
    }
    if not granted:
        return None
    requests = (item for item in prompt.newest_first() if item.get("type") == "mcp_approval_request")
    return next((one for one in requests if one.get("id") in granted and one.get("server_label") == label), None)


_CALLS: Mapping[str, Callable[[Prompt, Tool, str, str | None], tuple[Item, ...]]] = {
    "apply_patch": _apply_patch,
    "code_interpreter": _code_interpreter,
    "computer": _computer,
    "file_search": _file_search,
    "image_generation": _image_generation,
    "local_shell": _local_shell,
    "mcp": _mcp,
    "shell": _shell,
    "tool_search": _tool_search,
    "web_search": _web_search,
}
