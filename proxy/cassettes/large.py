"""Cassettes that are larger than memory should hold: their interactions stay in the file, by their places."""

# The file is read once, document by document, so that what is wrong with it is known from the start; what is kept of a
# document is where it stands. Afterwards an interaction is read again whenever somebody asks for it, and the last few
# are remembered, for one request asks several times.
#
# What must stay true: the same file gives the same cassette as `file.parse`, problems included. A recorder may go on
# appending to the file meanwhile: nothing is read beyond what was there.

from __future__ import annotations

import os
import weakref
from collections.abc import Iterator, Sequence
from typing import IO, Any, NamedTuple, overload

from proxy.cassettes.document import SEPARATOR, DocumentError, read_head, read_interaction
from proxy.cassettes.interaction import Cassette, CassetteError, Interaction, Problem

REMEMBERED = 1 << 20  # bytes of text; the interactions made of it take several times as much
_MARK = SEPARATOR.encode()
_MARKS = (_MARK, _MARK.replace(b"\n", b"\r\n"))


class Place(NamedTuple):
    """Where a document stands: its first line, and its bytes."""

    line: int
    offset: int
    size: int


class Interactions(Sequence[Interaction]):
    """The interactions of a file, read when they are asked for; `end` is where the last whole one ends."""

    def __init__(self, file: IO[bytes], places: list[Place], end: int) -> None:
        self._places, self.end = places, end
        self._file = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._file)
        self._remembered: dict[int, Interaction] = {}

    def _read(self, number: int) -> Interaction:
        """An interaction, remembered while it and those after it are small enough together."""
        found = self._remembered.pop(number, None) or self._read_place(number)
        # one step at a time, and each of a copy: threads share this
        kept = {**self._remembered, number: found}
        while len(kept) > 1 and sum([self._places[one].size for one in kept]) > REMEMBERED:
            del kept[next(iter(kept))]
        self._remembered = kept
        return found

    def _read_place(self, number: int) -> Interaction:
        _, offset, size = self._places[number]
        return read_interaction(os.pread(self._file, size, offset).decode())

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, index: int) -> Interaction: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Interaction]: ...
    def __getitem__(self, index: int | slice) -> Any:
        if isinstance(index, slice):
            return [self._read(number) for number in range(*index.indices(len(self._places)))]
        return self._read(range(len(self._places))[index])

    def __iter__(self) -> Iterator[Interaction]:
        for number in range(len(self._places)):
            yield self._read_place(number)  # one pass over all would only push out what is asked for again


def load_large(name: str) -> Cassette:
    """Read a large cassette of ours; raises CassetteError when even its head can't be read."""
    try:
        with open(name, "rb") as file:
            return _load(file, name)
    except OSError as error:
        raise CassetteError(f"{name} can't be read: {error.strerror}") from None


def _load(file: IO[bytes], name: str) -> Cassette:
    documents = _documents(file)
    try:
        place, first = next(documents)
        head, head_end = read_head(_text(first)), place.offset + place.size
    except DocumentError as error:
        raise CassetteError(f"{name}: {error}") from None
    places: list[Place] = []
    problems: list[Problem] = []
    lines: dict[int, int] = {}
    end = before = 0
    torn: tuple[Place, str] | None = None  # what is wrong with a document, until it is known whether it is the last one
    for place, document in documents:
        if torn is not None:
            problems.append(Problem(f"{name}:{torn[0].line}", torn[1]))
            torn = None
        before, end = end, place.offset + place.size
        try:
            number = read_interaction(_text(document)).id
        except DocumentError as error:
            torn = place, str(error)
            continue
        if number in lines:
            problems.append(Problem(f"{name}:{place.line}", f"id {number} is there already"))
        lines.setdefault(number, place.line)
        places.append(place)
    if torn is not None:
        end = before or head_end
        problems.append(Problem(f"{name}:{torn[0].line}", "the last document is torn"))
    return Cassette(name, head, Interactions(file, places, end), tuple(problems), lines)


def whole_end(cassette: Cassette) -> int:
    """Where the last whole document of a large cassette ends, in bytes."""
    assert isinstance(cassette.interactions, Interactions)
    return cassette.interactions.end


def _documents(file: IO[bytes]) -> Iterator[tuple[Place, bytes]]:
    """Yield the documents with their places; one is in memory at a time."""
    line, start, offset = 1, 1, 0
    first, parts = 0, list[bytes]()
    for text in file:
        line += 1
        offset += len(text)
        if text in _MARKS:
            if parts:  # a file may begin with a separator
                yield Place(start, first, offset - len(text) - first), b"".join(parts)
            start, first, parts = line, offset, []
        else:
            parts.append(text)
    if parts and _MARK.startswith(parts[-1]):  # a separator that was torn in the middle
        offset -= len(parts.pop())
    if parts:
        yield Place(start, first, offset - first), b"".join(parts)


def _text(document: bytes) -> str:
    try:
        return document.decode()
    except UnicodeDecodeError:
        raise DocumentError("not UTF-8") from None
