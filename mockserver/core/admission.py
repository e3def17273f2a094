"""Admission: all that is decided about a request before the model runs. Spec: errors §3 steps 6 to 9.

A request that is refused leaves no trace: nothing here writes.
"""

# How it works. A request passes six steps, and the first that complains decides what the client reads: what it
# continues (a response, a conversation, nothing) → the model and what it can't do → its own items, with
# references replaced by what they name → calls and outputs that must pair → the lock of the conversation → the
# window. The order is the service's own, measured with bodies that were wrong in two ways at once (errors §3).
#
# What must stay true:
# * Nothing is written and nothing is asked twice. What a step finds out (the lineage, the counted tokens, what
#   sealed items hold, the ids) goes into the Admission, and everything later reads it there.
# * A turn costs what its own items cost: of the context before it only the summary is read. The two exceptions
#   are an output whose call is not pending any more, and a context that must be cut to the window.
# * Stored items are made here, before the model runs: the model, the prompt cache and the token count must see
#   the same items that a later turn will find in the store, or a chain and a replay would differ by tokens (T11).

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any, NamedTuple

from mockserver.core import compaction, context, reasoning_origin, tool_pairing, truncation
from mockserver.core.encrypted_content import NOTHING_OPENED, DecryptedItems
from mockserver.core.item_resolution import resolve_items
from mockserver.core.lineage import CONTINUING, FRESH, Lineage, resolve_lineage
from mockserver.core.reasoning_origin import OriginCheck
from mockserver.core.records import State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import Item, Summary, items_back, items_up_to
from mockserver.wire import catalog
from mockserver.wire.catalog import Model
from mockserver.wire.errors import api as errors
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.requests import model_support
from mockserver.wire.responses.ids import IdGenerator, partition_of
from mockserver.wire.responses.resources import fill_items, input_items
from mockserver.wire.responses.tool_echo import LoadedTool, merge_loaded
from mockserver.wire.tokens import context as context_tokens
from mockserver.wire.tokens.context import Tally

Request = dict[str, Any]


class Admission(NamedTuple):
    """A request that will be answered.

    `items` are its own items in stored form, `before` the context before them, `tally` its cost with them,
    `input_tokens` what `usage` will say. The model reads its own items from `restart` on, where a compaction item hides
    all before it (None: there is no such item). It does not see the items whose positions among those it could read are
    `dropped`; with `overflow` it sees nothing, for the turn fails in its stream. `compacts` says what makes the turn
    compact its context: `trigger`, `threshold`, or nothing. `configuration` is what the context has changed of it,
    None if nothing (R12.5), `again` are the ids of own items that came with one. `id_generator` gives the ids of what
    the turn makes, `opened` is what the sealed items of the request hold. `origin` is there for models that check where
    reasoning comes from (R1.46); what they do not read of it is among `dropped`.
    """

    request: Request
    model: Model
    lineage: Lineage
    id_generator: IdGenerator
    items: list[Item]
    before: Summary
    tally: Tally
    input_tokens: int
    stored: bool
    dropped: frozenset[int] = frozenset()
    overflow: bool = False
    restart: int | None = None
    compacts: str = ""
    configuration: dict[str, Any] | None = None
    again: frozenset[str] = frozenset()
    opened: DecryptedItems = NOTHING_OPENED
    origin: OriginCheck | None = None

    @property
    def effective_request(self) -> Request:
        """The request as the model obeys it: what the context has configured counts more, and what it has loaded too.

        Spec: R12.5, F7.
        """
        changed, request = self.configuration, self.request
        if changed is None:
            return request
        updates: Request = {
            key: {**(request.get(key) or {}), **changed[key]} for key in ("reasoning", "text") if key in changed
        }
        effective: Request = {**request, **updates}
        if self.loaded:
            effective["tools"] = merge_loaded(request.get("tools") or (), self.loaded, self.model)
        return effective

    @property
    def loaded(self) -> Sequence[LoadedTool]:
        """The tools that the context has loaded, each with how. Spec: F7, R11.7."""
        return () if self.configuration is None else self.configuration.get("tools", ())

    @property
    def history_count(self) -> int:
        """How many items before its own the model could read."""
        return self.before.count if self.restart is None else 0

    @property
    def readable(self) -> list[Item]:
        """The request's own items that the model could read."""
        return self.items if self.restart is None else self.items[self.restart :]

    @property
    def item_count(self) -> int:
        """How many items the model sees."""
        inherited = self.before.count if self.restart is None else -self.restart
        return inherited + len(self.items) - len(self.dropped)

    @property
    def visible_items(self) -> tuple[Item, ...]:
        """The request's own items that the model sees."""
        if not self.dropped:
            return tuple(self.readable)
        return tuple([item for at, item in enumerate(self.readable, self.history_count) if at not in self.dropped])

    def newest_first(self, state: State) -> Iterator[Item]:
        """Walk the effective context, as the model sees it, from its last item to its first."""
        whole = compaction.read_back(chain(reversed(self.items), items_back(state, self.lineage.head)))
        if not self.dropped:
            return whole
        last = self.history_count + len(self.readable) - 1
        return (item for back, item in enumerate(whole) if last - back not in self.dropped)


