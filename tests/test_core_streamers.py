"""Canonical event orders of every item type. Spec: S8, S9, S14."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.core.streamers import STREAMERS, Script, stream_item
from mockserver.wire.events import Event, Padding


def words(text: str) -> list[str]:
    """A tokenizer that is easy to follow: pieces end with a space."""
    return [word for word in text.replace(" ", " \0").split("\0") if word]


def events(item: dict[str, Any], *, padded: bool = True) -> list[Event]:
    script = Script(words, Padding("resp_1") if padded else None)
    stream_item(script, item, 0)
    return script.events


def part(text: str, **more: Any) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text, **more}


MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "status": "completed",
    "content": [part("one two")],
    "phase": "final_answer",
    "role": "assistant",
}
REASONING = {"id": "rs_1", "type": "reasoning", "content": [], "encrypted_content": "x" * 80, "summary": []}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "status": "completed",
    "arguments": '{"city": "Paris"}',
    "call_id": "call_1",
    "name": "f",
}
CUSTOM = {
    "id": "ctc_1",
    "type": "custom_tool_call",
    "status": "completed",
    "call_id": "call_1",
    "input": "a b",
    "name": "f",
}

# item → its events between output_item.added and output_item.done, without the prefix "response." (Spec: S8)
ORDERS: dict[str, tuple[dict[str, Any], str]] = {
    "message": (
        MESSAGE,
        "content_part.added output_text.delta output_text.delta output_text.done content_part.done",
    ),
    "refusal": (
        {**MESSAGE, "content": [{"type": "refusal", "refusal": "no way"}]},
        "content_part.added refusal.delta refusal.delta refusal.done content_part.done",
    ),
    "empty message": (MESSAGE | {"content": []}, ""),
    "message with empty text": (
        MESSAGE | {"content": [part("")]},
        "content_part.added output_text.done content_part.done",
    ),
    "reasoning": (REASONING, ""),
    "reasoning with summary": (
        {**REASONING, "summary": [{"type": "summary_text", "text": "a b"}]},
        "reasoning_summary_part.added reasoning_summary_text.delta reasoning_summary_text.delta "
        "reasoning_summary_text.done reasoning_summary_part.done",
    ),
    "reasoning with text": (
        {**REASONING, "content": [{"type": "reasoning_text", "text": "a"}]},
        "content_part.added reasoning_text.delta reasoning_text.done content_part.done",
    ),
    "function_call": (
        CALL,
        "function_call_arguments.delta function_call_arguments.delta function_call_arguments.done",
    ),
    "custom_tool_call": (
        CUSTOM,
        "custom_tool_call_input.delta custom_tool_call_input.delta custom_tool_call_input.done",
    ),
    "web_search_call": (
        {"id": "ws_1", "type": "web_search_call", "status": "completed", "action": {"type": "search"}},
        "web_search_call.in_progress web_search_call.searching web_search_call.completed",
    ),
    "file_search_call": (
        {"id": "fs_1", "type": "file_search_call", "status": "completed", "queries": [], "results": None},
        "file_search_call.in_progress file_search_call.searching file_search_call.completed",
    ),
    "image_generation_call": (
        {"id": "ig_1", "type": "image_generation_call", "status": "completed", "result": "AA=="},
        "image_generation_call.in_progress image_generation_call.generating image_generation_call.completed",
    ),
    "code_interpreter_call": (
        {
            "id": "ci_1",
            "type": "code_interpreter_call",
            "status": "completed",
            "code": "a b",
            "container_id": "cntr_1",
            "outputs": None,
        },
        "code_interpreter_call.in_progress code_interpreter_call_code.delta code_interpreter_call_code.delta "
        "code_interpreter_call_code.done code_interpreter_call.interpreting code_interpreter_call.completed",
    ),
    "mcp_list_tools": (
        {"id": "mcpl_1", "type": "mcp_list_tools", "server_label": "s", "tools": []},
        "mcp_list_tools.in_progress mcp_list_tools.completed",
    ),
    "mcp_call": (
        {
            "id": "mcp_1",
            "type": "mcp_call",
            "status": "completed",
            "arguments": "{} {}",
            "error": None,
            "name": "f",
            "output": "x",
            "server_label": "s",
        },
        "mcp_call.in_progress mcp_call_arguments.delta mcp_call_arguments.done mcp_call.completed",
    ),
    "mcp_call that failed": (
        {
            "id": "mcp_1",
            "type": "mcp_call",
            "status": "failed",
            "arguments": "{}",
            "error": {"type": "http_error"},
            "name": "f",
            "output": None,
            "server_label": "s",
        },
        "mcp_call.in_progress mcp_call_arguments.delta mcp_call_arguments.done mcp_call.failed",
    ),
    "tool_search_call": ({"id": "tsc_1", "type": "tool_search_call", "status": "completed", "arguments": {}}, ""),
    "local_shell_call": ({"id": "lsh_1", "type": "local_shell_call", "status": "completed", "action": {}}, ""),
}


@pytest.mark.parametrize("name", ORDERS)
def test_S8_canonical_order(name: str) -> None:
    item, between = ORDERS[name]
    types = [event["type"] for event in events(item)]
    expected = [f"response.{one}" for one in ("output_item.added", *between.split(), "output_item.done")]
    assert types == expected


@pytest.mark.parametrize("name", ORDERS)
def test_S9_invariants(name: str) -> None:
    item = ORDERS[name][0]
    stream = events(item)
    assert [event["sequence_number"] for event in stream] == list(range(len(stream)))
    assert stream[-1]["item"] == item
    added = stream[0]["item"]
    assert [added["id"], added["type"], added.get("call_id")] == [item["id"], item["type"], item.get("call_id")]
    assert all(event["item_id"] == item["id"] for event in stream[1:-1])
    assert all(event["output_index"] == 0 for event in stream)


def test_every_streamer_has_an_order() -> None:
    assert set(STREAMERS) <= {item["type"] for item, _ in ORDERS.values()}


def test_S8a_what_a_message_looks_like_when_added() -> None:
    added = events(MESSAGE)[0]["item"]
    assert added == {**MESSAGE, "status": "in_progress", "content": []}
    assert list(added) == list(MESSAGE)
    opened = events(MESSAGE)[1]["part"]
    assert opened == {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}


def test_S8c_a_call_is_added_without_arguments() -> None:
    assert events(CALL)[0]["item"] == {**CALL, "status": "in_progress", "arguments": ""}
    assert events(CUSTOM)[0]["item"] == {**CUSTOM, "status": "in_progress", "input": ""}


def test_S9_deltas_add_up() -> None:
    stream = events(MESSAGE)
    assert "".join(event["delta"] for event in stream if event["type"].endswith(".delta")) == "one two"
    [done] = [event for event in stream if event["type"] == "response.output_text.done"]
    assert done["text"] == "one two"


PADDED = ["message", "reasoning with summary", "function_call", "code_interpreter_call", "mcp_call"]


@pytest.mark.parametrize("name", ORDERS)
def test_S6_which_deltas_are_padded(name: str) -> None:
    item = ORDERS[name][0]
    deltas = [event for event in events(item) if event["type"].endswith(".delta")]
    assert all(("obfuscation" in event) == (name in (*PADDED, "mcp_call that failed")) for event in deltas)
    assert all(
        (len(event["delta"]) + len(event["obfuscation"])) % 16 == 0 for event in deltas if "obfuscation" in event
    )
    assert not any("obfuscation" in event for event in events(item, padded=False))


def test_S8a_annotations_follow_the_delta_that_carries_them() -> None:
    citation = {"type": "url_citation", "end_index": 4, "start_index": 0, "title": "t", "url": "u"}
    late = {"type": "url_citation", "end_index": 99, "start_index": 0, "title": "t", "url": "u"}
    stream = events({**MESSAGE, "content": [part("one two", annotations=[citation, late])]})
    types = [event["type"].removeprefix("response.output_text.") for event in stream[2:6]]
    assert types == ["delta", "annotation.added", "delta", "annotation.added"]
    assert [event["annotation_index"] for event in stream if "annotation" in event] == [0, 1]


def test_S6_1_one_log_probability_per_delta() -> None:
    logprobs = [{"token": "one "}, {"token": "two"}]
    stream = events({**MESSAGE, "content": [part("one two", logprobs=logprobs)]})
    assert [event["logprobs"] for event in stream if event["type"].endswith(".delta")] == [[one] for one in logprobs]


def test_S8j_sealed_content_is_shorter_when_the_item_is_added() -> None:
    stream = events(REASONING)
    assert 0 < len(stream[0]["item"]["encrypted_content"]) < len(stream[-1]["item"]["encrypted_content"])
