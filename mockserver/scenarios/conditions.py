"""Conditions on a prompt: what decides each key of a `when`. What a `when` may hold is in the model `When`."""

# How it works: a line or a fault compiles its `when` once into pairs of a function and what is asked. A turn
# walks these pairs in the author's order and stops at the first that does not hold, so an author who has many
# lines puts what is cheap and rarely true first.
#
# What must stay true:
# * "Input" is what the user said since the model last spoke, "context" is everything the model sees except
#   instructions. So a client that replays its whole history meets the same line as one that chains its
#   requests.
# * Conditions only look. Most lines do not answer most prompts, and asking them must leave no trace.
# * Each key of `When` has a row in `CONDITIONS`; a row also says what the prompt had instead, for the message
#   of `--strict`.

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

from mockserver.model.prompt import Item, Prompt, context_text, input_text, is_model_output
from mockserver.wire.responses.resources import item_text

TURNS = "/v1/responses"


@lru_cache(maxsize=256)
def _compile(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _model(prompt: Prompt, name: str) -> bool:
    model = prompt.model
    return name == prompt.request.get("model") or name == model.id or name in model.aliases


def _items_since_model(prompt: Prompt) -> list[Item]:
    return list(takewhile(lambda item: not is_model_output(item), prompt.newest_first()))


def _name_of(output: Item, prompt: Prompt) -> str | None:
    if output.get("name"):
        return str(output["name"])
    calls = (item for item in prompt.newest_first() if item.get("call_id") == output.get("call_id"))
    return next((item["name"] for item in calls if item.get("name")), None)


def _tool_output(prompt: Prompt, wanted: Mapping[str, str]) -> bool:
    outputs = [item for item in _items_since_model(prompt) if str(item.get("type")).endswith("_output")]
    return any(
        wanted.get("contains", "") in item_text(item) and wanted.get("name") in (None, _name_of(item, prompt))
        for item in outputs
    )


def _has_tool(prompt: Prompt, name: str) -> bool:
    offered = prompt.request.get("tools")
    if not offered:  # as most requests; a line or a fault for a tool then costs nothing
        return False
    tools = list(offered)
    tools += [inner for tool in tools if tool.get("type") == "namespace" for inner in tool.get("tools") or ()]
    return any(
        name in (tool.get("name") or tool.get("server_label") or tool.get("type"), tool.get("type")) for tool in tools
    )


def _reference(key: str) -> Callable[[Prompt, Any], bool]:
    def holds(prompt: Prompt, wanted: bool | str) -> bool:
        value = prompt.request.get(key)
        identifier = value.get("id") if isinstance(value, Mapping) else value
        return (identifier is not None) is wanted if isinstance(wanted, bool) else identifier == wanted

    return holds


def _metadata(prompt: Prompt, wanted: Mapping[str, Any]) -> bool:
    sent = prompt.request.get("metadata") or {}
    return all(key in sent and sent[key] == value for key, value in wanted.items())


def _last_type(prompt: Prompt) -> str | None:
    last = next(iter(prompt.newest_first()), None)
    return None if last is None else str(last.get("type", "message"))


def _request_member(key: str) -> Callable[[Prompt], Any]:
    return lambda prompt: prompt.request.get(key)


def _tool_names(prompt: Prompt) -> list[str]:
    return [
        str(tool.get("name") or tool.get("server_label") or tool.get("type"))
        for tool in prompt.request.get("tools") or ()
    ]


def _outputs(prompt: Prompt) -> list[dict[str, Any]]:
    outputs = [item for item in _items_since_model(prompt) if str(item.get("type")).endswith("_output")]
    return [{"name": _name_of(item, prompt), "output": item_text(item)} for item in outputs]


def _format_of(prompt: Prompt) -> str:
    return str(((prompt.request.get("text") or {}).get("format") or {}).get("type", "text"))


class Condition(NamedTuple):
    """One key of a `when`: whether it holds for a prompt, and the prompt's value for messages."""

    holds: Callable[[Prompt, Any], bool]
    found: Callable[[Prompt], Any]


def _contains(text: Callable[[Prompt], str]) -> Condition:
    return Condition(lambda prompt, part: part in text(prompt), text)


def _equals(value: Callable[[Prompt], Any]) -> Condition:
    return Condition(lambda prompt, wanted: value(prompt) == wanted, value)


def _instructions(prompt: Prompt) -> str:
    return str(prompt.request.get("instructions") or "")


CONDITIONS: Mapping[str, Condition] = {
    "model": Condition(_model, _request_member("model")),
    "input_contains": _contains(input_text),
    "input_matches": Condition(
        lambda prompt, pattern: _compile(pattern).search(input_text(prompt)) is not None, input_text
    ),
    "input_equals": _equals(input_text),
    "instructions_contains": Condition(_contains(_instructions).holds, _request_member("instructions")),
    "context_contains": _contains(context_text),
    "last_item": _equals(_last_type),
    "tool_output": Condition(_tool_output, _outputs),
    "has_tool": Condition(_has_tool, _tool_names),
    "turn": _equals(lambda prompt: prompt.turn),
    "previous_response_id": Condition(_reference("previous_response_id"), _request_member("previous_response_id")),
    "conversation": Condition(_reference("conversation"), _request_member("conversation")),
    "prompt": Condition(_reference("prompt"), _request_member("prompt")),
    "store": _equals(lambda prompt: prompt.request.get("store") is not False),
    "stream": _equals(lambda prompt: bool(prompt.request.get("stream"))),
    "transport": _equals(lambda prompt: prompt.transport),
    "format": _equals(_format_of),
    "metadata": Condition(_metadata, _request_member("metadata")),
    # of calls that are no turns (`http_replies`): a line that names a path never answers a turn
    "path": Condition(lambda prompt, pattern: False, lambda prompt: TURNS),
    "method": Condition(lambda prompt, method: method == "POST", lambda prompt: "POST"),
}

Tests = tuple[tuple[Callable[[Prompt, Any], bool], Any], ...]


def compile_when(when: Mapping[str, Any]) -> Tests:
    """Compile a `when` object to functions with their arguments, in the author's order."""
    return tuple((CONDITIONS[key].holds, wanted) for key, wanted in when.items())


def hold(tests: Tests, prompt: Prompt) -> bool:
    """Whether all conditions hold."""
    # a loop, because the generator of all(…) costs more than most conditions
    for holds, wanted in tests:  # noqa: SIM110
        if not holds(prompt, wanted):
            return False
    return True


def mismatches(when: Mapping[str, Any], prompt: Prompt) -> dict[str, tuple[Any, Any]]:
    """The keys that do not hold, each with the wanted value and the prompt's."""
    rows = ((key, wanted, CONDITIONS[key]) for key, wanted in when.items())
    return {key: (wanted, row.found(prompt)) for key, wanted, row in rows if not row.holds(prompt, wanted)}
