"""A request's own items against the store. Spec: R1.36, R1.37, E68, E69, E70."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.core.item_resolution import check_reasoning
from mockserver.core.records import Put
from mockserver.core.state import Node, Summary, item_pointers
from tests.support.api import Api
from tests.support.driving import Driver, refused, summary
from tests.support.records import Records

REASONING_MODEL = "gpt-5.6-terra"


def message(id: str | None = None, text: str = "a") -> dict[str, object]:
    item: dict[str, object] = {
        "type": "message",
        "role": "assistant",
        "content": [{"type": "output_text", "text": text}],
    }
    return item | {"id": id, "status": "completed"} if id else item


def test_R1_37_a_reference_pulls_in_a_stored_item() -> None:
    drive = Driver()
    first = drive.create("u1")
    output = first["output"][0]
    second = drive.create([{"type": "item_reference", "id": output["id"]}, {"role": "user", "content": "u2"}])
    listed = drive.input_items(second["id"], order="asc")["data"]
    assert listed[0] == output
    assert [item["type"] for item in listed] == ["message", "message"]


def test_F8_2_a_lone_id_is_a_reference() -> None:
    drive = Driver()
    first = drive.create("u1")
    second = drive.create([{"id": first["output"][0]["id"]}])
    assert drive.input_items(second["id"])["data"] == first["output"]


def test_E68_unknown_reference() -> None:
    error = refused(Driver().create, [{"type": "item_reference", "id": "msg_123"}])
    assert summary(error) == (404, "Item with id 'msg_123' not found.", "input", None)


def test_E69_unknown_reference_without_store() -> None:
    error = refused(Driver().create, [{"type": "item_reference", "id": "msg_123"}], store=False)
    assert summary(error) == (
        404,
        "Item with id 'msg_123' not found. Items are not persisted when `store` is set to false. "
        "Try again with `store` set to true, or remove this item from your input.",
        "input",
        None,
    )


def test_E68_an_unknown_output_item_inline() -> None:
    error = refused(Driver().create, [message("msg_123"), {"role": "user", "content": "u"}])
    assert summary(error) == (404, "Item with id 'msg_123' not found.", "input", None)


def test_output_of_a_stored_response_can_be_replayed() -> None:
    drive = Driver()
    first = drive.create("u1")
    second = drive.create([{"role": "user", "content": "u1"}, *first["output"], {"role": "user", "content": "u2"}])
    assert drive.input_items(second["id"], order="asc")["data"][1] == first["output"][0]


def test_R1_43_output_of_an_unstored_response_can_be_replayed() -> None:
    drive = Driver()
    fields = {"store": False, "model": REASONING_MODEL, "include": ["reasoning.encrypted_content"]}
    first = drive.create("u1", **fields)
    assert [item["type"] for item in first["output"]] == ["reasoning", "message"]
    history = [{"role": "user", "content": "u1"}, *first["output"], {"role": "user", "content": "u2"}]
    assert drive.create(history, **fields)["status"] == "completed"


def test_E69_unstored_reasoning_without_its_sealed_content_is_lost() -> None:
    drive = Driver()
    first = drive.create("u1", store=False, model=REASONING_MODEL)
    bare = {key: value for key, value in first["output"][0].items() if key != "encrypted_content"}
    error = refused(drive.create, [bare, {"role": "user", "content": "u2"}], store=False, model=REASONING_MODEL)
    assert (error.status, error.param) == (404, "input")
    assert error.message.startswith(f"Item with id '{bare['id']}' not found. Items are not persisted")


def test_R1_42_tampered_reasoning_is_E57() -> None:
    drive = Driver()
    first = drive.create("u1", store=False, model=REASONING_MODEL)
    reasoning = first["output"][0]
    blob = reasoning["encrypted_content"]
    broken = {**reasoning, "encrypted_content": blob[:50] + ("A" if blob[50] != "A" else "B") + blob[51:]}
    error = refused(drive.create, [broken], store=False, model=REASONING_MODEL)
    assert summary(error) == (
        400,
        f"The encrypted content for item {reasoning['id']} could not be verified. "
        "Reason: Encrypted content could not be decrypted or parsed.",
        None,
        "invalid_encrypted_content",
    )


def test_R1_42_sealed_content_is_read_by_any_project_with_the_same_seed() -> None:
    one = Driver()
    first = one.create("u1", store=False, model=REASONING_MODEL)
    other = Driver(project="another")
    assert other.create(first["output"], store=False, model=REASONING_MODEL)["status"] == "completed"


def test_E55_reasoning_for_a_model_that_cannot_read_it() -> None:
    drive = Driver()
    first = drive.create("u1", model=REASONING_MODEL)
    error = refused(drive.create, first["output"], model="gpt-4.1")
    assert error.message == (
        "Reasoning input items can only be provided to a reasoning or computer use model. "
        "Remove reasoning items from your input and try again."
    )


def test_T9_a_replayed_reasoning_item_gets_back_its_hidden_content() -> None:
    drive = Driver(set=(("encrypted_content", "included"),))
    first = drive.create("u1", model=REASONING_MODEL)
    reasoning, answer = first["output"]
    assert "encrypted_content" not in reasoning
    replayed = [{"role": "user", "content": "u1"}, reasoning, answer]
    second = drive.create(replayed, model=REASONING_MODEL)
    pairs = {"include[]": "reasoning.encrypted_content"}
    listed = drive.input_items(second["id"], order="asc", **pairs)["data"]
    assert listed[1]["encrypted_content"].startswith("gAAAAAB")


def test_E68_reasoning_that_nobody_made() -> None:
    thought = {"type": "reasoning", "id": "rs_123", "summary": []}
    error = refused(Driver().create, [thought, message()], model=REASONING_MODEL)
    assert summary(error) == (404, "Item with id 'rs_123' not found.", "input", None)


THOUGHT: dict[str, Any] = {"type": "reasoning", "id": "rs_1", "summary": []}
CALL: dict[str, Any] = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}"}
USER: dict[str, Any] = {"type": "message", "id": "msg_u", "role": "user", "content": []}


def stored_turn() -> Records:
    """A stored response that thought and then called a function."""
    node = Node("resp_1", None, [USER, THOUGHT, CALL], 1, 0, Summary(), status="completed")
    pointers = [change for change in item_pointers(node) if isinstance(change, Put)]
    return Records(Put("node", node.id, node.doc()), *pointers)


@pytest.mark.parametrize(
    "input",
    [
        [THOUGHT, CALL],
        [THOUGHT, {**THOUGHT, "id": "rs_2"}, CALL],
        [{**CALL, "id": "fc_unknown"}],
        [USER],
        [{"type": "message", "role": "user", "content": []}],
    ],
)
def test_R1_39_pairs_that_are_whole(input: list[dict[str, Any]]) -> None:
    check_reasoning(stored_turn(), input, None)


@pytest.mark.parametrize("input", [[THOUGHT], [THOUGHT, USER], [THOUGHT, {**THOUGHT, "id": "rs_2"}]])
def test_E73_reasoning_without_what_it_led_to(input: list[dict[str, Any]]) -> None:
    error = refused(check_reasoning, stored_turn(), input, None)
    text = "Item 'rs_1' of type 'reasoning' was provided without its required following item."
    assert summary(error) == (400, text, "input", None)


@pytest.mark.parametrize("input", [[CALL], [CALL, THOUGHT, CALL]])
def test_E74_a_call_without_the_reasoning_it_came_from(input: list[dict[str, Any]]) -> None:
    error = refused(check_reasoning, stored_turn(), input, None)
    text = "Item 'fc_1' of type 'function_call' was provided without its required 'reasoning' item: 'rs_1'."
    assert summary(error) == (400, text, "input", None)


def test_R1_39_reasoning_of_the_chain_counts() -> None:
    check_reasoning(stored_turn(), [CALL], "resp_1")


def test_E70_the_same_id_twice_in_one_input() -> None:
    drive = Driver()
    output = drive.create("u1")["output"]
    error = refused(drive.create, [*output, *output])
    text = f"Duplicate item found with id {output[0]['id']}. Remove duplicate items from your input and try again."
    assert summary(error) == (400, text, "input", None)


def test_E70_an_item_that_the_chain_already_holds() -> None:
    drive = Driver()
    first = drive.create("u1")
    error = refused(drive.create, first["output"], previous_response_id=first["id"])
    assert error.message.startswith(f"Duplicate item found with id {first['output'][0]['id']}.")
    reference = [{"type": "item_reference", "id": first["output"][0]["id"]}]
    assert refused(drive.create, reference, previous_response_id=first["id"]).message == error.message


def test_items_live_as_long_as_their_response_unless_a_conversation_keeps_them() -> None:
    drive = Driver()
    chained = drive.create("u1")
    conversation = drive.conversation()["id"]
    kept = drive.create("u1", conversation=conversation)
    drive.advance(days=30)
    assert refused(drive.create, [{"type": "item_reference", "id": chained["output"][0]["id"]}]).status == 404
    assert drive.create([{"type": "item_reference", "id": kept["output"][0]["id"]}])["status"] == "completed"


def test_R2_5_items_of_a_deleted_conversation_can_be_referred_to() -> None:
    drive = Driver()
    conversation = drive.conversation(items=[{"role": "user", "content": "kept"}])["id"]
    [item] = drive.items(conversation)["data"]
    Api(drive.engine).delete_conversation("p", conversation)
    made = drive.create([{"type": "item_reference", "id": item["id"]}])
    assert drive.context(made["id"]) == ["kept"]
