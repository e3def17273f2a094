"""Every recorded figure of the token rules, end to end: what `usage` says of real turns, and what counting says before.

The figures are typed from the rules' tables; where a rule is a formula, n(text) is the tokenizer's length of a text.
Figures of the prompt cache are in `test_core_cache.py`. Spec: T1–T9, T11, T12, T15, R8.2, W17.
"""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire.tokens.tokenizer import count as n
from tests.support.driving import Driver
from tests.support.token_examples import TOOLS, function, png

C_MODELS, H_MODELS = ("gpt-4.1", "gpt-4o"), ("gpt-5.6-terra", "gpt-5.4", "gpt-5", "o4-mini")
FAMILY = {"C": "gpt-4.1", "H": "gpt-5.6-terra"}
TERRA = "gpt-5.6-terra"
QUIET = {"text": "pong"}


def user(text: str) -> dict[str, Any]:
    return {"role": "user", "content": text}


def says(name: str, arguments: str = "{}", call_id: str = "call_1", **more: Any) -> dict[str, Any]:
    return {"output": [{"type": "function_call", "name": name, "arguments": arguments, "call_id": call_id}], **more}


def output(text: str, call_id: str = "call_1") -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": text}


class Meter(Driver):
    """A driver that creates scripted turns, and checks that counting says beforehand what usage says after."""

    def turn(self, model: str, input: Any = "ping", reply: Any = QUIET, **fields: Any) -> dict[str, Any]:
        self.script({"reply": reply})
        counted = self.count(model=model, input=input, **{key: fields[key] for key in fields if key in COUNTED})
        made = self.create(input, model=model, **fields)
        assert made["usage"]["input_tokens"] == counted
        assert made["usage"]["total_tokens"] == counted + made["usage"]["output_tokens"]
        return made


COUNTED = {"previous_response_id", "conversation", "tools", "tool_choice", "text", "parallel_tool_calls"}
COUNTED |= {"reasoning", "truncation", "instructions"}


def asked(model: str, input: Any = "ping", **fields: Any) -> int:
    """Return the input tokens of one request."""
    return Meter().turn(model, input, **fields)["usage"]["input_tokens"]


def answered(model: str, reply: Any, **fields: Any) -> tuple[int, int]:
    """Return output and reasoning tokens of one scripted reply."""
    usage = Meter().turn(model, reply=reply, **fields)["usage"]
    return usage["output_tokens"], usage["output_tokens_details"]["reasoning_tokens"]


# --- T1, T3, W17 -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("tiktoken is great!", 6), ("antidisestablishmentarianism", 6), ("2 + 2 = 4", 7), ("お誕生日おめでとう", 8)],
)
def test_T1_texts(text: str, tokens: int) -> None:
    assert asked(TERRA, text) == tokens + 6
    assert asked("gpt-4.1", text) == tokens + 7


@pytest.mark.parametrize("model", ["gpt-4", "gpt-4-turbo", "gpt-3.5-turbo", "ft:gpt-3.5-turbo-0125:acme::1"])
def test_T1_older_models_count_in_the_older_encoding(model: str) -> None:
    text = "お誕生日おめでとう"
    assert asked(model, text, instructions=text) == 9 + 4 + 9 + 4 + 3
    assert answered(model, {"text": text}) == (9 + 1, 0)
    assert asked("gpt-4o", text) == 8 + 4 + 3


def test_T3_the_check() -> None:
    assert asked(TERRA) == 7
    assert asked(TERRA, instructions="Answer briefly.") == 14


