"""What every store does, which one a setting names, and one project of it as the core's `State`."""

# What must stay true of every store: one test suite runs against all of them. `apply` inside a transaction is all
# or nothing; `scan` is ordered by number, then by id, and never lists the unlisted kinds; `idle` may err in one
# direction only, towards busy.

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from mockserver.core.state import Change, Put, Record
from mockserver.store.memory import MemoryStore
from mockserver.store.sqlite import SQLiteStore


class Store(Protocol):
    """Where records live: eight methods, written by every store."""

    def transaction(self, project: str) -> Any: ...
    def get(self, project: str, kind: str, id: str) -> bytes | None: ...
    def scan(
        self,
        project: str,
        kind: str,
        parent: str = "",
        *,
        after: int | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[Record]: ...
    def records(self, project: str) -> list[Put]: ...
    def idle(self, project: str) -> bool: ...
    def apply(self, project: str, changes: Iterable[Change]) -> None: ...
    def clear(self, project: str) -> None: ...
    def close(self) -> None: ...


def open_store(where: str) -> Store:
    """Open the store that a setting names."""
    return MemoryStore() if where == "memory" else SQLiteStore(where.removeprefix("sqlite:///"))


@dataclass(slots=True)
class View:
    """One project's records, to be read: the core's `State`."""

    store: Store
    project: str

    def get(self, kind: str, id: str) -> bytes | None:
        """Return a record's document."""
        return self.store.get(self.project, kind, id)

    def scan(
        self,
        kind: str,
        parent: str = "",
        *,
        after: int | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[Record]:
        """Return records in order."""
        return self.store.scan(self.project, kind, parent, after=after, limit=limit, descending=descending)
