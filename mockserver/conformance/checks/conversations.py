"""Fixed rules about conversations: endpoints, metadata, items by hand, lists, deletion (R2.1–R2.7, R2.14–R2.20)."""

from __future__ import annotations

import re
from typing import Any

from mockserver.conformance import expected_errors
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import (
    FORCED,
    NOWHERE,
    Item,
    ServerUnderTest,
    call_of,
    output_for,
    text_of,
    texts_of,
    user,
    words,
)

# Conversation ids are two characters shorter than those of responses.
_UNKNOWN = f"conv_{NOWHERE[:48]}"


@rule("R2.1")
def _the_endpoints(s: ServerUnderTest) -> None:
    talk = s.conversation()
    path = f"/conversations/{talk['id']}"
    s.check_equal("GET of the conversation", s.call_ok("GET", path), talk)
    s.check_equal("id after POST of metadata", s.call_ok("POST", path, {"metadata": {"k": "v"}})["id"], talk["id"])
    item = s.call_ok("POST", f"{path}/items", {"items": [user("a")]})["data"][0]
    s.check_equal("id on the list", s.call_ok("GET", f"{path}/items")["data"][0]["id"], item["id"])
    s.check_equal("GET of the item", s.call_ok("GET", f"{path}/items/{item['id']}"), item)
    s.call_ok("DELETE", f"{path}/items/{item['id']}")
    s.check_error(expected_errors.invalid_url("POST", f"/v1{path}/messages"), "POST", f"{path}/messages", {"items": []})
    s.check("nothing lists conversations", s.call("GET", "/conversations").status in (404, 405))
    marker = s.call_ok("DELETE", path)
    s.check_equal("what DELETE returns", marker, {"id": talk["id"], "object": "conversation.deleted", "deleted": True})


@rule("R2.2")
def _creating_with_items_and_metadata(s: ServerUnderTest) -> None:
    empty = s.conversation()
    s.check_equal("members", sorted(empty), ["created_at", "id", "metadata", "object"])
    s.check_members("conversation", empty, object="conversation", metadata={})
    s.check_equal("items of a new conversation", s.items(empty), [])
    silent: list[Item] = [{"items": None, "metadata": None}, {"items": []}]
    for body in silent:
        s.check_members("conversation", s.call_ok("POST", "/conversations", body), metadata={})
    full = s.conversation(*[user(str(number)) for number in range(20)], metadata={"k": "v"})
    s.check_members("conversation", full, metadata={"k": "v"})
    s.check_equal("items in the order given", texts_of(s.items(full)), [str(number) for number in range(20)])
    error = expected_errors.too_many("items", 20, 21, guessed=("message",))
    s.check_error(error, "POST", "/conversations", {"items": [user("a")] * 21})


@rule("R2.3")
def _adding_twenty_items_at_most(s: ServerUnderTest) -> None:
    talk = s.conversation(user("zero"))
    path = f"/conversations/{talk['id']}/items"
    page = s.call_ok("POST", path, {"items": [user(str(number)) for number in range(20)]})
    s.check_equal("what was added, in input order", texts_of(page["data"]), [str(number) for number in range(20)])
    ids = [item["id"] for item in page["data"]]
    s.check_members("list", page, object="list", first_id=ids[0], last_id=ids[-1], has_more=False)
    s.check_error(
        expected_errors.too_many("items", 20, 21, guessed=("message",)), "POST", path, {"items": [user("a")] * 21}
    )
    s.check_equal("ids on the list", [item["id"] for item in s.items(talk)][1:], ids)
    s.check_error(expected_errors.missing("items"), "POST", path, {})


@rule("R2.4")
def _metadata_has_limits_and_is_replaced(s: ServerUnderTest) -> None:
    talk = s.conversation(metadata={"a": "1", "b": "2"})
    path = f"/conversations/{talk['id']}"
    s.check_equal("metadata, replaced", s.call_ok("POST", path, {"metadata": {"c": "3"}})["metadata"], {"c": "3"})
    s.check_equal("metadata on GET", s.call_ok("GET", path)["metadata"], {"c": "3"})
    s.check_equal("metadata, emptied", s.call_ok("POST", path, {"metadata": {}})["metadata"], {})
    if s.lenient:
        return
    most = {f"k{number}": "v" for number in range(16)}
    s.check_equal("metadata of 16 pairs", s.call_ok("POST", path, {"metadata": most})["metadata"], most)
    s.check_error(expected_errors.too_many_pairs(17), "POST", path, {"metadata": {**most, "more": "v"}})
    s.check_error(expected_errors.too_many_pairs(17), "POST", "/conversations", {"metadata": {**most, "more": "v"}})
    # Exactly at the limits: a check that only goes beyond them would pass with any smaller limit.
    longest = {"k" * 64: "v" * 512}
    s.check_equal(
        "metadata of the longest key and value", s.call_ok("POST", path, {"metadata": longest})["metadata"], longest
    )
    value = expected_errors.too_long("metadata.k", 512, 513)
    s.check_error(value, "POST", path, {"metadata": {"k": "v" * 513}})
    key = expected_errors.guess("E32", 400, "property_name_above_max_length", None, "")
    answer = s.call("POST", path, {"metadata": {"k" * 65: "v"}})
    s.check_equal("a key of 65 characters", (answer.status, answer.error.get("code")), (400, key.code))
    s.check_error(
        expected_errors.wrong_type("metadata.k", "a string", "an integer"), "POST", path, {"metadata": {"k": 1}}
    )
    s.check_equal("metadata after the refusals", s.call_ok("GET", path)["metadata"], longest)
    s.check_error(expected_errors.missing("metadata"), "POST", path, {})


