"""The default model: echo, tool choice, schemas, reasoning, the cap."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mockserver.model.default_model import SeededModel
from mockserver.model.prompt import Prompt, Reply
from mockserver.wire.catalog import resolve


def user(text: str) -> dict:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def called(name: str, kind: str = "function_call") -> dict:
    return {"type": kind, "id": "fc_1", "call_id": "call_1", "name": name, "arguments": "{}"}


def returned(text: str) -> dict:
    return {"type": "function_call_output", "call_id": "call_1", "output": text}


def prompt(*items: dict, model: str = "gpt-4.1", seed: str = "s", turn: int = 1, **request: Any) -> Prompt:
    found = resolve(model)
    assert found
    return Prompt(
        request={"model": model, **request},
        model=found,
        input=items[-1:],
        newest_first=lambda: reversed(items),
        item_count=len(items),
        turn=turn,
        seed=seed,
    )


def respond(*items: dict, **request: Any) -> Reply:
    return SeededModel().respond(prompt(*items, **request))


def text(reply: Reply) -> str:
    return str(reply.output[-1]["content"][0]["text"])


def tool(name: str, description: str = "", **more: Any) -> dict:
    parameters = {"type": "object", "properties": {"city": {"type": "string"}, "days": {"type": "integer"}}}
    return {"type": "function", "name": name, "description": description, "parameters": parameters, **more}


WEATHER = tool("get_weather", "Forecasts for a place.")
MAIL = tool("sendMail", "Writes to somebody.")


def test_the_text_says_what_was_read() -> None:
    assert text(respond(user("hi"))) == "Mock reply to: hi [1 items in context]"
    assert text(respond(user("hi"), called("x"), returned("y"))) == "Mock reply to: hi [3 items in context]"
    assert text(respond()) == "Mock reply to:  [0 items in context]"


def test_messages_of_models_without_phase_have_none() -> None:
    assert "phase" not in respond(user("hi")).output[0]
    assert respond(user("hi"), model="gpt-5.6-terra").output[-1]["phase"] == "final_answer"


@pytest.mark.parametrize(
    ("words", "name"),
    [
        ("weather in Paris?", "get_weather"),
        ("Any FORECASTS today", "get_weather"),
        ("mail her", "sendMail"),
        ("get me something for a change", None),
        ("whether or not", None),
    ],
)
def test_R15_9_auto_calls_a_tool_that_shares_a_word(words: str, name: str | None) -> None:
    item = respond(user(words), tools=[WEATHER, MAIL]).output[-1]
    assert item.get("name") == name


def test_R15_9_auto_answers_once_the_tool_was_called() -> None:
    context = (user("weather?"), called("get_weather"), returned("18"))
    assert respond(*context, tools=[WEATHER]).output[-1]["type"] == "message"
    assert respond(*context, user("weather again"), tools=[WEATHER]).output[-1]["name"] == "get_weather"


def test_R15_9_required_takes_the_first_uncalled_tool_else_the_last() -> None:
    both = {"tools": [WEATHER, MAIL], "tool_choice": "required"}
    assert respond(user("x"), **both).output[-1]["name"] == "get_weather"
    once = (user("x"), called("get_weather"), returned("1"))
    assert respond(*once, **both).output[-1]["name"] == "sendMail"
    assert respond(*once, called("sendMail"), returned("2"), **both).output[-1]["name"] == "sendMail"


def test_R11_1_none_and_forced_tools() -> None:
    assert respond(user("weather"), tools=[WEATHER], tool_choice="none").output[-1]["type"] == "message"
    forced = {"type": "function", "name": "sendMail"}
    assert respond(user("weather"), tools=[WEATHER, MAIL], tool_choice=forced).output[-1]["name"] == "sendMail"
    allowed = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "sendMail"}]}
    assert respond(user("weather"), tools=[WEATHER, MAIL], tool_choice=allowed).output[-1]["name"] == "sendMail"
    softly = {**allowed, "mode": "auto"}
    assert respond(user("weather"), tools=[WEATHER, MAIL], tool_choice=softly).output[-1]["type"] == "message"


def test_arguments_are_valid_compact_and_complete_unless_strict_is_off() -> None:
    item = respond(user("weather"), tools=[WEATHER]).output[-1]
    arguments = json.loads(item["arguments"])
    assert list(arguments) == ["city", "days"] and isinstance(arguments["days"], int)
    assert item["arguments"] == json.dumps(arguments, separators=(",", ":"), ensure_ascii=False)
    loose = respond(user("weather"), tools=[{**WEATHER, "strict": False}]).output[-1]
    assert loose["arguments"] == "{}"
    assert respond(user("weather"), tools=[{"type": "function", "name": "weather"}]).output[-1]["arguments"] == "{}"


def test_R11_6_custom_tools() -> None:
    custom = {"type": "custom", "name": "shout"}
    item = respond(user("shout it"), tools=[custom]).output[-1]
    assert item == {"type": "custom_tool_call", "input": "shout it", "name": "shout"}
    grammar = {"type": "grammar", "syntax": "regex", "definition": r"^[A-Z]{2}-\d$"}
    made = respond(user("shout"), tools=[{**custom, "format": grammar}]).output[-1]["input"]
    assert len(made) == 4 and made[2] == "-"
    forced = respond(user("x"), tools=[custom], tool_choice={"type": "custom", "name": "shout"})
    assert forced.output[-1]["type"] == "custom_tool_call"


def test_R11_7_calls_into_a_namespace_carry_it() -> None:
    space = {"type": "namespace", "name": "crm", "description": "d", "tools": [WEATHER, tool("x", defer_loading=True)]}
    assert respond(user("weather"), tools=[space]).output[-1]["namespace"] == "crm"


@pytest.mark.parametrize(
    ("kind", "item"),
    [
        ("web_search_preview", "web_search_call"),
        ("file_search", "file_search_call"),
        ("code_interpreter", "code_interpreter_call"),
        ("image_generation", "image_generation_call"),
        ("computer", "computer_call"),
    ],
)
def test_hosted_tools_are_called_only_when_forced(kind: str, item: str) -> None:
    tools = [{"type": kind}]
    assert respond(user("search the web, file, code, image"), tools=tools).output[-1]["type"] == "message"
    assert respond(user("x"), tools=tools, tool_choice={"type": kind}).output[-1]["type"] == item


def test_R10_5_structured_output() -> None:
    schema = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "array", "items": {"type": "integer"}}},
        "required": ["city", "days"],
        "additionalProperties": False,
    }
    made = text(respond(user("x"), text={"format": {"type": "json_schema", "name": "n", "schema": schema}}))
    Draft202012Validator(schema).validate(json.loads(made))
    assert json.loads(text(respond(user("x"), text={"format": {"type": "json_object"}})))["reply"]


def test_reasoning_comes_first_where_the_model_reasons() -> None:
    reply = respond(user("hi"), model="gpt-5.6-terra")
    assert reply.output[0] == {"type": "reasoning", "summary": []} and reply.reasoning_tokens > 0
    assert [item["type"] for item in reply.output] == ["reasoning", "message"]
    assert respond(user("hi"), model="gpt-5.4").output[0]["type"] == "message"
    assert respond(user("hi"), model="gpt-5.6-terra", reasoning={"effort": "none"}).reasoning_tokens == 0
    told = respond(user("hi"), model="gpt-5.4", reasoning={"effort": "low", "summary": "auto"})
    assert told.output[0]["summary"][0]["type"] == "summary_text"


def test_T8_older_models_reason_in_multiples_of_64() -> None:
    drawn = {respond(user("hi"), model="gpt-5", seed=str(seed)).reasoning_tokens for seed in range(20)}
    assert len(drawn) > 3 and all(tokens and tokens % 64 == 0 for tokens in drawn)


def test_a_tight_cap_leaves_no_room_for_thinking() -> None:
    asked = prompt(user("hi"), model="gpt-5.6-terra", max_output_tokens=16)
    assert [item["type"] for item in SeededModel().respond(asked).output] == ["message"]


def test_same_prompt_same_reply() -> None:
    again = [respond(user("weather"), tools=[WEATHER], model="gpt-5.6-terra", seed="7") for _ in range(2)]
    assert again[0] == again[1]