def admit(
    state: State, request: Request, rules: Semantics, id_generator: IdGenerator, now: float, *, templated: bool = False
) -> Admission:
    """Decide whether a request is answered and with what context; raises the first APIError in the API's order.

    `templated` says that there is the prompt template that it names, which may stand in for `input`. Spec: R15.4. A
    warm-up needs no input: Codex opens a socket with `input: []` and sends all of it with the next frame. Spec: X10.
    """
    continues = not CONTINUING.isdisjoint(request)
    lineage = resolve_lineage(state, request, rules, now, templated=templated) if continues else FRESH
    if not request.get("input") and lineage.fresh and not templated and request.get("generate") is not False:
        raise errors.input_missing()
    model = served_model(request, rules, now)
    if not request.keys() <= model_support.ANY_MODEL:
        model_support.check(request, model, lineage.summary.configuration)
    if lineage.summary.configuration is not None or type(request.get("input")) is list:
        model_support.check_configuration(request, model, lineage.summary.configuration)
    stored = storing(request, rules)
    own = admit_items(state, request, lineage, model, rules, now)
    items, marked = own.items, own.marked
    # after the items, as the service judges them (errors §3 step 9)
    if lineage.conversation is not None and lineage.conversation.running is not None:
        raise errors.conversation_locked()
    partition = lineage.partition or partition_of_items(items)
    persisted = stored and (request.get("store", True) or rules.zdr == "on")
    kept, id_generator = fill_items(items, id_generator.in_partition(partition, stored=persisted))
    base = context.with_token_count(state, lineage.summary, lineage.head, model, rules)
    hidden = own.opened.token_counter(rules.count_hidden_tokens) if marked else rules.count_hidden_tokens
    tally, tokens = context.count_request(request, base, items, kept, model, rules, hidden)
    configuration = base.configuration
    if marked:
        configuration = context.apply_configuration(configuration, kept, own.opened.payloads)
    over = "context_management" in request and compaction.is_over_threshold(request, tokens, model)
    compacts = "trigger" if own.triggered else "threshold" if over else ""
    restart = compaction.start(kept) if marked else None
    again = frozenset([item["id"] for item in items if item.get("id")])
    admission = _new(
        Admission,
        (
            request,
            model,
            lineage,
            id_generator,
            kept,
            base,
            tally,
            tokens,
            stored,
            _NONE_DROPPED,
            False,
            restart,
            compacts,
            configuration,
            again,
            own.opened,
            None,
        ),
    )
    if model.checks_prefix:
        origin, fewer = check_origins(state, request, lineage, items, kept, model, rules)
        tokens = tokens if fewer is None else fewer
        admission = admission._replace(origin=origin, dropped=frozenset(origin.withheld), input_tokens=tokens)
    if tokens > model.max_input_tokens:
        return check_window(state, admission, items, rules)
    return admission


_NONE_DROPPED: frozenset[int] = frozenset()
_MARKS = frozenset({"compaction", compaction.TRIGGER, "reasoning"}) | context.CONFIGURING


class OwnItems(NamedTuple):
    """A request's own items as sent, and what was found out about them on the way.

    `marked` says whether some are of a kind that says how the context is read, `triggered` whether they ask to compact;
    `opened` is what the sealed ones hold.
    """

    items: list[Item]
    marked: bool
    triggered: bool
    opened: DecryptedItems


