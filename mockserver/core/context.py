"""A context's summary kept up to date, and what a context costs in tokens. Spec: R1.20, R1.29, T7, T9, T11."""

# How it works. A context is a chain of nodes, each with a Summary of everything up to it. To add a turn, the
# summary of the node before is carried on over the new items; the items before are not looked at. So the
# hundredth turn of a chain costs as much as the second.
#
# What must stay true:
# * Carried on item by item or all at once, the summary is the same: a chain, a conversation and a replay of both
#   are billed alike (T11). tests/test_core_context.py draws cuts at random to show it.
# * A tally holds under one cost class only. A chain may change its model (R1.30); then the items are read again,
#   once.
# * A compaction item starts a context anew, and so does the summary: what stands before is neither read nor
#   billed (R5.4), except the outputs that are still owed, which the item itself carries in its sealed content.
# * A call replayed without its id costs less than the same call once it is stored (T7), so a request is billed by
#   the items as sent, and its node is counted by the items as stored.

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from mockserver.core import compaction, tool_pairing
from mockserver.core.records import State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import ContextHash, Item, Summary, items_up_to
from mockserver.wire.catalog import Model
from mockserver.wire.tokens import context as context_tokens

_NOTHING_OPENED: Mapping[str | None, Any] = MappingProxyType({})


def extend_summary(
    before: Summary,
    items: list[Item],
    *,
    turns: int = 0,
    cost_class: str = "",
    tally: context_tokens.Tally | None = None,
    trail: ContextHash | None = None,
    prefix: list[str] | None = None,
) -> Summary:
    """The summary of a context after `items`; without a tally, it is counted when needed."""
    types = [item["type"] for item in items]
    paired = not before.pending and tool_pairing.PAIRED.isdisjoint(types)
    count, reasoned, orphaned = before.count + len(items), before.reasoned or "reasoning" in types, before.orphaned
    if "compaction" in types:
        read = types[compaction.start(items) :]
        count, reasoned, orphaned = len(read), "reasoning" in read, None
    pending = before.pending if paired else tool_pairing.pending_after(before.pending, items)
    configuration = before.configuration
    if not CONFIGURING.isdisjoint(types):
        configuration = apply_configuration(configuration, items)
    return _new(
        Summary,
        (count, before.turn + turns, pending, reasoned, configuration, orphaned, cost_class, tally, trail, prefix),
    )


UPDATE = "configuration_update"
# What brings tools into the context, which are callable from then on. Spec: F7, R11.8.
LOADING = ("additional_tools", "tool_search_output")
CONFIGURING = frozenset({UPDATE, *LOADING})


def apply_configuration(
    configuration: dict[str, Any] | None, items: Iterable[Item], payloads: Mapping[str | None, Any] = _NOTHING_OPENED
) -> dict[str, Any] | None:
    """Return what the items of a context have set, with `items` after those before; the last counts. Spec: R12.5.

    `reasoning` and `text` come from `configuration_update` items, `tools` are those that items have loaded, each with
    how. A compaction item keeps in force what it stands for, as its sealed payload says. Spec: R5.9, F7.
    """
    for item in items:
        kind = item["type"]
        if kind == UPDATE:
            changed = {key: item[key] for key in ("reasoning", "text") if item.get(key)}
            before = configuration or {}
            configuration = {**before, **{key: {**before.get(key, {}), **new} for key, new in changed.items()}}
        elif kind in LOADING and item["tools"]:
            before = configuration or {}
            how = "client" if kind == "additional_tools" else item.get("execution") or "server"
            configuration = {**before, "tools": _add_loaded(before.get("tools", []), how, item["tools"])}
        elif kind == "compaction" and isinstance(sealed := payloads.get(item.get("encrypted_content")), dict):
            configuration = sealed.get("configuration")
    return configuration


def _add_loaded(known: list[Any], how: str, tools: list[dict[str, Any]]) -> list[Any]:
    """Loaded tools with more of them; one that comes again is there once, as it came last."""
    names = {_tool_key(tool) for tool in tools}
    return [*(entry for entry in known if _tool_key(entry[1]) not in names), *([how, tool] for tool in tools)]


