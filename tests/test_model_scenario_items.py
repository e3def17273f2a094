"""Scripted output items: what may be written short, what is filled in, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.model.scenario import parse_lines
from mockserver.model.scenario_items import check_items, output_items
from mockserver.wire.errors import MockError
from tests.prompts import prompt, user


def said(reply: dict, *items: dict, **request: Any) -> Any:
    return parse_lines([{"reply": reply}])[0].reply(prompt(*items, **request))


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


def test_other_items_stay_as_they_are() -> None:
    call = {"type": "web_search_call", "action": {"type": "search", "query": "x"}}
    check_items([call], "output")
    assert output_items([call], prompt(), None) == [call]


def test_strings_in_place_of_parts() -> None:
    [made] = output_items([{"type": "message", "content": "hi"}], prompt(), "commentary")
    assert made["content"][0]["text"] == "hi" and made["phase"] == "commentary"


def test_unknown_members_are_refused() -> None:
    with pytest.raises(MockError, match="Did you mean 'arguments'"):
        check_items([{"type": "function_call", "name": "f", "argumens": {}}], "output")
