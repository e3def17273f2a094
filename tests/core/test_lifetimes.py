"""How long things live, by the clock alone: nothing here waits. Spec: R1.2–R1.9, R1.31, R6.10, R8.8."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.api import Api
from tests.support.driving import NOON, Driver, refused, summary, text_of

MINUTE, HOUR, DAY, YEAR = 60, 3600, 86_400, 365 * 86_400
MONTH = 30 * DAY
LONG = " word" * 1500
SLOW = {"reply": {"text": "one two three"}, "pacing": {"first_token": 9 * MINUTE, "tokens_per_second": 0.05}}


# --- responses: thirty days ------------------------------------------------------------------------------------------


def test_R1_2_a_stored_response_lives_for_thirty_days_to_the_second() -> None:
    drive = Driver()
    made = drive.create()
    assert drive.advance(seconds=MONTH - 1)["expired"] == []
    assert drive.get(made["id"]) == made
    assert len(drive.input_items(made["id"])["data"]) == 1
    assert drive.create(previous_response_id=made["id"])["status"] == "completed"
    assert drive.advance(seconds=1)["expired"] == [made["id"]]
    gone = (404, f"Response with id '{made['id']}' not found.", None, None)
    for call in (drive.get, drive.delete, drive.input_items, drive.replay):
        assert summary(refused(call, made["id"])) == gone
    assert summary(refused(Api(drive.engine).cancel_response, "p", made["id"])) == gone
    error = refused(drive.create, previous_response_id=made["id"])
    assert (error.status, error.code) == (400, "previous_response_not_found")
    listed = drive.engine.control.list_responses("p", limit=9, after=None)["data"]
    assert made["id"] not in [one["id"] for one in listed] and len(listed) == 1


def test_R1_2_lifetimes_count_whole_seconds_of_created_at() -> None:
    drive = Driver()
    drive.engine.control.set_clock("p", NOON + 0.75)
    made = drive.create()
    drive.engine.control.set_clock("p", NOON + MONTH - 0.01)
    assert drive.get(made["id"])["created_at"] == NOON
    drive.engine.control.set_clock("p", NOON + MONTH)
    assert refused(drive.get, made["id"]).status == 404


def test_R1_37_items_can_be_referred_to_as_long_as_something_that_lives_holds_them() -> None:
    drive = Driver()
    made = drive.create()["output"][0]["id"], drive.create("v")["output"][0]["id"]
    first, second = ([{"type": "item_reference", "id": id}] for id in made)
    drive.advance(seconds=MONTH - 1)
    assert drive.create(first)["status"] == "completed"
    drive.advance(seconds=1)
    assert drive.create(first)["status"] == "completed", "the response of a second ago holds it, too"
    assert refused(drive.create, second).message == f"Item with id '{made[1]}' not found."


def test_R1_3_and_R1_31_use_does_not_prolong_a_life_and_children_survive() -> None:
    drive = Driver()
    parent = drive.create("a")["id"]
    drive.advance(days=29)
    child = drive.create("b", previous_response_id=parent)["id"]
    assert drive.advance(days=1)["expired"] == [parent]
    assert refused(drive.get, parent).status == 404
    assert drive.context(child)[0] == "a"
    assert drive.context(drive.create("c", previous_response_id=child)["id"])[::2] == ["a", "b", "c"]


def test_R1_4_what_is_not_stored_is_gone_at_once() -> None:
    drive = Driver()
    id = drive.create(store=False)["id"]
    assert refused(drive.get, id).status == 404
    assert refused(drive.create, previous_response_id=id).code == "previous_response_not_found"


# --- conversations: for ever -----------------------------------------------------------------------------------------


def test_R1_8_a_conversation_and_its_items_outlast_ten_years() -> None:
    drive = Driver()
    id = drive.conversation(metadata={"topic": "demo"}, items=[{"role": "user", "content": "old"}])["id"]
    turn = drive.create("u", conversation=id)
    drive.advance(seconds=10 * YEAR)
    texts = [text_of(item) for item in drive.items(id, order="asc")["data"]]
    assert texts == ["old", "u", text_of(turn["output"][0])]
    kept = json.loads(Api(drive.engine).retrieve_conversation("p", id))
    assert (kept["metadata"], kept["created_at"]) == ({"topic": "demo"}, int(NOON))
    assert drive.context(drive.create("still there?", conversation=id)["id"]) == [*texts, "still there?"]


def test_R1_9_a_response_in_a_conversation_expires_and_its_items_stay() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    turn = drive.create("u", conversation=id)
    assert drive.advance(days=30)["expired"] == [turn["id"]]
    assert refused(drive.get, turn["id"]).status == 404
    assert len(drive.items(id)["data"]) == 2
    reference = {"type": "item_reference", "id": turn["output"][0]["id"]}
    assert drive.create([reference, {"role": "user", "content": "v"}])["status"] == "completed"


# --- background ------------------------------------------------------------------------------------------------------


def test_R6_2_ten_minutes_of_background_pass_at_once() -> None:
    drive = Driver()
    drive.script(SLOW)
    made = drive.create(background=True)
    drive.advance(seconds=9 * MINUTE - 1)
    assert drive.get(made["id"])["status"] == "queued"
    drive.advance(seconds=21)
    assert drive.get(made["id"])["status"] == "in_progress"
    drive.advance(seconds=40)
    assert drive.get(made["id"])["status"] == "completed"


@pytest.mark.parametrize("zdr", ["on", "off"])
def test_R1_7_what_is_not_stored_can_be_polled_for_ten_minutes(zdr: str) -> None:
    drive = Driver(set=(("zdr", zdr),))
    fields: dict[str, Any] = {"background": True} | ({} if zdr == "on" else {"store": False})
    made = drive.create(**fields)
    assert made["store"] is False
    drive.advance(seconds=10 * MINUTE - 1)
    assert drive.get(made["id"])["status"] == "completed"
    assert drive.advance(seconds=1)["expired"] == [made["id"]]
    assert refused(drive.get, made["id"]).status == 404
    drive.script(SLOW)
    slow = drive.create(**fields)
    drive.advance(seconds=HOUR)
    assert refused(drive.get, slow["id"]).status == 404


def test_R1_7_ten_minutes_count_from_the_end_also_of_a_cancelled_turn() -> None:
    drive = Driver()
    drive.script(SLOW, SLOW)
    ran, stopped = (drive.create(background=True, store=False)["id"] for _ in range(2))
    drive.advance(seconds=5 * MINUTE)
    Api(drive.engine).cancel_response("p", stopped)
    drive.advance(seconds=10 * MINUTE - 1)
    assert (drive.get(ran)["status"], drive.get(stopped)["status"]) == ("completed", "cancelled")
    assert drive.advance(seconds=1)["expired"] == [stopped]
    assert drive.advance(seconds=4 * MINUTE + 59)["expired"] == []
    assert drive.advance(seconds=1 + MINUTE)["expired"] == [ran]


def test_R6_6_at_nine_minutes_and_at_eleven() -> None:
    drive = Driver()
    id = drive.stream(background=True, store=False)[0]["response"]["id"]
    assert id.removeprefix("resp_")[16:18] == "01"  # Spec: W1
    drive.advance(seconds=9 * MINUTE)
    assert (drive.get(id)["status"], drive.get(id)["store"]) == ("completed", False)
    assert drive.replay(id)[-1]["type"] == "response.completed"
    assert len(drive.input_items(id)["data"]) == 1
    error = refused(drive.call, "POST", f"/v1/responses/{id}/cancel")
    assert error.message == "Cannot cancel a completed response."
    drive.advance(seconds=2 * MINUTE)
    gone = (404, f"Response with id '{id}' not found.", None, None)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/cancel"), ("GET", "/input_items")):
        assert summary(refused(drive.call, method, f"/v1/responses/{id}{path}")) == gone
    assert drive.advance(days=31)["expired"] == []


def test_R6_6_it_is_never_a_parent() -> None:
    drive = Driver()
    drive.script(SLOW)
    slow, quick = (drive.create(background=True, store=False)["id"] for _ in range(2))
    for _ in range(2):
        for id in (slow, quick):
            text = f"Previous response with id '{id}' not found."
            error = refused(drive.create, previous_response_id=id)
            assert summary(error) == (400, text, "previous_response_id", "previous_response_not_found")
        drive.advance(seconds=299)
    assert (drive.get(quick)["status"], drive.get(slow)["status"]) == ("completed", "in_progress")
    stored = drive.create(background=True)["id"]
    assert drive.create(previous_response_id=stored)["status"] == "completed"


def test_R6_6_one_that_is_deleted_does_not_come_back_and_one_jump_names_each_once() -> None:
    drive = Driver()
    deleted, left = (drive.create(background=True, store=False)["id"] for _ in range(2))
    stored = drive.create()["id"]
    drive.delete(deleted)
    assert refused(drive.get, deleted).status == 404
    assert drive.advance(days=40)["expired"] == [stored, left]


@pytest.mark.parametrize(("value", "count"), [("write_items", 2), ("read_only", 0)])
def test_R2_18_in_a_conversation_it_writes_as_the_switch_says(value: str, count: int) -> None:
    drive = Driver(set=(("store_false_conversation", value),))
    conversation = drive.conversation()["id"]
    id = drive.create(background=True, store=False, conversation=conversation)["id"]
    assert drive.get(id)["status"] == "completed"
    assert len(drive.items(conversation)["data"]) == count
    drive.advance(seconds=11 * MINUTE)
    assert drive.create(conversation=conversation)["status"] == "completed"


def test_R6_10_what_is_stored_can_be_polled_for_thirty_days() -> None:
    drive = Driver()
    id = drive.create(background=True)["id"]
    drive.advance(seconds=MONTH - 1)
    assert drive.get(id)["status"] == "completed"
    drive.advance(seconds=1)
    assert refused(drive.get, id).status == 404


@pytest.mark.parametrize(("window", "seconds"), [("30d", MONTH - 1), ("5m", 5 * MINUTE), ("90s", 90)])
def test_R6_10_a_stream_can_be_resumed_within_its_window(window: str, seconds: int) -> None:
    drive = Driver(set=(("stream_replay_window", window),))
    made = drive.stream(background=True)
    id = made[0]["response"]["id"]
    drive.advance(seconds=seconds - 1)
    assert drive.replay(id) == made
    assert drive.replay(id, starting_after="3") == made[4:]
    drive.advance(seconds=1)
    if window == "30d":
        assert drive.replay(id) == made
        return
    text = "This response cannot be streamed because it was not created with stream=true."
    assert summary(refused(drive.replay, id)) == (400, text, "stream", None)
    assert drive.get(id)["status"] == "completed"


# --- the prompt cache ------------------------------------------------------------------------------------------------


def cached(drive: Driver, **fields: Any) -> bool:
    """Ask; returns whether the prompt was known."""
    return drive.create(LONG, **fields)["usage"]["input_tokens_details"]["cached_tokens"] > 0


@pytest.mark.parametrize(
    ("fields", "idle", "most"),
    [
        ({"model": "gpt-4.1"}, 10 * MINUTE, HOUR),
        ({"model": "gpt-4.1", "prompt_cache_retention": "24h"}, DAY, DAY),
        ({"model": "gpt-5.4"}, DAY, DAY),
        ({"model": "gpt-5.6-terra"}, 30 * MINUTE, None),
    ],
    ids=["in_memory", "24h", "24h by the model", "30m"],
)
def test_R8_8_a_prompt_is_known_while_it_is_used_but_no_longer_than_its_retention(
    fields: dict[str, Any], idle: int, most: int | None
) -> None:
    drive = Driver()
    assert not cached(drive, **fields)
    drive.advance(seconds=idle - 1)
    assert cached(drive, **fields)
    age = idle - 1
    for _ in range(12):
        drive.advance(seconds=idle // 2)
        age += idle // 2
        known = cached(drive, **fields)
        if most is not None and age >= most:
            assert not known
            return
        assert known
    assert most is None
    drive.advance(seconds=idle)
    assert not cached(drive, **fields)
