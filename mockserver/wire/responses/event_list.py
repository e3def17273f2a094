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
from mockserver.wire.responses.events import (
    Event,
    cut_row,
    lay_out_row,
    pad_lengths,
    text_delta,
    text_deltas_with_padding,
)
from mockserver.wire.responses.text_template import TextTemplate


class Framing(NamedTuple):
    """What stands around the JSON of an event: `before` it, with `%s` for its type, and `after` it.

    Where the size of the JSON is told before it, `head` gives what stands there.
    """

    before: str
    after: bytes
    head: Callable[[int], bytes] | None = None


@lru_cache(maxsize=4096)  # the events of streams have a few hundred lengths
def frame_head(size: int) -> bytes:
    """The head of a text frame of a server's, of so many bytes: final and unmasked. RFC 6455 §5.2."""
    if size < 126:
        return b"\x81%c" % size
    return b"\x81\x7e" + size.to_bytes(2) if size < 65_536 else b"\x81\x7f" + size.to_bytes(8)


SSE = Framing("event: %s\ndata: ", b"\n\n")
LINES = Framing("", b"\n")
FRAMES = Framing("", b"", frame_head)
AT_ONCE = 1024  # events that are written at once; of more than that, the first leave while the others are made


class Part(Protocol):
    """Some events that follow each other."""

    def __len__(self) -> int: ...

    def tell(self, start: int, stop: int) -> list[Event]:
        """The events from a place to another."""

    def write(self, framing: Framing, start: int, stop: int) -> bytes:
        """The bytes of these events."""

    def pieces(self, framing: Framing) -> list[bytes]:
        """What is joined to the bytes of all of them."""

    def write_texts(self) -> Sequence[bytes]:
        """The JSON of each event."""


class Told(list[Event]):
    """Events as they are."""

    def tell(self, start: int, stop: int) -> list[Event]:
        return self[start:stop]

    def write(self, framing: Framing, start: int, stop: int) -> bytes:
        return write_each(self[start:stop], framing)

    def pieces(self, framing: Framing) -> list[bytes]:
        return [write_each(self, framing)]

    def write_texts(self) -> Sequence[bytes]:
        return _write_values(self)


def write_each(events: Iterable[Event], framing: Framing) -> bytes:
    """The bytes of events, each by itself."""
    events = list(events)
    written = _write_values(events)
    if framing is LINES:
        return b"\n".join([*written, b""])
    if framing.head is not None:
        return b"".join(with_heads(written, framing.head))
    return b"".join(
        [b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json) for one, json in zip(events, written, strict=True)]
    )


def with_heads(texts: Sequence[bytes], head: Callable[[int], bytes]) -> list[bytes]:
    """Texts, each with its head before it."""
    row = [b""] * (2 * len(texts))
    row[::2], row[1::2] = map(head, map(len, texts)), texts
    return row


class Tokens:
    """A text in the pieces that it is streamed in; `pads` are the lengths of their padding.

    What a stream of it has in common with every other one is kept: short texts come again and again.
    """

    __slots__ = ("_cuts", "_seams", "pads", "pieces")

    def __init__(self, pieces: Sequence[str]) -> None:
        self.pieces, self.pads = pieces, pad_lengths(pieces)
        self._cuts: list[Struct] | None = None
        self._seams: dict[Place, list[bytes]] = {}

    def padding(self, seed: str) -> list[bytes]:
        """The obfuscation of the deltas of this text in a stream that begins with them."""
        if self._cuts is None:
            self._cuts = lay_out_row(self.pads)
        return cut_row(seed, self._cuts)

    def seams(self, place: Place) -> list[bytes]:
        """What stands before the first gap of a row, between the gaps, and after the last one."""
        found = self._seams.get(place)
        if found is None:
            found = make_seams(self.pieces, self.pads, place)
            if len(self.pieces) <= MOST_SHORT:
                if len(self._seams) >= MOST_SEAMS:
                    self._seams.clear()
                self._seams[place] = found
        return found


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


def tokens_of_text(text: str, cut: Callable[[str], list[str]]) -> Tokens:
    """The same of a text that is `cut` into pieces."""
    return _remember_text(text, cut) if len(text) <= SHORT_TEXT else tokens_of(cut(text))


SHORT_TEXT = 256  # characters of a text that is remembered as a whole


@lru_cache(maxsize=128)
def _remember_text(text: str, cut: Callable[[str], list[str]]) -> Tokens:
    return tokens_of(cut(text))


class Place(NamedTuple):
    """Where a row of deltas stands: in which part of which item, its first number, and whether there is padding.

    `gap` is the size of what stands in each of its gaps, without padding.
    """

    framing: Framing
    output_index: int
    content_index: int
    first: int
    is_padded: bool
    gap: int


