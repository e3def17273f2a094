"""The echo model: what it read is what it says, and echoes of echoes stay short."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.model.echo_model import WHOLE, EchoModel, read_echo, shown
from mockserver.model.prompt import Prompt, Reply
from mockserver.wire.catalog import resolve

WEATHER = {"type": "function", "name": "weather", "parameters": {"type": "object", "properties": {}}}


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]}


def called(name: str) -> dict[str, Any]:
    return {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": name, "arguments": "{}"}


def returned(text: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": "call_1", "output": text}


def prompt(*items: dict[str, Any], seed: str = "s", **request: Any) -> Prompt:
    model = resolve("gpt-4.1")
    assert model
    asked = {"model": "gpt-4.1", **request}
    return Prompt(asked, model, items[-1:], lambda: reversed(items), len(items), turn=1, seed=seed)


def text(reply: Reply) -> str:
    return str(reply.output[-1]["content"][0]["text"])


def echoed(*items: dict, **request: Any) -> Any:
    return read_echo(text(EchoModel().respond(prompt(*items, **request))))


def test_the_items_are_told_oldest_first_with_their_roles() -> None:
    found = echoed(user("one"), called("lookup"), returned("found"), user("two"), instructions="Be kind.")
    assert found == {
        "echo": [
            {"type": "message", "role": "user", "text": "one"},
            {"type": "function_call", "text": "{}"},
            {"type": "function_call_output", "text": "found"},
            {"type": "message", "role": "user", "text": "two"},
        ],
        "instructions": "Be kind.",
    }


def test_without_instructions_there_are_none() -> None:
    assert echoed(user("one"))["instructions"] is None


def test_a_long_text_is_told_by_its_length_and_hash() -> None:
    assert shown("a" * WHOLE) == "a" * WHOLE
    long = shown("a" * (WHOLE + 1))
    assert long is not None and long.startswith("81 characters ") and long != shown("b" * (WHOLE + 1))
    assert shown(None) is None


def test_an_echo_of_echoes_does_not_grow() -> None:
    items = [user("one")]
    for number in range(12):
        answer = text(EchoModel().respond(prompt(*items)))
        items += [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": answer}]}]
        items += [user(f"turn {number}")]
    assert len(answer) < 200 * len(items)


def test_a_tool_is_called_only_when_it_is_forced() -> None:
    tools = {"tools": [WEATHER]}
    assert echoed(user("the weather forecast, please"), **tools)["echo"][0]["role"] == "user"
    forced = EchoModel().respond(prompt(user("hm"), tool_choice="required", **tools))
    assert [item["type"] for item in forced.output] == ["function_call"]
    again = EchoModel().respond(prompt(user("hm"), seed="another", tool_choice="required", **tools))
    assert again == forced, "the same context gets the same answer"


@pytest.mark.parametrize("other", ["plain", "[1]", '{"echo": 1}', '{"reply": "x"}'])
def test_other_texts_are_no_echoes(other: str) -> None:
    assert read_echo(other) is None
