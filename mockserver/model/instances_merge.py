"""A JSON Schema made plain for making instances: references looked up, `allOf` merged, heights measured."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any
from urllib.parse import unquote

Schema = Mapping[str, Any]

NEVER = 1_000_000
_LONGEST_CHAIN = 32


def _joined(one: Any, other: Any) -> list[Any]:
    return [*one, *(name for name in other if name not in one)] if isinstance(one, list) else other


def _kinds(kinds: Any) -> list[str]:
    """Return the types a schema names; whoever takes numbers takes integers."""
    listed = [kinds] if isinstance(kinds, str) else list(kinds or ())
    return [*listed, "integer"] if "number" in listed and "integer" not in listed else listed


def _both_types(one: Any, other: Any) -> Any:
    if one == other:
        return one
    both = [kind for kind in _kinds(one) if kind in _kinds(other)]
    return (both[0] if len(both) == 1 else both) or one


def _both_values(one: Any, other: Any) -> Any:
    return [value for value in one if value in other] or other


def _common_multiple(one: Any, other: Any) -> Any:
    ours, theirs = Fraction(str(one)), Fraction(str(other))
    step = ours
    while (step / theirs).denominator != 1 and step < ours * 10_000:
        step += ours
    return int(step) if step.denominator == 1 else float(step)


_TIGHTER: Mapping[str, Any] = {
    "required": _joined,
    "type": _both_types,
    "enum": _both_values,
    "multipleOf": _common_multiple,
    **dict.fromkeys(("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"), max),
    **dict.fromkeys(("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"), min),
}
_BY_MEMBER = ("properties", "patternProperties", "dependentRequired", "$defs", "definitions")
_SUBSCHEMAS = ("items", "additionalProperties", "propertyNames", "contains")


class Schemas:
    """The schemas below one root; every answer depends on the schema alone, so answers are kept."""

    def __init__(self, root: Any) -> None:
        self._root = root
        # By identity; the schema is kept beside its answer, so that its identity can't be given to another.
        self._plain: dict[int, tuple[Any, Schema]] = {}
        self._fits: dict[tuple[int, int], tuple[Any, bool]] = {}

    def plain(self, schema: Any) -> Schema:
        """Return a schema without `$ref` and `allOf`: both merged with what stands beside them."""
        if not isinstance(schema, Mapping):
            return {}
        if "$ref" not in schema and "allOf" not in schema:
            return schema
        known = self._plain.get(id(schema))
        if known is None:
            known = self._plain[id(schema)] = (schema, self._unfolded(schema, _LONGEST_CHAIN))
        return known[1]

    def _unfolded(self, schema: Any, left: int) -> Schema:
        if not isinstance(schema, Mapping) or left == 0:
            return {}
        parts: list[Any] = [{word: value for word, value in schema.items() if word not in ("$ref", "allOf")}]
        if isinstance(schema.get("$ref"), str):
            parts.append(self._unfolded(self.target(schema["$ref"]), left - 1))
        for part in schema.get("allOf") or ():
            parts.append(self._unfolded(part, left - 1))
        return self.merged(parts) if len(parts) > 1 else parts[0]

    def target(self, reference: str) -> Any:
        """Return the schema a local `$ref` names, an empty one when there is none."""
        found = self._root
        for step in unquote(reference).removeprefix("#").split("/")[1:]:
            step = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and step.isdigit() and int(step) < len(found):
                found = found[int(step)]
            else:
                found = found.get(step, {}) if isinstance(found, Mapping) else {}
        return found

    def merged(self, parts: Iterable[Any]) -> Schema:
        """Return one schema that asks for what all parts ask for, as far as that can be said in one."""
        result: dict[str, Any] = {}
        for part in parts:
            for word, value in self.plain(part).items():
                result[word] = self._merge_word(word, result[word], value) if word in result else value
        return result

    def _merge_word(self, word: str, one: Any, other: Any) -> Any:
        if word in _TIGHTER:
            return _TIGHTER[word](one, other)
        if word in _BY_MEMBER and isinstance(one, Mapping) and isinstance(other, Mapping):
            return {**one, **{key: self._merge_member(word, one, key, value) for key, value in other.items()}}
        if word in _SUBSCHEMAS and isinstance(one, Mapping) and isinstance(other, Mapping):
            return {"allOf": [one, other]}
        return False if one is False or other is False else other

    def _merge_member(self, word: str, one: Schema, key: str, value: Any) -> Any:
        if key not in one or one[key] == value or word == "dependentRequired":
            return value
        return {"allOf": [one[key], value]}

    def conflicts(self, schema: Schema, branch: Any) -> bool:
        """Whether a union's branch can't hold beside the rest, as far as its types and constants tell."""
        plain = self.plain(branch)
        ours, theirs = schema.get("type"), plain.get("type")
        if branch is False or ("const" in schema and "const" in plain and schema["const"] != plain["const"]):
            return True
        return bool(ours and theirs) and not any(kind in _kinds(theirs) for kind in _kinds(ours))

    def other_property(self, plain: Schema, name: str) -> Any:
        """Return the schema of a property that `properties` does not list."""
        for pattern, schema in (plain.get("patternProperties") or {}).items():
            if re.search(pattern, name):
                return schema
        other = plain.get("additionalProperties")
        return other if isinstance(other, Mapping) else {"type": "string"}

    def height(self, schema: Any, room: int) -> int:
        """Return the fewest levels an instance needs, `NEVER` when it needs more than `room`."""
        return next((levels for levels in range(1, room + 1) if self._fits_in(schema, levels)), NEVER)

    def _fits_in(self, schema: Any, levels: int) -> bool:
        if levels <= 0 or schema is False:
            return False
        known = self._fits.get((id(schema), levels))
        if known is None:
            known = self._fits[id(schema), levels] = (schema, self._measure(self.plain(schema), levels))
        return known[1]

    def _measure(self, plain: Schema, levels: int) -> bool:
        if "const" in plain or "enum" in plain:
            return True
        for union in ("anyOf", "oneOf"):
            branches = plain.get(union)
            if isinstance(branches, list) and branches and not any(self._fits_in(one, levels) for one in branches):
                return False
        kinds = plain.get("type")
        if isinstance(kinds, list) and {"string", "number", "integer", "boolean", "null"} & set(kinds):
            return True
        return all(self._fits_in(one, levels - 1) for one in _must_have(plain))


def _must_have(plain: Schema) -> list[Any]:
    """Return the schemas of which every instance holds at least one."""
    properties = plain.get("properties")
    known = properties if isinstance(properties, Mapping) else {}
    found = [known[name] for name in plain.get("required") or () if isinstance(name, str) and name in known]
    least = plain.get("minItems")
    if isinstance(least, int) and least > 0:
        first = plain.get("prefixItems")
        found.extend(first[:least] if isinstance(first, list) else [])
        if least > (len(first) if isinstance(first, list) else 0):
            found.append(plain.get("items", {}))
    return found
