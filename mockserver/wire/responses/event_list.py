"""A turn's events in order, and their bytes: a row of deltas is told as events, or written, when somebody asks.

`EventList` is what a delivery carries. `write` makes bytes of any events: one after the other for SSE, a line each for
the frames of a WebSocket. Spec: S1.
"""

# Why not a list: a stream is mostly deltas of one text, which differ in a token, its padding and a number. As a row of
# them it is written by one join, in a twelfth of the time that an event as a dictionary takes, and a stream of 20,000
# tokens begins to leave before its last event is made.
#
# What must stay true:
# * Written or told, a part is the same events: `write` gives what orjson makes of each dictionary, to the byte.
# * No JSON on one line has a line break of its own, so lines can be joined and taken apart again.

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import chain, repeat
from struct import Struct
from typing import NamedTuple, Protocol, overload

import orjson

from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.responses.events import Event, pad_lengths, text_delta, text_deltas_with_padding
from mockserver.wire.responses.text_template import TextTemplate


class Framing(NamedTuple):
    """What stands around the JSON of an event: `before` it, with `%s` for its type, and `after` it."""

    before: str
    after: bytes


SSE = Framing("event: %s\ndata: ", b"\n\n")
LINES = Framing("", b"\n")
AT_ONCE = 1024  # events that are written at once; of more than that, the first leave while the others are made


class Part(Protocol):
    """Some events that follow each other."""

    def __len__(self) -> int: ...

    def tell(self, start: int, stop: int) -> list[Event]:
        """The events from a place to another."""

    def write(self, framing: Framing, start: int, stop: int) -> bytes:
        """The bytes of these events."""

    def write_texts(self) -> Sequence[bytes]:
        """The JSON of each event."""


class Told(list[Event]):
    """Events as they are."""

    def tell(self, start: int, stop: int) -> list[Event]:
        return self[start:stop]

    def write(self, framing: Framing, start: int, stop: int) -> bytes:
        return write_each(self[start:stop], framing)

    def write_texts(self) -> Sequence[bytes]:
        return _write_values(self)


def write_each(events: Iterable[Event], framing: Framing) -> bytes:
    """The bytes of events, each by itself."""
    events = list(events)
    written = _write_values(events)
    if framing is LINES:
        return b"\n".join([*written, b""])
    return b"".join(
        [b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json) for one, json in zip(events, written, strict=True)]
    )


class Tokens:
    """A text in the pieces that it is streamed in; `pads` are the lengths of their padding.

    What a stream of it has in common with every other one is kept: short texts come again and again.
    """

    __slots__ = ("_layouts", "_seams", "pads", "pieces")

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces, self.pads = pieces, pad_lengths(pieces)
        self._seams: dict[tuple[object, ...], list[bytes]] = {}
        self._layouts: dict[tuple[object, ...], Struct] = {}

    def seams(self, before: bytes, number: bytes, after: bytes, first: int) -> list[bytes]:
        """What stands before the first gap of a row, between the gaps, and after the last one."""
        key = (before, number, after, first)
        found = self._seams.get(key)
        if found is None:
            if len(self._seams) >= MOST_SEAMS:
                self._seams.clear()
            found = self._seams[key] = make_seams(self.pieces, *key)
        return found

    def take_apart(self, row: bytes, key: tuple[object, ...]) -> Sequence[bytes]:
        """The lines of a row: rows of the same `key` have theirs in the same places."""
        layout = self._layouts.get(key)
        if layout is None:
            if len(self._layouts) >= MOST_SEAMS:
                self._layouts.clear()
            layout = self._layouts[key] = Struct("".join([f"{len(line)}sx" for line in split_lines(row)]))
        return layout.unpack(row)


def split_lines(data: bytes) -> list[bytes]:
    """Lines without their ends. `split` looks at one byte after the other, `find` at many, and lines are long."""
    lines, start = list[bytes](), 0
    while (end := data.find(b"\n", start)) >= 0:
        lines.append(data[start:end])
        start = end + 1
    return lines


MOST_SEAMS = 4  # of one text: by framing, and by the place of the row
MOST_SHORT = 128  # pieces of a text that is remembered
_remember = lru_cache(maxsize=128)(Tokens)  # 10 MB at most


def tokens_of(pieces: Sequence[str]) -> Tokens:
    """The tokens of a text, those of a short one worked out once."""
    return _remember(tuple(pieces)) if len(pieces) <= MOST_SHORT else Tokens(pieces)