def check_origins(
    state: State, request: Request, lineage: Lineage, sent: list[Item], kept: list[Item], model: Model, rules: Semantics
) -> tuple[OriginCheck, int | None]:
    """Find the reasoning that is withheld, and what the rest costs, None where all is read. Spec: R1.46."""
    origin = reasoning_origin.check(state, request, lineage, kept, model, rules)
    if not origin.withheld:
        return origin, None
    read = [item for at, item in enumerate(whole_context(state, lineage, sent, kept)) if at not in origin.withheld]
    return origin, context.input_tokens_of(request, read, model, rules, rules.hidden_counter(state))


def whole_context(state: State, lineage: Lineage, sent: list[Item], kept: list[Item]) -> list[Item]:
    """All items that a model could read, the request's own as they are paid."""
    return compaction.read_of([*items_up_to(state, lineage.head), *context.billable_items(sent, kept)])


def admit_items(
    state: State, request: Request, lineage: Lineage, model: Model, rules: Semantics, now: float
) -> OwnItems:
    """A request's own items if they may follow its lineage; raises the first complaint if they may not."""
    own, triggered, opened = request.get("input"), False, NOTHING_OPENED
    # a text refers to nothing, and most requests are one
    items = input_items(own) if isinstance(own, str) else resolve_items(state, request, lineage, rules, now)
    pending, orphaned = lineage.summary.pending, lineage.summary.orphaned
    types = [item["type"] for item in items]
    marked = not _MARKS.isdisjoint(types)
    if marked:
        items, triggered = compaction.without_trigger(items)
        opened = DecryptedItems.of(items, state, rules.key)
        pending = {**pending, **compaction.pending_outputs(items, opened)}
        orphaned = orphaned if compaction.start(items) is None else None
    if orphaned:
        raise errors.no_tool_call(orphaned)
    if pending or not tool_pairing.PAIRED.isdisjoint(types):
        tool_pairing.check(pending, items, items_back(state, lineage.head))
    if marked:
        check_updates(state, items, lineage)
    if not model.reasoning and (reasoning_read(items, lineage.summary) if marked else lineage.summary.reasoned):
        raise errors.reasoning_items_unsupported()
    if marked:
        check_sealed(items, opened)
    if "text" in request and rules.json_word == "require":
        model_support.check_json_word(request, message_texts(items))
    return _new(OwnItems, (items, marked, triggered, opened))


def compact_window(
    state: State, request: Request, rules: Semantics, id_generator: IdGenerator, now: float
) -> compaction.Window:
    """Decide what a compact call compacts; raises the first APIError in the API's order. Spec: F10, R5.6, T10."""
    lineage = resolve_lineage(state, request, rules, now)
    if not request.get("input") and lineage.fresh:
        raise errors.input_missing()
    model = served_model(request, rules, now)
    inherited = lineage.summary.configuration
    model_support.check(request, model, inherited)
    model_support.check_configuration(request, model, inherited)
    own = admit_items(state, request, lineage, model, rules, now)
    items, partition = own.items, lineage.partition or partition_of_items(own.items)
    kept, id_generator = fill_items(
        items, id_generator.in_partition(partition, stored=False)
    )  # nothing of it is persisted (Spec: W1)
    history = items_up_to(state, lineage.head)
    paid = [*history, *context.billable_items(items, kept)]
    tokens = context_tokens.compact_input_tokens(
        request, paid, model, rules.count, own.opened.token_counter(rules.hidden_counter(state))
    )
    if tokens > model.max_input_tokens:
        raise errors.context_length_exceeded()
    return compaction.Window([*history, *kept], tokens, id_generator)


def storing(request: Request, rules: Semantics) -> bool:
    """Whether a response is stored, as one in the background is for a while at least; raises E84.

    Spec: R1.1, R1.7, R6.6.
    """
    stored = request.get("store", True)
    if stored or not request.get("background"):
        return stored
    if rules.background_store_false == "refuse" and rules.zdr == "off":
        raise errors.background_without_store()
    return True


def check_window(state: State, admission: Admission, sent: list[Item], rules: Semantics) -> Admission:
    """Admit a context larger than the window: with less of it, or to fail in its stream; else raises E54.

    Spec: R7.2, R7.3, R7.4.
    """
    request, kept = admission.request, admission.items
    found = fit_window(state, request, admission.lineage, sent, kept, admission.model, rules, admission.dropped)
    if found is not None:
        return admission._replace(input_tokens=found.tokens, dropped=found.dropped)
    if request.get("stream"):
        return admission._replace(overflow=True)
    raise errors.context_length_exceeded()


