"""The tokenizer, offline and soon ready: how long a text is for the model, and which pieces it is streamed in.

Nearly all models count with o200k_base, with which everything is streamed; gpt-4 and gpt-3.5 with cl100k_base. Here
texts are counted in 8 MB by byte pair encoding over a compact index of the rank file, until there is too much of them:
then `tiktoken` takes over (`encodings`), with the same tokens. A server that is to answer at once calls `prepare()`
first and `load()` in another thread a little later. Spec: T1.
"""

# Why not tiktoken from the beginning. It holds the 200,000 ranks three times, 43 MB for good and 80 MB while it
# loads, and takes 0.3 s for that. Most processes (a test run, a mock that waits) count a few thousand different words.
# So a text is cut with the same pattern, each piece is merged as tiktoken merges it, and the tokens of a piece are
# remembered: a text of known pieces costs what it costs with tiktoken. New pieces cost ten times as much. When their
# merging has cost about as much as loading tiktoken would, or when a text or piece is long, tiktoken takes over.
#
# Why short texts are cached: names, roles and frames come again in every request, and a test's texts do too.
#
# How a rank is found. At first by searching the file, whose lines are `base64 rank` in the order of their ranks: that
# takes up to a millisecond, and no preparation before a server's first answer. After a few hundred searches, or when
# `build_index` is called, from a hash table of chains: `heads` has the first rank of each bucket, `chain` the rank
# that follows a rank in its bucket, `offsets` where a rank's token lies in `tokens`.
#
# How a text is cut. The pattern asks for Unicode classes, which `re` lacks; so each character beyond ASCII becomes a
# code for its class first. Which class a new character has depends on the version of Unicode: those that this Python
# does not know, and the long s, which the pattern takes for an s, are left to tiktoken.

from __future__ import annotations

import re
import unicodedata
from array import array
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import cache, lru_cache
from itertools import accumulate, chain, pairwise
from typing import TYPE_CHECKING
from zlib import crc32

from mockserver.wire.tokens.encodings import count_with, encode, load_cl100k, load_o200k, read_o200k_ranks

if TYPE_CHECKING:
    from tiktoken import Encoding

_SHORT = 256
_SURROGATES = re.compile("([\ud800-\udfff]+)")
LONGEST_TEXT = 65536  # longer ones are better counted without the interpreter's lock, as tiktoken does
LONGEST_PIECE = 256  # merging is quadratic here
MOST_MERGES = 200_000  # look-ups that cost about as much as tiktoken's load
_MOST_SEARCHES = 200  # about as long as building the index takes
_MOST_PIECES = 16384  # in memory, about 3 MB
_NO_RANK = 0xFFFFFFFF
_BUCKETS = 1 << 18

# A character's class as a code. M belongs to words, but is not `\p{L}`; Lm and Lo are taken for upper and lower case.
_UPPER, _LOWER, _CASELESS, _MARK, _NUMBER, _SPACE, _OTHER = "\x80\x81\x82\x83\x84\x85\x86"
_UNKNOWN = "\xff"
_CODES = {
    "Lu": _UPPER,
    "Lt": _UPPER,
    "Ll": _LOWER,
    "Lm": _CASELESS,
    "Lo": _CASELESS,
    "Cn": _UNKNOWN,
    "Cs": _UNKNOWN,
    **dict.fromkeys(("Mn", "Mc", "Me"), _MARK),
    **dict.fromkeys(("Nd", "Nl", "No"), _NUMBER),
    **dict.fromkeys(("Zs", "Zl", "Zp"), _SPACE),
}
_SPECIAL_CODES = {"\x85": _SPACE, "\u017f": _UNKNOWN}
_UPPERS = rf"[A-Z{_UPPER}{_CASELESS}{_MARK}]"
_LOWERS = rf"[a-z{_LOWER}{_CASELESS}{_MARK}]"
_WORD = rf"A-Za-z0-9{_UPPER}{_LOWER}{_CASELESS}{_NUMBER}"  # \p{L}\p{N}
_BLANK = rf"\t\n\x0b\x0c\r {_SPACE}"  # spelt out, for Python's \s has four control characters more
_CONTRACTION = r"(?:'(?i:[stmd]|re|ve|ll))?"
_SIGNS_AND_BLANKS = (
    rf" ?[^{_BLANK}{_WORD}]+[\r\n/]*",
    rf"[{_BLANK}]*[\r\n]+",
    rf"[{_BLANK}]+(?![^{_BLANK}])",
    rf"[{_BLANK}]+",
)
# `encodings.O200K_PATTERN` for texts of codes
_PATTERN = "|".join(
    (
        rf"[^\r\n{_WORD}]?{_UPPERS}*{_LOWERS}+{_CONTRACTION}",
        rf"[^\r\n{_WORD}]?{_UPPERS}+{_LOWERS}*{_CONTRACTION}",
        rf"[0-9{_NUMBER}]{{1,3}}",
        *_SIGNS_AND_BLANKS,
    )
)
# and for ASCII, where no character has both cases or is a mark: its first two alternatives are one, without a way back
_ASCII_PATTERN = re.compile(
    "|".join(
        (
            rf"[^\r\nA-Za-z0-9]?(?:[A-Z]*+[a-z]++|[A-Z]++){_CONTRACTION}",
            r"[0-9]{1,3}",
            *_SIGNS_AND_BLANKS,
        )
    )
)
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")


