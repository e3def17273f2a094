"""Every vector and figure of the token rules T1–T12 against the renderer, with the real tokenizer."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from mockserver.model.tokens import count
from mockserver.wire.catalog import Model, names, resolve
from mockserver.wire.render import (
    Tally,
    add,
    compact_input_tokens,
    cost_class,
    input_tokens,
    output_tokens,
    reported_reasoning,
)
from mockserver.wire.render_images import UNKNOWN_SIZE, images_tokens, size_of
from mockserver.wire.render_tools import format_tokens, render, tools_tokens


def model(name: str) -> Model:
    found = resolve(name)
    assert found, name
    return found


C, H, H_ROUNDED, H_54 = model("gpt-4o"), model("gpt-5.6-terra"), model("gpt-5"), model("gpt-5.4")
BY_FAMILY = {"C": C, "H": H}


def function(name: str, description: str | None = None, /, *, note: str | None = None, **properties: Any) -> dict:
    """A function tool; a property is given by its type or as a schema."""
    schemas = {key: {"type": one} if isinstance(one, str) else one for key, one in properties.items()}
    parameters: dict[str, Any] = {"type": "object", "properties": schemas, "required": list(schemas)}
    if note:
        parameters["description"] = note
    return {
        "type": "function",
        "name": name,
        "parameters": parameters,
        **({"description": description} if description else {}),
    }


def message(text: str, role: str = "user", **more: Any) -> dict:
    kind = "output_text" if role == "assistant" else "input_text"
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}], **more}


def call(name: str, arguments: str, **more: Any) -> dict:
    return {"type": "function_call", "name": name, "arguments": arguments, "call_id": "call_1", **more}


def output(text: Any) -> dict:
    return {"type": "function_call_output", "call_id": "call_1", "output": text}


def tokens(*items: dict, of: Model, **more: Any) -> int:
    return add(Tally(), items, of, count, **more).total


def asked(request: dict, *items: dict, of: Model, **more: Any) -> int:
    return input_tokens(request, add(Tally(), items, of, count, **more), of, count)


FINAL = "The final response which ends this conversation"
WEATHER = function("get_weather", "Get the current weather for a city.", city="string")
FINAL_RESULT = function("final_result", FINAL, city="string", summary="string")
CAPABILITY = function(
    "load_capability",
    "Load a capability to access its full instructions and tools.",
    note="Typed arguments for a `load_capability` tool call.",
    id={"type": "string", "description": "The id of the capability to load."},
)
TOOLS = [
    ("H", [function("dummy")], 22),
    *[("H", [function(name)], 23) for name in ("get_file", "get_country", "get_images")],
    *[("H", [function(name)], 25) for name in ("get_images_with_metadata", "get_mixed_content")],
    ("H", [function("get_meaning_of_life")], 27),
    ("H", [function("update_plan", plan="string")], 29),
    ("H", [function("get_capital", country="string")], 30),
    ("H", [function("get_weather", "Get weather for a city", city="string")], 36),
    ("H", [WEATHER], 38),
    ("H", [function("final_result", FINAL, result="integer")], 38),
    (
        "H",
        [function("lookup_refund_policy", "Look up the refund policy for an order.", order_id="string")],
        42,
    ),
    (
        "H",
        [
            function("get_weather", "Get weather for a city", city="string"),
            function("get_time", "Get time in a timezone", timezone="string"),
        ],
        56,
    ),
    ("H", [WEATHER, FINAL_RESULT], 64),
    ("H", [WEATHER, FINAL_RESULT, function("get_time", "Get the current time in a timezone.", timezone="string")], 86),
    ("H", [CAPABILITY], 64),
    ("C", [function("get_user_country")], 19),
    ("C", [function("get_meaning_of_life")], 22),
    ("C", [function("get_weather", city="string")], 24),
    ("C", [function("get_capital", country="string")], 25),
    ("C", [function("get_user_country"), function("final_result", FINAL, city="string", country="string")], 45),
    (
        "C",
        [
            function(
                "get_weather",
                "Get current temperature for a given location.",
                location={"type": "string", "description": "City and country e.g. Bogotá, Colombia"},
            )
        ],
        43,
    ),
]


@pytest.mark.parametrize(("family", "tools", "cost"), TOOLS)
def test_T15_tools(family: str, tools: list[dict], cost: int) -> None:
    assert tools_tokens(tools, {}, BY_FAMILY[family], count) == cost


def test_T15_formats() -> None:
    city = {"type": "string"}
    location = {
        "type": "json_schema",
        "name": "CityLocation",
        "strict": True,
        "schema": {
            "properties": {"city": city, "country": city},
            "required": ["city", "country"],
            "title": "CityLocation",
            "type": "object",
            "additionalProperties": False,
        },
    }
    bare = {**location, "schema": {k: v for k, v in location["schema"].items() if k != "title"}}
    got = [format_tokens(one, [function("get_user_country")], count) for one in (location, bare)]
    assert 30 in got, got
    pattern = r"pattern=^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"
    amount = {"anyOf": [{"type": "number"}, {"type": "string", "description": pattern}]}
    payment = {"type": "json_schema", "name": "Payment", "schema": {"properties": {"amount": amount}, "type": "object"}}
    assert format_tokens(payment, [], count) == 56


def test_T15_history() -> None:
    assert tokens(call("get_meaning_of_life", "{}"), output("42"), of=C) == 25
    assert tokens(call("get_capital", '{"country":"PotatoLand"}'), output("Potato City"), of=C) == 27
    assert tokens(call("get_weather", '{"city":"NYC"}', id="fc_1"), output("Sunny, 72F"), of=C) == 29
    assert tokens(call("bar", '{"x":1}', id="fc_1"), output("1"), of=H) == 28
