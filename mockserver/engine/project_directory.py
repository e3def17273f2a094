"""The projects that there are: for whoever looks at a server and does not have its clients' keys."""

# What must stay true: a key is not kept, only a few characters of it, too few to call with. Projects are named by
# hashes, so these are all that a person can recognize them by.

from __future__ import annotations

import math
from time import perf_counter
from typing import Any

from mockserver.core.records import PROJECT_KEY
from mockserver.engine.journal_store import JournalStore
from mockserver.engine.transactions import Transactions

SHOWN_ENDS = 4  # characters of a key at each end
LONG_KEY = 4 * SHOWN_ENDS  # characters from which both ends are shown
MOST_KEYS = 10_000
FEW = 100  # projects that are remembered over a reset: somebody may be looking at them


class ProjectDirectory:
    """The projects of an engine; `default`, of callers without a key, is always there."""

    def __init__(self, transactions: Transactions, logbook: JournalStore, default: str) -> None:
        self._calls, self._logbook, self._default = transactions, logbook, default
        self._keys: dict[str, str] = {}

    def note_key(self, project: str, key: str) -> None:
        """Remember which key a project has, as far as it is shown."""
        if key and project not in self._keys:
            if len(self._keys) >= MOST_KEYS:
                del self._keys[next(iter(self._keys))]
            self._keys[project] = shorten_key(key)

    def forget(self, project: str) -> None:
        """Forget a project that was reset, where there are many."""
        if len(self._logbook.active) > FEW:
            self._logbook.active.pop(project, None)
            self._keys.pop(project, None)

    def list_projects(self) -> list[dict[str, Any]]:
        """All projects with what is stored of each, the one with the latest call first."""
        store, active = self._calls.store, self._logbook.active
        now, ticks = self._calls.wall(), perf_counter()
        names = {name for name in store.projects() if not name.endswith("/journal")} | set(active)
        projects = [
            {
                "name": name,
                "key": self._keys.get(name),
                "responses": store.count(name, "response"),
                "conversations": store.count(name, "conversation"),
                "last_activity": round(now - (ticks - active[name]), 3) if name in active else None,
            }
            for name in sorted(names)
        ]
        # by the exact time, for what is shown is rounded
        return sorted(projects, key=lambda project: active.get(project["name"], -math.inf), reverse=True)

    def is_known(self, name: str) -> bool:
        """Whether there is such a project."""
        if name == self._default or name in self._logbook.active:
            return True
        return not name.endswith("/journal") and self._calls.store.get(name, *PROJECT_KEY) is not None


def shorten_key(key: str) -> str:
    """What is shown of a key: both ends of a long one, the first quarter of a short one."""
    if len(key) < LONG_KEY:
        return f"{key[: max(1, len(key) // 4)]}…"
    return f"{key[:SHOWN_ENDS]}…{key[-SHOWN_ENDS:]}"
