"""The order of echoed tools, and the tools that an input loads. Spec: F7, W8, R11.7."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire import catalog
from mockserver.wire.responses import tool_echo

SCHEMA = {"type": "object", "properties": {}, "additionalProperties": False, "required": []}


def model(name: str) -> catalog.Model:
    found = catalog.resolve(name)
    assert found is not None
    return found


def function(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": "function", "name": name, **fields}


def namespace(name: str, *tools: dict[str, Any]) -> dict[str, Any]:
    return {"type": "namespace", "name": name, "description": "d", "tools": list(tools)}


def names(tools: list[dict[str, Any]]) -> list[str]:
    return [tool.get("name") or tool["type"] for tool in tools]


@pytest.mark.parametrize(("sent", "echoed"), [("", None), (None, None), ("d", "d")])
def test_F7_an_empty_description_is_echoed_as_null(sent: str | None, echoed: str | None) -> None:
    tool = function("f", description=sent)
    assert tool_echo.echo_tool(tool)["description"] == echoed
    assert tool_echo.echo_tool(namespace("n", tool))["tools"][0]["description"] == echoed


def test_F7_filters_of_a_web_search_only_when_sent() -> None:
    filters = {"allowed_domains": ["example.com"]}
    assert tool_echo.echo_tool({"type": "web_search", "filters": filters})["filters"] == filters
    assert "filters" not in tool_echo.echo_tool({"type": "web_search", "filters": None})


@pytest.mark.parametrize("kind", ["web_search", "web_search_preview", "web_search_preview_2025_03_11"])
def test_F7_what_a_sent_location_lacks_is_null(kind: str) -> None:
    location = tool_echo.echo_tool({"type": kind, "user_location": {"type": "approximate", "country": "NO"}})
    expected = {"type": "approximate", "city": None, "country": "NO", "region": None, "timezone": None}
    assert location["user_location"] == expected


def test_F7_W8_the_order_of_a_custom_tools_format() -> None:
    form = {"syntax": "lark", "definition": "start: /x/", "type": "grammar"}
    tool = {"name": "c", "type": "custom", "format": form, "description": "d"}
    for shown in (tool_echo.echo_tool(tool), tool_echo.echo_tool(namespace("n", tool))["tools"][0]):
        assert list(shown) == ["type", "description", "format", "name"]
        assert list(shown["format"]) == ["type", "definition", "syntax"]


def test_F7_functions_then_tool_search_then_namespaces_and_others_keep_their_places() -> None:
    sent = [
        namespace("n1", function("a")),
        {"type": "web_search"},
        {"type": "tool_search"},
        function("f2"),
        {"type": "custom", "name": "c"},
        function("f1"),
        namespace("n2", function("b")),
    ]
    shown = tool_echo.echo_tools(sent)
    assert names(shown) == ["f2", "web_search", "f1", "tool_search", "c", "n1", "n2"]
    assert tool_echo.echo_tools([]) == []


def test_F7_a_deferred_function_says_so_until_it_is_loaded() -> None:
    tools = [function("f", defer_loading=True), function("g", defer_loading=True)]
    assert [tool["defer_loading"] for tool in tool_echo.echo_tools(tools)] == [True, True]
    merged = tool_echo.merge_loaded(tools, [["client", tools[0]]], model("gpt-5.6-terra"))
    assert ["defer_loading" in tool for tool in tool_echo.echo_tools(merged)] == [False, True]


LOADED = function("f", description="d", strict=True, parameters=SCHEMA, defer_loading=True)
SENT = [function("e"), LOADED, function("g"), {"type": "tool_search"}, namespace("n", function("a"))]


@pytest.mark.parametrize(
    ("name", "how"),
    [("gpt-5", "client"), ("gpt-5.4", "client"), ("gpt-5.4-mini", "server"), ("gpt-5.6-terra", "server")],
)
def test_F7_a_loaded_function_is_echoed_as_a_namespace(name: str, how: str) -> None:
    shown = tool_echo.echo_tools(tool_echo.merge_loaded(SENT, [[how, LOADED]], model(name)))
    assert names(shown) == ["e", "g", "tool_search", "n", "f"]
    assert list(shown[-1]) == ["type", "description", "name", "tools"]
    inner = {"type": "function", "description": "d", "name": "f", "output_schema": None}
    assert shown[-1] == {
        "type": "namespace",
        "description": "d",
        "name": "f",
        "tools": [{**inner, "parameters": SCHEMA, "strict": True}],
    }


@pytest.mark.parametrize("name", ["gpt-5.6", "gpt-5.6-luna", "gpt-6-sol", "gpt-6.2-astra"])
def test_F7_what_a_client_loads_from_gpt_5_6_on_is_a_plain_function(name: str) -> None:
    shown = tool_echo.echo_tools(tool_echo.merge_loaded(SENT, [["client", LOADED]], model(name)))
    assert names(shown) == ["e", "f", "g", "tool_search", "n"]
    assert "defer_loading" not in shown[1]
    new = tool_echo.merge_loaded([{"type": "tool_search"}, function("e")], [["client", LOADED]], model(name))
    assert names(tool_echo.echo_tools(new)) == ["e", "f", "tool_search"]


def test_F7_a_tool_that_is_loaded_twice_is_there_once() -> None:
    for loaded in ([["server", LOADED], ["client", LOADED]], [["client", LOADED], ["server", LOADED]]):
        merged = tool_echo.merge_loaded([LOADED], loaded, model("gpt-5.6-terra"))
        assert names(merged) == ["f"] and merged[0]["type"] == (
            "function" if loaded[-1][0] == "client" else "namespace"
        )


def test_F7_loaded_namespaces_and_hosted_tools() -> None:
    deferred = namespace("n", function("a", defer_loading=True), function("b", defer_loading=True))
    loaded = [
        ["server", namespace("n", function("a", defer_loading=True), function("c"))],
        ["server", namespace("m", LOADED)],
    ]
    search = {"type": "web_search"}
    merged = tool_echo.merge_loaded([deferred, search], [*loaded, ["client", search]], model("gpt-5.4"))
    assert names(merged) == ["n", "web_search", "m"]
    inner = [(tool["name"], "defer_loading" in tool) for tool in merged[0]["tools"]]
    assert inner == [("a", False), ("b", True), ("c", False)]
    assert "defer_loading" not in merged[2]["tools"][0]
    assert names(tool_echo.merge_loaded([], [["client", search]], model("gpt-5.4"))) == ["web_search"]