def fit_window(
    state: State,
    request: Request,
    lineage: Lineage,
    sent: list[Item],
    kept: list[Item],
    model: Model,
    rules: Semantics,
    unread: frozenset[int] = _NONE_DROPPED,
) -> truncation.Fit | None:
    """Return what fits into the window when the caller lets the rest be dropped, None when nothing may or can be.

    `unread` are the positions of what the model does not read anyway.
    """
    if request.get("truncation") != "auto":
        return None
    items = whole_context(state, lineage, sent, kept)
    places = [at for at in range(len(items)) if at not in unread]
    found = truncation.fit([items[at] for at in places], request, model, rules, rules.hidden_counter(state))
    return found and found._replace(dropped=unread.union(places[at] for at in found.dropped))


def measure(state: State, request: Request, rules: Semantics, id_generator: IdGenerator, now: float) -> int:
    """The input tokens that the same request would be billed for; nothing is made or stored. Spec: R8.1–R8.3."""
    lineage = resolve_lineage(state, request, rules, now)
    model = served_model({"model": catalog.UNNAMED, **request}, rules, now)
    items, _ = compaction.without_trigger(resolve_items(state, request, lineage, rules, now))
    kept, _ = fill_items(items, id_generator)
    base = context.with_token_count(state, lineage.summary, lineage.head, model, rules)
    tokens = context.input_tokens(request, base, items, kept, model, rules, rules.hidden_counter(state))
    unread = _NONE_DROPPED
    if model.checks_prefix:
        origin, fewer = check_origins(state, request, lineage, items, kept, model, rules)
        tokens, unread = tokens if fewer is None else fewer, frozenset(origin.withheld)
    if tokens <= model.max_input_tokens:
        return tokens
    found = fit_window(state, request, lineage, items, kept, model, rules, unread)
    return tokens if found is None else found.tokens


def served_model(request: Request, rules: Semantics, now: float) -> Model:
    """The model that a new request asks for; raises E11, also for one that is shut down. Spec: P18, W21."""
    model = resolve_model(request, rules)
    if rules.shutdown_models == "refuse" and catalog.is_shut_down(model, now):
        raise errors.model_not_found(request.get("model") or "")
    return model


def resolve_model(request: Request, rules: Semantics) -> Model:
    """The model that a request names, whether it is shut down or not; raises E11.

    What model a prompt template has is not known: without a name it is one of the newest. Spec: R15.4.
    """
    name = request.get("model") or (catalog.UNNAMED if request.get("prompt") else "")
    find = _find_model if len(name) <= catalog.LONGEST_NAME else catalog.find
    model = find(name, rules.unknown_models)
    if model is None:
        raise errors.model_not_found(name)
    return model


_find_model = lru_cache(maxsize=1024)(catalog.find)


def partition_of_items(items: list[Item]) -> str | None:
    """The partition key of replayed items: a response that replays items shares theirs. Spec: W1."""
    for item in items:
        key = partition_of(item["id"]) if item.get("id") else None  # null where none is meant, like no id
        if key:
            return key
    return None


def check_sealed(items: list[Item], opened: DecryptedItems) -> None:
    """Refuse sealed content that this mock has not handed out. Spec: R1.42, E57."""
    for item in items:
        if item["type"] in ("reasoning", "compaction"):
            blob = item.get("encrypted_content")
            if blob is not None and opened.payloads[blob] is None:
                raise errors.encrypted_content_invalid(blob, item.get("id"))


def check_updates(state: State, items: list[Item], lineage: Lineage) -> None:
    """Refuse two `configuration_update` items side by side. Spec: R12.5."""
    for at, item in enumerate(items):
        if item["type"] == context.UPDATE:
            before = items[at - 1] if at else next(items_back(state, lineage.head), None)
            if before is not None and before["type"] == context.UPDATE:
                raise validation_errors.adjacent_updates(at)


def reasoning_read(items: list[Item], before: Summary) -> bool:
    """Whether there is reasoning in what a model reads of a context with `items` after it."""
    restart = compaction.start(items)
    inherited = before.reasoned and restart is None
    return inherited or any(item["type"] == "reasoning" for item in items[restart or 0 :])


def message_texts(items: list[Item]) -> Iterator[str]:
    """The texts of the messages among a request's own items."""
    for item in items:
        if item["type"] == "message":
            content = item["content"]
            yield from [content] if isinstance(content, str) else (part.get("text", "") for part in content)
