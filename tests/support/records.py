"""A project's records and the rules for them, for tests of functions that read a `State`."""

from __future__ import annotations

from typing import Any

from mockserver.core.records import Put, Record
from mockserver.core.semantics import Semantics
from mockserver.store.memory import MemoryStore


class Records:
    """A project's records for a test."""

    def __init__(self, *puts: Put) -> None:
        self.store = MemoryStore()
        self.store.apply("p", puts)

    def get(self, kind: str, id: str) -> bytes | None:
        return self.store.get("p", kind, id)

    def scan(self, kind: str, parent: str = "", **how: Any) -> list[Record]:
        return self.store.scan("p", kind, parent, **how)


def semantics(**switches: Any) -> Semantics:
    """Return the default rules with these switches; a character is a token."""
    return Semantics(count=len, pieces=list, key=b"key", **switches)
