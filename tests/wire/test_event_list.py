"""Events in rows: told or written, whole or in part, they are the same events. Spec: S1, S5, S6, S7."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.responses.event_list import (
    AT_ONCE,
    FRAMES,
    LINES,
    MOST_SEAMS,
    SHORT_TEXT,
    SSE,
    EventList,
    Filled,
    Framing,
    Template,
    TextDeltas,
    Told,
    frame_head,
    number_after,
    places_of,
    sse,
    tokens_of,
    tokens_of_text,
    write,
    write_in_pieces,
    write_texts,
)
from mockserver.wire.responses.events import Event, Padding, bare, output_item
from mockserver.wire.responses.text_template import TextTemplate

PIECES = st.lists(st.text(st.characters(exclude_categories=("Cs",)), max_size=20), min_size=1, max_size=200)
FRAMINGS = {"sse": SSE, "lines": LINES, "frames": FRAMES}


def stream_of(pieces: list[str], *, padded: bool) -> EventList:
    """An event, a row of deltas, two events."""
    events = EventList()
    events.append(output_item("response.output_item.added", {"id": "msg_1"}, 0, 0))
    tokens = tokens_of(pieces)
    padding = Padding("resp_1").fill(tokens.pads) if padded else None
    events.add(TextDeltas("msg_1", 0, 0, tokens, padding, 1))
    for number in (1, 2):
        events.append(bare("response.other", len(pieces) + number, text="ü\n"))
    return events


def spell_out(pieces: list[str], *, padded: bool) -> list[Event]:
    """The same events, written down one by one as S7 has them."""
    padding = Padding("resp_1")
    events: list[Event] = [
        {"type": "response.output_item.added", "item": {"id": "msg_1"}, "output_index": 0, "sequence_number": 0}
    ]
    for number, piece in enumerate(pieces, 1):
        event = {
            "type": "response.output_text.delta",
            "content_index": 0,
            "delta": piece,
            "item_id": "msg_1",
            "logprobs": [],
        }
        if padded:
            event["obfuscation"] = padding(piece)
        events.append({**event, "output_index": 0, "sequence_number": number})
    last = len(pieces)
    return [
        *events,
        {"type": "response.other", "sequence_number": last + 1, "text": "ü\n"},
        {"type": "response.other", "sequence_number": last + 2, "text": "ü\n"},
    ]


def frame(text: bytes) -> bytes:
    """A text in a server's frame: final, unmasked, its size in 7 or in 16 bits. RFC 6455 §5.2."""
    size = bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2, "big")
    return b"\x81" + size + text


def test_the_head_of_a_frame_tells_its_size() -> None:
    for size, head in ((0, b"\0"), (125, b"\x7d"), (126, b"\x7e\0\x7e"), (65_535, b"\x7e\xff\xff")):
        assert frame_head(size) == b"\x81" + head
    assert frame_head(65_536) == b"\x81\x7f\0\0\0\0\0\1\0\0"


@given(PIECES, st.booleans())
def test_a_row_is_told_and_written_as_its_events_are(pieces: list[str], padded: bool) -> None:
    events, expected = stream_of(pieces, padded=padded), spell_out(pieces, padded=padded)
    assert list(events) == expected and events == expected and len(events) == len(expected)
    lines = b"".join([orjson.dumps(event) + b"\n" for event in expected])
    assert write(events, LINES) == write(expected, LINES) == lines
    told = [b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event)) for event in expected]
    assert sse(events) == sse(expected) == b"".join(told)
    assert (
        write(events, FRAMES) == write(expected, FRAMES) == b"".join([frame(orjson.dumps(event)) for event in expected])
    )
    assert sse(events) == sse(stream_of(pieces, padded=padded))  # also the second time


@given(PIECES, st.integers(-250, 250), st.integers(-250, 250))
def test_a_part_of_a_stream_is_that_part_of_its_events(pieces: list[str], start: int, stop: int) -> None:
    events, expected = stream_of(pieces, padded=True), spell_out(pieces, padded=True)
    assert events[start:stop] == expected[start:stop]
    assert events[start:stop:3] == expected[start:stop:3]
    place = start % len(expected)
    assert events[place] == expected[place] and events[place - len(expected)] == expected[place]


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
@pytest.mark.parametrize("padded", [True, False])
def test_a_long_stream_is_written_in_pieces(framing: Framing, padded: bool) -> None:
    pieces = [f"{number} " for number in range(3 * AT_ONCE)]
    events, expected = stream_of(pieces, padded=padded), spell_out(pieces, padded=padded)
    written = list(write_in_pieces(events, framing))
    assert len(written) == 4
    assert b"".join(written) == write(expected, framing) == b"".join(write_in_pieces(expected, framing))


def test_a_short_stream_is_one_piece() -> None:
    events = stream_of(["one ", "two"], padded=True)
    assert list(write_in_pieces(events, SSE)) == [sse(events)]
    assert list(write_in_pieces([], SSE)) == [b""]


def test_places_and_the_next_number() -> None:
    events, expected = stream_of(["one ", "two"], padded=True), spell_out(["one ", "two"], padded=True)

    def is_delta(event: Event) -> bool:
        return event["type"].endswith("delta")

    for stream in (events, expected):
        assert places_of(is_delta, stream, 0) == [1, 2]
        assert places_of(is_delta, stream, 2) == [2]
        assert number_after(stream, 7) == 5
    assert number_after([], 7) == 7 and number_after([{"type": "error"}], 7) == 8


