"""Numbers stand in a body as Python writes them, wherever they came from. Spec: W6."""

from __future__ import annotations

import json
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine

ODD = st.sampled_from([1e-05, 2.5e-06, 1e-300, 1e16, 1e22, 0.0001, 1e15, 0.5, 1.0, -1e-07])
PART = st.sampled_from([1e-05, 2.5e-06, 1e-300, 0.0001, 0.5, 1.0])


def tool(number: float) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"n": {"type": "number", "maximum": number}}}
    return {"type": "function", "name": "f", "parameters": schema, "strict": False}


def text(number: float) -> dict[str, Any]:
    schema = {"type": "object", "properties": {"n": {"type": "number", "const": number}}}
    return {"format": {"type": "json_schema", "name": "f", "schema": schema, "strict": False}}


REQUESTS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": PART,
        "top_p": PART,
        "tools": ODD.map(lambda number: [tool(number)]),
        "text": ODD.map(text),
        "tool_choice": ODD.map(lambda number: {"type": "allowed_tools", "mode": "auto", "tools": [{"n": number}]}),
        "store": st.booleans(),
    },
)
CALL = {"type": "file_search_call", "queries": ["q"]}
REPLIES = st.fixed_dictionaries(
    {"text": st.just("hi")},
    optional={"response": ODD.map(lambda number: {"moderation": {"score": number}})},
) | ODD.map(lambda number: {"output": [{**CALL, "results": [{"file_id": "f", "score": number}]}]})


@given(REQUESTS, st.none() | REPLIES)
def test_bodies_are_what_python_writes(request: dict[str, Any], reply: dict[str, Any] | None) -> None:
    engine = Engine(Settings(clock=0.0))
    if reply is not None:
        engine.control.enqueue("p", [{"reply": reply}])
    asked = {"model": "gpt-4.1", "input": "hi", "include": ["file_search_call.results"], **request}
    body = engine.create_response("p", orjson.dumps(asked)).body
    assert body == json.dumps(json.loads(body or b""), indent=2).encode()