def _tool_key(tool: dict[str, Any]) -> tuple[str, Any]:
    return tool["type"], tool.get("name") or tool.get("server_label")


def add_turn(
    before: Summary,
    asked: list[Item],
    tally: context_tokens.Tally,
    output: list[Item],
    model: Model,
    rules: Semantics,
    *,
    hidden: context_tokens.Hidden | None = None,
    turns: int = 1,
    trail: ContextHash | None = None,
    prefix: list[str] | None = None,
) -> Summary:
    """The summary of a context after a turn; `tally` counts it up to the turn's input."""
    tally = context_tokens.add(tally, output, model, rules.count, hidden or rules.count_hidden_tokens)
    return extend_summary(
        before, [*asked, *output], turns=turns, cost_class=before.cost_class, tally=tally, trail=trail, prefix=prefix
    )


def with_token_count(state: State, summary: Summary, head: str | None, model: Model, rules: Semantics) -> Summary:
    """A context's summary with its tally under this model's costs; it is read again only if those differ."""
    cost_class = context_tokens.cost_class(model)
    if summary.cost_class == cost_class and summary.tally is not None:
        return summary
    if head is None:
        return begin_count(model)
    tally = context_tokens.add(
        context_tokens.Tally(), items_up_to(state, head), model, rules.count, rules.hidden_counter(state)
    )
    return summary._replace(cost_class=cost_class, tally=tally)


@cache
def _nothing(cost_class: str) -> Summary:
    return Summary(cost_class=cost_class, tally=context_tokens.Tally())


def begin_count(model: Model) -> Summary:
    """The summary of an empty context, counted under this model's costs."""
    return _nothing(context_tokens.cost_class(model))


def input_tokens(
    request: dict[str, Any],
    before: Summary,
    sent: list[Item],
    kept: list[Item],
    model: Model,
    rules: Semantics,
    hidden: context_tokens.Hidden,
) -> int:
    """The input tokens of a request after a context.

    `sent` are the request's items as sent, `kept` the same in stored form.
    """
    tally = _tally(before, billable_items(sent, kept), model, rules, hidden)
    return context_tokens.input_tokens(request, tally, model, rules.count)


def input_tokens_of(
    request: dict[str, Any], items: list[Item], model: Model, rules: Semantics, hidden: context_tokens.Hidden
) -> int:
    """The input tokens of a request whose model reads exactly these items."""
    tally = context_tokens.add(context_tokens.Tally(), items, model, rules.count, hidden)
    return context_tokens.input_tokens(request, tally, model, rules.count)


def count_request(
    request: dict[str, Any],
    before: Summary,
    sent: list[Item],
    kept: list[Item],
    model: Model,
    rules: Semantics,
    hidden: context_tokens.Hidden,
) -> tuple[context_tokens.Tally, int]:
    """The tally of a context with a request's own items after it, and the request's input tokens."""
    tally = _tally(before, kept, model, rules, hidden)
    anonymous = [item for item in sent if item["type"] in _CALLS and not item.get("id")]
    priced = _tally(before, billable_items(sent, kept), model, rules, hidden) if anonymous else tally
    return tally, context_tokens.input_tokens(request, priced, model, rules.count)


def billable_items(sent: list[Item], kept: list[Item]) -> list[Item]:
    """A request's own items in stored form as they are paid: calls sent without an id have none. Spec: T7."""
    return [
        _without_id(item) if raw["type"] in _CALLS and not raw.get("id") else item
        for raw, item in zip(sent, kept, strict=True)
    ]


_CALLS = frozenset({"function_call", "custom_tool_call"})


def _without_id(item: Item) -> Item:
    return {key: value for key, value in item.items() if key != "id"}


def _tally(
    before: Summary, items: Iterable[Item], model: Model, rules: Semantics, hidden: context_tokens.Hidden
) -> context_tokens.Tally:
    if before.tally is None:
        raise ValueError("the summary has not been counted")
    return context_tokens.add(before.tally, items, model, rules.count, hidden)
