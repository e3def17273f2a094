"""A store whose projects do not begin empty: each starts with the same records, whenever it is first asked for."""

# Why not at the start of the server: projects come into being with their first call, and there is no list of
# them. So each is filled when it is first asked for, inside a transaction, and only if nobody has begun it, for a
# second process may share the store.

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from threading import RLock, get_ident
from typing import Any

from mockserver.core.records import PROJECT_KEY, Change, Put, Record, Watch
from mockserver.store.view import Store


class Started:
    """Another store, with records for every project that has none of its own yet; journals begin empty.

    `first` gives the records that a project begins with, by its name.
    """

    def __init__(self, store: Store, first: Callable[[str], Iterable[Put]]) -> None:
        self._store, self._first, self.waits = store, first, store.waits
        self._begun: set[str] = set()
        self._filling: tuple[str, int] | None = None  # the project that begins, and the thread that fills it
        self._lock = RLock()

    def _of(self, project: str) -> Store:
        # journals are projects too, of their own name, and begin empty
        if project not in self._begun and not project.endswith("/journal") and self._filling != (project, get_ident()):
            with self._lock:
                if project not in self._begun:
                    with self._store.transaction(project):
                        if self._store.get(project, *PROJECT_KEY) is None:
                            self._filling = project, get_ident()  # a watcher of it may look
                            try:
                                self._store.apply(project, self._first(project))
                            finally:
                                self._filling = None
                    self._begun.add(project)
        return self._store

    def open_call(self, project: str, *, writes: bool) -> Any:
        """Read at once what a call of this thread is sure to need."""
        return self._of(project).open_call(project, writes=writes)

    def transaction(self, project: str) -> Any:
        """Keep others from writing."""
        return self._of(project).transaction(project)

    def get(self, project: str, kind: str, id: str) -> bytes | None:
        """A record's document, None when there is none."""
        return self._of(project).get(project, kind, id)

    def scan(
        self,
        project: str,
        kind: str,
        parent: str = "",
        *,
        after: int | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[Record]:
        """Return records of a kind below a parent by their order."""
        return self._of(project).scan(project, kind, parent, after=after, limit=limit, descending=descending)

    def pending(self, project: str) -> Collection[str]:
        """The kinds of what is on a project's agenda."""
        return self._of(project).pending(project)

    def records(self, project: str) -> list[Put]:
        """All records of a project."""
        return self._of(project).records(project)

    def apply(self, project: str, changes: Iterable[Change]) -> None:
        """Write changes, all or none."""
        self._of(project).apply(project, changes)

    def clear(self, project: str) -> None:
        """Forget everything of a project; it does not begin again by itself."""
        self._of(project).clear(project)

    def watch(self, watch: Watch | None) -> None:
        """Have somebody told of all changes, before they are written; None ends it."""
        self._store.watch(watch)

    def projects(self) -> list[str]:
        """The names of all that has records."""
        return self._store.projects()

    def count(self, project: str, kind: str) -> int:
        """How many records of a listed kind there are below no parent."""
        return self._of(project).count(project, kind)

    def check(self) -> None:
        """Raise StoreUnavailable if the store can't be written now."""
        self._store.check()

    def close(self) -> None:
        """Close the store."""
        self._store.close()
