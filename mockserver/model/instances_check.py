"""Whether a value is valid for a JSON Schema: enough of a judge to throw away an instance that missed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from math import isfinite
from typing import Any

from mockserver.model.instances_merge import Schemas, matches, sound

Schema = Mapping[str, Any]

_DEEPEST = 200


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": _number,
    "integer": lambda value: _number(value) and isfinite(value) and value == int(value),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: unlike Python's, true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return bool(one == other)


def _multiple(value: Any, step: Any) -> bool:
    return (Fraction(str(value)) / Fraction(str(step))).denominator == 1 and float(value / step).is_integer()


_KEYWORDS: tuple[tuple[str, Callable[[Any], bool], Callable[[Any, Any], bool]], ...] = (
    ("minimum", _number, lambda value, bound: value >= bound),
    ("maximum", _number, lambda value, bound: value <= bound),
    ("exclusiveMinimum", _number, lambda value, bound: isinstance(bound, bool) or value > bound),
    ("exclusiveMaximum", _number, lambda value, bound: isinstance(bound, bool) or value < bound),
    ("multipleOf", _number, _multiple),
    ("minLength", _TYPES["string"], lambda value, bound: len(value) >= bound),
    ("maxLength", _TYPES["string"], lambda value, bound: len(value) <= bound),
    ("pattern", _TYPES["string"], lambda value, pattern: matches(pattern, value)),
    ("minItems", _TYPES["array"], lambda value, bound: len(value) >= bound),
    ("maxItems", _TYPES["array"], lambda value, bound: len(value) <= bound),
    ("minProperties", _TYPES["object"], lambda value, bound: len(value) >= bound),
    ("maxProperties", _TYPES["object"], lambda value, bound: len(value) <= bound),
    ("required", _TYPES["object"], lambda value, names: all(name in value for name in names)),
)


class Judge:
    """Judges values against the schemas of one root."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        # By reference and the value's identity; the value is kept, so that its identity can't be given to another.
        self._referred: dict[tuple[str, int], tuple[Any, bool]] = {}

    def among(self, value: Any, values: list[Any]) -> bool:
        """Whether an equal JSON value is in a list."""
        return any(same(value, one) for one in values)

    def valid(self, value: Any, schema: Any, depth: int = 0) -> bool:
        """Whether a value is valid; formats and exotic keywords are not judged."""
        if isinstance(schema, bool) or not isinstance(schema, Mapping) or depth > _DEEPEST:
            return schema is not False
        schema = sound(schema)
        kinds = schema.get("type", ())
        kinds = (kinds,) if isinstance(kinds, str) else kinds
        if kinds and not any(_TYPES.get(kind, _TYPES["string"])(value) for kind in kinds):
            return False
        if "const" in schema and not same(value, schema["const"]):
            return False
        if isinstance(schema.get("enum"), list) and not self.among(value, schema["enum"]):
            return False
        for word, concerns, holds in _KEYWORDS:
            if word in schema and concerns(value) and not holds(value, schema[word]):
                return False
        return self._combined(value, schema, depth + 1) and self._inside(value, schema, depth + 1)

    def _combined(self, value: Any, schema: Schema, depth: int) -> bool:
        def votes(word: str) -> list[bool]:
            return [self.valid(value, one, depth) for one in schema.get(word) or ()]

        if "$ref" in schema and not self._refers(value, schema["$ref"], depth):
            return False
        if "not" in schema and self.valid(value, schema["not"], depth):
            return False
        if "if" in schema:
            branch = "then" if self.valid(value, schema["if"], depth) else "else"
            if not self.valid(value, schema.get(branch, True), depth):
                return False
        any_of, one_of = votes("anyOf"), votes("oneOf")
        return all(votes("allOf")) and (not any_of or any(any_of)) and (not one_of or sum(one_of) == 1)

    def _refers(self, value: Any, reference: str, depth: int) -> bool:
        key = (reference, id(value))
        if key not in self._referred:
            self._referred[key] = (value, True)  # a circle asks for nothing more
            self._referred[key] = (value, self.valid(value, self._schemas.target(reference), depth))
        return self._referred[key][1]

    def _inside(self, value: Any, schema: Schema, depth: int) -> bool:
        if isinstance(value, list):
            return self._items(value, schema, depth)
        return self._members(value, schema, depth) if isinstance(value, dict) else True

    def _items(self, value: list[Any], schema: Schema, depth: int) -> bool:
        items = schema.get("items", True)
        first = items if isinstance(items, list) else schema.get("prefixItems") or []
        rest = schema.get("additionalItems", True) if isinstance(items, list) else items
        for number, one in enumerate(value):
            if not self.valid(one, first[number] if number < len(first) else rest, depth):
                return False
        if schema.get("uniqueItems") is True and any(self.among(one, value[:n]) for n, one in enumerate(value)):
            return False
        if "contains" not in schema:
            return True
        found = sum(self.valid(one, schema["contains"], depth) for one in value)
        return bool(schema.get("minContains", 1) <= found <= schema.get("maxContains", found))

    def _members(self, value: dict[str, Any], schema: Schema, depth: int) -> bool:
        listed, patterns = schema.get("properties") or {}, schema.get("patternProperties") or {}
        for name, one in value.items():
            asked = [inner for pattern, inner in patterns.items() if matches(pattern, name)]
            asked += [listed[name]] if name in listed else []
            if not all(self.valid(one, inner, depth) for inner in asked or [schema.get("additionalProperties", True)]):
                return False
            if not self.valid(name, schema.get("propertyNames", True), depth):
                return False
        depends = schema.get("dependentRequired") or {}
        return all(also in value for name, names in depends.items() if name in value for also in names)
