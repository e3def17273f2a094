"""What an API answers otherwise than was recorded: statuses, error texts, fields and defaults, never what was said."""

# Two runs of a programme against a model say different things, in more or fewer items, with other ids and figures. What
# the API itself says stays: which members an object has, what a request that left them out gets, how an error reads.
# So of items, events and usage only the names of members are compared, where both runs have some of the same type; and
# everything else by value.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from proxy.cassettes.drift import Finding, compare
from proxy.cassettes.interaction import Interaction

Shape = dict[str, Any]
# members that hold what a model said, or what it cost
_SAID = frozenset(("output", "data", "usage", "logprobs", "item", "part", "delta", "text", "arguments", "output_text"))


def find_changes(endpoint: str, was: Interaction, now: Interaction, ids: Mapping[str, str]) -> Iterator[Finding]:
    """Yield what the API changed between two recordings of one request; `ids` are the old ones with their new ones."""
    if was.response.status != now.response.status:
        yield Finding(endpoint, "status", "status", str(was.response.status), str(now.response.status))
        return
    for finding in _differences(endpoint, was, now, ids):
        yield replace(finding, kind=_KINDS.get(finding.kind, finding.kind))


_KINDS = {"missing in ours": "gone", "only in ours": "new"}


def _differences(endpoint: str, was: Interaction, now: Interaction, ids: Mapping[str, str]) -> Iterator[Finding]:
    before, after = _known(_told(was.value), ids), _told(now.value)
    if isinstance(before, dict) and isinstance(after, dict):
        for name in ("output", "data"):
            before[name], after[name] = _of_both(before.get(name), after.get(name))
    yield from compare(endpoint, before, after)
    if was.events and now.events:
        yield from compare(endpoint, *_of_both(_known(_events(was), ids), _events(now)), ("events",))


def _of_both(one: Any, other: Any) -> tuple[Any, Any]:
    """The types that both have: which of them a run brings is the model's business."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return one, other
    return {kind: one[kind] for kind in one if kind in other}, {kind: other[kind] for kind in one if kind in other}


def _told(value: Any) -> Any:
    """A body without what was said in it."""
    if not isinstance(value, dict):
        return value
    return {name: _shape(name, member) if name in _SAID else member for name, member in value.items()}


def _events(interaction: Interaction) -> Shape:
    """The events of a stream by their type: their members, and the Response that the last of a type shows."""
    kinds: Shape = {}
    for event in interaction.events:
        kind = str(event.get("type"))
        told = {name: _told(member) if name == "response" else _names(member) for name, member in event.items()}
        kinds[kind] = _merged(kinds.get(kind), told)
    return kinds


def _shape(name: str, value: Any) -> Any:
    """The names of the members of what was said; items by their type, in the order of the types."""
    if name not in ("output", "data") or not isinstance(value, list):
        return _names(value)
    kinds: Shape = {}
    for item in value:
        kind = str(item.get("type") or item.get("object")) if isinstance(item, dict) else "item"
        kinds[kind] = _merged(kinds.get(kind), _names(item))
    return dict(sorted(kinds.items()))


def _names(value: Any) -> Any:
    """The members of a value, without their values."""
    if isinstance(value, dict):
        return {name: _names(member) for name, member in value.items()}
    if isinstance(value, list):
        merged = None
        for member in value:
            merged = _merged(merged, _names(member))
        return merged
    return None


def _merged(one: Any, other: Any) -> Any:
    """The members that either has."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other if one is None else one
    return {
        name: _merged(one.get(name), other.get(name)) for name in [*one, *(name for name in other if name not in one)]
    }


def _known(value: Any, ids: Mapping[str, str]) -> Any:
    """A recorded value with the new ids, also in the middle of a text."""
    if isinstance(value, dict):
        return {name: _known(member, ids) for name, member in value.items()}
    if isinstance(value, list):
        return [_known(member, ids) for member in value]
    if isinstance(value, str):
        found = ids.get(value)
        if found is not None:
            return found
        for old, new in ids.items():
            if old in value:
                value = value.replace(old, new)
    return value
