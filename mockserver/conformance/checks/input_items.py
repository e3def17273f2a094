"""Fixed rules about `GET /responses/{id}/input_items` (R3.1–R3.6)."""

from __future__ import annotations

import re

from mockserver.conformance import expected_errors
from mockserver.conformance.checks.conversations import paging
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import NOWHERE, Item, ServerUnderTest, texts_of, user


def _path(response: Item) -> str:
    return f"/responses/{response['id']}/input_items"


@rule("R3.1")
def _input_items_are_paged(s: ServerUnderTest) -> None:
    response = s.create([user(str(number)) for number in range(25)])
    oldest_first = s.inputs(response)
    s.check_equal("items, oldest first", texts_of(oldest_first), [str(number) for number in range(25)])
    ids = [item["id"] for item in oldest_first]
    paging(s, _path(response), ids)


@rule("R3.2")
def _input_items_are_typed(s: ServerUnderTest) -> None:
    assistant = {"role": "assistant", "content": "hm"}
    image = {"type": "input_image", "image_url": "data:image/png;base64,iVBORw0KGgo="}
    response = s.create([{"role": "user", "content": "a"}, {"role": "system", "content": "b"}, assistant])
    page = s.call_ok("GET", _path(response), order="asc")
    ids = [item["id"] for item in page["data"]]
    s.check_members("list", page, object="list", first_id=ids[0], last_id=ids[-1], has_more=False)
    parts = [item["content"][0] for item in page["data"]]
    s.check_equal("types", [item["type"] for item in page["data"]], ["message"] * 3)
    s.check_equal("roles", [item["role"] for item in page["data"]], ["user", "system", "assistant"])
    s.check_equal("statuses", [item["status"] for item in page["data"]], ["completed"] * 3)
    s.check_equal("parts", [part["type"] for part in parts], ["input_text", "input_text", "output_text"])
    s.check("ids begin with msg_", all(re.match("msg_", id) for id in ids), ids)
    plain = s.inputs(s.create("just text"))
    s.check_equal("a string as input", plain[0]["content"], [{"type": "input_text", "text": "just text"}])
    listed = s.inputs(s.create([{"role": "user", "content": [{"type": "input_text", "text": "x"}, image]}]))
    s.check_equal("detail of an image", listed[0]["content"][1]["detail"], "auto")


# The third turn is the first whose history holds a whole inherited turn, input and output.
@rule("R3.3")
def _history_then_own_input(s: ServerUnderTest) -> None:
    first = s.create("one")
    second = s.chain(first, "two")
    answer = texts_of(first["output"])
    s.check_equal("input items of the first", texts_of(s.inputs(first)), ["one"])
    s.check_equal("input items of the second", texts_of(s.inputs(second)), ["one", *answer, "two"])
    third = s.chain(second, "three")
    expected = ["one", *answer, "two", *texts_of(second["output"]), "three"]
    s.check_equal("input items of the third", texts_of(s.inputs(third)), expected)
    newest = s.call_ok("GET", _path(third))["data"]
    s.check_equal("newest first unless asked otherwise", texts_of(newest), expected[::-1])
    if not s.has("conversations"):
        return
    talk = s.conversation(user("zero"))
    inside = s.create("one", conversation=talk["id"])
    s.create("later", conversation=talk["id"])
    s.check_equal("input items in a conversation", texts_of(s.inputs(inside)), ["zero", "one"])


@rule("R3.4")
def _instructions_are_not_listed(s: ServerUnderTest) -> None:
    response = s.create("one", instructions="Be brief.")
    s.check_equal("input items", texts_of(s.inputs(response)), ["one"])
    s.check_equal("input items of the next", len(s.inputs(s.chain(response, "two", instructions="Be kind."))), 3)


@rule("R3.5")
def _whose_input_items_cannot_be_listed(s: ServerUnderTest) -> None:
    response, lost = s.create(), [f"resp_{NOWHERE}", s.create(store=False)["id"]]
    if s.has("delete"):
        deleted = s.create()
        s.delete(deleted)
        lost.append(deleted["id"])
    for id in lost:
        s.check_error(expected_errors.no_response(id), "GET", f"/responses/{id}/input_items")
    if s.lenient:
        return
    s.check_error(expected_errors.too_big("limit", 100, 1000), "GET", _path(response), limit="1000")
    s.check_error(
        expected_errors.too_small("limit", 1, 0)._replace(guessed=("message",)), "GET", _path(response), limit="0"
    )
    wrong = expected_errors.not_one_of("order", "random", ("asc", "desc"))
    s.check_error(wrong._replace(guessed=expected_errors.GUESSED), "GET", _path(response), order="random")


@rule("R3.6")
def _ids_are_stable(s: ServerUnderTest) -> None:
    first = s.create("one")
    own = s.inputs(first)
    s.check_equal("ids on a second look", [item["id"] for item in s.inputs(first)], [item["id"] for item in own])
    second = s.chain(first, "two")
    listed = s.inputs(second)
    history = [*own, *first["output"]]
    s.check_equal("ids of the history", [item["id"] for item in listed[:-1]], [item["id"] for item in history])
    s.check("the new input has an id of its own", listed[-1]["id"] not in [item["id"] for item in history])
