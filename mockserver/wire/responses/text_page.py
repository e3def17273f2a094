"""A page of plain turns, printed from the JSON in which their items are kept. Spec: P25, W4, W5.

Most conversations hold nothing else. To decode twenty messages and to print them again costs more than all the rest of
a call.
"""

# How it works: the two messages of a turn are kept as compact JSON, which is always the same but for their ids and
# texts. So lists are cut around these, and put together with what stands around them in a body. Both come from the
# encoders themselves, which write a turn once. A pattern cuts, for it costs a quarter of looking for one quote after
# the other. One that knew messages and not turns would cost twice as much.
#
# What must stay true: whatever is not recognized to the last byte is left to the encoders. A text that is written in
# another way in a body (not ASCII, DEL, an escape other than of a line's end) is not recognized.

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any

from mockserver.wire.responses.encoding import json_body, json_compact
from mockserver.wire.responses.resources import page, text_part

_GAP = "@"  # stands for an id and for a text in what the encoders write once
_CUTS = 5  # of a turn as it is kept: what stands before it, then ids and texts
_PARTS = 8  # of a turn in a page: ids and texts, and what stands before each
_SEAMS = frozenset((",", "]["))  # what stands before a turn, the first one apart


def print_page(lists: Iterable[bytes], ids: Sequence[str], *, newest_first: bool, has_more: bool) -> bytes | None:
    """The page of all items of these lists of compact JSON, oldest first, whose ids are given in the page's order.

    None if the lists hold other items, or anything that is no plain turn.
    """
    packed = b"".join(lists)
    if not ids or not _is_written_alike(packed):
        return None
    is_phased = b'"phase":' in packed
    cut = _pattern(is_phased).split(packed.decode())
    if cut[0] != "[" or cut[-1] != "]" or not _SEAMS.issuperset(cut[_CUTS:-1:_CUTS]):
        return None
    gaps = cut[1::_CUTS], cut[2::_CUTS], cut[3::_CUTS], cut[4::_CUTS]
    if newest_first:
        asked, question, answered, answer = gaps
        gaps = answered[::-1], answer[::-1], asked[::-1], question[::-1]
    turns, before, row, after = len(gaps[0]), *_layout(is_phased, newest_first, has_more)
    if len(ids) != 2 * turns or gaps[0] != ids[::2] or gaps[2] != ids[1::2]:
        return None
    parts = row * turns
    parts[0], parts[1::_PARTS], parts[3::_PARTS], parts[5::_PARTS], parts[7::_PARTS] = before, *gaps
    before_first, before_last, end = after
    parts += (before_first, ids[0], before_last, ids[-1], end)
    return "".join(parts).encode()


def _is_written_alike(packed: bytes) -> bool:
    """Whether texts stand in a body as they are kept."""
    if not packed.isascii() or b"\x7f" in packed:
        return False
    return b"\\" not in packed or packed.count(b"\\") == packed.count(rb"\n")


def _turn(is_phased: bool) -> list[dict[str, Any]]:
    begin = {"id": _GAP, "type": "message", "status": "completed"}
    phase = {"phase": "final_answer"} if is_phased else {}
    return [
        {**begin, "content": [{"type": "input_text", "text": _GAP}], "role": "user"},
        {**begin, "content": [text_part(_GAP)], **phase, "role": "assistant"},
    ]


@cache
def _pattern(is_phased: bool) -> re.Pattern[str]:
    """A turn as it is kept. No quote is part of a text that is written alike, so that the next one ends it."""
    kept = json_compact(_turn(is_phased)).decode()
    return re.compile('([^"]*)'.join(map(re.escape, kept[len("[") : -len("]")].split(_GAP))))


@cache
def _layout(is_phased: bool, newest_first: bool, has_more: bool) -> tuple[str, list[str], list[str]]:
    """What stands before a page's first id, the parts of a turn, what stands after the last text."""
    items = _turn(is_phased) * 2
    body = json_body(page(items[::-1] if newest_first else items, has_more=has_more)).decode()
    before, middle, between, second_middle, seam, _, _, _, *after = body.split(_GAP)
    return before, [seam, "", middle, "", between, "", second_middle, ""], after