_light: LightTokenizer | None = None
_encoding: Encoding | None = None  # once there were texts that are too much for the light one, which is forgotten then


def prepare() -> None:
    """Read and check the ranks, so that texts can be counted; raises RanksError."""
    global _light
    if _light is None and _encoding is None:
        _light = LightTokenizer(read_o200k_ranks())


def load() -> None:
    """Get ready for many texts, which takes 0.1 s; raises RanksError."""
    prepare()
    if light := _light:  # another thread may be setting it to None
        light.build_index()


def _load_encoding() -> Encoding:
    global _light, _encoding
    if _encoding is None:
        _encoding = load_o200k()
        _light = None
    return _encoding


def count(text: str) -> int:
    """The number of tokens of a text; the text of special tokens is ordinary text. Spec: T1."""
    return _count_short(text) if len(text) <= _SHORT else _count(text)


def _count(text: str) -> int:
    prepare()
    if light := _light:
        with suppress(TooMuchWorkError):
            return light.count(text)
    return count_with(_load_encoding(), text)


_count_short = lru_cache(maxsize=2048)(_count)


def count_cl100k(text: str) -> int:
    """The number of tokens of a text for gpt-4 and gpt-3.5. Spec: T1."""
    return count_with(load_cl100k(), text)


def pieces(text: str) -> list[str]:
    """A text as the model's tokens, in order and complete; tokens inside one character are joined. Spec: S6.1.

    A lone surrogate, which has no token, comes out in a piece of its own.
    """
    return list(_short_pieces(text)) if len(text) <= _SHORT else _all_pieces(text)


def _all_pieces(text: str) -> list[str]:
    found: list[str] = []
    for number, part in enumerate(_SURROGATES.split(text)):
        if number % 2:
            found.append(part)
        elif part:
            found.extend(_pieces(part))
    return found


@lru_cache(maxsize=512)
def _short_pieces(text: str) -> tuple[str, ...]:
    return tuple(_all_pieces(text))


def _pieces(text: str) -> Iterable[str]:
    prepare()
    if light := _light:
        with suppress(TooMuchWorkError):
            return light.pieces(text)
    encoding = _load_encoding()
    tokens = encoding.decode_tokens_bytes(encode(encoding, text))
    return [token.decode("ascii") for token in tokens] if text.isascii() else join_characters(tokens)


# --- Byte pair encoding -----------------------------------------------------------------------------------------------


class TooMuchWorkError(Exception):
    """A text is for tiktoken, which is faster where the tokens of a piece are not known yet."""


class LightTokenizer:
    """A tokenizer over the content of a rank file whose lines stand in the order of their ranks."""

    def __init__(self, content: bytes) -> None:
        self._ranks = _Ranks(content)
        self._tokens = _KnownPieces(self._merge)
        self._merges = 0

    def build_index(self) -> None:
        """Prepare for many texts, which takes 0.1 s."""
        self._ranks.build_index()

    def count(self, text: str) -> int:
        """The number of tokens of a text; raises TooMuchWorkError."""
        return sum(map(len, map(self._tokens.__getitem__, _cut(text))))

    def pieces(self, text: str) -> list[str]:
        """A text as its tokens, those inside one character joined; raises TooMuchWorkError. Spec: S6.1."""
        pieces = _cut(text)
        if text.isascii():
            return list(chain.from_iterable(map(self._tokens.__getitem__, pieces)))
        return [part for piece in pieces for part in join_characters(map(_as_bytes, self._tokens[piece]))]

    def _merge(self, piece: str) -> tuple[str, ...]:
        """The tokens of a piece, each byte as a character: what is ASCII is text then."""
        find_rank, token = self._ranks.find, piece.encode()
        if find_rank(token) is not None:
            return (token.decode("latin-1"),)
        if len(piece) > LONGEST_PIECE or self._merges > MOST_MERGES:
            raise TooMuchWorkError
        # The pair of the lowest rank is merged first, the leftmost of equals.
        parts = [token[index : index + 1] for index in range(len(token))]
        ranks = [_NO_RANK if (rank := find_rank(left + right)) is None else rank for left, right in pairwise(parts)]
        self._merges += len(parts)
        while ranks and (lowest := min(ranks)) != _NO_RANK:
            self._merges += 2
            index = ranks.index(lowest)
            parts[index : index + 2] = [parts[index] + parts[index + 1]]
            del ranks[index]
            for pair in (index - 1, index):
                if 0 <= pair < len(ranks):
                    rank = find_rank(parts[pair] + parts[pair + 1])
                    ranks[pair] = _NO_RANK if rank is None else rank
        return tuple([part.decode("latin-1") for part in parts])


