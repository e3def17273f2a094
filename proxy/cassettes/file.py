"""Cassette files: read whole, and appended to by one process at a time."""

# The text is split at lines that are `---` before any YAML is parsed: inside a document everything is indented, so no
# such line can be content. A document that can't be read costs itself, never its neighbours.
#
# What must stay true:
# * An interaction that has ended is in the file: one `write` per document, straight to the system, no buffer of ours.
#   Who kills the recorder loses what is under way, at most (`ended`, see `document`, tells a torn document).
# * Who appends holds an exclusive lock on the file for as long; a second process is refused before it writes a byte.
# * A write that fails (a full disk) leaves the file as it was: it is cut back to its last whole document.

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

from proxy.cassettes.document import (
    SEPARATOR,
    VERSION,
    DocumentError,
    format_head,
    format_parts,
    read_head,
    read_interaction,
)
from proxy.cassettes.interaction import Cassette, CassetteError, Head, Interaction, Problem

OWN = b"understudy:"


def load(path: str | os.PathLike[str]) -> Cassette:
    """Read a cassette: ours, or a foreign one. What can't be used is in `problems`; raises CassetteError."""
    name = os.fspath(path)
    if is_large(name):
        from proxy.cassettes.large import load_large

        return load_large(name)
    data = _read(name)
    if is_own(data):
        return parse(data, name)
    if not data.strip():
        raise CassetteError(f"{name}: the file is empty")
    from proxy.cassettes.foreign import load_foreign

    return load_foreign(data, name)


LARGE = 32 << 20  # bytes of a file from which its interactions stay there


def is_large(name: str) -> bool:
    """Whether a file is one of ours that is too large to be held in memory."""
    try:
        if os.path.getsize(name) < LARGE:
            return False
        with open(name, "rb") as file:
            return is_own(file.read(64))
    except OSError:
        return False  # reading it says what is wrong


def is_own(data: bytes) -> bool:
    """Whether the bytes of a file are, or begin as, those of our format: a recorder may be killed in its first word."""
    text = data.lstrip().removeprefix(SEPARATOR.encode()).lstrip()
    return text.startswith(OWN) or (bool(text) and OWN.startswith(text))


def _read(name: str) -> bytes:
    try:
        return Path(name).read_bytes()
    except OSError as error:
        raise CassetteError(f"{name} can't be read: {error.strerror}") from None


def parse(data: bytes, name: str) -> Cassette:
    """Read the bytes of a cassette of ours; raises CassetteError when even its head can't be read."""
    documents = list(_split(_whole_lines(data)))
    _, first = documents[0]
    if len(documents) == 1 and _torn_head(first):
        return Cassette(name, problems=(Problem(f"{name}:1", "the head is torn, there is nothing after it"),))
    try:
        head = read_head(_text(first))
    except DocumentError as error:
        raise CassetteError(f"{name}: {error}") from None
    interactions: list[Interaction] = []
    problems: list[Problem] = []
    lines: dict[int, int] = {}
    for line, document in documents[1:]:
        try:
            interaction = read_interaction(_text(document))
        except DocumentError as error:
            torn = line == documents[-1][0]
            # the last document of a killed recorder may be torn at any byte, so what is wrong with it says nothing
            problems.append(Problem(f"{name}:{line}", "the last document is torn" if torn else str(error)))
            continue
        if interaction.id in lines:
            problems.append(Problem(f"{name}:{line}", f"id {interaction.id} is there already"))
        lines.setdefault(interaction.id, line)
        interactions.append(interaction)
    return Cassette(name, head, tuple(interactions), tuple(problems), lines)


def _whole_lines(data: bytes) -> bytes:
    """The text without a separator at its end that was torn in the middle."""
    end = data.rfind(b"\n") + 1
    return data[:end] if data[end:] in (b"-", b"--", b"---") else data


def _torn_head(document: bytes) -> bool:
    """Whether a file's only document is the beginning of a head: its last line is missing, or not yet ended."""
    return not document.endswith(b"\n") or document in (b"understudy: cassette\n", _VERSIONED)


_VERSIONED = f"understudy: cassette\nversion: {VERSION}\n".encode()


def _text(document: bytes) -> str:
    try:
        return document.decode()
    except UnicodeDecodeError:
        raise DocumentError("not UTF-8") from None


