"""Conversations and their items. Spec: R2.1–R2.21, R1.8, R1.9."""

from __future__ import annotations

import json

from tests.support.api import Api
from tests.support.driving import Driver, refused, summary, text_of

USER = {"role": "user", "content": "hi"}


def texts(drive: Driver, id: str) -> list[str]:
    return [text_of(item) for item in drive.items(id, order="asc", limit="100")["data"]]


def not_found(id: str) -> tuple[int, str, None, None]:
    return 404, f"Conversation with id '{id}' not found.", None, None


def test_P9_create_with_nothing_and_with_everything() -> None:
    drive = Driver()
    empty = drive.conversation()
    assert list(empty) == ["id", "object", "created_at", "metadata"]
    assert (empty["object"], empty["metadata"], empty["created_at"]) == ("conversation", {}, 1_795_176_000)
    full = drive.conversation(items=[USER], metadata={"topic": "demo"})
    assert full["metadata"] == {"topic": "demo"}
    assert texts(drive, full["id"]) == ["hi"]


def test_R2_3_items_come_back_in_input_order_with_ids_and_status() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    made = drive.add(id, USER, {"role": "assistant", "content": "yes"})
    assert [text_of(item) for item in made] == ["hi", "yes"]
    assert all(item["id"].startswith("msg_") and item["status"] == "completed" for item in made)
    assert made[0]["id"][4:20] == id[-16:]


def test_R2_4_update_replaces_metadata() -> None:
    drive = Driver()
    id = drive.conversation(metadata={"a": "1", "b": "2"})["id"]
    changed = json.loads(Api(drive.engine).update_conversation("p", id, b'{"metadata":{"c":"3"}}'))
    assert changed["metadata"] == {"c": "3"}
    assert json.loads(Api(drive.engine).retrieve_conversation("p", id)) == changed


def test_R2_6_unknown_and_deleted_conversations() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    marker = json.loads(Api(drive.engine).delete_conversation("p", id))
    assert marker == {"id": id, "object": "conversation.deleted", "deleted": True}
    for call in (Api(drive.engine).retrieve_conversation, Api(drive.engine).delete_conversation):
        assert summary(refused(call, "p", id)) == not_found(id)
    assert summary(refused(drive.items, id)) == not_found(id)
    assert summary(refused(drive.create, conversation=id)) == not_found(id)


def test_R2_8_items_precede_the_input_and_input_then_output_are_appended() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "a1"}}, {"reply": {"text": "a2"}})
    id = drive.conversation(items=[{"role": "user", "content": "old"}])["id"]
    first = drive.create("u1", conversation=id)
    assert drive.context(first["id"]) == ["old", "u1"]
    second = drive.create("u2", conversation=id)
    assert drive.context(second["id"]) == ["old", "u1", "a1", "u2"]
    assert texts(drive, id) == ["old", "u1", "a1", "u2", "a2"]


def test_R1_8_conversations_never_expire_and_R1_9_their_responses_do() -> None:
    drive = Driver()
    id = drive.conversation(items=[USER])["id"]
    response = drive.create("u1", conversation=id)
    drive.advance(days=3653)
    assert refused(drive.get, response["id"]).status == 404
    assert len(texts(drive, id)) == 3
    later = drive.create("u2", conversation=id)
    assert drive.context(later["id"])[:2] == ["hi", "u1"]


def test_R2_18_an_unstored_turn_still_writes_to_its_conversation() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    response = drive.create("u1", conversation=id, store=False)
    assert len(texts(drive, id)) == 2
    assert refused(drive.get, response["id"]).status == 404
    assert refused(drive.create, previous_response_id=response["id"]).code == "previous_response_not_found"


def test_R2_10_a_failed_turn_adds_nothing_an_incomplete_one_does() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    drive.script(
        {"reply": {"failed": {"code": "server_error", "message": "m"}}}, {"reply": {"incomplete": "content_filter"}}
    )
    assert drive.create("u1", conversation=id)["status"] == "failed"
    assert texts(drive, id) == []
    assert drive.create("u2", conversation=id)["status"] == "incomplete"
    assert texts(drive, id)[0] == "u2"


def test_an_error_leaves_the_conversation_alone() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    drive.script({"reply": {"error": {"code": "rate_limit_exceeded"}}})
    assert refused(drive.create, "u1", conversation=id).status == 429
    assert texts(drive, id) == []


def test_R2_15_a_deleted_item_no_longer_feeds_later_turns() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "a1"}})
    id = drive.conversation()["id"]
    first = drive.create("u1", conversation=id)
    answer = first["output"][0]["id"]
    shown = json.loads(Api(drive.engine).delete_item("p", id, answer))
    assert shown == json.loads(Api(drive.engine).retrieve_conversation("p", id))
    assert texts(drive, id) == ["u1"]
    second = drive.create("u2", conversation=id)
    assert drive.context(second["id"]) == ["u1", "u2"]
    gone = (404, f"Item with id '{answer}' not found in conversation.", None, None)
    assert summary(refused(Api(drive.engine).retrieve_item, "p", id, answer, ())) == gone
    assert summary(refused(Api(drive.engine).delete_item, "p", id, answer)) == gone


