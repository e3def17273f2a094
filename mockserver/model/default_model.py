"""The model that answers when no script does: it echoes, calls tools and fills schemas, the same way every time.

Spec: R10.5, R11.1, R11.3, R11.11, R15.9, T8.
"""

# How it works. The prompt decides what kind of answer it is: a call when a tool is forced or its name fits what
# the user said, an instance when the format has a schema, else an echo. All that varies is drawn from the prompt's
# seed, which names the project, the call and the purpose; so the same run gives the same answers, and another
# call another.
#
# What must stay true:
# * Every answer fits: arguments and JSON are valid under their schemas, and no reply is longer than the
#   request's limit.
# * Reasoning tokens of models that report multiples of 64 are multiples of 64, so that both ways of billing agree
#   (T8).

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mockserver.model.hosted_calls import (
    call_hosted,
    is_chosen,
    list_hosted_tools,
    partial_images,
    refuse,
)
from mockserver.model.instances import instance, matching
from mockserver.model.output_limit import output_limit, truncate_to_limit
from mockserver.model.prompt import Item, Prompt, Reply
from mockserver.model.seeded_random import draw
from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.responses.resources import assistant_message, item_text, text_part
from mockserver.wire.tokens.context import ROUNDING, output_tokens
from mockserver.wire.tokens.tokenizer import count

Tool = Mapping[str, Any]

# Units of reasoning by effort, least and most; a unit is 8 tokens, or 64 for models that report multiples of it.
_EFFORT_UNITS: Mapping[str, tuple[int, int]] = {
    "minimal": (1, 2),
    "low": (1, 4),
    "medium": (2, 8),
    "high": (4, 16),
    "xhigh": (8, 32),
    "max": (16, 64),
}
_UNIT = 8
_STOP_TEXT = """
about all also and any are but call calls can could did does for from function get give given has have her him
his how into its just let like make may need not now off one our out over please result results return returns
run set she should some tell than that the their them then there these they this tool use using value values
was way were what when where which who why will with would you your
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORDS = re.compile(r"[^\W_]+")


class SeededModel:
    """The default model; it stores nothing, all variation comes from the prompt's seed."""

    may_be_asked_again = True

    def respond(self, prompt: Prompt) -> Reply:
        """The reply: a forced or fitting tool call, else an instance of the format, else an echo.

        Raises MockError where a tool is forced that this model can't call.
        """
        return respond_with(prompt, default_text)


def respond_with(prompt: Prompt, say: Callable[[Prompt], str], *, may_call: bool = True) -> Reply:
    """The reply with a text of another model, which calls tools that nobody forces only if it may.

    Raises MockError where a tool is forced that can't be called.
    """
    answer = _choose_calls(prompt, may_call) or (_message(prompt, say),)
    reply = _with_reasoning(prompt, answer)
    if answer[0]["type"] == "image_generation_call":
        reply = reply._replace(cues=partial_images(prompt, len(reply.output) - 1))
    return truncate_to_limit(reply, prompt, count)


def last_user_text(prompt: Prompt) -> str:
    """The text of the newest user message in the context, empty when there is none."""
    own = prompt.input
    if own and own[-1].get("role") == "user":  # as nearly always; the walk would have to be set up
        return item_text(own[-1])
    return next((item_text(item) for item in prompt.newest_first() if item.get("role") == "user"), "")


def default_text(prompt: Prompt) -> str:
    """The text of an unscripted answer."""
    return echo(last_user_text(prompt), prompt.item_count)


def echo(text: str, item_count: int) -> str:
    """What is said to a text, as the last of so many items."""
    return f"Mock reply to: {text} [{item_count} items in context]"


def _message(prompt: Prompt, say: Callable[[Prompt], str]) -> Item:
    text = say(prompt)
    text_format = (prompt.request.get("text") or {}).get("format") or {}
    kind = text_format.get("type")
    if kind == "json_schema":
        text = _compact(instance(text_format.get("schema"), prompt.seed, every_property=True))
    elif kind == "json_object":
        text = _compact({"reply": text})
    return assistant_message(prompt.model, text_part(text))


def _compact(value: Any) -> str:
    return json_compact(value).decode()


# --- Reasoning ---------------------------------------------------------------------------------------------------


