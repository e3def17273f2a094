"""A JSON Schema made plain for making instances: references looked up, `allOf` merged, heights measured."""

# The height of a schema is the fewest levels that a valid value needs: 1 for a string, 2 for an object that
# requires a string, `NEVER` where every way leads back to itself. Making an instance asks for it at every union
# and optional property, so answers are kept, by the identity of the (never changed) schema: hashing it would
# cost as much as the answer. While an answer is worked out a place holder stands in its entry, so that a circle
# ends where it began.

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction
from math import isfinite, lcm
from typing import Any
from urllib.parse import unquote

from mockserver.model.json_instances.strings import takes_long

Schema = Mapping[str, Any]

NEVER = 1_000_000
_LARGEST = 10**30  # of a bound; beyond it no float is near enough to be a multiple of anything
_INDEX = re.compile("[0-9]{1,9}")  # int() takes 4300 digits, and isdigit() more than digits
_LONGEST_CHAIN = 64  # of references and unions that lead to each other; a longer one ends in a schema without rules


def _join(left: Any, right: Any) -> list[Any]:
    return [*left, *(name for name in right if name not in left)]


def _kinds(kinds: Any) -> list[str]:
    """The types that a schema names; a schema that takes numbers takes integers too."""
    listed = [kinds] if isinstance(kinds, str) else list(kinds or ())
    return [*listed, "integer"] if "number" in listed and "integer" not in listed else listed


def _both_types(left: Any, right: Any) -> Any:
    if left == right:
        return left
    both = [kind for kind in _kinds(left) if kind in _kinds(right)]
    return (both[0] if len(both) == 1 else both) or left


def _both_values(left: Any, right: Any) -> Any:
    return [value for value in left if value in right] or right


def _common_multiple(left: Any, right: Any) -> Any:
    ours, theirs = Fraction(str(left)), Fraction(str(right))
    above, below = ours.numerator * theirs.denominator, theirs.numerator * ours.denominator
    step = min(Fraction(lcm(above, below), ours.denominator * theirs.denominator), ours * 10_000)
    return int(step) if step.denominator == 1 else float(step)


_TIGHTER: Mapping[str, Any] = {
    "required": _join,
    "type": _both_types,
    "enum": _both_values,
    "multipleOf": _common_multiple,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
_BY_MEMBER = ("properties", "patternProperties", "dependentRequired", "$defs", "definitions")
_SUBSCHEMAS = ("items", "additionalProperties", "propertyNames", "contains")


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and isfinite(value) and abs(value) < _LARGEST


def _length(value: Any) -> bool:
    return _finite(value) and not isinstance(value, bool) and value >= 0


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(name, str) for name in value)


def _object(value: Any) -> bool:
    return isinstance(value, Mapping)


