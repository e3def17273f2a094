"""The small judge against an independent one."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mockserver.model.instances_check import Judge, same
from mockserver.model.instances_merge import Schemas

NUMBERS: list[Any] = [0, 1, 1.5, -3, True, None]
VALUES: list[Any] = [*NUMBERS, "", "abc", "x-y", [], [1, 1], [1, "a"], {}, {"a": 1}, {"a": "x", "b": 2}]
SCHEMAS: list[Any] = [
    True,
    False,
    {"type": "integer"},
    {"type": ["string", "null"]},
    {"const": 1},
    {"enum": ["abc", 0]},
    {"minimum": 1, "exclusiveMaximum": 1.5},
    {"multipleOf": 0.5},
    {"minLength": 1, "maxLength": 3, "pattern": "^[a-z]+$"},
    {"minItems": 1, "uniqueItems": True},
    {"items": {"type": "integer"}},
    {"prefixItems": [{"const": 1}], "items": False},
    {"contains": {"type": "string"}},
    {"required": ["a"], "properties": {"a": {"type": "integer"}}},
    {"additionalProperties": False, "properties": {"a": True}},
    {"patternProperties": {"^a": {"type": "string"}}},
    {"propertyNames": {"const": "a"}, "minProperties": 1},
    {"dependentRequired": {"a": ["b"]}},
    {"anyOf": [{"type": "string"}, {"type": "null"}]},
    {"oneOf": [{"type": "integer"}, {"type": "number"}]},
    {"allOf": [{"type": "integer"}, {"minimum": 1}]},
    {"not": {"type": "object"}},
    {"if": {"type": "string"}, "then": {"minLength": 2}, "else": {"type": "integer"}},
    {"$ref": "#/$defs/a", "$defs": {"a": {"type": "array", "items": {"$ref": "#/$defs/a"}}}},
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_it_agrees(schema: Any) -> None:
    judge = Judge(Schemas(schema))
    for value in VALUES:
        assert judge.valid(value, schema) == Draft202012Validator(schema).is_valid(value), value


def test_true_is_not_one() -> None:
    assert not same([True], [1]) and same({"a": [1]}, {"a": [1.0]})