def test_a_stream_is_no_other() -> None:
    events = stream_of(["one"], padded=True)
    assert events != stream_of(["two"], padded=True) and events != [1] and events != "one"
    with pytest.raises(TypeError):
        hash(events)
    with pytest.raises(IndexError):
        events[4]


ONE: Event = {"type": "a", "id": "ü"}
OTHER: Event = {"type": "b", "n": 3}


@pytest.mark.parametrize("framing", FRAMINGS.values(), ids=FRAMINGS)
def test_a_template_is_filled(framing: Framing) -> None:
    template = Template(
        2,
        TextTemplate(
            ('event: a\ndata: {"type":"a","id":"', '"}\n\nevent: b\ndata: {"type":"b","n":', "}\n\n"),
            ("id", "n"),
        ),
        TextTemplate(('{"type":"a","id":"', '"}\n{"type":"b","n":', "}\n"), ("id", "n")),
    )
    events, expected = (
        EventList([Filled(template, {"id": "ü", "n": "3"})]),
        [{"type": "a", "id": "ü"}, {"type": "b", "n": 3}],
    )
    assert list(events) == expected
    assert write(events, framing) == write(expected, framing)
    part = Filled(template, {"id": "ü", "n": "3"})
    assert part.write(framing, 1, 2) == write(expected[1:], framing)


@given(PIECES, st.booleans())
def test_texts_are_the_lines_of_what_is_written(pieces: list[str], padded: bool) -> None:
    for _ in range(2):  # the second time, where the lines of a row are is known
        events = stream_of(pieces, padded=padded)
        assert b"".join([text + b"\n" for text in write_texts(events)]) == write(events, LINES)
    assert write_texts(list(events)) == write_texts(events)


def test_rows_of_the_same_length_need_not_have_their_lines_in_the_same_places() -> None:
    tokens = tokens_of(["thirteen char", "x"])  # padded by 3 and by 15 characters
    more = len(',"obfuscation":""') + 9
    rows = [
        TextDeltas("msg_1" + "x" * more, 0, 0, tokens, None, 1),
        TextDeltas("msg_1", 0, 0, tokens, Padding("resp_1").fill(tokens.pads), 1),
    ]
    assert len({len(row.write(LINES, 0, 2)) for row in rows}) == 1
    for row in (*rows, *rows):
        texts = list(row.write_texts())
        assert texts == row.write(LINES, 0, 2).splitlines()
        assert row.write(FRAMES, 0, 2) == b"".join(map(frame, texts))


def test_the_lines_of_a_few_kinds_of_rows_are_remembered() -> None:
    tokens = tokens_of(["a", "b"])
    for first in range(3 * MOST_SEAMS):
        row = TextDeltas("msg_1", 0, 0, tokens, None, first)
        texts = list(row.write_texts())
        assert texts == row.write(LINES, 0, 2).splitlines()
        assert row.write(FRAMES, 0, 2) == b"".join(map(frame, texts))


def test_a_list_whose_places_are_known_is_the_one_that_counts_them() -> None:
    parts = (Told([ONE]), Told([OTHER, ONE]))
    laid_out = EventList.lay_out(parts, (0, 1), 3)
    assert laid_out == EventList(parts) and laid_out[1] == OTHER and len(laid_out) == 3
    laid_out.append(OTHER)
    assert list(laid_out) == [ONE, OTHER, ONE, OTHER]


@given(st.lists(st.integers(0, 15), max_size=300), st.integers(1, 60))
def test_padding_goes_on_where_it_stopped(lengths: list[int], size: int) -> None:
    """However a stream's deltas come in rows, its padding is the same. Spec: S6."""
    whole, rows = Padding("resp_1"), Padding("resp_1")
    expected = whole.fill(tuple(lengths))
    assert [len(filler) for filler in expected] == lengths
    starts = range(0, len(lengths), size)
    assert [one for start in starts for one in rows.fill(tuple(lengths[start : start + size]))] == expected


@given(PIECES)
def test_the_padding_of_a_text_is_that_of_a_stream_that_begins_with_it(pieces: list[str]) -> None:
    tokens = tokens_of(pieces)
    for seed in ("resp_1", "resp_2"):
        assert tokens.padding(seed) == Padding(seed).fill(tokens.pads)


def test_a_text_has_the_tokens_of_its_pieces_whether_it_is_remembered_or_not() -> None:
    for text in ("a b", "a b", "ü" * SHORT_TEXT, "ü " * SHORT_TEXT):
        tokens = tokens_of_text(text, str.split)
        assert list(tokens.pieces) == text.split()


PLACES = [(0, 0, 1, False), (1, 0, 1, False), (0, 1, 1, False), (0, 0, 2, False), (0, 0, 1, True)]


def test_rows_that_stand_elsewhere_are_written_as_what_they_are() -> None:
    tokens = tokens_of(["a", "b"])
    for _ in range(2):  # the second time, what is remembered of each must not be the other's
        for output_index, content_index, first, is_padded in PLACES:
            padding = Padding("resp_1").fill(tokens.pads) if is_padded else None
            row = TextDeltas("msg_1", output_index, content_index, tokens, padding, first)
            for framing in FRAMINGS.values():
                assert row.write(framing, 0, 2) == write(row.tell(0, 2), framing)
