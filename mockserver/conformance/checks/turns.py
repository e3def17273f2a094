"""Fixed rules about turns in conversations: what is appended and when, and the lock meanwhile (R2.8–R2.13, R2.18)."""

from __future__ import annotations

from mockserver.conformance import expected_errors
from mockserver.conformance.held_turns import HeldTurn
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import SLOW_S, Item, ServerUnderTest, texts_of, user, words


def _ids(items: list[Item]) -> list[str]:
    return [item["id"] for item in items]


@rule("R2.8")
def _input_then_output_behind_what_was_there(s: ServerUnderTest) -> None:
    talk = s.conversation(user("old"), user("older"))
    before = s.items(talk)
    first = s.create([user("one"), user("two")], conversation=talk["id"])
    s.check_context(first, "old", "older", "one", "two")
    items = s.items(talk)
    s.check_equal("items", texts_of(items), ["old", "older", "one", "two", *texts_of(first["output"])])
    s.check_equal("ids of what was there", _ids(items)[:2], _ids(before))
    s.check_equal("ids of the output", _ids(items)[4:], _ids(first["output"]))
    second = s.create("three", conversation=talk["id"])
    s.check_context(second, "old", "older", "one", "two", *first["output"], "three")
    expected = [*texts_of(items), "three", *texts_of(second["output"])]
    s.check_equal("items after the second turn", texts_of(s.items(talk)), expected)
    if s.has("count"):
        known = s.count(input="x", conversation=talk["id"])
        s.check_equal(
            "input tokens of the next turn", s.create("x", conversation=talk["id"])["usage"]["input_tokens"], known
        )


# Looked at while queued, while in progress and half a second before the end: nothing may show before all of it
# does.
@rule("R2.9", needs=("conversations", "model clock", "script"))
def _the_append_is_atomic(s: ServerUnderTest) -> None:
    talk = s.conversation(user("old"))
    before = s.items(talk)
    turn = HeldTurn(s, "asked", conversation=talk["id"])
    s.check_equal("items while a stream is in progress", s.items(talk), before)
    turn.finish()
    s.check_equal("items when it has ended", texts_of(s.items(talk)), ["old", "asked", "one two three"])
    if s.mock:
        _check_append_in_the_background(s)


def _check_append_in_the_background(s: ServerUnderTest) -> None:
    talk = s.conversation(user("old"))
    before = s.items(talk)
    response = s.slow("asked", conversation=talk["id"])
    for seconds, status in ((0, "queued"), (SLOW_S + 0.5, "in_progress"), (1, "in_progress")):
        s.advance(seconds)
        s.check_equal("status", s.get(response)["status"], status)
        s.check_equal(f"items while {status}", s.items(talk), before)
    s.finish()
    items = s.items(talk)
    s.check_equal("items afterwards", texts_of(items), ["old", "asked", "one two three"])
    s.check_equal("statuses", [item["status"] for item in items], ["completed"] * 3)
    s.check_equal("status of the response", s.get(response)["status"], "completed")
    s.script({"text": "said at once"}, pacing={"first_token": SLOW_S})
    s.create("more", background=True, conversation=talk["id"])
    s.advance(SLOW_S - 0.5)
    s.check_equal("items half a second before the end", s.items(talk), items)
    s.check_create_refused(expected_errors.conversation_locked(), "early", conversation=talk["id"])
    s.advance(0.5)
    s.check_equal("items at the end", texts_of(s.items(talk)), [*texts_of(items), "more", "said at once"])
    s.check_equal("status of the next turn", s.create("next", conversation=talk["id"])["status"], "completed")


@rule("R2.10", needs=("conversations", "script"))
def _what_unfinished_turns_add(s: ServerUnderTest) -> None:
    talk = s.conversation(user("old"))
    s.script({"failed": {"code": "server_error", "message": "no"}})
    s.check_failed(s.create("asked", conversation=talk["id"]))
    s.check_equal("items after a failed turn", texts_of(s.items(talk)), ["old"])
    if s.mock:
        s.freeze()
        slow = s.slow("asked", conversation=talk["id"])
        s.advance(SLOW_S + 1.5)
        s.call_ok("POST", f"/responses/{slow['id']}/cancel")
        s.finish()
        s.check_equal("items after a cancelled turn", texts_of(s.items(talk)), ["old"])
    s.script({"text": "cut sho", "incomplete": "max_output_tokens"})
    s.check_equal("status", s.create("asked", conversation=talk["id"])["status"], "incomplete")
    items = s.items(talk)
    s.check_equal("items after an incomplete turn", texts_of(items), ["old", "asked", "cut sho"])
    s.check_members("the partial output", items[-1], status="incomplete")
    s.check_context(s.create("next", conversation=talk["id"]), "old", "asked", items[-1], "next")
    if s.mock:
        _check_cut_turn(s)


