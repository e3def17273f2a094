"""What a line of a script asks of a prompt: one row per `when` key; all keys of a line must hold.

"Input" is what the user said since the model last spoke; "context" is everything the model sees but instructions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import takewhile
from typing import Any

from mockserver.model.prompt import Item, Prompt, context_text, input_text, item_text, made_by_model
from mockserver.model.scenario_mistakes import members, mistakes, ruled, shown
from mockserver.wire.errors import MockError
from mockserver.wire.fields import ANY, BOOLEAN, OBJECT, TEXT, Schema, either, enum, integer
from mockserver.wire.items import ITEMS

TRANSPORTS = ("http", "sse", "websocket")
FORMATS = ("text", "json_object", "json_schema")


def _pattern_rule(value: str, where: str) -> Iterator[MockError]:
    try:
        re.compile(value)
    except re.error as error:
        yield MockError(f"'{where}' must be a regular expression ({error}), not {shown(value)}.", param=where)


def _some_rule(value: Mapping[str, Any], where: str) -> Iterator[MockError]:
    if not value:
        yield MockError(f"'{where}' must say a name and/or what the output contains.", param=where)


_FLAG_OR_ID = either("true, false or an id", boolean=BOOLEAN, string=TEXT)
_PATTERN = ruled(TEXT, _pattern_rule, {"format": "regex"})
_TOOL_OUTPUT = ruled(members({}, {"name": TEXT, "contains": TEXT}), _some_rule, {"minProperties": 1})


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _model(prompt: Prompt, name: str) -> bool:
    return name in (prompt.request.get("model"), prompt.model.id, *prompt.model.aliases)


def _unanswered(prompt: Prompt) -> list[Item]:
    """Return the items since the model last spoke, newest first."""
    return list(takewhile(lambda item: not made_by_model(item), prompt.newest_first()))


def _name_of(output: Item, prompt: Prompt) -> str | None:
    if output.get("name"):
        return str(output["name"])
    calls = (item for item in prompt.newest_first() if item.get("call_id") == output.get("call_id"))
    return next((item["name"] for item in calls if item.get("name")), None)


def _tool_output(prompt: Prompt, asked: Mapping[str, str]) -> bool:
    outputs = [item for item in _unanswered(prompt) if str(item.get("type")).endswith("_output")]
    return any(
        asked.get("contains", "") in item_text(item) and asked.get("name") in (None, _name_of(item, prompt))
        for item in outputs
    )


def _has_tool(prompt: Prompt, name: str) -> bool:
    tools = list(prompt.request.get("tools") or ())
    tools += [inner for tool in tools if tool.get("type") == "namespace" for inner in tool.get("tools") or ()]
    return any(
        name in (tool.get("name") or tool.get("server_label") or tool.get("type"), tool.get("type")) for tool in tools
    )


def _reference(key: str) -> Callable[[Prompt, Any], bool]:
    def holds(prompt: Prompt, asked: bool | str) -> bool:
        value = prompt.request.get(key)
        identifier = value.get("id") if isinstance(value, Mapping) else value
        return (identifier is not None) is asked if isinstance(asked, bool) else identifier == asked

    return holds


def _metadata(prompt: Prompt, asked: Mapping[str, Any]) -> bool:
    given = prompt.request.get("metadata") or {}
    return all(key in given and given[key] == value for key, value in asked.items())


def _last_type(prompt: Prompt) -> str | None:
    last = next(iter(prompt.newest_first()), None)
    return None if last is None else str(last.get("type", "message"))


def _asked(key: str) -> Callable[[Prompt], Any]:
    return lambda prompt: prompt.request.get(key)


def _tool_names(prompt: Prompt) -> list[str]:
    return [
        str(tool.get("name") or tool.get("server_label") or tool.get("type"))
        for tool in prompt.request.get("tools") or ()
    ]


def _outputs(prompt: Prompt) -> list[dict[str, Any]]:
    outputs = [item for item in _unanswered(prompt) if str(item.get("type")).endswith("_output")]
    return [{"name": _name_of(item, prompt), "output": item_text(item)} for item in outputs]


def _format_of(prompt: Prompt) -> str:
    return str(((prompt.request.get("text") or {}).get("format") or {}).get("type", "text"))


@dataclass(frozen=True, slots=True)
class Condition:
    """One row of the table: the shape of what is asked, whether it holds, and what the prompt has there instead."""

    shape: Schema
    holds: Callable[[Prompt, Any], bool]
    found: Callable[[Prompt], Any]


CONDITIONS: Mapping[str, Condition] = {
    "model": Condition(TEXT, _model, _asked("model")),
    "input_contains": Condition(TEXT, lambda prompt, asked: asked in input_text(prompt), input_text),
    "input_matches": Condition(
        _PATTERN, lambda prompt, asked: _compiled(asked).search(input_text(prompt)) is not None, input_text
    ),
    "input_equals": Condition(TEXT, lambda prompt, asked: asked == input_text(prompt), input_text),
    "instructions_contains": Condition(
        TEXT, lambda prompt, asked: asked in str(prompt.request.get("instructions") or ""), _asked("instructions")
    ),
    "context_contains": Condition(TEXT, lambda prompt, asked: asked in context_text(prompt), context_text),
    "last_item": Condition(enum(*ITEMS), lambda prompt, kind: _last_type(prompt) == kind, _last_type),
    "tool_output": Condition(_TOOL_OUTPUT, _tool_output, _outputs),
    "has_tool": Condition(TEXT, _has_tool, _tool_names),
    "turn": Condition(integer(least=1), lambda prompt, asked: prompt.turn == asked, lambda prompt: prompt.turn),
    "previous_response_id": Condition(_FLAG_OR_ID, _reference("previous_response_id"), _asked("previous_response_id")),
    "conversation": Condition(_FLAG_OR_ID, _reference("conversation"), _asked("conversation")),
    "prompt": Condition(_FLAG_OR_ID, _reference("prompt"), _asked("prompt")),
    "store": Condition(
        BOOLEAN,
        lambda prompt, asked: (prompt.request.get("store") is not False) is asked,
        lambda prompt: prompt.request.get("store") is not False,
    ),
    "stream": Condition(
        BOOLEAN,
        lambda prompt, asked: bool(prompt.request.get("stream")) is asked,
        lambda prompt: bool(prompt.request.get("stream")),
    ),
    "transport": Condition(
        enum(*TRANSPORTS), lambda prompt, asked: prompt.transport == asked, lambda prompt: prompt.transport
    ),
    "format": Condition(enum(*FORMATS), lambda prompt, kind: _format_of(prompt) == kind, _format_of),
    "metadata": Condition(OBJECT, _metadata, _asked("metadata")),
}


WHEN = members({}, {key: row.shape for key, row in CONDITIONS.items()})


def known_keys(value: Any, known: Iterable[str], where: str) -> None:
    """Raise MockError unless the value is an object with known keys only; a near miss is named."""
    for mistake in mistakes(members({}, dict.fromkeys(known, ANY)), value, where):
        raise mistake


def check(value: Any, where: str) -> dict[str, Any]:
    """Return a `when` object as it is; raises MockError that names the key that is wrong."""
    for mistake in mistakes(WHEN, value, where):
        raise mistake
    return dict(value)


def hold(when: Mapping[str, Any], prompt: Prompt) -> bool:
    """Whether all conditions of a `when` object hold."""
    return all(CONDITIONS[key].holds(prompt, asked) for key, asked in when.items())


def broken(when: Mapping[str, Any], prompt: Prompt) -> dict[str, tuple[Any, Any]]:
    """Return the keys that do not hold, with what was asked and what the prompt has instead."""
    rows = ((key, asked, CONDITIONS[key]) for key, asked in when.items())
    return {key: (asked, row.found(prompt)) for key, asked, row in rows if not row.holds(prompt, asked)}
