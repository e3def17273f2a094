"""Tokens before the encoding is loaded: the same ones, without it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NoReturn

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mockserver.wire.tokens import tokenizer
from mockserver.wire.tokens.early_tokens import LONGEST, EarlyTokens


@pytest.fixture(scope="module")
def early() -> EarlyTokens:
    return EarlyTokens(tokenizer._rank_file("o200k_base", tokenizer.RANKS_SHA256))


ASCII = st.text(st.characters(max_codepoint=127), max_size=30)
WORDS = st.lists(
    st.sampled_from(("it's", "I'LL", " Weather", "understudy", "\r\n", "  ", "12345", "/*", "XMLHttp", "\x1c"))
)


@given(text=ASCII | WORDS.map("".join))
@settings(max_examples=400, deadline=None)
def test_T1_every_ascii_text_has_the_tokens_of_the_encoding(early: EarlyTokens, text: str) -> None:
    encoding = tokenizer.load()
    assert early.encode(text) == encoding.decode_tokens_bytes(encoding.encode_ordinary(text))


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch, early: EarlyTokens) -> Iterator[None]:
    """The moment after `prepare`: the encoding is not there."""

    def load() -> NoReturn:
        raise LookupError("the encoding is asked for")

    tokenizer._count_short.cache_clear()
    with monkeypatch.context() as patch:
        patch.setattr(tokenizer, "_early", early)
        patch.setattr(tokenizer, "load", load)
        yield


@pytest.mark.usefixtures("unloaded")
def test_short_ascii_texts_do_not_wait_for_the_encoding() -> None:
    assert tokenizer.count("tiktoken is great!") == 6
    assert tokenizer.pieces("2 + 2 = 4") == ["2", " +", " ", "2", " =", " ", "4"]


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("text", ["é", "a" * (LONGEST + 1)])
def test_other_texts_do(text: str) -> None:
    with pytest.raises(LookupError):
        tokenizer.count(text)
    with pytest.raises(LookupError):
        tokenizer.pieces(text)


def test_nothing_is_early_once_the_encoding_is_there() -> None:
    tokenizer.load()
    tokenizer.prepare()
    assert tokenizer._early is None