def _check_cut_turn(s: ServerUnderTest) -> None:
    """Check a turn that its own limit cuts, and not a script."""
    talk = s.conversation()
    s.script({"text": words(40)})
    cut = s.create("asked", conversation=talk["id"], max_output_tokens=16)
    s.check_equal("status of a turn that its limit cuts", cut["status"], "incomplete")
    partial = s.items(talk)[-1]
    s.check_members("its partial output", partial, id=cut["output"][-1]["id"], status="incomplete")


@rule("R2.12", needs=("conversations", "model clock", "script"))
def _one_turn_at_a_time(s: ServerUnderTest) -> None:
    if s.mock:
        _check_lock_of_the_background(s)
    talk = s.conversation()
    turn = HeldTurn(s, "first", conversation=talk["id"])
    s.check_create_refused(expected_errors.conversation_locked(), "second", conversation=talk["id"])
    by_hand = s.add(talk, user("by hand"))
    s.check_equal("items added by hand meanwhile", _ids(s.items(talk)), _ids(by_hand))
    done = turn.finish()
    s.check_equal("items, those by hand first", texts_of(s.items(talk)), ["by hand", "first", "one two three"])
    third = s.create("third", conversation=talk["id"])
    s.check_context(third, "by hand", "first", *done["output"], "third")


def _check_lock_of_the_background(s: ServerUnderTest) -> None:
    s.freeze()
    talk, other = s.conversation(), s.conversation()
    first = s.slow("first", conversation=talk["id"])
    for seconds in (0, SLOW_S + 0.5):
        s.advance(seconds)
        for fields in ({}, {"stream": True}, {"background": True}, {"store": False}):
            s.check_create_refused(expected_errors.conversation_locked(), "second", conversation=talk["id"], **fields)
        s.check_create_refused(expected_errors.conversation_locked(), "second", conversation={"id": talk["id"]})
    s.check_equal("status of another conversation's turn", s.create(conversation=other["id"])["status"], "completed")
    s.call_ok("GET", f"/conversations/{talk['id']}")
    by_hand = s.add(talk, user("by hand"))
    s.check_equal("items added by hand meanwhile", _ids(s.items(talk)), _ids(by_hand))
    s.finish()
    s.check_equal("status of the first", s.get(first)["status"], "completed")
    s.check_equal("items, those by hand first", texts_of(s.items(talk)), ["by hand", "first", "one two three"])
    third = s.create("third", conversation=talk["id"])
    s.check_equal("status of a turn afterwards", third["status"], "completed")
    s.check_context(third, "by hand", "first", "one two three", "third")
    s.check_context(first, "first")
    s.check("the refused turns added nothing", "second" not in texts_of(s.items(talk)))


@rule("R2.13", needs=("background", "conversations", "clock", "script"))
def _cancelling_releases_the_lock(s: ServerUnderTest) -> None:
    s.freeze()
    talk = s.conversation()
    first = s.slow("first", conversation=talk["id"])
    s.check_create_refused(expected_errors.conversation_locked(), "second", conversation=talk["id"])
    s.call_ok("POST", f"/responses/{first['id']}/cancel")
    second = s.create("second", conversation=talk["id"])
    s.check_equal("status of the next turn", second["status"], "completed")
    s.check_context(second, "second")
    s.finish()
    s.check_equal("items", texts_of(s.items(talk)), ["second", *texts_of(second["output"])])


@rule("R2.18")
def _unstored_turns_write_their_items(s: ServerUnderTest) -> None:
    talk = s.conversation(user("old"))
    response = s.create("asked", conversation=talk["id"], store=False)
    s.check_members("response", response, store=False, conversation={"id": talk["id"]})
    s.check_error(expected_errors.no_response(response["id"]), "GET", f"/responses/{response['id']}")
    s.check_create_refused(expected_errors.no_parent(response["id"]), previous_response_id=response["id"])
    items = s.items(talk)
    s.check_equal("items", texts_of(items), ["old", "asked", *texts_of(response["output"])])
    s.check_equal("ids of the output", _ids(items)[2:], _ids(response["output"]))
    s.check_context(s.create("next", conversation=talk["id"]), "old", "asked", *response["output"], "next")