def _schemas(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _schema(value: Any) -> bool:
    return isinstance(value, Mapping | bool)


_SOUND: Mapping[str, Callable[[Any], bool]] = {
    "$ref": lambda value: isinstance(value, str),
    "type": lambda value: isinstance(value, str) or (_names(value) and bool(value)),
    "required": _names,
    "dependentRequired": lambda value: _object(value) and all(map(_names, value.values())),
    "pattern": lambda value: isinstance(value, str),
    "multipleOf": lambda value: _length(value) and value > 0,
    "items": lambda value: _schema(value) or isinstance(value, list),
    **dict.fromkeys(("enum", "allOf", "anyOf", "oneOf", "prefixItems"), _schemas),
    **dict.fromkeys(("properties", "patternProperties"), _object),
    **dict.fromkeys(("additionalProperties", "additionalItems", "propertyNames", "contains", "not", "if"), _schema),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"), _finite),
    **dict.fromkeys(("minLength", "minItems", "minProperties", "minContains"), _length),
    **dict.fromkeys(("maxLength", "maxItems", "maxProperties", "maxContains"), _length),
}


def sound(schema: Schema) -> Schema:
    """The schema without the keywords whose values make no sense."""
    bad = {word for word, value in schema.items() if word in _SOUND and not _SOUND[word](value)}
    return {word: value for word, value in schema.items() if word not in bad} if bad else schema


def matches(pattern: str, text: str) -> bool:
    """Whether a text matches; a pattern of another dialect, or one that may take for ever, matches everything."""
    try:
        return takes_long(pattern, len(text)) or re.search(pattern, text) is not None
    except (re.error, OverflowError, RecursionError):
        return True


class Schemas:
    """The schemas below one root; every answer depends on the schema alone, so answers are kept."""

    def __init__(self, root: Any) -> None:
        self._root = root
        # By identity; the schema is kept beside its answer, so that its identity can't be given to another.
        self._plain: dict[int, tuple[Any, Schema]] = {}
        self._fits: dict[tuple[int, int], tuple[Any, bool]] = {}
        self._depth = 0

    def plain(self, schema: Any) -> Schema:
        """The schema without `$ref` and `allOf`: both are merged with the keywords beside them."""
        if not isinstance(schema, Mapping):
            return {}
        known = self._plain.get(id(schema))
        if known is None and self._depth >= _LONGEST_CHAIN:
            return {}
        if known is None:
            # A call that comes back here while this is being unfolded is in a circle, which requires nothing more.
            self._plain[id(schema)] = (schema, {})
            self._depth += 1
            known = self._plain[id(schema)] = (schema, self._unfold(sound(schema)))
            self._depth -= 1
        return known[1]

    def _unfold(self, schema: Schema) -> Schema:
        if "$ref" not in schema and "allOf" not in schema:
            return schema
        parts: list[Any] = [{word: value for word, value in schema.items() if word not in ("$ref", "allOf")}]
        if "$ref" in schema:
            parts.append(self.target(schema["$ref"]))
        return self.merge([*parts, *schema.get("allOf", ())])

    def target(self, reference: str) -> Any:
        """The schema that a local `$ref` names, an empty one if there is none."""
        schema = self._root
        for step in unquote(reference).removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(schema, list) and _INDEX.fullmatch(step) and int(step) < len(schema):
                schema = schema[int(step)]
            else:
                schema = schema.get(step, {}) if isinstance(schema, Mapping) else {}
        return schema

    def merge(self, parts: Iterable[Any]) -> Schema:
        """Merge schemas into one that requires what all of them require, as far as one schema can say it."""
        result: dict[str, Any] = {}
        for part in parts:
            for word, value in self.plain(part).items():
                result[word] = self._merge_word(word, result[word], value) if word in result else value
        return result

    def _merge_word(self, word: str, left: Any, right: Any) -> Any:
        if word in _TIGHTER:
            return _TIGHTER[word](left, right)
        if word in _BY_MEMBER and isinstance(left, Mapping) and isinstance(right, Mapping):
            return {**left, **{key: self._merge_member(word, left, key, value) for key, value in right.items()}}
        if word in _SUBSCHEMAS and isinstance(left, Mapping) and isinstance(right, Mapping):
            return {"allOf": [left, right]}
        return False if left is False or right is False else right

    def _merge_member(self, word: str, left: Schema, key: str, value: Any) -> Any:
        if key not in left or left[key] == value or word == "dependentRequired":
            return value
        return {"allOf": [left[key], value]}

    def conflicts(self, schema: Schema, branch: Any) -> bool:
        """Whether a union's branch can't hold beside the rest, as far as its types and constants tell."""
        plain = self.plain(branch)
        ours, theirs = schema.get("type"), plain.get("type")
        if branch is False or ("const" in schema and "const" in plain and schema["const"] != plain["const"]):
            return True
        return bool(ours and theirs) and not any(kind in _kinds(theirs) for kind in _kinds(ours))

    def other_property(self, plain: Schema, name: str) -> Any:
        """The schema of a property that `properties` does not list."""
        for pattern, schema in (plain.get("patternProperties") or {}).items():
            if matches(pattern, name):
                return schema
        additional = plain.get("additionalProperties")
        return additional if isinstance(additional, Mapping) else {"type": "string"}

    def height(self, schema: Any, room: int) -> int:
        """The fewest levels an instance needs, `NEVER` when it needs more than `room`."""
        return next((levels for levels in range(1, room + 1) if self._fits_in(schema, levels)), NEVER)

    def _fits_in(self, schema: Any, levels: int) -> bool:
        if levels <= 0 or schema is False or self._depth >= _LONGEST_CHAIN:
            return False
        known = self._fits.get((id(schema), levels))
        if known is None:
            # A union that leads back here on the same level never ends by that way.
            self._fits[id(schema), levels] = (schema, False)
            plain = self.plain(schema)
            self._depth += 1
            known = self._fits[id(schema), levels] = (schema, self._measure(plain, levels))
            self._depth -= 1
        return known[1]

    def _measure(self, plain: Schema, levels: int) -> bool:
        if "const" in plain or "enum" in plain:
            return True
        for union in ("anyOf", "oneOf"):
            branches = plain.get(union)
            if isinstance(branches, list) and branches and not any(self._fits_in(part, levels) for part in branches):
                return False
        kinds = plain.get("type")
        if isinstance(kinds, list) and {"string", "number", "integer", "boolean", "null"} & set(kinds):
            return True
        return all(self._fits_in(part, levels - 1) for part in _must_have(plain))


def _must_have(plain: Schema) -> list[Any]:
    """The schemas of which every instance contains at least one."""
    properties = plain.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    parts = [known[name] for name in plain.get("required") or () if isinstance(name, str) and name in known]
    least = plain.get("minItems")
    if isinstance(least, int) and least > 0:
        first = plain.get("prefixItems")
        parts.extend(first[:least] if isinstance(first, list) else [])
        if least > (len(first) if isinstance(first, list) else 0):
            parts.append(plain.get("items", {}))
    return parts
