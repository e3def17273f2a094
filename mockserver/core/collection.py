"""What nothing depends on any more goes: nodes of deleted and expired responses, pointers to items. Spec: R1.31, R2.5.

The transaction that deletes something asks for each node that may have lost its last use; see `drop`.
"""

# How it works. Nodes are listed below their parents, so a node knows whether others go on from it. One that is not
# needed is deleted, then its parent is looked at, and so on: a leaf goes at once, an inner node with its last
# descendant.
#
# What must stay true:
# * Descendants keep their context: an ancestor stays, whatever was deleted, until the last of them is gone (R1.31).
# * Items of a conversation can be referred to after it was deleted (R2.5), so their nodes stay. An item that was
#   deleted itself stays only in what was answered from it (R2.15).
# * A turn in progress and a socket that remembers an unstored turn go on from nodes as well. They are asked for by
#   `held`, and the caller tries again when they have ended.
# * With the switch `get_after_delete=400` the mock has to know what was deleted: the node stays, without its items.

from __future__ import annotations

from collections.abc import Iterable

import orjson

from mockserver.core.lifecycle import Running
from mockserver.core.lineage import DAY, is_expired
from mockserver.core.records import Change, Delete, Put, State
from mockserver.core.semantics import Semantics
from mockserver.core.state import (
    Node,
    Summary,
    decode_node,
    nodes_holding,
    read_conversation,
    read_entry,
    read_node,
)
from mockserver.wire.responses.encoding import encode_compact

GRACE_S = 7 * DAY  # how long an expired response stays, for a test that sets its clock back
MOST_AT_ONCE = 256  # expired responses that one call takes away


def candidates(state: State, changes: Iterable[Change]) -> list[str]:
    """The nodes that may lose their last use by changes that are not written yet."""
    found: dict[str, None] = {}
    for change in changes:
        if change.kind == "response" and isinstance(change, Delete):
            found[change.id] = None
        elif change.kind == "conversation":
            conversation = read_conversation(state, change.id)
            if conversation is not None and conversation.head is not None:
                found[conversation.head] = None
        elif change.kind == "entry":
            entry = read_entry(state, *change.id.split("/", 1))
            if entry is not None:
                found[entry.node] = None
    return list(found)


def leftovers(state: State, changes: Iterable[Change]) -> list[Change]:
    """What else goes with deleted responses and conversations, whether their nodes stay or not."""
    gone: list[Change] = []
    for change in changes:
        if not isinstance(change, Delete):
            continue
        if change.kind == "response":
            gone += [Delete("dropped", change.id), Delete("use", change.id)]
            node = read_node(state, change.id)
            if node is not None and node.conversation is None:
                gone += _without_pointers(state, node)
        elif change.kind == "conversation":
            gone += [Delete("entry", record.id) for record in state.scan("entry", change.id)]
    return gone


def _without_pointers(state: State, node: Node) -> list[Change]:
    changes: list[Change] = []
    for id in {item["id"] for item in node.items}:
        held = nodes_holding(state, id)
        left = [place for place in held if place[0] != node.id]
        if not left and held:
            changes.append(Delete("item", id))
        elif len(left) < len(held):
            changes.append(Put("item", id, encode_compact(left)))
    return changes


def drop(state: State, id: str, rules: Semantics) -> tuple[list[Change], str | None] | None:
    """The changes that delete a node, and the node to look at next; None for one that is needed or gone."""
    node = read_node(state, id)
    if node is None or is_needed(state, node):
        return None
    changes = _without_pointers(state, node)
    if rules.get_after_delete == "400" and node.status and not _is_copy(node):
        if not node.deleted or node.packed in ([], b"[]"):
            return None
        bare = node._replace(parent=None, packed=[], own=0, summary=Summary(), cues={}, include=[])
        return [*changes, bare.put()], node.parent
    return [*changes, Delete("node", id), Delete("dropped", id), Delete("use", id)], node.parent


def _is_copy(node: Node) -> bool:
    """Whether a node was made for a conversation, whose response has a node of its own."""
    return "+" in node.id or "-" in node.id


def is_needed(state: State, node: Node) -> bool:
    """Whether a response, a conversation, another node or an item that can be referred to needs a node."""
    id = node.id
    if state.get("response", id) is not None or state.scan("node", id, limit=1):
        return True
    if node.conversation is None:
        return False
    conversation = read_conversation(state, node.conversation)
    if conversation is not None and conversation.head == id:
        return True
    for item in node.items:
        if any(place[0] == id for place in nodes_holding(state, item["id"])):
            return True
        entry = None if conversation is None else read_entry(state, node.conversation, item["id"])
        if entry is not None and entry.node == id:
            return True
    return False


def running_parents(state: State) -> set[str]:
    """The nodes that turns in progress go on from."""
    running = [Running(**orjson.loads(record.doc)) for record in state.scan("running")]
    parents = {decode_node(one.node).parent for one in running}
    return {parent for parent in parents if parent is not None}


def expired(state: State, rules: Semantics, now: float) -> list[Change]:
    """The changes that take away responses whose time has been over for long, oldest first; some at a time."""
    if not rules.response_ttl_days:
        return []
    gone: list[Change] = []
    for most in (1, MOST_AT_ONCE):  # nearly always the first is young, and those after it need not be listed
        gone = []
        for record in state.scan("response", limit=most):
            node = read_node(state, record.id)
            past = now - GRACE_S
            if node is None or not is_expired(state, node.id, node.created_at, node.conversation, rules, past):
                return gone  # those after it are younger, as a rule
            gone.append(Delete("response", record.id))
    return gone
