"""The model that answers when no script does: it echoes, calls tools and fills schemas, the same way every time.

`truncate_to_limit` cuts any reply, scripted or not, to `max_output_tokens`.
Spec: R7.5, R7.6, R10.5, R11.1, R11.3, R15.9, T8.
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
# * A cap cuts text at a token's end, and a call not at all: half of its arguments would be no JSON.

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from mockserver.model.json_instances.generate import instance
from mockserver.model.json_instances.strings import matching
from mockserver.model.prompt import Item, Prompt, Reply
from mockserver.model.seeded_random import draw
from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.responses.resources import item_text
from mockserver.wire.tokens.context import ROUNDING, output_tokens
from mockserver.wire.tokens.tokenizer import count, pieces
from mockserver.wire.tokens.tools import Count

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
_new = tuple.__new__  # makes one as Reply(...) does, without a call of Python's
_STOP_TEXT = """
about all also and any are but call calls can could did does for from function get give given has have her him
his how into its just let like make may need not now off one our out over please result results return returns
run set she should some tell than that the their them then there these they this tool use using value values
was way were what when where which who why will with would you your
"""
_STOP_WORDS = frozenset(_STOP_TEXT.split())
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_WORDS = re.compile(r"[^\W_]+")
_TINY_PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


class SeededModel:
    """The default model; it stores nothing, all variation comes from the prompt's seed."""

    def respond(self, prompt: Prompt) -> Reply:
        """The reply: a forced or fitting tool call, else an instance of the format, else an echo."""
        tool = _choose_tool(prompt)
        answer = _call(prompt, *tool) if tool else _message(prompt)
        reply = _with_reasoning(prompt, answer)
        if answer["type"] == "image_generation_call":
            reply = reply._replace(cues=_partial_images(prompt, len(reply.output) - 1))
        return truncate_to_limit(reply, prompt, count)


def last_user_text(prompt: Prompt) -> str:
    """The text of the newest user message in the context, empty when there is none."""
    own = prompt.input
    if own and own[-1].get("role") == "user":  # as nearly always; the walk would have to be set up
        return item_text(own[-1])
    return next((item_text(item) for item in prompt.newest_first() if item.get("role") == "user"), "")


def default_text(prompt: Prompt) -> str:
    """The text of an unscripted answer."""
    return f"Mock reply to: {last_user_text(prompt)} [{prompt.item_count} items in context]"


def message_item(prompt: Prompt, *parts: Item, phase: str | None = None) -> Item:
    """An assistant message; models that mark phases mark it as the final answer. Spec: R12.4."""
    item: Item = {"type": "message", "role": "assistant", "content": list(parts)}
    if phase or prompt.model.phase:
        item["phase"] = phase or "final_answer"
    return item


def text_part(text: str) -> Item:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _message(prompt: Prompt) -> Item:
    text = default_text(prompt)
    text_format = (prompt.request.get("text") or {}).get("format") or {}
    kind = text_format.get("type")
    if kind == "json_schema":
        text = _compact(instance(text_format.get("schema"), prompt.seed, every_property=True))
    elif kind == "json_object":
        text = _compact({"reply": text})
    return message_item(prompt, text_part(text))


def _compact(value: Any) -> str:
    return json_compact(value).decode()


# --- Reasoning ---------------------------------------------------------------------------------------------------


def _with_reasoning(prompt: Prompt, answer: Item) -> Reply:
    """Put a reasoning item first; where the cap is tight, thinking gives way to the answer."""
    if not prompt.model.reasoning:
        return Reply(output=(answer,))
    reasoning = prompt.request.get("reasoning") or {}
    drawn = _draw_reasoning(prompt, str(reasoning.get("effort") or prompt.model.default_effort))
    if not drawn:
        return Reply(output=(answer,))
    item = reasoning_item(_thought(prompt) if reasoning.get("summary") else None)
    room = _output_limit(prompt) - output_tokens((item, answer), 0, prompt.request, prompt.model, count)
    unit = ROUNDING if prompt.model.rounds_reasoning else 1
    tokens = min(drawn, room) // unit * unit
    return Reply(output=(item, answer), reasoning_tokens=tokens) if tokens > 0 else Reply(output=(answer,))


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


