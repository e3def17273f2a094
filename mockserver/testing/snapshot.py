"""A mock's whole state as a test holds it: a document that can be restored, kept, and compared."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mockserver.snapshots.diff import Difference, differences, format_differences


class Snapshot(dict[str, Any]):
    """The JSON document of a state; what it looks like is what the control API says."""

    def diff(self, other: Mapping[str, Any]) -> Diff:
        """Return what was added, removed and changed from this one to the other, empty when nothing was."""
        return Diff(differences(self, other))


class Diff(list[Difference]):
    """Differences, oldest section first; as text a line each, with its JSON path."""

    def __str__(self) -> str:
        return format_differences(self)

    __repr__ = __str__
