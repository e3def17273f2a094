"""The entries of the prompt cache that a prompt may use, and what becomes of them. Spec: T13, R8.8.

An entry is a `cache` record: how far into a prompt it reaches, in tokens, when it was written, and when it expires.
"""

# What must stay true: time comes in as `now`; entries expire by it, and one writer in sixteen sweeps, so the store
# stays bounded.

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import orjson

from mockserver.core.records import Change, Delete, Put, State, _new
from mockserver.wire.responses.encoding import encode_compact

_SWEEPS = "0"  # an entry whose key begins so, one in sixteen, sweeps expired ones away when it is written
_SWEPT = 128  # so many at most
_REFRESHED = 1.0  # seconds that a use must add to an entry's life to be noted


class CacheScope(NamedTuple):
    """Whose entries prompts may use that begin alike, by their `head`, and how long entries of theirs live."""

    head: str
    life: tuple[float, float]


class CacheEntries:
    """The entries that a prompt may use, and what becomes of them.

    `is_lasting` says whether the entry that was found last lives as long as a new one would.
    """

    is_lasting = False

    def __init__(self, state: State, scope: CacheScope, now: float) -> None:
        self._state, self._now = state, now
        self._head, self._life = scope
        self._puts: dict[str, Put] = {}
        self._stale: set[str] = set()

    def find(self, hash: str) -> int:
        """How far the entry under a hash reaches, 0 where there is none; being found prolongs its life."""
        key = hash + self._head
        doc = self._state.get("cache", key)
        return self._use(key, doc) if doc is not None else 0

    def find_first(self, hashes: Iterable[str]) -> tuple[int, int]:
        """The number of the first of some hashes that has an entry, and how far that reaches; -1 and 0 for none."""
        for number, hash in enumerate(hashes):
            length = self.find(hash)
            if length:
                return number, length
        return -1, 0

    def find_last(self, hashes: Sequence[str]) -> tuple[int, int]:
        """The same for the last of some hashes."""
        number, length = self.find_first(reversed(hashes))
        return len(hashes) - 1 - number if length else -1, length

    def _use(self, key: str, doc: bytes) -> int:
        """How far an entry reaches, 0 where its time is over."""
        length: int
        length, written_at, expires_at = orjson.loads(doc)
        now, (idle, longest) = self._now, self._life
        if now >= expires_at:
            self._stale.add(key)
            return 0
        prolonged, latest = now + idle, written_at + longest
        self.is_lasting = latest + _REFRESHED > prolonged
        if prolonged > latest:
            prolonged = latest
        if prolonged >= expires_at + _REFRESHED:
            self._put(key, length, written_at, prolonged)
        return length

    def write(self, hash: str, length: int) -> None:
        """Keep that a prompt is known up to a hash, `length` tokens."""
        self._put(hash + self._head, length, self._now, self._now + self._life[0])

    def _put(self, key: str, length: int, written_at: float, expires_at: float) -> None:
        """Keep how far into the prompt an entry reaches, in tokens, and its times, in unix seconds."""
        doc = encode_compact([length, written_at, expires_at])  # which writes floats in a fifth of the time of `repr`
        self._puts[key] = _new(Put, ("cache", key, doc, "", int(expires_at)))

    def changes(self) -> tuple[Change, ...]:
        """Return what is to be written; some who write sweep away what has expired."""
        if not self._puts and not self._stale:
            return ()
        sweeps = [key for key in self._puts if key[0] == _SWEEPS]
        if not sweeps and not self._stale:
            return tuple(self._puts.values())
        gone = set(self._stale)
        if sweeps and self._stale_ids(1):
            gone.update(self._stale_ids(_SWEPT))
        deletes = [Delete("cache", key) for key in sorted(gone - self._puts.keys())]
        return (*deletes, *self._puts.values())

    def _stale_ids(self, most: int) -> list[str]:
        return [record.id for record in self._state.scan("cache", limit=most) if record.order < int(self._now)]