def test_W17_the_reference_usage() -> None:
    usage = Meter().turn(TERRA, max_output_tokens=16)["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (7, 5, 12)
    assert usage["input_tokens_details"] == {"cache_write_tokens": 0, "cached_tokens": 0}
    assert usage["output_tokens_details"] == {"reasoning_tokens": 0}


@pytest.mark.parametrize(("family", "priming", "assistant"), [("C", 3, 4), ("H", 2, 6)])
def test_T3_the_table(family: str, priming: int, assistant: int) -> None:
    model = FAMILY[family]
    for role in ("user", "system", "developer"):
        assert asked(model, [{"role": role, "content": "hello there"}]) == priming + 2 + 4
    assert asked(model, instructions="hello there") - asked(model) == 2 + 4
    replayed = [user("ping"), {"role": "assistant", "content": "pong"}]
    assert asked(model, replayed) - asked(model) == 1 + assistant
    assert asked(model, [user("ping"), {"role": "assistant", "content": ""}]) - asked(model) == assistant
    parts = [{"type": "input_text", "text": text} for text in ("pi", "ng")]
    assert asked(model, [{"role": "user", "content": parts}]) == asked(model)


@pytest.mark.parametrize("model", ["gpt-5.4", "gpt-5.5", "gpt-5.6-terra"])
def test_T3_phases(model: str) -> None:
    said = {"role": "assistant", "content": "ok"}
    for more, frame in (({}, 6), ({"phase": "final_answer"}, 6), ({"phase": "commentary"}, 7)):
        assert asked(model, [user("ping"), {**said, **more}]) - asked(model) == n("ok") + frame
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_1"}
    pair = [call, output("1")]
    alone = asked(model, [user("ping"), *pair]) - asked(model)
    assert asked(model, [user("ping"), said, *pair]) - asked(model) == alone + n("ok") + 7


@pytest.mark.parametrize("model", [*C_MODELS, *H_MODELS])
def test_T3_what_costs_nothing(model: str) -> None:
    fields: dict[str, Any] = {"store": False, "truncation": "auto", "metadata": {"a": "b"}, "include": []}
    fields["text"] = {"format": {"type": "text"}}
    if model in H_MODELS:
        fields["reasoning"] = {"effort": "high"}
    assert asked(model, **fields) == asked(model)
    word = [user("json")]
    assert asked(model, word, text={"format": {"type": "json_object"}}) == asked(model, word)


# --- T4, T5, T6, T12, T15 --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("family", "tools", "cost"), TOOLS)
def test_T15_tools(family: str, tools: list[dict[str, Any]], cost: int) -> None:
    model = FAMILY[family]
    assert asked(model, tools=tools) - asked(model) == cost
    assert asked(model, tools=[{**one, "strict": False} for one in tools]) - asked(model) == cost


def test_T5_serial_calls_cost_78_and_choices_nothing() -> None:
    tools = [function("dummy")]
    both = asked(TERRA, tools=tools)
    assert both - asked(TERRA) == 22
    assert asked(TERRA, tools=tools, parallel_tool_calls=False) - both == 78
    assert asked(TERRA, parallel_tool_calls=False) == asked(TERRA)
    allowed = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "dummy"}]}
    for choice in ("auto", "none", "required", {"type": "function", "name": "dummy"}, allowed):
        assert asked(TERRA, tools=tools, tool_choice=choice) == both


@pytest.mark.parametrize("model", C_MODELS)
def test_T5_choices_on_C(model: str) -> None:
    one, two = [function("dummy")], [function("dummy"), function("get_file")]
    both = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "dummy"}]}
    named = {"type": "function", "name": "dummy"}
    head = 7 + n(".dummy")
    call = says("dummy", '{"a":1}')
    for tools, choice, more in [
        (one, "auto", 0),
        (one, "none", 1),
        (one, "required", head),
        (one, named, head),
        (two, named, head),
        (two, "required", 0),
        (two, both, 0),
    ]:
        cost = asked(model, tools=tools, tool_choice=choice, reply=call) - asked(model, tools=tools, reply=call)
        assert cost == more, choice
        forced = n('{"a":1}') + 1, 0
        free = 8 + n(".dummy") + n('{"a":1}'), 0
        assert answered(model, call, tools=tools, tool_choice=choice) == (forced if more == head else free)


