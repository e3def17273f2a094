"""What every store does, which one a setting names, and one project of it as the core's `State`."""

# What must stay true of every store: one test suite runs against all of them. `apply` inside a transaction is all
# or nothing; `scan` is ordered by number, then by id, and never lists the unlisted kinds; `pending` may name a kind
# too many, never one too few.

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from functools import partial
from typing import Any, NamedTuple, Protocol

from mockserver.core.records import Change, Put, Record, Watch
from mockserver.store.failures import StoreError
from mockserver.store.memory import MemoryStore


class Store(Protocol):
    """Where records live: thirteen methods, written by every store, and whether a call may wait for another machine."""

    @property
    def waits(self) -> bool: ...
    def open_call(self, project: str, *, writes: bool) -> Any: ...
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
    def pending(self, project: str) -> Collection[str]: ...
    def apply(self, project: str, changes: Iterable[Change]) -> None: ...
    def clear(self, project: str) -> None: ...
    def watch(self, watch: Watch | None) -> None: ...
    def projects(self) -> list[str]: ...
    def count(self, project: str, kind: str) -> int: ...
    def check(self) -> None: ...
    def close(self) -> None: ...


def open_store(where: str) -> Store:
    """Open the store that a setting names."""
    if where == "memory":
        return MemoryStore()
    if where.startswith("sqlite:///"):
        from mockserver.store.sqlite import SQLiteStore  # with its driver, 2 ms

        return SQLiteStore(where.removeprefix("sqlite:///"))
    try:
        from mockserver.store.postgres import PostgresStore  # whose driver few need
    except ImportError:
        raise StoreError("needs the driver psycopg: pip install 'understudy[postgres]'") from None
    return PostgresStore(where)


class ProjectView(NamedTuple):
    """One project's records, to be read: the core's `State`.

    Its two functions are the store's own with the project filled in, so that a look costs no call of ours.
    """

    get: Callable[[str, str], bytes | None]
    scan: Callable[..., list[Record]]


def view_project(store: Store, project: str) -> ProjectView:
    """A project's records, to be read."""
    return ProjectView(partial(store.get, project), partial(store.scan, project))
