"""A wrong value anywhere in a schema is refused, or the schema is echoed and its instance made: never a fault."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from mockserver.journal.exchange import Call
from tests.support.caller import Caller
from tests.support.examples import ALL, part_of
from tests.support.wrong_values import WRONG, mutate, places

SCHEMA: dict[str, Any] = {
    "type": "object",
    "title": "t",
    "properties": {
        "text": {"type": "string", "enum": ["x"], "pattern": "^x", "format": "date", "minLength": 1, "maxLength": 3},
        "either": {"type": ["object", "null"], "properties": {}},
        "number": {"type": "integer", "minimum": 1, "maximum": 9, "exclusiveMinimum": 0, "multipleOf": 2},
        "list": {"type": "array", "items": {"$ref": "#/$defs/d"}, "minItems": 1, "maxItems": 2, "prefixItems": [{}]},
    },
    "required": ["text", "either"],
    "additionalProperties": False,
    "$defs": {"d": {"anyOf": [{"$ref": "#"}, {"type": "boolean", "const": True}]}},
    "definitions": {},
}


def function(schema: Any, **strict: bool) -> dict[str, Any]:
    return {"type": "function", "name": "f", "parameters": schema, **strict}


def called(tool: dict[str, Any]) -> dict[str, Any]:
    """A request that makes the model call it, so that arguments are made by its schema. Spec: R11.11."""
    return {"input": "x", "tools": [tool], "tool_choice": "required"}


def inner(tool: dict[str, Any]) -> dict[str, Any]:
    return {"type": "namespace", "name": "n", "description": "d", "tools": [tool]}


def loaded(tool: dict[str, Any]) -> dict[str, Any]:
    items = [{"role": "user", "content": "x"}, {"type": "additional_tools", "role": "developer", "tools": [tool]}]
    return {"input": items, "tools": [{"type": "tool_search"}]}


def format_of(schema: Any, *, strict: bool) -> dict[str, Any]:
    return {"input": "x", "text": {"format": {"type": "json_schema", "name": "n", "schema": schema, "strict": strict}}}


# where a schema stands → the request
REQUESTS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "a function": lambda schema: called(function(schema)),
    "a strict function": lambda schema: called(function(schema, strict=True)),
    "a function that is not strict": lambda schema: called(function(schema, strict=False)),
    "a function in a namespace": lambda schema: called(inner(function(schema))),
    "a function that is loaded": lambda schema: loaded(function(schema)),
    "a strict format": lambda schema: format_of(schema, strict=True),
    "a format that is not strict": lambda schema: format_of(schema, strict=False),
}


@pytest.mark.parametrize("place", REQUESTS)
def test_one_wrong_value(place: str) -> None:
    """Each value in each place, with all examples; a part of them, always the same, without."""
    every = list(product(places(SCHEMA), (*WRONG, ...)))
    assert len(every) > 900
    call, faults, told = Caller(), [], set[int]()
    few = min((ALL // part_of(ALL)) ** 2, 36)  # among which are some that are taken, and some that are refused
    for path, value in every[::few]:
        sent = {"model": "gpt-5.6-terra", **REQUESTS[place](mutate(SCHEMA, path, value))}
        answer, _ = call.app.answer(Call("POST", "/v1/responses", json.dumps(sent).encode(), None, []))
        told.add(answer.status)
        faults += [(path, value, answer.body)] if answer.status >= 500 else []
    assert faults == [] and told == {200, 400}
