"""Every vector and figure of the token rules T1–T12 against the renderer, with the real tokenizer."""

from __future__ import annotations

import base64
import struct
from typing import Any

import pytest

from mockserver.wire.catalog import Model, names, resolve
from mockserver.wire.tokens.context import (
    Tally,
    add,
    compact_input_tokens,
    cost_class,
    input_tokens,
    output_tokens,
    round_reasoning,
)
from mockserver.wire.tokens.images import UNKNOWN_SIZE, images_tokens, size_of
from mockserver.wire.tokens.tokenizer import count
from mockserver.wire.tokens.tools import format_tokens, render, tools_tokens
from tests.support.token_examples import TOOLS, function, png, url


def model(name: str) -> Model:
    found = resolve(name)
    assert found, name
    return found


C, H, H_ROUNDED, H_54 = model("gpt-4o"), model("gpt-5.6-terra"), model("gpt-5"), model("gpt-5.4")
BY_FAMILY = {"C": C, "H": H}


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
            "type": "object",
            "additionalProperties": False,
        },
    }
    assert format_tokens(location, C, count) == 30
    pattern = r"pattern=^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"
    amount = {"anyOf": [{"type": "number"}, {"type": "string", "description": pattern}]}
    payment = {"type": "json_schema", "name": "Payment", "schema": {"properties": {"amount": amount}, "type": "object"}}
    assert format_tokens(payment, H, count) == 56


def test_T15_history() -> None:
    assert tokens(call("get_meaning_of_life", "{}"), output("42"), of=C) == 25
    assert tokens(call("get_capital", '{"country":"PotatoLand"}'), output("Potato City"), of=C) == 27
    assert tokens(call("get_weather", '{"city":"NYC"}', id="fc_1"), output("Sunny, 72F"), of=C) == 29
    assert tokens(call("bar", '{"x":1}', id="fc_1"), output("1"), of=H) == 28


def test_T3_ping() -> None:
    assert asked({}, message("ping"), of=H) == 7
    assert asked({"instructions": "Answer briefly."}, message("ping"), of=H) == 14
    assert asked({}, message("ping"), of=C) == 8


def test_T3_parts_are_joined_and_empty_messages_cost_their_frame() -> None:
    parts = [{"type": "input_text", "text": "pi"}, {"type": "input_text", "text": "ng"}]
    assert tokens({**message(""), "content": parts}, of=H) == 5
    assert [tokens(message("", "assistant"), of=one) for one in (C, H)] == [4, 6]


def test_T3_assistant_messages_before_calls() -> None:
    say = [message("ok", "assistant"), call("f", "{}", id="fc_1")]
    commentary = [message("ok", "assistant", phase="commentary"), call("f", "{}", id="fc_1")]
    alone = tokens(say[0], of=H) + tokens(say[1], of=H)
    assert tokens(*say, of=H) == alone + 1
    assert tokens(*commentary, of=H) == alone + 1
    assert tokens(commentary[0], of=H) == tokens(say[0], of=H) + 1
    assert tokens(*say, of=H_ROUNDED) == alone
    first = add(Tally(), say[:1], H, count)
    assert add(first, say[1:], H, count).total == alone + 1


def test_T3_settings_cost_nothing() -> None:
    quiet = {"text": {"verbosity": "low", "format": {"type": "json_object"}}, "reasoning": {"effort": "high"}}
    assert asked({**quiet, "metadata": {"a": "b"}, "tool_choice": "none"}, message("ping"), of=H) == 7


def test_T4_rendering() -> None:
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer", "description": "The\n  first."},
            "b": {"type": "array", "items": {"type": "string"}, "default": ["x"]},
            "c": {"anyOf": [{"$ref": "#/$defs/k"}, {"type": "null"}], "title": "C"},
            "d": {"type": "object", "properties": {"e": {"enum": ["p", 1]}}},
        },
        "required": ["a"],
        "$defs": {"k": {"const": 5}},
    }
    tool = {"type": "function", "name": "f", "description": "  Does\n it. ", "parameters": schema}
    expected = (
        "// Does it.\ntype f = (_: {\n"
        "// The first.\na: number,\n"
        'b?: string[], // default: ["x"]\n'
        "// C\nc?: 5 | null,\n"
        'd?: {e?: "p" | 1},\n'
        "}) => any;"
    )
    assert render([tool], H) == expected
    assert render([tool], C) == expected.replace("string[]", "Array<string>")
    custom = {"type": "custom", "name": "g"}
    assert render([tool, custom], H) == expected + "\n\ntype g = (_: {input: string}) => any;"


