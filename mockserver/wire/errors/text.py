"""The words of the validator: how it names JSON types, joins lists, abbreviates names and writes paths.

Source: errors.md §2; measured 2026-08, so every article and comma is deliberate.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

# A name of this length or more is abbreviated to its first and last three characters in type sentences.
LONG_NAME = 20

_TYPE_NAMES: dict[type, str] = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    dict: "an object",
    list: "an array",
    type(None): "null",
}

Path = tuple[str | int, ...]


def type_name(value: Any) -> str:
    """Name the JSON type of a value as a sentence does: `a string`, `a decimal number`, `null`."""
    return _TYPE_NAMES[type(value)]


def abbreviate(name: str) -> str:
    """Shorten a name of 20 characters or more to `pre..._id`, as type and exclusion sentences do."""
    return name if len(name) < LONG_NAME else f"{name[:3]}...{name[-3:]}"


def quote(values: Iterable[str]) -> list[str]:
    """Put each value in single quotes."""
    return [f"'{value}'" for value in values]


def join(words: Sequence[str], conjunction: str) -> str:
    """Join words with an Oxford comma from three on: `'a' and 'b'`, `'a', 'b', and 'c'`."""
    if len(words) < 3:
        return f" {conjunction} ".join(words)
    return f"{', '.join(words[:-1])}, {conjunction} {words[-1]}"


def list_supported(values: Iterable[str]) -> str:
    """List the values of an enum in full, as the sentence of a wrong value does. Spec: E22."""
    return join(quote(values), "and")


def one_of(values: Iterable[str]) -> str:
    """List the values of an enum, abbreviated, as the sentence of a wrong type does. Spec: E23."""
    names = quote(map(abbreviate, values))
    return f"one of {join(names, 'or')}" if len(names) > 1 else names[0]


def format_path(path: Path) -> str:
    """Write a path as the service does: `input[4].content[0].file_data`."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def distance(left: str, right: str) -> int:
    """The Levenshtein distance of two names."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        above, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            above, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, above + (a != b))
    return row[-1]


def suggestions(name: str, known: Iterable[str]) -> list[str]:
    """Return at most two known names within distance 2, nearest first, ties alphabetical. Spec: E6."""
    near = [(distance(name, other), other) for other in known if abs(len(other) - len(name)) <= 2]
    return [other for steps, other in sorted(near) if steps <= 2][:2]
