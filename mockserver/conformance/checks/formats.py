"""Fixed rules about structured output and refusals (R10.1–R10.8)."""

from __future__ import annotations

import json
from typing import Any

from mockserver.conformance import expected_errors
from mockserver.conformance.expected_errors import ExpectedError
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import Item, ServerUnderTest, text_of, user

_STRING = {"type": "string"}


def _object(properties: Item, **members: Any) -> Item:
    closed = {"additionalProperties": False, "required": list(properties)}
    return {"type": "object", "properties": properties, **closed, **members}


def _format(schema: Item, **members: Any) -> Item:
    return {"text": {"format": {"type": "json_schema", "name": "out", "schema": schema, "strict": True, **members}}}


def _bad_schema(what: str) -> ExpectedError:
    message = f"Invalid schema for response_format 'out': {what}"
    return ExpectedError("E50", 400, "invalid_json_schema", "text.format.schema", message)


_NOT_CLOSED = "In context=(), 'additionalProperties' is required to be supplied and to be false."
_NOT_ALL = (
    "In context=(), 'required' is required to be supplied and to be an array including every key in properties. "
    "Missing 'b'."
)


@rule("R10.1")
def _naming_a_format(s: ServerUnderTest) -> None:
    schema = _object({"a": _STRING})
    for name in ("n" * 64, "a-B_9"):
        s.check_equal(f"name {name}", s.create(**_format(schema, name=name))["text"]["format"]["name"], name)
    for name in ("n" * 65, "no spaces", "ä", ""):
        answer = s.call("POST", "/responses", {"model": s.model, "input": "x", **_format(schema, name=name)})
        s.check_equal(f"name {name!r}", (answer.status, answer.error.get("param")), (400, "text.format.name"))
    s.check_create_refused(
        expected_errors.missing("text.format.name"), text={"format": {"type": "json_schema", "schema": schema}}
    )
    s.check_create_refused(
        expected_errors.missing("text.format.schema"), text={"format": {"type": "json_schema", "name": "out"}}
    )
    kinds = ("json_object", "text", "json_schema")
    error = expected_errors.not_one_of("text.format.type", "xml", kinds)
    s.check_create_refused(error, text={"format": {"type": "xml"}})


@rule("R10.2")
def _what_strict_means(s: ServerUnderTest) -> None:
    both = {"a": _STRING, "b": {"type": ["string", "null"]}}
    s.check_create_refused(
        _bad_schema(_NOT_CLOSED), **_format({"type": "object", "properties": both, "required": ["a", "b"]})
    )
    s.check_create_refused(_bad_schema(_NOT_ALL), **_format({**_object(both), "required": ["a"]}))
    for root in ({"type": "string"}, {"anyOf": [_object(both)]}, {"type": "array", "items": _STRING}):
        answer = s.call("POST", "/responses", {"model": s.model, "input": "x", **_format(root)})
        status_and_code = (answer.status, answer.error.get("code"))
        s.check_equal(f"a root that is {next(iter(root.values()))}", status_and_code, (400, "invalid_json_schema"))
    inner = {"type": "object", "properties": {"c": _STRING}, "required": ["c"]}
    answer = s.call("POST", "/responses", {"model": s.model, "input": "x", **_format(_object({"a": inner}))})
    s.check_equal("an inner object that is open", answer.error.get("code"), "invalid_json_schema")
    value = json.loads(text_of(s.create("Make something up.", **_format(_object(both)))["output"][-1]))
    s.check_equal("keys of the answer", sorted(value), ["a", "b"])
    loose = s.create(**_format({"type": "object", "properties": both}, strict=False))
    s.check_equal("status of an open schema that is not strict", loose["status"], "completed")


@rule("R10.3")
def _whose_schema_is_wrong(s: ServerUnderTest) -> None:
    unique = _object({"x": {"type": "array", "items": _STRING, "uniqueItems": True}})
    s.check_create_refused(
        _bad_schema("In context=('properties', 'x'), 'uniqueItems' is not permitted."), **_format(unique)
    )
    tool = {"type": "function", "name": "lookup", "strict": True}
    opened = {"type": "object", "properties": {"a": _STRING}, "required": ["a"]}
    message = f"Invalid schema for function 'lookup': {_NOT_CLOSED}"
    error = ExpectedError("E49", 400, "invalid_function_parameters", "tools[0].parameters", message)
    s.check_create_refused(error, tools=[{**tool, "parameters": opened}])
    message = f"Invalid schema for function 'lookup': {_NOT_ALL}"
    some = {**_object({"a": _STRING, "b": _STRING}), "required": ["a"]}
    s.check_create_refused(error._replace(message=message), tools=[{**tool, "parameters": some}])


def _nest(levels: int) -> Item:
    schema: Item = _STRING
    for _ in range(levels):
        schema = _object({"a": schema})
    return schema


def _choices(number: int, length: int = 1) -> Item:
    return _object({"a": {"type": "string", "enum": [f"{value:0{length}}" for value in range(number)]}})


