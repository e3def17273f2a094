"""The differences of two snapshots: by section and id, with JSON paths; pure functions of the documents."""

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

    `section` is a member of the document, `id` that of the record in it ("" for members that are no sections).
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
    result: list[Difference] = []
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name, _MISSING), after.get(name, _MISSING)
        if name == "others" and isinstance(old, list) and isinstance(new, list):
            old, new = _by_name(old), _by_name(new)
        if (name in SECTIONS or name == "others") and isinstance(old, dict) and isinstance(new, dict):
            for id in dict.fromkeys((*old, *new)):
                result += _compare(name, id, f"{name}.{id}", old.get(id, _MISSING), new.get(id, _MISSING))
        else:
            result += _compare(name, "", name, old, new)
    return result


def _by_name(records: list[Any]) -> dict[str, Any]:
    """The records without a section, by kind and id."""
    return {f"{record.get('kind')}/{record.get('id')}": record for record in records if isinstance(record, dict)}


def _compare(section: str, id: str, path: str, old: Any, new: Any) -> Iterator[Difference]:
    if old is _MISSING or new is _MISSING:
        how: How = "added" if old is _MISSING else "removed"
        yield Difference(how, section, id, path, None if old is _MISSING else old, None if new is _MISSING else new)
    elif isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys((*old, *new)):
            yield from _compare(section, id, f"{path}.{key}", old.get(key, _MISSING), new.get(key, _MISSING))
    elif isinstance(old, list) and isinstance(new, list):
        for index in range(max(len(old), len(new))):
            pair = (part[index] if index < len(part) else _MISSING for part in (old, new))
            yield from _compare(section, id, f"{path}[{index}]", *pair)
    elif type(old) is not type(new) or old != new:
        yield Difference("changed", section, id, path, old, new)


def _short(value: Any) -> str:
    text = encode_compact(value).decode()
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def format_differences(listed: list[Difference]) -> str:
    """The differences as text: one line each under its section, and the counts at the end."""
    lines: list[str] = []
    for index, difference in enumerate(listed):
        if index == 0 or listed[index - 1].section != difference.section:
            lines.append(difference.section)
        lines.append(f"  {difference}")
    counts = [(how, sum(difference.how == how for difference in listed)) for how in _SIGNS]
    lines.append(", ".join(f"{count} {how}" for how, count in counts if count) or "no differences")
    return "\n".join(lines)
