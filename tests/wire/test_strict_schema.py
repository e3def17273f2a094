"""Strict mode: what a schema may not have, and where the complaint says it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.requests.strict_schema import strict_complaint, type_complaint

ADDITIONAL = "In context={}, 'additionalProperties' is required to be supplied and to be false."
REQUIRED = (
    "In context={}, 'required' is required to be supplied and to be an array including every key in properties. "
    "Missing '{}'."
)


def closed(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


TEXT = {"type": "string"}


@pytest.mark.parametrize(
    "schema",
    [
        closed(),
        closed(a=TEXT, b={"type": ["string", "null"]}),
        closed(a={"type": "array", "items": closed(b=TEXT), "minItems": 1}),
        closed(a={"anyOf": [closed(b=TEXT), {"type": "null"}]}),
        closed(a={"type": "string", "pattern": "x", "format": "date"}, b={"type": "number", "multipleOf": 2}),
        {**closed(a={"$ref": "#/$defs/node"}), "$defs": {"node": closed(next={"$ref": "#/$defs/node"})}},
        closed(properties=TEXT, items=TEXT, uniqueItems=TEXT),
        closed(a={"enum": ["uniqueItems"]}, b={"const": {"not": 1}}),
    ],
)
def test_accepted(schema: dict[str, Any]) -> None:
    assert strict_complaint(schema) is None


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        ({}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'."),
        ({"type": "array"}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'."),
        ({"type": "object"}, ADDITIONAL.format("()")),
        ({"type": "object", "additionalProperties": True}, ADDITIONAL.format("()")),
        ({**closed(a=TEXT), "required": []}, REQUIRED.format("()", "a")),
        ({**closed(a=TEXT), "required": None}, REQUIRED.format("()", "a")),
        ({**closed(), "anyOf": []}, "In context=(), 'anyOf' is not permitted."),
        (closed(x={"type": "object"}), ADDITIONAL.format("('properties', 'x')")),
        (closed(x={**closed(y=TEXT), "required": []}), REQUIRED.format("('properties', 'x')", "y")),
        (
            closed(x={"type": "array", "uniqueItems": True}),
            "In context=('properties', 'x'), 'uniqueItems' is not permitted.",
        ),
        (closed(x={"allOf": []}), "In context=('properties', 'x'), 'allOf' is not permitted."),
        (
            closed(x={"type": "array", "items": {"type": "object"}}),
            ADDITIONAL.format("('properties', 'x', 'items')"),
        ),
        (
            closed(x={"anyOf": [TEXT, {"type": "object"}]}),
            ADDITIONAL.format("('properties', 'x', 'anyOf', '1')"),
        ),
        ({**closed(), "$defs": {"n": {"type": ["object", "null"]}}}, ADDITIONAL.format("('$defs', 'n')")),
        ({**closed(a={"not": {}}), "uniqueItems": True}, "In context=(), 'uniqueItems' is not permitted."),
    ],
)
def test_complaint(schema: dict[str, Any], complaint: str) -> None:
    assert strict_complaint(schema) == complaint


def nested(levels: int) -> dict[str, Any]:
    schema = closed()
    for _ in range(levels - 1):
        schema = closed(inner=schema)
    return schema


@pytest.mark.parametrize(
    ("fits", "exceeds", "what"),
    [
        (nested(10), nested(11), "levels of nesting"),
        (closed(**dict.fromkeys(map(str, range(5000)), TEXT)), 5001, "object properties"),
        (closed(a={"enum": list(range(1000))}), closed(a={"enum": list(range(1001))}), "enum values"),
        (closed(a={"const": "x" * 119_999}), closed(a={"const": "x" * 120_000}), "characters in property names"),
        (closed(a={"enum": ["x" * 59] * 251}), closed(a={"enum": ["x" * 60] * 251}), "characters in one enum"),
    ],
)
def test_R10_4_limits(fits: dict[str, Any], exceeds: Any, what: str) -> None:
    if isinstance(exceeds, int):
        exceeds = closed(**dict.fromkeys(map(str, range(exceeds)), TEXT))
    assert strict_complaint(fits) is None
    assert what in (strict_complaint(exceeds) or "")


def test_a_root_that_is_no_object() -> None:
    assert type_complaint({"type": "object"}) is None
    assert type_complaint({"type": None}) == type_complaint({})


KEYS = st.sampled_from(["type", "properties", "required", "items", "anyOf", "enum", "const", "$defs", "a"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["object", "a"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=10,
)


@given(schema=st.dictionaries(KEYS, ANYTHING))
def test_any_object_is_judged(schema: dict[str, Any]) -> None:
    for candidate in (schema, {**schema, "type": "object", "additionalProperties": False}):
        assert strict_complaint(candidate) is None or isinstance(strict_complaint(candidate), str)