def make_seams(pieces: Sequence[str], before: bytes, number: bytes, after: bytes, first: int) -> list[bytes]:
    """A row of deltas without what differs from stream to stream: a gap between the text and the number of each."""
    written, between = _write_values(pieces), after + before
    if not written:
        return [b""]
    numbers = list(map(b"%d".__mod__, range(first, first + len(pieces))))
    seams = map(b"".join, zip(repeat(number), numbers, repeat(between), written[1:], strict=False))
    return [before + written[0], *seams, b"".join((number, numbers[-1], after))]


def _write_values(values: Sequence[object]) -> list[bytes]:
    try:
        return list(map(orjson.dumps, values))
    except TypeError:  # one holds what only the standard library can write, such as half a character
        return list(map(json_compact, values))


class TextDeltas:
    """A row of `response.output_text.delta` without log probabilities, numbered from `first`. Spec: S6, S7.

    `padding` has the obfuscation of each, and is None where there is none.
    """

    __slots__ = ("_content_index", "_first", "_index", "_item_id", "_padding", "_tokens")

    def __init__(
        self, item_id: str, index: int, content_index: int, tokens: Tokens, padding: list[bytes] | None, first: int
    ) -> None:
        self._item_id, self._index, self._content_index = item_id, index, content_index
        self._tokens, self._padding, self._first = tokens, padding, first

    def __len__(self) -> int:
        return len(self._tokens.pieces)

    def tell(self, start: int, stop: int) -> list[Event]:
        """The events from a place to another."""
        place, pieces = (self._item_id, self._index, self._content_index), self._tokens.pieces[start:stop]
        first = self._first + start
        if self._padding is None:
            return [text_delta(*place, piece, [], number) for number, piece in enumerate(pieces, first)]
        padding = [filler.decode() for filler in self._padding[start:stop]]
        return text_deltas_with_padding(*place, pieces, [], padding, first)

    def write(self, framing: Framing, start: int, stop: int) -> bytes:
        """The bytes of these events: one join of seams and of what fills the gaps between them."""
        begin, end, padding, size = (
            _around_deltas(framing, self._content_index),
            framing.after,
            self._padding,
            stop - start,
        )
        gap = b',"item_id":%b,"logprobs":[]' % json_compact(self._item_id)
        number = b',"output_index":%d,"sequence_number":' % self._index
        if padding is not None:
            gap, number = gap + b',"obfuscation":"', b'"' + number
        seam = (begin, number, b"}" + end, self._first + start)
        tokens = self._tokens
        seams = tokens.seams(*seam) if size == len(self) else make_seams(tokens.pieces[start:stop], *seam)
        if padding is None:
            return gap.join(seams)
        row = [gap] * (3 * size + 1)
        row[::3] = seams
        row[2::3] = padding[start:stop] if size < len(padding) else padding
        return b"".join(row)

    def write_texts(self) -> Sequence[bytes]:
        """The JSON of each event."""
        row = self.write(LINES, 0, len(self))
        if len(self) > MOST_SHORT:
            return split_lines(row)
        # what differs from turn to turn beside these has the same length
        key = self._index, self._content_index, self._first, self._padding is None, len(row)
        return self._tokens.take_apart(row, key)


@lru_cache(maxsize=64)
def _around_deltas(framing: Framing, content_index: int) -> bytes:
    """What stands before the text of a delta."""
    head = framing.before % DELTA if framing.before else ""
    return f'{head}{{"type":"{DELTA}","content_index":{content_index},"delta":'.encode()


DELTA = "response.output_text.delta"


class Template(NamedTuple):
    """Events with gaps where turns differ: `size` of them, as `sse` and as `lines`."""

    size: int
    sse: TextTemplate
    lines: TextTemplate


class Filled:
    """The events of a template, filled with the values of one turn."""

    __slots__ = ("_template", "_values")

    def __init__(self, template: Template, values: Mapping[str, str]) -> None:
        self._template, self._values = template, values

    def __len__(self) -> int:
        return self._template.size

    def tell(self, start: int, stop: int) -> list[Event]:
        """The events from a place to another."""
        return list(map(orjson.loads, self._template.lines.fill(self._values).split(b"\n")[start:stop]))

    def write(self, framing: Framing, start: int, stop: int) -> bytes:
        """The bytes of these events."""
        size, sse, lines = self._template
        if stop - start < size:
            return write_each(self.tell(start, stop), framing)
        return (lines if framing is LINES else sse).fill(self._values)

    def write_texts(self) -> Sequence[bytes]:
        """The JSON of each event."""
        return split_lines(self._template.lines.fill(self._values))


