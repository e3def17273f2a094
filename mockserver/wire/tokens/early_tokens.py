"""Tokens of short ASCII texts, looked up in the rank file itself: for a server's first moments.

To build tiktoken's encoding out of 200,000 ranks takes 0.2 s, a third of the time from start to first answer, and holds
the interpreter's lock. The first answers need a few short texts. Their pieces stand in the file as they are (a line is
`base64 rank`), so a search finds the rank of a piece in a millisecond or less. Byte pair merging as tiktoken does it
(the pair of lowest rank first, the leftmost of equals) then gives the same tokens.

ASCII only: there, the classes of the pattern are a few ranges. Which other characters are letters depends on the
version of Unicode that a regex engine knows, and a text must have the same tokens before and after the load.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from itertools import pairwise

LONGEST = 256
# `tokens.PATTERN` for ASCII; \s is spelt out, for Python's has four control characters more than tiktoken's
_SPACE = r"\t\n\x0b\x0c\r "
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
_PATTERN = re.compile(
    "|".join(
        (
            rf"[^\r\nA-Za-z0-9]?[A-Z]*[a-z]+{_CONTRACTION}",
            rf"[^\r\nA-Za-z0-9]?[A-Z]+[a-z]*{_CONTRACTION}",
            r"[0-9]{1,3}",
            rf" ?[^{_SPACE}A-Za-z0-9]+[\r\n/]*",
            rf"[{_SPACE}]*[\r\n]+",
            rf"[{_SPACE}]+(?![^{_SPACE}])",
            rf"[{_SPACE}]+",
        )
    )
)


class EarlyTokens:
    """A tokenizer over the rank file's content."""

    def __init__(self, ranks: bytes) -> None:
        self.ranks = b"\n" + ranks
        self._known: dict[bytes, int | None] = {}

    def encode(self, text: str) -> list[bytes]:
        """The tokens of an ASCII text, as bytes."""
        return [token for piece in _PATTERN.findall(text) for token in self._merge(piece.encode())]

    def _merge(self, piece: bytes) -> list[bytes]:
        if self._rank(piece) is not None:
            return [piece]
        parts = [piece[index : index + 1] for index in range(len(piece))]
        while True:
            ranks = [(self._rank(left + right), index) for index, (left, right) in enumerate(pairwise(parts))]
            found = [(rank, index) for rank, index in ranks if rank is not None]
            if not found:
                return parts
            _, index = min(found)
            parts[index : index + 2] = [parts[index] + parts[index + 1]]

    def _rank(self, token: bytes) -> int | None:
        if token not in self._known:
            line = b"\n%b " % b2a_base64(token, newline=False)
            start = self.ranks.find(line)
            end = self.ranks.find(b"\n", start + 1)
            self._known[token] = None if start < 0 else int(self.ranks[start + len(line) : end])
        return self._known[token]
