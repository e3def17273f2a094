"""Where the mock would have answered differently: two answers compared, findings grouped."""

# Everything is compared that the mock claims to know: status, error bodies, sets and order of keys, every value, the
# grammar of events. Left out is what nobody could know: ids (as long as they correspond one to one), times, what was
# drawn or measured. A finding says that the mock, or what it is built from, is wrong.

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from proxy.cassettes.canonical import encode

Path = tuple[str, ...]
LONGEST = 200
# values that differ from run to run, by key; ids are exchanged before two answers are compared
UNKNOWABLE = frozenset(
    "created_at completed_at expires_at started_at obfuscation logprobs encrypted_content x_request_id "
    "safety_identifier cached_tokens cache_write_tokens".split()
)
DELTAS = (".delta",)


@dataclass(frozen=True, slots=True)
class Finding:
    """One difference: the endpoint, the JSON path without numbers, its kind, and both values as JSON."""

    endpoint: str
    path: str
    kind: str
    recorded: str
    ours: str


@dataclass
class Group:
    """Findings of the same kind at the same place, with the first as the example."""

    first: Finding
    count: int = 0
    exchanges: list[int] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The group as `/_mock/drift` has it."""
        first = self.first
        return {
            "endpoint": first.endpoint,
            "path": first.path,
            "kind": first.kind,
            "count": self.count,
            "recorded": first.recorded,
            "ours": first.ours,
            "exchanges": self.exchanges,
        }


class Drift:
    """Findings so far, grouped by endpoint, path and kind."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, str, str], Group] = {}

    def add(self, finding: Finding, exchange: int) -> None:
        """Count a finding of an exchange."""
        group = self._groups.setdefault((finding.endpoint, finding.path, finding.kind), Group(finding))
        group.count += 1
        if exchange not in group.exchanges:
            group.exchanges.append(exchange)

    def groups(self) -> list[Group]:
        """The groups, the most frequent first."""
        return sorted(self._groups.values(), key=lambda group: -group.count)

    def clear(self) -> None:
        """Forget all."""
        self._groups.clear()


def compare(endpoint: str, recorded: Any, ours: Any, path: Path = ()) -> Iterator[Finding]:
    """Yield the differences of two JSON values."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        yield from _compare_objects(endpoint, recorded, ours, path)
    elif isinstance(recorded, list) and isinstance(ours, list):
        if len(recorded) != len(ours):
            yield _finding(endpoint, path, "length", len(recorded), len(ours))
        for one, other in zip(recorded, ours, strict=False):
            yield from compare(endpoint, one, other, (*path, "[]"))
    elif recorded != ours or isinstance(recorded, bool) != isinstance(ours, bool):
        yield _finding(endpoint, path, "value", recorded, ours)


def _compare_objects(endpoint: str, recorded: dict[str, Any], ours: dict[str, Any], path: Path) -> Iterator[Finding]:
    for key in recorded:
        if key not in ours:
            yield _finding(endpoint, (*path, key), "missing in ours", recorded[key], None)
    for key in ours:
        if key not in recorded:
            yield _finding(endpoint, (*path, key), "only in ours", None, ours[key])
    common = [key for key in recorded if key in ours]
    if common != [key for key in ours if key in recorded]:
        yield _finding(endpoint, path, "order of keys", common, [key for key in ours if key in recorded])
    for key in common:
        one, other = recorded[key], ours[key]
        if key not in UNKNOWABLE:
            yield from compare(endpoint, one, other, (*path, key))
        elif (one is None) != (other is None):  # that there is a value is known
            yield _finding(endpoint, (*path, key), "value", one, other)


def compare_events(endpoint: str, recorded: list[Any], ours: list[Any]) -> Iterator[Finding]:
    """Yield the differences of two streams: their grammar, then each event that is no delta."""
    one, other = _grammar(recorded), _grammar(ours)
    if one != other:
        yield _finding(endpoint, ("events",), "grammar", one, other)
        return
    for first, second in zip(_whole(recorded), _whole(ours), strict=True):
        yield from compare(endpoint, _unnumbered(first), _unnumbered(second), ("events", str(first.get("type"))))


def _grammar(events: list[Any]) -> list[str]:
    """The types of events in order, runs of the same delta as one: where a text is cut is the model's business."""
    types: list[str] = []
    for event in events:
        kind = str(event.get("type"))
        if not (kind.endswith(DELTAS) and types and types[-1] == kind):
            types.append(kind)
    return types


def _whole(events: list[Any]) -> list[Any]:
    return [event for event in events if not str(event.get("type")).endswith(DELTAS)]


def _unnumbered(event: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in event.items() if key != "sequence_number"}


def _finding(endpoint: str, path: Path, kind: str, recorded: Any, ours: Any) -> Finding:
    return Finding(endpoint, ".".join(path) or "body", kind, _shown(recorded), _shown(ours))


def _shown(value: Any) -> str:
    text = encode(value).decode(errors="replace")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def pair_ids(recorded: Any, ours: Any) -> Iterator[tuple[str, str]]:
    """Yield ids, and sealed contents, at the same places of two answers."""
    if isinstance(recorded, dict) and isinstance(ours, dict):
        for key, value in recorded.items():
            other = ours.get(key)
            if _names_an_id(key) and isinstance(value, str) and isinstance(other, str):
                yield value, other
            else:
                yield from pair_ids(value, other)
    elif isinstance(recorded, list) and isinstance(ours, list):
        for value, other in zip(recorded, ours, strict=False):
            yield from pair_ids(value, other)


def _names_an_id(key: str) -> bool:
    return key in ("id", "encrypted_content") or key.endswith("_id")
