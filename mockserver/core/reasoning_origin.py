"""Where reasoning comes from: the newest models do not read it again after another history. Spec: R1.46, O1."""

# How it works. When a model that checks its prefix thinks, what stands before the reasoning item is hashed, item by
# item, and the hash goes into the item's sealed content, with what else it depends on: tools, format, model, end user.
# When the item comes again, the same is computed of what stands before it now; the first difference is the reason for
# which the model does not get the item.
#
# What must stay true:
# * What is hashed is what the model read, rendered as for the prompt cache, so ids, statuses and members that only
#   `include` shows don't count: a replay of what a client was shown is no edit.
# * Reasoning that is withheld is not hashed either: the model did not read it. So what was thought after it stays
#   valid, whether the client goes on sending the withheld item or takes it out.
# * A compaction item begins the hash anew, as it begins the context (R5.4).
# * A chain whose request depends on nothing new is not walked: its summary holds the hash, and for what it was found
#   valid. Whoever edits a context (a deletion, a turn of another model) leaves no hash, and then it is walked.

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from mockserver.core import compaction
from mockserver.core.context_hash import render_item, roll
from mockserver.core.encrypted_content import read_payload
from mockserver.core.lineage import Lineage
from mockserver.core.records import State
from mockserver.core.semantics import Semantics
from mockserver.core.state import Item, items_up_to
from mockserver.wire.catalog import Model
from mockserver.wire.responses.resources import present
from mockserver.wire.tokens.context import reasoning_read

# items that change what a model may do and not what it has read (Spec: R1.46, "no change")
_NOT_HISTORY = frozenset({"configuration_update", "additional_tools", compaction.TRIGGER})
_TIERS = ("luna", "terra", "sol", "astra")  # of one generation, the lowest first (C)
_VERSION = re.compile(r"gpt-(\d+)(?:\.(\d+))?")


class Origin(NamedTuple):
    """What a reasoning item depends on: the history before it, tools and format, the model, the end user."""

    prefix: str
    settings: str
    model: str
    end_user: str


class OriginCheck(NamedTuple):
    """What a request's context is to a model that checks: the hash at its end, and what it does not read.

    `withheld` has the entries of `input_transformations` by the position of their item among those that the model could
    read. `settings`, `model` and `end_user` are the request's own.
    """

    prefix: str
    settings: str
    model: str
    end_user: str
    withheld: Mapping[int, dict[str, Any]]

    @property
    def echo(self) -> dict[str, Any]:
        """What the Response says of it, where something is withheld. Spec: O1."""
        return {"input_transformations": [*self.withheld.values()]}

    @property
    def key(self) -> str:
        """For what all reasoning of the context has been found valid."""
        return f"{self.settings} {self.model} {self.end_user}"

    def extended(self, items: Iterable[Item]) -> str:
        """The hash of the context with items after it."""
        prefix = self.prefix
        for item in items:
            prefix = extend(prefix, item)
        return prefix

    def prefix_after(self, items: Iterable[Item]) -> list[str] | None:
        """What the next turn need not walk the context for; None where some of it has to be judged anew."""
        return None if self.withheld else [self.extended(items), self.key]

    def origin_after(self, items: Iterable[Item]) -> Origin:
        """The origin of reasoning that comes after items of an output."""
        return Origin(self.extended(items), self.settings, self.model, self.end_user)


def check(
    state: State, request: Mapping[str, Any], lineage: Lineage, items: list[Item], model: Model, rules: Semantics
) -> OriginCheck:
    """Find the reasoning that a model does not read of a context with a request's own `items` at its end."""
    found = OriginCheck("", _settings(request), model.id, _digest(request.get("safety_identifier")), {})
    crosses_turns = reasoning_read(request, model) == "all_turns"
    summary, restart = lineage.summary, compaction.start(items)
    known, first = summary.prefix, 0
    if restart is not None:
        walked = items[restart:]
    elif lineage.head is None:
        walked = items
    elif known is not None and known[1] == found.key and (crosses_turns or not summary.reasoned):
        walked, first = items, summary.count
        found = found._replace(prefix=known[0])
    else:
        walked = compaction.read_of([*items_up_to(state, lineage.head), *items])
    return _walk(state, found, walked, first, rules, crosses_turns=crosses_turns)


def _walk(
    state: State, start: OriginCheck, items: list[Item], first: int, rules: Semantics, *, crosses_turns: bool
) -> OriginCheck:
    prefix, withheld = start.prefix, {}
    last_user = max((at for at, item in enumerate(items) if item.get("role") == "user"), default=-1)
    for at, item in enumerate(items):
        if item["type"] == "reasoning":
            now = Origin(prefix, start.settings, start.model, start.end_user)
            reason = _reason(_origins(state, item, rules), now)
            if reason is None and at < last_user and not crosses_turns:
                reason = "turn_boundary"
            if reason is not None:
                withheld[first + at] = {
                    "id": item["id"],
                    "type": "reasoning",
                    "action": "removed",
                    "reason": reason,
                }
                continue
        prefix = extend(prefix, item)
    return start._replace(prefix=prefix, withheld=withheld)


def _origins(state: State, item: Item, rules: Semantics) -> list[Origin]:
    """What is known of an item's origin: several when a script gave the same blob to several turns."""
    payload = read_payload(state, item.get("encrypted_content") or "", rules.key)
    known = payload.get("origins", ()) if isinstance(payload, dict) else ()
    return [Origin(*origin) for origin in known]


def _reason(origins: list[Origin], now: Origin) -> str | None:
    """Why reasoning is withheld, None when it is read: also when nothing is known of where it comes from."""
    reasons = [_difference(origin, now) for origin in origins]
    return None if None in reasons or not reasons else reasons[-1]


def _difference(origin: Origin, now: Origin) -> str | None:
    """The first difference in the order of O1; the mock's projects belong to one organisation."""
    if origin.end_user != now.end_user:
        return "end_user_mismatch"
    if _rank(now.model) < _rank(origin.model):
        return "model_mismatch"
    if (origin.prefix, origin.settings) != (now.prefix, now.settings):
        return "prefix_mismatch"
    return None


def _rank(model: str) -> tuple[int, ...]:
    """How high a model stands: by its generation, then by its tier."""
    version = _VERSION.search(model)
    generation = (int(version[1]), int(version[2] or 0)) if version else (0, 0)
    tiers = [number for number, tier in enumerate(_TIERS) if f"-{tier}" in model]
    return (*generation, *tiers[:1])


# --- Hashes ----------------------------------------------------------------------------------------------------------


def extend(prefix: str, item: Item) -> str:
    """The hash of a history that goes on with an item."""
    kind = item["type"]
    if kind in _NOT_HISTORY:
        return prefix
    if kind.endswith("_call"):  # what only `include` shows is not always sent again, nor are nulls
        item = _without_nulls(present(item, ()))
    return roll("" if kind == "compaction" else prefix, render_item(item))


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(member) for key, member in value.items() if member is not None}
    return [_without_nulls(member) for member in value] if isinstance(value, list) else value


def _settings(request: Mapping[str, Any]) -> str:
    """The hash of what the request says of tools and format; an absent format is the default one."""
    text_format = (request.get("text") or {}).get("format") or {"type": "text"}
    return _digest(_without_nulls([request.get("tools") or [], text_format]))


def _digest(value: Any) -> str:
    """A short hash of a JSON value, whatever the order of its keys; empty for none."""
    if value is None:
        return ""
    return blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=8).hexdigest()