@pytest.mark.parametrize("model", [*C_MODELS, *H_MODELS])
def test_T6_formats(model: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    sent = {"$schema": "http://json-schema.org/draft-07/schema#", **schema, "additionalProperties": False}
    text = '## r\n\n// Why.\n{"type":"object","properties":{"a":{"type":"string"}}}'
    fields = {"text": {"format": {"type": "json_schema", "name": "r", "description": "Why.", "schema": sent}}}
    cost = n(text) + (5 if model in C_MODELS else 4)
    assert asked(model, **fields) - asked(model) == cost
    tools = [function("dummy")]
    assert asked(model, tools=tools, **fields) - asked(model, tools=tools) == cost


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
    tools, model = [function("get_user_country")], "gpt-4.1"
    fields: dict[str, Any] = {"tools": tools, "text": {"format": location}}
    assert asked(model, **fields) - asked(model, tools=tools) == 30
    pattern = r"pattern=^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"
    amount = {"anyOf": [{"type": "number"}, {"type": "string", "description": pattern}]}
    schema = {"properties": {"amount": amount}, "type": "object"}
    payment = {"type": "json_schema", "name": "Payment", "schema": schema}
    assert asked(TERRA, text={"format": payment}) - asked(TERRA) == 56


@pytest.mark.parametrize(
    ("model", "sizes", "tokens"),
    [
        ("gpt-5-mini", [(400, 301)], 161),
        ("gpt-5-mini", [(597, 566)], 415),
        ("gpt-5-mini", [(400, 301), (597, 566)], 571),
        ("gpt-4.1-nano", [(540, 360)], 503),
        ("gpt-4o", [(1024, 1024)], 85 + 4 * 170),
        ("gpt-4o", [(2048, 4096)], 85 + 6 * 170),
    ],
)
def test_T12_images(model: str, sizes: list[tuple[int, int]], tokens: int) -> None:
    text = {"type": "input_text", "text": "ping"}
    content = [text, *[{**png(*size), "detail": "auto"} for size in sizes]]
    assert asked(model, [{"role": "user", "content": content}]) - asked(model) == tokens


@pytest.mark.parametrize(("model", "frame"), [(TERRA, 82), ("gpt-5", 84), ("gpt-5.4", 85)])
def test_T12_additional_tools(model: str, frame: int) -> None:
    more = {"type": "additional_tools", "role": "developer", "tools": [function("dummy")]}
    assert asked(model, [more, user("ping")]) - asked(model) == 22 + frame


@pytest.mark.parametrize(
    ("model", "tool", "tokens"),
    [
        ("gpt-4.1", {"type": "web_search"}, 294),
        ("gpt-5", {"type": "image_generation"}, 342),
    ],
)
def test_T12_hosted_tools(model: str, tool: dict[str, Any], tokens: int) -> None:
    assert asked(model, tools=[tool]) - asked(model) == tokens


def test_T12_tool_search() -> None:
    deferred = {**function("dummy"), "defer_loading": True}
    assert asked(TERRA, tools=[{"type": "tool_search"}, deferred]) - asked(TERRA) == 381
    client = {**function("x", "Find tools.", query="string"), "type": "tool_search", "execution": "client"}
    del client["name"]
    rendered = asked(TERRA, tools=[function("tool_search", "Find tools.", query="string")])
    assert asked(TERRA, tools=[client, deferred]) - rendered == 18


# --- T7, T9, T11, T15: history ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("family", "name", "arguments", "told", "cost"),
    [
        ("C", "get_meaning_of_life", "{}", "42", 25),
        ("C", "get_capital", '{"country":"PotatoLand"}', "Potato City", 27),
    ],
)
def test_T15_history_without_ids(family: str, name: str, arguments: str, told: str, cost: int) -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": name, "arguments": arguments}
    assert asked(FAMILY[family], [user("ping"), call, output(told)]) - asked(FAMILY[family]) == cost


@pytest.mark.parametrize(
    ("family", "name", "arguments", "told", "cost"),
    [("C", "get_weather", '{"city":"NYC"}', "Sunny, 72F", 29), ("H", "bar", '{"x":1}', "1", 28)],
)
@pytest.mark.parametrize("how", ["chained", "replayed", "conversation"])
def test_T15_history_with_ids(family: str, name: str, arguments: str, told: str, cost: int, how: str) -> None:
    drive, model = Meter(), FAMILY[family]
    fields: dict[str, Any] = {"conversation": drive.conversation()["id"]} if how == "conversation" else {}
    first = drive.turn(model, reply=says(name, arguments), **fields)
    given: Any = [output(told)]
    if how == "replayed":
        given = [user("ping"), *first["output"], *given]
    elif how == "chained":
        fields = {"previous_response_id": first["id"]}
    second = drive.turn(model, given, **fields)
    assert second["usage"]["input_tokens"] - first["usage"]["input_tokens"] == cost


