"""Instances of schemas, judged by an independent validator."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mockserver.model.json_instances.generate import instance
from tests.support.examples import examples


def check(schema: Any, seed: str = "seed", **how: bool) -> Any:
    value = instance(schema, seed, **how)
    Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER).validate(value)
    assert json.loads(json.dumps(value)) == value
    return value


FORMATS = ["date-time", "date", "time", "duration", "email", "hostname", "ipv4", "ipv6", "uuid"]
PATTERNS = [r"^[A-Z]{3}-\d{4}$", r"^(red|green) \w+$", r"^\S+@\S+\.com$", r"[^a-z]", r"^(?!0)\d{2,5}$", r"^.{5,}$"]


def strings() -> st.SearchStrategy[dict]:
    lengths = st.tuples(st.integers(0, 40), st.integers(0, 40)).map(
        lambda n: {"type": "string", "minLength": n[0], "maxLength": n[0] + n[1]}
    )
    return st.one_of(
        st.just({"type": "string"}),
        lengths,
        st.sampled_from(FORMATS).map(lambda one: {"type": "string", "format": one}),
        st.sampled_from(PATTERNS).map(lambda one: {"type": "string", "pattern": one}),
    )


def numbers() -> st.SearchStrategy[dict]:
    whole = st.tuples(st.integers(-50, 50), st.integers(2, 60), st.booleans(), st.booleans()).map(
        lambda n: {
            "type": "integer",
            "exclusiveMinimum" if n[2] else "minimum": n[0],
            "exclusiveMaximum" if n[3] else "maximum": n[0] + n[1],
        }
    )
    steps = st.sampled_from([1, 2, 5, 0.5, 0.25, 10])
    return st.one_of(
        whole,
        st.just({"type": "number"}),
        steps.map(lambda step: {"type": "number", "multipleOf": step}),
        st.tuples(st.integers(-9, 9), steps).map(
            lambda n: {"type": "number", "minimum": n[0], "maximum": n[0] + 20, "multipleOf": n[1]}
        ),
        st.floats(-5, 5).map(lambda low: {"type": "number", "minimum": low, "maximum": low + 0.01}),
    )


def leaves() -> st.SearchStrategy[dict]:
    return st.one_of(
        strings(),
        numbers(),
        st.sampled_from([{"type": "boolean"}, {"type": "null"}, {"const": "x"}, {"const": {"a": [1]}}]),
        st.lists(st.sampled_from(["a", "b", 1, None, True]), min_size=1).map(lambda values: {"enum": values}),
        st.just({"type": ["string", "null"]}),
    )


def wider(inner: st.SearchStrategy[dict]) -> st.SearchStrategy[dict]:
    properties = st.dictionaries(st.sampled_from(["city", "name", "count", "tags", "email", "é"]), inner, max_size=4)
    objects = st.tuples(properties, st.booleans()).map(
        lambda n: {
            "type": "object",
            "properties": n[0],
            "required": list(n[0])[: None if n[1] else 1],
            "additionalProperties": False,
        }
    )
    arrays = st.tuples(inner, st.integers(0, 3), st.integers(0, 3)).map(
        lambda n: {"type": "array", "items": n[0], "minItems": n[1], "maxItems": n[1] + n[2]}
    )
    tuples = st.lists(inner, min_size=1, max_size=3).map(
        lambda one: {"type": "array", "prefixItems": one, "items": False, "minItems": len(one)}
    )
    unions = st.lists(inner, min_size=1, max_size=3).map(lambda one: {"anyOf": one})
    return st.one_of(objects, arrays, tuples, unions)


@given(st.recursive(leaves(), wider, max_leaves=12), st.text(max_size=4), st.booleans())
@examples(400)
def test_R10_5_every_instance_is_valid(schema: dict, seed: str, every: bool) -> None:
    check(schema, seed, every_property=every)


WORDS = [
    *("type", "enum", "const", "properties", "required", "items", "prefixItems", "minItems", "maxItems", "uniqueItems"),
    *("anyOf", "allOf", "oneOf", "not", "if", "then", "$ref", "$defs", "minimum", "maximum", "exclusiveMinimum"),
    *("multipleOf", "minLength", "maxLength", "pattern", "format", "additionalProperties", "patternProperties"),
    *("minProperties", "propertyNames", "dependentRequired", "contains", "minContains", "additionalItems"),
]
VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 30),
    st.floats(-3, 30),
    st.sampled_from(["object", "array", "string", "integer", "#", "#/$defs/a", "date", "(", "^a", "email", ""]),
)


@given(
    st.recursive(
        VALUES,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3), st.dictionaries(st.sampled_from([*WORDS, "a", "b"]), inner, max_size=4)
        ),
        max_leaves=15,
    ),
    st.booleans(),
)
@examples(600)
def test_what_is_no_schema_still_gets_a_value(schema: Any, every: bool) -> None:
    json.dumps(instance(schema, "x", every_property=every), allow_nan=False)


def test_circles_and_doublings_end() -> None:
    instance({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}, "x")
    doubled = {f"d{n}": {"allOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(30)}
    assert isinstance(instance({"$defs": {**doubled, "d30": {"type": "integer"}}, "$ref": "#/$defs/d0"}, "x"), int)


TREE = {
    "type": "object",
    "properties": {"value": {"type": "integer"}, "children": {"type": "array", "items": {"$ref": "#"}}},
    "required": ["value", "children"],
    "additionalProperties": False,
}
LIST = {
    "$defs": {
        "node": {
            "type": "object",
            "properties": {"next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}, "v": {"type": "string"}},
            "required": ["next", "v"],
        }
    },
    "type": "object",
    "properties": {"head": {"$ref": "#/$defs/node"}},
    "required": ["head"],
}
EXPRESSION = {
    "$defs": {
        "e": {
            "oneOf": [
                {"type": "number"},
                {
                    "type": "object",
                    "properties": {"l": {"$ref": "#/$defs/e"}, "r": {"$ref": "#/$defs/e"}, "op": {"enum": ["+", "*"]}},
                    "required": ["l", "op", "r"],
                },
            ]
        }
    },
    "$ref": "#/$defs/e",
}
SPECIAL = [
    TREE,
    LIST,
    EXPRESSION,
    {"allOf": [{"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
               {"properties": {"b": {"type": "integer", "minimum": 3}, "a": {"minLength": 30}}, "required": ["b"]}]},
    {"oneOf": [{"type": "integer"}, {"type": "number", "multipleOf": 0.5, "not": {"type": "integer"}}]},
    {"type": "array", "items": {"enum": [1, 2, 3, 4]}, "uniqueItems": True, "minItems": 4},
    {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 2, "maxItems": 2},
    {"type": "array", "contains": {"const": 5}, "items": {"type": "integer"}, "minItems": 3},
    {"type": "object", "minProperties": 3},
    {"type": "object", "minProperties": 2, "additionalProperties": {"type": "integer"},
     "propertyNames": {"pattern": "^[a-z]{3}$"}},
    {"type": "object", "patternProperties": {"^x-": {"type": "boolean"}}, "required": ["x-a"]},
    {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["a"],
     "dependentRequired": {"a": ["b"]}},
    {"type": "object", "properties": {"kind": {"enum": ["a", "b"]}, "n": {"type": "integer"}}, "required": ["kind"],
     "if": {"properties": {"kind": {"const": "a"}}}, "then": {"required": ["n"]}},
    {"type": "object", "properties": {"kind": {"const": "a"}}, "required": ["kind"],
     "anyOf": [{"properties": {"kind": {"const": "b"}}}, {"properties": {"x": {"type": "null"}}, "required": ["x"]}]},
    {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"},
    {"type": "string", "pattern": r"^[a-z]+(-[a-z]+)*$", "minLength": 10, "maxLength": 12},
    {"type": ["integer", "null"], "minimum": 7, "multipleOf": 7},
    {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
    {"type": "number", "multipleOf": 0.01, "minimum": 0.1, "maximum": 0.2},
    {"type": "integer", "minimum": -5, "maximum": -5},
    {"properties": {"a": {"type": "string"}}, "required": ["a"]},
    {"type": "object", "required": ["unlisted"]},
    {"not": {"type": "string"}, "type": ["string", "integer"]},
    {"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"type": "integer", "minimum": 900}}},
    True,
    {},
]  # fmt: skip


@pytest.mark.parametrize("schema", SPECIAL)
@pytest.mark.parametrize("seed", ["", "a", "b", "c"])
def test_special_schemas(schema: Any, seed: str) -> None:
    check(schema, seed)
    check(schema, seed, every_property=True)


def test_R10_6_keys_come_in_schema_order() -> None:
    schema = {"type": "object", "properties": {one: {"type": "string"} for one in "zebra"}, "required": list("abrez")}
    assert list(check(schema)) == list(schema["properties"])


def test_only_required_properties_unless_asked_for() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}, "required": ["b"]}
    assert list(check(schema)) == ["b"]
    assert list(check(schema, every_property=True)) == ["a", "b"]


def test_same_seed_same_value_and_seeds_differ() -> None:
    assert instance(TREE, "1") == instance(TREE, "1")
    assert len({json.dumps(instance(TREE, str(seed))) for seed in range(20)}) > 5


def test_readable_names() -> None:
    place = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    assert check(place)["city"] in {"Paris", "Lisbon", "Nairobi", "Kyoto", "Oslo"}


def test_unsatisfiable_and_deep_schemas_end() -> None:
    instance({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "x")
    instance({"$ref": "#"}, "x")
    instance({"allOf": [{"$ref": "#"}, {"type": "string"}]}, "x")
    instance({"type": "array", "items": {"$ref": "#"}, "minItems": 2}, "x")
    wide = {"type": "object", "properties": {str(n): {"$ref": "#"} for n in range(12)}}
    check(wide, every_property=True)
    deep: dict[str, Any] = {"type": "string"}
    for _ in range(30):
        deep = {"type": "object", "properties": {"a": deep}, "required": ["a"]}
    check(deep)
    instance({"type": "string", "pattern": "((x{900}){900}){900}"}, "x")
    instance({"type": "string", "pattern": "(unclosed"}, "x")
