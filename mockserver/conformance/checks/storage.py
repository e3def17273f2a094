"""Fixed rules about how long responses are kept, and their deletion (R1.1–R1.14)."""

from __future__ import annotations

import re

from mockserver.conformance import expected_errors
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import DAY, SLOW_S, Item, ServerUnderTest, user

_NEW_ID = re.compile(r"[a-z]+_0[0-9a-f]{15}(0[01])[0-9a-f]{32}")


def _check_missing(s: ServerUnderTest, response: Item) -> None:
    id = response["id"]
    for method, path in (("GET", ""), ("GET", "/input_items"), ("DELETE", "")):
        s.check_error(expected_errors.no_response(id), method, f"/responses/{id}{path}")
    s.check_create_refused(expected_errors.no_parent(id), previous_response_id=id)


@rule("R1.1")
def _stored_unless_asked_otherwise(s: ServerUnderTest) -> None:
    for fields in ({}, {"store": None}, {"store": True}):
        made = s.create(**fields)
        s.check_members("response", made, store=True)
        kept = s.get(made)
        s.check_members("what GET returns", kept, id=made["id"], output=made["output"], status="completed")
        if s.mock:
            s.check_equal("what GET returns is what was answered", kept, made)
    streamed = s.stream()[-1]["response"]
    s.check_members("what GET returns of a streamed response", s.get(streamed), output=streamed["output"], store=True)


@rule("R1.2", needs=("clock",))
def _thirty_days_to_the_second(s: ServerUnderTest) -> None:
    s.freeze()
    made, spare = s.create("old"), s.create("never used")
    s.advance(30 * DAY - 1)
    s.check_equal("GET one second before 30 days", s.get(made)["id"], made["id"])
    s.check_equal("input_items one second before 30 days", len(s.inputs(made)), 1)
    s.check_context(s.chain(made, "still"), "old", *made["output"], "still")
    s.advance(1)
    _check_missing(s, made)
    _check_missing(s, spare)
    s.check_error(expected_errors.no_response(made["id"]), "POST", f"/responses/{made['id']}/cancel")


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
    made = s.create(store=False)
    s.check_members("response", made, store=False)
    streamed = s.stream(store=False)[-1]["response"]
    for response in (made, streamed):
        _check_missing(s, response)
        s.check_error(expected_errors.no_response(response["id"]), "POST", f"/responses/{response['id']}/cancel")
    if s.mock:
        s.advance(60)
        _check_missing(s, made)
    ids = [made["id"], made["output"][-1]["id"]]
    marks = [match[1] for id in ids if (match := _NEW_ID.fullmatch(id))]
    if s.mock or marks:
        s.check_equal("mark of the ids of what is not persisted", marks, ["01", "01"])
        kept = _NEW_ID.fullmatch(s.create()["id"])
        s.check_equal("mark of the id of what is", kept and kept[1], "00")


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
    made = s.create("first", conversation=talk["id"])
    s.advance(30 * DAY - 1)
    s.get(made)
    s.advance(1)
    _check_missing(s, made)
    s.check_equal("items after 30 days", [item["id"] for item in s.items(talk)][-1], made["output"][-1]["id"])
    s.check_equal("number of items after 30 days", len(s.items(talk)), 2)
    later = s.create("second", conversation=talk["id"])
    s.check_context(later, "first", *made["output"], "second")
    reference = {"type": "item_reference", "id": made["output"][-1]["id"]}
    s.check_context(s.create([reference, user("third")]), *made["output"], "third")


@rule("R1.11")
def _deleting_answers_with_a_marker(s: ServerUnderTest) -> None:
    made = s.create()
    marker = s.delete(made)
    s.check_members("what DELETE returns", marker, id=made["id"], deleted=True)
    if s.mock:
        s.check_equal("what DELETE returns", marker, {"id": made["id"], "object": "response", "deleted": True})


@rule("R1.12")
def _a_deleted_response_is_unknown(s: ServerUnderTest) -> None:
    made = s.create()
    child = s.chain(made)
    s.delete(made)
    _check_missing(s, made)
    s.get(child)


@rule("R1.13", needs=("clock", "script"))
def _a_running_response_cannot_be_deleted(s: ServerUnderTest) -> None:
    s.freeze()
    made = s.slow()
    in_flight = expected_errors.guess("E81", 400, None, None, "Cannot delete an in-flight response.")
    s.check_equal("status", s.get(made)["status"], "queued")
    s.check_error(in_flight, "DELETE", f"/responses/{made['id']}")
    s.advance(SLOW_S + 0.5)
    s.check_equal("status", s.get(made)["status"], "in_progress")
    s.check_error(in_flight, "DELETE", f"/responses/{made['id']}")
    s.finish()
    s.check_equal("status, for the refused deletions changed nothing", s.get(made)["status"], "completed")
    s.delete(made)
    s.check_error(expected_errors.no_response(made["id"]), "GET", f"/responses/{made['id']}")


@rule("R1.14")
def _deleting_twice_is_refused(s: ServerUnderTest) -> None:
    made, talk = s.create(), s.conversation()
    s.delete(made)
    s.check_error(expected_errors.no_response(made["id"]), "DELETE", f"/responses/{made['id']}")
    s.call_ok("DELETE", f"/conversations/{talk['id']}")
    s.check_error(expected_errors.no_conversation(talk["id"]), "DELETE", f"/conversations/{talk['id']}")
