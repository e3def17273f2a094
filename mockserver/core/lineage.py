"""Where a request continues: nothing, a response, or a conversation. Spec: R1.20–R1.32, R2.7, R2.8."""

# Why so many reasons for one error: over HTTP the service tells nothing about a parent that can't be continued.
# Unknown, deleted, expired, never stored, still running and failed parents all get E60 with the same sentence
# (R1.24, R1.32), so clients can't be written that look for the difference, and none of them may leak here.
#
# What must stay true: the order of the checks. Two parents at once are refused before either is looked for
# (R1.23), and a prompt template before the parent (R1.45); both were measured with requests that were wrong in
# both ways.

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from mockserver.core.records import Put, State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import (
    ConversationEnd,
    Node,
    Summary,
    decode_node,
    nodes_back,
    read_conversation_end,
    read_head,
    read_node,
)
from mockserver.wire.errors import api as errors
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.responses.ids import is_marked_unstored, partition_of_conversation

DAY = 86_400


class Lineage(NamedTuple):
    """The context a request continues: the node it ends in, its summary, the partition key its ids share."""

    head: str | None = None
    summary: Summary = Summary()
    partition: str = ""
    conversation: ConversationEnd | None = None

    @property
    def fresh(self) -> bool:
        """Whether there is nothing before the request's own input."""
        return self.head is None and self.conversation is None


FRESH = Lineage()
ReadHead = Callable[[State, str], Node | None]
# Who sends none of these continues nothing: nothing has to be resolved.
CONTINUING = frozenset({"previous_response_id", "conversation", "prompt"})


def resolve_lineage(
    state: State,
    request: dict[str, Any],
    rules: Semantics,
    now: float,
    *,
    templated: bool = False,
    read: ReadHead = read_head,
) -> Lineage:
    """Find what a request continues; raises E37, E63, E66, E62 and E60, in this order. Spec: errors §3 step 6, R1.45.

    `templated` says that there is the prompt template that it names, `read` how the node is read that it goes on from.
    """
    parent_id, conversation = request.get("previous_response_id"), request.get("conversation")
    if parent_id is not None and conversation is not None:
        raise errors.parent_and_conversation()
    if conversation is not None:
        conversation = of_conversation(
            state, conversation if isinstance(conversation, str) else conversation["id"], read
        )
    if request.get("prompt") is not None and not templated:
        raise errors.prompt_not_found(request["prompt"]["id"])
    if parent_id is not None:
        return of_response(state, parent_id, rules, now, read)
    return conversation or FRESH


def of_conversation(state: State, id: str, read: ReadHead = read_head) -> Lineage:
    """Continue a conversation; an unknown id is never created on the fly. Spec: R2.7, E63."""
    conversation = read_conversation_end(state, id)
    if conversation is None:
        raise errors.conversation_not_found(id)
    head = read(state, conversation.head) if conversation.head else None
    summary = head.summary if head else FRESH.summary
    return _new(Lineage, (conversation.head, summary, partition_of_conversation(id), conversation))


def of_response(state: State, id: str, rules: Semantics, now: float, read: ReadHead = read_head) -> Lineage:
    """Continue a response: unknown, deleted, expired, unstored, not finished well are all E60.

    Spec: R1.6, R1.24, R1.31, R1.32, R6.6.
    """
    if rules.zdr == "on":
        raise validation_errors.previous_response_zdr()
    node = read(state, id) if id.startswith("resp_") else None
    if node is None or node.deleted or node.status not in rules.chain_onto:
        raise errors.previous_response_not_found(id)
    if is_expired(state, id, node.created_at, node.conversation, rules, now):
        raise errors.previous_response_not_found(id)
    if is_fleeting(state, id):
        raise errors.previous_response_not_found(id)
    if rules.deleted_ancestor == "break" and is_broken(state, node, rules, now):
        raise errors.previous_response_not_found(id)
    return _new(Lineage, (node.id, node.summary, node.partition, None))


MOST_KNOWN, LONGEST_KNOWN = 128, 8192  # responses, and conversations; the bytes of one's node at most


def is_plain(before: Summary) -> bool:
    """Whether a context is one of texts alone, of which nothing is owed, configured or hidden."""
    _, _, pending, reasoned, configuration, orphaned, _, tally, _, prefix = before
    if pending or reasoned or configuration or orphaned or prefix or tally is None:
        return False
    return not (tally.reasoning_now or tally.reasoning_before or tally.pending)


