"""Giving an upstream back what it has forgotten: a parent, or a conversation, that only the cassette knows."""

# A response expires after thirty days (Spec: R1.2), and nobody else's account knows it. What the model saw is in the
# cassette: so the turn is sent with the parent's items as its own `input`, which is the same context. A conversation is
# created anew with its items; from then on its two ids are exchanged in both directions.
#
# What must stay true: what is sent as input could have been sent by a client. Ids of items are left out, for upstream
# they are somebody else's; reasoning goes only with its encrypted content, without which nothing of it can be shown.

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from proxy.cassettes.canonical import BLOB, raw_items
from proxy.cassettes.ledger import Context, Ledger, conversation_of

FORGOTTEN = frozenset(("previous_response_not_found", "conversation_not_found", "not_found"))
_ONLY_ANSWERED = frozenset(("status", "created_by"))


def is_forgotten(status: int, body: bytes, request: Mapping[str, Any]) -> bool:
    """Whether an answer says that the parent of a turn is not there. Spec: R1.24, R2.7."""
    if status not in (400, 404):
        return False
    try:
        error = orjson.loads(body).get("error")
    except (orjson.JSONDecodeError, AttributeError):
        return False
    if not isinstance(error, dict):
        return False
    names = (request.get("previous_response_id"), conversation_of(request))
    message = str(error.get("message"))
    named = any(isinstance(name, str) and name in message for name in names)
    return error.get("code") in FORGOTTEN or (status == 404 and named)


def items_of(context: Context) -> list[Any]:
    """The items of a context in a form that any client may send."""
    return [_as_input(item) for item in context.all_raw() if _can_be_sent(item)]


def _can_be_sent(item: Any) -> bool:
    if not isinstance(item, dict):
        return False
    kind = item.get("type", "message")
    return not (kind == "reasoning" and not item.get(BLOB)) and not str(kind).startswith(("unknown_", "unread_"))


def _as_input(item: dict[str, Any]) -> dict[str, Any]:
    kept = {key: value for key, value in item.items() if key not in _ONLY_ANSWERED and value is not None}
    # the output of a local shell bears its call's id, reasoning and approvals are known by theirs
    if item.get("type") not in ("local_shell_call_output", "reasoning", "mcp_approval_request"):
        kept.pop("id", None)
    return kept


def with_items(body: Mapping[str, Any], ledger: Ledger) -> dict[str, Any] | None:
    """The body of a turn with its parent's items instead of its parent; None where the cassette does not know it."""
    parent = body.get("previous_response_id")
    context = ledger.find_response(parent) if isinstance(parent, str) else None
    if context is None:
        return None
    kept = {key: value for key, value in body.items() if key != "previous_response_id"}
    return {**kept, "input": [*items_of(context), *raw_items(body.get("input"))]}
