"""Scripted lines: every condition, every reply form, every mistake."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.config.pacing import Pacing
from mockserver.model.prompt import Reply
from mockserver.scenarios.lines import Line, find_mistakes, parse_lines
from mockserver.wire.errors.api import MockError
from tests.support.prompts import prompt, user


def line(reply: Any = None, **more: Any) -> Line:
    return parse_lines([{"reply": {"text": "ok"} if reply is None else reply, **more}])[0]


def said(reply: dict, *items: dict, **request: Any) -> Reply:
    return line(reply).reply(prompt(*items, **request))


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


def figures(**usage: int) -> dict:
    details = {"output_tokens_details": {"reasoning_tokens": usage.pop("reasoning_tokens")}}
    return {"usage": {**usage, **details}}


@pytest.mark.parametrize("thoughts", [{"reasoning": "Echo it."}, {}])
@pytest.mark.parametrize(("model", "tokens"), [("gpt-5.4", 701), ("gpt-5", 704), ("gpt-5.6", 0)])
def test_T8_scripted_reasoning_tokens_are_the_hidden_ones(thoughts: dict, model: str, tokens: int) -> None:
    reply = said({"text": "a", **thoughts, **figures(reasoning_tokens=tokens)}, model=model)
    assert reply.reasoning_tokens == tokens


def test_T8_a_figure_in_steps_of_64_stands_for_the_billed_one() -> None:
    """1 token of text, 6 of frames; 710 - 7 = 703 were hidden, and 640 reported."""
    script = {"text": "a", "reasoning": "Echo it."}
    assert said({**script, **figures(output_tokens=710, reasoning_tokens=640)}, model="gpt-5").reasoning_tokens == 703
    for tokens, model in ((711, "gpt-5"), (646, "gpt-5"), (700, "gpt-5.4")):
        reply = said({**script, **figures(output_tokens=tokens, reasoning_tokens=640)}, model=model)
        assert reply.reasoning_tokens == 640


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
        ([{"reply": {"text": "a"}, "when": {"tool_output": {"nam": "x"}}}], "lines[0].when.tool_output.nam", "'name'"),
        ([{"reply": {"text": "a"}, "when": {"tool_output": {}}}], "lines[0].when.tool_output", "name and/or"),
        ([{"reply": {"text": "a"}, "when": {"last_item": "function_call_ouput"}}], "lines[0].when.last_item", "known"),
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
            "a text or an object",
        ),
        ([{"reply": {"output": [{"type": "message"}]}}], "lines[0].reply.output[0]", "either text or content"),
        (
            [{"reply": {"output": [{"type": "message", "content": [{"type": "text"}]}]}}],
            "lines[0].reply.output[0].content[0].type",
            "output_text",
        ),
    ],
)
def test_every_mistake_is_named(lines: Any, param: str, words: str) -> None:
    with pytest.raises(MockError) as caught:
        parse_lines(lines)
    assert (caught.value.param, caught.value.status) == (param, 400)
    assert words in caught.value.message


@pytest.mark.parametrize("levels", [300, 1000])
def test_what_is_nested_too_deeply_is_refused(levels: int) -> None:
    value: Any = None
    for _ in range(levels):
        value = [value]
    deep = [{"reply": {"json": value}}]
    with pytest.raises(MockError, match="deeper than 200 levels"):
        parse_lines(deep)
    [mistake] = find_mistakes({"lines": deep})
    assert "deeper than 200 levels" in mistake.message
