"""Whether a value is valid for a JSON Schema, as jsonschema judges it: enough to throw away an instance that missed."""

# A format that is not strict may hold any schema, and the library expects a correct one. On others it raises
# (an unknown type, a pattern of another dialect, `items` as a list), fetches (a remote `$ref`), never ends
# (references doubled thirty times) or changes to another draft (a part with `$schema`). So it only sees tidy
# schemas: known keywords, sound values, the forms of 2020-12, and references that are looked up here, once per
# value. It is loaded with the first schema, for that takes 40 ms.

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from mockserver.model.json_instances.schemas import Schemas, matches, sound
from mockserver.model.json_instances.strings import takes_long

Schema = Mapping[str, Any]

_TYPES = frozenset(("string", "boolean", "null", "number", "integer", "array", "object"))
_ONE = frozenset(("additionalItems", "additionalProperties", "contains", "else", "if", "not", "propertyNames", "then"))
_SEVERAL = frozenset(("allOf", "anyOf", "oneOf", "prefixItems"))
# What other keywords read beside themselves.
_BESIDE = frozenset(("additionalItems", "else", "maxContains", "minContains", "then"))
_LONG_NAME = 200  # characters: names of properties are hardly longer
# Not judged, because nothing of them is obeyed when an instance is made.
_IGNORED = ("$dynamicRef", "dependentSchemas", "format", "unevaluatedItems", "unevaluatedProperties")


@cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator, ValidationError  # type: ignore[import-untyped]
    from jsonschema.validators import create  # type: ignore[import-untyped]

    def refer(validator: Any, refers: Callable[[Any], bool], value: Any, schema: Schema) -> Iterator[Any]:
        if not refers(value):
            yield ValidationError("is not what the reference asks for")

    def match(validator: Any, fits: Callable[[str], bool], value: Any, schema: Schema) -> Iterator[Any]:
        if isinstance(value, str) and not fits(value):
            yield ValidationError("does not match")

    keywords = {word: check for word, check in Draft202012Validator.VALIDATORS.items() if word not in _IGNORED}
    return create(meta_schema={}, validators={**keywords, "$ref": refer, "pattern": match})


class InstanceChecker:
    """Validates values against the schemas of one root."""

    def __init__(self, schemas: Schemas) -> None:
        self._schemas = schemas
        # By identity; schema and value are kept, so that their identity can't be given to another.
        self._validators: dict[int, tuple[Any, Any]] = {}
        self._referred: dict[tuple[str, int], tuple[Any, bool]] = {}

    def valid(self, value: Any, schema: Any) -> bool:
        """Whether a value is valid; formats and exotic keywords are not judged. Raises BudgetSpent."""
        try:
            if id(schema) not in self._validators:
                self._validators[id(schema)] = (schema, _validator()(self._tidy(schema)))
            return bool(self._validators[id(schema)][1].is_valid(value))
        except (re.error, OverflowError, RecursionError):
            return True

    def contains(self, value: Any, values: list[Any]) -> bool:
        """Whether an equal JSON value is in a list: unlike Python's, true is not 1."""
        return bool(_validator()({"enum": values}).is_valid(value))

    def _tidy(self, schema: Any) -> Any:
        if not isinstance(schema, Mapping):
            return schema is not False
        known = _validator().VALIDATORS.keys() | _BESIDE
        tidy = {word: self._tidy_word(word, value) for word, value in sound(schema).items() if word in known}
        for word in ("exclusiveMaximum", "exclusiveMinimum"):
            if isinstance(tidy.get(word), bool):  # a flag of the oldest drafts
                del tidy[word]
        if isinstance(tidy.get("items"), list):
            tidy["prefixItems"] = tidy.pop("items")
            tidy["items"] = tidy.pop("additionalItems", True)
        return tidy

    def _tidy_word(self, word: str, value: Any) -> Any:
        if word == "$ref":
            return lambda instance: self._refers(instance, value)
        if word == "pattern":
            return lambda text: matches(value, text, self._schemas.budget)
        if word == "type":
            return [kind if kind in _TYPES else "string" for kind in ([value] if isinstance(value, str) else value)]
        if word == "properties":
            return {name: self._tidy(part) for name, part in value.items()}
        if word == "patternProperties":
            return {_readable(pattern): self._tidy(part) for pattern, part in value.items()}
        if word in _SEVERAL or (word == "items" and isinstance(value, list)):
            return [self._tidy(part) for part in value]
        if word in _ONE or word == "items":
            return self._tidy(value)
        if word == "uniqueItems":
            return value is True
        return value

    def _refers(self, value: Any, reference: str) -> bool:
        key = (reference, id(value))
        if key not in self._referred:
            self._referred[key] = (value, True)  # a circle requires nothing more
            self._referred[key] = (value, self.valid(value, self._schemas.target(reference)))
        return self._referred[key][1]


def _readable(pattern: str) -> str:
    """The pattern, or one that matches everything if it is of another dialect or may take for ever."""
    try:
        re.compile(pattern)
        return "" if takes_long(pattern, _LONG_NAME) else pattern
    except (re.error, OverflowError, RecursionError):
        return ""
