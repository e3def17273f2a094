"""What turns write and when; deletion. Spec: R1.11–R1.14, R2.9–R2.13, R9.20, R9.21."""

from __future__ import annotations

import json

from tests.support.api import Api
from tests.support.driving import NOON, Driver, refused, summary


def begin(drive: Driver, seconds: float, **fields: object) -> str:
    drive.script({"reply": {"text": "a"}, "pacing": {"first_token": seconds}})
    body = json.dumps({"model": "gpt-4.1", "input": "u", **fields}).encode()
    return drive.engine.create_response("p", body).id


def test_R1_11_and_12_and_14_deletion() -> None:
    drive = Driver()
    id = drive.create()["id"]
    assert drive.delete(id) == {"id": id, "object": "response", "deleted": True}
    gone = (404, f"Response with id '{id}' not found.", None, None)
    for call in (drive.get, drive.delete, drive.replay):
        assert summary(refused(call, id)) == gone


def test_R1_4_an_unstored_response_can_be_neither_had_nor_deleted() -> None:
    drive = Driver()
    id = drive.create(store=False)["id"]
    for call in (drive.get, drive.delete, drive.input_items, drive.replay):
        assert refused(call, id).status == 404


def test_R9_21_a_running_turn_is_not_there_until_the_clock_has_passed_its_end() -> None:
    drive = Driver()
    id = begin(drive, 5)
    assert refused(drive.get, id).status == 404
    assert refused(drive.create, previous_response_id=id).code == "previous_response_not_found"
    assert drive.advance(seconds=4.5)["completed"] == []
    assert drive.advance(seconds=1)["completed"] == [id]
    assert drive.get(id)["created_at"] == int(NOON)
    assert drive.create(previous_response_id=id)["status"] == "completed"


def test_several_turns_end_in_the_order_of_their_ends() -> None:
    drive = Driver()
    slow, fast = begin(drive, 9), begin(drive, 3)
    assert drive.advance(seconds=10)["completed"] == [fast, slow]


def test_delivery_ends_a_turn_whatever_the_clock_says_and_only_once() -> None:
    drive = Driver()
    id = begin(drive, 5)
    drive.engine.finish("p", id)
    assert drive.get(id)["status"] == "completed"
    drive.engine.finish("p", id)
    assert drive.advance(seconds=10)["completed"] == []


def test_an_unstored_running_turn_leaves_nothing() -> None:
    drive = Driver()
    id = begin(drive, 5, store=False)
    drive.advance(seconds=6)
    assert refused(drive.get, id).status == 404


def test_R2_13_a_failed_turn_releases_its_conversation() -> None:
    drive = Driver()
    conversation = drive.conversation()["id"]
    drive.script({"reply": {"failed": {"code": "server_error", "message": "m"}}, "pacing": {"first_token": 5}})
    body = json.dumps({"model": "gpt-4.1", "input": "u", "conversation": conversation}).encode()
    drive.engine.create_response("p", body)
    assert refused(drive.create, conversation=conversation).code == "conversation_locked"
    drive.advance(seconds=6)
    assert drive.items(conversation)["data"] == []
    assert drive.create(conversation=conversation)["status"] == "completed"


def test_a_conversation_deleted_while_a_turn_runs() -> None:
    drive = Driver()
    conversation = drive.conversation()["id"]
    id = begin(drive, 5, conversation=conversation)
    Api(drive.engine).delete_conversation("p", conversation)
    drive.advance(seconds=6)
    assert drive.get(id)["conversation"] == {"id": conversation}
