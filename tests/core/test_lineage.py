"""Where a request continues. Spec: R1.20–R1.32, R2.7."""

from __future__ import annotations

import pytest

from tests.support.driving import Driver, refused, summary


def unknown(id: str) -> tuple[int, str, str, str]:
    return 400, f"Previous response with id '{id}' not found.", "previous_response_id", "previous_response_not_found"


def test_R1_20_context_is_every_ancestors_input_and_output_oldest_first() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "a1"}}, {"reply": {"text": "a2"}})
    first = drive.create("u1")
    second = drive.create("u2", previous_response_id=first["id"])
    third = drive.create("u3", previous_response_id=second["id"])
    assert drive.context(third["id"]) == ["u1", "a1", "u2", "a2", "u3"]


def test_R1_21_instructions_are_not_inherited_but_system_messages_are() -> None:
    drive = Driver()
    system = {"role": "system", "content": "be brief"}
    first = drive.create([system, {"role": "user", "content": "u1"}], instructions="speak French")
    second = drive.create("u2", previous_response_id=first["id"])
    assert second["instructions"] is None
    assert drive.engine.control.context("p", second["id"])["instructions"] is None
    assert drive.context(second["id"])[:2] == ["be brief", "u1"]


def test_R1_22_nothing_else_is_inherited() -> None:
    drive = Driver()
    first = drive.create("u", temperature=0.5, metadata={"a": "b"}, max_output_tokens=50, truncation="auto")
    second = drive.create("u", previous_response_id=first["id"])
    silent = drive.create("u")
    own = {"id", "output", "previous_response_id", "usage", "created_at", "completed_at"}
    assert {k: v for k, v in second.items() if k not in own} == {k: v for k, v in silent.items() if k not in own}


def test_R1_23_conversation_and_parent_exclude_each_other_before_any_lookup() -> None:
    error = refused(Driver().create, previous_response_id="resp_x", conversation="conv_x")
    message = "Mutually exclusive parameters: ''. Ensure you are only providing one of: 'pre..._id' or 'conversation'."
    assert summary(error) == (400, message, None, "mutually_exclusive_parameters")


def test_R1_24_unknown_parent() -> None:
    assert summary(refused(Driver().create, previous_response_id="resp_123")) == unknown("resp_123")


def test_R1_24_deleted_parent() -> None:
    drive = Driver()
    first = drive.create()
    drive.delete(first["id"])
    assert summary(refused(drive.create, previous_response_id=first["id"])) == unknown(first["id"])


def test_R1_4_unstored_parent() -> None:
    drive = Driver()
    first = drive.create(store=False)
    assert summary(refused(drive.create, previous_response_id=first["id"])) == unknown(first["id"])


def test_R1_2_and_R1_3_a_parent_expires_thirty_days_after_it_was_created_used_or_not() -> None:
    drive = Driver()
    first = drive.create("u1")
    drive.advance(days=29)
    second = drive.create("u2", previous_response_id=first["id"])
    drive.advance(seconds=86_399)
    assert drive.get(first["id"])["id"] == first["id"]
    drive.advance(seconds=1)
    error = refused(drive.get, first["id"])
    assert summary(error) == (404, f"Response with id '{first['id']}' not found.", None, None)
    assert summary(refused(drive.create, previous_response_id=first["id"])) == unknown(first["id"])
    third = drive.create("u3", previous_response_id=second["id"])
    assert drive.context(third["id"])[0] == "u1"


def test_R1_31_a_deleted_ancestor_does_not_break_the_chain() -> None:
    drive = Driver()
    first = drive.create("u1")
    second = drive.create("u2", previous_response_id=first["id"])
    drive.delete(first["id"])
    third = drive.create("u3", previous_response_id=second["id"])
    assert drive.context(third["id"])[0] == "u1"


def test_R1_26_and_27_chaining_out_of_a_conversation_adds_nothing_to_it() -> None:
    drive = Driver()
    conversation = drive.conversation()["id"]
    first = drive.create("u1", conversation=conversation)
    before = drive.items(conversation)
    second = drive.create("u2", previous_response_id=first["id"])
    assert "conversation" not in second
    assert second["previous_response_id"] == first["id"]
    assert drive.context(second["id"])[0] == "u1"
    assert drive.items(conversation) == before


def test_R1_28_forks_do_not_see_each_other() -> None:
    drive = Driver()
    root = drive.create("root")
    left = drive.create("left", previous_response_id=root["id"])
    right = drive.create("right", previous_response_id=root["id"])
    again = drive.create("again", previous_response_id=left["id"])
    assert "left" not in drive.context(right["id"])
    assert "right" not in drive.context(again["id"])


@pytest.mark.parametrize(
    ("ending", "chained"),
    [
        ({"failed": {"code": "server_error", "message": "m"}}, False),
        ({"text": "a", "incomplete": "max_output_tokens"}, True),
    ],
)
def test_R1_32_only_a_good_ending_can_be_continued(ending: dict[str, object], chained: bool) -> None:
    drive = Driver()
    reply = ending if "failed" in ending else {"incomplete": "max_output_tokens"}
    drive.script({"reply": reply})
    first = drive.create()
    if chained:
        assert first["status"] == "incomplete"
        assert drive.create(previous_response_id=first["id"])["status"] == "completed"
    else:
        assert first["status"] == "failed"
        assert summary(refused(drive.create, previous_response_id=first["id"])) == unknown(first["id"])


def test_R2_7_conversation_as_text_and_as_object() -> None:
    drive = Driver()
    id = drive.conversation()["id"]
    assert drive.create(conversation=id)["conversation"] == {"id": id}
    assert drive.create(conversation={"id": id})["conversation"] == {"id": id}
    assert len(drive.items(id)["data"]) == 4


def test_R2_7_an_unknown_conversation_is_never_created() -> None:
    error = refused(Driver().create, conversation="conv_123")
    assert summary(error) == (404, "Conversation with id 'conv_123' not found.", None, None)


def test_R1_45_an_unknown_prompt_comes_before_an_unknown_parent() -> None:
    error = refused(Driver().create, prompt={"id": "pmpt_1"}, previous_response_id="resp_1")
    assert summary(error) == (404, "Prompt with id 'pmpt_1' not found.", None, None)


def test_projects_never_see_each_other() -> None:
    one = Driver()
    other = Driver(one.engine, project="q")
    first = one.create()
    assert refused(other.get, first["id"]).status == 404
    assert refused(other.create, previous_response_id=first["id"]).code == "previous_response_not_found"
