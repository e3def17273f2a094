"""What of items and requests is compared: defaults, ids, ties, blobs, and what the API refused."""

from __future__ import annotations

from typing import Any

import pytest

from proxy.cassettes.canonical import (
    IGNORED,
    canonical_fields,
    canonical_item,
    encode,
    raw_items,
    read_match,
    ties_in,
)

TEXT = {"type": "message", "role": "user", "content": "Hi"}
PARTS = {"role": "user", "content": [{"type": "input_text", "text": "Hi"}], "id": "msg_1", "status": "completed"}


def test_defaults_and_the_context_are_no_fields() -> None:
    """A field left out and the same field with its default ask the same. Spec: F1, W9."""
    body = {
        "model": "gpt-5.5",
        "input": "Hi",
        "previous_response_id": "resp_1",
        "conversation": "conv_1",
        "store": True,
        "tools": [],
        "top_p": 1.0,
        "instructions": None,
        "user": "Ada",
        "temperature": 0,
    }
    assert canonical_fields(body, IGNORED) == {"model": "gpt-5.5", "temperature": 0}
    assert canonical_fields({"user": "Ada"}, frozenset()) == {"user": "Ada"}


@pytest.mark.parametrize(
    ("value", "items"),
    [
        (None, []),
        ("Hi", [TEXT]),
        ([{"role": "user", "content": "Hi"}], [TEXT]),
        (["no item"], ["no item"]),
        ([None, 3], [None, 3]),
        (3, [3]),
    ],
)
def test_any_input_has_items(value: Any, items: list[Any]) -> None:
    """Also one that the API refuses: it is compared as it was sent."""
    assert raw_items(value) == items


def test_spellings_of_an_item_are_equal() -> None:
    (text,), (parts,) = raw_items([TEXT]), raw_items([PARTS])
    assert canonical_item(text, {}, None) == canonical_item(parts, {}, None)
    assert canonical_item(text, {}, None) != canonical_item({**TEXT, "content": "Ho"}, {}, None)


def test_what_codex_adds_to_the_items_that_it_sends_back_is_dropped() -> None:
    added = {**TEXT, "internal_chat_message_metadata_passthrough": {"turn_id": "01a2"}}
    assert canonical_item(added, {}, None) == canonical_item(TEXT, {}, None)


@pytest.mark.parametrize("item", ["text", None, 3, ["list"]])
def test_what_is_no_item_is_itself(item: Any) -> None:
    assert canonical_item(item, {}, None) is item


def test_an_item_that_can_not_be_filled_in_is_compared_as_it_was_sent() -> None:
    assert canonical_item({"type": "message", "id": "msg_1", "text": "x"}, {}, None) == {"type": "message", "text": "x"}
    assert canonical_item({"no": "type"}, {}, None) == {"no": "type"}


def test_ties_are_numbered_in_the_order_in_which_they_are_seen() -> None:
    names: dict[str, int] = {}
    call = {"type": "function_call", "name": "f", "arguments": "{}", "call_id": "call_x"}
    other = {**call, "call_id": "call_y"}
    output = {"type": "function_call_output", "call_id": "call_x", "output": "1"}
    numbers = [canonical_item(item, names, None)["call_id"] for item in (call, other, output)]
    assert numbers == [1, 2, 1] and names == {"call_x": 1, "call_y": 2}
    assert ties_in([output, other, call, "no item"]) == ["call_x", "call_y"]


@pytest.mark.parametrize("kind", ["mcp_approval_request", "local_shell_call_output"])
def test_an_item_that_others_name_by_its_id_keeps_a_number(kind: str) -> None:
    names = {"before": 1}
    assert canonical_item({"type": kind, "id": "x_1"}, names, None)["id"] == 2
    assert "id" not in canonical_item({"type": kind, "id": None}, names, None)
    answer = {"type": "mcp_approval_response", "approval_request_id": "x_1", "approve": True}
    assert canonical_item(answer, names, None)["approval_request_id"] == 2


def test_a_blob_is_replaced_by_what_is_said_of_it() -> None:
    item = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}
    assert canonical_item(item, {}, "of item 3")["encrypted_content"] == "of item 3"
    assert "encrypted_content" not in canonical_item(item, {}, None)


def test_what_the_caller_makes_up_is_left_as_it_is() -> None:
    """An id in a schema or in arguments is no id of ours."""
    own = {"id": "mine", "status": "new", "call_id": "c", "nothing": None}
    item = {"type": "made_up", "schema": own, "metadata": own, "inner": own}
    compared = {"type": "made_up", "schema": own, "metadata": own, "inner": {"call_id": 1}}
    assert canonical_item(item, {}, None) == compared


def test_equal_values_have_one_text() -> None:
    assert encode({"b": 1, "a": [2]}) == encode({"a": [2], "b": 1}) == b'{"a":[2],"b":1}'
    assert encode(1 << 70) == b"1180591620717411303424"  # more than JSON's encoder takes


def test_fields_are_compared_or_ignored_on_request() -> None:
    assert read_match("") == IGNORED
    assert read_match("+metadata, -tools,") == (IGNORED - {"metadata"}) | {"tools"}
    assert read_match("-a", frozenset(("b",))) == {"a", "b"}
    assert read_match(["-a", "-/b{1,2}/"], frozenset()) == {"a", "/b{1,2}/"}


@pytest.mark.parametrize("word", ["metadata", "+", "-a b", "*tools"])
def test_other_words_are_refused(word: str) -> None:
    with pytest.raises(ValueError, match=f"^{word.replace('+', '[+]').replace('*', '[*]')}$"):
        read_match(f"-tools,{word}")
