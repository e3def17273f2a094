"""What the public API does not show: the context a model saw, all responses, all conversations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import orjson

from mockserver.core import background, compaction, lifecycle
from mockserver.core.lineage import is_expired
from mockserver.core.records import State
from mockserver.core.semantics import Semantics
from mockserver.core.state import Conversation, Item, Node, decode_node, items_up_to, read_node
from mockserver.core.truncation import read_dropped
from mockserver.core.turn import public_events
from mockserver.delivery.events import Wait, deliver
from mockserver.wire import catalog
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.resources import page
from mockserver.wire.tokens import context as context_tokens


def _read_response(state: State, id: str) -> tuple[dict[str, Any], Node]:
    """A stored response, expired or not, or one that runs in the background as it will end, and its node."""
    running, doc, node = lifecycle.read_running(state, id), state.get("response", id), read_node(state, id)
    if running is not None and running.body is not None and running.background:
        doc, node = running.body.encode(), decode_node(running.node)
    if node is None or doc is None:
        raise MockError(f"No response with id '{id}' is stored.", status=404)
    return orjson.loads(doc), node


def response_of(state: State, id: str, rules: Semantics, now: float) -> dict[str, Any]:
    """A response as the public API shows it; one whose time is over can still be looked at. Raises MockError 404."""
    running = lifecycle.read_running(state, id)
    if running is not None and running.background:
        return background.partial_view(
            background.split(background.steps_of(running, rules), now - running.started_at)[0]
        )
    return _read_response(state, id)[0]


def events_of(state: State, id: str, rules: Semantics, first_token_s: float, tokens_per_s: float) -> dict[str, Any]:
    """Every event of a response's stream, and the second after its beginning at which each leaves with this pacing.

    Of a background response in progress the pacing is its own. Raises MockError 404.
    """
    running = lifecycle.read_running(state, id)
    if running is not None and running.background:
        steps = background.steps_of(running, rules)
    else:
        final, node = _read_response(state, id)
        steps = deliver(public_events(final, node.cues, rules), first_token_s, tokens_per_s)
    events: list[dict[str, Any]] = []
    seconds: list[float] = []
    passed = 0.0
    for step in steps:
        if isinstance(step, Wait):
            passed += step.seconds
        else:
            events += step.events
            seconds += [round(passed, 6)] * len(step.events)
    return {"events": events, "seconds": seconds}


def models() -> dict[str, Any]:
    """Every model of the catalogue with the sizes that the public API does not list, in tokens."""
    return {
        "data": [
            {"id": name, "context_window": model.context_window, "max_output_tokens": model.max_output_tokens}
            for name, model in catalog.names()
        ]
    }


def context_of(state: State, id: str, rules: Semantics) -> dict[str, Any]:
    """The effective context of a response: what the model was given for it, with each item's tokens.

    A response whose time is over can't be retrieved any more, but what its model saw can still be looked at.
    """
    response, node = _read_response(state, id)
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
