"""A request's own items against what is stored: references resolved, replayed ids known, none twice.

Spec: R1.36, R1.37, R1.38.
"""

# Why most requests skip this file: an item without an id can't clash with anything and refers to nothing. Only
# items that bear one are looked for, and of those only kinds whose ids the service alone hands out: a client that
# makes up an id for its own message is right to do so, one that makes up a call's is not (R1.37).
#
# What must stay true: a found reasoning item gives its sealed content to the one that was sent, because a client
# that replays without `include` has lost it, and the chain that it replays has not (T9, T11).

from __future__ import annotations

from typing import Any

from mockserver.core.lineage import Lineage, is_expired
from mockserver.core.records import State
from mockserver.core.semantics import Semantics
from mockserver.core.state import Item, Node, items_back, nodes_holding, read_node
from mockserver.core.tool_pairing import OUTPUTS
from mockserver.wire.errors import api as errors
from mockserver.wire.responses.ids import is_marked_unstored
from mockserver.wire.responses.resources import input_items


def resolve_items(state: State, request: dict[str, Any], lineage: Lineage, rules: Semantics, now: float) -> list[Item]:
    """The items a request brings, as sent, references replaced by what they name; raises E68, E69, E70.

    Where reasoning is paired strictly, also E73 and E74.
    """
    value = request.get("input")
    sent = input_items(value or [])
    if isinstance(value, str) or not [item for item in sent if item.get("id") is not None]:  # as nearly always
        return sent
    items = [_resolve(state, item, request, rules, now) for item in sent]
    check_duplicates(state, items, lineage.head)
    if rules.reasoning_pairing == "strict":
        check_reasoning(state, items, lineage.head)
    return items


def _resolve(state: State, item: Item, request: dict[str, Any], rules: Semantics, now: float) -> Item:
    kind, id = item["type"], item.get("id")
    if id is None:
        return item
    if kind == "item_reference":
        found = find_item(state, id, rules, now)
        if found is None:
            raise not_found(id, request, rules)
        return found
    if not _is_service_made(item) or _is_self_contained(item):
        return item
    found = find_item(state, id, rules, now)
    if found is None:
        raise not_found(id, request, rules)
    if kind == "reasoning" and "encrypted_content" in found:
        # what was hidden comes back from the store, as it would in a chain (Spec: T9)
        return {**item, "encrypted_content": found["encrypted_content"]}
    return item


def not_found(id: str, request: dict[str, Any], rules: Semantics) -> errors.APIError:
    """Return E69 when this request does not store, else E68. Spec: R1.37."""
    missing = errors.item_not_stored if request.get("store") is False else errors.item_not_found
    return missing(id, int(rules.unknown_item_status))


def _is_service_made(item: Item) -> bool:
    """Whether only the service hands out ids for such an item, so that an unknown one is an error. Spec: R1.37."""
    if item["type"] == "message":
        return item["role"] == "assistant"
    return item["type"] in _SERVICE_MADE


_SERVICE_MADE = frozenset(
    {
        "reasoning",
        "function_call",
        "custom_tool_call",
        "computer_call",
        "web_search_call",
        "file_search_call",
        "code_interpreter_call",
        "image_generation_call",
        "local_shell_call",
        "shell_call",
        "apply_patch_call",
        "mcp_call",
        "mcp_list_tools",
        "mcp_approval_request",
        "tool_search_call",
        "program",
    }
)


def _is_self_contained(item: Item) -> bool:
    """Whether the item needs no look-up: its content is sealed in it, or its id says that it never was stored.

    An unstored reasoning item whose content is neither sealed nor readable has lost it. Spec: R1.37, W1.
    """
    if item.get("encrypted_content"):
        return True
    return is_marked_unstored(item["id"]) and (item["type"] != "reasoning" or bool(item.get("content")))


def find_item(state: State, id: str, rules: Semantics, now: float) -> Item | None:
    """A stored item that still lives: in a conversation for ever, else as long as its response. Spec: R2.5."""
    for node_id, place in reversed(nodes_holding(state, id)):
        node = read_node(state, node_id)
        if node is not None and _alive(state, node, rules, now):
            return node.items[place]
    return None


def _alive(state: State, node: Node, rules: Semantics, now: float) -> bool:
    if node.conversation is not None and (not node.status or node.status in rules.conversation_write_on):
        return True  # the conversation got them (Spec: R2.10)
    return not node.deleted and not is_expired(state, node.id, node.created_at, None, rules, now)


def check_duplicates(state: State, items: list[Item], head: str | None) -> None:
    """Raise E70 for an id that stands twice in the effective context; tool outputs pair by call id and are exempt."""
    ids = [item["id"] for item in items if item.get("id") and item["type"] not in OUTPUTS]
    if not ids:
        return
    seen: set[str] = set()
    if head is not None:
        seen.update(item["id"] for item in items_back(state, head) if "id" in item)
    for id in ids:
        if id in seen:
            raise errors.duplicate_item(id)
        seen.add(id)


def check_reasoning(state: State, items: list[Item], head: str | None) -> None:
    """Raise E73 for reasoning that what it led to does not follow, E74 for what lacks the reasoning it came from.

    Spec: R1.39 (switch `reasoning_pairing`). Only what is stored is known to come from some reasoning.
    """
    before: set[str] = set()
    for at, item in enumerate(items):
        id = item.get("id")
        if id and item["type"] == "reasoning":
            follower = next((one for one in items[at + 1 :] if one["type"] != "reasoning"), None)
            if follower is None or not _is_service_made(follower):
                raise errors.reasoning_without_follower(id)
            before.add(id)
            continue
        origin = _origin(state, id) if id else None
        if origin and origin not in before and all(one["id"] != origin for one in items_back(state, head)):
            raise errors.item_without_reasoning(id or "", item["type"], origin)


def _origin(state: State, id: str) -> str | None:
    """The id of the reasoning that a stored item directly follows, None when there is none."""
    node_id, index = next(iter(nodes_holding(state, id)), ("", 0))
    node = read_node(state, node_id) if index else None
    if node is None or node.items[index - 1]["type"] != "reasoning":
        return None
    return node.items[index - 1]["id"]
