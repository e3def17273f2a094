"""The building blocks of request shapes: each function returns one pydantic core schema, a plain dictionary.

Shapes are data: pydantic compiles them into one validator per endpoint, and `validation.py` walks the very same
dictionaries to say in the service's words what is wrong. `metadata` holds what only the sentence needs: the expected
phrase, the listed values, the id prefix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mockserver.wire.errors.text import one_of

Schema = dict[str, Any]
Fields = Mapping[str, Schema]

ANY: Schema = {"type": "any"}
BOOLEAN: Schema = {"type": "bool", "strict": True}
NAME_PATTERN = "^[a-zA-Z0-9_-]+$"
ID_LENGTH = 64
LONG_TEXT = 10_485_760


def string(*, longest: int | None = None, shortest: int | None = None, pattern: str | None = None) -> Schema:
    """A string; lengths in characters."""
    bounds = {"max_length": longest, "min_length": shortest, "pattern": pattern}
    return {"type": "str", "strict": True, **{name: bound for name, bound in bounds.items() if bound is not None}}


TEXT = string()


def identifier(prefix: str | None = None) -> Schema:
    """An id of at most 64 characters that begins with `prefix`, when one is known. Spec: E33, E34, R1.38."""
    start = prefix or ""
    return {
        **string(longest=ID_LENGTH, shortest=1, pattern=f"^{start}[A-Za-z0-9_-]*$"),
        "metadata": {"prefix": start},
    }


def name(*, longest: int) -> Schema:
    """A name made of letters, digits, underscores and dashes. Spec: F11, R10.1."""
    return string(longest=longest, shortest=1, pattern=NAME_PATTERN)


def integer(*, least: int | None = None, most: int | None = None) -> Schema:
    """An integer between inclusive bounds."""
    return _number("int", least, most)


def decimal(*, least: float | None = None, most: float | None = None) -> Schema:
    """A decimal or an integer between inclusive bounds."""
    return _number("float", least, most)


def _number(kind: str, least: float | None, most: float | None) -> Schema:
    bounds = {"ge": least, "le": most}
    return {"type": kind, "strict": True, **{name: bound for name, bound in bounds.items() if bound is not None}}


def enum(*values: str, also: tuple[str, ...] = (), expected_for: Mapping[type, str] | None = None) -> Schema:
    """One of some strings, in the order the service lists them; `also` is accepted without being listed. Spec: E22."""
    return {
        "type": "literal",
        "expected": [*values, *also],
        "metadata": {"values": values, "expected": one_of(values), "expected_for": expected_for or {}},
    }


def array(
    items: Schema, *, expected: str = "an array of objects", longest: int | None = None, shortest: int | None = None
) -> Schema:
    """An array; `expected` is how a sentence calls it. Its first bad element is the one complained about."""
    metadata = {"expected": expected}
    schema = {"type": "list", "items_schema": items, "strict": True, "fail_fast": True, "metadata": metadata}
    bounds = {"max_length": longest, "min_length": shortest}
    return {**schema, **{name: bound for name, bound in bounds.items() if bound is not None}}


def strings(*, longest: int | None = None, shortest: int | None = None) -> Schema:
    """An array of strings."""
    return array(TEXT, expected="an array of strings", longest=longest, shortest=shortest)


def mapping(
    values: Schema, *, expected: str = "an object", longest_key: int | None = None, most: int | None = None
) -> Schema:
    """An object with free keys, at most `most` of them."""
    schema: Schema = {
        "type": "dict",
        "keys_schema": string(longest=longest_key),
        "values_schema": values,
        "strict": True,
        "metadata": {"expected": expected},
    }
    return schema if most is None else {**schema, "max_length": most}


OBJECT = mapping(ANY)
STRING_MAP = mapping(TEXT)


def nullable(schema: Schema) -> Schema:
    """The same, or null."""
    return {"type": "nullable", "schema": schema}


def shape(required: Fields, optional: Fields | None = None) -> Schema:
    """An object with these keys and no others; what is optional may be null too."""
    fields = {key: {"type": "typed-dict-field", "schema": field, "required": True} for key, field in required.items()}
    for key, field in (optional or {}).items():
        fields[key] = {"type": "typed-dict-field", "schema": nullable(field), "required": False}
    return {"type": "typed-dict", "fields": fields, "extra_behavior": "forbid", "strict": True}


def opaque(required: Fields) -> Schema:
    """An object with these keys and any others."""
    return {**shape(required), "extra_behavior": "allow"}


def choice(
    branches: Fields,
    choose: Callable[[Any], str | None],
    *,
    expected: str,
    expected_for: Mapping[type, str] | None = None,
) -> Schema:
    """One of several shapes; `choose` names the branch whose complaints count, None when the type is wrong."""
    return {
        "type": "union",
        "mode": "left_to_right",
        "choices": [(schema, label) for label, schema in branches.items()],
        "metadata": {"choose": choose, "expected": expected, "expected_for": expected_for or {}},
    }


_KINDS: dict[type, str] = {
    str: "string",
    list: "array",
    dict: "object",
    bool: "boolean",
    int: "number",
    float: "number",
}


def kind(value: Any) -> str | None:
    """Name the JSON kind of a value as `either` labels its branches."""
    return _KINDS.get(type(value))


def either(
    expected: str = "one of a string or array of objects",
    *,
    expected_for: Mapping[type, str] | None = None,
    **branches: Schema,
) -> Schema:
    """One of several JSON kinds: `either(string=…, array=…)`; the keys are the names of `kind`."""
    return choice(branches, kind, expected=expected, expected_for=expected_for)


def union_by_tag(
    choices: Fields,
    *,
    key: str = "type",
    values: tuple[str, ...] | None = None,
    known: tuple[str, ...] | None = None,
    whole: str | None = None,
) -> Schema:
    """One of several objects told apart by `key`.

    `values` are the tags a sentence lists; `whole` makes it complain about the object (called so when its type is
    wrong) instead of the tag; tags outside `known` are complained about first, at the tag. Spec: E16-E20.
    """
    return {
        "type": "tagged-union",
        "choices": dict(choices),
        "discriminator": key,
        "from_attributes": False,
        "strict": True,
        "metadata": {
            "values": values or tuple(choices),
            "known": known,
            "whole": bool(whole or known),
            "expected": whole or "an object",
        },
    }


class CrossFieldError(ValueError):
    """A rule between members of one object, broken: `complain(path of the object)` returns the error."""

    def __init__(self, complain: Callable[[str], Exception]) -> None:
        super().__init__("a rule between members")
        self.complain = complain


def with_check(schema: Schema, check: Callable[[dict[str, Any]], dict[str, Any]]) -> Schema:
    """A shape and a rule between its members; `check` raises Breach or returns what it got."""
    return {"type": "function-after", "function": {"type": "no-info", "function": check}, "schema": schema}
