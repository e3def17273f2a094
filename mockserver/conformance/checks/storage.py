"""Fixed rules about how long responses are kept, and their deletion (R1.1–R1.14)."""

from __future__ import annotations

import re

from mockserver.conformance import expected_errors
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import DAY, SLOW_S, Item, ServerUnderTest, user

# W1: the partition key, then the mark 00 (stored) or 01 (nothing is kept), then what is the id's own.
_NEW_ID = re.compile(r"[a-z]+_0[0-9a-f]{15}(0[01])[0-9a-f]{32}")


# All ways to reach a response, because a server may forget it in one place and keep it in another.
def _check_missing(s: ServerUnderTest, response: Item) -> None:
    id = response["id"]
    ways = (("get", "GET", ""), ("input items", "GET", "/input_items"), ("delete", "DELETE", ""))
    for method, path in [way[1:] for way in ways if s.has(way[0])]:
        s.check_error(expected_errors.no_response(id), method, f"/responses/{id}{path}")
    s.check_create_refused(expected_errors.no_parent(id), previous_response_id=id)


@rule("R1.1")
def _stored_unless_asked_otherwise(s: ServerUnderTest) -> None:
    silent: list[Item] = [{}, {"store": True}, {"store": None}]
    for fields in silent[:2] if s.lenient else silent:
        response = s.create(**fields)
        s.check_members("response", response, store=True)
        stored = s.get(response)
        s.check_members("what GET returns", stored, id=response["id"], status="completed")
        s.check_output("what GET returns", stored, response)
        if s.mock:
            s.check_equal("what GET returns is what was answered", stored, response)
    streamed = s.stream()[-1]["response"]
    stored = s.get(streamed)
    s.check_members("what GET returns of a streamed response", stored, store=True)
    s.check_output("what GET returns of a streamed response", stored, streamed)


@rule("R1.2", needs=("clock",))
def _thirty_days_to_the_second(s: ServerUnderTest) -> None:
    s.freeze()
    response, spare = s.create("old"), s.create("never used")
    s.advance(30 * DAY - 1)
    s.check_equal("GET one second before 30 days", s.get(response)["id"], response["id"])
    s.check_equal("input_items one second before 30 days", len(s.inputs(response)), 1)
    s.check_context(s.chain(response, "still"), "old", *response["output"], "still")
    s.advance(1)
    _check_missing(s, response)
    _check_missing(s, spare)
    s.check_error(expected_errors.no_response(response["id"]), "POST", f"/responses/{response['id']}/cancel")


@rule("R1.3", needs=("clock",))
def _use_does_not_extend_a_life(s: ServerUnderTest) -> None:
    s.freeze()
    parent = s.create()
    s.advance(29 * DAY)
    s.get(parent)
    child = s.chain(parent)
    s.advance(DAY - 1)
    s.get(parent)
    s.advance(1)
    _check_missing(s, parent)
    s.advance(29 * DAY - 1)
    s.check_equal("the child lives 30 days from its own creation", s.get(child)["id"], child["id"])
    s.advance(1)
    _check_missing(s, child)


@rule("R1.4")
def _nothing_is_kept_of_an_unstored_response(s: ServerUnderTest) -> None:
    created = s.create(store=False)
    s.check_members("response", created, store=False)
    streamed = s.stream(store=False)[-1]["response"]
    for response in (created, streamed):
        _check_missing(s, response)
        if s.has("background"):
            s.check_error(expected_errors.no_response(response["id"]), "POST", f"/responses/{response['id']}/cancel")
    if s.mock:
        s.advance(60)
        _check_missing(s, created)
    ids = [created["id"], created["output"][-1]["id"]]
    marks = [match[1] for id in ids if (match := _NEW_ID.fullmatch(id))]
    if s.mock or (len(marks) == len(ids) and not s.lenient):
        s.check_equal("mark of the ids of what is not persisted", marks, ["01", "01"])
        id_match = _NEW_ID.fullmatch(s.create()["id"])
        s.check_equal("mark of the id of what is", id_match and id_match[1], "00")


@rule("R1.8", needs=("clock",))
def _conversations_never_expire(s: ServerUnderTest) -> None:
    s.freeze()
    talk = s.conversation(user("first"), metadata={"k": "v"})
    s.advance(3650 * DAY)
    s.check_equal("GET after ten years", s.call_ok("GET", f"/conversations/{talk['id']}"), talk)
    items = s.items(talk)
    s.check_equal("items after ten years", len(items), 1)
    s.call_ok("GET", f"/conversations/{talk['id']}/items/{items[0]['id']}")
    s.check_context(s.create("second", conversation=talk["id"]), "first", "second")


@rule("R1.9", needs=("clock",))
def _a_conversations_items_outlive_its_responses(s: ServerUnderTest) -> None:
    s.freeze()
    talk = s.conversation()
    response = s.create("first", conversation=talk["id"])
    s.advance(30 * DAY - 1)
    s.get(response)
    s.advance(1)
    _check_missing(s, response)
    s.check_equal("items after 30 days", [item["id"] for item in s.items(talk)][-1], response["output"][-1]["id"])
    s.check_equal("number of items after 30 days", len(s.items(talk)), 2)
    later = s.create("second", conversation=talk["id"])
    s.check_context(later, "first", *response["output"], "second")
    reference = {"type": "item_reference", "id": response["output"][-1]["id"]}
    s.check_context(s.create([reference, user("third")]), *response["output"], "third")


@rule("R1.11")
def _deleting_answers_with_a_marker(s: ServerUnderTest) -> None:
    response = s.create()
    marker = s.delete(response)
    s.check_members("what DELETE returns", marker, id=response["id"], deleted=True)
    if s.mock:
        s.check_equal("what DELETE returns", marker, {"id": response["id"], "object": "response", "deleted": True})


@rule("R1.12")
def _a_deleted_response_is_unknown(s: ServerUnderTest) -> None:
    response = s.create()
    child = s.chain(response)
    s.delete(response)
    _check_missing(s, response)
    s.get(child)


@rule("R1.13", needs=("background", "delete", "clock", "script"))
def _a_running_response_cannot_be_deleted(s: ServerUnderTest) -> None:
    s.freeze()
    response = s.slow()
    in_flight = expected_errors.guess("E81", 400, None, None, "Cannot delete an in-flight response.")
    s.check_equal("status", s.get(response)["status"], "queued")
    s.check_error(in_flight, "DELETE", f"/responses/{response['id']}")
    s.advance(SLOW_S + 0.5)
    s.check_equal("status", s.get(response)["status"], "in_progress")
    s.check_error(in_flight, "DELETE", f"/responses/{response['id']}")
    s.finish()
    s.check_equal("status, for the refused deletions changed nothing", s.get(response)["status"], "completed")
    s.delete(response)
    s.check_error(expected_errors.no_response(response["id"]), "GET", f"/responses/{response['id']}")


@rule("R1.14")
def _deleting_twice_is_refused(s: ServerUnderTest) -> None:
    if s.has("delete"):
        response = s.create()
        s.delete(response)
        s.check_error(expected_errors.no_response(response["id"]), "DELETE", f"/responses/{response['id']}")
    talk = s.conversation()
    s.call_ok("DELETE", f"/conversations/{talk['id']}")
    s.check_error(expected_errors.no_conversation(talk["id"]), "DELETE", f"/conversations/{talk['id']}")
