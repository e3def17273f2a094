"""Templates: pieces of a text, and the values between them."""

from __future__ import annotations

import pytest

from mockserver.wire.responses.text_template import TextTemplate


@pytest.mark.parametrize(
    ("pieces", "names", "written"),
    [
        (("all of it",), (), "all of it"),
        (("a ", " b"), ("x",), "a 100 % b"),
        (("", " and %(x)s ", ", ", ""), ("y", "x", "y"), "ü and %(x)s 100 %, ü"),
    ],
)
def test_gaps_are_filled_by_name(pieces: tuple[str, ...], names: tuple[str, ...], written: str) -> None:
    template = TextTemplate(pieces, names)
    for _ in range(2):
        assert template.fill({"x": "100 %", "y": "ü", "z": "never asked for"}) == written.encode()