def _split(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the documents and the line on which each begins."""
    mark, line, start = SEPARATOR.encode(), 1, 0
    if data.startswith(mark):
        start, line = len(mark), 2
    data = data.replace(b"\r\n", b"\n") if b"\r\n---\r\n" in data else data  # an editor on Windows
    while True:
        end = data.find(b"\n" + mark, start)
        document = data[start:] if end < 0 else data[start : end + 1]
        yield line, document
        if end < 0:
            return
        line += document.count(b"\n") + 1
        start = end + 1 + len(mark)


def whole_length(data: bytes) -> int:
    """How many bytes of a cassette's text are whole documents; what follows was torn by a killed recorder."""
    data = _whole_lines(data)
    mark = b"\n" + SEPARATOR.encode()
    last = data.rfind(mark)
    if last < 0:
        return 0 if _torn_head(data) else len(data)
    try:
        read_interaction(data[last + len(mark) :].decode())
    except (DocumentError, UnicodeDecodeError):
        return last + 1
    return len(data)


def dump(cassette: Cassette) -> Iterator[bytes]:
    """Yield the text of a whole cassette in parts."""
    yield format_head(cassette.head).encode()
    for interaction in cassette.interactions:
        yield from format_parts(interaction)


def save(cassette: Cassette, path: str | os.PathLike[str]) -> None:
    """Write a whole cassette in one step: who reads meanwhile sees the old file or the new one."""
    save_text(dump(cassette), path)


def save_text(parts: Iterable[bytes], path: str | os.PathLike[str]) -> None:
    """Write the text of a cassette in one step; raises CassetteError."""
    name = os.fspath(path)
    beside = f"{name}.{os.getpid()}.new"
    try:
        with open(beside, "wb") as file:
            file.writelines(parts)
        os.replace(beside, name)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.unlink(beside)
        raise CassetteError(f"{name} can't be written: {error.strerror}") from None


class Appender:
    """A cassette that is open for recording; raises CassetteError when it can't be, or somebody else has it open.

    `now` is unix seconds. Interactions are appended by any thread, one at a time.
    """

    def __init__(self, path: str | os.PathLike[str], upstream: str | None, now: float) -> None:
        self.path = os.fspath(path)
        self._lock = threading.Lock()
        self._file = _open(self.path)
        try:
            _lock_file(self._file, self.path)
            self.earlier = self._open_cassette(upstream, now)
        except BaseException:
            os.close(self._file)
            raise
        self._ids = count(max(self.earlier.lines, default=0) + 1)
        self.began = _unix(self.earlier.head.recorded, now)

    def _open_cassette(self, upstream: str | None, now: float) -> Cassette:
        """Read what is there, cut a torn end off, or begin with a head."""
        if is_large(self.path):
            return self._open_large()
        data = _read(self.path)
        if data.strip() and not is_own(data):
            raise CassetteError(
                f"{self.path} is no cassette of understudy, and only these can be recorded to; "
                f"`understudy cassette import {self.path} -o NEW.yaml` converts it"
            )
        whole = whole_length(data)
        if whole:
            self._end = whole
            os.ftruncate(self._file, whole)
            earlier = parse(data[:whole], self.path)
            if not data[:whole].endswith(b"\n"):
                self._append([b"\n"])
            return earlier
        self._end = 0
        os.ftruncate(self._file, 0)
        head = Head(upstream, datetime.fromtimestamp(int(now), UTC).isoformat().replace("+00:00", "Z"))
        self._append([format_head(head).encode()])
        return Cassette(self.path, head)

    def _open_large(self) -> Cassette:
        from proxy.cassettes.large import load_large, whole_end

        earlier = load_large(self.path)
        self._end = whole_end(earlier)
        os.ftruncate(self._file, self._end)
        if os.pread(self._file, 1, self._end - 1) != b"\n":
            self._append([b"\n"])
        return earlier

    def take_id(self) -> int:
        """The number of the next interaction, in the order in which requests come."""
        return next(self._ids)

    def append(self, interaction: Interaction) -> None:
        """Write an interaction; raises OSError, and leaves the file without it, when the disk is full."""
        with self._lock:
            self._append(_blocks(format_parts(interaction)))

    def append_documents(self, documents: Iterable[bytes]) -> None:
        """Write documents, each with the separator before it, in one; raises OSError like `append`."""
        with self._lock:
            self._append([b"".join(documents)])

    def _append(self, blocks: Iterable[bytes]) -> None:
        end = self._end
        try:
            for block in blocks:
                written = os.pwrite(self._file, block, end)
                while written < len(block):  # a disk that is nearly full takes a part
                    written += os.pwrite(self._file, memoryview(block)[written:], end + written)
                end += written
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._file, self._end)
            raise
        self._end = end

    def close(self) -> None:
        """Let the file go."""
        with self._lock:
            if self._file >= 0:
                os.close(self._file)
                self._file = -1


BLOCK = 1 << 20


def _blocks(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Join parts to blocks of about a megabyte: one write for an ordinary document, bounded memory for a huge one."""
    pending: list[bytes] = []
    size = 0
    for part in parts:
        pending.append(part)
        size += len(part)
        if size >= BLOCK:
            yield b"".join(pending)
            pending, size = [], 0
    if pending:
        yield b"".join(pending)


def _open(path: str) -> int:
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o644)
    except OSError as error:
        raise CassetteError(f"{path} can't be written: {error.strerror}") from None


def _lock_file(file: int, path: str) -> None:
    try:
        import fcntl
    except ImportError:  # Windows refuses a second writer by itself only with its own calls
        import msvcrt

        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        except OSError:
            raise CassetteError(_in_use(path)) from None
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise CassetteError(_in_use(path)) from None


def _in_use(path: str) -> str:
    return f"{path} is being recorded by another process; a cassette has one recorder at a time"


def _unix(recorded: str | None, default: float) -> float:
    try:
        return datetime.fromisoformat(recorded or "").replace(tzinfo=UTC).timestamp()
    except ValueError:
        return default