def make_seams(pieces: Sequence[str], pads: Sequence[int], place: Place) -> list[bytes]:
    """A row of deltas without what differs from stream to stream: a gap between the text and the number of each.

    A gap is what `_write_gap` gives, and the padding, of these lengths, if there is any.
    """
    framing, index, content_index, first, is_padded, gap = place
    written = _write_values(pieces)
    if not written:
        return [b""]
    before = _around_deltas(framing, content_index)
    number = b'%b,"output_index":%d,"sequence_number":' % (b'"' if is_padded else b"", index)
    after = b"}" + framing.after
    numbers = list(map(b"%d".__mod__, range(first, first + len(pieces))))
    begins = [before + text for text in written]
    if framing.head is not None:
        size = gap + len(number) + 1
        sizes = map(sum, zip(map(len, begins), map(len, numbers), pads if is_padded else repeat(0), strict=False))
        begins = [framing.head(size + of_event) + begin for begin, of_event in zip(begins, sizes, strict=True)]
    seams = map(b"".join, zip(repeat(number), numbers, repeat(after), begins[1:], strict=False))
    return [begins[0], *seams, b"".join((number, numbers[-1], after))]


def _write_gap(item_id: str, is_padded: bool) -> bytes:
    obfuscation = b',"obfuscation":"' if is_padded else b""
    return b',"item_id":%b,"logprobs":[]%b' % (json_compact(item_id), obfuscation)


def _write_values(values: Sequence[object]) -> list[bytes]:
    try:
        return list(map(orjson.dumps, values))
    except TypeError:  # one holds what only the standard library can write, such as half a character
        return list(map(json_compact, values))


class TextDeltas:
    """A row of `response.output_text.delta` without log probabilities, numbered from `first`. Spec: S6, S7.

    `padding` has the obfuscation of each, as long as its `tokens` say, and is None where there is none.
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
        """The bytes of these events."""
        if stop - start == len(self):
            return b"".join(self.pieces(framing))
        tokens, padding, gap = self._tokens, self._padding, self._gap
        seams = make_seams(tokens.pieces[start:stop], tokens.pads[start:stop], self._place(framing, start, gap))
        return b"".join(_fill(seams, gap, None if padding is None else padding[start:stop]))

    def pieces(self, framing: Framing) -> list[bytes]:
        """What is joined to the bytes of all events: seams, and what fills the gaps between them."""
        gap = self._gap
        return _fill(self._tokens.seams(self._place(framing, 0, gap)), gap, self._padding)

    @property
    def _gap(self) -> bytes:
        return _write_gap(self._item_id, self._padding is not None)

    def _place(self, framing: Framing, start: int, gap: bytes) -> Place:
        is_padded = self._padding is not None
        place = framing, self._index, self._content_index, self._first + start, is_padded, len(gap)
        return _new(Place, place)

    def write_texts(self) -> Sequence[bytes]:
        """The JSON of each event."""
        return split_lines(self.write(LINES, 0, len(self)))


def _fill(seams: list[bytes], gap: bytes, padding: list[bytes] | None) -> list[bytes]:
    """Seams with what stands in the gaps between them."""
    per_delta = 2 if padding is None else 3
    row = [gap] * (per_delta * (len(seams) - 1) + 1)
    row[::per_delta] = seams
    if padding is not None:
        row[2::3] = padding
    return row


@lru_cache(maxsize=64)
def _around_deltas(framing: Framing, content_index: int) -> bytes:
    """What stands before the text of a delta."""
    head = framing.before % DELTA if framing.before else ""
    return f'{head}{{"type":"{DELTA}","content_index":{content_index},"delta":'.encode()


DELTA = "response.output_text.delta"
_new = tuple.__new__  # makes a named tuple without a call of Python's


class Template(NamedTuple):
    """Events with gaps where turns differ, `size` of them: as `sse`, and as `lines`, the JSON of each on one."""

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
        return list(map(orjson.loads, self.write_texts()[start:stop]))

    def write(self, framing: Framing, start: int, stop: int) -> bytes:
        """The bytes of these events."""
        if stop - start < len(self):
            return write_each(self.tell(start, stop), framing)
        return b"".join(self.pieces(framing))

    def pieces(self, framing: Framing) -> list[bytes]:
        """What is joined to the bytes of all events."""
        if framing is SSE:
            return [self._template.sse.fill(self._values)]
        if framing.head is not None:
            return with_heads(self.write_texts(), framing.head)
        return [self._template.lines.fill(self._values)]

    def write_texts(self) -> list[bytes]:
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
        pieces = list[bytes]()
        for part in self._parts:
            pieces += part.pieces(framing)
        return b"".join(pieces)

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
