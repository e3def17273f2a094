"""Scripted lines: every condition, every reply form, every mistake."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.model.prompt import Prompt, Reply
from mockserver.model.scenario import Line, parse_lines
from mockserver.settings import Pacing
from mockserver.wire.catalog import resolve
from mockserver.wire.errors import MockError


def user(text: str) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def called(name: str) -> dict:
    return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": "{}"}


def returned(text: str) -> dict:
    return {"type": "function_call_output", "call_id": "call_1", "output": text}


def prompt(*items: dict, model: str = "gpt-4.1", turn: int = 1, **request: Any) -> Prompt:
    """A prompt whose whole context stands in the request's own input."""
    found = resolve(model)
    assert found
    body = {"model": model, **request}
    return Prompt(body, found, items, lambda: reversed(items), len(items), turn, "s")


def line(reply: Any = None, **more: Any) -> Line:
    return parse_lines([{"reply": {"text": "ok"} if reply is None else reply, **more}])[0]


def said(reply: dict, *items: dict, **request: Any) -> Reply:
    return line(reply).reply(prompt(*items, **request))


def holds(when: dict, *items: dict, **request: Any) -> bool:
    return line(when=when).holds(prompt(*items, **request))


ASKED = (user("weather in Oslo?"), called("get_weather"), returned("18 degrees"))
TOOLS = [{"type": "function", "name": "get_weather"}, {"type": "web_search"},
         {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find"}]}]  # fmt: skip


@pytest.mark.parametrize(
    ("when", "holding", "not_holding"),
    [
        ({"model": "gpt-4.1"}, {}, {"model": "gpt-5"}),
        ({"model": "gpt-4.1-2025-04-14"}, {}, {"model": "gpt-5"}),
        ({"instructions_contains": "brief"}, {"instructions": "Be brief."}, {}),
        ({"has_tool": "get_weather"}, {"tools": TOOLS}, {}),
        ({"has_tool": "web_search"}, {"tools": TOOLS}, {}),
        ({"has_tool": "find"}, {"tools": TOOLS}, {}),
        ({"turn": 3}, {"turn": 3}, {"turn": 2}),
        ({"previous_response_id": True}, {"previous_response_id": "resp_1"}, {}),
        ({"previous_response_id": False}, {}, {"previous_response_id": "resp_1"}),
        ({"previous_response_id": "resp_1"}, {"previous_response_id": "resp_1"}, {"previous_response_id": "resp_2"}),
        ({"conversation": "conv_1"}, {"conversation": {"id": "conv_1"}}, {"conversation": "conv_2"}),
        ({"conversation": False}, {}, {"conversation": "conv_2"}),
        ({"store": True}, {}, {"store": False}),
        ({"stream": True}, {"stream": True}, {}),
        ({"transport": "http"}, {}, None),
        ({"format": "text"}, {}, {"text": {"format": {"type": "json_object"}}}),
        ({"metadata": {"a": "1"}}, {"metadata": {"a": "1", "b": "2"}}, {"metadata": {"b": "2"}}),
        ({}, {}, None),
    ],
)
def test_conditions_on_the_request(when: dict, holding: dict, not_holding: dict | None) -> None:
    assert holds(when, user("hi"), **holding)
    if not_holding is not None:
        assert not holds(when, user("hi"), **not_holding)


def test_conditions_on_the_input() -> None:
    assert holds({"input_contains": "hi"}, user("say hi"))
    assert holds({"input_matches": "^s.*i$"}, user("say hi"))
    assert holds({"input_equals": "say hi"}, user("say hi")) and not holds({"input_equals": "hi"}, user("say hi"))
    assert holds({"input_contains": "hi", "turn": 1}, user("hi")) and not holds({"turn": 2, "input_contains": "hi"})


def test_input_is_what_was_said_since_the_model_spoke() -> None:
    """So that a line for the question does not answer the tool's output too, chained or replayed."""
    assert not holds({"input_contains": "weather"}, *ASKED)
    assert holds({"context_contains": "weather"}, *ASKED) and holds({"context_contains": "18 deg"}, *ASKED)


def test_conditions_on_tool_outputs() -> None:
    assert holds({"last_item": "function_call_output"}, *ASKED) and not holds({"last_item": "message"}, *ASKED)
    assert holds({"tool_output": {"name": "get_weather", "contains": "18"}}, *ASKED)
    assert not holds({"tool_output": {"name": "other"}}, *ASKED)
    assert not holds({"tool_output": {"contains": "19"}}, *ASKED)


def test_text_and_templates() -> None:
    reply = said({"text": "{{input_text}}/{{ turn }}/{{item_count}}/{{metadata.k}}/{{metadata.none}}/{{tool_output}}"},
                 *ASKED, user("and now?"), metadata={"k": "v"}, turn=4)  # fmt: skip
    assert reply.output[0]["content"][0] == {
        "type": "output_text", "annotations": [], "logprobs": [], "text": "and now?/4/4/v//18 degrees"
    }  # fmt: skip
    assert "weather in Oslo?" in said({"text": "{{ context_text }}"}, *ASKED).output[0]["content"][0]["text"]


def test_output_items_may_be_written_short() -> None:
    reply = said({"output": [
        {"type": "function_call", "id": "fc_9", "name": "f", "arguments": {"city": "{{ input_text }}"}},
        {"type": "message", "text": "done"},
        {"type": "message", "content": [{"type": "refusal", "refusal": "no"}], "phase": "commentary"},
        {"type": "reasoning", "summary": "thinking"},
    ]}, user("Oslo"), model="gpt-5.6-terra")  # fmt: skip
    call, done, no, thought = reply.output
    assert call == {"type": "function_call", "id": "fc_9", "name": "f", "arguments": '{"city":"Oslo"}'}
    assert done["content"][0]["text"] == "done" and done["phase"] == "final_answer" and done["role"] == "assistant"
    assert no["phase"] == "commentary" and no["content"] == [{"type": "refusal", "refusal": "no"}]
    assert thought["summary"] == [{"type": "summary_text", "text": "thinking"}] and reply.reasoning_tokens > 0


def test_the_other_forms() -> None:
    assert said({"refusal": "no"}).output[0]["content"] == [{"type": "refusal", "refusal": "no"}]
    assert said({"json": {"a": [1, "é"]}}).output[0]["content"][0]["text"] == '{"a":[1,"é"]}'
    error = said({"error": {"status": 429, "code": "rate_limit_exceeded", "message": "slow"}}).error
    assert error and (error.status, error.code, error.message) == (429, "rate_limit_exceeded", "slow")
    assert said({"failed": {"code": "server_error"}}).failed["message"]
    cut = said({"incomplete": "max_output_tokens"}, user("hi"))
    assert cut.incomplete == "max_output_tokens" and cut.output
    assert said({"incomplete": "content_filter"}).output == ()
    assert said({"text": "half", "incomplete": "content_filter"}).output


def test_what_stands_beside_the_form() -> None:
    beside = {"reasoning": "Echo it.", "usage": {"input_tokens": 5}, "phase": "commentary", "model": "m"}
    reply = said({"text": "a", **beside}, model="gpt-5")
    assert reply.output[0] == {"type": "reasoning", "summary": [{"type": "summary_text", "text": "Echo it."}]}
    assert reply.output[1]["phase"] == "commentary"
    assert (reply.reasoning_tokens, reply.usage, reply.model) == (64, {"input_tokens": 5}, "m")
    paced = line(pacing={"first_token": 0.3, "tokens_per_second": 60}).reply(prompt())
    assert paced.pacing == Pacing(0.3, 60.0)
    assert [item["type"] for item in said({"text": "a"}, model="gpt-5").output] == ["message"]


def test_lines_give_back_their_json() -> None:
    source = {"when": {"turn": 1}, "reply": {"text": "{{ turn }}"}, "times": 2, "pacing": {"first_token": 1}}
    [parsed] = parse_lines([source])
    assert parsed.to_json() == source and parsed.times == 2
    assert line().times is None


@pytest.mark.parametrize(
    ("lines", "param", "words"),
    [
        ({}, "lines", "list"),
        ([1], "lines[0]", "object"),
        ([{}], "lines[0].reply", "no reply"),
        ([{"reply": {}}], "lines[0].reply", "none"),
        ([{"reply": {"text": "a", "json": 1}}], "lines[0].reply", "text and json"),
        ([{"reply": {"text": 1}}], "lines[0].reply.text", "must be a text"),
        ([{"reply": {"text": "a"}}, {"reply": {"txt": "a"}}], "lines[1].reply.txt", "Did you mean 'text'"),
        ([{"reply": {"text": "a"}, "tims": 1}], "lines[0].tims", "Did you mean 'times'"),
        ([{"reply": {"text": "a"}, "times": 0}], "lines[0].times", "from 1"),
        ([{"reply": {"text": "a"}, "times": True}], "lines[0].times", "from 1"),
        ([{"reply": {"text": "a"}, "pacing": {"first_token": -1}}], "lines[0].pacing.first_token", "from 0"),
        ([{"reply": {"text": "a"}, "when": {"input_contain": "x"}}], "lines[0].when.input_contain", "input_contains"),
        ([{"reply": {"text": "a"}, "when": {"input_matches": "("}}], "lines[0].when.input_matches", "regular"),
        ([{"reply": {"text": "a"}, "when": {"turn": "1"}}], "lines[0].when.turn", "whole number"),
        ([{"reply": {"text": "a"}, "when": {"tool_output": {"nam": "x"}}}], "lines[0].when.tool_output", "contains"),
        ([{"reply": {"text": "a"}, "when": {"transport": "tcp"}}], "lines[0].when.transport", "websocket"),
        ([{"reply": {"text": "{{ inputtext }}"}}], "lines[0].reply.text", "Did you mean 'input_text'"),
        ([{"reply": {"error": {}}}], "lines[0].reply.error", "code or a status"),
        ([{"reply": {"error": {"status": 200}}}], "lines[0].reply.error.status", "400"),
        ([{"reply": {"incomplete": "x"}}], "lines[0].reply.incomplete", "content_filter"),
        ([{"reply": {"failed": {"cod": "x"}}}], "lines[0].reply.failed.cod", "code"),
        ([{"reply": {"text": "a", "usage": {"input_tokens": -1}}}], "lines[0].reply.usage.input_tokens", "from 0"),
        ([{"reply": {"text": "a", "phase": "final"}}], "lines[0].reply.phase", "final_answer"),
        ([{"reply": {"output": {}}}], "lines[0].reply.output", "list"),
        ([{"reply": {"output": [{"type": "function_cal"}]}}], "lines[0].reply.output[0].type", "function_call"),
        ([{"reply": {"output": [{"type": "function_call"}]}}], "lines[0].reply.output[0].name", "no name"),
        (
            [{"reply": {"output": [{"type": "function_call", "name": "f", "arguments": 1}]}}],
            "lines[0].reply.output[0].arguments",
            "object or a text",
        ),
        ([{"reply": {"output": [{"type": "message"}]}}], "lines[0].reply.output[0]", "either text or content"),
        (
            [{"reply": {"output": [{"type": "message", "content": [{"type": "text"}]}]}}],
            "lines[0].reply.output[0].content[0]",
            "output_text",
        ),
    ],
)
def test_every_mistake_is_named(lines: Any, param: str, words: str) -> None:
    with pytest.raises(MockError) as caught:
        parse_lines(lines)
    assert (caught.value.param, caught.value.status) == (param, 400)
    assert words in caught.value.message