def _choose_tool(prompt: Prompt) -> Named | None:
    """The tool to call, None to answer with text. Spec: R11.1, R15.9."""
    choice = prompt.request.get("tool_choice") or "auto"
    tools = _available_tools(prompt)
    if not tools and choice == "auto":
        return None
    if isinstance(choice, Mapping):
        if choice.get("type") != "allowed_tools":
            return _tool_by_choice(choice, tools)
        tools = [
            candidate for candidate in tools if any(_names(allowed, candidate) for allowed in choice.get("tools") or ())
        ]
        choice = choice.get("mode") or "auto"
    chooser = _CHOOSERS.get(str(choice))
    return (
        chooser(prompt, [candidate for candidate in tools if candidate[0].get("defer_loading") is not True])
        if chooser
        else None
    )


def _names(choice: Mapping[str, Any], named: Named) -> bool:
    tool, namespace = named
    if choice.get("type") == "namespace":
        return choice.get("name") == namespace
    same_space = choice.get("namespace") in (None, namespace)
    return choice.get("type") == tool.get("type") and choice.get("name") == tool.get("name") and same_space


def _tool_by_choice(choice: Mapping[str, Any], tools: list[Named]) -> Named | None:
    named = next((candidate for candidate in tools if _names(choice, candidate)), None)
    return named or (({"type": choice.get("type")}, None) if choice.get("type") in _HOSTED else None)


def _recent_call_names(prompt: Prompt) -> list[str]:
    """The names of tools called since the last user message, newest first."""
    names = []
    for item in prompt.newest_first():
        if item.get("role") == "user":
            break
        if item.get("type") in ("function_call", "custom_tool_call"):
            names.append(str(item.get("name")))
    return names


def _next_tool(prompt: Prompt, tools: list[Named]) -> Named | None:
    """Take the first tool not called since the last user message, else the last. Spec: R15.9."""
    called = _recent_call_names(prompt) if tools else []
    hosted = next((tool for tool in prompt.request.get("tools") or () if _builtin_type(tool)), None)
    if not tools:
        return ({"type": _builtin_type(hosted)}, None) if hosted else None
    return next((candidate for candidate in tools if candidate[0].get("name") not in called), tools[-1])


def _builtin_type(tool: Tool) -> str | None:
    return next((kind for kind in _HOSTED if str(tool.get("type")).startswith(kind)), None)


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


_CHOOSERS: Mapping[str, Callable[[Prompt, list[Named]], Named | None]] = {"auto": _fitting, "required": _next_tool}


def _call(prompt: Prompt, tool: Tool, namespace: str | None) -> Item:
    kind = str(tool.get("type"))
    if kind in _HOSTED:
        return _HOSTED[kind](prompt)
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


def _web_search(prompt: Prompt) -> Item:
    query = last_user_text(prompt)[:200] or "news"
    return {"type": "web_search_call", "action": {"type": "search", "queries": [query], "query": query}}


def _file_search(prompt: Prompt) -> Item:
    return {"type": "file_search_call", "queries": [last_user_text(prompt)[:200] or "overview"], "results": None}


def _code_interpreter(prompt: Prompt) -> Item:
    return {"type": "code_interpreter_call", "code": "print(2 + 2)", "outputs": None}


def _image_generation(prompt: Prompt) -> Item:
    return {
        "type": "image_generation_call",
        "background": "opaque",
        "output_format": "png",
        "quality": "low",
        "result": _TINY_PNG,
        "revised_prompt": last_user_text(prompt)[:200] or "A single dot.",
        "size": "1024x1024",
    }


def _partial_images(prompt: Prompt, index: int) -> dict[str, dict[str, Any]]:
    """The cues for as many partial images as the tool requests. Spec: F12, S8."""
    tools = prompt.request.get("tools") or ()
    number = next((tool.get("partial_images") for tool in tools if tool.get("type") == "image_generation"), None)
    return {str(index): {"partial_images": [_TINY_PNG] * number}} if number else {}


