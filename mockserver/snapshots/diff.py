"""What two snapshots differ in: by section and id, with JSON paths; pure, on documents as they are read."""

# How it works. Both documents are walked together in the order of their keys, the older one first. Objects are
# compared by key, lists by index, all else by type and value (True is not 1). A record that came or went is one
# difference, however large it is; a record that changed gives one per place.
#
# What must stay true: no difference means equal documents, and the other way round; `others` have no keys of
# their own, so they are compared by kind and id, not by their place in the list.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal, NamedTuple

from mockserver.snapshots.records import SECTIONS
from mockserver.wire.responses.encoding import encode_compact

LONGEST = 100  # characters of a value in a line

How = Literal["added", "removed", "changed"]
_SIGNS: Mapping[How, str] = {"added": "+", "removed": "-", "changed": "~"}
_MISSING: Any = object()


class Difference(NamedTuple):
    """One place where two snapshots differ: its JSON path, and the value before and after (None if absent).

    `section` is a member of the document, `id` the record's in it, "" for members that are no sections.
    """

    how: How
    section: str
    id: str
    path: str
    before: Any
    after: Any

    def __str__(self) -> str:
        sign = f"{_SIGNS[self.how]} {self.path}"
        if self.how == "changed":
            return f"{sign}: {_short(self.before)} → {_short(self.after)}"
        return f"{sign}: {_short(self.after if self.how == 'added' else self.before)}"


def differences(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Difference]:
    """The differences of two snapshots: added or removed records as wholes, changed ones place by place."""
    found: list[Difference] = []
    for name in dict.fromkeys((*before, *after)):
        one, other = before.get(name, _MISSING), after.get(name, _MISSING)
        if name == "others" and isinstance(one, list) and isinstance(other, list):
            one, other = _by_name(one), _by_name(other)
        if (name in SECTIONS or name == "others") and isinstance(one, dict) and isinstance(other, dict):
            for id in dict.fromkeys((*one, *other)):
                found += _compare(name, id, f"{name}.{id}", one.get(id, _MISSING), other.get(id, _MISSING))
        else:
            found += _compare(name, "", name, one, other)
    return found


def _by_name(records: list[Any]) -> dict[str, Any]:
    """The records without a section, by kind and id."""
    return {f"{one.get('kind')}/{one.get('id')}": one for one in records if isinstance(one, dict)}


def _compare(section: str, id: str, path: str, one: Any, other: Any) -> Iterator[Difference]:
    if one is _MISSING or other is _MISSING:
        how: How = "added" if one is _MISSING else "removed"
        yield Difference(how, section, id, path, None if one is _MISSING else one, None if other is _MISSING else other)
    elif isinstance(one, dict) and isinstance(other, dict):
        for key in dict.fromkeys((*one, *other)):
            yield from _compare(section, id, f"{path}.{key}", one.get(key, _MISSING), other.get(key, _MISSING))
    elif isinstance(one, list) and isinstance(other, list):
        for at in range(max(len(one), len(other))):
            pair = (part[at] if at < len(part) else _MISSING for part in (one, other))
            yield from _compare(section, id, f"{path}[{at}]", *pair)
    elif type(one) is not type(other) or one != other:
        yield Difference("changed", section, id, path, one, other)


def _short(value: Any) -> str:
    text = encode_compact(value).decode()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def format_differences(found: list[Difference]) -> str:
    """The differences as text: one line each under its section, and the counts at the end."""
    lines: list[str] = []
    for at, one in enumerate(found):
        if at == 0 or found[at - 1].section != one.section:
            lines.append(one.section)
        lines.append(f"  {one}")
    counts = [(how, sum(one.how == how for one in found)) for how in _SIGNS]
    lines.append(", ".join(f"{count} {how}" for how, count in counts if count) or "no differences")
    return "\n".join(lines)
