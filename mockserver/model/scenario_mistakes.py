"""Judging a scenario by its shape: every mistake in it, not only the first.

Shapes are those of `wire.fields`, the plain dictionaries that requests are judged by; `members` and `ruled` add what
only scenarios need. A text with a template in it may stand wherever a text may that is not one of a few words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

from mockserver.wire.errors import MockError
from mockserver.wire.fields import Breach, Fields, Schema

Mistakes = Iterator[MockError]
Rule = Callable[[Any, str], Mistakes]
MANY = 8  # more choices than this are not listed
FEW = 20  # known words that are listed


def members(required: Fields, optional: Fields) -> Schema:
    """An object with these keys and no others; unlike in a request, null does not stand for what is left out."""
    fields = {key: {"type": "typed-dict-field", "schema": field, "required": True} for key, field in required.items()}
    for key, field in optional.items():
        fields[key] = {"type": "typed-dict-field", "schema": field, "required": False}
    return {"type": "typed-dict", "fields": fields, "extra_behavior": "forbid", "strict": True}


def ruled(schema: Schema, rule: Rule, json: Mapping[str, Any]) -> Schema:
    """A shape and a rule for what has that shape; `json` says of it what JSON Schema can say."""
    return {"type": "function-after", "schema": schema, "metadata": {"rule": rule, "json": json}}


def told(schema: Schema, about: str) -> Schema:
    """The same shape, and what an editor shows about it."""
    return {**schema, "metadata": {**schema.get("metadata", {}), "about": about}}


def templated(value: Any) -> bool:
    """Whether a value is a text with a template in it."""
    return isinstance(value, str) and "{{" in value


def shown(value: Any) -> str:
    """Return a value as an error message shows it."""
    kinds = {dict: "an object", list: "a list", bool: str(value).lower(), type(None): "null"}
    return kinds.get(type(value), repr(value)[:80])


def joined(where: str, key: Any) -> str:
    """Return the path of a member of what stands at a path."""
    return f"{where}[{key}]" if isinstance(key, int) else f"{where}.{key}" if where else str(key)


def mistakes(schema: Schema, value: Any, where: str) -> Mistakes:
    """Yield every mistake of a value that should have a shape; a rule is asked only where the shape is right."""
    yield from _JUDGES[schema["type"]](schema, value, where)


def expected(schema: Schema) -> str:
    """Say what a shape takes."""
    metadata = schema.get("metadata", {})
    if schema["type"] in _EXPECTED:
        return _EXPECTED[schema["type"]](schema)
    return str(metadata.get("expected", "an object"))


def _range(kind: str) -> Callable[[Schema], str]:
    def words(schema: Schema) -> str:
        least, most = schema.get("ge"), schema.get("le")
        return kind + (f" from {least:g}" if least is not None else "") + (f" to {most:g}" if most is not None else "")

    return words


def _choices(schema: Schema) -> str:
    values = schema["expected"]
    if len(values) == 1:
        return repr(values[0])
    return f"one of {', '.join(values)}" if len(values) <= MANY else "known"


_EXPECTED: Mapping[str, Callable[[Schema], str]] = {
    "str": lambda schema: "a text",
    "bool": lambda schema: "true or false",
    "int": _range("a whole number"),
    "float": _range("a number"),
    "literal": _choices,
    "list": lambda schema: "a list",
    "dict": lambda schema: "an object",
    "typed-dict": lambda schema: "an object",
    "tagged-union": lambda schema: "an object",
}


def _wrong(schema: Schema, value: Any, where: str) -> Mistakes:
    yield MockError(f"'{where}' must be {expected(schema)}, not {shown(value)}.", param=where)


def near(word: Any, known: Iterable[str]) -> str:
    """Return a hint at the known word that is meant, or the known words when they are few."""
    known = list(known)
    found = get_close_matches(str(word), known, n=1)
    if found:
        return f" Did you mean '{found[0]}'?"
    return f" Known are: {', '.join(known)}." if known and len(known) <= FEW else ""


def _any(schema: Schema, value: Any, where: str) -> Mistakes:
    yield from ()


def _nullable(schema: Schema, value: Any, where: str) -> Mistakes:
    if value is not None:
        yield from mistakes(schema["schema"], value, where)


def _of_type(*kinds: type) -> Callable[[Schema, Any, str], Mistakes]:
    def judge(schema: Schema, value: Any, where: str) -> Mistakes:
        fits = isinstance(value, kinds) and (bool in kinds or not isinstance(value, bool))
        if not fits or not (schema.get("ge", value) <= value <= schema.get("le", value)):
            yield from _wrong(schema, value, where)

    return judge


def _text(schema: Schema, value: Any, where: str) -> Mistakes:
    if not isinstance(value, str):
        yield from _wrong(schema, value, where)
    elif not templated(value) and (problem := _misshapen(schema, value)):
        yield MockError(f"'{where}' must {problem}, not {shown(value)}.", param=where)


def _misshapen(schema: Schema, value: str) -> str | None:
    prefix = schema.get("metadata", {}).get("prefix")
    if len(value) > schema.get("max_length", len(value)):
        return f"have at most {schema['max_length']} characters"
    if len(value) < schema.get("min_length", 0):
        return "not be empty"
    if "pattern" in schema and not re.search(schema["pattern"], value):
        begins = f"begin with '{prefix}' and " if prefix else ""
        return f"{begins}have only letters, digits, _ and -"
    return None


def _literal(schema: Schema, value: Any, where: str) -> Mistakes:
    if value in schema["expected"]:
        return
    message = f"'{where}' must be {expected(schema)}, not {shown(value)}."
    hint = near(value, schema["expected"]) if len(schema["expected"]) > MANY else ""
    yield MockError(message + hint, param=where)


def _list(schema: Schema, value: Any, where: str) -> Mistakes:
    if not isinstance(value, list):
        yield from _wrong(schema, value, where)
        return
    if not schema.get("min_length", 0) <= len(value) <= schema.get("max_length", len(value)):
        least, most = schema.get("min_length", 0), schema.get("max_length")
        bounds = f"from {least}" + (f" to {most}" if most is not None else "")
        yield MockError(f"'{where}' must have {bounds} members, not {len(value)}.", param=where)
    for number, one in enumerate(value):
        yield from mistakes(schema["items_schema"], one, joined(where, number))


def _map(schema: Schema, value: Any, where: str) -> Mistakes:
    if not isinstance(value, dict):
        yield from _wrong(schema, value, where)
        return
    for key, one in value.items():
        yield from mistakes(schema["values_schema"], one, joined(where, key))


def _object(schema: Schema, value: Any, where: str) -> Mistakes:
    if not isinstance(value, dict):
        yield from _wrong(schema, value, where)
        return
    fields = schema["fields"]
    if schema["extra_behavior"] == "forbid":
        for key in value:
            if key not in fields:
                message = f"Unknown key '{key}' in '{where}'.{near(key, fields)}"
                yield MockError(message, param=joined(where, key))
    for key, field in fields.items():
        if key in value:
            yield from mistakes(field["schema"], value[key], joined(where, key))
        elif field["required"]:
            yield MockError(f"'{where}' has no {key}.", param=joined(where, key))


def _union(schema: Schema, value: Any, where: str) -> Mistakes:
    label = schema["metadata"]["choose"](value)
    chosen = next((branch for branch, name in schema["choices"] if name == label), None)
    yield from _wrong(schema, value, where) if chosen is None else mistakes(chosen, value, where)


def _tagged(schema: Schema, value: Any, where: str) -> Mistakes:
    if not isinstance(value, dict):
        yield from _wrong(schema, value, where)
        return
    key, metadata = schema["discriminator"], schema["metadata"]
    tag = value.get(key, metadata.get("default"))
    if isinstance(tag, str) and tag in schema["choices"]:
        yield from mistakes(schema["choices"][tag], value, where)
        return
    place = joined(where, key)
    if tag is None:
        message = f"'{where}' has no {key}."
    else:
        why = metadata.get("never", {}).get(tag) if isinstance(tag, str) else None
        message = f"Unknown {key} {shown(tag)}.{near(tag, schema['choices'])}" if why is None else why
    yield MockError(message, param=place)


def _ruled(schema: Schema, value: Any, where: str) -> Mistakes:
    found = list(mistakes(schema["schema"], value, where))
    yield from found
    if found or templated(value):
        return
    if "function" not in schema:
        yield from schema["metadata"]["rule"](value, where)
        return
    try:
        schema["function"]["function"](value)
    except Breach as breach:
        yield MockError(str(breach.complain(where)), param=where)


_JUDGES: Mapping[str, Callable[[Schema, Any, str], Mistakes]] = {
    "any": _any,
    "nullable": _nullable,
    "bool": _of_type(bool),
    "int": _of_type(int),
    "float": _of_type(int, float),
    "str": _text,
    "literal": _literal,
    "list": _list,
    "dict": _map,
    "typed-dict": _object,
    "union": _union,
    "tagged-union": _tagged,
    "function-after": _ruled,
}