def test_T4_a_schema_that_holds_itself_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#/$defs/n"}}}
    tool = {
        "type": "function",
        "name": "f",
        "parameters": {"properties": {"n": {"$ref": "#/$defs/n"}}, "$defs": {"n": node}},
    }
    assert render([tool], H).count("next?") < 10


def test_T5_serial_calls_cost_78() -> None:
    tools = [function("dummy")]
    assert tools_tokens(tools, {"parallel_tool_calls": False, "tool_choice": "required"}, H, count) == 22 + 78
    assert tools_tokens([], {"parallel_tool_calls": False}, H, count) == 0


def test_T6_formats_cost_their_text_and_5_or_4() -> None:
    form = {"type": "json_schema", "name": "n", "schema": {"type": "object", "properties": {"required": {}}}}
    text = '## n\n\n{"type":"object","properties":{"required":{}}}'
    assert format_tokens(form, C, count) == count(text) + 5
    assert format_tokens(form, H, count) == count(text) + 4
    left_out = {"$schema": "http://json-schema.org/draft-07/schema#", "required": [], "additionalProperties": False}
    assert format_tokens({**form, "schema": {**left_out, **form["schema"]}}, C, count) == count(text) + 5
    named = {"type": "object", "properties": {"$schema": {"type": "string"}}}
    assert format_tokens({**form, "schema": named}, C, count) > format_tokens(form, C, count) - count("required")
    described = {**form, "description": "Say it."}
    assert format_tokens(described, H, count) == count(text.replace("{", "// Say it.\n{", 1)) + 4
    assert format_tokens({"type": "text"}, C, count) == format_tokens(None, C, count) == 0


def test_T7_calls_without_id() -> None:
    known, foreign = call("bar", '{"x":1}', id="fc_1"), call("bar", '{"x":1}')
    assert [tokens(known, of=one) - tokens(foreign, of=one) for one in (C, H, H_54)] == [3, 3, 0]


@pytest.mark.parametrize(("many", "one"), [(2, 16), (3, 24)])
def test_T7_parallel_calls_on_C_cost_8_each_known_or_not(many: int, one: int) -> None:
    bare = [call(f"f{number}", "{}", call_id=f"call_{number}") for number in range(many)]
    known = [{**item, "id": f"fc_{number}"} for number, item in enumerate(bare)]
    texts = sum(count(f".f{number}") + count("{}") for number in range(many))
    assert tokens(*bare, of=C) == tokens(*known, of=C) == one + texts
    assert tokens(*known, of=H) == 13 * many + texts, "H: the sum"
    grown = Tally()
    for item in known:
        grown = add(grown, [item], C, count)
    assert grown == add(Tally(), known, C, count), "one by one or at once"
    outputs = [{**output("1"), "call_id": f"call_{number}"} for number in range(many)]
    later = [{**known[0], "call_id": "call_9"}]
    assert tokens(*known, *outputs, *later, of=C) - tokens(*known, *outputs, of=C) == 11 + count(".f0") + count("{}")


def test_T8_several_calls_in_one_json() -> None:
    """Arguments that are no JSON stand as they are, a custom tool's input is a text."""
    broken = call("a", '{"x": 1,')
    custom = {"type": "custom_tool_call", "call_id": "call_2", "name": "b", "input": 'say "x"'}
    spaced = call("c", "{}", namespace="crm")
    uses = (
        '{"tool_uses":[{"recipient_name":"functions.a","parameters":{"x": 1,},'
        '{"recipient_name":"functions.b","parameters":"say \\"x\\""},'
        '{"recipient_name":"functions.crm.c","parameters":{}}]}'
    )
    assert output_tokens([broken, custom, spaced], 0, {}, H, count) == 14 + count(uses)