class _KnownPieces(dict[str, tuple[str, ...]]):
    """The tokens of each piece that was seen lately."""

    def __init__(self, merge: Callable[[str], tuple[str, ...]]) -> None:
        self._merge = merge

    def __missing__(self, piece: str) -> tuple[str, ...]:
        tokens = self._merge(piece)
        if len(self) >= _MOST_PIECES:
            self.clear()
        self[piece] = tokens
        return tokens


class _Ranks:
    """The rank of each token: searched in the file at first, then looked up in an index."""

    def __init__(self, content: bytes) -> None:
        self._content = b"\n" + content
        self._found: dict[bytes, int | None] = {}
        self._index: tuple[array[int], array[int], array[int], bytes] | None = None

    def find(self, token: bytes) -> int | None:
        """The rank of a token, None where there is no such token."""
        index = self._index
        if index is None:
            return self._search(token)
        heads, chain, offsets, tokens = index
        rank = heads[crc32(token) % _BUCKETS]
        while rank != _NO_RANK:
            if tokens[offsets[rank] : offsets[rank + 1]] == token:
                return rank
            rank = chain[rank]
        return None

    def _search(self, token: bytes) -> int | None:
        found, content = self._found, self._content
        if token not in found:
            if len(found) >= _MOST_SEARCHES:
                self.build_index()
            if self._index is not None:  # built here or by another thread, which may have taken the content away
                return self.find(token)
            line = b"\n%b " % b2a_base64(token, newline=False)
            start = content.find(line)
            end = content.find(b"\n", start + 1)
            found[token] = None if start < 0 else int(content[start + len(line) : end])
        return found[token]

    def build_index(self) -> None:
        """Make the index, in place of the file's content."""
        content = self._content
        if self._index is not None:
            return
        tokens = list(map(a2b_base64, content.split()[::2]))
        heads, chain = array("I", [_NO_RANK]) * _BUCKETS, array("I", [_NO_RANK]) * len(tokens)
        for rank, bucket in enumerate([crc32(token) % _BUCKETS for token in tokens]):
            chain[rank], heads[bucket] = heads[bucket], rank
        offsets = array("I", accumulate(map(len, tokens), initial=0))
        self._index = heads, chain, offsets, b"".join(tokens)
        self._content, self._found = b"", {}


def _cut(text: str) -> list[str]:
    if len(text) > LONGEST_TEXT:
        raise TooMuchWorkError
    if text.isascii():
        return _ASCII_PATTERN.findall(text)
    table = _Codes()
    codes = _BEYOND_ASCII.sub(lambda match: match[0].translate(table), text)
    if _UNKNOWN in codes:
        raise TooMuchWorkError
    ends = [*accumulate(map(len, _compile_pattern().findall(codes)))]
    return list(map(text.__getitem__, map(slice, chain((0,), ends), ends)))


@cache
def _compile_pattern() -> re.Pattern[str]:
    """The pattern for texts beyond ASCII, with the first of them: it takes as long as a few modules to import."""
    return re.compile(_PATTERN)


class _Codes(dict[int, str]):
    """For `str.translate`: the code of each character's class."""

    def __missing__(self, point: int) -> str:
        character = chr(point)
        code = _SPECIAL_CODES.get(character) or _CODES.get(unicodedata.category(character), _OTHER)
        self[point] = code
        return code


def _as_bytes(token: str) -> bytes:
    return token.encode("latin-1")


def join_characters(tokens: Iterable[bytes]) -> Iterator[str]:
    """Tokens as text: those that end inside a character are joined with what follows. Spec: S6.1."""
    open_bytes = b""
    for token in tokens:
        open_bytes += token
        try:
            yield open_bytes.decode()
        except UnicodeDecodeError:
            continue
        open_bytes = b""