@rule("R2.5")
def _deleting_a_conversation_leaves_its_items(s: ServerUnderTest) -> None:
    talk = s.conversation(user("by hand"))
    response = s.create("asked", conversation=talk["id"])
    by_hand, _, answer = s.items(talk)
    s.call_ok("DELETE", f"/conversations/{talk['id']}")
    for path in ("", "/items", f"/items/{answer['id']}"):
        s.check_error(expected_errors.no_conversation(talk["id"]), "GET", f"/conversations/{talk['id']}{path}")
    s.get(response)
    s.check_context(s.chain(response, "more"), "by hand", "asked", *response["output"], "more")
    for item in (by_hand, answer):
        s.check_context(s.create([{"type": "item_reference", "id": item["id"]}, user("a")]), item, "a")


@rule("R2.6")
def _unknown_conversations(s: ServerUnderTest) -> None:
    talk = s.conversation(user("a"))
    item = s.items(talk)[0]["id"]
    s.call_ok("DELETE", f"/conversations/{talk['id']}")
    for id in (talk["id"], _UNKNOWN):
        calls: list[tuple[str, str, Any]] = [
            ("GET", "", None),
            ("POST", "", {"metadata": {}}),
            ("DELETE", "", None),
            ("GET", "/items", None),
            ("POST", "/items", {"items": [user("a")]}),
            ("GET", f"/items/{item}", None),
            ("DELETE", f"/items/{item}", None),
        ]
        for method, path, body in calls:
            s.check_error(expected_errors.no_conversation(id), method, f"/conversations/{id}{path}", body)


@rule("R2.7")
def _naming_a_conversation(s: ServerUnderTest) -> None:
    talk = s.conversation()
    names = (talk["id"],) if s.lenient else (talk["id"], {"id": talk["id"]})
    for name in names:
        response = s.create(conversation=name)
        s.check_members("response", response, conversation={"id": talk["id"]}, previous_response_id=None)
    s.check_equal("number of items", len(s.items(talk)), 2 * len(names))
    s.call_ok("DELETE", f"/conversations/{talk['id']}")
    for id in (_UNKNOWN, talk["id"]):
        s.check_create_refused(expected_errors.no_conversation_to_continue(id), conversation=id)
        s.check_create_refused(expected_errors.no_conversation_to_continue(id), conversation={"id": id}, stream=True)
        s.check_error(expected_errors.no_conversation(id), "GET", f"/conversations/{id}")
    if not s.lenient:
        s.check("without a conversation the key is missing", "conversation" not in s.create())


@rule("R2.14")
def _lists_are_paged(s: ServerUnderTest) -> None:
    talk = s.conversation()
    path = f"/conversations/{talk['id']}/items"
    empty = s.call_ok("GET", path)
    s.check_equal(
        "empty list", empty, {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False}
    )
    ids = [item["id"] for item in s.add(talk, *[user(str(number)) for number in range(20)])]
    ids += [item["id"] for item in s.add(talk, *[user(str(number)) for number in range(20, 25)])]
    paging(s, path, ids)


# 25 items and the default page of 20, so that a list has a full first page and a short last one.
def paging(s: ServerUnderTest, path: str, oldest_first: list[str]) -> None:
    """Claim how a list of 25 items is paged."""
    newest = oldest_first[::-1]

    def page(expected: list[str], more: bool, **query: str) -> None:
        got = s.call_ok("GET", path, **query)
        what = f"page {query}"
        s.check_equal(f"ids of {what}", [item["id"] for item in got["data"]], expected)
        s.check_members(what, got, object="list", has_more=more, first_id=expected[0], last_id=expected[-1])

    page(newest[:20], True)
    page(newest[20:], False, after=newest[19])
    page(oldest_first[:20], True, order="asc")
    page(oldest_first[20:], False, order="asc", after=oldest_first[19])
    page(newest[:20], True, order="desc")
    page(newest[:1], True, limit="1")
    page(newest[1:3], True, limit="2", after=newest[0])
    page(newest[-2:], False, limit="2", after=newest[-3])
    page(newest, False, limit="25")
    page(newest[:24], True, limit="24")
    page(newest, False, limit="100")
    page(oldest_first[5:10], True, limit="5", order="asc", after=oldest_first[4])
    if s.mock:
        page(newest[:3], False, before=newest[3])
        page(oldest_first[:2], True, order="asc", before=oldest_first[3], limit="2")
        s.check_error(expected_errors.no_such_item("msg_none"), "GET", path, after="msg_none")
    if s.lenient:
        return
    s.check_error(expected_errors.too_big("limit", 100, 101), "GET", path, limit="101")
    s.check_error(expected_errors.too_small("limit", 1, 0)._replace(guessed=("message",)), "GET", path, limit="0")
    wrong = expected_errors.not_one_of("order", "up", ("asc", "desc"))
    s.check_error(wrong._replace(guessed=expected_errors.GUESSED), "GET", path, order="up")


