"""Records of every kind are readable JSON, and come back from it byte by byte."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from mockserver.core.records import Put
from mockserver.snapshots.records import SECTIONS
from tests.support.driving import Driver

SLOW = {"reply": {"text": "one two"}, "pacing": {"first_token": 9}}
OVER = " word" * 130_000  # more than the window of gpt-4o


@pytest.fixture(scope="module")
def records() -> list[Put]:
    """The records of a project in which there is one of everything."""
    drive = Driver(set=(("ttl_from", "last_use"),))
    conversation = drive.conversation(items=[{"role": "user", "content": "hi"}])["id"]
    first = drive.create(" word" * 1200)
    drive.create("x", previous_response_id=first["id"], model="gpt-5.2")
    drive.create(
        [{"role": "user", "content": OVER}, {"role": "user", "content": "u"}], model="gpt-4o", truncation="auto"
    )
    drive.create("y", previous_response_id=drive.create("stays")["id"])
    drive.delete(first["id"])
    drive.get(drive.create(background=True, store=False)["id"])
    lines = [{"when": {"turn": 1}, "reply": {"text": "stays"}}]
    drive.engine.control.set_scenario("p", {"seed": 3, "lines": lines})
    drive.create()
    drive.script(SLOW, {"reply": {"text": "waits"}})
    drive.create(conversation=conversation, background=True)
    drive.engine.control.set_faults("p", [{"do": {"lock_conversation": 5}, "when": {"model": "none"}}])
    drive.engine.control.set_scenario("p", {"lines": [{"when": {"model": "gpt-4.1"}, "reply": {"text": "stays"}}]})
    drive.create(input="scripted", model="gpt-4.1-nano")
    drive.create(input="scripted")
    thought = {"type": "reasoning", "encrypted_content": "gAAAAABrecorded"}
    drive.script({"reply": {"output": [thought, {"type": "message", "text": "done"}]}})
    drive.create(model="gpt-5.4", store=False)
    drive.script({"reply": {"text": "waits"}})
    return drive.engine.store.records("p")


def test_there_is_a_section_for_every_kind(records: list[Put]) -> None:
    assert {section.kind for section in SECTIONS.values()} == {put.kind for put in records} - {"project"}


def test_each_record_comes_back(records: list[Put]) -> None:
    for section in SECTIONS.values():
        judge: Any = TypeAdapter(section.shape)
        for put in records:
            if put.kind == section.kind:
                shown = section.shown(put)
                assert section.stored(put.id, judge.validate_python(shown)) == put


def test_a_node_is_shown_by_the_names_of_its_parts(records: list[Put]) -> None:
    put = next(put for put in records if put.kind == "node" and put.id.startswith("resp_"))
    shown = SECTIONS["nodes"].shown(put)
    assert list(shown)[-1] == "items" and "packed" not in shown and "id" not in shown
    assert shown["summary"]["tally"]["total"] > 0
    assert shown["items"][0]["type"] == "message"


def test_what_was_left_out_has_its_default() -> None:
    judge: Any = TypeAdapter(SECTIONS["nodes"].shape)
    bare = {"parent": None, "own": 0, "created_at": 1, "summary": {}, "items": []}
    assert judge.validate_python(bare).include == []
    with pytest.raises(ValidationError, match="colour"):
        judge.validate_python({**bare, "colour": "red"})
