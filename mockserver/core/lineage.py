"""Where a request continues: nothing, a response, or a conversation. Spec: R1.20–R1.32, R2.7, R2.8."""

from __future__ import annotations

from typing import Any, NamedTuple

from mockserver.core.rules import Rules
from mockserver.core.state import Conversation, Node, State, Summary, read_conversation, read_node
from mockserver.wire import errors
from mockserver.wire.ids import partition_of_conversation


class Lineage(NamedTuple):
    """The context a request continues: the node it ends in, its summary, the partition key its ids share."""

    head: str | None = None
    summary: Summary = Summary()
    partition: str = ""
    conversation: Conversation | None = None

    @property
    def fresh(self) -> bool:
        """Whether there is nothing before the request's own input."""
        return self.head is None and self.conversation is None


def resolve_lineage(state: State, request: dict[str, Any], rules: Rules, now: float) -> Lineage:
    """Find what a request continues; raises E37, E63, E66 and E60, in this order. Spec: errors §3 step 6."""
    parent_id, conversation = request.get("previous_response_id"), request.get("conversation")
    if parent_id is not None and conversation is not None:
        raise errors.parent_and_conversation()
    if conversation is not None:
        conversation = of_conversation(state, conversation if isinstance(conversation, str) else conversation["id"])
    if request.get("prompt") is not None:
        raise errors.prompt_not_found(request["prompt"]["id"])
    if parent_id is not None:
        return of_response(state, parent_id, rules, now)
    return conversation or Lineage()


def of_conversation(state: State, id: str) -> Lineage:
    """Continue a conversation; an unknown id is never created on the fly. Spec: R2.7, E63."""
    conversation = read_conversation(state, id)
    if conversation is None:
        raise errors.conversation_not_found(id)
    head = read_node(state, conversation.head) if conversation.head else None
    summary = head.summary if head else Summary()
    return Lineage(conversation.head, summary, partition_of_conversation(id), conversation)


def of_response(state: State, id: str, rules: Rules, now: float) -> Lineage:
    """Continue a response: unknown, deleted, expired, unstored, not finished well are all E60. Spec: R1.24, R1.32."""
    node = live_response(state, id, rules, now)
    if node is None or node.status not in rules.chain_onto:
        raise errors.previous_response_not_found(id)
    return Lineage(node.id, node.summary, node.partition)


def live_response(state: State, id: str, rules: Rules, now: float) -> Node | None:
    """Return the node of a response that can still be retrieved, None when it can't. Spec: R1.2, R1.12."""
    node = read_node(state, id) if id.startswith("resp_") else None
    if node is None or node.deleted or rules.expired(node.created_at, now):
        return None
    return node
