"""What a turn writes and when: at once, or once the clock has passed its end; deletion of responses. Spec: R2.9–R2.12.

A turn that takes time is kept as a `running` record and locks its conversation; `settle` writes what has ended by now.
What the background answers without storing it is `fleeting`: `forget` takes it away in the end.
"""

# How it works. Nothing runs. When a request is admitted its turn is known to the end, so there are two cases: it
# takes no time and is committed at once, or it takes time, and a `running` record keeps what it will write and
# when. Whoever reads or writes the project next calls `settle` first: all that has ended by now is committed in
# the order of its ends. So a poll, a cancel and a manual clock find the same, in any process that shares the
# store.
#
# What must stay true:
# * Response, context node, pointers and the conversation's entries are one set of changes: no reader ever sees a
#   part (R2.9, measured: a poll during the run shows neither input nor output).
# * Turns are written in the order in which they ended, those that ended at once in the order in which they began.
# * The conversation's lock is its `running` field. Whatever ends a turn clears it in the same changes, or the
#   conversation would be stuck for ever.
# * A turn that is not stored leaves a node all the same, marked deleted, where its conversation goes on from it.
# * The table of `transitions` is asked on every way from one status to another, so a new status can't slip past
#   it.

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol

import orjson

from mockserver.core import context
from mockserver.core.lineage import live_response
from mockserver.core.records import Change, Delete, Put, State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import (
    ConversationEnd,
    Node,
    decode_node,
    entries_of,
    point_to_items,
    read_conversation_end,
    read_node,
    read_summary,
    shared_item_pointers,
)
from mockserver.core.transitions import ABSENT, BACKGROUND, IN_PROGRESS, MODES, QUEUED, transition
from mockserver.core.turn import SerializedTurn, Turn
from mockserver.wire.errors import api as errors
from mockserver.wire.responses import response_object
from mockserver.wire.responses.encoding import encode_compact, json_body
from mockserver.wire.responses.ids import is_marked_unstored
from mockserver.wire.responses.resources import deletion_marker

POLLED_S = 600  # how long a response in the background that is not stored can be polled once it has ended


