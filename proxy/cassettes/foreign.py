"""Recordings of other tools."""

from __future__ import annotations

from proxy.cassettes.file import CassetteError
from proxy.cassettes.interaction import Cassette


def load_foreign(data: bytes, name: str) -> Cassette:
    raise CassetteError(f"{name}: neither")
