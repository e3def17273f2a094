"""What the public API does not show: the context a model saw, all responses, all conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from mockserver.core import background, compaction, lifecycle
from mockserver.core.lineage import is_expired
from mockserver.core.records import State
from mockserver.core.semantics import Semantics
from mockserver.core.state import Conversation, Item, decode_node, items_up_to, read_node
from mockserver.core.truncation import read_dropped
from mockserver.wire import catalog
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.resources import page
from mockserver.wire.tokens import context as context_tokens


def context_of(state: State, id: str, rules: Semantics) -> dict[str, Any]:
    """The effective context of a response: what the model was given for it, with each item's tokens.

    A response whose time is over can't be retrieved any more, but what its model saw can still be looked at.
    """
    running, doc, node = lifecycle.read_running(state, id), state.get("response", id), read_node(state, id)
    if running is not None and running.body is not None and running.background:
        doc, node = running.body.encode(), decode_node(running.node)
    if node is None or doc is None:
        raise MockError(f"No response with id '{id}' is stored.", status=404)
    response = orjson.loads(doc)
    whole = [*items_up_to(state, node.parent), *node.items[: node.own]]
    usage = response["usage"]
    seen = {**response, "input_tokens": usage["input_tokens"] if usage else None}
    return effective_context(whole, read_dropped(state, id), seen, rules)


def effective_context(
    whole: list[Item], unseen: Iterable[int], seen: Mapping[str, Any], rules: Semantics
) -> dict[str, Any]:
    """Return what a model was given of a whole context, without the positions `unseen` after the last compaction.

    `seen` has the turn's `model`, `instructions`, `tools` and `input_tokens`.
    """
    first = compaction.start(whole) or 0
    dropped = {*range(first), *(first + at for at in unseen)}
    items = [item for at, item in enumerate(whole) if at not in dropped]
    return {
        "instructions": seen["instructions"],
        "items": items,
        "tokens": item_tokens(items, seen["model"], rules),
        "dropped": [whole[at]["id"] for at in sorted(dropped)],
        "tools": seen["tools"],
        "input_tokens": seen["input_tokens"],
    }


def item_tokens(items: list[dict[str, Any]], model_name: str, rules: Semantics) -> list[int]:
    """Return what each item adds to the cost of the context before it."""
    model = catalog.find(model_name, rules.unknown_models) or catalog.stand_in(model_name)
    tally, costs = context_tokens.Tally(), []
    for item in items:
        grown = context_tokens.add(tally, [item], model, rules.count, rules.count_hidden_tokens)
        costs.append(grown.total - tally.total)
        tally = grown
    return costs


def responses(
    state: State,
    rules: Semantics,
    *,
    limit: int,
    after: str | None,
    matches: Callable[[dict[str, Any]], bool],
    now: float,
) -> dict[str, Any]:
    """List responses, newest first: stored ones that have not expired, and those in progress in the background."""
    stored = [(record.order, orjson.loads(record.doc)) for record in state.scan("response")]
    alive = [one for one in stored if not _is_expired(state, one[1], rules, now)]
    known = sorted([*alive, *background.running_now(state, rules, now)], key=lambda one: -one[0])
    return _page([response for _, response in known if matches(response)], limit, after)


def conversations(state: State, *, limit: int, after: str | None) -> dict[str, Any]:
    """List conversations, newest first."""
    records = state.scan("conversation", descending=True)
    return _page([Conversation(**orjson.loads(record.doc)).object for record in records], limit, after)


def _page(found: list[dict[str, Any]], limit: int, after: str | None) -> dict[str, Any]:
    ids = [one["id"] for one in found]
    if after is not None and after not in ids:
        raise MockError(f"after: there is no '{after}' in this list.", param="after")
    start = 0 if after is None else ids.index(after) + 1
    return page(found[start : start + limit], has_more=len(found) > start + limit)


def expiries_between(state: State, rules: Semantics, before: float, now: float) -> list[str]:
    """The ids of responses that a move of the clock has made unreachable, oldest first."""
    if not rules.response_ttl_days:
        return []
    gone = []
    for record in state.scan("response"):
        response = orjson.loads(record.doc)
        if _is_expired(state, response, rules, now) and not _is_expired(state, response, rules, before):
            gone.append(record.id)
    return gone


def _is_expired(state: State, response: dict[str, Any], rules: Semantics, now: float) -> bool:
    return is_expired(state, response["id"], response["created_at"], response.get("conversation"), rules, now)