def test_T7_namespaces_and_custom_tools() -> None:
    plain, spaced = call("bar", "{}", id="fc_1"), call("bar", "{}", id="fc_1", namespace="crm")
    assert tokens(spaced, of=H) - tokens(plain, of=H) == count(" to=crm.bar") - 3 - count(".bar")
    both = [tokens(one, output("1"), of=H) - tokens(one, of=H) for one in (plain, spaced)]
    assert both == [7 + count(".bar") + 1, 7 + count("crm.bar") - 1 + 1]
    custom = {"type": "custom_tool_call", "id": "ctc_1", "call_id": "call_1", "name": "bar", "input": "{}"}
    assert tokens(custom, of=H) == tokens(plain, of=H)


def cut(items: list[dict]) -> list[dict]:
    return [*items[:-1], {**items[-1], "status": "incomplete"}]


ANSWER = [message("pong", "assistant")]
REFUSAL = [{"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]}]
THOUGHT = {"type": "reasoning", "summary": []}
JSON = {"text": {"format": {"type": "json_schema", "name": "n", "schema": {}}}}
WITH_TOOLS = {"tools": [function("f")]}
CALL = call("bar", '{"x":1}')
CALL_TEXT = count(".bar") + count('{"x":1}')
OTHER = '{"q": "straße"}'
OTHER_CALL = call("crm", OTHER)
USES = count(
    '{"tool_uses":[{"recipient_name":"functions.bar","parameters":{"x":1}},'
    '{"recipient_name":"functions.crm","parameters":{"q":"straße"}}]}'
)
FORCED = {"tools": [function("bar"), function("crm")], "tool_choice": {"type": "function", "name": "bar"}}


@pytest.mark.parametrize(
    ("items", "hidden", "request_", "c", "h"),
    [
        (ANSWER, 0, {}, 1 + 1, 1 + 4),
        (ANSWER, 0, WITH_TOOLS, 1 + 2, 1 + 4),
        ([THOUGHT, *ANSWER], 40, {}, None, 1 + 40 + 6),
        (ANSWER, 0, JSON, 1 + 1, 1 + 4 + 3),
        (ANSWER, 0, {**JSON, **WITH_TOOLS}, 1 + 4, 1 + 4 + 3),
        (REFUSAL, 0, {}, 1 + 2, 1 + 4),
        (REFUSAL, 0, WITH_TOOLS, 1 + 2, 1 + 4),
        (REFUSAL, 0, {**JSON, **WITH_TOOLS}, 1 + 2, 1 + 4 + 3),
        (cut(ANSWER), 0, {}, 1, 1 + 3),
        (cut(ANSWER), 0, WITH_TOOLS, 1 + 1, 1 + 3),
        ([THOUGHT, *cut(ANSWER)], 40, {}, None, 1 + 40 + 5),
        ([CALL], 0, WITH_TOOLS, 8 + CALL_TEXT, 11 + CALL_TEXT),
        ([THOUGHT, CALL], 40, WITH_TOOLS, None, 11 + CALL_TEXT + 2 + 40),
        ([*ANSWER, CALL], 0, WITH_TOOLS, 1 + 8 + CALL_TEXT, 1 + 7 + 11 + CALL_TEXT),
        ([CALL, OTHER_CALL], 0, WITH_TOOLS, 11 + USES, 14 + USES),
        ([*ANSWER, CALL, OTHER_CALL], 0, WITH_TOOLS, 1 + 11 + USES, 1 + 7 + 14 + USES),
        ([THOUGHT, CALL, OTHER_CALL], 40, WITH_TOOLS, None, 14 + USES + 2 + 40),
        (cut([CALL]), 0, WITH_TOOLS, 7 + CALL_TEXT, 10 + CALL_TEXT),
        ([CALL, *cut([OTHER_CALL])], 0, WITH_TOOLS, 10 + USES, 13 + USES),
        ([CALL], 0, FORCED, count('{"x":1}') + 1, 11 + CALL_TEXT),
        (cut([CALL]), 0, FORCED, count('{"x":1}'), 10 + CALL_TEXT),
        ([OTHER_CALL], 0, FORCED, 8 + count(".crm") + count(OTHER), 11 + count(".crm") + count(OTHER)),
        (ANSWER, 0, FORCED, 1 + 2, 1 + 4),
        ([*ANSWER, {"type": "compaction", "encrypted_content": "x"}], 0, {}, 1 + 1, 1 + 4),
        ([], 0, {}, 0, 0),
    ],
)
def test_T8_output(items: list[dict], hidden: int, request_: dict, c: int | None, h: int) -> None:
    assert output_tokens(items, hidden, request_, H, count) == h
    if c is not None:
        assert output_tokens(items, hidden, request_, C, count) == c


def test_T8_o3_mini_and_rounding() -> None:
    assert output_tokens([THOUGHT, *ANSWER], 128, {}, model("o3-mini"), count) == 1 + 128 + 1
    assert [round_reasoning(200, one) for one in (H, H_ROUNDED)] == [200, 192]
    assert round_reasoning(63, H_ROUNDED) == 0


def hidden(item: Any) -> int:
    return int(item.get("hidden", 0))


def test_T9_reasoning_counts_until_the_next_user_message() -> None:
    start = [message("hi"), {**THOUGHT, "hidden": 40}, call("bar", "{}", id="fc_1"), output("1")]
    plain = [item for item in start if item["type"] != "reasoning"]
    more = message("and now?")
    for one in (H, H_54):
        assert asked({}, *start, of=one, hidden=hidden) == asked({}, *plain, of=one) + 42
    assert asked({}, *start, more, of=H_54, hidden=hidden) == asked({}, *plain, more, of=H_54)
    assert asked({}, *start, more, of=H, hidden=hidden) == asked({}, *plain, more, of=H) + 42
    current = {"reasoning": {"context": "current_turn"}}
    assert asked(current, *start, more, of=H, hidden=hidden) == asked({}, *plain, more, of=H)
    assert asked({}, *start, of=C, hidden=hidden) == asked({}, *plain, of=C)


def test_T10_compaction() -> None:
    window = [message("a long story"), message("told", "assistant")]
    blob = {"type": "compaction", "encrypted_content": "x", "hidden": 500}
    assert tokens(*window, blob, of=H, hidden=hidden) == 580
    assert tokens(*window, blob, message("ping"), of=H, hidden=hidden) == 585
    assert compact_input_tokens({}, window, H, count) == asked({}, *window, of=H) + 93
    assert compact_input_tokens({"tools": [function("f")]}, [blob, *window], H, count) == asked({}, *window, of=H) + 93


@pytest.mark.parametrize(("one", "extra", "named"), [(C, 6, "bar"), (H, 9, ".bar")])
def test_T11_tool_loop(one: Model, extra: int, named: str) -> None:
    request = {"tools": [function("bar", x="integer")]}
    first = [message("go")]
    made = [] if one is C else [{**THOUGHT, "hidden": 30}]
    made += [call("bar", '{"x":1}', id="fc_1")]
    produced = output_tokens(made, 30 if len(made) == 2 else 0, request, one, count)
    after = asked(request, *first, *made, output("eighteen"), of=one, hidden=hidden)
    assert after == asked(request, *first, of=one) + produced + count(named) + count("eighteen") + extra


def test_T12_images() -> None:
    mini, nano = model("gpt-5-mini"), model("gpt-4.1-nano")
    assert images_tokens([png(400, 301)], mini) == 161
    assert images_tokens([png(597, 566)], mini) == 415
    assert images_tokens([png(400, 301), png(597, 566)], mini) == 571
    assert images_tokens([png(540, 360)], nano) == 503
    assert images_tokens([png(1024, 1024)], C) == 85 + 4 * 170
    assert images_tokens([png(2048, 4096)], C) == 85 + 6 * 170
    assert images_tokens([{**png(4000, 4000), "detail": "low"}], C) == 85
    assert tokens({**message(""), "content": [png(400, 301), {"type": "input_text", "text": "hi"}]}, of=mini) == 166


def test_T12_sizes_come_from_the_header() -> None:
    jpeg = b"\xff\xd8\xff\xe0\x00\x04ab\xff\xc2\x00\x11\x08" + struct.pack(">HH", 20, 30) + bytes(12)
    lossy = b"RIFF\0\0\0\0WEBPVP8 " + bytes(10) + struct.pack("<HH", 640, 480) + bytes(4)
    lossless = b"RIFF\0\0\0\0WEBPVP8L" + bytes(5) + ((99) | (49 << 14)).to_bytes(4, "little") + bytes(8)
    extended = b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (319).to_bytes(3, "little") + (239).to_bytes(3, "little")
    found = [size_of(url(data)) for data in (jpeg, b"GIF89a" + struct.pack("<HH", 7, 9), lossy, lossless, extended)]
    assert found == [(30, 20), (7, 9), (640, 480), (100, 50), (320, 240)]
    for part in (
        {"image_url": "https://example.com/a.png"},
        {"file_id": "file-1"},
        url(b"?"),
        {"image_url": "data:,x"},
    ):
        assert size_of(part) == UNKNOWN_SIZE


def test_T12_files_and_other_items() -> None:
    data = "data:text/plain;base64," + base64.b64encode(b"two words").decode()
    part = {"type": "input_file", "file_data": data}
    assert tokens({**message(""), "content": [part]}, of=H) == 2 + 4
    assert tokens({"type": "additional_tools", "tools": [function("dummy")]}, of=H) == 22 + 82
    assert tokens({"type": "additional_tools", "tools": [function("dummy")]}, of=H_ROUNDED) == 22 + 84
    assert tokens({"type": "additional_tools", "tools": [function("dummy")]}, of=H_54) == 22 + 85
    assert tools_tokens([{"type": "web_search"}], {}, C, count) == 294
    assert tools_tokens([{"type": "tool_search"}, {**function("f"), "defer_loading": True}], {}, H, count) == 381
    for kind in ("item_reference", "compaction_trigger", "configuration_update", "unheard_of"):
        assert tokens({"type": kind}, of=H) == 0
    mcp = {"type": "mcp_call", "name": "a", "arguments": "{}", "output": "fine", "server_label": "s"}
    assert tokens(mcp, of=H) > tokens({**mcp, "output": None}, of=H) > 0
    assert (
        tokens({"type": "computer_call_output", "call_id": "c", "output": png(400, 301)}, of=model("gpt-5-mini")) == 168
    )


STORY = [
    message("hi"),
    {**THOUGHT, "hidden": 10},
    message("let me see", "assistant"),
    call("bar", "{}", id="fc_1"),
    output([{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]),
    message("so", "assistant", phase="final_answer"),
    message("more?"),
    {"type": "web_search_call", "action": {"type": "search", "query": "x"}},
    call("baz", "[]", namespace="n"),
]


@pytest.mark.parametrize("cut", range(len(STORY) + 1))
def test_a_tally_is_the_same_in_one_go_or_in_two(cut: int) -> None:
    for one in (C, H, H_ROUNDED, H_54):
        first = add(Tally(), STORY[:cut], one, count, hidden)
        assert add(first, STORY[cut:], one, count, hidden) == add(Tally(), STORY, one, count, hidden)


def test_models_of_one_class_have_equal_tallies() -> None:
    tallies: dict[str, set[str]] = {}
    for _, one in names():
        items = [*STORY, {"type": "additional_tools", "tools": []}, {**message(""), "content": [png(900, 900)]}]
        tallies.setdefault(cost_class(one), set()).add(repr(add(Tally(), items, one, count, hidden)))
    assert all(len(found) == 1 for found in tallies.values())
    assert cost_class(model("gpt-5.6-terra")) == cost_class(model("gpt-5.6-sol"))
    assert len(tallies) > 5
