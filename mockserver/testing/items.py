"""Builders for scripted replies, in the API's own names: output items, and replies that are no items.

Every function returns plain JSON, as in a scenario file; the turn fills in ids, statuses, call ids and other members
that are left out. `members` are further members of the item, under the API's names. Mistakes are found when the reply
is queued.
"""

# What must stay true: a function here adds no default that the mock would fill in itself; it only drops what
# was left out. So a reply written in Python and the same reply in a scenario file give the same bytes.

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mockserver.wire.errors.api import MockError

Item = dict[str, Any]
Said = dict[str, Any]
# what a test may reply with: a text, an item or a reply, or a list of texts and items
ReplySource = str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]]


def _item(type: str, members: Mapping[str, Any], **given: Any) -> Item:
    return {"type": type, **{key: value for key, value in given.items() if value is not None}, **members}


# --- What the model says -----------------------------------------------------------------------------------------


def message(text: str, *, phase: str | None = None, **members: Any) -> Item:
    """A message of the assistant; `phase` is commentary or final_answer."""
    return _item("message", members, text=text, phase=phase)


def refusal(text: str, **members: Any) -> Item:
    """A message with a refusal."""
    return _item("message", members, content=[{"type": "refusal", "refusal": text}])


def reasoning(summary: str | Sequence[str] = "", *, content: str | None = None, **members: Any) -> Item:
    """A reasoning item with the parts of its summary; `content` is reasoning in the open, as some models give it."""
    parts = [summary] if isinstance(summary, str) else list(summary)
    return _item("reasoning", members, summary=[part for part in parts if part], content=content and [content])


def compaction(**members: Any) -> Item:
    """A compaction item; `compacting` is how many events its stream spends on it."""
    return _item("compaction", members)


# --- Calls that the client answers -------------------------------------------------------------------------------


def function_call(name: str, arguments: Mapping[str, Any] | str = "{}", **members: Any) -> Item:
    """A call of a function tool; `arguments` is an object, or any text where the model errs."""
    return _item("function_call", members, name=name, arguments=_plain(arguments))


def custom_tool_call(name: str, input: str = "", **members: Any) -> Item:
    """A call of a custom tool, whose input is free text."""
    return _item("custom_tool_call", members, name=name, input=input)


def computer_call(*actions: Mapping[str, Any], **members: Any) -> Item:
    """Steps on a computer, such as `{"type": "click", "button": "left", "x": 1, "y": 2}`; one alone is the `action`."""
    steps = [dict(action) for action in actions]
    return _item("computer_call", members, action=steps[0]) if len(steps) == 1 else _several(steps, members)


def _several(actions: list[Item], members: Mapping[str, Any]) -> Item:
    return _item("computer_call", members, actions=actions or None)


def shell_call(*commands: str, **members: Any) -> Item:
    """Commands for a shell."""
    return _item("shell_call", members, action={"commands": list(commands)})


def local_shell_call(*command: str, env: Mapping[str, str] | None = None, **members: Any) -> Item:
    """One command for the shell of the older local_shell tool, word by word."""
    return _item("local_shell_call", members, action={"type": "exec", "command": list(command), "env": dict(env or {})})


def apply_patch_call(operation: str, path: str, diff: str | None = None, **members: Any) -> Item:
    """A change of a file: create_file, update_file (both with a `diff`) or delete_file."""
    change = {"type": operation, "path": path, "diff": diff}
    return _item(
        "apply_patch_call", members, operation={key: value for key, value in change.items() if value is not None}
    )


def mcp_approval_request(
    name: str, arguments: Mapping[str, Any] | str = "{}", *, server_label: str | None = None, **members: Any
) -> Item:
    """A request for approval to call a tool of an MCP server."""
    return _item("mcp_approval_request", members, name=name, arguments=_plain(arguments), server_label=server_label)


# --- Calls that the service runs itself --------------------------------------------------------------------------


def web_search_call(*queries: str, sources: Sequence[str] = (), **members: Any) -> Item:
    """A search of the web, with the URLs it found; another `action` may be given instead, such as open_page."""
    action: Item = {"type": "search", "query": queries[0] if queries else "", "queries": list(queries)}
    if sources:
        action["sources"] = [{"type": "url", "url": url} for url in sources]
    return _item("web_search_call", members, action=action)


