"""Values to bytes: JSON bodies are indented by two and ASCII-escaped, events are compact raw UTF-8.

orjson does the work (19–35 times faster than the standard library); the standard library steps in for what orjson
refuses or renders differently: very deep values, integers beyond 64 bits, floats with an exponent.
"""

# Why two forms: bodies are what Python's `json.dumps(indent=2)` writes, escapes and floats included (89 of 92
# recorded bodies have just that length), events are compact raw UTF-8. orjson agrees with Python on nearly
# everything; where it doesn't (an exponent, DEL, integers beyond 64 bits), the standard library renders the whole
# body again.

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from io import BytesIO
from math import isfinite
from typing import Any

import orjson

# Python gives an exponent to numbers outside: 2.5e-06, 1e-05 and 1e+16, where orjson writes 2.5e-6, 0.00001 and 1e16
# (Spec: W6). They are looked for in the value, for its text may be long and its values few.
_PLAIN_FROM, _PLAIN_TO = 1e-4, 1e16
_NOT_PRINTABLE_ASCII = re.compile("[^\x00-\x7e]+")


def _escape(match: re.Match[str]) -> str:
    return json.dumps(match.group())[1:-1]


def json_body(value: Any, numbers: Any = None) -> bytes:
    """Render a JSON body as the service does: indent 2, non-ASCII escaped, no final newline. Spec: W4, W5.

    `numbers` is a part of the value, given where all other numbers in it are known to be whole: only it is read through
    for those that orjson writes in another way.
    """
    try:
        body = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    except TypeError:
        return json.dumps(value, indent=2).encode()
    if _has_exponent(value if numbers is None else numbers):
        return json.dumps(value, indent=2).encode()
    if not body.isascii() or b"\x7f" in body:
        # escaped as UTF-16 units, DEL too, as Python does
        return _NOT_PRINTABLE_ASCII.sub(_escape, body.decode()).encode()
    return without_spare(body)


def _has_exponent(value: Any) -> bool:
    """Whether Python writes a number in a value with an exponent."""
    rest: list[Iterable[Any]] = [(value,)]
    while rest:
        for one in rest.pop():
            if type(one) in _WRITTEN_ALIKE:  # as nearly all
                continue
            if isinstance(one, dict):
                rest.append(one.values())
            elif isinstance(one, (list, tuple)):  # `list | tuple` would be made anew each time
                rest.append(one)
            elif isinstance(one, float) and one and isfinite(one) and not _PLAIN_FROM <= abs(one) < _PLAIN_TO:
                return True
    return False


_WRITTEN_ALIKE = frozenset((str, int, bool, type(None)))


def json_body_in_parts(value: Any) -> bytes:
    """Render the same JSON body, a listing one item after the other, so that other threads have their turn between.

    The encoder holds the interpreter's lock until it is done, and so would joining all pieces at once.
    """
    items = value.get("data") if isinstance(value, dict) else None
    if not isinstance(items, list) or not items:
        return json_body(value)
    before, _, after = json_body({**value, "data": []}).partition(_NO_ITEMS)  # no text has a line break of its own
    first, last = len(_FIRST), -len(_LAST)
    body = BytesIO()  # hands out what was written without copying it
    body.write(before)
    separator = _FIRST[len(b"{") :]
    for item in items:
        body.write(separator)
        body.write(memoryview(json_body({"data": [item]}))[first:last])
        separator = b","
    body.write(_LAST[: -len(b"\n}")])
    body.write(after)
    return body.getvalue()


_NO_ITEMS, _FIRST, _LAST = b'\n  "data": []', b'{\n  "data": [', b"\n  ]\n}"


def encode_compact(value: Any) -> bytes:
    """Encode what is kept for long: as compact as it gets."""
    return without_spare(orjson.dumps(value))


def without_spare(encoded: bytes) -> bytes:
    """The same bytes in no more room than they need.

    orjson hands out its work buffer, of 4 KB at least and several times the size of what it holds; what is kept must
    not keep that.
    """
    return b"%b" % encoded


def json_compact(value: Any) -> bytes:
    """Render one line of compact JSON with raw UTF-8, as events carry it. Spec: S1, W6."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
