"""Conversations and their items: created, read, changed, deleted; nothing here ever expires. Spec: R2.1–R2.21."""

# What must stay true:
# * A conversation is a chain of nodes like any other, plus one entry per item that says where it is. Nodes are
#   never rewritten, since responses that were made from them still show the context that they saw.
# * So deleting an item rebuilds the nodes after it under other names, up to the head; the old ones stay for
#   their responses. That costs as much as the conversation is long after the item, which is fine for what nobody
#   does often.
# * An item's deletion may leave an output without its call. The next turn then fails as with the service (R2.16),
#   and the summary has to say so, because nobody reads the items again.

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import orjson

from mockserver.core import compaction, context, tool_pairing
from mockserver.core.lifecycle import append
from mockserver.core.records import Change, Delete, Put, State
from mockserver.core.semantics import Semantics
from mockserver.core.state import (
    Conversation,
    Entry,
    Item,
    Node,
    Summary,
    items_back,
    nodes_back,
    nodes_holding,
    read_conversation,
    read_entry,
    read_summary,
    shared_item_pointers,
)
from mockserver.core.tool_pairing import OUTPUTS
from mockserver.wire.errors import api as errors
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.responses import resources
from mockserver.wire.responses.encoding import encode_compact
from mockserver.wire.responses.ids import IdGenerator, partition_of_conversation

Body = dict[str, Any]

MOST_METADATA = 16


def create(
    state: State, request: Body, id_generator: IdGenerator, now: float, order: int, *, id: str | None = None
) -> tuple[Body, list[Change]]:
    """Create a conversation, with items if the request brings any; a test may choose its `id`. Spec: R2.2."""
    created_at = int(now)
    made = Conversation(
        resources.conversation(id or id_generator.conversation(), created_at, request.get("metadata") or {}), order
    )
    items = request.get("items")
    if not items:
        return made.object, [made.put()]
    _, changes = _add(state, made, items, id_generator.skip(2), created_at)  # two numbers are in the conversation's id
    return made.object, changes


def retrieve(state: State, id: str) -> Conversation:
    """A conversation; raises E64."""
    conversation = read_conversation(state, id)
    if conversation is None:
        raise errors.conversation_not_found(id)
    return conversation


def require(state: State, id: str) -> None:
    """Raise E64 where there is no such conversation."""
    if state.get("conversation", id) is None:
        raise errors.conversation_not_found(id)


def update(state: State, id: str, request: Body, rules: Semantics) -> tuple[Body, list[Change]]:
    """Change a conversation's metadata: new for old, or laid over the old; raises E31. Spec: R2.4."""
    conversation = retrieve(state, id)
    kept = conversation.object["metadata"] if rules.metadata_update == "merge" else {}
    metadata = {**kept, **(request.get("metadata") or {})}
    if len(metadata) > MOST_METADATA:
        raise validation_errors.too_many_properties("metadata", MOST_METADATA, len(metadata))
    changed = conversation._replace(object={**conversation.object, "metadata": metadata})
    return changed.object, [changed.put()]


def delete(state: State, id: str) -> tuple[Body, list[Change]]:
    """Delete a conversation; its items stay and can still be referred to. Spec: R2.5."""
    require(state, id)
    return resources.deletion_marker(id, "conversation.deleted"), [Delete("conversation", id)]


def create_items(
    state: State, id: str, request: Body, id_generator: IdGenerator, now: float
) -> tuple[list[Item], list[Change]]:
    """Add items by hand, whatever runs; returns them in input order. Spec: R2.3, R2.12, R2.17."""
    return _add(state, retrieve(state, id), request["items"], id_generator, int(now))


def _add(
    state: State, conversation: Conversation, items: Iterable[Item], id_generator: IdGenerator, created_at: int
) -> tuple[list[Item], list[Change]]:
    partition = partition_of_conversation(conversation.id)
    kept, id_generator = resources.fill_items(resources.input_items(items), id_generator.in_partition(partition))
    kept, id_generator = _unambiguous(state, conversation, kept, id_generator)
    summary = _edit_summary(read_summary(state, conversation.head), kept, items_back(state, conversation.head))
    node = Node(
        id_generator.node(), conversation.head, kept, len(kept), created_at, summary, partition, "", conversation.id
    )
    changes = [
        node.put(),
        *shared_item_pointers(state, node, None),
        *append(state, conversation.end(), node),
    ]
    return kept, changes


