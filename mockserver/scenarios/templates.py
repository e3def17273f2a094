"""`{{ name }}` in the strings of a script: a handful of names, no code."""

# How it works: `find_mistakes` reports unknown names when a line is set; `fill` replaces the others when it
# answers. Names: `input_text`, `context_text`, `turn`, `item_count`, `tool_output`, `metadata.KEY`.
#
# Why no template language: a scenario is read by people who did not write it, and stored in snapshots that must
# give the same bytes years later. An expression language would need a version, a sandbox and a manual. Who
# needs more than names writes the model as a Python function.
#
# What must stay true:
# * A template is replaced by text once. What is put in is not searched for templates, so a user's `{{ turn }}`
#   stays.
# * A name that can have no value yet (a metadata key that the request lacks) is an empty text, never an error:
#   the turn was admitted, and an error here would be one that the API does not have.

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from mockserver.model.prompt import Prompt, context_text, input_text
from mockserver.scenarios.validation import Location, PathMistake, path_of
from mockserver.wire.responses.resources import item_text

# no braces inside: {{ {"a": 1} }} in a scripted JSON text is not a template
_FIELD = re.compile(r"\{\{\s*([^{}]*?)\s*\}\}")
_METADATA = "metadata."
_OUTPUTS = (
    "function_call_output",
    "custom_tool_call_output",
    "computer_call_output",
    "shell_call_output",
    "local_shell_call_output",
    "apply_patch_call_output",
)


def _tool_output(prompt: Prompt) -> str:
    # the newest one: after parallel calls an answer is usually about the last output
    return next((item_text(item) for item in prompt.newest_first() if item.get("type") in _OUTPUTS), "")


_NAMES: Mapping[str, Callable[[Prompt], str]] = {
    "input_text": input_text,
    "context_text": context_text,
    "turn": lambda prompt: str(prompt.turn),
    "item_count": lambda prompt: str(prompt.item_count),
    "tool_output": _tool_output,
}


def find_mistakes(value: Any, location: Location, where: str = "") -> Iterator[PathMistake]:
    """Yield each unknown name in the strings of a JSON value; `location` is the value's, in a document at `where`."""
    if isinstance(value, str):
        for name in _FIELD.findall(value):
            if name not in _NAMES and not (name.startswith(_METADATA) and len(name) > len(_METADATA)):
                yield PathMistake(location, path_of(location, where), _unknown(name))
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from find_mistakes(inner, (*location, key), where)
    elif isinstance(value, list):
        for number, inner in enumerate(value):
            yield from find_mistakes(inner, (*location, number), where)


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, [*_NAMES, "metadata.KEY"], n=1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    return f"Unknown template name '{name}'.{hint} Known names are: {', '.join(_NAMES)}, metadata.KEY."


def fill(value: Any, prompt: Prompt) -> Any:
    """Replace every `{{ name }}` in the strings of a JSON value; a missing metadata key is an empty text."""
    if isinstance(value, str):
        return _FIELD.sub(lambda match: _lookup(match.group(1), prompt), value) if "{{" in value else value
    if isinstance(value, Mapping):
        return {key: fill(member, prompt) for key, member in value.items()}
    return [fill(member, prompt) for member in value] if isinstance(value, list) else value


def _lookup(name: str, prompt: Prompt) -> str:
    if name.startswith(_METADATA):
        return str((prompt.request.get("metadata") or {}).get(name.removeprefix(_METADATA), ""))
    return _NAMES[name](prompt)
