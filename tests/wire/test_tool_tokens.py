"""How tools are written and what choosing among them costs. Spec: T4, T5, T12 (vectors: test_context_tokens.py)."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire.catalog import resolve
from mockserver.wire.tokens.tokenizer import count
from mockserver.wire.tokens.tools import (
    CLIENT_TOOL_SEARCH_TOKENS,
    definitions_tokens,
    forced_call,
    render,
    tools_tokens,
)

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


WORDS = {"type": "array", "items": {"type": "array", "items": {"type": "string"}}}
COMMENTS = [
    ({"title": "T"}, "// T\na: string,\n"),
    ({"description": " D\n e "}, "//  D e \na: string,\n"),
    ({"title": "T", "description": "D"}, "// T\n//\n// D\na: string,\n"),
    ({"default": "x"}, 'a: string, // default: "x"\n'),
]


def rendered(properties: dict[str, Any], *, of: str, required: tuple[str, ...] = ("a",), **tool: Any) -> str:
    model = resolve(of)
    assert model
    schema = {"type": "object", "properties": properties, "required": list(required)}
    return render([{"type": "function", "name": "f", "parameters": schema, **tool}], model)


@pytest.mark.parametrize("of", ["gpt-4o", "gpt-5.6"])
@pytest.mark.parametrize(("more", "lines"), COMMENTS)
def test_T4_comments_and_commas(of: str, more: dict[str, Any], lines: str) -> None:
    """A line for each of title and description, an empty comment between both; the last line has a comma too."""
    assert rendered({"a": {"type": "string", **more}}, of=of) == f"type f = (_: {{\n{lines}}}) => any;"


def test_T4_descriptions_of_tools_are_stripped_at_both_ends() -> None:
    assert rendered({}, of="gpt-4o", description=" \n Does \t it. \n") == "// Does it.\ntype f = () => any;"


def test_T4_arrays_are_written_by_family_and_by_form() -> None:
    """C: Array<T> in an object of many lines, T[] in one of one line; H: T[]."""
    one_line = {"a": WORDS}
    long = {"a": WORDS, "b": {"type": "object", "properties": one_line}, "c": {"anyOf": [WORDS], "title": "C"}}
    assert (
        rendered(one_line, of="gpt-4o") == rendered(one_line, of="gpt-5.6") == "type f = (_: {a: string[][]}) => any;"
    )
    shape = "type f = (_: {{\na: {0},\nb?: {{a?: string[][]}},\n// C\nc?: {0},\n}}) => any;"
    assert rendered(long, of="gpt-5.6") == shape.format("string[][]")
    assert rendered(long, of="gpt-4o") == shape.format("Array<Array<string>>")


FORCED = [
    ({"type": "function", "name": "find"}, "find"),
    ({"type": "custom", "name": "find"}, "find"),
    ({"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "find"}]}, None),
    ({"type": "web_search"}, None),
    ("required", "find"),
    ("auto", None),
    ("none", None),
    (None, None),
]


@pytest.mark.parametrize(("choice", "name"), FORCED)
def test_T5_forced_calls(choice: Any, name: str | None) -> None:
    chat, harmony = resolve("gpt-4.1"), resolve("gpt-5.6")
    assert chat and harmony
    request = {"tools": [FUNCTION], "tool_choice": choice}
    assert forced_call(request, chat) == name
    assert forced_call(request, harmony) is None
    extra = 7 + count(".find") if name else 1 if choice == "none" else 0
    plain = tools_tokens([FUNCTION], {}, chat, count)
    assert tools_tokens([FUNCTION], request, chat, count) == plain + extra
    if choice == "required":
        for tools in ([FUNCTION, FUNCTION], [{"type": "web_search"}]):
            assert forced_call({**request, "tools": tools}, chat) is None


def test_T4_odd_schemas_are_rendered_somehow() -> None:
    model = resolve("gpt-4o")
    assert model
    union = {"oneOf": [{"type": "integer"}, {}]}
    odd = {"a": {"type": ["string", "null"]}, "b": union, "c": True, "d": {"type": "array"}}
    text = render([{"type": "function", "name": "f", "parameters": {"properties": odd}}], model)
    assert text == "type f = (_: {a?: string | null, b?: number | any, c?: any, d?: any[]}) => any;"
