"""Admission: all that is decided about a request before the model runs. Spec: errors §3 steps 6 to 9.

A request that is refused leaves no trace: nothing here writes.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, NamedTuple

from mockserver.core import context, pairing, truncation
from mockserver.core.lineage import Lineage, resolve_lineage
from mockserver.core.lookup import resolve_items
from mockserver.core.rules import Rules
from mockserver.core.sealed import unseal
from mockserver.core.state import Item, State, Summary, items_back, items_up_to
from mockserver.wire import capability, catalog, errors
from mockserver.wire.catalog import Model
from mockserver.wire.errors import MockError
from mockserver.wire.ids import Mint, partition_of
from mockserver.wire.render import Tally
from mockserver.wire.resources import stored_item

Request = dict[str, Any]


class Admission(NamedTuple):
    """A request that will be answered.

    `items` are its own items in stored form, `before` the context before them, `tally` its cost with them,
    `input_tokens` what `usage` will say. The model does not see the items whose positions in the whole context are
    `dropped`; with `overflow` it sees nothing, for the turn fails in its stream.
    """

    request: Request
    model: Model
    lineage: Lineage
    items: list[Item]
    before: Summary
    tally: Tally
    input_tokens: int
    stored: bool
    dropped: frozenset[int] = frozenset()
    overflow: bool = False

    @property
    def item_count(self) -> int:
        """How many items the model sees."""
        return self.before.count + len(self.items) - len(self.dropped)

    @property
    def seen(self) -> tuple[Item, ...]:
        """The request's own items that the model sees."""
        first = self.before.count
        if not self.dropped:
            return tuple(self.items)
        return tuple([item for at, item in enumerate(self.items, first) if at not in self.dropped])

    def newest_first(self, state: State) -> Iterator[Item]:
        """Walk the effective context, as the model sees it, from its last item to its first."""
        whole = chain(reversed(self.items), items_back(state, self.lineage.head))
        if not self.dropped:
            return whole
        last = self.before.count + len(self.items) - 1
        return (item for back, item in enumerate(whole) if last - back not in self.dropped)


def admit(state: State, request: Request, rules: Rules, mint: Mint, now: float) -> Admission:
    """Decide whether a request is answered and with what context; raises the first APIError in the API's order."""
    refuse_unbuilt(request)
    lineage = resolve_lineage(state, request, rules, now)
    if not request.get("input") and lineage.fresh:
        raise errors.input_missing()
    model = known_model(request, rules)
    capability.check(request, model)
    stored = storing(request, rules)
    mint.mark = "00" if stored else "01"
    items = resolve_items(state, request, lineage, rules, now)
    mint.partition = lineage.partition or partition_of_items(items) or mint.new_partition()
    pairing.check(lineage.summary.pending, items, items_back(state, lineage.head))
    check_content(request, items, lineage.summary, model, rules)
    if lineage.conversation is not None and lineage.conversation.running is not None:
        raise errors.conversation_locked()
    kept = [stored_item(item, mint) for item in items]
    base = context.counted(state, lineage.summary, lineage.head, model, rules)
    tally, tokens = context.admitted(request, base, items, kept, model, rules)
    admission = Admission(request, model, lineage, kept, base, tally, tokens, stored)
    return admission if tokens <= model.max_input_tokens else over_window(state, admission, items, rules)


def storing(request: Request, rules: Rules) -> bool:
    """Whether a response is stored, as one in the background always is; raises E84. Spec: R1.1, R1.7, R6.6."""
    stored = request.get("store", True)
    if stored or not request.get("background"):
        return stored
    if rules.background_store_false == "refuse" and rules.zdr == "off":
        raise errors.background_without_store()
    return True


def over_window(state: State, admission: Admission, sent: list[Item], rules: Rules) -> Admission:
    """Admit a context larger than the window: with less of it, or to fail in its stream; else raises E54.

    Spec: R7.2, R7.3, R7.4.
    """
    request, kept = admission.request, admission.items
    found = fitted(state, request, admission.lineage, sent, kept, admission.model, rules)
    if found is not None:
        return admission._replace(input_tokens=found.tokens, dropped=found.dropped)
    if request.get("stream"):
        return admission._replace(overflow=True)
    raise errors.context_length_exceeded()


