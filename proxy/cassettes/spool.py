"""Large values out of memory: what a ledger has to know of them is a hash, what they say is seldom asked."""

# A cassette may be larger than memory, and most of it is what was said. Such a value is written once, as JSON, to a
# temporary file, and read from there when a message quotes it or a parent is given back to an upstream. Small values
# stay where they are: a cassette of ordinary size never makes a file.

from __future__ import annotations

import os
import tempfile
import threading
import weakref
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import orjson

SMALL = 4096  # bytes of JSON that stay in memory


class Stored:
    """A value on disk."""

    __slots__ = ("_offset", "_size", "_spool")

    def __init__(self, spool: Spool, offset: int, size: int) -> None:
        self._spool, self._offset, self._size = spool, offset, size

    def load(self) -> Any:
        """The value."""
        return orjson.loads(self._spool.read(self._offset, self._size))


class Spool:
    """A temporary file of values, each of them once. Threads may share it."""

    def __init__(self) -> None:
        self._file: int | None = None
        self._end = 0
        self._known: dict[bytes, Stored] = {}
        self._lock = threading.Lock()

    def keep(self, value: Any, text: bytes | None = None) -> Any:
        """The value, or what stands for a large one; `text` is its JSON, where that is known."""
        if isinstance(value, bool | int | float | Stored) or value is None:
            return value
        if text is None:
            try:
                text = orjson.dumps(value)
            except TypeError:  # no JSON: then nothing that came from a file
                return value
        if len(text) <= SMALL:
            return value
        with self._lock:
            name = blake2b(text, digest_size=16).digest()
            stored = self._known.get(name)
            if stored is None:
                if self._file is None:
                    self._file = self._open()
                stored = self._known[name] = Stored(self, self._end, len(text))
                view = memoryview(text)
                while view:
                    count = os.pwrite(self._file, view, self._end)
                    self._end += count
                    view = view[count:]
            return stored

    def read(self, offset: int, size: int) -> bytes:
        """The bytes at a place."""
        assert self._file is not None
        return os.pread(self._file, size, offset)

    def _open(self) -> int:
        """A file without a name, which is closed with the last of those who know its values."""
        with tempfile.TemporaryFile(prefix="understudy-", buffering=0) as file:
            descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, descriptor)
        return descriptor


def loaded(values: Iterable[Any]) -> list[Any]:
    """The values, those on disk read."""
    return [value.load() if isinstance(value, Stored) else value for value in values]
