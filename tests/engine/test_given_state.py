"""Given state: what a project starts from, by a scenario or the control API, after resets and restarts. Spec: R15.7."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.config.settings import SettingError, Settings
from mockserver.engine.engine import Engine
from mockserver.wire.errors.api import MockError
from tests.support.driving import NOON, Driver, refused, text_of
from tests.support.examples import examples
from tests.support.item_inputs import INPUTS

DAY = 86_400
# the id of the conversation in OpenAI's guide on conversation state
GUIDE = "conv_689667905b048191b4740501625afd940c7533ace33a2dab"
CALL = {"type": "function_call", "name": "look", "arguments": {"at": "sky"}, "call_id": "call_1"}
STATE: dict[str, Any] = {
    "conversations": [
        {
            "id": GUIDE,
            "metadata": {"topic": "demo"},
            "items": [{"role": "user", "content": "What are the 5 Ds?"}, {"role": "assistant", "content": "Dodge."}],
        }
    ],
    "responses": [
        {"id": "resp_a", "model": "gpt-4.1", "input": "Hi.", "output": "Hello.", "age": {"days": 29, "hours": 23}},
        {
            "id": "resp_b",
            "previous_response_id": "resp_a",
            "input": [{"role": "user", "content": "b"}],
            "output": [CALL],
        },
        {"conversation": GUIDE, "input": "Who said so?", "output": [{"type": "message", "text": "{{ turn }}"}]},
    ],
}


def give(drive: Driver, **state: Any) -> dict[str, list[str]]:
    return drive.engine.control.give("p", state)


def texts(drive: Driver, id: str) -> list[str]:
    return [text_of(item) for item in drive.engine.control.context("p", id)["items"] if item["type"] == "message"]


def test_a_conversation_has_the_id_and_the_items_that_it_was_given() -> None:
    drive = Driver()
    made = give(drive, **STATE)
    assert made["conversations"] == [GUIDE] and made["responses"][:2] == ["resp_a", "resp_b"]
    conversation = drive.call("GET", f"/v1/conversations/{GUIDE}")
    assert conversation == {"id": GUIDE, "object": "conversation", "created_at": NOON, "metadata": {"topic": "demo"}}
    answer = drive.create("And then?", conversation=GUIDE)
    said = ["What are the 5 Ds?", "Dodge.", "Who said so?", "{{ turn }}", "And then?"]
    assert texts(drive, answer["id"]) == said
    assert answer["id"][5:21] == GUIDE[-16:]  # Spec: W1


def test_a_response_is_a_turn_of_the_past() -> None:
    drive = Driver()
    give(drive, **STATE)
    first = drive.get("resp_a")
    assert (first["created_at"], first["model"]) == (NOON - 30 * DAY + 3600, "gpt-4.1-2025-04-14")
    assert text_of(first["output"][0]) == "Hello." and first["usage"]["input_tokens"] > 0
    plain = Driver()
    plain.script({"reply": {"text": "Hello."}})
    assert first["usage"] == plain.create("Hi.")["usage"]
    refusal = refused(drive.create, "go on", previous_response_id="resp_b")
    assert refusal.message == "No tool output found for function call call_1."  # Spec: E71
    output = {"type": "function_call_output", "call_id": "call_1", "output": "blue"}
    assert texts(drive, drive.create([output], previous_response_id="resp_b")["id"]) == ["Hi.", "Hello.", "b"]
    listed = [one["id"] for one in drive.engine.control.list_responses("p", limit=9, after=None)["data"]]
    assert listed[2:] == ["resp_b", "resp_a"] and len(listed) == 4


def test_R1_2_a_response_expires_by_its_age() -> None:
    drive = Driver()
    give(drive, **STATE)
    assert drive.advance(seconds=3600)["expired"] == ["resp_a"]
    assert refused(drive.get, "resp_a").status == 404
    give(drive, responses=[{"id": "resp_old", "input": "x", "output": "y", "age": {"days": 31}}])
    assert refused(drive.get, "resp_old").status == 404


def test_R1_42_blobs_that_are_given_are_taken_back() -> None:
    drive = Driver()
    thoughts = [
        {"type": "reasoning", "id": f"rs_{n}", "summary": [], "encrypted_content": f"gAAAAAB{n}"} for n in "abc"
    ]
    give(
        drive,
        conversations=[{"id": "conv_1", "items": [thoughts[0]]}],
        responses=[{"id": "resp_1", "input": [thoughts[1], {"role": "user", "content": "x"}], "output": [thoughts[2]]}],
    )
    answer = drive.create([*thoughts, {"role": "user", "content": "on"}], model="gpt-5.6-terra", store=False)
    assert answer["status"] == "completed"


def test_the_same_state_gives_the_same_ids() -> None:
    one, other = Driver(), Driver()
    assert give(one, **STATE) == give(other, **STATE)
    assert one.engine.control.snapshot("p") == other.engine.control.snapshot("p")


@pytest.mark.parametrize(
    ("state", "param", "words"),
    [
        ([], "given", "must be an object"),
        ({"conversation": []}, "given.conversation", "Did you mean 'conversations'?"),
        ({"conversations": [{"id": "x"}]}, "given.conversations[0].id", "must begin with 'conv_'"),
        ({"conversations": [{"items": [{"role": "boss"}]}]}, "given.conversations[0].items[0].role", "Unknown role"),
        ({"conversations": [{"items": [{"type": "item_reference", "id": "msg_1"}]}]}, None, "no item that a context"),
        ({"conversations": [{"id": GUIDE}, {"id": GUIDE}]}, "given.conversations[1].id", "is there already"),
        ({"responses": [{"id": "resp_1"}]}, "given.responses[0].output", "has no output"),
        ({"responses": [{"input": 1, "output": "a"}]}, "given.responses[0].input", "a text or a list of items"),
        ({"responses": [{"input": "a", "output": "b", "age": {"days": -1}}]}, None, "a number from 0"),
        ({"responses": [{"input": "a", "output": "b", "age": {"days": 30_000}}]}, None, "longer ago"),
        ({"responses": [{"input": "a", "output": "b", "model": "gpt-0"}]}, "given.responses[0]", "does not exist"),
        (
            {"responses": [{"input": "a", "output": "b", "previous_response_id": "resp_x"}]},
            "given.responses[0]",
            "Previous response with id 'resp_x' not found.",
        ),
    ],
)
def test_a_mistake_is_named_and_changes_nothing(state: Any, param: str | None, words: str) -> None:
    drive = Driver()
    before = drive.engine.control.snapshot("p")
    with pytest.raises(MockError) as caught:
        drive.engine.control.give("p", state)
    assert words in caught.value.message
    assert param in (None, caught.value.param)
    assert drive.engine.control.snapshot("p") == before


def test_what_is_there_already_is_not_replaced() -> None:
    drive = Driver()
    give(drive, **STATE)
    for wrong in ({"conversations": [{"id": GUIDE}]}, {"responses": [{"id": "resp_a", "input": "x", "output": "y"}]}):
        with pytest.raises(MockError, match="Reset the state first"):
            give(drive, **wrong)


def test_it_survives_snapshots_and_restarts(tmp_path: Path) -> None:
    where = f"sqlite:///{tmp_path}/state.db"
    drive = Driver(Engine(Settings(clock=NOON, store=where)))
    give(drive, **STATE)
    snapshot = drive.engine.control.snapshot("p")
    drive.engine.close()
    again = Driver(Engine(Settings(clock=NOON, store=where)))
    fork = Driver()
    fork.engine.control.restore("p", snapshot)
    answers = [one.create("And then?", conversation=GUIDE) for one in (again, fork)]
    assert answers[0] == answers[1]
    assert again.get("resp_a") == fork.get("resp_a")
    again.engine.close()


# --- in a scenario --------------------------------------------------------------------------------------------------


def scenario(tmp_path: Path, **state: Any) -> str:
    file = tmp_path / "given.json"
    file.write_text(json.dumps({"given": state or STATE, "lines": []}))
    return str(file)


def test_every_project_of_a_server_starts_from_its_scenario(tmp_path: Path) -> None:
    one = Driver(scenario=(scenario(tmp_path),))
    other = Driver(one.engine, project="q")
    for drive in (one, other):
        assert drive.get("resp_a")["id"] == "resp_a"
        assert "Dodge." in texts_of(drive, drive.create("next", conversation=GUIDE)["id"])
    one.engine.control.reset("p")
    assert texts_of(one, one.create("next", conversation=GUIDE)["id"])[-2:] == ["{{ turn }}", "next"]


def texts_of(drive: Driver, id: str) -> list[str]:
    items = drive.engine.control.context(drive.project, id)["items"]
    return [text_of(item) for item in items if item["type"] == "message"]


def test_a_reset_starts_from_the_time_of_the_clock(tmp_path: Path) -> None:
    drive = Driver(scenario=(scenario(tmp_path),))
    first = drive.engine.control.snapshot("p")
    drive.advance(days=60)
    assert refused(drive.get, "resp_a").status == 404
    drive.engine.control.reset("p", ["state"])
    assert drive.get("resp_a")["created_at"] == NOON + 30 * DAY + 3600
    drive.engine.control.reset("p")
    assert drive.engine.control.snapshot("p") == first


def test_a_server_says_at_its_start_what_cannot_be(tmp_path: Path) -> None:
    path = scenario(tmp_path, responses=[{"input": "a", "output": "b", "previous_response_id": "resp_x"}])
    with pytest.raises(SettingError, match=r"'given\.responses\[0\]' can't be: Previous response"):
        Engine(Settings(scenario=(path,)))


def test_a_snapshot_is_a_whole_state_of_its_own(tmp_path: Path) -> None:
    drive = Driver()
    kept = drive.create()
    file = tmp_path / "state.json"
    file.write_text(json.dumps(drive.engine.control.snapshot("p")))
    started = Driver(snapshot=str(file), scenario=(scenario(tmp_path),))
    assert started.get(kept["id"]) == kept and refused(started.get, "resp_a").status == 404


def test_a_project_s_own_scenario_gives_when_it_is_set_and_after_a_reset_of_the_state() -> None:
    drive = Driver()
    document = {"given": STATE, "lines": [{"reply": {"text": "own"}}]}
    assert drive.engine.control.set_scenario("p", document)["given"] == STATE
    assert drive.get("resp_a")["id"] == "resp_a"
    snapshot = drive.engine.control.snapshot("p")
    assert snapshot["scenario"]["scenario"]["given"] == STATE
    drive.engine.control.restore("p", snapshot)
    drive.engine.control.reset("p", ["state"])
    assert drive.get("resp_a")["id"] == "resp_a"
    with pytest.raises(MockError, match="Reset the state first"):
        drive.engine.control.set_scenario("p", document)
    drive.engine.control.reset("p")
    assert refused(drive.get, "resp_a").status == 404


def test_a_snapshot_with_wrong_given_state_is_refused() -> None:
    drive = Driver()
    drive.engine.control.set_scenario("p", {"given": STATE, "lines": []})
    snapshot = drive.engine.control.snapshot("p")
    snapshot["scenario"]["scenario"]["given"] = {"conversation": []}
    with pytest.raises(MockError) as caught:
        drive.engine.control.restore("p", snapshot)
    assert caught.value.param == "scenario.scenario.given.conversation"


# --- any items ------------------------------------------------------------------------------------------------------


@examples(60)
@given(st.lists(st.sampled_from(sorted(INPUTS)), unique=True, max_size=4))
def test_I3_what_a_client_may_send_may_be_given(names: list[str]) -> None:
    """Items of a given conversation are those that a client would have added to it."""
    items = [
        item
        for name in names
        for item in INPUTS[name]
        if item.get("type") not in ("item_reference", "compaction_trigger")
    ]
    drive, client = Driver(), Driver()
    try:
        drive.engine.control.give("p", {"conversations": [{"id": "conv_1", "items": items}]})
    except MockError as error:
        assert refused(client.call, "POST", "/v1/conversations", {"items": items}), error
        return
    made = client.call("POST", "/v1/conversations", {"items": items})
    listed = [
        one.call("GET", f"/v1/conversations/{id}/items", limit="100")["data"]
        for one, id in ((drive, "conv_1"), (client, made["id"]))
    ]
    assert [without_id(item) for item in listed[0]] == [without_id(item) for item in listed[1]]


def without_id(item: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in item.items() if key != "id"}