_HOSTED: Mapping[str, Callable[[Prompt], Item]] = {
    "web_search": _web_search,
    "web_search_preview": _web_search,
    "web_search_preview_2025_03_11": _web_search,
    "file_search": _file_search,
    "code_interpreter": _code_interpreter,
    "image_generation": _image_generation,
}


# --- The cap -----------------------------------------------------------------------------------------------------


def truncate_to_limit(reply: Reply, prompt: Prompt, count: Count) -> Reply:
    """Cut a reply to `max_output_tokens`: text at a token's end, a call not at all.

    Hosted calls beyond `max_tool_calls` are not made. Spec: R7.1, R7.5–R7.8.
    """
    most = _output_limit(prompt)
    if reply.error or reply.failed:
        return reply
    calls = prompt.request.get("max_tool_calls")
    if calls is not None:
        reply = _with_fewer_calls(reply, calls)
    length = output_tokens(reply.output, reply.reasoning_tokens, prompt.request, prompt.model, count)
    if length <= most:
        return _new(Reply, (*reply[:3], length, *reply[4:]))  # as _replace does, in a third of the time
    thoughts = min(reply.reasoning_tokens, max(most - 2, 0))
    fitting: list[Item] = []
    for item in reply.output:
        if output_tokens((*fitting, item), thoughts, prompt.request, prompt.model, count) <= most:
            fitting.append(item)
            continue
        shorter = _cut_message(fitting, item, thoughts, most, prompt, count) if item.get("type") == "message" else None
        fitting.extend([shorter] if shorter else [])
        break
    return reply._replace(
        output=tuple(fitting), reasoning_tokens=thoughts, incomplete=reply.incomplete or "max_output_tokens"
    )


def _with_fewer_calls(reply: Reply, most: int) -> Reply:
    """Drop the hosted calls beyond the limit; calls that the client runs are not counted. Spec: R7.8."""
    calls = [index for index, item in enumerate(reply.output) if item.get("type") in _HOSTED_CALLS]
    if len(calls) <= most:
        return reply
    gone = frozenset(calls[most:])
    left = [index for index in range(len(reply.output)) if index not in gone]
    cues = {str(new): reply.cues[str(old)] for new, old in enumerate(left) if str(old) in reply.cues}
    return reply._replace(output=tuple([reply.output[index] for index in left]), cues=cues)


_HOSTED_CALLS = frozenset(
    {"web_search_call", "file_search_call", "code_interpreter_call", "image_generation_call", "mcp_call"}
)


def _output_limit(prompt: Prompt) -> int:
    """The cap on output: the least of the request's, the model's, and the rest of the window. Spec: R7.1, R7.7."""
    model = prompt.model
    limit = prompt.request.get("max_output_tokens") or model.max_output_tokens
    return min(limit, model.max_output_tokens, max(model.context_window - prompt.input_tokens, 0))


def _cut_message(before: list[Item], item: Item, thoughts: int, most: int, prompt: Prompt, count: Count) -> Item | None:
    """The message with as much text as fits, None if not one token does."""
    bare = {**item, "status": "incomplete", "content": []}
    room = most - output_tokens((*before, bare), thoughts, prompt.request, prompt.model, count)
    content: list[Item] = []
    for part in item.get("content") or ():
        key = "refusal" if part.get("type") == "refusal" else "text"
        text = _prefix(str(part.get(key) or ""), room, count)
        if text:
            content.append({**part, key: text, **({"annotations": []} if part.get("annotations") else {})})
        room -= count(text)
        if text != part.get(key):
            break
    return {**bare, "content": content} if content else None


def _prefix(text: str, room: int, count: Count) -> str:
    """The longest start of a text, cut between tokens, of at most `room` tokens."""
    parts = pieces(text)[: max(room, 0)]
    while parts and count("".join(parts)) > room:
        parts.pop()
    return "".join(parts)
