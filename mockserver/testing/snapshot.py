"""Snapshots for tests: a mock's whole state as a document to store, compare and restore."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockserver.snapshots.diff import Difference


class Snapshot(dict[str, Any]):
    """The JSON document of a state, as `/_mock/snapshot` returns it."""

    def diff(self, other: Mapping[str, Any]) -> Diff:
        """The differences from this snapshot to another; empty if they are equal."""
        from mockserver.snapshots.diff import differences

        return Diff(differences(self, other))


class Diff(list["Difference"]):
    """A list of differences, in the order of sections; as text, one line each with its JSON path."""

    def __str__(self) -> str:
        from mockserver.snapshots.diff import format_differences

        return format_differences(self)

    __repr__ = __str__
