"""Compaction: a context begins anew at its last compaction item; what stands before it is neither read nor billed.

Three things compact: `context_management` with a threshold, a `compaction_trigger` item, `POST /responses/compact`.
The item's sealed content carries what must outlive the items it stands for. Spec: R5.1–R5.10, T10, O7.
"""

# What must stay true:
# * The output that compacts is a turn like any other: the compaction item is one of its items, and where it
#   stands among them differs by model (R5.3), so nothing may count on its place. The last one counts.
# * `input_tokens` of the turn that compacts are those of the whole context: it was read once more. Only the next
#   turn is cheaper: it pays for the summary and its frame (T10).
# * The items themselves stay in the store and are still listed (R3.3b); they are just not read any more.
# * Three things must outlive the items that an item of this kind stands for: how long the hidden summary is, for it
#   is billed on every later turn, which calls still wait for an output, and what the context had configured. All are
#   in its sealed content, so they come back even when a client that stores nothing sends the item in again. An item
#   of `POST /responses/compact` brings no configuration back: after it the client sends that again (R5.9).

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from mockserver.core.encrypted_content import DecryptedItems, encrypt
from mockserver.core.semantics import Semantics
from mockserver.core.state import Item
from mockserver.wire.catalog import Model
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.responses import response_object
from mockserver.wire.responses.ids import IdGenerator
from mockserver.wire.responses.resources import present

Request = dict[str, Any]

TRIGGER = "compaction_trigger"


def read_back(newest_first: Iterable[Item]) -> Iterator[Item]:
    """Walk a context back to its last compaction item, the first thing that a model reads of it. Spec: R5.4."""
    for item in newest_first:
        yield item
        if item["type"] == "compaction":
            return


def start(items: Sequence[Item]) -> int | None:
    """The position of the last compaction item, None when there is none."""
    for at in range(len(items) - 1, -1, -1):
        if items[at]["type"] == "compaction":
            return at
    return None


def read_of(items: Sequence[Item]) -> list[Item]:
    """The items of a whole context that a model reads."""
    return list(items[start(items) or 0 :])


# --- When a turn compacts ------------------------------------------------------------------------------------------


def without_trigger(items: list[Item]) -> tuple[list[Item], bool]:
    """A request's own items without the `compaction_trigger` that ends them, and whether there was one.

    It is consumed and never stored; one that does not stand last is refused. Spec: R5.9, I4, F8.10.
    """
    found = [at for at, item in enumerate(items) if item["type"] == TRIGGER]
    if not found:
        return items, False
    if found[0] != len(items) - 1:
        raise validation_errors.trigger_not_last(found[0])
    return items[:-1], True


def is_over_threshold(request: Request, input_tokens: int, model: Model) -> bool:
    """Whether a rendered input is longer than the caller's threshold allows. Spec: R5.1, R5.2.

    An entry without a threshold compacts what fills the model's whole input.
    """
    for entry in request.get("context_management") or ():
        threshold = entry.get("compact_threshold")
        if input_tokens > (model.max_input_tokens - 1 if threshold is None else threshold):
            return True
    return False


# --- What a compaction item holds ----------------------------------------------------------------------------------


def payload(
    id: str, tokens: int, pending: Mapping[str, str], configuration: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return what a compaction item seals: the summary's hidden length, and what must outlive what it stands for.

    That are the outputs still owed by then, and what the context had configured. Spec: R5.4, R5.9.
    """
    known: dict[str, Any] = {"tokens": tokens, "id": id}
    if pending:
        known["pending"] = pending
    if configuration is not None:
        known["configuration"] = configuration
    return known


def pending_outputs(items: Iterable[Item], opened: DecryptedItems) -> dict[str, str]:
    """The outputs that compaction items among `items` say are owed for calls which they stand for. Spec: R5.4"""
    pending: dict[str, str] = {}
    for item in items:
        if item["type"] == "compaction":
            known = opened.payloads.get(item.get("encrypted_content"))
            pending |= known.get("pending", {}) if isinstance(known, dict) else {}
    return pending


# --- POST /responses/compact ---------------------------------------------------------------------------------------


class Window(NamedTuple):
    """What a compact call compacts: all items, oldest first, what reading them costs in tokens, ids for the result."""

    items: list[Item]
    input_tokens: int
    id_generator: IdGenerator


def compaction_object(
    request: Request, window: Window, summary_tokens: int, rules: Semantics, now: float
) -> dict[str, Any]:
    """The compacted window: every user message as it was, then one compaction item. Spec: R5.7, O7, T10."""
    identifier = window.id_generator.new("resp")
    id = window.id_generator.item("compaction", 1)
    blob = encrypt(payload(id, summary_tokens, {}), rules.key, id, now)
    item: Item = {"id": id, "type": "compaction", "encrypted_content": blob}
    users = [present(one, ()) for one in window.items if one.get("role") == "user"]
    made: dict[str, Any] = {
        "id": identifier,
        "object": "response.compaction",
        "created_at": int(now),
        "output": [*users, item],
        "usage": {
            "input_tokens": window.input_tokens,
            "input_tokens_details": {"cache_write_tokens": 0, "cached_tokens": 0},
            "output_tokens": summary_tokens,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": window.input_tokens + summary_tokens,
        },
    }
    return {**made, "image": response_object.image_options(request["image"])} if "image" in request else made