def fitted(
    state: State, request: Request, lineage: Lineage, sent: list[Item], kept: list[Item], model: Model, rules: Rules
) -> truncation.Fit | None:
    """Return what fits into the window when the caller lets the rest be dropped, None when nothing may or can be."""
    if request.get("truncation") != "auto":
        return None
    items = [*items_up_to(state, lineage.head), *context.paid(sent, kept)]
    return truncation.fit(items, request, model, rules)


def measure(state: State, request: Request, rules: Rules, mint: Mint, now: float) -> int:
    """Return the input tokens that the same request would be billed for; nothing is made or stored. Spec: R8.1–R8.3."""
    refuse_unbuilt(request)
    lineage = resolve_lineage(state, request, rules, now)
    model = known_model({"model": catalog.NEWEST, **request}, rules)
    items = resolve_items(state, request, lineage, rules, now)
    kept = [stored_item(item, mint) for item in items]
    base = context.counted(state, lineage.summary, lineage.head, model, rules)
    tokens = context.input_tokens(request, base, items, kept, model, rules)
    if tokens <= model.max_input_tokens:
        return tokens
    found = fitted(state, request, lineage, items, kept, model, rules)
    return tokens if found is None else found.tokens


# Fields that need what is not built yet: refused loudly, never ignored.
_UNBUILT = {
    "context_management": bool,
    "multi_agent": lambda value: value is not None,
}
_UNBUILT_ITEMS = frozenset({"compaction_trigger"})


def refuse_unbuilt(request: Request) -> None:
    """Raise a 501 MockError for what the mock does not do yet."""
    for name in _UNBUILT.keys() & request.keys():
        if _UNBUILT[name](request[name]):
            raise MockError(f"The mock does not support '{name}' yet.", status=501, param=name)
    own = request.get("input")
    for index, item in enumerate(own if isinstance(own, list) else ()):
        if item.get("type") in _UNBUILT_ITEMS:
            what = f"'{item['type']}' items"
            raise MockError(f"The mock does not support {what} yet.", status=501, param=f"input[{index}]")


def known_model(request: Request, rules: Rules) -> Model:
    """Return the catalogue's entry, or the stand-in for unknown names where they are allowed; raises E11."""
    name = request.get("model", "")
    model = catalog.resolve(name)
    if model is None:
        if not name or rules.unknown_models == "refuse":
            raise errors.model_not_found(name)
        model = catalog.stand_in(name)
    return model


def partition_of_items(items: list[Item]) -> str | None:
    """Return the partition key of replayed items: a response that replays items shares theirs. Spec: W1."""
    from_items = (partition_of(item["id"]) for item in items if "id" in item)
    return next((key for key in from_items if key), None)


def check_content(request: Request, items: list[Item], before: Summary, model: Model, rules: Rules) -> None:
    """Judge what the context holds: reasoning for a model that can't read it, sealed content, the word json."""
    if not model.reasoning and (before.reasoned or any(item["type"] == "reasoning" for item in items)):
        raise errors.reasoning_items_unsupported()
    for item in items:
        if item["type"] in ("reasoning", "compaction"):
            blob = item.get("encrypted_content")
            if blob is not None and unseal(blob, rules.key) is None:
                raise errors.encrypted_content_invalid(blob, item.get("id"))
    asked = (request.get("text") or {}).get("format", {}).get("type")
    if asked == "json_object" and rules.json_word == "require":
        capability.check_json_word(request, message_texts(items))


def message_texts(items: list[Item]) -> Iterator[str]:
    """Return the texts of the messages among a request's own items."""
    for item in items:
        if item["type"] == "message":
            content = item["content"]
            yield from [content] if isinstance(content, str) else (part.get("text", "") for part in content)
