"""What `/_mock/cassette` lists: the interactions of a server's cassettes, which were used, and what was missed."""

# What is replayed is listed from its library, what is recorded from its file: to keep what was recorded in memory, or
# to describe it when it is written, would be paid for by each recording. Of the file only what is new is read.
#
# What must stay true: pages are made in steps (None between two of them), for a step may read a large body from a file.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from proxy.cassettes.document import SEPARATOR, DocumentError, read_interaction
from proxy.cassettes.interaction import Cassette
from proxy.cassettes.outline import outline, said_in

if TYPE_CHECKING:
    from proxy.cassettes.matching import Difference, Library, Miss, Recorded
    from proxy.replayer import Sessions

MARK = SEPARATOR.encode()
Row = dict[str, Any]
ROWS = 4096  # that are kept: each was read from a body


class Listing(Protocol):
    """Interactions by number, from 1."""

    def __len__(self) -> int: ...

    def row(self, number: int) -> Row:
        """An interaction in a row."""


class LibraryListing:
    """The interactions of a library, in the order in which they were read."""

    def __init__(self, library: Library) -> None:
        self._library = library
        self.row = lru_cache(maxsize=ROWS)(self._make_row)

    def __len__(self) -> int:
        return len(self._library.recorded)

    def _make_row(self, number: int) -> Row:
        recorded = self._library.recorded[number - 1]
        return {"place": recorded.place, **outline(recorded.interaction)}


class RecordingListing:
    """The interactions of a file that is being recorded to: those that were there, and those appended since.

    `start` is where in the file the latter begin.
    """

    def __init__(self, earlier: Cassette, path: str, start: int) -> None:
        self._earlier, self._path, self._end = earlier, path, start
        self._rows: list[Row] = []
        self.row = lru_cache(maxsize=ROWS)(self._make_row)

    def __len__(self) -> int:
        self._read_new()
        return len(self._earlier.interactions) + len(self._rows)

    def _make_row(self, number: int) -> Row:
        before = len(self._earlier.interactions)
        if number > before:
            return self._rows[number - before - 1]
        interaction = self._earlier.interactions[number - 1]
        return {"place": f"interaction {interaction.id} ({self._path})", **outline(interaction)}

    def _read_new(self) -> None:
        """Read what was appended; a document that is being written is read the next time."""
        with open(self._path, "rb") as file:
            file.seek(self._end)
            data = file.read()
        data = data[: data.rfind(b"\n") + 1]  # `ended` is a whole line
        while data:
            end = data.find(b"\n" + MARK) + 1 or len(data)
            try:
                interaction = read_interaction(data[len(MARK) : end].decode())
            except (DocumentError, UnicodeDecodeError):
                return
            self._rows.append({"place": f"interaction {interaction.id} ({self._path})", **outline(interaction)})
            self._end, data = self._end + end, data[end:]


def list_interactions(
    listing: Listing, uses: Mapping[int, int] | None, after: int, used: bool | None
) -> Iterator[Row | None]:
    """Yield the rows after a number, None between two of them: all, those that were used, or those that were not.

    `uses` says how often each was the answer, by its place from 0; None where nothing is answered from them.
    """
    for number in range(after + 1, len(listing) + 1):
        count = None if uses is None else uses.get(number - 1, 0)
        if used is None or bool(count) == used:
            yield {"id": number, **listing.row(number), "used": count}
            yield None


def list_misses(sessions: Sessions, after: int) -> Iterator[Row]:
    """Yield what no recording answered, after a number, the oldest first: what was asked, what came nearest."""
    misses = list(sessions.misses)
    first = sessions.missed - len(misses) + 1
    for number, miss in enumerate(misses, first):
        if number > after:
            yield {"id": number, **_describe_miss(miss, sessions.library)}


def _describe_miss(miss: Miss, library: Library) -> Row:
    request = miss.request
    return {
        "transport": "websocket" if request.socket else "http",
        "method": request.method,
        "path": request.path,
        "said": said_in(request),
        "message": miss.message,
        "used_up": miss.used_up and miss.used_up.place,
        "nearest": [_describe_nearest(recorded, difference, library) for recorded, difference in miss.nearest],
    }


def _describe_nearest(recorded: Recorded, difference: Difference, library: Library) -> Row:
    was, sent = difference.texts
    number = library.recorded.index(recorded) + 1
    return {"id": number, "place": recorded.place, "path": difference.path, "recorded": was, "sent": sent}