class Pacing(Protocol):
    """How fast a turn goes."""

    @property
    def first_token_s(self) -> float: ...
    @property
    def tokens_per_s(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Running:
    """A turn in progress: what it will write, when it ends (unix seconds), and its place among the project's turns.

    `node` is the node's document, `body` the response's, None when it is not stored. A turn in the background can be
    seen while it runs: it began at `started_at` and goes at `pacing` (seconds to the first token, tokens per second).
    """

    id: str
    node: str
    body: str | None
    ends_at: float
    order: int
    background: bool = False
    started_at: float = 0.0
    pacing: tuple[float, float] = (0.0, 0.0)

    def put(self) -> Put:
        """The change that stores it."""
        return Put("running", self.id, encode_compact(self), "", self.order)


def encode_body(turn: Turn, *, scripted: bool = True) -> bytes:
    """The JSON body of a finished response, which is also what a later GET answers. Spec: S9, W9.

    `scripted` says that a script laid more over it than items.
    """
    return json_body(turn.final, None if scripted else response_object.with_numbers(turn.final))


def begin(
    state: State, turn: Turn, body: bytes, now: float, seconds: float, order: int, *, pacing: Pacing
) -> list[Change]:
    """The changes that start a turn which takes time: it runs, and its conversation is locked. Spec: R2.12."""
    way = MODES[turn.final["background"]]
    if transition(way, ABSENT, "create") != IN_PROGRESS:
        transition(way, QUEUED, "start", to=IN_PROGRESS)  # with its first event after `response.queued`
    running = Running(
        turn.id,
        turn.node.doc().decode(),
        body.decode() if turn.stored else None,
        now + seconds,
        order,
        turn.final["background"],
        now,
        (pacing.first_token_s, pacing.tokens_per_s),
    )
    conversation = read_conversation_end(state, turn.conversation) if turn.conversation else None
    if conversation is None:
        return [running.put()]
    return [running.put(), conversation._replace(running=turn.id).put()]


def commit(
    state: State,
    node: Node,
    body: bytes | None,
    order: int,
    rules: Semantics,
    again: Collection[str] | None = None,
) -> list[Change]:
    """The changes of a finished turn: the response, its context, and the conversation's new items, all at once.

    `body` is None for a response that is not stored, `again` are the ids of items that others may hold too (None: any
    of its own). Spec: R1.4, R2.8, R2.9, R2.10, R2.18.
    """
    conversation = read_conversation_end(state, node.conversation) if node.conversation else None
    if conversation is not None and conversation.running is not None:
        conversation = conversation._replace(running=None)
    writes = conversation is not None and node.status in rules.conversation_write_on
    if rules.store_false_conversation == "read_only" and (body is None or is_marked_unstored(node.id)):
        writes = False
    changes: list[Change] = []
    if body is not None:
        changes.append(_new(Put, ("response", node.id, body, "", order)))
    else:
        node = node._replace(deleted=True)
    if body is not None or writes:
        changes += [node.put(), *shared_item_pointers(state, node, again)]
    if conversation is not None:
        changes += append(state, conversation, node) if writes else [conversation.put()]
    return changes


def commit_serialized(turn: SerializedTurn, in_conversation: Sequence[Change], order: int) -> list[Change]:
    """The same of a turn by its documents, whose items no other node holds; what its conversation becomes is given."""
    id, _, _, body, node_doc, parent, item_ids, _, _, _, _, _ = turn
    return [
        _new(Put, ("response", id, body, "", order)),
        _new(Put, ("node", id, node_doc, parent or "", 0)),
        *point_to_items(id, item_ids),
        *in_conversation,
    ]


def append(state: State, conversation: ConversationEnd, node: Node) -> list[Change]:
    """The changes that put a stored node's items at the end of a conversation. Spec: R2.8.

    If items were added by hand while the turn ran, the conversation goes on from those, and the response keeps the
    context that it saw.
    """
    item_ids = [item["id"] for item in node.items]
    if conversation.head == node.parent:
        return append_items(conversation, node.id, item_ids, node.id)[0]
    tail = rebase(state, node, conversation.head)
    return [tail.put(), *append_items(conversation, node.id, item_ids, tail.id)[0]]


def append_items(
    conversation: ConversationEnd, node_id: str, item_ids: Sequence[str], head: str
) -> tuple[list[Change], Put, ConversationEnd]:
    """The changes by which a conversation goes on with a node's items: entries, and its end, which is also returned."""
    id, packed, order, _, first, running = conversation
    # numbers are never given twice, also not after an item was deleted
    end = _new(ConversationEnd, (id, packed, order, head, first + len(item_ids), running))
    put = end.put()
    return [*entries_of(id, node_id, item_ids, first), put], put, end


def rebase(state: State, node: Node, parent: str | None) -> Node:
    """A copy of a node's items after another node; its tokens are left to be counted when they are needed."""
    summary = context.extend_summary(read_summary(state, parent), node.items, turns=bool(node.status))
    return node._replace(id=f"{node.id}+{parent}", parent=parent, summary=summary)


def settle(state: State, now: float, rules: Semantics) -> tuple[str, list[Change]] | None:
    """The first turn that has ended by now with what it writes, None when all others still run. Spec: R9.20."""
    records = state.scan("running")
    if not records:
        return None
    running = [Running(**orjson.loads(record.doc)) for record in records]
    # one at a time: what the first writes (its conversation's head) is what the next must read
    ended = min((one for one in running if one.ends_at <= now), key=lambda one: (one.ends_at, one.order), default=None)
    return None if ended is None else (ended.id, finish(state, ended, rules))


def read_running(state: State, id: str) -> Running | None:
    """A turn in progress, None when no such turn runs."""
    doc = state.get("running", id)
    return None if doc is None else Running(**orjson.loads(doc))


def finish(state: State, running: Running, rules: Semantics) -> list[Change]:
    """The changes that end a running turn. Spec: O6."""
    node = decode_node(running.node)
    transition(MODES[running.background], IN_PROGRESS, "end", to=node.status)
    body = None if running.body is None else running.body.encode()
    return _end(state, running, node, body, rules)


def _end(state: State, running: Running, node: Node, body: bytes | None, rules: Semantics) -> list[Change]:
    changes = [Delete("running", running.id), *commit(state, node, body, running.order, rules)]
    if running.background and body is not None and orjson.loads(body).get("store") is False:
        gone_at = ceil(running.ends_at) + POLLED_S
        changes.append(Put("fleeting", running.id, b"%d" % gone_at, "", gone_at))
    return changes


def forget(state: State, now: float) -> tuple[str, list[Change]] | None:
    """The first unstored response that has been there to be polled for long enough, with what that changes.

    None when there is none. Spec: R1.7, R6.10.
    """
    first = state.scan("fleeting", limit=1)
    if not first or first[0].order > now:
        return None
    id, node = first[0].id, read_node(state, first[0].id)
    gone: list[Change] = []
    if node is not None:
        transition(BACKGROUND, node.status, "forget")
        gone.append(node._replace(deleted=True).put())
    return id, [Delete("fleeting", id), Delete("response", id), *gone]


def cancel(state: State, running: Running, rules: Semantics, kept: Collection[str] = ()) -> list[Change]:
    """The changes that end a running turn early: its conversation is free; of its output only `kept` stays.

    Spec: O6, R2.13, R6.5, R9.20.
    """
    # a poll may show it as queued still; for both the table has the same end
    status = transition(MODES[running.background], IN_PROGRESS, "cancel" if running.background else "leave")
    node = decode_node(running.node)
    items = [item for at, item in enumerate(node.items) if at < node.own or item["id"] in kept]
    summary = context.extend_summary(read_summary(state, node.parent), items, turns=1)
    cues = response_object.begun_cues(node.cues, len(kept))
    node = node._replace(packed=items, summary=summary, status=status, cues=cues)
    body = None if running.body is None else json_body(_stop(orjson.loads(running.body), status, kept, cues))
    return _end(state, running, node, body, rules)


def _stop(final: dict[str, Any], status: str, kept: Collection[str], cues: Any) -> dict[str, Any]:
    output = [item for item in final["output"] if item["id"] in kept]
    return {**final, **response_object.in_progress_view(final, cues), "output": output, "status": status}


def delete_response(state: State, id: str, rules: Semantics, now: float) -> tuple[dict[str, Any], list[Change]]:
    """Delete a response: it can't be had or continued any more; what was built on it stands.

    Spec: O6, R1.11, R1.13, R1.31.
    """
    running = read_running(state, id)
    if running is not None:
        transition(MODES[running.background], IN_PROGRESS, "delete", id=id)
    node, body = live_response(state, id, rules, now), state.get("response", id)
    if node is None or body is None:
        raise errors.response_not_found(id)
    response = orjson.loads(body)
    transition(MODES[response["background"]], node.status, "delete", id=id)
    changes: list[Change] = [Delete("response", id), node._replace(deleted=True).put()]
    if not response.get("store", True):
        changes.append(Delete("fleeting", id))  # or it would expire once more
    return deletion_marker(id, rules.delete_object), changes