def file_search_call(*queries: str, results: Sequence[Mapping[str, Any]] | None = None, **members: Any) -> Item:
    """A search of vector stores; `results` hold file_id, filename, score, text, attributes."""
    hits = None if results is None else [dict(result) for result in results]
    return _item("file_search_call", members, queries=list(queries), results=hits)


def code_interpreter_call(code: str, *, logs: str | None = None, **members: Any) -> Item:
    """A run of code and what it printed; `outputs` may be given instead of `logs`."""
    outputs = None if logs is None else [{"type": "logs", "logs": logs}]
    return _item("code_interpreter_call", members, code=code, outputs=outputs)


def image_generation_call(result: str | None = None, *, partial_images: Sequence[str] = (), **members: Any) -> Item:
    """An image in base64, and the partial images that its stream shows."""
    return _item("image_generation_call", members, result=result, partial_images=list(partial_images) or None)


def mcp_call(
    name: str,
    arguments: Mapping[str, Any] | str = "{}",
    *,
    output: str | None = None,
    error: str | None = None,
    server_label: str | None = None,
    **members: Any,
) -> Item:
    """A call of an MCP server's tool, and its `output` or its `error`."""
    optional = {"output": output, "error": error, "server_label": server_label}
    return _item("mcp_call", members, name=name, arguments=_plain(arguments), **optional)


def mcp_list_tools(*tools: Mapping[str, Any], server_label: str | None = None, **members: Any) -> Item:
    """The tools of an MCP server, each with name, input_schema, description."""
    return _item("mcp_list_tools", members, tools=[dict(tool) for tool in tools], server_label=server_label)


def tool_search_call(arguments: Mapping[str, Any] | None = None, **members: Any) -> Item:
    """A search for tools with deferred loading."""
    return _item("tool_search_call", members, arguments=dict(arguments or {}))


def program(code: str, **members: Any) -> Item:
    """A program that calls tools."""
    return _item("program", members, code=code)


def _plain(arguments: Mapping[str, Any] | str) -> Item | str:
    return arguments if isinstance(arguments, str) else dict(arguments)


# --- Replies that are no items -----------------------------------------------------------------------------------


def error(
    code: str | None = None,
    *,
    status: int | None = None,
    message: str | None = None,
    type: str | None = None,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Said:
    """An HTTP error in place of a response: one of the API by its code, or written out. Nothing is stored."""
    known = {"code": code, "status": status, "message": message, "type": type, "param": param}
    body: Said = {key: value for key, value in known.items() if value is not None}
    return {"error": body | ({"headers": dict(headers)} if headers else {})}


def failed(code: str = "server_error", message: str | None = None) -> Said:
    """A response that starts and fails."""
    return {"failed": {"code": code} | ({} if message is None else {"message": message})}


def incomplete(reason: str = "max_output_tokens", text: str | None = None) -> Said:
    """A response that is cut short, for max_output_tokens or by the content_filter; `text` is the text before."""
    return {"incomplete": reason} | ({} if text is None else {"text": text})


def structured(value: Any) -> Said:
    """A structured output: the JSON of a value."""
    return {"json": value}


# --- From a test's reply to a scripted line ------------------------------------------------------------------------


def line_of(reply: Any) -> dict[str, Any]:
    """The scripted line for one turn.

    Takes a text, an item, a list of items and texts, a reply as in a scenario file, or a whole line with `when`; raises
    MockError for anything else.
    """
    if isinstance(reply, Mapping) and "reply" in reply:
        return dict(reply)
    return {"reply": _reply(reply)}


def _reply(reply: Any) -> dict[str, Any]:
    if isinstance(reply, str):
        return {"text": reply}
    if isinstance(reply, Mapping):
        return {"output": [dict(reply)]} if "type" in reply else dict(reply)
    if isinstance(reply, Sequence):
        return {"output": [message(item) if isinstance(item, str) else item for item in reply]}
    kind = type(reply).__name__
    raise MockError(f"A reply must be a string, an item, a list of items or a scripted reply, not {kind}.")