@pytest.mark.parametrize(("model", "without_id"), [("gpt-4.1", 8), (TERRA, 10), ("gpt-5", 10), ("gpt-5.4", 13)])
def test_T7_calls_and_outputs(model: str, without_id: int) -> None:
    chat = model == "gpt-4.1"
    call = {"type": "function_call", "call_id": "call_1", "name": "lookup", "arguments": '{"a":"b"}'}
    text = n(".lookup") + n('{"a":"b"}')
    answer = (3 + n("lookup") if chat else 7 + n(".lookup")) + n("found it")
    bare = asked(model, [user("ping"), call, output("found it")]) - asked(model)
    assert bare == without_id + text + answer
    drive = Meter()
    made = drive.turn(model, reply=says("lookup", '{"a":"b"}'))
    chained = drive.turn(model, [output("found it")], previous_response_id=made["id"])["usage"]["input_tokens"]
    assert chained - asked(model) == (11 if chat else 13) + text + answer


@pytest.mark.parametrize("model", [*C_MODELS, *H_MODELS])
@pytest.mark.parametrize("how", ["chained", "conversation"])
@pytest.mark.parametrize("thinks", [False, True])
def test_T11_tool_loops(model: str, how: str, thinks: bool) -> None:
    if thinks and model in C_MODELS:
        thinks = False
    drive = Meter()
    thought = {"reasoning": "I had better look that up before I say anything. " * 8} if thinks else {}
    fields: dict[str, Any] = {"tools": [function("bar", x="integer"), function("foo_baz", "Does.", y="string")]}
    if how == "conversation":
        fields["conversation"] = drive.conversation()["id"]
    made = drive.turn(model, "go on", says("bar", '{"x":1}', "call_0", **thought), **fields)
    steps = [("bar", "eighteen"), ("foo_baz", "nothing was found there"), ("bar", "[1,2,3]"), ("foo_baz", "")]
    for number, (name, told) in enumerate(steps):
        before = made["usage"]
        if how == "chained":
            fields["previous_response_id"] = made["id"]
        following = steps[number + 1][0] if number + 1 < len(steps) else "bar"
        reply = says(following, f'{{"x":{number}}}', f"call_{number + 1}", **thought)
        made = drive.turn(model, [output(told, f"call_{number}")], reply, **fields)
        frame = n(name) + 6 if model in C_MODELS else n("." + name) + 9
        grown = before["input_tokens"] + before["output_tokens"] + frame + n(told)
        assert made["usage"]["input_tokens"] == grown, (number, name)


def test_T9_reasoning_after_the_last_user_message() -> None:
    for model, later in ((TERRA, True), ("gpt-5.4", False), ("gpt-5", False)):
        inputs = []
        for thought in ({}, {"reasoning": "so " * 100}):
            drive = Meter()
            first = drive.turn(model, reply=says("f", **thought))
            hidden = first["usage"]["output_tokens_details"]["reasoning_tokens"]
            loop = drive.turn(model, [output("1")], previous_response_id=first["id"])
            after = drive.turn(model, "and?", previous_response_id=loop["id"])
            inputs.append([one["usage"]["input_tokens"] for one in (first, loop, after)])
        without, with_thought = inputs
        cost = hidden + 2
        assert hidden > 0
        assert [b - a for a, b in zip(without, with_thought, strict=True)] == [0, cost, cost if later else 0], model


def test_T11_instructions_of_earlier_turns_are_not_counted() -> None:
    for model in FAMILY.values():
        plain, told = Meter(), Meter()
        first = plain.turn(model)
        other = told.turn(model, instructions="Answer briefly.")
        assert other["usage"]["input_tokens"] - first["usage"]["input_tokens"] == 7
        inputs = [
            drive.turn(model, previous_response_id=made["id"])["usage"]["input_tokens"]
            for drive, made in ((plain, first), (told, other))
        ]
        assert inputs[0] == inputs[1]


# --- T8: output ------------------------------------------------------------------------------------------------------

FORMAT = {"format": {"type": "json_schema", "name": "r", "schema": {"type": "object", "properties": {}}}}
DUMMY = [function("dummy")]
THINKING = "I think so. " * 20


