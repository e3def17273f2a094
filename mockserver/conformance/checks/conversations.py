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
    Subject,
    call_of,
    output_for,
    text_of,
    texts_of,
    user,
    words,
)

_UNKNOWN = f"conv_{NOWHERE[:48]}"


@rule("R2.1")
def _the_endpoints(s: Subject) -> None:
    talk = s.conversation()
    path = f"/conversations/{talk['id']}"
    s.same("GET of the conversation", s.ok("GET", path), talk)
    s.same("id after POST of metadata", s.ok("POST", path, {"metadata": {"k": "v"}})["id"], talk["id"])
    kept = s.ok("POST", f"{path}/items", {"items": [user("a")]})["data"][0]
    s.same("id on the list", s.ok("GET", f"{path}/items")["data"][0]["id"], kept["id"])
    s.same("GET of the item", s.ok("GET", f"{path}/items/{kept['id']}"), kept)
    s.ok("DELETE", f"{path}/items/{kept['id']}")
    s.refused(expected_errors.invalid_url("POST", f"/v1{path}/messages"), "POST", f"{path}/messages", {"items": []})
    s.holds("nothing lists conversations", s.call("GET", "/conversations").status in (404, 405))
    marker = s.ok("DELETE", path)
    s.same("what DELETE returns", marker, {"id": talk["id"], "object": "conversation.deleted", "deleted": True})


@rule("R2.2")
def _creating_with_items_and_metadata(s: Subject) -> None:
    empty = s.conversation()
    s.same("members", sorted(empty), ["created_at", "id", "metadata", "object"])
    s.shape("conversation", empty, object="conversation", metadata={})
    s.same("items of a new conversation", s.items(empty), [])
    silent: list[Item] = [{"items": None, "metadata": None}, {"items": []}]
    for body in silent:
        s.shape("conversation", s.ok("POST", "/conversations", body), metadata={})
    full = s.conversation(*[user(str(number)) for number in range(20)], metadata={"k": "v"})
    s.shape("conversation", full, metadata={"k": "v"})
    s.same("items in the order given", texts_of(s.items(full)), [str(number) for number in range(20)])
    error = expected_errors.too_many("items", 20, 21, guessed=("message",))
    s.refused(error, "POST", "/conversations", {"items": [user("a")] * 21})


@rule("R2.3")
def _adding_twenty_items_at_most(s: Subject) -> None:
    talk = s.conversation(user("zero"))
    path = f"/conversations/{talk['id']}/items"
    page = s.ok("POST", path, {"items": [user(str(number)) for number in range(20)]})
    s.same("what was added, in input order", texts_of(page["data"]), [str(number) for number in range(20)])
    ids = [item["id"] for item in page["data"]]
    s.shape("list", page, object="list", first_id=ids[0], last_id=ids[-1], has_more=False)
    s.refused(
        expected_errors.too_many("items", 20, 21, guessed=("message",)), "POST", path, {"items": [user("a")] * 21}
    )
    s.same("ids on the list", [item["id"] for item in s.items(talk)][1:], ids)
    s.refused(expected_errors.missing("items"), "POST", path, {})


@rule("R2.4")
def _metadata_has_limits_and_is_replaced(s: Subject) -> None:
    talk = s.conversation(metadata={"a": "1", "b": "2"})
    path = f"/conversations/{talk['id']}"
    s.same("metadata, replaced", s.ok("POST", path, {"metadata": {"c": "3"}})["metadata"], {"c": "3"})
    s.same("metadata on GET", s.ok("GET", path)["metadata"], {"c": "3"})
    s.same("metadata, emptied", s.ok("POST", path, {"metadata": {}})["metadata"], {})
    most = {f"k{number}": "v" for number in range(16)}
    s.same("metadata of 16 pairs", s.ok("POST", path, {"metadata": most})["metadata"], most)
    s.refused(expected_errors.too_many_pairs(17), "POST", path, {"metadata": {**most, "more": "v"}})
    s.refused(expected_errors.too_many_pairs(17), "POST", "/conversations", {"metadata": {**most, "more": "v"}})
    longest = {"k" * 64: "v" * 512}
    s.same("metadata of the longest key and value", s.ok("POST", path, {"metadata": longest})["metadata"], longest)
    value = expected_errors.too_long("metadata.k", 512, 513)
    s.refused(value, "POST", path, {"metadata": {"k": "v" * 513}})
    key = expected_errors.guess("E32", 400, "property_name_above_max_length", None, "")
    answer = s.call("POST", path, {"metadata": {"k" * 65: "v"}})
    s.same("a key of 65 characters", (answer.status, answer.error.get("code")), (400, key.code))
    s.refused(expected_errors.wrong_type("metadata.k", "a string", "an integer"), "POST", path, {"metadata": {"k": 1}})
    s.same("metadata after the refusals", s.ok("GET", path)["metadata"], longest)
    s.refused(expected_errors.missing("metadata"), "POST", path, {})


