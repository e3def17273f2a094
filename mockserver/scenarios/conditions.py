"""Conditions on a prompt: what decides each key of a `when`. What a `when` may hold is in the model `When`."""

# How it works: a line or a fault compiles its `when` once: for each key what to look at in a prompt, what decides, and
# what is asked. A turn walks these in the author's order and stops at the first that does not hold, so an author who
# has many lines puts what is cheap and rarely true first. What several lines or faults look at (the input's text, most
# often) is worked out once for all of them: whoever asks many hands in where it is noted (`seen`).
#
# What must stay true:
# * "Input" is what the user said since the model last spoke, "context" is everything the model sees except
#   instructions. So a client that replays its whole history meets the same line as one that chains its
#   requests.
# * Conditions only look. Most lines do not answer most prompts, and asking them must leave no trace.
# * Each key of `When` has a row in `CONDITIONS`; a row also says what the prompt had instead, for the message
#   of `--strict`.

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import repeat, takewhile
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


Look = Callable[[Prompt], Any]
Fits = Callable[[Any, Any], bool]  # whether what was looked at is as it is wanted


class Condition(NamedTuple):
    """One key of a `when`: what is looked at, whether that is as wanted, and the prompt's value for messages."""

    look: Look
    fits: Fits
    found: Look

    def holds(self, prompt: Prompt, wanted: Any) -> bool:
        """Whether it holds for a prompt."""
        return self.fits(self.look(prompt), wanted)


def _whole(prompt: Prompt) -> Prompt:
    return prompt


def _asks(holds: Callable[[Prompt, Any], bool], found: Look) -> Condition:
    """A condition that looks at more than one value."""
    return Condition(_whole, holds, found)


def _contains(text: Look) -> Condition:
    return Condition(text, operator.contains, text)


def _equals(value: Look) -> Condition:
    return Condition(value, operator.eq, value)


def _matches(text: str, pattern: str) -> bool:
    return _compile(pattern).search(text) is not None


def _instructions(prompt: Prompt) -> str:
    return str(prompt.request.get("instructions") or "")


CONDITIONS: Mapping[str, Condition] = {
    "model": _asks(_model, _request_member("model")),
    "input_contains": _contains(input_text),
    "input_matches": Condition(input_text, _matches, input_text),
    "input_equals": _equals(input_text),
    "instructions_contains": Condition(_instructions, operator.contains, _request_member("instructions")),
    "context_contains": _contains(context_text),
    "last_item": _equals(_last_type),
    "tool_output": _asks(_tool_output, _outputs),
    "has_tool": _asks(_has_tool, _tool_names),
    "turn": _equals(lambda prompt: prompt.turn),
    "previous_response_id": _asks(_reference("previous_response_id"), _request_member("previous_response_id")),
    "conversation": _asks(_reference("conversation"), _request_member("conversation")),
    "prompt": _asks(_reference("prompt"), _request_member("prompt")),
    "store": _equals(lambda prompt: prompt.request.get("store") is not False),
    "stream": _equals(lambda prompt: bool(prompt.request.get("stream"))),
    "transport": _equals(lambda prompt: prompt.transport),
    "format": _equals(_format_of),
    "metadata": _asks(_metadata, _request_member("metadata")),
    # of calls that are no turns (`http_replies`): a line that names a path never answers a turn
    "path": _asks(lambda prompt, pattern: False, lambda prompt: TURNS),
    "method": _asks(lambda prompt, method: method == "POST", lambda prompt: "POST"),
}

Tests = tuple[tuple[Look, Fits, Any], ...]
Seen = dict[Look, Any]


def compile_when(when: Mapping[str, Any]) -> Tests:
    """Compile a `when` object to functions with what is wanted, in the author's order."""
    return tuple([(*CONDITIONS[key][:2], wanted) for key, wanted in when.items()])


def hold(tests: Tests, prompt: Prompt, seen: Seen) -> bool:
    """Whether all conditions hold; `seen` is what was looked at in the same prompt, and what is looked at now."""
    # a loop, because the generator of all(…) costs more than most conditions
    for look, fits, wanted in tests:
        value = seen.get(look, seen)  # which is no value of a prompt
        if value is seen:
            value = seen[look] = look(prompt)
        if not fits(value, wanted):
            return False
    return True


class Gate(NamedTuple):
    """Several choices, of which one may hold; `firsts` is what their first conditions want of each look."""

    choices: tuple[Tests, ...]
    firsts: tuple[tuple[Look, Fits, tuple[Any, ...]], ...]


_ALWAYS: tuple[Look, Fits, Any] = (_whole, lambda prompt, wanted: True, None)


def compile_gate(choices: Iterable[Tests]) -> Gate:
    """Sort the first conditions of choices by what they look at, so that one look asks all of them."""
    choices = tuple(choices)
    firsts: dict[tuple[Look, Fits], list[Any]] = {}
    for tests in choices:
        look, fits, wanted = tests[0] if tests else _ALWAYS
        firsts.setdefault((look, fits), []).append(wanted)
    return Gate(choices, tuple([(*first, tuple(wanted)) for first, wanted in firsts.items()]))


def rules_out(gate: Gate, seen: Seen) -> bool:
    """Whether no choice can hold, by what was looked at alone: most turns need no prompt to know that."""
    for look, fits, wanted in gate.firsts:
        value = seen.get(look, seen)
        if value is seen or any(map(fits, repeat(value), wanted)):
            return False
    return True


def any_hold(gate: Gate, prompt: Prompt) -> bool:
    """Whether all conditions of one of the choices hold."""
    seen: Seen = {}
    return any(map(hold, gate.choices, repeat(prompt), repeat(seen)))


def mismatches(when: Mapping[str, Any], prompt: Prompt) -> dict[str, tuple[Any, Any]]:
    """The keys that do not hold, each with the wanted value and the prompt's."""
    rows = ((key, wanted, CONDITIONS[key]) for key, wanted in when.items())
    return {key: (wanted, row.found(prompt)) for key, wanted, row in rows if not row.holds(prompt, wanted)}