@pytest.mark.parametrize("model", [*C_MODELS, *H_MODELS])
def test_T8_answers_and_calls(model: str) -> None:
    chat = model in C_MODELS
    text = "That is the answer."
    assert answered(model, {"text": text}) == (n(text) + (1 if chat else 4), 0)
    assert answered(model, {"text": text}, tools=DUMMY) == (n(text) + (2 if chat else 4), 0)
    assert answered(model, {"text": "{}"}, text=FORMAT) == (n("{}") + (1 if chat else 4 + 3), 0)
    assert answered(model, {"text": "{}"}, text=FORMAT, tools=DUMMY) == (n("{}") + (4 if chat else 4 + 3), 0)
    for fields in ({}, {"tools": DUMMY}):
        assert answered(model, {"refusal": text}, **fields) == (n(text) + (2 if chat else 4), 0)
    call = (8 if chat else 11) + n(".dummy") + n('{"a":1}')
    assert answered(model, says("dummy", '{"a":1}'), tools=DUMMY) == (call, 0)
    said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}]}
    both = {"output": [said, *says("dummy", '{"a":1}')["output"]]}
    assert answered(model, both, tools=DUMMY) == (n(text) + (0 if chat else 7) + call, 0)


@pytest.mark.parametrize("model", [*C_MODELS, *H_MODELS])
@pytest.mark.parametrize("how", ["chained", "replayed", "without ids"])
def test_T7_T8_several_calls(model: str, how: str) -> None:
    chat, drive = model in C_MODELS, Meter()
    both = {"output": [*says("bar", '{"x": 1}')["output"], *says("crm", "{}", "call_2")["output"]]}
    uses = (
        '{"tool_uses":[{"recipient_name":"functions.bar","parameters":{"x":1}},'
        '{"recipient_name":"functions.crm","parameters":{}}]}'
    )
    tools = [function("bar", x="integer"), function("crm")]
    made = drive.turn(model, reply=both, tools=tools)
    assert made["usage"]["output_tokens"] == (11 if chat else 14) + n(uses)
    outputs = [output("1"), output("2", "call_2")]
    calls = [{**item, "id": None} if how == "without ids" else item for item in made["output"]]
    calls = [{key: value for key, value in item.items() if value is not None} for item in calls]
    link = {"previous_response_id": made["id"]} if how == "chained" else {}
    given = outputs if link else [user("ping"), *calls, *outputs]
    after = drive.turn(model, given, tools=tools, **link)["usage"]["input_tokens"]
    frames = {"chained": 13, "replayed": 13, "without ids": 13 if model == "gpt-5.4" else 10}
    read = sum((8 if chat else frames[how]) + n(text) for text in (".bar", ".crm")) + n('{"x": 1}') + n("{}")
    came = sum(3 + n(name) if chat else 7 + n("." + name) for name in ("bar", "crm")) + 2
    assert after - made["usage"]["input_tokens"] == read + came