def _unambiguous(
    state: State, conversation: Conversation, items: list[Item], id_generator: IdGenerator
) -> tuple[list[Item], IdGenerator]:
    """Refuse an id that the conversation already holds; tool outputs pair by call id and get a new one. Spec: R1.36."""
    seen: set[str] = set()
    kept, number = [], 0
    for item in items:
        if item["id"] in seen or read_entry(state, conversation.id, item["id"]) is not None:
            if item["type"] not in OUTPUTS:
                raise errors.duplicate_item(item["id"])
            item = {**item, "id": id_generator.item(item["type"], number)}
            number += 1
        seen.add(item["id"])
        kept.append(item)
    return kept, id_generator.skip(number)


def item_at(state: State, entry: Entry) -> Item:
    """The item that a conversation keeps in a place."""
    items: list[Item] = orjson.loads(packed_items(state, [entry.node])[0])
    return items[entry.place]


def packed_items(state: State, nodes: Iterable[str]) -> list[bytes]:
    """The items of each of the nodes in which a conversation keeps some, as compact JSON."""
    packed = []
    for node in nodes:
        doc = state.get("node", node)
        if doc is None:
            raise LookupError(f"node {node} of a conversation's item is missing")
        packed.append(doc.partition(b"\n")[2])
    return packed


def retrieve_item(state: State, id: str, item_id: str) -> Item:
    """One item of a conversation; raises E64 or E65."""
    require(state, id)
    entry = read_entry(state, id, item_id)
    if entry is None:
        raise errors.item_not_in_conversation(item_id)
    return item_at(state, entry)


def delete_item(state: State, id: str, item_id: str) -> tuple[Body, list[Change]]:
    """Delete an item: later turns don't see it, what was answered from it stands; returns the conversation.

    Spec: R2.15, P16.
    """
    conversation = retrieve(state, id)
    if read_entry(state, id, item_id) is None:
        raise errors.item_not_in_conversation(item_id)
    head, rebuilt = _without(state, conversation.head, item_id)
    changes: list[Change] = [Delete("entry", f"{id}/{item_id}"), *_forget_places(state, item_id)]
    for old, node in rebuilt:
        changes += [node.put(), *_move_items(state, id, old, node)]
    return conversation.object, [*changes, conversation._replace(head=head).put()]


def _forget_places(state: State, item_id: str) -> list[Change]:
    """The changes after which a deleted item can be referred to only where a stored response holds it."""
    held = nodes_holding(state, item_id)
    left = [place for place in held if state.get("response", place[0]) is not None]
    return [Put("item", item_id, encode_compact(left)) if left else Delete("item", item_id)] if held != left else []


def _move_items(state: State, id: str, old: Node, node: Node) -> Iterator[Change]:
    """Yield the changes after which a conversation keeps its items in a copy of a node, for the old one may go."""
    places = {item["id"]: index for index, item in enumerate(old.items)}
    for index, item in enumerate(node.items):
        item_id = item["id"]
        entry = read_entry(state, id, item_id)
        if entry is not None:
            yield Entry(node.id, index, entry.order).put(id, item_id)
        origin = old.id.partition("+")[0]  # of a copy that was made when its turn ended late
        held = nodes_holding(state, item_id)
        moved = [
            (node.id, index) if place in ((old.id, places[item_id]), (origin, places[item_id])) else place
            for place in held
        ]
        if moved != held:
            yield Put("item", item_id, encode_compact(moved))


def _edit_summary(before: Summary, items: list[Item], history: Iterable[Item], *, turns: int = 0) -> Summary:
    """The summary of a context that was edited by hand, where an output may have lost its call. Spec: R2.16."""
    summary = context.extend_summary(before, items, turns=turns)
    stray = next(iter(tool_pairing.strays(before.pending, items, history)), None)
    if stray is not None and summary.orphaned is None and compaction.start(items) is None:
        return summary._replace(orphaned=tool_pairing.call_id(stray))
    return summary


def _without(state: State, head: str | None, item_id: str) -> tuple[str | None, list[tuple[Node, Node]]]:
    """The head of a context that lacks an item, and the nodes from the item on, each with the one to write for it.

    The nodes themselves stay as they are, for responses keep the context that they saw.
    """
    behind: list[Node] = []
    for node in nodes_back(state, head):
        behind.append(node)
        if any(item["id"] == item_id for item in node.items):
            break
    parent = behind[-1].parent
    before = read_summary(state, parent)
    rebuilt: list[tuple[Node, Node]] = []
    for node in reversed(behind):
        items = [item for item in node.items if item["id"] != item_id]
        history = chain(*(copy.items for _, copy in rebuilt), items_back(state, behind[-1].parent))
        before = _edit_summary(before, items, history, turns=bool(node.status))
        id = f"{node.id}-{item_id}"
        copy = node._replace(id=id, parent=parent, packed=items, own=len(items), summary=before)
        rebuilt.append((node, copy))
        parent = copy.id
    return parent, rebuilt
