"""Reasoning that the newest models do not read again after another history. Spec: R1.46, O1."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.core import reasoning_origin
from mockserver.core.state import items_up_to
from tests.support.driving import Driver
from tests.support.examples import examples

CHECKS = "gpt-6.2-astra"
TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}, "strict": False}


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


def ask(drive: Driver, input: Any, model: str = CHECKS, **fields: Any) -> dict[str, Any]:
    return drive.create(input, model=model, **fields)


def think(drive: Driver, input: Any = "one", **fields: Any) -> dict[str, Any]:
    """The reasoning, message and so on of a turn; it thinks."""
    response = ask(drive, input, **fields)
    assert response["output"][0]["type"] == "reasoning"
    return response


def withheld(response: dict[str, Any]) -> list[tuple[str, str]]:
    entries = response.get("input_transformations")
    assert entries != [], "the key is there only when it happened"
    for entry in entries or []:
        assert list(entry) == ["id", "type", "action", "reason"]
        assert (entry["type"], entry["action"]) == ("reasoning", "removed")
    return [(entry["id"], entry["reason"]) for entry in entries or []]


# --- stateless -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", [True, False])
def test_R1_46_appending_changes_nothing(store: bool) -> None:
    drive = Driver()
    history: list[Any] = [user("one")]
    for text in ("two", "three", "four"):
        turn = think(drive, history, store=store)
        assert "input_transformations" not in turn
        history += [*turn["output"], user(text)]


@pytest.mark.parametrize("store", [True, False])
def test_R1_46_one_letter_of_the_first_turn_withholds_what_was_thought_after_it(store: bool) -> None:
    drive = Driver()
    first = think(drive, [user("one")], store=store)
    second = think(drive, [user("one"), *first["output"], user("two")], store=store)
    rest = [*first["output"], user("two"), *second["output"], user("three")]
    third = ask(drive, [user("ine"), *rest], store=store)
    ids = [first["output"][0]["id"], second["output"][0]["id"]]
    assert withheld(third) == [(id, "prefix_mismatch") for id in ids]
    assert third["status"] == "completed"


def test_R1_46_the_same_edit_is_accepted_by_earlier_models() -> None:
    """Spec: R1.42."""
    drive = Driver()
    first = think(drive, [user("one")], model="gpt-6.1-sol")
    edited = ask(drive, [user("ine"), *first["output"], user("two")], model="gpt-6.1-sol")
    assert "input_transformations" not in edited
    assert "input_transformations" not in ask(drive, [user("ine"), *first["output"], user("two")])


def test_R1_46_withheld_reasoning_is_neither_read_nor_billed() -> None:
    drive = Driver()
    first = think(drive, [user("one")])
    window = [user("ine"), *first["output"], user("two")]
    bare = [item for item in window if item["type"] != "reasoning"]
    edited = ask(drive, window)
    assert edited["usage"]["input_tokens"] == drive.count(input=bare, model=CHECKS)
    assert drive.count(input=window, model=CHECKS) == drive.count(input=bare, model=CHECKS)
    assert drive.context(edited["id"]) == ["ine", first["output"][1]["content"][0]["text"], "two"]
    assert drive.input_items(edited["id"], order="asc")["data"][1]["type"] == "reasoning", "it is listed all the same"


def test_R1_46_what_was_thought_without_withheld_reasoning_stays_valid_with_and_without_it() -> None:
    drive = Driver()
    first = think(drive, [user("one")])
    edited = think(drive, [user("ine"), *first["output"], user("two")])
    later = [*edited["output"], user("three")]
    again = ask(drive, [user("ine"), *first["output"], user("two"), *later])
    assert withheld(again) == [(first["output"][0]["id"], "prefix_mismatch")]
    cleaned = ask(drive, [user("ine"), *first["output"][1:], user("two"), *later])
    assert withheld(cleaned) == []


CHANGES: dict[str, tuple[dict[str, Any], str]] = {
    "tools": ({"tools": [TOOL]}, "prefix_mismatch"),
    "format": ({"text": {"format": {"type": "json_object"}}, "instructions": "json"}, "prefix_mismatch"),
    "a lower model": ({"model": "gpt-6.2-sol"}, "model_mismatch"),
    "another user": ({"safety_identifier": "b"}, "end_user_mismatch"),
    "no user": ({"safety_identifier": None}, "end_user_mismatch"),
    "less context": ({"reasoning": {"context": "current_turn"}}, "turn_boundary"),
}
SAME: dict[str, dict[str, Any]] = {
    "instructions": {"instructions": "Be brief."},
    "tool choice": {"tool_choice": "none"},
    "another temperature of the answer": {"text": {"verbosity": "low"}},
    "the format of old": {"text": {"format": {"type": "text"}}},
    "effort": {"reasoning": {"effort": "high"}},
    "metadata": {"metadata": {"a": "b"}},
}


@pytest.mark.parametrize("way", ["replayed", "chained", "in a conversation"])
@pytest.mark.parametrize("change", [*CHANGES, *SAME])
def test_R1_46_what_a_request_may_change(change: str, way: str) -> None:
    drive = Driver()
    fields: dict[str, Any] = {"safety_identifier": "a"}
    conversation = drive.conversation()["id"] if way == "in a conversation" else None
    if conversation:
        fields["conversation"] = conversation
    first = think(drive, [user("say json")], **fields)
    changed, reason = CHANGES[change] if change in CHANGES else (SAME[change], None)
    more = {**fields, **changed}
    if way == "replayed":
        second = ask(drive, [user("say json"), *first["output"], user("json")], **more)
    elif way == "chained":
        second = ask(drive, "json", previous_response_id=first["id"], **more)
    else:
        second = ask(drive, "json", **more)
    assert withheld(second) == ([(first["output"][0]["id"], reason)] if reason else [])
    # and when the request is again what it was
    if way == "chained":
        third = ask(drive, "json", previous_response_id=second["id"], **fields)
        assert first["output"][0]["id"] not in dict(withheld(third))


def test_R1_46_a_higher_model_reads_what_a_lower_one_thought() -> None:
    drive = Driver()
    first = think(drive, [user("one")], model="gpt-6.2-sol")
    assert withheld(ask(drive, [user("one"), *first["output"], user("two")])) == []


def test_R1_46_a_tool_loop_and_its_configuration_updates() -> None:
    drive = Driver()
    thought = {"type": "reasoning", "summary": []}
    drive.script({"reply": {"output": [thought, {"type": "function_call", "name": "look", "call_id": "call_1"}]}})
    first = think(drive, [user("one")], tools=[TOOL])
    output = {"type": "function_call_output", "call_id": "call_1", "output": "18"}
    update = {"type": "configuration_update", "reasoning": {"effort": "high"}}
    for window in ([user("one"), *first["output"], output], [update, user("one"), *first["output"], output]):
        assert withheld(ask(drive, window, tools=[TOOL])) == []
    assert withheld(ask(drive, [output], tools=[TOOL], previous_response_id=first["id"])) == []


def test_R1_46_hosted_calls_come_back_as_they_were_shown() -> None:
    """Members that only `include` shows are no edit. Spec: F3."""
    drive = Driver()
    call = {"type": "file_search_call", "queries": ["x"], "results": [{"file_id": "f", "text": "t"}]}
    thought = {"type": "reasoning", "summary": []}
    drive.script({"reply": {"output": [thought, call, thought, {"type": "message", "text": "done"}]}})
    first = think(drive, [user("one")])
    assert first["output"][1]["results"] is None
    again = [{key: value for key, value in item.items() if value is not None} for item in first["output"]]
    for output in (first["output"], again):
        assert withheld(ask(drive, [user("one"), *output, user("two")])) == []


@pytest.mark.parametrize("shape", ["last", "first", "first_and_last"])
def test_R1_46_compaction_changes_nothing(shape: str) -> None:
    """Spec: R5.3, R5.4, R5.6."""
    drive = Driver(set=(("compaction_shape", shape),))
    long = [user(" word" * 1200)]
    first = ask(drive, long, context_management=[{"type": "compaction", "compact_threshold": 1000}])
    start = max(at for at, item in enumerate(first["output"]) if item["type"] == "compaction")
    second = think(drive, [*long, *first["output"], user("two")])
    assert withheld(second) == []
    kept = [*first["output"][start:], user("two"), *second["output"], user("three")]
    assert withheld(ask(drive, kept)) == []


def test_R1_46_the_same_scripted_blob_in_two_turns() -> None:
    drive = Driver()
    thought = {"type": "reasoning", "summary": [], "encrypted_content": "gAAAAABsame"}
    line = {"reply": {"output": [thought, {"type": "message", "text": "done"}]}}
    drive.script(line, line)
    first = think(drive, [user("one")])
    history = [user("one"), *first["output"], user("two")]
    second = think(drive, history)
    third = ask(drive, [*history, *second["output"], user("three")])
    assert withheld(second) == withheld(third) == []
    assert len(withheld(ask(drive, [user("ine"), *history[1:], *second["output"], user("three")]))) == 2


# --- with a state --------------------------------------------------------------------------------------------------


def test_R1_46_a_deletion_in_a_conversation() -> None:
    drive = Driver()
    conversation = drive.conversation(items=[user("zero")])["id"]
    first = think(drive, "one", conversation=conversation)
    assert withheld(think(drive, "two", conversation=conversation)) == []
    zero = drive.items(conversation, order="asc")["data"][0]
    drive.call("DELETE", f"/v1/conversations/{conversation}/items/{zero['id']}")
    ids = [reason for _, reason in withheld(ask(drive, "three", conversation=conversation))]
    assert ids == ["prefix_mismatch"] * 2
    assert first["output"][0]["id"] in dict(withheld(ask(drive, "four", conversation=conversation)))


def test_a_chain_is_walked_only_where_something_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    drive = Driver()
    turn = think(drive, "one")
    for _ in range(3):
        turn = think(drive, "more", previous_response_id=turn["id"])
    walks: list[str | None] = []

    def walk(state: Any, id: str | None) -> list[Any]:
        walks.append(id)
        return items_up_to(state, id)

    monkeypatch.setattr(reasoning_origin, "items_up_to", walk)
    ask(drive, "more", previous_response_id=turn["id"])
    assert walks == []
    changed = ask(drive, "more", previous_response_id=turn["id"], tools=[TOOL])
    assert walks == [turn["id"]]
    assert len(withheld(changed)) == 4


def test_O1_in_its_place_among_the_keys_and_in_streams() -> None:
    """Spec: W9, W18."""
    drive = Driver()
    first = think(drive, [user("one")])
    window = [user("ine"), *first["output"], user("two")]
    keys = list(ask(drive, window))
    assert keys[keys.index("incomplete_details") + 1] == "input_transformations"
    events = drive.stream(window, model=CHECKS)
    assert withheld(events[-1]["response"]) == [(first["output"][0]["id"], "prefix_mismatch")]


@examples(40)
@given(st.data())
def test_R1_46_whatever_is_edited_withholds_exactly_what_was_thought_after_it(data: st.DataObject) -> None:
    drive = Driver()
    history: list[Any] = [user("u0")]
    for number in range(1, 4):
        turn = think(drive, history, store=False)
        history += [*turn["output"], user(f"u{number}")]
    at = data.draw(st.sampled_from([at for at, item in enumerate(history) if item["type"] == "message"]))
    edit = data.draw(st.sampled_from(["replace", "remove", "insert", "append"]))
    new = user("edited")
    edited = {
        "replace": [*history[:at], new, *history[at + 1 :]],
        "remove": [*history[:at], *history[at + 1 :]],
        "insert": [*history[:at], new, *history[at:]],
        "append": [*history, new],
    }[edit]
    expected = [] if edit == "append" else [item["id"] for item in history[at:] if item["type"] == "reasoning"]
    assert [id for id, _ in withheld(ask(drive, edited, store=False))] == expected
