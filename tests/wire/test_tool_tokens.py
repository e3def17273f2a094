"""Tools other than plain functions: namespaces, deferred tools, client tool search (vectors: test_wire_render.py)."""

from __future__ import annotations

from mockserver.wire.catalog import resolve
from mockserver.wire.tokens.tokenizer import count
from mockserver.wire.tokens.tools import CLIENT_TOOL_SEARCH_TOKENS, definitions_tokens, render

QUERY = {"properties": {"q": {"type": "string"}}, "required": ["q"]}
FUNCTION = {"type": "function", "name": "find", "parameters": QUERY}


def test_T12_deferred_tools_cost_nothing_until_loaded() -> None:
    model = resolve("gpt-5.6-terra")
    assert model
    deferred = {**FUNCTION, "defer_loading": True}
    space = {"type": "namespace", "name": "crm", "description": "Customers.", "tools": [deferred]}
    assert definitions_tokens([deferred, space], model, count) == 0
    assert definitions_tokens([{**space, "tools": [FUNCTION]}], model, count) > count(render([FUNCTION], model))


def test_T12_client_tool_search_is_a_function_and_18_more() -> None:
    model = resolve("gpt-5.6-terra")
    assert model
    search = {**FUNCTION, "type": "tool_search", "execution": "client", "name": "tool_search"}
    as_function = {**FUNCTION, "name": "tool_search"}
    plain = definitions_tokens([as_function], model, count)
    assert definitions_tokens([search], model, count) == plain + CLIENT_TOOL_SEARCH_TOKENS


def test_T4_odd_schemas_are_rendered_somehow() -> None:
    model = resolve("gpt-4o")
    assert model
    union = {"oneOf": [{"type": "integer"}, {}]}
    odd = {"a": {"type": ["string", "null"]}, "b": union, "c": True, "d": {"type": "array"}}
    text = render([{"type": "function", "name": "f", "parameters": {"properties": odd}}], model)
    assert text == "type f = (_: {a?: string | null, b?: number | any, c?: any, d?: Array<any>}) => any;"
