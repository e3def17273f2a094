"""What passes while a request is relayed, noted as it comes: chunks with their times, in memory or on disk."""

# A tape is written by the event loop between two chunks, so noting must cost next to nothing: a tuple in a list. All
# work (decoding, redaction, YAML) comes after the last byte has left.
#
# What must stay true: memory is bounded. Beyond `LIMIT` bytes the chunks go to a temporary file, from which they are
# read one by one.

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from time import monotonic
from typing import IO, Any

from starlette.types import Message, Scope

LIMIT = 4 << 20


class Chunks:
    """Chunks of bytes with their times; those of a long body are on disk."""

    __slots__ = ("_file", "_listed", "_sizes", "size")

    def __init__(self) -> None:
        self.size = 0
        self._listed: list[tuple[float, bytes]] = []
        self._file: IO[bytes] | None = None
        self._sizes: list[tuple[float, int]] = []

    def add(self, at: float, data: bytes) -> None:
        """Note a chunk; raises OSError when the disk is full."""
        self.size += len(data)
        if self._file is None:
            self._listed.append((at, data))
            if self.size > LIMIT:
                self._spill()
        else:
            self._file.write(data)
            self._sizes.append((at, len(data)))

    def _spill(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="understudy-")  # noqa: SIM115  (closed by `close`)
        for at, data in self._listed:
            self._file.write(data)
            self._sizes.append((at, len(data)))
        self._listed = []

    @property
    def last_at(self) -> float:
        """When the last of them came, 0 without any."""
        listed: list[Any] = self._listed or self._sizes
        return listed[-1][0] if listed else 0.0

    @property
    def spilled(self) -> bool:
        """Whether they are on disk."""
        return self._file is not None

    def __iter__(self) -> Iterator[tuple[float, bytes]]:
        if self._file is None:
            yield from self._listed
            return
        self._file.seek(0)
        for at, size in self._sizes:
            yield at, self._file.read(size)

    def joined(self, border: bytes = b"") -> bytes:
        """All of them with a border between two; only for what is in memory."""
        return self._listed[0][1] if len(self._listed) == 1 else border.join([data for _, data in self._listed])

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()


class Tape:
    """One HTTP exchange as it passes."""

    __slots__ = ("at", "chunks", "complete", "headers", "id", "scope", "sent", "started", "status")

    def __init__(self, scope: Scope, id: int, at: float) -> None:
        self.scope, self.id, self.at = scope, id, at
        self.started = monotonic()
        self.sent = Chunks()
        self.chunks = Chunks()
        self.status = 0
        self.headers: Iterable[tuple[bytes, bytes]] = ()
        self.complete = False

    def note_request(self, message: Message) -> None:
        """Note what came from the client."""
        if message["type"] == "http.request" and (body := message.get("body")):
            self.sent.add(0.0, body)

    def note_response(self, message: Message) -> None:
        """Note what has been sent to the client."""
        kind = message["type"]
        if kind == "http.response.body":
            if body := message.get("body"):
                self.chunks.add(monotonic() - self.started, body)
            self.complete = not message.get("more_body")
        elif kind == "http.response.start":
            self.status, self.headers = message["status"], message["headers"]

    def close(self) -> None:
        """Let temporary files go."""
        self.sent.close()
        self.chunks.close()
