"""Query parameters, given as decoded pairs: arrays arrive as `include[]=a`, `include=a` or repeated. Spec: P22.

Parameters an endpoint doesn't know are ignored, as the service ignores `beta=true` and whatever gateways append.
Of a repeated scalar the last one counts; an empty one counts as absent.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from mockserver.wire.errors import api as errors
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.requests.bodies import INCLUDE_VALUES

Pairs = Sequence[tuple[str, str]]

ORDERS = ("asc", "desc")
_BOOLEANS = {"true": True, "false": False}
_INTEGER = re.compile("-?[0-9]{1,4000}")


class ListQuery(NamedTuple):
    """Which page of a list: at most `limit` items after (or before) an item id, in `order`. Spec: P5, P14."""

    limit: int = 20
    order: Literal["asc", "desc"] = "desc"
    after: str | None = None
    before: str | None = None
    include: tuple[str, ...] = ()


class RetrieveQuery(NamedTuple):
    """How to read one response: as JSON or as a stream from the event after `starting_after`. Spec: P2."""

    include: tuple[str, ...] = ()
    stream: bool = False
    starting_after: int | None = None
    include_obfuscation: bool | None = None


def include(pairs: Pairs) -> tuple[str, ...]:
    """The values of `include`, in order. Spec: P22, E22."""
    values = tuple(value for key, value in pairs if key.partition("[")[0] == "include")
    for index, value in enumerate(values):
        if value not in INCLUDE_VALUES:
            raise errors.invalid_value(f"include[{index}]", value, INCLUDE_VALUES)
    return values


def list_query(
    pairs: Pairs, *, default_order: Literal["asc", "desc"] = "desc", most: int = 100, default: int = 20
) -> ListQuery:
    """Read the parameters of a list, at most `most` in a page. Spec: P5, P14, E10, E24, E25, E82, E83."""
    if not pairs:
        return ListQuery(default, default_order)
    limit = _integer(pairs, "limit")
    if limit is None:
        limit = default
    elif limit > most:
        raise validation_errors.above_maximum("limit", "integer", most, limit)
    elif limit < 1:
        raise validation_errors.below_minimum("limit", "integer", 1, limit)
    order = _last(pairs, "order") or default_order
    if order not in ORDERS:
        raise errors.invalid_value("order", order, ORDERS)
    direction: Literal["asc", "desc"] = "asc" if order == "asc" else "desc"
    return ListQuery(limit, direction, _last(pairs, "after"), _last(pairs, "before"), include(pairs))


def retrieve_query(pairs: Pairs) -> RetrieveQuery:
    """Read the parameters of GET /responses/{id}. Spec: P2, E10."""
    return RetrieveQuery(
        include(pairs),
        _boolean(pairs, "stream") or False,
        _integer(pairs, "starting_after"),
        _boolean(pairs, "include_obfuscation"),
    )


def _last(pairs: Pairs, name: str) -> str | None:
    values = [value for key, value in pairs if key == name]
    return (values[-1] or None) if values else None


def _integer(pairs: Pairs, name: str) -> int | None:
    value = _last(pairs, name)
    if value is None:
        return None
    if not _INTEGER.fullmatch(value):
        raise errors.invalid_type(name, "an integer", value)
    return int(value)


def _boolean(pairs: Pairs, name: str) -> bool | None:
    value = _last(pairs, name)
    if value is None:
        return None
    if value.lower() not in _BOOLEANS:
        raise errors.invalid_type(name, "a boolean", value)
    return _BOOLEANS[value.lower()]
