"""The graph of a project's responses: every node with what it goes on from, expired and deleted ones too."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.core import graph
from mockserver.wire.errors.api import MockError
from tests.support.driving import NOON, Driver

DAY = 86_400
SLOW = {"reply": {"text": "one two three"}, "pacing": {"first_token": 10, "tokens_per_second": 1}}


def nodes(drive: Driver) -> dict[str, dict[str, Any]]:
    _, *found = drive.engine.control.graph("p")
    return {node["id"]: node for node in found}


def test_a_node_tells_what_the_response_does_and_when_it_expires() -> None:
    drive = Driver()
    made = drive.create()
    usage = made["usage"]
    assert next(drive.engine.control.graph("p")) == {"now": NOON}
    assert nodes(drive) == {
        made["id"]: {
            "id": made["id"],
            "state": "live",
            "status": "completed",
            "created_at": made["created_at"],
            "expires_at": made["created_at"] + 30 * DAY,  # R1.2
            "model": made["model"],
            "parent": None,
            "previous_response_id": None,
            "conversation": None,
            "store": True,
            "background": False,
            "usage": {
                "input_tokens": usage["input_tokens"],
                "cached_tokens": usage["input_tokens_details"]["cached_tokens"],
                "output_tokens": usage["output_tokens"],
            },
            "compacted": False,
            "dropped": 0,
        }
    }


def newer(drive: Driver, after: str) -> dict[str, dict[str, Any]]:
    _, *found = drive.engine.control.graph("p", after)
    return {node["id"]: node for node in found}


def test_only_what_came_after_a_response_and_what_that_goes_on_from(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(graph, "FIRST_LOOK", 2)
    drive = Driver()
    root, parent, last = (drive.create()["id"] for _ in range(3))
    assert newer(drive, last) == {}
    later = [drive.create(previous_response_id=parent)["id"] for _ in range(4)]
    whole = nodes(drive)
    assert newer(drive, last) == {id: whole[id] for id in (*later, parent)}
    assert list(newer(drive, root)) == [parent, last, *later]
    drive.delete(parent)
    assert newer(drive, last)[parent]["state"] == "deleted"
    with pytest.raises(MockError, match="is stored"):
        newer(drive, parent)


def test_a_parent_that_lives_longer_for_being_continued_is_told_anew() -> None:
    drive = Driver(set=(("ttl_from", "last_use"),))
    first, last = drive.create()["id"], drive.create()["id"]
    drive.advance(days=1)
    drive.create(previous_response_id=first)
    assert (
        newer(drive, last)[first]["expires_at"] == nodes(drive)[first]["expires_at"] > nodes(drive)[last]["expires_at"]
    )


def test_what_runs_is_told_after_any_response() -> None:
    drive = Driver()
    drive.script(SLOW)
    running = drive.create(background=True)["id"]
    last = drive.create()["id"]
    assert newer(drive, last)[running]["state"] == "running"


def test_a_response_that_is_deleted_while_it_is_looked_for() -> None:
    drive = Driver()
    drive.create()
    state = drive.engine._calls.view("p")
    assert len(graph.find_stored(state._replace(get=lambda kind, id: b"there"), "resp_gone")) == 1


def test_chains_and_forks_name_their_parents() -> None:
    drive = Driver()
    first = drive.create()["id"]
    forks = [drive.create(previous_response_id=first)["id"] for _ in range(2)]
    found = nodes(drive)
    assert list(found) == [first, *forks]
    assert {id: node["parent"] for id, node in found.items()} == {first: None, forks[0]: first, forks[1]: first}


def test_turns_of_a_conversation_go_on_from_each_other_also_over_items_added_by_hand() -> None:
    drive = Driver()
    conversation = drive.conversation()["id"]
    ids = [drive.create(conversation=conversation)["id"] for _ in range(2)]
    drive.add(conversation, {"type": "message", "role": "user", "content": "by hand"})
    ids.append(drive.create(conversation=conversation)["id"])
    found = nodes(drive)
    assert [found[id]["parent"] for id in ids] == [None, ids[0], ids[1]]
    assert {node["conversation"] for node in found.values()} == {conversation}


def test_a_conversation_whose_item_was_deleted_still_goes_on_from_the_response() -> None:
    drive = Driver()
    conversation = drive.conversation()["id"]
    first = drive.create(conversation=conversation)["id"]
    item = drive.items(conversation)["data"][0]["id"]
    drive.call("DELETE", f"/v1/conversations/{conversation}/items/{item}")
    second = drive.create(conversation=conversation)["id"]
    assert nodes(drive)[second]["parent"] == first


def test_expired_ones_are_there_and_say_so() -> None:
    drive = Driver()
    old = drive.create()["id"]
    drive.advance(days=31)
    new = drive.create()["id"]
    assert {id: node["state"] for id, node in nodes(drive).items()} == {old: "expired", new: "live"}


def test_deleted_ones_are_there_as_long_as_others_go_on_from_them() -> None:
    drive = Driver()
    first = drive.create()["id"]
    second = drive.create(previous_response_id=first)["id"]
    third = drive.create(previous_response_id=second)["id"]
    drive.delete(first)
    drive.delete(second)
    found = nodes(drive)
    assert [(id, found[id]["state"], found[id]["parent"]) for id in (first, second, third)] == [
        (first, "deleted", None),
        (second, "deleted", first),
        (third, "live", second),
    ]
    assert (found[first]["model"], found[first]["usage"]) == (None, None)
    drive.delete(third)
    assert nodes(drive) == {}


def test_a_turn_that_takes_time_runs() -> None:
    drive = Driver()
    first = drive.create()["id"]
    drive.script(SLOW)
    running = drive.create(background=True, previous_response_id=first)["id"]
    assert [nodes(drive)[running][name] for name in ("state", "status", "usage")] == ["running", "queued", None]
    drive.advance(seconds=5)
    assert [nodes(drive)[running][name] for name in ("state", "status", "parent")] == ["running", "in_progress", first]
    drive.advance(seconds=60)
    assert [nodes(drive)[running][name] for name in ("state", "status", "parent")] == ["live", "completed", first]


def test_a_parent_that_is_deleted_while_its_child_runs() -> None:
    drive = Driver()
    first = drive.create()["id"]
    drive.script(SLOW)
    running = drive.create(background=True, previous_response_id=first)["id"]
    drive.delete(first)
    assert {id: node["state"] for id, node in nodes(drive).items()} == {running: "running", first: "deleted"}


def test_a_turn_that_its_conversation_keeps_and_nobody_can_retrieve() -> None:
    drive = Driver()
    conversation = drive.conversation()["id"]
    unstored = drive.create(conversation=conversation, store=False)["id"]
    second = drive.create(conversation=conversation)["id"]
    found = nodes(drive)
    assert (found[second]["parent"], found[unstored]["state"], found[unstored]["store"]) == (unstored, "deleted", False)


def test_compactions_are_marked() -> None:
    drive = Driver()
    drive.create('the text "type":"compaction" is no mark')
    assert [node["compacted"] for node in nodes(drive).values()] == [False]
    compacted = drive.call("POST", "/v1/responses/compact", {"model": "gpt-5.2", "input": "long"})
    made = drive.create([*compacted["output"], {"role": "user", "content": "go on"}], model="gpt-5.2")
    assert nodes(drive)[made["id"]]["compacted"]


def test_where_nothing_expires_no_time_is_given() -> None:
    drive = Driver(set=(("response_ttl_days", "0"),))
    made = drive.create()["id"]
    assert nodes(drive)[made]["expires_at"] is None
    drive = Driver(set=(("conversation_response_ttl", "keep"),))
    made = drive.create(conversation=drive.conversation()["id"])["id"]
    assert nodes(drive)[made]["expires_at"] is None  # R1.9


def test_where_use_prolongs_a_life_its_end_moves() -> None:
    drive = Driver(set=(("ttl_from", "last_use"),))
    first = drive.create()
    drive.advance(days=10)
    drive.create(previous_response_id=first["id"])
    assert nodes(drive)[first["id"]]["expires_at"] == NOON + 40 * DAY  # R1.3
