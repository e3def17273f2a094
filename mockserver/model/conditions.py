"""What a line of a script asks of a prompt: one row per `when` key; all keys of a line must hold.

"Input" is what the user said since the model last spoke; "context" is everything the model sees but instructions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from itertools import takewhile
from typing import Any

from mockserver.model.prompt import Item, Prompt, context_text, input_text, item_text, made_by_model
from mockserver.wire.errors import MockError

TRANSPORTS = ("http", "sse", "websocket")
FORMATS = ("text", "json_object", "json_schema")


def known_keys(value: Any, known: Mapping[str, Any] | tuple[str, ...], where: str) -> None:
    """Raise MockError unless the value is an object with known keys only; a near miss is named."""
    if not isinstance(value, dict):
        raise MockError(f"'{where}' must be an object, not {shown(value)}.", param=where)
    for key in value:
        if key not in known:
            near = get_close_matches(str(key), list(known), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else f" Known keys are: {', '.join(known)}."
            raise MockError(f"Unknown key '{key}' in '{where}'.{hint}", param=f"{where}.{key}")


def shown(value: Any) -> str:
    """Return a value as an error message shows it."""
    kinds = {dict: "an object", list: "a list", bool: str(value).lower(), type(None): "null"}
    return kinds.get(type(value), repr(value)[:80])


def _text(value: Any) -> str | None:
    return None if isinstance(value, str) else "a text"


def _flag(value: Any) -> str | None:
    return None if isinstance(value, bool) else "true or false"


def _flag_or_id(value: Any) -> str | None:
    return None if isinstance(value, bool | str) else "true, false or an id"


def _turn(value: Any) -> str | None:
    return None if isinstance(value, int) and not isinstance(value, bool) and value > 0 else "a whole number from 1"


def _object(value: Any) -> str | None:
    return None if isinstance(value, dict) else "an object"


def _pattern(value: Any) -> str | None:
    try:
        re.compile(value)
    except (re.error, TypeError) as error:
        return f"a regular expression ({error})"
    return None


def _one_of(*values: str) -> Callable[[Any], str | None]:
    return lambda value: None if value in values else "one of " + ", ".join(values)


_TOOL_OUTPUT: Mapping[str, Callable[[Any], str | None]] = {"name": _text, "contains": _text}


def _tool_output_value(value: Any) -> str | None:
    if (
        isinstance(value, dict)
        and value
        and all(key in _TOOL_OUTPUT and _text(one) is None for key, one in value.items())
    ):
        return None
    return "an object with name and/or contains, both texts"


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern)


def _model(prompt: Prompt, name: str) -> bool:
    return name in (prompt.request.get("model"), prompt.model.id, *prompt.model.aliases)


def _last_item(prompt: Prompt, kind: str) -> bool:
    last = next(iter(prompt.newest_first()), None)
    return last is not None and last.get("type", "message") == kind


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


def _format(prompt: Prompt, kind: str) -> bool:
    return str(((prompt.request.get("text") or {}).get("format") or {}).get("type", "text")) == kind


def _metadata(prompt: Prompt, asked: Mapping[str, Any]) -> bool:
    given = prompt.request.get("metadata") or {}
    return all(key in given and given[key] == value for key, value in asked.items())


@dataclass(frozen=True, slots=True)
class Condition:
    """One row of the table: `complaint` says what a value should have been, None when it will do."""

    complaint: Callable[[Any], str | None]
    holds: Callable[[Prompt, Any], bool]


CONDITIONS: Mapping[str, Condition] = {
    "model": Condition(_text, _model),
    "input_contains": Condition(_text, lambda prompt, asked: asked in input_text(prompt)),
    "input_matches": Condition(_pattern, lambda prompt, asked: _compiled(asked).search(input_text(prompt)) is not None),
    "input_equals": Condition(_text, lambda prompt, asked: asked == input_text(prompt)),
    "instructions_contains": Condition(
        _text, lambda prompt, asked: asked in str(prompt.request.get("instructions") or "")
    ),
    "context_contains": Condition(_text, lambda prompt, asked: asked in context_text(prompt)),
    "last_item": Condition(_text, _last_item),
    "tool_output": Condition(_tool_output_value, _tool_output),
    "has_tool": Condition(_text, _has_tool),
    "turn": Condition(_turn, lambda prompt, asked: prompt.turn == asked),
    "previous_response_id": Condition(_flag_or_id, _reference("previous_response_id")),
    "conversation": Condition(_flag_or_id, _reference("conversation")),
    "store": Condition(_flag, lambda prompt, asked: (prompt.request.get("store") is not False) is asked),
    "stream": Condition(_flag, lambda prompt, asked: bool(prompt.request.get("stream")) is asked),
    "transport": Condition(_one_of(*TRANSPORTS), lambda prompt, asked: prompt.transport == asked),
    "format": Condition(_one_of(*FORMATS), _format),
    "metadata": Condition(_object, _metadata),
}


def check(value: Any, where: str) -> dict[str, Any]:
    """Return a `when` object as it is; raises MockError that names the key that is wrong."""
    known_keys(value, CONDITIONS, where)
    for key, asked in value.items():
        wanted = CONDITIONS[key].complaint(asked)
        if wanted is not None:
            raise MockError(f"'{where}.{key}' must be {wanted}, not {shown(asked)}.", param=f"{where}.{key}")
    return dict(value)


def hold(when: Mapping[str, Any], prompt: Prompt) -> bool:
    """Whether all conditions of a checked `when` object hold."""
    return all(CONDITIONS[key].holds(prompt, asked) for key, asked in when.items())
