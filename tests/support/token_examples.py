"""Tools and images whose tokens were recorded."""

from __future__ import annotations

import base64
import struct
from typing import Any


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


def url(data: bytes, kind: str = "png") -> dict:
    return {"type": "input_image", "image_url": f"data:image/{kind};base64,{base64.b64encode(data).decode()}"}


def png(width: int, height: int) -> dict:
    return url(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x06")
