"""What nothing depends on goes, and nothing else: the records that are kept are those that can be reached.

Spec: R1.11, R1.31, R2.5, R2.15.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.config.settings import Settings
from mockserver.core.records import Put
from mockserver.core.state import decode_node
from mockserver.engine.control import DAY
from mockserver.engine.engine import Engine
from mockserver.wire.errors.api import APIError
from tests.support.driving import NOON, Driver
from tests.support.examples import examples
from tests.support.sockets import Frames

SLOW = {"reply": {"text": "slow"}, "pacing": {"first_token": 60}}


def kept(drive: Driver) -> dict[str, dict[str, Put]]:
    """The records of the project by kind and id."""
    found: dict[str, dict[str, Put]] = {}
    for put in drive.engine.store.records(drive.project):
        found.setdefault(put.kind, {})[put.id] = put
    return found


def check_law(drive: Driver) -> None:
    """Records reachable are records kept: from responses, conversations, their items, and turns in progress."""
    records = kept(drive)
    nodes = {id: decode_node(put.doc) for id, put in records.get("node", {}).items()}
    conversations = [orjson.loads(put.doc) for put in records.get("conversation", {}).values()]
    roots = {*records.get("response", {}), *(one["head"] for one in conversations if one["head"])}
    roots |= {decode_node(json.loads(put.doc)["node"]).parent for put in records.get("running", {}).values()}
    entries = {id: orjson.loads(put.doc)[0] for id, put in records.get("entry", {}).items()}
    assert {id.split("/")[0] for id in entries} <= {one["object"]["id"] for one in conversations}
    pointers = {node for put in records.get("item", {}).values() for node, _ in orjson.loads(put.doc)}
    assert pointers | set(entries.values()) <= set(nodes)
    # items of a conversation can be referred to, also after it was deleted (R2.5)
    roots |= set(entries.values()) | {id for id in pointers if nodes[id].conversation is not None}
    reachable: set[str] = set()
    for root in roots:
        at: str | None = root
        while at is not None and at not in reachable:
            reachable.add(at)
            at = nodes[at].parent if at in nodes else None
    assert set(nodes) == reachable & set(nodes)
    assert {id for id in pointers if nodes[id].conversation is None} <= set(records.get("response", {}))
    assert set(records.get("dropped", {})) <= set(nodes)


def stored_text(drive: Driver) -> str:
    return " ".join(put.doc.decode() for put in drive.engine.store.records(drive.project))


def test_a_leaf_goes_at_once_and_an_inner_node_with_its_last_descendant() -> None:
    drive = Driver()
    first = drive.create("text-of-one")["id"]
    second = drive.create("text-of-two", previous_response_id=first)["id"]
    third = drive.create("text-of-three", previous_response_id=second)["id"]
    fork = drive.create("text-of-fork", previous_response_id=first)["id"]
    drive.delete(second)
    assert drive.context(third)[0] == "text-of-one" and "text-of-two" in drive.context(third)  # R1.31
    check_law(drive)
    drive.delete(third)
    text = stored_text(drive)
    assert "text-of-two" not in text and "text-of-three" not in text and "text-of-one" in text
    drive.delete(first)
    assert drive.context(fork)[0] == "text-of-one"
    drive.delete(fork)
    assert set(kept(drive)) == {"project"}


def test_many_created_and_deleted_leave_nothing(tmp_path: Path) -> None:
    """12,500 of them left 1.6 KB each, for good."""
    drive = Driver(store=f"sqlite:///{tmp_path}/s.db", journal=0)
    for number in range(300):
        drive.delete(drive.create(f"text-of-{number} " + "word " * 50)["id"])
    assert set(kept(drive)) == {"project"}


@pytest.mark.parametrize("order", [[0, 1, 2], [2, 1, 0], [1, 0, 2]])
def test_deleted_items_of_a_conversation_go(order: list[int]) -> None:
    """R2.15: a deleted item no longer feeds later turns; the others stay, and can be retrieved and referred to."""
    drive = Driver()
    conversation = drive.conversation(items=[{"role": "user", "content": f"text-of-{n}"} for n in range(2)])["id"]
    drive.call("POST", f"/v1/conversations/{conversation}/items", {"items": [{"role": "user", "content": "text-of-2"}]})
    listed = drive.call("GET", f"/v1/conversations/{conversation}/items", order="asc")["data"]
    ids = [item["id"] for item in listed]
    for done, index in enumerate(order, 1):
        drive.call("DELETE", f"/v1/conversations/{conversation}/items/{ids[index]}")
        check_law(drive)
        assert f"text-of-{index}" not in stored_text(drive)
        for other in order[done:]:
            item = drive.call("GET", f"/v1/conversations/{conversation}/items/{ids[other]}")
            assert item["content"][0]["text"] == f"text-of-{other}"
            made = drive.create([{"type": "item_reference", "id": ids[other]}])
            assert drive.context(made["id"]) == [f"text-of-{other}"]
            drive.delete(made["id"])


def test_the_items_of_a_deleted_conversation_can_be_referred_to() -> None:
    """R2.5: its entries go, its items stay."""
    drive = Driver()
    conversation = drive.conversation(items=[{"role": "user", "content": "stays"}])["id"]
    answered = drive.create("asked", conversation=conversation)
    (item,) = [
        one
        for one in kept(drive)["item"]
        if "stays" in str(drive.call("GET", f"/v1/conversations/{conversation}/items/{one}"))
    ]
    drive.call("DELETE", f"/v1/conversations/{conversation}")
    assert "entry" not in kept(drive)
    assert drive.context(drive.create([{"type": "item_reference", "id": item}])["id"]) == ["stays"]
    assert drive.context(answered["id"])[:2] == ["stays", "asked"]
    check_law(drive)


def test_expired_responses_are_collected_by_the_clock() -> None:
    drive = Driver()
    first = drive.create("text-of-old")["id"]
    drive.engine.control.advance_clock("p", 20 * DAY)
    second = drive.create("text-of-new", previous_response_id=first)["id"]
    drive.engine.control.advance_clock("p", 18 * DAY)
    assert drive.context(second)[0] == "text-of-old", "descendants keep their context (R1.31)"
    assert first not in kept(drive)["response"]
    drive.engine.control.advance_clock("p", 30 * DAY)
    assert set(kept(drive)) == {"project"}


def test_expired_responses_are_collected_as_calls_come() -> None:
    wall = [NOON]
    drive = Driver(Engine(Settings(), wall=lambda: wall[0]))
    drive.create("text-of-old")
    wall[0] += 40 * DAY
    for _ in range(64):
        drive.create("x", store=False)
    assert set(kept(drive)) == {"project"}


def test_with_the_switch_what_was_deleted_is_known_but_not_kept() -> None:
    """R1.12, switch `get_after_delete`."""
    drive = Driver(set=(("get_after_delete", "400"),))
    first = drive.create("text-of-one")["id"]
    second = drive.create("text-of-two", previous_response_id=first)["id"]
    for id in (first, second):
        drive.delete(id)
    assert "text-of" not in stored_text(drive)
    for id in (first, second):
        with pytest.raises(APIError, match="deleted"):
            drive.get(id)


def test_a_turn_in_progress_keeps_what_it_goes_on_from() -> None:
    drive = Driver()
    first = drive.create("text-of-one")["id"]
    drive.script(SLOW)
    second = drive.create("text-of-two", previous_response_id=first, background=True)["id"]
    drive.delete(first)
    drive.engine.control.advance_clock("p", 61)
    assert drive.context(second) == ["text-of-one", "Mock reply to: text-of-one [1 items in context]", "text-of-two"]
    check_law(drive)
    drive.delete(second)
    assert set(kept(drive)) == {"project"}


def test_a_socket_keeps_what_it_goes_on_from() -> None:
    """R4.5: a socket continues unstored responses, and their context survives the stored parent (R1.31)."""
    frames = Frames()
    drive = Driver(frames.engine, frames.project)
    first = frames.create("text-of-one")["id"]
    second = frames.create("text-of-two", store=False, previous_response_id=first)["id"]
    drive.delete(first)
    third = frames.create("text-of-three", previous_response_id=second)["id"]
    assert [text for text in drive.context(third) if text.startswith("text")] == [
        "text-of-one",
        "text-of-two",
        "text-of-three",
    ]
    check_law(drive)
    drive.delete(third)
    frames.create("another")
    drive.delete(drive.create("one more")["id"])
    assert "text-of" not in stored_text(drive)


# --- the law ---------------------------------------------------------------------------------------------------------

STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            "create create chain chain converse unstored background conversation add".split()
            + "delete delete delete_item delete_conversation wait wait_long".split()
        ),
        st.integers(0, 7),
    ),
    min_size=5,
    max_size=25,
)


class Program:
    """Random calls of one project; what cannot be done is not done."""

    def __init__(self, drive: Driver) -> None:
        self.drive, self.responses, self.conversations = drive, list[str](), list[str]()

    def run(self, what: str, at: int) -> None:
        drive, responses, conversations = self.drive, self.responses, self.conversations
        response = responses[at % len(responses)] if responses else None
        conversation = conversations[at % len(conversations)] if conversations else None
        fields: dict[str, Any] = {"store": what != "unstored"}
        if what in ("chain", "unstored", "background") and response:
            fields["previous_response_id"] = response
        if what == "converse" and conversation:
            fields["conversation"] = conversation
        if what == "background":
            drive.script(SLOW)
            fields["background"] = True
        if what in ("create", "chain", "converse", "unstored", "background"):
            made = drive.create(f"text-{at}", **fields)["id"]
            if fields["store"]:
                responses.append(made)
        elif what == "conversation":
            conversations.append(drive.conversation(items=[{"role": "user", "content": f"item-{at}"}])["id"])
        elif what == "delete" and response:
            drive.delete(response)
        elif what.startswith("wait"):
            drive.engine.control.advance_clock("p", 61 if what == "wait" else 16 * DAY)
        elif conversation:
            self.edit(what, conversation, at)

    def edit(self, what: str, conversation: str, at: int) -> None:
        path = f"/v1/conversations/{conversation}"
        if what == "add":
            self.drive.call("POST", f"{path}/items", {"items": [{"role": "user", "content": f"more-{at}"}]})
        elif what == "delete_conversation":
            self.drive.call("DELETE", path)
        elif what == "delete_item":
            items = self.drive.call("GET", f"{path}/items")["data"]
            if items:
                self.drive.call("DELETE", f"{path}/items/{items[at % len(items)]['id']}")

    def contexts(self) -> dict[str, Any]:
        """What the models of all living responses saw."""
        found = self.drive.engine.control.list_responses("p", limit=1000, after=None)["data"]
        return {one["id"]: self.drive.engine.control.context("p", one["id"]) for one in found}


@examples(150)
@given(STEPS)
def test_records_reachable_are_records_kept(steps: list[tuple[str, int]]) -> None:
    program = Program(Driver())
    before: dict[str, Any] = {}
    for what, at in steps:
        with suppress(APIError):
            program.run(what, at)
        after = program.contexts()
        assert {id: after[id] for id in before if id in after} == {id: before[id] for id in before if id in after}
        before = after
        check_law(program.drive)
    snapshot = program.drive.engine.control.snapshot("p")
    program.drive.engine.control.restore("p", snapshot)
    assert program.drive.engine.control.snapshot("p") == snapshot
