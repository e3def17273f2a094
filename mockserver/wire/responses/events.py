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
from collections.abc import Callable, Iterable
from itertools import accumulate, count, pairwise
from typing import Any

import orjson

from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.responses.ids import draw

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
    item_id: str, index: int, content_index: int, deltas: list[str], logprobs: list[Any], padding: list[str], first: int
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


class Padding:
    """Obfuscation of one stream: padding that fills a delta up to the next multiple of 16 characters. Spec: S6."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._pool = draw(seed, 512)
        self._used = 0

    def __call__(self, delta: str) -> str:
        return self.fill([delta])[0]

    def fill(self, deltas: list[str]) -> list[str]:
        """The padding of each of a row of deltas."""
        fillers: list[str] = []
        lengths = [-len(delta) % 16 for delta in deltas]
        done = 0
        while done < len(lengths):
            row = lengths[done : done + len(self._pool)]
            ends = [*accumulate(row, initial=self._used)]
            fitting = bisect_right(ends, len(self._pool)) - 1
            fillers += [self._pool[start:end] for start, end in pairwise(ends[: fitting + 1])]
            done, self._used = done + fitting, ends[fitting]
            if fitting < len(row):
                self._pool, self._used = draw(f"{self._seed}/{self._pool[:16]}", 512), 0
        return fillers


def sse(events: Iterable[Event]) -> bytes:
    """Encode events as server-sent events: LF only, one line of data, raw UTF-8, no sentinel. Spec: S1, S2."""
    events, encode = list(events), orjson.dumps
    try:
        return b"".join([b"event: %b\ndata: %b\n\n" % (one["type"].encode(), encode(one)) for one in events])
    except TypeError:  # one holds what only the standard library can write
        return b"".join([b"event: %b\ndata: %b\n\n" % (one["type"].encode(), json_compact(one)) for one in events])