class KnownResponses:
    """The responses with plain contexts that turns went on from last, or are likely to; any thread may find and add.

    What counts is what the store has: where one leads is `known` by its node's document. All of them completed.
    """

    def __init__(self) -> None:
        self.known: dict[str, tuple[bytes, int, Lineage]] = {}

    def find(self, state: State, id: str, rules: Semantics, now: float) -> Lineage | None:
        """The same as `of_response` gives, None where it is not known."""
        known = self.known.get(id)
        if known is None:
            return None
        doc, created_at, lineage = known
        if state.get("node", id) != doc or has_lived(created_at, rules, now) or not rules.continues_completed:
            return None
        return lineage

    def read(self, state: State, id: str) -> Node | None:
        """Read the node of one, and know it from now on."""
        doc = state.get("node", id)
        if doc is None:
            return None
        node = decode_node(doc[: doc.index(b"\n")])
        if node.status == "completed" and not node.deleted and is_plain(node.summary) and not is_marked_unstored(id):
            self.add(doc, node.created_at, _new(Lineage, (id, node.summary, node.partition, None)))
        return node

    def add(self, doc: bytes, created_at: int, lineage: Lineage) -> None:
        """Know where a response leads that completed at a time, by the document of its node."""
        if len(doc) <= LONGEST_KNOWN:
            if len(self.known) >= MOST_KNOWN:
                self.known.clear()
            self.known[lineage[0]] = doc, created_at, lineage  # type: ignore[index]

    def forget(self) -> None:
        """Know nothing any more."""
        self.known.clear()


class KnownConversations:
    """The conversations with plain contexts that turns went on with last; any thread may find and add.

    What counts is what the store has: where one goes on is known by its document and that of the node it ends in.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[bytes, bytes, Lineage]] = {}

    def find(self, state: State, id: Any) -> Lineage | None:
        """The same as `of_conversation` gives, None where it is not known; a request may also name it by an object."""
        known = self._known.get(id) if type(id) is str else None
        if known is None:
            return None
        doc, head_doc, lineage = known
        if state.get("conversation", id) != doc or state.get("node", lineage[0]) != head_doc:  # type: ignore[arg-type]
            return None
        return lineage

    def add(self, put: Put, head_doc: bytes, lineage: Lineage) -> None:
        """Know where a conversation goes on by its change and the document of the node that it ends in."""
        if len(head_doc) <= LONGEST_KNOWN:
            if len(self._known) >= MOST_KNOWN:
                self._known.clear()
            self._known[put.id] = put.doc, head_doc, lineage

    def forget(self) -> None:
        """Know nothing any more."""
        self._known.clear()


def is_fleeting(state: State, id: str) -> bool:
    """Whether a response is only there to be polled for a while. It says so in its id, or nobody looks. Spec: R6.6."""
    return is_marked_unstored(id) and state.get("fleeting", id) is not None


def is_broken(state: State, node: Node, rules: Semantics, now: float) -> bool:
    """Whether a response that this one goes back to is gone; a conversation keeps its own. Spec: R1.31."""
    ancestors = nodes_back(state, node.parent)
    return any(
        one.deleted or is_expired(state, one.id, one.created_at, None, rules, now)
        for one in ancestors
        if one.status and one.conversation is None
    )


def live_response(state: State, id: str, rules: Semantics, now: float) -> Node | None:
    """The node of a response that can still be retrieved, None when it can't. Spec: R1.2, R1.12."""
    node = read_node(state, id) if id.startswith("resp_") else None
    if node is None or node.deleted or is_expired(state, id, node.created_at, node.conversation, rules, now):
        return None
    return node


def missing(state: State, id: str, rules: Semantics, now: float) -> errors.APIError:
    """The error for reading a response that is not there. Spec: E75, R1.12."""
    if rules.get_after_delete == "400":
        node = read_node(state, id)
        if node is not None and node.deleted and not (is_marked_unstored(id) or has_lived(node.created_at, rules, now)):
            return errors.response_deleted(id)
    return errors.response_not_found(id)


def is_expired(state: State, id: str, created_at: float, conversation: Any, rules: Semantics, now: float) -> bool:
    """Whether a response, in a conversation or not (None), is past its time. Spec: R1.2, R1.3, R1.9."""
    if not has_lived(created_at, rules, now):
        return False
    if conversation is not None and rules.conversation_response_ttl == "keep":
        return False
    return rules.ttl_from == "created_at" or has_lived(last_use(state, id, created_at), rules, now)


def has_lived(born: float, rules: Semantics, now: float) -> bool:
    """Whether a life that counts from `born` is over: at the second itself as the switch says. Spec: R1.2."""
    left = born + rules.response_ttl_days * DAY - now
    if left > 0 or not rules.response_ttl_days:
        return False
    return left < 0 or rules.expiry_boundary == "inclusive"


def last_use(state: State, id: str, created_at: float) -> float:
    """Return when a response was last continued, in whole seconds; its creation if it never was."""
    doc = state.get("use", id)
    return created_at if doc is None else int(doc)


def note_use(request: dict[str, Any], now: float) -> list[Put]:
    """Return what is written of a response having been continued, where that counts: its time. Spec: R1.3."""
    parent_id = request.get("previous_response_id")
    return [] if parent_id is None else [Put("use", parent_id, b"%d" % int(now))]
