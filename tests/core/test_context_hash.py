"""Trails: what the model reads decides, ids never do. Spec: R8.8, T9."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.core.context_hash import extend_all, only_text, render_item, roll
from mockserver.core.state import ContextHash


def says(text: str, role: str = "user", **more: Any) -> dict[str, Any]:
    return {"id": "msg_1", "type": "message", "role": role, "content": [{"type": "input_text", "text": text}], **more}


THOUGHT = {"id": "rs_1", "type": "reasoning", "summary": [], "encrypted_content": "sealed"}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "name": "f",
    "arguments": "{}",
    "call_id": "call_1",
    "status": "completed",
}
OUTPUT = {"id": "fco_1", "type": "function_call_output", "call_id": "call_1", "output": "x"}


def trail(*items: dict[str, Any], reads: str = "current_turn") -> ContextHash:
    return extend_all(ContextHash(reads), items)


@pytest.mark.parametrize("item", [says("a"), THOUGHT, CALL, OUTPUT, {"id": "ws_1", "type": "web_search_call"}])
def test_ids_and_statuses_are_not_read(item: dict[str, Any]) -> None:
    other = {**item, "id": "other", "status": "incomplete"}
    if "call_id" in item:
        other["call_id"] = "call_2"
    assert render_item(item) == render_item(other)


@pytest.mark.parametrize(
    "other",
    [
        says("b"),
        says("a", "developer"),
        says("a", phase="commentary"),
        {**CALL, "arguments": "[]"},
        {**CALL, "name": "g"},
        {**CALL, "namespace": "n"},
        {**OUTPUT, "output": "y"},
        {**THOUGHT, "encrypted_content": "other"},
        {"type": "web_search_call", "action": {"query": "x"}},
    ],
)
def test_all_else_is_read(other: dict[str, Any]) -> None:
    assert render_item(other) not in [render_item(one) for one in (says("a"), CALL, OUTPUT, THOUGHT)]


def test_texts_are_joined_and_other_parts_are_not_texts() -> None:
    parts = [{"type": "input_text", "text": text} for text in ("pi", "ng")]
    assert render_item({**says(""), "content": parts}) == render_item(says("ping"))
    image = {"type": "input_image", "image_url": "https://a.example/b.png", "detail": "auto"}
    pictured = {**says(""), "content": [*parts, image]}
    assert render_item(pictured) != render_item(says("ping"))
    assert render_item(pictured, 2) == render_item(says("ping"))
    assert (only_text(says("ping")), only_text(pictured), only_text(CALL)) == ("ping", None, None)
    listed = {**OUTPUT, "output": [{"type": "input_text", "text": "x"}]}
    assert render_item(listed) == render_item(OUTPUT)
    refusal = {**says("", "assistant"), "content": [{"type": "refusal", "refusal": "no"}]}
    assert render_item(refusal) == render_item(says("no", "assistant"))


def test_a_breakpoint_is_not_read() -> None:
    image = {"type": "input_image", "file_id": "file_1"}
    marked = {**image, "prompt_cache_breakpoint": {"mode": "explicit"}}
    assert render_item({**says(""), "content": [image]}) == render_item({**says(""), "content": [marked]})


def test_T9_the_next_user_message_takes_reasoning_away() -> None:
    loop = [says("a"), THOUGHT, CALL, OUTPUT]
    bare = [says("a"), CALL, OUTPUT]
    assert trail(*loop).now != trail(*bare).now
    assert trail(*loop).after_next_user_message == trail(*bare).now
    assert trail(*loop, says("b")).now == trail(*bare, says("b")).now
    every = [trail(*items, says("b"), reads="all_turns").now for items in (loop, bare)]
    assert every[0] != every[1]


def test_a_trail_in_one_go_or_in_two() -> None:
    items = [says("a"), THOUGHT, CALL, OUTPUT, says("b"), THOUGHT, says("c", "assistant")]
    for reads in ("", "current_turn", "all_turns"):
        for cut in range(len(items)):
            first = trail(*items[:cut], reads=reads)
            assert extend_all(first, items[cut:]) == trail(*items, reads=reads)


def test_order_counts() -> None:
    assert roll(roll("", b"a"), b"b") != roll(roll("", b"b"), b"a")
