"""What a connection remembers: each lane's latest unstored response, and what it goes back to. Spec: R4.5 to R4.8."""

from __future__ import annotations

import pytest

from mockserver.core.records import Put
from mockserver.core.state import Node, Summary, decode_node, read_node
from mockserver.store.connection_overlay import ConnectionRecords, Layered
from mockserver.store.memory import MemoryStore
from mockserver.store.view import view_project


def node(id: str, parent: str | None = None) -> Node:
    items = [{"id": f"msg_{id}", "type": "message"}]
    return Node(id, parent, items, 0, 0, Summary(count=1), status="completed", deleted=True)


@pytest.fixture
def near() -> ConnectionRecords:
    return ConnectionRecords()


def live(near: ConnectionRecords, id: str) -> bool:
    doc = near.get("node", id)
    return doc is not None and not decode_node(doc).deleted


def test_R4_6_the_latest_of_each_lane_can_be_continued(near: ConnectionRecords) -> None:
    near.remember(None, "r1", node("r1"))
    near.remember("a", "r2", node("r2"))
    assert live(near, "r1")
    near.remember(None, "r3", node("r3", "r1"))
    assert not live(near, "r1"), "it is an ancestor now"
    assert near.get("node", "r1"), "but what r3 goes back to stays"
    assert live(near, "r2")
    assert live(near, "r3")


def test_what_nobody_needs_is_dropped(near: ConnectionRecords) -> None:
    for number in range(50):
        near.remember(None, f"r{number}", node(f"r{number}", f"r{number - 1}" if number % 10 else None))
    assert len(near) == 10 + 1, "the latest chain, and the items of its last"
    near.evict(None)
    assert len(near) == 0


def test_R4_11_a_parent_stays_while_a_fork_is_under_way(near: ConnectionRecords) -> None:
    near.remember("a", "r1", node("r1"))
    near.retain("r1")
    near.evict("a")
    assert near.get("node", "r1")
    assert not live(near, "r1")
    near.remember("b", "r2", node("r2", "r1"))
    near.release("r1")
    assert near.get("node", "r1"), "r2 goes back to it"
    near.evict("b")
    assert len(near) == 0


def test_items_can_be_referred_to_while_their_response_can_be_continued(near: ConnectionRecords) -> None:
    near.remember(None, "r1", node("r1"))
    assert near.get("item", "msg_r1") == b'[["r1",0]]'
    near.evict(None)
    assert near.get("item", "msg_r1") is None


def test_R4_7_stored_responses_are_not_kept_here(near: ConnectionRecords) -> None:
    near.remember(None, "r1", None)
    assert near.latest(None) == "r1"
    assert len(near) == 0
    near.retain("r1")
    near.release("r1")
    near.evict(None)
    assert near.latest(None) is None


def test_a_stored_response_takes_its_unstored_ancestors_along(near: ConnectionRecords) -> None:
    near.remember(None, "r1", node("r1", "stored"))
    near.remember(None, "r2", node("r2", "r1"))
    changes = near.ancestors("r2")
    assert [change.id for change in changes] == ["r2", "r1"]
    assert all(isinstance(change, Put) and decode_node(change.doc).deleted for change in changes)
    assert near.ancestors("stored") == near.ancestors(None) == []


def test_a_view_has_both_and_lists_only_what_is_stored(near: ConnectionRecords) -> None:
    store = MemoryStore()
    store.apply("p", [Put("node", "r0", node("r0").doc()), Put("response", "r0", b"{}", "", 1)])
    view = Layered(near, view_project(store, "p"))
    near.remember(None, "r1", node("r1", "r0"))
    assert read_node(view, "r0")
    assert read_node(view, "r1")
    assert [record.id for record in view.scan("response")] == ["r0"]


def test_a_project_that_begins_anew_is_forgotten(near: ConnectionRecords) -> None:
    near.last_ordinal = 3
    near.remember(None, "r1", node("r1"))
    near.reset_if_restarted(4)
    near.reset_if_restarted(4)
    assert live(near, "r1"), "a call that does not get through has no number of its own"
    near.reset_if_restarted(0)
    assert len(near) == 0
    assert near.latest(None) is None
    near.release("r1")
