"""A page that is printed from the JSON of its items is the page that the encoder prints. Spec: P25, W4, W5."""

from __future__ import annotations

from itertools import chain
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.wire.responses.encoding import json_body
from mockserver.wire.responses.resources import page
from mockserver.wire.responses.text_page import print_page

Item = dict[str, Any]


def message(id: str, text: str, role: str = "user", **more: Any) -> Item:
    part: Item = {"type": "input_text", "text": text}
    if role == "assistant":
        part = {"type": "output_text", "annotations": [], "logprobs": [], "text": text}
    return {"id": id, "type": "message", "status": "completed", "content": [part], **more, "role": role}


ASKED, ANSWERED = message("msg_1", "ping"), message("msg_2", "two\nlines", "assistant")
PHASED = message("msg_3", "}],[{", "assistant", phase="final_answer")


def printed(lists: list[list[Item]], *, has_more: bool = False, newest_first: bool = False) -> bytes | None:
    ids = [item["id"] for item in chain(*lists)]
    return print_page(map(orjson.dumps, lists), ids[::-1] if newest_first else ids, has_more=has_more)


@pytest.mark.parametrize("has_more", [False, True])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    "lists", [[[ASKED]], [[ANSWERED, ASKED]], [[ASKED, ANSWERED], [PHASED]], [[ASKED], [ANSWERED], [PHASED]]]
)
def test_plain_messages_are_printed(lists: list[list[Item]], has_more: bool, newest_first: bool) -> None:
    items = [*chain(*lists)]
    wanted = json_body(page(items[::-1] if newest_first else items, has_more=has_more))
    assert printed(lists, has_more=has_more, newest_first=newest_first) == wanted


OTHERS: list[Item] = [
    message("msg_4", "ping", "developer"),
    message("msg_4", 'say "ping"'),
    message("msg_4", "C:\\new"),
    message("msg_4", "\t"),
    message("msg_4", "café 🙂"),
    message("msg_4", "\x7f"),
    message("msg_4", "ping", "assistant", phase="commentary"),
    {**ASKED, "status": "in_progress"},
    {**ASKED, "content": []},
    {**ASKED, "content": [*ASKED["content"], {"type": "input_text", "text": "{"}]},
    {**ASKED, "content": [{"type": "refusal", "refusal": "no"}]},
    {**ANSWERED, "content": [{**ANSWERED["content"][0], "logprobs": [{"token": "a", "logprob": -1e-05}]}]},
    {"id": "fc_1", "type": "function_call", "status": "completed", "arguments": '{"a":1}', "name": "f"},
    {"id": "tso_1", "type": "tool_search_output", "tools": [ASKED, {"of": [ASKED, ANSWERED]}, None]},
]


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("place", range(3))
def test_other_items_are_left_to_the_encoder(other: Item, place: int) -> None:
    items = [message("msg_8", "a"), message("msg_9", "b")]
    items.insert(place, other)
    assert printed([items]) is None
    assert printed([items[:1], items[1:]]) is None
    assert print_page([orjson.dumps(items)], ["msg_1"], has_more=False) is None


def test_a_page_that_is_not_all_of_its_lists_is_left_to_the_encoder() -> None:
    lists = [orjson.dumps([ASKED, ANSWERED, PHASED])]
    for ids in ([], ["msg_1"], ["msg_1", "msg_2"], ["msg_2", "msg_1", "msg_3"], ["msg_1", "msg_2", "msg_3", "msg_4"]):
        assert print_page(lists, ids, has_more=False) is None
    assert print_page([], [], has_more=False) is None
    assert print_page([b"[]"], ["msg_1"], has_more=False) is None


TEXTS = st.text() | st.text(st.sampled_from('ping\n{}[],:"\\@'))
ITEMS = st.builds(message, st.sampled_from(["a", "b"]), TEXTS, st.sampled_from(["user", "assistant", "system"]))


@given(lists=st.lists(st.lists(ITEMS, min_size=1, max_size=3), max_size=3), newest_first=st.booleans())
@settings(max_examples=150)
def test_whatever_is_printed_is_what_the_encoder_prints(lists: list[list[Item]], newest_first: bool) -> None:
    lists = [[{**item, "id": f"{item['id']}{n}{at}"} for at, item in enumerate(items)] for n, items in enumerate(lists)]
    items = [*chain(*lists)]
    body = printed(lists, newest_first=newest_first)
    if body is not None:
        assert body == json_body(page(items[::-1] if newest_first else items, has_more=False))
    elif items:
        assert any(item["role"] == "system" or not _is_simple(item["content"][0]["text"]) for item in items)


def _is_simple(text: str) -> bool:
    return text.isascii() and text.replace("\n", "").isprintable() and '"' not in text and "\\" not in text
