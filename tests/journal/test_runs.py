"""Long runs of letters in a body are found a block at a time, as one search would find them."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mockserver.journal.exchange import LONGEST, find_runs, keep_body
from tests.support.examples import examples

LETTERS = b"abc-"
PIECE = st.sampled_from([b"a", b"b-", b"abcabcab", b"c" * 13, b" ", b'"', b"'x", b","])


def search(written: bytes, least: int) -> list[tuple[int, int]]:
    return [match.span() for match in re.finditer(rb"(?<![abc-])[abc-]{%d,}" % least, written)]


@examples(300)
@given(st.lists(PIECE, max_size=40).map(b"".join), st.integers(4, 20))
def test_the_runs_are_those_of_one_search(written: bytes, least: int) -> None:
    assert list(find_runs(written, least, LETTERS)) == search(written, least)


def test_a_long_part_stands_between_quotes() -> None:
    part = b"A" * (LONGEST + 1)
    for before, after, is_kept in ((b'"', b'"', False), (b"'", b"'", False), (b",", b'"', False), (b" ", b'"', True)):
        kept, _ = keep_body(b"{" + before + part + after + b"}")
        assert (str(len(part)) not in kept) is is_kept
    assert f"[{len(part)} bytes" not in keep_body(b'{"' + part)[0], "it has no end"
