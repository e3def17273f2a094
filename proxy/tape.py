"""What passes while a request is relayed, noted as it comes: chunks with their times, in memory or on disk."""

# A tape is written by the event loop between two chunks, so noting must cost next to nothing: two entries in lists,
# which the relay makes itself (a call for each chunk costs as much again). All work (decoding, redaction, YAML) comes
# after the last byte has left.
#
# What must stay true: memory is bounded. Beyond `LIMIT` bytes the chunks go to a temporary file, from which they are
# read one by one.

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from math import floor
from time import monotonic
from typing import IO

from starlette.types import Message, Scope

LIMIT = 4 << 20

Fail = Callable[[Exception], None]


class Chunks:
    """Chunks of bytes with the times of their coming; those of a long body are on disk."""

    __slots__ = ("_fail", "_file", "_size", "_sizes", "_started", "came", "listed", "spilled")

    def __init__(self, started: float = 0.0, fail: Fail | None = None) -> None:
        self._started, self._fail = started, fail
        # two lists, not one of pairs: these would be a load for the garbage collector
        self.listed: list[bytes] = []
        self.came: list[float] = []  # when each of them came, by the monotonic clock
        self._size = 0
        self.spilled = False  # whether they are on disk; `_file` and `_sizes` are there from then on

    def add(self, now: float, data: bytes) -> None:
        """Note a chunk that comes now."""
        self.came.append(now)
        self.listed.append(data)
        self._size += len(data)
        if self._size > LIMIT:
            self.spill()

    def spill(self) -> None:
        """Move to disk what is in memory."""
        try:
            if not self.spilled:
                self._file: IO[bytes] = tempfile.TemporaryFile(prefix="understudy-")  # noqa: SIM115  (see `close`)
                self._sizes: list[int] = []
                self.spilled = True
            self._file.writelines(self.listed)
        except OSError as failure:  # a full disk; what came is in memory, and tried again with the next chunk
            if self._fail is None:
                raise
            self._fail(failure)
        else:
            self._sizes += [len(chunk) for chunk in self.listed]
            self.listed.clear()  # whoever adds to the list goes on with it

    @property
    def last_at(self) -> float:
        """When the last of them came, 0 without any."""
        return floor((self.came[-1] - self._started) * 1000 + 0.5) / 1000 if self.came else 0.0

    def times(self) -> list[float]:
        """When each of them came: seconds since the beginning, in whole milliseconds."""
        started = self._started
        return [floor((time - started) * 1000 + 0.5) / 1000 for time in self.came]

    def __iter__(self) -> Iterator[tuple[float, bytes]]:
        if not self.spilled:
            yield from zip(self.times(), self.listed, strict=True)
            return
        self._file.seek(0)
        for at, size in zip(self.times(), self._sizes, strict=True):
            yield at, self._file.read(size)

    def joined(self, border: bytes = b"") -> bytes:
        """All of them with a border between two; only for what is in memory."""
        return self.listed[0] if len(self.listed) == 1 else border.join(self.listed)

    def close(self) -> None:
        """Let the file go."""
        if self.spilled:
            self._file.close()


class Tape:
    """One HTTP exchange as it passes."""

    __slots__ = ("at", "chunks", "complete", "headers", "id", "scope", "sent", "started", "status")

    def __init__(self, scope: Scope, id: int, at: float, fail: Fail | None = None) -> None:
        self.scope, self.id, self.at = scope, id, at
        self.started = started = monotonic()
        self.sent, self.chunks = Chunks(started, fail), Chunks(started, fail)
        self.status = 0
        self.headers: Sequence[tuple[bytes, bytes]] = ()
        self.complete = False

    def note_request(self, message: Message) -> None:
        """Note what came from the client."""
        if message["type"] == "http.request" and (body := message.get("body")):
            self.sent.add(monotonic(), body)

    def note_response(self, message: Message) -> None:
        """Note what is sent to the client."""
        kind = message["type"]
        if kind == "http.response.body":
            if body := message.get("body"):
                self.chunks.add(monotonic(), body)
            self.complete = not message.get("more_body")
        elif kind == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]

    @property
    def is_spilled(self) -> bool:
        """Whether a part of it is on disk."""
        return self.chunks.spilled or self.sent.spilled

    def close(self) -> None:
        """Let temporary files go."""
        self.sent.close()
        self.chunks.close()