def test_what_a_response_saw_stays_when_the_conversation_is_edited() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "a1"}})
    id = drive.conversation()["id"]
    first = drive.create("u1", conversation=id)
    second = drive.create("u2", conversation=id)
    Api(drive.engine).delete_item("p", id, first["output"][0]["id"])
    assert drive.context(second["id"]) == ["u1", "a1", "u2"]
    assert texts(drive, id)[:2] == ["u1", "u2"]


def test_pop_and_go_on_as_sessions_do() -> None:
    drive = Driver()
    id = drive.conversation(items=[{"role": "user", "content": str(n)} for n in range(5)])["id"]
    for expected in ("4", "3"):
        [newest] = drive.items(id, limit="1")["data"]
        assert text_of(newest) == expected
        Api(drive.engine).delete_item("p", id, newest["id"])
    drive.add(id, {"role": "user", "content": "5"})
    assert texts(drive, id) == ["0", "1", "2", "5"]
    made = drive.create("6", conversation=id)
    assert drive.context(made["id"]) == ["0", "1", "2", "5", "6"]


def test_R1_35_and_R2_16_an_unanswered_call_blocks_until_answered_or_deleted() -> None:
    drive = Driver()
    call = {"type": "function_call", "name": "f", "arguments": {}, "call_id": "call_1"}
    drive.script({"reply": {"output": [call]}})
    id = drive.conversation()["id"]
    made = drive.create("u1", conversation=id)
    stuck = refused(drive.create, "u2", conversation=id)
    assert summary(stuck) == (400, "No tool output found for function call call_1.", "input", None)
    Api(drive.engine).delete_item("p", id, made["output"][0]["id"])
    assert drive.create("u2", conversation=id)["status"] == "completed"
    orphan = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    assert refused(drive.create, [orphan], conversation=id).message.startswith("No tool call found")


def test_R2_16_an_output_whose_call_was_deleted_blocks_until_it_is_deleted_too() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    kept = drive.add(id, call, output, output)  # the call may be answered twice
    drive.add(id, {"role": "user", "content": "u"})
    assert drive.create("u", conversation=id)["status"] == "completed"
    Api(drive.engine).delete_item("p", id, kept[0]["id"])
    for _ in kept[1:]:
        stuck = refused(drive.create, "u", conversation=id)
        assert summary(stuck) == (
            400,
            "No tool call found for function call output with call_id call_1.",
            "input",
            None,
        )
        Api(drive.engine).delete_item("p", id, kept.pop()["id"])
    assert drive.create("u", conversation=id)["status"] == "completed"


def test_an_output_without_a_call_may_be_added_by_hand_and_blocks() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    drive.add(id, {"type": "function_call_output", "call_id": "call_1", "output": "x"})
    assert refused(drive.create, "u", conversation=id).message.startswith("No tool call found")


def test_items_added_by_hand_pair_too() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    drive.add(id, {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"})
    assert refused(drive.create, "u", conversation=id).message == "No tool output found for function call call_1."
    drive.add(id, {"type": "function_call_output", "call_id": "call_1", "output": "x"})
    assert drive.create("u", conversation=id)["status"] == "completed"
    drive.add(id, {"type": "function_call_output", "call_id": "call_9", "output": "x"})


def test_the_same_id_twice_in_one_conversation() -> None:
    drive = Driver()
    id = drive.conversation(items=[{**USER, "type": "message", "id": "msg_mine"}])["id"]
    error = refused(drive.add, id, {**USER, "type": "message", "id": "msg_mine"})
    assert error.message.startswith("Duplicate item found with id msg_mine.")


def test_R2_11_and_12_a_conversation_is_locked_while_a_turn_runs() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "a1"}, "pacing": {"first_token": 10}})
    id = drive.conversation()["id"]
    body = json.dumps({"model": "gpt-4.1", "input": "u1", "conversation": id}).encode()
    running = drive.engine.create_response("p", body)
    locked = refused(drive.create, "u2", conversation=id)
    text = "Another process is currently operating on this conversation. Please retry in a few seconds."
    assert summary(locked) == (400, text, "conversation", "conversation_locked")
    assert texts(drive, id) == []
    assert refused(drive.get, running.id).status == 404
    assert drive.advance(seconds=9.9)["completed"] == []
    assert drive.advance(seconds=0.1)["completed"] == [running.id]
    assert texts(drive, id) == ["u1", "a1"]
    assert drive.get(running.id)["status"] == "completed"
    assert drive.create("u2", conversation=id)["status"] == "completed"


def test_R2_12_items_added_while_a_turn_runs_come_before_what_it_adds() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "a1"}, "pacing": {"first_token": 10}})
    id = drive.conversation(items=[USER])["id"]
    body = json.dumps({"model": "gpt-4.1", "input": "u1", "conversation": id}).encode()
    running = drive.engine.create_response("p", body)
    drive.add(id, {"role": "user", "content": "by hand"})
    drive.engine.finish("p", running.id)
    assert texts(drive, id) == ["hi", "by hand", "u1", "a1"]
    assert drive.context(running.id) == ["hi", "u1"]
    assert drive.context(drive.create("u2", conversation=id)["id"]) == ["hi", "by hand", "u1", "a1", "u2"]