@rule("R2.5")
def _deleting_a_conversation_leaves_its_items(s: Subject) -> None:
    talk = s.conversation(user("by hand"))
    made = s.create("asked", conversation=talk["id"])
    by_hand, _, answer = s.items(talk)
    s.ok("DELETE", f"/conversations/{talk['id']}")
    for path in ("", "/items", f"/items/{answer['id']}"):
        s.refused(expected_errors.no_conversation(talk["id"]), "GET", f"/conversations/{talk['id']}{path}")
    s.get(made)
    s.sees(s.chain(made, "more"), "by hand", "asked", *made["output"], "more")
    for item in (by_hand, answer):
        s.sees(s.create([{"type": "item_reference", "id": item["id"]}, user("a")]), item, "a")


@rule("R2.6")
def _unknown_conversations(s: Subject) -> None:
    talk = s.conversation(user("a"))
    item = s.items(talk)[0]["id"]
    s.ok("DELETE", f"/conversations/{talk['id']}")
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
            s.refused(expected_errors.no_conversation(id), method, f"/conversations/{id}{path}", body)


@rule("R2.7")
def _naming_a_conversation(s: Subject) -> None:
    talk = s.conversation()
    for name in (talk["id"], {"id": talk["id"]}):
        made = s.create(conversation=name)
        s.shape("response", made, conversation={"id": talk["id"]}, previous_response_id=None)
    s.same("number of items", len(s.items(talk)), 4)
    s.ok("DELETE", f"/conversations/{talk['id']}")
    for id in (_UNKNOWN, talk["id"]):
        s.no(expected_errors.no_conversation_to_continue(id), conversation=id)
        s.no(expected_errors.no_conversation_to_continue(id), conversation={"id": id}, stream=True)
        s.refused(expected_errors.no_conversation(id), "GET", f"/conversations/{id}")
    s.holds("without a conversation the key is missing", "conversation" not in s.create())


@rule("R2.14")
def _lists_are_paged(s: Subject) -> None:
    talk = s.conversation()
    path = f"/conversations/{talk['id']}/items"
    empty = s.ok("GET", path)
    s.same("empty list", empty, {"object": "list", "data": [], "first_id": None, "last_id": None, "has_more": False})
    ids = [item["id"] for item in s.add(talk, *[user(str(number)) for number in range(20)])]
    ids += [item["id"] for item in s.add(talk, *[user(str(number)) for number in range(20, 25)])]
    paging(s, path, ids)


def paging(s: Subject, path: str, oldest_first: list[str]) -> None:
    """Claim how a list of 25 items is paged."""
    newest = oldest_first[::-1]

    def page(expected: list[str], more: bool, **query: str) -> None:
        got = s.ok("GET", path, **query)
        what = f"page {query}"
        s.same(f"ids of {what}", [item["id"] for item in got["data"]], expected)
        s.shape(what, got, object="list", has_more=more, first_id=expected[0], last_id=expected[-1])

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
        s.refused(expected_errors.no_such_item("msg_none"), "GET", path, after="msg_none")
    s.refused(expected_errors.too_big("limit", 100, 101), "GET", path, limit="101")
    s.refused(expected_errors.too_small("limit", 1, 0)._replace(guessed=("message",)), "GET", path, limit="0")
    wrong = expected_errors.not_one_of("order", "up", ("asc", "desc"))
    s.refused(wrong._replace(guessed=expected_errors.GUESSED), "GET", path, order="up")


