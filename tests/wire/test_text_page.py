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


def turn(number: int, asked: str = "ping", said: str = "pong", **more: Any) -> list[Item]:
    return [message(f"msg_{number}", asked), message(f"msg_{number}b", said, "assistant", **more)]


def printed(lists: list[list[Item]], *, has_more: bool = False, newest_first: bool = False) -> bytes | None:
    ids = [item["id"] for item in chain(*lists)][:: -1 if newest_first else 1]
    return print_page(map(orjson.dumps, lists), ids, newest_first=newest_first, has_more=has_more)


def encoded(lists: list[list[Item]], *, has_more: bool = False, newest_first: bool = False) -> bytes:
    return json_body(page([*chain(*lists)][:: -1 if newest_first else 1], has_more=has_more))


LATE = {"phase": "final_answer"}


@pytest.mark.parametrize("has_more", [False, True])
@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize(
    "lists",
    [
        [turn(1)],
        [turn(1, "two\nlines", "}],[{"), turn(2, "", "@")],
        [turn(1, **LATE), turn(2, **LATE), turn(3, "a", "b", **LATE)],
        [turn(1) + turn(2), turn(3)],
    ],
)
def test_plain_turns_are_printed(lists: list[list[Item]], has_more: bool, newest_first: bool) -> None:
    how = {"has_more": has_more, "newest_first": newest_first}
    assert printed(lists, **how) == encoded(lists, **how)


TEXT = turn(1)[0]
ANSWER = turn(1)[1]
OTHERS: list[list[Item]] = [
    turn(1, 'say "ping"'),
    turn(1, "ping", "C:\\new"),
    turn(1, "\t"),
    turn(1, "café 🙂"),
    turn(1, "\x7f"),
    turn(1, **LATE),
    turn(1, phase="commentary"),
    turn(1)[::-1],
    turn(1)[:1],
    turn(1)[1:],
    [message("msg_1", "ping", "developer"), ANSWER],
    [{**TEXT, "status": "in_progress"}, ANSWER],
    [{**TEXT, "content": []}, ANSWER],
    [{**TEXT, "content": [*TEXT["content"], {"type": "input_text", "text": "{"}]}, ANSWER],
    [TEXT, {**ANSWER, "content": [{"type": "refusal", "refusal": "no"}]}],
    [TEXT, {**ANSWER, "content": [{**ANSWER["content"][0], "logprobs": [{"token": "a", "logprob": -1e-05}]}]}],
    [TEXT, {"id": "fc_1", "type": "function_call", "status": "completed", "arguments": '{"a":1}', "name": "f"}],
    [{"id": "tso_1", "type": "tool_search_output", "tools": [*turn(5), {"of": turn(6)}, None]}],
]


@pytest.mark.parametrize("newest_first", [False, True])
@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("place", range(3))
def test_other_items_are_left_to_the_encoder(other: list[Item], place: int, newest_first: bool) -> None:
    lists = [turn(8), turn(9)]
    lists.insert(place, other)
    assert printed(lists, newest_first=newest_first) is None
    assert printed([[*chain(*lists)]], newest_first=newest_first) is None


def test_a_page_that_is_not_all_of_its_lists_is_left_to_the_encoder() -> None:
    lists = [orjson.dumps(turn(1) + turn(2))]
    whole = ["msg_1", "msg_1b", "msg_2", "msg_2b"]
    assert print_page(lists, whole, newest_first=False, has_more=False) is not None
    for ids in ([], whole[:1], whole[:2], whole[2:], whole[1:], whole[::-1], [*whole, "msg_3"], [*whole[:3], "msg_1"]):
        assert print_page(lists, ids, newest_first=False, has_more=False) is None
    assert print_page(lists, whole, newest_first=True, has_more=False) is None
    assert print_page([], [], newest_first=True, has_more=False) is None
    assert print_page([b"[]"], ["msg_1"], newest_first=True, has_more=False) is None


TEXTS = st.text() | st.text(st.sampled_from('ping\n{}[],:"\\@'))
TURNS = st.tuples(TEXTS, TEXTS)


@given(texts=st.lists(TURNS, min_size=1, max_size=4), newest_first=st.booleans(), has_more=st.booleans())
@settings(max_examples=150)
def test_whatever_is_printed_is_what_the_encoder_prints(
    texts: list[tuple[str, str]], newest_first: bool, has_more: bool
) -> None:
    lists = [turn(number, *pair) for number, pair in enumerate(texts)]
    body = printed(lists, newest_first=newest_first, has_more=has_more)
    if all(map(_is_simple, chain(*texts))):
        assert body is not None
    assert body in (None, encoded(lists, newest_first=newest_first, has_more=has_more))


def _is_simple(text: str) -> bool:
    return text.isascii() and text.replace("\n", "").isprintable() and '"' not in text and "\\" not in text