class EventList(Sequence[Event]):
    """The events of a turn in parts; each has its place as its sequence number. Spec: S5."""

    __slots__ = ("_count", "_parts", "_starts")

    def __init__(self, parts: Iterable[Part] = ()) -> None:
        self._parts: list[Part] = []
        self._starts: list[int] = []
        self._count = 0
        for part in parts:
            self.add(part)

    @classmethod
    def lay_out(cls, parts: Iterable[Part], starts: Iterable[int], count: int) -> EventList:
        """The list of parts of which none is empty, and of which it is known where each begins and how many events
        there are: it costs half.
        """
        events = cls.__new__(cls)
        events._parts, events._starts, events._count = [*parts], [*starts], count
        return events

    def append(self, event: Event) -> None:
        """Add an event."""
        last = self._parts[-1] if self._parts else None
        if type(last) is Told:
            last.append(event)
            self._count += 1
        else:
            self.add(Told((event,)))

    def add(self, part: Part) -> None:
        """Add a row of events."""
        if part:
            self._parts.append(part)
            self._starts.append(self._count)
            self._count += len(part)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Event]:
        for start in range(0, self._count, AT_ONCE):
            for part, begin, end in self._between(start, start + AT_ONCE):
                yield from part.tell(begin, end)

    @overload
    def __getitem__(self, place: int) -> Event: ...
    @overload
    def __getitem__(self, place: slice) -> list[Event]: ...
    def __getitem__(self, place: int | slice) -> Event | list[Event]:
        if isinstance(place, slice):
            start, stop, step = place.indices(self._count)
            return [event for part, begin, end in self._between(start, stop) for event in part.tell(begin, end)][::step]
        place = range(self._count)[place]
        ((part, begin, end),) = self._between(place, place + 1)
        return part.tell(begin, end)[0]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    def _between(self, start: int, stop: int) -> Iterator[tuple[Part, int, int]]:
        """The parts that reach into a range, and where it begins and ends in each."""
        for at in range(max(bisect_right(self._starts, start) - 1, 0), len(self._parts)):
            part, first = self._parts[at], self._starts[at]
            if first >= stop:
                return
            yield part, max(start - first, 0), min(stop - first, len(part))

    def places_of(self, test: Callable[[Event], bool]) -> Iterator[int]:
        """The places of the events that pass a test, which asks for nothing but their type."""
        for first, part in zip(self._starts, self._parts, strict=True):
            if isinstance(part, TextDeltas):  # all of them or none
                yield from range(first, first + len(part)) if test(part.tell(0, 1)[0]) else ()
            else:
                yield from [first + at for at, event in enumerate(part.tell(0, len(part))) if test(event)]

    def write(self, framing: Framing) -> bytes:
        """The bytes of all events, by `framing`."""
        return b"".join([part.write(framing, 0, len(part)) for part in self._parts])

    def write_texts(self) -> list[bytes]:
        """The JSON of each event."""
        return list(chain.from_iterable([part.write_texts() for part in self._parts]))

    def write_in_pieces(self, framing: Framing) -> Iterator[bytes]:
        """The same a piece at a time, each made when it is asked for."""
        if self._count <= AT_ONCE:
            yield self.write(framing)
            return
        for start in range(0, self._count, AT_ONCE):
            pieces = self._between(start, start + AT_ONCE)
            yield b"".join([part.write(framing, begin, end) for part, begin, end in pieces])


def write(events: Iterable[Event], framing: Framing) -> bytes:
    """The bytes of events."""
    return events.write(framing) if isinstance(events, EventList) else write_each(events, framing)


def write_texts(events: Sequence[Event]) -> list[bytes]:
    """The JSON of each event, on one line."""
    return events.write_texts() if isinstance(events, EventList) else _write_values(events)


def write_in_pieces(events: Sequence[Event], framing: Framing) -> Iterator[bytes]:
    """The bytes of events a piece at a time, each made when it is asked for."""
    return (events if isinstance(events, EventList) else EventList([Told(events)])).write_in_pieces(framing)


def places_of(test: Callable[[Event], bool], events: Sequence[Event], start: int) -> list[int]:
    """The places from `start` on of the events that pass a test, which asks for nothing but their type."""
    if isinstance(events, EventList):
        return [place for place in events.places_of(test) if place >= start]
    return [place for place in range(start, len(events)) if test(events[place])]


def number_after(events: Sequence[Event], number: int) -> int:
    """The number of the event after these, `number` if the last of them has none."""
    if isinstance(events, EventList):
        return len(events)
    return int(events[-1].get("sequence_number", number)) + 1 if events else number


def sse(events: Iterable[Event]) -> bytes:
    """Encode events as server-sent events: LF only, one line of data, raw UTF-8, no sentinel. Spec: S1, S2."""
    return write(events, SSE)
