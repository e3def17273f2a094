"""Lists a page at a time. Spec: R2.14, R3.1–R3.6, P25, E82, E83."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.wire.errors.api import APIError
from tests.support.api import Api
from tests.support.driving import Driver, refused, summary, text_of


@pytest.fixture(scope="module")
def filled() -> tuple[Driver, str]:
    drive = Driver()
    id = drive.conversation()["id"]
    for start in (0, 20):
        drive.add(id, *({"role": "user", "content": str(n)} for n in range(start, min(25, start + 20))))
    return drive, id


def test_R2_14_newest_first_twenty_at_a_time(filled: tuple[Driver, str]) -> None:
    drive, id = filled
    page = drive.items(id)
    assert [text_of(item) for item in page["data"]] == [str(n) for n in range(24, 4, -1)]
    assert page["has_more"] is True
    assert (page["first_id"], page["last_id"]) == (page["data"][0]["id"], page["data"][-1]["id"])
    rest = drive.items(id, after=page["last_id"])
    assert [text_of(item) for item in rest["data"]] == ["4", "3", "2", "1", "0"]
    assert rest["has_more"] is False
    assert drive.items(id, after=rest["last_id"])["data"] == []


@given(limit=st.integers(1, 100), order=st.sampled_from(["asc", "desc"]))
@settings(max_examples=30)
def test_paging_walks_every_item_once(filled: tuple[Driver, str], limit: int, order: str) -> None:
    drive, id = filled
    seen: list[str] = []
    query: dict[str, Any] = {"limit": str(limit), "order": order}
    while True:
        page = drive.items(id, **query)
        assert len(page["data"]) <= limit
        seen += [text_of(item) for item in page["data"]]
        if not page["has_more"]:
            break
        query["after"] = page["last_id"]
    wanted = [str(n) for n in range(25)]
    assert seen == (wanted if order == "asc" else wanted[::-1])


def test_R3_1_items_of_a_conversation_before_a_cursor(filled: tuple[Driver, str]) -> None:
    drive, id = filled
    oldest = drive.items(id, order="asc", limit="5")["data"]
    page = drive.items(id, order="asc", before=oldest[3]["id"])
    assert ([text_of(item) for item in page["data"]], page["has_more"]) == (["0", "1", "2"], False)
    between = drive.items(id, order="asc", after=oldest[0]["id"], before=oldest[3]["id"], limit="1")
    assert ([text_of(item) for item in between["data"]], between["has_more"]) == (["1"], True)
    newest = drive.items(id, limit="3")["data"]
    assert [text_of(item) for item in drive.items(id, before=newest[2]["id"])["data"]] == ["24", "23"]
    assert refused(drive.items, id, before="msg_x").status == 404


def test_R3_1_an_unknown_cursor_of_input_items() -> None:
    drive = Driver()
    id = drive.create()["id"]
    for cursor in ("after", "before"):
        assert refused(drive.input_items, id, **{cursor: "msg_x"}).status == 404


def test_unknown_cursor(filled: tuple[Driver, str]) -> None:
    drive, id = filled
    error = refused(drive.items, id, after="msg_x")
    assert summary(error) == (404, "Item with id 'msg_x' not found in conversation.", None, None)


def test_E82_limits(filled: tuple[Driver, str]) -> None:
    drive, id = filled
    big = "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 1000 instead."
    assert summary(refused(drive.items, id, limit="1000")) == (400, big, "limit", "integer_above_max_value")
    small = "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead."
    assert summary(refused(drive.items, id, limit="0")) == (400, small, "limit", "integer_below_min_value")


def test_E83_order(filled: tuple[Driver, str]) -> None:
    drive, id = filled
    text = "Invalid value: 'up'. Supported values are: 'asc' and 'desc'."
    assert summary(refused(drive.items, id, order="up")) == (400, text, "order", "invalid_value")


def test_R3_3_input_items_are_the_resolved_history_then_the_own_input() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "a1"}}, {"reply": {"text": "a2"}})
    first = drive.create("u1", instructions="never listed")
    second = drive.create("u2", previous_response_id=first["id"])
    listed = drive.input_items(second["id"], order="asc")
    assert [text_of(item) for item in listed["data"]] == ["u1", "a1", "u2"]
    assert [text_of(item) for item in drive.input_items(second["id"])["data"]] == ["u2", "a1", "u1"]
    assert listed["data"][0] == drive.input_items(first["id"])["data"][0]
    page = drive.input_items(second["id"], order="asc", limit="1", after=listed["data"][0]["id"])
    assert ([text_of(item) for item in page["data"]], page["has_more"]) == (["a1"], True)
    before = drive.input_items(second["id"], order="asc", before=listed["data"][2]["id"])
    assert [text_of(item) for item in before["data"]] == ["u1", "a1"]


def test_R3_5_unknown_unstored_deleted() -> None:
    drive = Driver()
    unstored, deleted = drive.create(store=False)["id"], drive.create()["id"]
    drive.delete(deleted)
    for id in ("resp_unknown", unstored, deleted):
        assert summary(refused(drive.input_items, id)) == (404, f"Response with id '{id}' not found.", None, None)


@pytest.mark.parametrize("value", ["always", "stateless_or_included", "included"])
def test_F3_sealed_reasoning_is_listed_unasked_or_when_asked_for(value: str) -> None:
    """Spec: R1.41."""
    drive = Driver(set=(("encrypted_content", value),))
    first = drive.create("u", model="gpt-5.6-terra")
    second = drive.create("v", model="gpt-5.6-terra", previous_response_id=first["id"])
    [reasoning] = [item for item in drive.input_items(second["id"])["data"] if item["type"] == "reasoning"]
    assert ("encrypted_content" in reasoning) == (value == "always")
    pairs = {"include[]": "reasoning.encrypted_content"}
    [sealed] = [item for item in drive.input_items(second["id"], **pairs)["data"] if item["type"] == "reasoning"]
    assert sealed["encrypted_content"].startswith("gAAAAAB")


SMALL = 7.5e-05
WITH_NUMBERS = {
    "message": {
        "role": "assistant",
        "content": [
            {
                "type": "output_text",
                "text": "a",
                "annotations": [],
                "logprobs": [{"token": "a", "bytes": [97], "logprob": -SMALL, "top_logprobs": []}],
            }
        ],
    },
    "tool_search_output": {
        "type": "tool_search_output",
        "execution": "client",
        "call_id": "call_1",
        "tools": [{"type": "function", "name": "f", "parameters": {"minimum": SMALL}, "strict": False}],
    },
}


@pytest.mark.parametrize("kind", list(WITH_NUMBERS))
def test_W6_a_listing_writes_small_figures_with_an_exponent(kind: str) -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    if kind == "tool_search_output":
        drive.add(id, {"type": "tool_search_call", "call_id": "call_1", "execution": "client", "arguments": {}})
    drive.add(id, WITH_NUMBERS[kind])
    made = drive.create("b", conversation=id, model="gpt-5.4")
    api, asked = Api(drive.engine), [("include[]", "message.output_text.logprobs")]
    for body in (api.list_items(drive.project, id, asked), api.list_input_items(drive.project, made["id"], asked)):
        assert body == json.dumps(json.loads(body), indent=2).encode()
        assert b"7.5e-05" in body


WORDS = st.text(st.sampled_from('ping \n"\\\x7fé🙂{}')) | st.just("ping")
ADDED: list[dict[str, Any]] = [
    {"role": "user", "content": "added"},
    {"role": "assistant", "content": "said by hand"},
    {"role": "developer", "content": "be brief"},
    {"role": "user", "content": [{"type": "input_text", "text": "a"}, {"type": "input_text", "text": "b"}]},
    {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"a":1e-7}'},
    {"type": "function_call_output", "call_id": "call_1", "output": "done"},
]
STEPS = st.lists(st.tuples(st.just("say"), WORDS) | st.tuples(st.just("add"), st.sampled_from(ADDED)), max_size=6)
QUERY = st.fixed_dictionaries(
    {},
    optional={
        "limit": st.integers(1, 8).map(str),
        "order": st.sampled_from(["asc", "desc"]),
        "include": st.just("message.output_text.logprobs"),
    },
)


@given(
    steps=STEPS, deleted=st.none() | st.integers(0, 5), query=QUERY, cursor=st.sampled_from([None, "after", "before"])
)
@settings(max_examples=60)
def test_a_page_is_the_same_however_it_is_printed(
    steps: list[tuple[str, Any]], deleted: int | None, query: dict[str, str], cursor: str | None
) -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    for step, what in steps:
        if step == "add":
            drive.add(id, what)
        elif what:
            with suppress(APIError):  # of a call that still lacks its output
                drive.create(what, conversation=id)
    ids = [item["id"] for item in drive.items(id)["data"]]
    if deleted is not None and deleted < len(ids):
        drive.call("DELETE", f"/v1/conversations/{id}/items/{ids.pop(deleted)}")
    if cursor is not None and ids:
        query = {**query, cursor: ids[len(ids) // 2]}
    path = f"/v1/conversations/{id}/items"
    body = drive.answer("GET", path, **query).body
    with patch("mockserver.core.pagination.print_page", lambda *lists, **options: None):
        assert drive.answer("GET", path, **query).body == body