def _with_reasoning(prompt: Prompt, answer: tuple[Item, ...]) -> Reply:
    """Put a reasoning item first; where the cap is tight, thinking gives way to the answer."""
    if not prompt.model.reasoning:
        return Reply(output=answer)
    reasoning = prompt.request.get("reasoning") or {}
    drawn = _draw_reasoning(prompt, str(reasoning.get("effort") or prompt.model.default_effort))
    if not drawn:
        return Reply(output=answer)
    item = reasoning_item(_thought(prompt) if reasoning.get("summary") else None)
    room = output_limit(prompt) - output_tokens((item, *answer), 0, prompt.request, prompt.model, count)
    unit = ROUNDING if prompt.model.rounds_reasoning else 1
    tokens = min(drawn, room) // unit * unit
    return Reply(output=(item, *answer), reasoning_tokens=tokens) if tokens > 0 else Reply(output=answer)


def _draw_reasoning(prompt: Prompt, effort: str) -> int:
    """The reasoning tokens of this turn, 0 when the model does not reason. Spec: T8, R12.1."""
    if effort not in _EFFORT_UNITS:
        return 0
    least, most = _EFFORT_UNITS[effort]
    unit = ROUNDING if prompt.model.rounds_reasoning else _UNIT
    return unit * (least + draw(prompt.seed + "/reasoning", most - least + 1))


def reasoning_item(summary: str | None) -> Item:
    """A reasoning item, with one summary part when there is a summary. Spec: R12.2."""
    parts = [{"type": "summary_text", "text": summary}] if summary is not None else []
    return {"type": "reasoning", "summary": parts}


def _thought(prompt: Prompt) -> str:
    text = last_user_text(prompt)
    return f"**Reading the request**\n\nThe user says: {text[:200]}" if text else "**Reading the context**"