@rule("R2.15")
def _one_item_read_and_deleted(s: ServerUnderTest) -> None:
    talk = s.conversation(user("keep"), user("drop"))
    keep, drop = s.items(talk)
    path = f"/conversations/{talk['id']}/items"
    s.check_equal("GET of an item", s.call_ok("GET", f"{path}/{drop['id']}"), drop)
    s.check_equal("what deleting an item returns", s.drop(talk, drop), talk)
    s.check_equal("ids left", [item["id"] for item in s.items(talk)], [keep["id"]])
    for method in ("GET", "DELETE"):
        for id in (drop["id"], f"msg_{NOWHERE}"):
            s.check_error(expected_errors.no_such_item(id), method, f"{path}/{id}")
    s.check_context(s.create("next", conversation=talk["id"]), "keep", "next")
    answer = s.items(talk)[-1]
    s.drop(talk, answer)
    s.check_context(s.create("last", conversation=talk["id"]), "keep", "next", "last")
    if s.mock:
        read = s.conversation(user("keep"), user("drop"))
        response = s.create("ask", conversation=read["id"])
        s.drop(read, s.items(read)[1])
        s.check_context(response, "keep", "drop", "ask")
        s.check_equal("what it was made from stays listed", texts_of(s.inputs(response)), ["keep", "drop", "ask"])
        s.check_context(s.chain(response, "more"), "keep", "drop", "ask", *response["output"], "more")


@rule("R2.16")
def _half_a_pair_is_refused(s: ServerUnderTest) -> None:
    # Half a pair is no error when it is deleted, only when the next turn would have to read it (R2.16).
    for dropped in ("function_call", "function_call_output"):
        talk = s.conversation()
        call = call_of(s.create("look it up", conversation=talk["id"], **FORCED))
        s.create([output_for(call)], conversation=talk["id"])
        s.drop(talk, next(item for item in s.items(talk) if item["type"] == dropped))
        error = expected_errors.no_tool_output if dropped == "function_call_output" else expected_errors.no_tool_call
        s.check_create_refused(error(call["call_id"]), "next", conversation=talk["id"])


_BY_HAND = (
    ({"role": "user", "content": "a"}, "msg_"),
    ({"type": "message", "role": "system", "content": [{"type": "input_text", "text": "b"}]}, "msg_"),
    ({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "c"}]}, "msg_"),
    ({"type": "function_call", "call_id": "call_x", "name": "lookup", "arguments": "{}"}, "fc_"),
    ({"type": "function_call_output", "call_id": "call_x", "output": "d"}, "fc_"),
)


@rule("R2.17")
def _items_by_hand(s: ServerUnderTest) -> None:
    talk = s.conversation()
    added = s.add(talk, *[item for item, _ in _BY_HAND])
    for item, (_, prefix) in zip(added, _BY_HAND, strict=True):
        if s.lenient:
            continue
        s.check(f"id of a {item['type']} begins with {prefix}", re.match(prefix, item["id"]), item["id"])
        s.check_equal(f"status of a {item['type']}", item["status"], "completed")
    if not s.lenient:
        s.check_equal("content, typed", added[0]["content"][0], {"type": "input_text", "text": "a"})
    s.check_equal("what is listed", s.items(talk), added)
    answer = s.create("next", conversation=talk["id"])
    s.check_context(answer, "a", added[1], added[2], added[3], added[4], "next")
    if s.lenient:
        return
    content = [{"type": "input_text", "text": "look"}, {"type": "input_image", "detail": "auto"}]
    message = (
        "Missing mutually exclusive parameters: 'items[0].content[1]'. "
        "Ensure you are providing exactly one of: 'file_id' or 'image_url'."
    )
    answered = s.call("POST", f"/conversations/{talk['id']}/items", {"items": [{"role": "user", "content": content}]})
    s.check_equal("an image without a source", (answered.status, answered.error.get("message")), (400, message))


@rule("R2.20", models=("gpt-4o-mini",))
def _no_largest_number_of_items(s: ServerUnderTest) -> None:
    talk = s.conversation()
    for first in range(0, 120, 20):
        s.add(talk, *[user(str(number)) for number in range(first, first + 20)])
    response = s.create("next", conversation=talk["id"], model="gpt-4o-mini")
    s.check_equal("status of a turn on 120 items", response["status"], "completed")
    if not s.lenient:  # which asks for the newest
        s.check_equal("the oldest item", text_of(s.items(talk)[0]), "0")
    # Two items, each within the window of 128,000 tokens and together beyond it.
    s.add(talk, user(words(70_000)), user(words(70_000)))
    s.check_create_refused(expected_errors.context_too_long(), "next", conversation=talk["id"], model="gpt-4o-mini")
