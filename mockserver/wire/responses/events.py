"""Stream events: one constructor per shape, keys in the wire's order, and their encodings. Spec: S1, S5, S7.

Every constructor's last argument is the event's `sequence_number`; the order inside an event is `type`, then
alphabetical.
"""

# Why one constructor per shape and no sorting: a stream of a thousand deltas is a thousand dictionaries, and the
# keys of a dictionary literal stand in the right order already. Only rare shapes go through `bare`, which sorts.
# Deltas of text have two constructors, because a key that is sometimes missing would cost every one of them a
# copy.
#
# Padding (S6): the service hides the length of each token by filling deltas up to a multiple of 16 characters,
# counted in code points. Characters are cut off one long drawn string, and a new one is drawn from its beginning
# when it is used up; so a stream's padding depends on the response's id alone, and a replay pads alike.

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from itertools import accumulate, count
from struct import Struct
from typing import Any

from mockserver.wire.responses.ids import draw_bytes

Event = dict[str, Any]

TERMINAL = frozenset({"response.completed", "response.incomplete", "response.failed"})


def lifecycle(type: str, response: dict[str, Any], number: int) -> Event:
    """`response.created`, `.queued`, `.in_progress`, `.completed`, `.incomplete` or `.failed`."""
    return {"type": type, "response": response, "sequence_number": number}


def output_item(type: str, item: dict[str, Any], output_index: int, number: int) -> Event:
    """`response.output_item.added` or `.done`."""
    return {"type": type, "item": item, "output_index": output_index, "sequence_number": number}


def content_part(type: str, item_id: str, index: int, content_index: int, part: dict[str, Any], number: int) -> Event:
    """`response.content_part.added` or `.done`."""
    return {
        "type": type,
        "content_index": content_index,
        "item_id": item_id,
        "output_index": index,
        "part": part,
        "sequence_number": number,
    }


def on_item(type: str, item_id: str, output_index: int, number: int, **fields: Any) -> Event:
    """Any event about an item: `item_id`, `output_index` and the fields given, in alphabetical order."""
    return bare(type, number, item_id=item_id, output_index=output_index, **fields)


def bare(type: str, number: int, **fields: Any) -> Event:
    """An event with the fields given in alphabetical order; shell commands and audio name no item. Spec: S7, S16."""
    fields["sequence_number"] = number
    return {"type": type, **{key: fields[key] for key in sorted(fields)}}


def text_delta(item_id: str, index: int, content_index: int, delta: str, logprobs: list[Any], number: int) -> Event:
    """`response.output_text.delta` without obfuscation. Spec: S7."""
    return {
        "type": "response.output_text.delta",
        "content_index": content_index,
        "delta": delta,
        "item_id": item_id,
        "logprobs": logprobs,
        "output_index": index,
        "sequence_number": number,
    }


def text_deltas_with_padding(
    item_id: str,
    index: int,
    content_index: int,
    deltas: Sequence[str],
    logprobs: list[Any],
    padding: list[str],
    first: int,
) -> list[Event]:
    """A row of `response.output_text.delta` with their obfuscation, numbered from `first`. Spec: S6, S7."""
    return [  # in one go, for a stream is made of them: a call for each would cost as much as the event
        {
            "type": "response.output_text.delta",
            "content_index": content_index,
            "delta": delta,
            "item_id": item_id,
            "logprobs": logprobs,
            "obfuscation": filler,
            "output_index": index,
            "sequence_number": number,
        }
        for number, delta, filler in zip(count(first), deltas, padding, strict=False)
    ]


def error(error: dict[str, Any], number: int) -> Event:
    """The nested `error` event: type, code, message, param. Spec: S12."""
    return {"type": "error", "error": error, "sequence_number": number}


def flat_error(error: dict[str, Any], number: int) -> Event:
    """The `error` event as the clients' types have it: no member `error`, its members at the top. Spec: S12, S7."""
    return {
        "type": "error",
        "code": error["code"],
        "message": error["message"],
        "param": error["param"],
        "sequence_number": number,
    }


# switch `stream_error_shape` → constructor
ERRORS: dict[str, Callable[[dict[str, Any], int], Event]] = {"nested": error, "flat": flat_error}


_PADS = tuple(-length % 16 for length in range(16))  # by the last digit of a delta's length in base 16
_POOL = 512  # characters of padding that belong together
_LEAST = 64  # that are drawn: fewer would be others


def pad_lengths(deltas: Iterable[str]) -> tuple[int, ...]:
    """How many characters fill each delta up to the next multiple of 16. Spec: S6."""
    return tuple(map(_PADS.__getitem__, map((15).__and__, map(len, deltas))))


class Padding:
    """Obfuscation of one stream: padding that fills a delta up to the next multiple of 16 characters. Spec: S6."""

    def __init__(self, seed: str) -> None:
        self._seed = self._key = seed
        self._pool = b""  # drawn as far as it is needed: a short stream needs an eighth of it
        self._used = 0

    def __call__(self, delta: str) -> str:
        return self.fill(pad_lengths((delta,)))[0].decode()

    def fill(self, lengths: tuple[int, ...]) -> list[bytes]:
        """Padding of these lengths, for a row of deltas."""
        lay_out = _lay_out if len(lengths) <= _MOST_LAID_OUT else _lay_out.__wrapped__
        layouts, self._used = lay_out(lengths, self._used)
        fillers: list[bytes] = []
        for place, layout in enumerate(layouts):
            if place:
                self._key, self._pool = f"{self._seed}/{self._pool[:16].decode()}", b""
            if len(self._pool) < layout.size or not self._pool:
                size = _POOL if self._pool else max(layout.size, _LEAST)  # whoever asks again will ask for more
                self._pool = draw_bytes(self._key, size)
            fillers += layout.unpack_from(self._pool)
        return fillers


def lay_out_row(lengths: tuple[int, ...]) -> list[Struct]:
    """How padding of these lengths is cut out of what is drawn, in a stream that begins with it."""
    return _lay_out.__wrapped__(lengths, 0)[0]


def cut_row(seed: str, layouts: Iterable[Struct]) -> list[bytes]:
    """What `Padding` fills a row with that is laid out so, and that its stream begins with."""
    fillers, key = list[bytes](), seed
    for layout in layouts:
        pool = draw_bytes(key, max(layout.size, _LEAST))
        fillers += layout.unpack_from(pool)
        key = f"{seed}/{pool[:16].decode()}"
    return fillers


_FORMATS = tuple(f"{length}s" for length in range(16))
_MOST_LAID_OUT = 128  # lengths of a row that is remembered


@lru_cache(maxsize=512)  # short texts come again and again
def _lay_out(lengths: tuple[int, ...], used: int) -> tuple[list[Struct], int]:
    """How each pool is cut into padding, `used` characters of the first are gone; and how many of the last are then."""
    ends = list(accumulate(lengths, initial=0))
    layouts, start = list[Struct](), 0
    while True:
        stop = bisect_right(ends, ends[start] + _POOL - used, start) - 1
        used_then = used + ends[stop] - ends[start]
        pieces = "".join(map(_FORMATS.__getitem__, lengths[start:stop]))
        layouts.append(Struct(f"{used}x{pieces}"))
        if stop == len(lengths):
            return layouts, used_then
        start, used = stop, 0
