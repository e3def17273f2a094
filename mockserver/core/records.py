"""Records and the read-only `State` that hands them out; what a call writes is a tuple of `Change`s.

A record is bytes under (kind, id); those of one kind may hang below a `parent` in the order of a number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

# Kinds that are found by id alone; a store need not keep their order. Only those below a parent are listed.
UNORDERED_KINDS = frozenset({"node", "item", "project"})


# The kind and the id of what a project keeps of itself, which it has once it has begun.
PROJECT_KEY = ("project", "project")


# Kinds that every call must look for, and of which most projects have none: those are idle.
PENDING_KINDS = frozenset({"running", "fleeting", "line", "fault"})


class Put(NamedTuple):
    """Write a record; it is listed below `parent` by `order`."""

    kind: str
    id: str
    doc: bytes
    parent: str = ""
    order: int = 0


_new = tuple.__new__  # makes one as Put(...) does, without a call of Python's


class Delete(NamedTuple):
    """Remove a record, if it is there."""

    kind: str
    id: str


Change = Put | Delete

# Who is told of a project's changes before they are written, None for all of it being forgotten. It hands the changes
# on, for they may be there to be read only once.
Watch = Callable[[str, Iterable[Change] | None], Iterable[Change]]


class Record(NamedTuple):
    """A record as a scan returns it."""

    id: str
    doc: bytes
    order: int


class State(Protocol):
    """The records of one project, to be read."""

    def get(self, kind: str, id: str) -> bytes | None:
        """A record's document, None when there is none."""
        ...

    def scan(
        self,
        kind: str,
        parent: str = "",
        *,
        after: int | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[Record]:
        """Return records of a kind below a parent by their order, strictly after `after` in that direction."""
        ...