def thinking_tokens(prompt: Prompt, text: str) -> int:
    """The hidden tokens of a scripted reasoning text, as the model would count them. Spec: T8."""
    tokens = max(count(text), 1)
    return -(-tokens // ROUNDING) * ROUNDING if prompt.model.rounds_reasoning else tokens


# --- Tools -------------------------------------------------------------------------------------------------------

Named = tuple[Tool, str | None]


def _callable(tools: Iterable[Tool]) -> list[Named]:
    """The function and custom tools, those of namespaces with the namespace's name."""
    callables: list[Named] = []
    for tool in tools:
        if tool.get("type") == "namespace":
            callables.extend((inner, tool.get("name")) for inner in tool.get("tools") or ())
        elif tool.get("type") in ("function", "custom"):
            callables.append((tool, None))
    return callables


def _available_tools(prompt: Prompt) -> list[Named]:
    """The callable tools of the request, which has those that the context loaded too. Spec: R11.7."""
    tools = prompt.request.get("tools")
    return _callable(tools) if tools else []


def _choose_calls(prompt: Prompt, may_call: bool) -> tuple[Item, ...]:
    """The calls to make, empty to answer with text. Spec: R11.1, R11.11, R15.9."""
    choice = prompt.request.get("tool_choice") or "auto"
    tools = _available_tools(prompt)
    if not tools and choice == "auto":
        return ()
    allowed: Sequence[Tool] | None = None
    if isinstance(choice, Mapping):
        if choice.get("type") != "allowed_tools":
            return _call_forced(prompt, choice, tools)
        allowed = choice.get("tools") or ()
        tools = [named for named in tools if any(_names(entry, named) for entry in allowed)]
        choice = choice.get("mode") or "auto"
    if choice == "required":
        return _call_any(prompt, tools, allowed)
    fitting = _fitting(prompt, _without_deferred(tools)) if choice == "auto" and may_call else None
    return (_call(prompt, *fitting),) if fitting else ()


def _without_deferred(tools: list[Named]) -> list[Named]:
    """The tools that the model has read; the others wait for a tool search. Spec: R11.8."""
    return [named for named in tools if named[0].get("defer_loading") is not True]


def _names(choice: Mapping[str, Any], named: Named) -> bool:
    tool, namespace = named
    if choice.get("type") == "namespace":
        return choice.get("name") == namespace
    same_space = choice.get("namespace") in (None, namespace)
    return choice.get("type") == tool.get("type") and choice.get("name") == tool.get("name") and same_space


def _call_forced(prompt: Prompt, choice: Mapping[str, Any], tools: list[Named]) -> tuple[Item, ...]:
    """The call of the one tool that the request forces. Spec: R11.11."""
    if choice.get("type") != "mcp" and choice.get("name"):
        same_name = [named for named in tools if named[0].get("name") == choice["name"]]
        named = next((named for named in same_name if _names(choice, named)), next(iter(same_name), None))
        if named:
            return (_call(prompt, *named),)
    hosted = next((tool for tool in list_hosted_tools(prompt) if is_chosen(choice, tool)), choice)
    return call_hosted(prompt, hosted, last_user_text(prompt), choice.get("name")) or refuse(choice)


def _call_any(prompt: Prompt, tools: list[Named], allowed: Sequence[Tool] | None) -> tuple[Item, ...]:
    """The call of a function or custom tool, else of a hosted one, else of one that a search loads. Spec: R11.11."""
    loaded = _without_deferred(tools)
    if loaded:
        return (_call(prompt, *_next_tool(prompt, loaded)),)
    offered = list_hosted_tools(prompt)
    hosted = [tool for tool in offered if allowed is None or any(is_chosen(entry, tool) for entry in allowed)]
    for tool in hosted:
        calls = call_hosted(prompt, tool, last_user_text(prompt))
        if calls:
            return calls
    return _search_and_call(prompt, *tools[0]) if tools else refuse(*hosted)


def _search_and_call(prompt: Prompt, tool: Tool, namespace: str | None) -> tuple[Item, ...]:
    """The search for a tool that is not loaded yet, and its call where the server searches. Spec: R11.7, R11.8."""
    search = next((one for one in list_hosted_tools(prompt) if one.get("type") == "tool_search"), None)
    if search is None:
        return (_call(prompt, tool, namespace),)
    if search.get("execution") == "client":
        return call_hosted(prompt, search, last_user_text(prompt))
    return (
        {"type": "tool_search_call", "arguments": {"paths": [namespace or tool.get("name")]}, "execution": "server"},
        {"type": "tool_search_output", "execution": "server", "tools": [_find_definition(prompt, tool, namespace)]},
        _call(prompt, tool, namespace or str(tool.get("name"))),
    )


def _find_definition(prompt: Prompt, tool: Tool, namespace: str | None) -> dict[str, Any]:
    """A tool as the request defines it, in its namespace where it has one."""
    sent = prompt.request.get("tools") or ()
    spaces = (one for one in sent if one.get("type") == "namespace" and one.get("name") == namespace)
    return next(({**space, "tools": [dict(tool)]} for space in spaces), dict(tool))


def _recent_call_names(prompt: Prompt) -> list[str]:
    """The names of tools called since the last user message, newest first."""
    names = []
    for item in prompt.newest_first():
        if item.get("role") == "user":
            break
        if item.get("type") in ("function_call", "custom_tool_call"):
            names.append(str(item.get("name")))
    return names


def _next_tool(prompt: Prompt, tools: list[Named]) -> Named:
    """Take the first tool not called since the last user message, else the last. Spec: R15.9."""
    called = _recent_call_names(prompt)
    return next((candidate for candidate in tools if candidate[0].get("name") not in called), tools[-1])


def _fitting(prompt: Prompt, tools: list[Named]) -> Named | None:
    """Take a tool that shares a word with the last user text and was not called since. Spec: R15.9."""
    words = _words(last_user_text(prompt)) if tools else frozenset()
    called = _recent_call_names(prompt) if words else []
    for tool, namespace in tools:
        about = _words(f"{tool.get('name')} {tool.get('description') or ''}")
        if words & about and tool.get("name") not in called:
            return tool, namespace
    return None


def _words(text: str) -> frozenset[str]:
    words = (word.lower() for word in _WORDS.findall(_HUMP.sub(" ", text)))
    return frozenset(word for word in words if len(word) >= 3 and word not in _STOP_WORDS)


def _call(prompt: Prompt, tool: Tool, namespace: str | None) -> Item:
    kind = str(tool.get("type"))
    item: Item = {"type": "function_call", "arguments": "{}", "name": tool.get("name")}
    if kind == "custom":
        item = {"type": "custom_tool_call", "input": _custom_input(prompt, tool), "name": tool.get("name")}
    elif tool.get("parameters"):
        every = tool.get("strict") is not False
        item["arguments"] = _compact(instance(tool["parameters"], prompt.seed, every_property=every))
    if namespace:
        item["namespace"] = namespace
    return item


def _custom_input(prompt: Prompt, tool: Tool) -> str:
    form = tool.get("format") or {}
    text = matching(str(form.get("definition")), prompt.seed) if form.get("syntax") == "regex" else None
    return text if text is not None else last_user_text(prompt)
