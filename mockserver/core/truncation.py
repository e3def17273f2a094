"""What is left out of a context that is larger than the window, when the caller lets it be. Spec: R7.4.

Only what the model sees and what is paid for shrinks; nothing that is stored or listed does.
"""

# How it works. A context that is too long is cut by whole units, and by as few as possible: since dropping more
# units never makes it longer, the least number is found by halving, so a context of a thousand items is counted
# ten times and not a thousand times.
#
# What must stay true: a call and its output go together, and reasoning with what it led to, or the shorter
# context would be one that the API refuses (E71 to E74). The last user message and the newest item stay, or there
# is nothing to answer.

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any, NamedTuple

import orjson

from mockserver.core.records import Put, State
from mockserver.core.semantics import Semantics
from mockserver.core.state import Item
from mockserver.core.tool_pairing import call_id
from mockserver.wire.catalog import Model
from mockserver.wire.responses.encoding import encode_compact
from mockserver.wire.tokens import context as context_tokens

Unit = list[int]


class Fit(NamedTuple):
    """What fits: the positions of the items left out, oldest item 0, and the input tokens of the rest."""

    dropped: frozenset[int]
    tokens: int


def fit(
    items: Sequence[Item],
    request: dict[str, Any],
    model: Model,
    rules: Semantics,
    hidden: context_tokens.Hidden | None = None,
) -> Fit | None:
    """Leave out as little as possible of a whole context; None when the last user message and the newest don't fit.

    `items` are those of the context with the request's own, oldest first; `hidden` says an item's hidden tokens.
    """
    droppable = DROPPED_FIRST[rules.truncation_drop](_droppable(items), len(items))
    count, hidden = cache(rules.count), hidden or rules.count_hidden_tokens

    def without(number: int) -> Fit:
        dropped = frozenset(at for unit in droppable[:number] for at in unit)
        kept = [item for at, item in enumerate(items) if at not in dropped]
        tally = context_tokens.add(context_tokens.Tally(), kept, model, count, hidden)
        return Fit(dropped, context_tokens.input_tokens(request, tally, model, count))

    least = without(len(droppable))
    if least.tokens > model.max_input_tokens:
        return None
    fails, fits = 0, len(droppable)
    while fits - fails > 1:
        middle = (fails + fits) // 2
        found = without(middle)
        if found.tokens <= model.max_input_tokens:
            least, fits = found, middle
        else:
            fails = middle
    return least


def drop_record(response_id: str, dropped: frozenset[int]) -> Put:
    """The change that remembers what a response's model did not see."""
    return Put("dropped", response_id, encode_compact(sorted(dropped)))


def read_dropped(state: State, response_id: str) -> frozenset[int]:
    """The positions of the items that a response's model did not see."""
    doc = state.get("dropped", response_id)
    return frozenset() if doc is None else frozenset(orjson.loads(doc))


def _from_beginning(units: list[Unit], count: int) -> list[Unit]:
    return units


def _from_middle(units: list[Unit], count: int) -> list[Unit]:
    return sorted(units, key=lambda unit: (abs(2 * unit[0] - count + 1), unit[0]))


# switch `truncation_drop` → in what order whole units go
DROPPED_FIRST: dict[str, Callable[[list[Unit], int], list[Unit]]] = {
    "beginning": _from_beginning,
    "middle": _from_middle,
}


def _droppable(items: Sequence[Item]) -> list[Unit]:
    """The units that may go: all but that of the last user message and the newest one."""
    last_user = max((at for at, item in enumerate(items) if item.get("role") == "user"), default=-1)
    return [unit for unit in units_of(items) if last_user not in unit and len(items) - 1 not in unit]


def units_of(items: Iterable[Item]) -> list[Unit]:
    """The positions that go or stay together: a call with its output, reasoning with what it led to."""
    units: list[Unit] = []
    of_call: dict[str, Unit] = {}
    open_reasoning: Unit = []
    for at, item in enumerate(items):
        key = item.get("approval_request_id") or (item["id"] if item["type"] == "mcp_approval_request" else None)
        key = key or call_id(item)
        if key is not None and key in of_call:
            of_call[key].append(at)
            continue
        if not open_reasoning:
            units.append([])
        units[-1].append(at)
        open_reasoning = units[-1] if item["type"] == "reasoning" else []
        if key is not None:
            of_call[key] = units[-1]
    return units
