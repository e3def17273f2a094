"""A page of messages of one text each, printed from the JSON in which they are kept. Spec: P25, W4, W5.

Nearly all lists hold nothing else. To decode twenty messages and to print them again costs more than all the rest of
a call.
"""

# How it works: an item is kept as compact JSON, and a message of one text is always the same but for its id and its
# text. So a list is cut around these two, and put together with what stands around them in a body. Both come from the
# encoders themselves, which write one message of each kind when this module is loaded. A pattern cuts: it is four times
# as fast as to look for one quote after the other, and five times as fast as to decode and to print.
#
# What must stay true: whatever is not recognized to the last byte is left to the encoders. A text that is written in
# another way in a body (not ASCII, DEL, an escape other than of a line's end) is not recognized.

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from mockserver.wire.responses.encoding import json_body, json_compact
from mockserver.wire.responses.resources import page, text_part

_GAP = "@"  # stands for an id and for a text in what the encoders write once


def _write_once(role: str, part: dict[str, Any], **more: Any) -> tuple[list[str], list[str]]:
    """What stands before, between and after the id and the text of a message: as it is kept, and in a page."""
    message = {"id": "@", "type": "message", "status": "completed", "content": [part], **more, "role": role}
    return json_compact(message).decode().split(_GAP), _print(message).split(_GAP)


def _print(item: dict[str, Any], *, has_more: bool = False) -> str:
    return json_body(page([item], has_more=has_more)).decode()


_ASKED, _ANSWERED = {"type": "input_text", "text": "@"}, text_part("@")
_ALL = (
    _write_once("user", _ASKED),
    _write_once("assistant", _ANSWERED),
    _write_once("assistant", _ANSWERED, phase="final_answer"),
)
_AFTER_ITEMS = "\n  ],"
# how it is kept → how it is printed
_MIDDLES = {kept[1]: printed[1] for kept, printed in _ALL}
_ENDS = {kept[2]: printed[2].partition(_AFTER_ITEMS)[0] for kept, printed in _ALL}
_BEFORE = _ALL[0][1][0]
_BETWEEN = "," + _BEFORE[_BEFORE.index("[") + 1 :]
# what stands after all items, around the ids of the first and the last
_AFTER = {
    more: (_AFTER_ITEMS + _print({"id": "@"}, has_more=more).partition(_AFTER_ITEMS)[2]).split(_GAP)
    for more in (False, True)
}


def _any_of(texts: Iterable[str]) -> str:
    return f"({'|'.join(map(re.escape, texts))})"


# no quote is part of a text that `_is_written_alike` lets pass, so that the next one ends it
_MESSAGE = re.compile(re.escape(_ALL[0][0][0]) + '([^"]*)' + _any_of(_MIDDLES) + '([^"]*)' + _any_of(_ENDS))
_CUTS = 5  # of one message: what stands before it, its id, what stands between that and its text, the text, its end
_SEAMS = frozenset((",", "]["))  # what stands before a message, the first one apart


def print_page(lists: Iterable[bytes], ids: Sequence[str], *, has_more: bool) -> bytes | None:
    """The page of the items of these lists of compact JSON, whose ids are given in the page's order.

    None if they are not just these items, in this order or the reverse, or not all messages of one text.
    """
    packed = b"".join(lists)
    if not ids or not _is_written_alike(packed):
        return None
    cut = _MESSAGE.split(packed.decode())
    if cut[0] != "[" or cut[-1] != "]" or not _SEAMS.issuperset(cut[_CUTS:-1:_CUTS]):
        return None
    known = cut[1::_CUTS]
    step = 1 if known == ids else -1
    if known[::step] != ids:
        return None
    parts = [_BETWEEN] * (_CUTS * len(ids))
    parts[0], parts[1::_CUTS], parts[3::_CUTS] = _BEFORE, ids, cut[3::_CUTS][::step]
    parts[2::_CUTS] = map(_MIDDLES.__getitem__, cut[2::_CUTS][::step])
    parts[4::_CUTS] = map(_ENDS.__getitem__, cut[4::_CUTS][::step])
    before_first, before_last, after = _AFTER[has_more]
    parts += (before_first, ids[0], before_last, ids[-1], after)
    return "".join(parts).encode()


def _is_written_alike(packed: bytes) -> bool:
    """Whether texts stand in a body as they are kept."""
    if not packed.isascii() or b"\x7f" in packed:
        return False
    return b"\\" not in packed or packed.count(b"\\") == packed.count(rb"\n")