@rule("R2.15")
def _one_item_read_and_deleted(s: Subject) -> None:
    talk = s.conversation(user("keep"), user("drop"))
    keep, drop = s.items(talk)
    path = f"/conversations/{talk['id']}/items"
    s.same("GET of an item", s.ok("GET", f"{path}/{drop['id']}"), drop)
    s.same("what deleting an item returns", s.drop(talk, drop), talk)
    s.same("ids left", [item["id"] for item in s.items(talk)], [keep["id"]])
    for method in ("GET", "DELETE"):
        for id in (drop["id"], f"msg_{NOWHERE}"):
            s.refused(expected_errors.no_such_item(id), method, f"{path}/{id}")
    s.sees(s.create("next", conversation=talk["id"]), "keep", "next")
    answer = s.items(talk)[-1]
    s.drop(talk, answer)
    s.sees(s.create("last", conversation=talk["id"]), "keep", "next", "last")
    if s.mock:
        seen = s.conversation(user("keep"), user("drop"))
        made = s.create("ask", conversation=seen["id"])
        s.drop(seen, s.items(seen)[1])
        s.sees(made, "keep", "drop", "ask")
        s.same("what it was made from stays listed", texts_of(s.inputs(made)), ["keep", "drop", "ask"])
        s.sees(s.chain(made, "more"), "keep", "drop", "ask", *made["output"], "more")


@rule("R2.16")
def _half_a_pair_is_refused(s: Subject) -> None:
    for dropped in ("function_call", "function_call_output"):
        talk = s.conversation()
        call = call_of(s.create("look it up", conversation=talk["id"], **FORCED))
        s.create([output_for(call)], conversation=talk["id"])
        s.drop(talk, next(item for item in s.items(talk) if item["type"] == dropped))
        error = expected_errors.unanswered if dropped == "function_call_output" else expected_errors.uncalled
        s.no(error(call["call_id"]), "next", conversation=talk["id"])


_BY_HAND = (
    ({"role": "user", "content": "a"}, "msg_"),
    ({"type": "message", "role": "system", "content": [{"type": "input_text", "text": "b"}]}, "msg_"),
    ({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "c"}]}, "msg_"),
    ({"type": "function_call", "call_id": "call_x", "name": "lookup", "arguments": "{}"}, "fc_"),
    ({"type": "function_call_output", "call_id": "call_x", "output": "d"}, "fc_"),
)


@rule("R2.17")
def _items_by_hand(s: Subject) -> None:
    talk = s.conversation()
    kept = s.add(talk, *[item for item, _ in _BY_HAND])
    for item, (_, prefix) in zip(kept, _BY_HAND, strict=True):
        s.holds(f"id of a {item['type']} begins with {prefix}", re.match(prefix, item["id"]), item["id"])
        s.same(f"status of a {item['type']}", item["status"], "completed")
    s.same("content, typed", kept[0]["content"][0], {"type": "input_text", "text": "a"})
    s.same("what is listed", s.items(talk), kept)
    answer = s.create("next", conversation=talk["id"])
    s.sees(answer, "a", "b", "c", kept[3], kept[4], "next")
    content = [{"type": "input_text", "text": "look"}, {"type": "input_image", "detail": "auto"}]
    message = (
        "Missing mutually exclusive parameters: 'items[0].content[1]'. "
        "Ensure you are providing exactly one of: 'file_id' or 'image_url'."
    )
    answered = s.call("POST", f"/conversations/{talk['id']}/items", {"items": [{"role": "user", "content": content}]})
    s.same("an image without a source", (answered.status, answered.error.get("message")), (400, message))


@rule("R2.20", models=("gpt-4o-mini",))
def _no_largest_number_of_items(s: Subject) -> None:
    talk = s.conversation()
    for first in range(0, 120, 20):
        s.add(talk, *[user(str(number)) for number in range(first, first + 20)])
    made = s.create("next", conversation=talk["id"], model="gpt-4o-mini")
    s.same("status of a turn on 120 items", made["status"], "completed")
    s.same("the oldest item", text_of(s.items(talk)[0]), "0")
    s.add(talk, user(words(70_000)), user(words(70_000)))
    s.no(expected_errors.over_window(), "next", conversation=talk["id"], model="gpt-4o-mini")
