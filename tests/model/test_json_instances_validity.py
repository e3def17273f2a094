"""The judge of instances: as the library judges on sound schemas, and calm on those that it can't take."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mockserver.model.json_instances.schemas import Schemas
from mockserver.model.json_instances.validity import InstanceChecker

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
    judge = InstanceChecker(Schemas(schema))
    for value in VALUES:
        assert judge.valid(value, schema) == Draft202012Validator(schema).is_valid(value), value


REMOTE = "https://schemas.invalid/a.json"
DOUBLED = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
ODD: list[tuple[Any, Any, bool]] = [
    ({"type": "text"}, "a", True),
    ({"type": "text"}, 1, False),
    ({"type": 3, "minimum": 2}, 1, False),
    ({"pattern": "\\p{L}+(", "minLength": 2}, "a", False),
    ({"pattern": "("}, "a", True),
    ({"patternProperties": {"(": {"type": "string"}}}, {"a": 1}, False),
    ({"items": [{"type": "string"}], "additionalItems": False}, ["a"], True),
    ({"items": [{"type": "string"}], "additionalItems": False}, ["a", 1], False),
    ({"items": [{"type": "string"}]}, ["a", 1], True),
    ({"minimum": 1, "exclusiveMinimum": True}, 2, True),
    ({"properties": {"a": {"$schema": "http://json-schema.org/draft-03/schema#", "type": "string"}}}, {"a": 1}, False),
    ({"properties": {"a": {"$schema": 3, "$id": 4, "type": "string"}}}, {"a": 1}, False),
    ({"$ref": REMOTE, "type": "string"}, "a", True),
    ({"$ref": REMOTE, "type": "string"}, 1, False),
    ({"$ref": "#/$defs/none"}, 1, True),
    ({"$ref": "#", "type": "string"}, "a", True),
    ({"$ref": "#", "type": "string"}, 1, False),
    ({"$dynamicRef": "#none"}, 1, True),
    ({"unevaluatedProperties": False, "dependentSchemas": {"a": False}}, {"a": 1}, True),
    ({"then": False, "else": False}, 1, True),
    ({"uniqueItems": "yes"}, [1, 1], True),
    ({"$defs": {**DOUBLED, "d30": {"type": "integer"}}, "$ref": "#/$defs/d0"}, 1, True),
    ({"$defs": {**DOUBLED, "d30": {"type": "integer"}}, "$ref": "#/$defs/d0"}, "a", False),
]


@pytest.mark.parametrize(("schema", "value", "valid"), ODD)
def test_schemas_that_are_none(schema: Any, value: Any, valid: bool) -> None:
    assert InstanceChecker(Schemas(schema)).valid(value, schema) is valid


def test_nested_deeper_than_python_goes() -> None:
    schema: Any = {"type": "string"}
    for _ in range(2000):
        schema = {"not": schema}
    assert InstanceChecker(Schemas(schema)).valid("a", schema)


def test_true_is_not_one() -> None:
    judge = InstanceChecker(Schemas({}))
    assert not judge.contains([True], [[1], 1, None])
    assert judge.contains({"a": [1]}, [{"a": [1.0]}])


def test_it_is_loaded_with_the_first_schema() -> None:
    code = "import sys; from mockserver.engine.engine import Engine; assert 'jsonschema' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