# Each limit once just within and once just beyond; foreign servers get the small ones only, since each costs a
# turn.
_FITS: tuple[tuple[str, Item], ...] = (
    ("1000 enum values", _object({"a": {"type": "integer", "enum": list(range(1000))}})),
    ("5000 properties", _object({f"p{number}": _STRING for number in range(5000)})),
    ("251 values of 15,000 characters together", _choices(250, 60)),
)
_EXCEEDS: tuple[tuple[str, Item], ...] = (
    ("1001 enum values", _object({"a": {"type": "integer", "enum": list(range(1001))}})),
    ("5001 properties", _object({f"p{number}": _STRING for number in range(5001)})),
    ("12 levels", _nest(12)),
    ("names of more than 120,000 characters", _object({f"{number:0120}": _STRING for number in range(1001)})),
    ("a string enum of more than 15,000 characters", _choices(260, 60)),
)


@rule("R10.4")
def _how_large_a_schema_may_be(s: ServerUnderTest) -> None:
    for what, schema in _EXCEEDS:
        answer = s.call("POST", "/responses", {"model": s.model, "input": "x", **_format(schema)})
        s.check_equal(what, (answer.status, answer.error.get("code")), (400, "invalid_json_schema"))
    fits = (("9 levels", _nest(9)), *(_FITS if s.mock else ()))
    for what, schema in fits:
        answer = s.call("POST", "/responses", {"model": s.model, "input": "x", **_format(schema)})
        s.check_equal(f"status with {what}", answer.status, 200)


# One schema with every keyword that strict mode allows: the answer itself has to obey each of them.
_ALLOWED = _object(
    {
        "s": {"type": "string", "pattern": "^[a-c]{2}$"},
        "d": {"type": "string", "format": "date"},
        "n": {"type": "number", "minimum": 1, "maximum": 5},
        "i": {"type": "integer", "multipleOf": 3},
        "b": {"type": "boolean"},
        "l": {"type": "array", "items": {"$ref": "#/$defs/one"}, "minItems": 1, "maxItems": 2},
        "e": {"enum": ["x", "y"], "type": "string"},
        "u": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "r": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
    },
    **{"$defs": {"one": _object({"k": _STRING})}},
)
_BANNED = (
    {"allOf": [_STRING]},
    {"not": _STRING},
    {"type": "string", "if": _STRING, "then": _STRING},
    {**_object({"k": _STRING}), "dependentRequired": {"k": []}},
    {"type": "array", "items": _STRING, "uniqueItems": True},
)


@rule("R10.5")
def _which_keywords_there_are(s: ServerUnderTest) -> None:
    value = json.loads(text_of(s.create("Make something up.", **_format(_ALLOWED))["output"][-1]))
    s.check_equal("keys of the answer", sorted(value), sorted(_ALLOWED["properties"]))
    s.check("a number within bounds", 1 <= value["n"] <= 5, value)
    s.check("a multiple of three", value["i"] % 3 == 0, value)
    s.check("one of the values", value["e"] in ("x", "y"), value)
    s.check("one or two entries", 1 <= len(value["l"]) <= 2, value)
    for banned in _BANNED:
        answer = s.call("POST", "/responses", {"model": s.model, "input": "x", **_format(_object({"x": banned}))})
        status_and_code = (answer.status, answer.error.get("code"))
        s.check_equal(f"strict with {', '.join(banned)}", status_and_code, (400, "invalid_json_schema"))


@rule("R10.6")
def _keys_come_in_the_schemas_order(s: ServerUnderTest) -> None:
    names = ["zeta", "alpha", "mid", "beta"]
    response = s.create("Make something up.", **_format(_object(dict.fromkeys(names, _STRING))))
    s.check_equal("keys of the answer", list(json.loads(text_of(response["output"][-1]))), names)


@rule("R10.7", needs=("script",))
def _refusals_are_parts(s: ServerUnderTest) -> None:
    s.script({"refusal": "I can't help with that."})
    response = s.create(**_format(_object({"a": _STRING})))
    s.check_equal("status", response["status"], "completed")
    part = {"type": "refusal", "refusal": "I can't help with that."}
    s.check_equal("content", response["output"][-1]["content"], [part])
    s.script({"refusal": "No."})
    events = s.stream()
    types = [event["type"] for event in events if "refusal" in event["type"]]
    s.check_equal("last events of the refusal", types[-2:], ["response.refusal.delta", "response.refusal.done"])
    s.check_equal("last event", events[-1]["type"], "response.completed")
    s.check("no text", not any("output_text" in event["type"] for event in events))


_WORD = "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."


@rule("R10.8")
def _json_mode_needs_its_word(s: ServerUnderTest) -> None:
    mode = {"text": {"format": {"type": "json_object"}}}
    error = ExpectedError("E51", 400, None, "input", _WORD, ("code", "param"))
    s.check_create_refused(error, "an object, please", **mode)
    s.check_create_refused(error, "an object, please", instructions="Answer in JSON.", **mode)
    for text in ("as json", "as JSON", "some jsonish thing"):
        response = s.create([user(text)], **mode)
        s.check(f"{text!r} gets an object", isinstance(json.loads(text_of(response["output"][-1])), dict))