@pytest.mark.parametrize("model", C_MODELS)
def test_T8_a_text_of_exactly_the_limit_is_kept_whole_on_C(model: str) -> None:
    text = "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    made = Meter().turn(model, reply={"text": text}, max_output_tokens=n(text))
    assert (made["status"], made["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert made["output"][0]["content"][0]["text"] == text
    assert made["usage"]["output_tokens"] == n(text) == 16
    assert Meter().turn(model, reply={"text": text}, max_output_tokens=17)["status"] == "completed"


@pytest.mark.parametrize("model", H_MODELS)
def test_T8_a_text_that_is_cut_on_H(model: str) -> None:
    made = Meter().turn(model, reply={"text": "word " * 40}, max_output_tokens=20)
    assert n(made["output"][-1]["content"][0]["text"]) == 20 - 4 + 1
    assert made["usage"]["output_tokens"] == 20


@pytest.mark.parametrize("model", H_MODELS)
def test_T8_with_reasoning(model: str) -> None:
    text = "That is the answer."
    total, hidden = answered(model, {"text": text, "reasoning": THINKING})
    assert hidden > 0
    assert total == n(text) + hidden + 6
    assert hidden % 64 == 0 or model not in ("gpt-5", "o4-mini")
    total, hidden = answered(model, says("dummy", reasoning=THINKING), tools=DUMMY)
    assert total == 11 + n(".dummy") + n("{}") + 2 + hidden


def scripted(tokens: int, **more: Any) -> dict[str, Any]:
    return {"usage": {"output_tokens_details": {"reasoning_tokens": tokens}}, "reasoning": "So.", **more}


@pytest.mark.parametrize(("model", "tokens"), [(TERRA, 701), ("gpt-5.4", 701), ("gpt-5", 704), ("o4-mini", 704)])
def test_T8_T9_scripted_reasoning_tokens_are_paid_now_and_later(model: str, tokens: int) -> None:
    drive = Meter()
    made = drive.turn(model, reply=scripted(tokens, **says("dummy")), tools=DUMMY)
    usage = made["usage"]
    assert usage["output_tokens_details"] == {"reasoning_tokens": tokens}
    assert usage["output_tokens"] == 11 + n(".dummy") + n("{}") + 2 + tokens
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    grown = usage["input_tokens"] + usage["output_tokens"] + n(".dummy") + n("1") + 9
    loop = drive.turn(model, [output("1")], tools=DUMMY, previous_response_id=made["id"])
    assert loop["usage"]["input_tokens"] == grown, "T11"
    replayed = [user("ping"), *made["output"], output("1")]
    assert drive.turn(model, replayed, tools=DUMMY)["usage"]["input_tokens"] == grown
    after = drive.turn(model, "and?", tools=DUMMY, previous_response_id=loop["id"])["usage"]["input_tokens"]
    gone = 0 if model == TERRA else tokens + 2
    assert after == grown + n("pong") + 6 + n("and?") + 4 - gone


def test_T8_reasoning_that_the_limit_cuts_is_reported_as_cut() -> None:
    usage = Meter().turn(TERRA, reply=scripted(701, text="pong"), max_output_tokens=100)["usage"]
    assert usage["output_tokens"] == 100
    assert usage["output_tokens_details"] == {"reasoning_tokens": 98}
    told = {"output_tokens": 5, "output_tokens_details": {"reasoning_tokens": 9}}
    usage = Meter().turn(TERRA, reply={"text": "pong", "usage": told})["usage"]
    assert (usage["output_tokens"], usage["output_tokens_details"]) == (5, {"reasoning_tokens": 9}), "as scripted"


def test_T8_o3_mini() -> None:
    total, hidden = answered("o3-mini", {"text": "yes", "reasoning": THINKING})
    assert (total, hidden % 64) == (n("yes") + hidden + 1, 0)


# --- R8.2: counting equals what is billed later ----------------------------------------------------------------------

EVERYTHING: dict[str, Any] = {"tools": [function("bar", "Bars.", x="integer")], "text": FORMAT, "instructions": "Be."}


@pytest.mark.parametrize("model", [*C_MODELS, *H_MODELS])
@pytest.mark.parametrize("how", ["chained", "conversation", "replayed"])
def test_R8_2_counting_equals_usage_along_a_story(model: str, how: str) -> None:
    drive = Meter()
    thought = {} if model in C_MODELS else {"reasoning": "hm " * 40}
    story: list[tuple[Any, Any, dict[str, Any]]] = [
        ([user("one")], QUIET, {}),
        ([user("two")], says("bar", '{"x":1}', "call_1", **thought), EVERYTHING),
        ([output("found", "call_1")], {"json": {"a": 1}, **thought}, EVERYTHING),
        (
            [user("three"), {"role": "developer", "content": "careful"}],
            {"text": "so it is", **thought},
            {"text": FORMAT},
        ),
        ([user("four")], QUIET, {"instructions": "Now something else."}),
    ]
    link: dict[str, Any] = {"conversation": drive.conversation()["id"]} if how == "conversation" else {}
    history: list[Any] = []
    for input, reply, fields in story:
        history += input
        made = drive.turn(model, history if how == "replayed" else input, reply, **fields, **link)
        history += made["output"]
        if how == "chained":
            link = {"previous_response_id": made["id"]}


@pytest.mark.parametrize("model", [*C_MODELS, *H_MODELS])
def test_T11_a_chain_costs_what_its_replay_costs(model: str) -> None:
    chain, replay = Meter(), Meter()
    history: list[Any] = []
    link: dict[str, Any] = {}
    for text, reply in (("a", QUIET), ("b", {"text": "longer now"}), ("c", {"refusal": "no"}), ("d", QUIET)):
        history.append(user(text))
        one = chain.turn(model, text, reply, **link)
        other = replay.turn(model, history, reply)
        assert one["usage"] == other["usage"]
        history += other["output"]
        link = {"previous_response_id": one["id"]}
