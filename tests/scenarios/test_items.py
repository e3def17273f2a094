"""Scripted output items: what may be written short, what is filled in, what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.scenarios.items import output_items
from mockserver.scenarios.lines import parse_lines
from mockserver.wire.errors.api import MockError
from tests.support.prompts import prompt, user


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
    assert output_items([call], prompt(), None) == [call]


def test_strings_in_place_of_parts() -> None:
    [made] = output_items([{"type": "message", "content": "hi"}], prompt(), "commentary")
    assert made["content"][0]["text"] == "hi" and made["phase"] == "commentary"


def test_unknown_members_are_refused() -> None:
    with pytest.raises(MockError, match="Did you mean 'arguments'"):
        said({"output": [{"type": "function_call", "name": "f", "argumens": {}}]})


@pytest.mark.parametrize(
    ("item", "path", "message"),
    [
        ({"type": "image_generation_call", "partial_images": 2}, "partial_images", "must be a list"),
        ({"type": "image_generation_call", "partial_images": [1]}, "partial_images[0]", "must be a text"),
        ({"type": "image_generation_call", "partial_images": ["?"]}, "partial_images[0]", "in base64"),
        ({"type": "image_generation_call", "partial_images": [""] * 4}, "partial_images", "from 0 to 3"),
        ({"type": "compaction", "compacting": -1}, "compacting", "whole number from 0"),
        ({"type": "compaction", "compacting": True}, "compacting", "whole number from 0"),
        ({"type": "message", "text": "a", "audio_chunks": "QQ=="}, "audio_chunks", "must be a list"),
        ({"type": "message", "text": "a", "audio_transcript": 1}, "audio_transcript", "must be a text"),
        ({"type": "function_call", "name": "f", "partial_images": []}, "partial_images", "partial_images"),
    ],
)
def test_S16_what_a_stream_shows_is_judged(item: dict, path: str, message: str) -> None:
    with pytest.raises(MockError, match=message) as found:
        said({"output": [item]})
    assert found.value.param == f"lines[0].reply.output[0].{path}"


def test_S16_what_a_stream_shows_is_taken_out_of_the_items() -> None:
    reply = said(
        {
            "reasoning": "thinking",
            "output": [
                {"type": "compaction", "compacting": 2},
                {"type": "message", "text": "a", "audio_transcript": "b"},
            ],
        },
        model="gpt-5.6-terra",
    )
    assert reply.cues == {"1": {"compacting": 2}, "2": {"audio_transcript": "b"}}
    assert reply.output[1] == {"type": "compaction"}
    assert "audio_transcript" not in reply.output[2]


def test_members_that_clients_insist_on_are_filled_in() -> None:
    items = [{"type": "mcp_list_tools", "error": "down"}, {"type": "custom_tool_call", "name": "c"}]
    listing, call = output_items(items, prompt(), None)
    assert listing == {"type": "mcp_list_tools", "server_label": "mcp", "tools": [], "error": "down"}
    assert call["input"] == ""
    [failed] = output_items([{"type": "mcp_call", "name": "t", "error": {"type": "http_error"}}], prompt(), None)
    assert failed["status"] == "failed"


def test_a_script_says_what_only_a_backend_finds_out() -> None:
    assert said({"text": "a", "response": {"moderation": {"input": {}}}}).fields == {"moderation": {"input": {}}}
    for wrong in ({"moderation": []}, {"moderations": {}}, []):
        with pytest.raises(MockError):
            parse_lines([{"reply": {"text": "a", "response": wrong}}])


def test_null_stands_for_what_is_left_out() -> None:
    message = {"type": "message", "text": "a", "content": None, "id": None, "audio_chunks": None}
    failed = {"type": "mcp_call", "name": "t", "arguments": None, "error": "down", "status": None}
    reply = said({"output": [message, {"type": "custom_tool_call", "name": "c", "input": None}, failed]})
    assert [part["text"] for part in reply.output[0]["content"]] == ["a"] and reply.cues == {}
    assert reply.output[1]["input"] == ""
    assert (reply.output[2]["arguments"], reply.output[2]["status"]) == ("{}", "failed")


def test_parts_of_reasoning_need_no_type() -> None:
    [item] = said(
        {"output": [{"type": "reasoning", "summary": [{"text": "a"}], "content": [{"text": "b"}, "c"]}]}
    ).output
    assert item["summary"] == [{"type": "summary_text", "text": "a"}]
    assert item["content"] == [{"type": "reasoning_text", "text": "b"}, {"type": "reasoning_text", "text": "c"}]
