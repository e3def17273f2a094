"""Deterministic draws: a text decides a number, so that nothing remembers how far a sequence has got."""

# Why no `random.Random`: its state would have to be stored with the project, shared by processes and put into
# snapshots. A hash of the purpose needs none of that, and a new draw in between changes no other.

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def draw(key: str, below: int) -> int:
    """A whole number from 0 to below `below`, the same for the same key."""
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
    return int.from_bytes(digest[:8], "big") % below


def choose(key: str, options: Sequence[T]) -> T:
    """One of the options, the same for the same key."""
    return options[draw(key, len(options))]
