"""The JSON Schema (draft 2020-12) of scenario files, generated from the shapes that the loader itself reads."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Set
from functools import cache
from typing import Any

import orjson

from mockserver.model.scenario_shape import SCENARIO
from mockserver.wire.fields import Schema

Json = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
WORTH_SHARING = 200
_TEMPLATE = {"type": "string", "pattern": r"\{\{"}


@cache
def document() -> Json:
    """Return the schema of a scenario file."""
    made = _json(SCENARIO)
    counts: Counter[str] = Counter()
    _count(made, counts)
    shared: dict[str, str] = {}
    for text, times in counts.items():
        if times > 1:
            shared[text] = f"shape{len(shared) + 1}"
    found = {name: _folded(orjson.loads(text), shared, {name}) for text, name in shared.items()}
    return {"$schema": DRAFT, "title": "understudy scenario", **_folded(made, shared, set()), "$defs": found}


def _text_of(made: Any) -> str:
    """Return the text by which what stands in several places is known, empty for what is too short to be shared."""
    text = orjson.dumps(made).decode() if isinstance(made, dict) else ""
    return text if len(text) >= WORTH_SHARING else ""


def _count(made: Any, counts: Counter[str]) -> None:
    text = _text_of(made)
    if text:
        counts[text] += 1
    if not text or counts[text] == 1:
        for one in made.values() if isinstance(made, dict) else made if isinstance(made, list) else ():
            _count(one, counts)


def _folded(made: Any, shared: Mapping[str, str], within: Set[str]) -> Any:
    """Return a schema with what stands in several places said once, among the definitions."""
    name = shared.get(_text_of(made))
    if name is not None and name not in within:
        return {"$ref": f"#/$defs/{name}"}
    if isinstance(made, dict):
        return {key: _folded(one, shared, set()) for key, one in made.items()}
    return [_folded(one, shared, set()) for one in made] if isinstance(made, list) else made


def _json(schema: Schema) -> Json:
    made = _SPELLED[schema["type"]](schema)
    about = schema.get("metadata", {}).get("about")
    return {"description": about, **made} if about else made


def _bounds(schema: Schema, **names: str) -> Json:
    return {name: schema[key] for key, name in names.items() if key in schema}


def _or_template(made: Json) -> Json:
    return {"anyOf": [made, _TEMPLATE]}


def _number(kind: str) -> Callable[[Schema], Json]:
    return lambda schema: {"type": kind, **_bounds(schema, ge="minimum", le="maximum")}


def _text(schema: Schema) -> Json:
    bounds = _bounds(schema, min_length="minLength", max_length="maxLength", pattern="pattern")
    made = {"type": "string", **bounds}
    return _or_template(made) if bounds.keys() & {"minLength", "pattern"} else made


def _literal(schema: Schema) -> Json:
    return {"enum": list(schema["expected"])}


def _nullable(schema: Schema) -> Json:
    made = _json(schema["schema"])
    return made if not made else {"anyOf": [made, {"type": "null"}]}


def _list(schema: Schema) -> Json:
    bounds = _bounds(schema, min_length="minItems", max_length="maxItems")
    return {"type": "array", "items": _json(schema["items_schema"]), **bounds}


def _map(schema: Schema) -> Json:
    bounds = _bounds(schema, max_length="maxProperties")
    values = _json(schema["values_schema"])
    return {"type": "object", **({"additionalProperties": values} if values else {}), **bounds}


def _object(schema: Schema) -> Json:
    fields = schema["fields"]
    made: Json = {"type": "object", "properties": {key: _json(field["schema"]) for key, field in fields.items()}}
    required = [key for key, field in fields.items() if field["required"]]
    if required:
        made["required"] = required
    if schema["extra_behavior"] == "forbid":
        made["additionalProperties"] = False
    return made


def _union(schema: Schema) -> Json:
    return {"anyOf": [_json(branch) for branch, _ in schema["choices"]]}


def _tagged(schema: Schema) -> Json:
    """Spell out a union by its tags, so that an editor names only what is wrong in the branch that was meant."""
    key, default = schema["discriminator"], schema["metadata"].get("default")
    tags = list(schema["choices"])
    branches = []
    for tag, branch in schema["choices"].items():
        said: Json = {"properties": {key: {"const": tag}}}
        if tag != default:
            said["required"] = [key]
        branches.append({"if": said, "then": _json(branch)})
    made: Json = {"type": "object", "properties": {key: {"enum": tags}}, "allOf": branches}
    return made if default else {**made, "required": [key]}


def _ruled(schema: Schema) -> Json:
    """Add to a shape what JSON Schema can say of its rule."""
    more = dict(schema.get("metadata", {}).get("json", {}))
    return {**_json(schema["schema"]), **more}


_SPELLED: Mapping[str, Callable[[Schema], Json]] = {
    "any": lambda schema: {},
    "bool": lambda schema: {"type": "boolean"},
    "int": _number("integer"),
    "float": _number("number"),
    "str": _text,
    "literal": _literal,
    "nullable": _nullable,
    "list": _list,
    "dict": _map,
    "typed-dict": _object,
    "union": _union,
    "tagged-union": _tagged,
    "function-after": _ruled,
}
