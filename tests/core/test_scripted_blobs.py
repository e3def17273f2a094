"""Encrypted content that a script brings along: handed out unchanged, taken back, paid for. Spec: R1.42, T9, T11."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.config.settings import Settings
from mockserver.core import encrypted_content
from mockserver.core.encrypted_content import KIND, read_payload, remember
from mockserver.engine.engine import Engine
from tests.support.driving import NOON, Driver, refused, summary
from tests.support.examples import examples
from tests.support.records import Records

EXACT = "gpt-5.2"  # reports its reasoning exactly and reads only that of the current turn
BLOB = "gAAAAABqrecordedByTheService=="
COMPACTED = "gAAAAABqcompactedByTheService=="
KEY = b"k" * 32


def thought(blob: str = BLOB, **members: Any) -> dict[str, Any]:
    return {"type": "reasoning", "summary": [], "encrypted_content": blob, **members}


def call(call_id: str) -> dict[str, Any]:
    return {"type": "function_call", "call_id": call_id, "name": "look", "arguments": "{}"}


def output(call_id: str) -> dict[str, Any]:
    return {"type": "function_call_output", "call_id": call_id, "output": "found"}


def user(text: str) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": text}


def think(drive: Driver, *blobs: str, **fields: Any) -> dict[str, Any]:
    """A turn whose script seals its reasoning itself."""
    drive.script({"reply": {"output": [*map(thought, blobs), call("call_1")]}})
    return drive.create("look!", model=EXACT, reasoning={"effort": "high"}, **fields)


def hidden_tokens(response: dict[str, Any]) -> int:
    """How much was thought, by a model that reports it exactly. Spec: T8."""
    tokens: int = response["usage"]["output_tokens_details"]["reasoning_tokens"]
    assert tokens > 0
    return tokens


def reply(drive: Driver, response: dict[str, Any], **fields: Any) -> dict[str, Any]:
    """The next turn of a client that keeps its history by itself."""
    return drive.create([user("look!"), *response["output"], output("call_1")], model=EXACT, **fields)


# --- taken back ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("store", [True, False])
def test_R1_42_a_blob_of_a_script_leaves_unchanged_and_is_accepted_again(store: bool) -> None:
    drive = Driver()
    first = think(drive, BLOB, store=store, include=["reasoning.encrypted_content"])
    assert first["output"][0]["encrypted_content"] == BLOB
    assert reply(drive, first, store=store)["status"] == "completed"


def test_R1_42_without_its_id_too() -> None:
    drive = Driver()
    think(drive, BLOB, store=False)
    assert drive.create([user("look!"), thought(), user("go on")], model=EXACT, store=False)["status"] == "completed"


def test_E57_a_changed_blob_of_a_script_is_refused() -> None:
    drive = Driver()
    first = think(drive, BLOB, store=False)
    changed = {**first["output"][0], "encrypted_content": BLOB.replace("d", "e", 1)}
    error = refused(drive.create, [user("look!"), changed, user("go on")], model=EXACT, store=False)
    assert summary(error)[0::3] == (400, "invalid_encrypted_content")


def test_R1_42_only_the_project_that_handed_it_out_knows_it() -> None:
    drive = Driver()
    first = think(drive, BLOB, store=False)
    other = Driver(drive.engine, "q")
    assert refused(reply, other, first, store=False).code == "invalid_encrypted_content"


def test_R1_42_over_a_snapshot() -> None:
    drive = Driver()
    first = think(drive, BLOB, store=False)
    fork = Driver()
    fork.engine.control.restore("p", drive.engine.control.snapshot("p"))
    assert reply(fork, first, store=False)["usage"] == reply(drive, first, store=False)["usage"]


def test_R1_42_over_a_restart(tmp_path: Path) -> None:
    settings = Settings(clock=NOON, store=f"sqlite:///{tmp_path}/state.db")
    before = Driver(Engine(settings))
    first = think(before, BLOB, store=False)
    before.engine.close()
    after = Driver(Engine(settings))
    assert reply(after, first, store=False)["status"] == "completed"
    after.engine.close()


def test_R1_42_while_the_turn_that_hands_it_out_is_still_running() -> None:
    drive = Driver()
    drive.script({"reply": {"output": [thought(), {"type": "message", "text": "done"}]}, "pacing": {"first_token": 9}})
    running = drive.create("hi", model=EXACT, background=True)
    assert running["status"] == "queued"
    assert drive.create([user("hi"), thought(), user("go on")], model=EXACT)["status"] == "completed"


def test_R1_42_compaction_items_too_and_what_they_still_owe() -> None:
    """Spec: R5.4, R1.33."""
    drive = Driver()
    drive.script(
        {"reply": {"output": [{"type": "compaction", "encrypted_content": COMPACTED}, call("call_2")]}},
        {"reply": {"output": [call("call_3"), {"type": "compaction", "encrypted_content": COMPACTED + "2"}]}},
    )
    first = drive.create("hi", model=EXACT, store=False)
    done = drive.create([*first["output"], output("call_2")], model=EXACT, store=False)
    assert done["output"][1]["encrypted_content"] == COMPACTED + "2"
    owed = drive.create([done["output"][1], output("call_3")], model=EXACT, store=False)
    assert owed["status"] == "completed"
    error = refused(drive.create, [done["output"][1], user("and?")], model=EXACT, store=False)
    assert "call_3" in error.message


def test_R1_42_a_blob_of_the_mock_s_own_from_an_earlier_run_says_itself_what_it_holds() -> None:
    sealed = Driver().create("think", model=EXACT, reasoning={"effort": "high"}, store=False)["output"][0]
    drive = Driver()
    first = think(drive, sealed["encrypted_content"], store=False)
    assert not drive.engine.store.scan("p", KIND)
    assert reply(drive, first, store=False)["status"] == "completed"


@pytest.mark.parametrize("later", [True, False])
def test_R1_42_what_a_conversation_lists_is_accepted_again(later: bool) -> None:
    drive = Driver()
    items = [user("hi"), thought()]
    conversation = drive.conversation(**({} if later else {"items": items}))["id"]
    if later:
        drive.add(conversation, *items)
    call = {"include[]": "reasoning.encrypted_content", "order": "asc"}
    listed = drive.items(conversation, **call)["data"]
    assert listed[1]["encrypted_content"] == BLOB
    assert drive.create([*listed, user("go on")], model=EXACT, store=False)["status"] == "completed"


# --- paid for ------------------------------------------------------------------------------------------------------


def test_T9_scripted_reasoning_costs_R_plus_2_in_the_tool_loop() -> None:
    """And the same chained, replayed, counted beforehand, and measured again for another model. Spec: T11, R8.1."""
    drive = Driver()
    first = think(drive, BLOB)
    window = [user("look!"), *first["output"], output("call_1")]
    bare = [item for item in window if item["type"] != "reasoning"]
    with_it, without = drive.count(input=window, model=EXACT), drive.count(input=bare, model=EXACT)
    assert with_it - without == hidden_tokens(first) + 2
    chained = drive.create([output("call_1")], model=EXACT, previous_response_id=first["id"])
    assert chained["usage"]["input_tokens"] == with_it == reply(drive, first)["usage"]["input_tokens"]
    other = {"model": "gpt-5.6-terra", "previous_response_id": first["id"]}
    moved = drive.create([output("call_1")], **other)
    replayed = drive.create(window, model="gpt-5.6-terra")
    assert moved["usage"]["input_tokens"] == replayed["usage"]["input_tokens"]


def test_T9_the_first_of_several_reasoning_items_carries_the_figure() -> None:
    drive = Driver()
    first = think(drive, BLOB, BLOB + "2")
    window = [user("look!"), *first["output"], output("call_1")]
    bare = [item for item in window if item["type"] != "reasoning"]
    assert (
        drive.count(input=window, model=EXACT) - drive.count(input=bare, model=EXACT) == (hidden_tokens(first) + 2) + 2
    )


# --- bounded -------------------------------------------------------------------------------------------------------


class Project(Records):
    """A project that is told what its turns hand out."""

    def hand_out(self, *blobs: str) -> None:
        self.store.apply("p", remember(self, {blob: {"tokens": 1} for blob in blobs}))

    def knows(self, blob: str) -> bool:
        return read_payload(self, blob, KEY) is not None


@examples(100)
@given(st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=3, unique=True), max_size=30))
def test_a_project_knows_what_it_handed_out_last_and_no_more(turns: list[list[str]]) -> None:
    project, most = Project(), 5
    order: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encrypted_content, "MOST_KNOWN", most)
        for blobs in turns:
            project.hand_out(*blobs)
            order += blobs
    known = {blob for blob in "abcdefgh" if project.knows(blob)}
    assert known == set(order[-most:])
    assert len(project.scan(KIND)) <= most


def test_the_number_that_is_known_is_large_enough_for_any_test() -> None:
    assert encrypted_content.MOST_KNOWN == 10_000
