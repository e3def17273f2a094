"""The tokenizer against known counts, and against every way to lose a character."""

from __future__ import annotations

import gzip
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiktoken_ext.openai_public as official
from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.tokens import encodings, tokenizer
from mockserver.wire.tokens.encodings import RanksError
from mockserver.wire.tokens.tokenizer import count, count_cl100k, pieces
from tests.support.examples import examples, first_of


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("tiktoken is great!", 6),
        ("antidisestablishmentarianism", 6),
        ("2 + 2 = 4", 7),
        ("お誕生日おめでとう", 8),
        ("", 0),
    ],
)
def test_T1_known_counts(text: str, length: int) -> None:
    assert count(text) == length


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("tiktoken is great!", 6),
        ("antidisestablishmentarianism", 6),
        ("2 + 2 = 4", 7),
        ("お誕生日おめでとう", 9),
        ("", 0),
    ],
)
def test_T1_known_counts_of_the_older_encoding(text: str, length: int) -> None:
    assert count_cl100k(text) == length


def test_T1_the_pattern_is_the_official_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(official, "load_tiktoken_bpe", lambda *_args, **_more: {})
    assert official.o200k_base()["pat_str"] == encodings.O200K_PATTERN
    assert official.cl100k_base()["pat_str"] == encodings.CL100K_PATTERN


def test_T1_special_tokens_are_ordinary_text() -> None:
    assert count("<|endoftext|>") > 1
    assert "".join(pieces("a<|endofprompt|>b")) == "a<|endofprompt|>b"


def test_T1_wrong_ranks_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    package = tmp_path / "__init__.py"
    monkeypatch.setattr(encodings, "find_spec", lambda _name: SimpleNamespace(origin=str(package)))
    with pytest.raises(RanksError, match="can't be read"):
        encodings.read_o200k_ranks()
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "o200k_base.tiktoken.gz").write_bytes(gzip.compress(b"IQ== 0\n"))
    with pytest.raises(RanksError, match="SHA-256"):
        encodings.read_o200k_ranks()
    monkeypatch.setattr(encodings, "find_spec", lambda _name: None)
    with pytest.raises(RanksError, match="not installed"):
        encodings.read_o200k_ranks()


@given(st.text(st.characters(), max_size=60))
@examples(300)
def test_S6_1_pieces_lose_nothing(text: str) -> None:
    assert "".join(pieces(text)) == text
    assert all(pieces(text))
    assert len(pieces(text)) <= count(text) + sum("\ud800" <= one <= "\udfff" for one in text)


def test_S6_1_pieces_are_the_models_tokens() -> None:
    assert pieces('{"city":"Paris"}') == ['{"', "city", '":"', "Paris", '"}']
    family = "👩‍👩‍👧 字🙂"
    assert "".join(pieces(family)) == family


WORDS = st.sampled_from(
    [
        "a",
        " b",
        " the",
        "'s",
        " ",
        "  ",
        "\n",
        " \n",
        "9",
        " 9",
        ",",
        " ,",
        "É",
        " É",
        "\u3042",
        " \u3042",
        "I'LL",
        "\t",
    ]
)


@examples(200)
@given(st.lists(WORDS, max_size=60).map("".join))
def test_T1_a_long_text_is_counted_in_parts(text: str) -> None:
    whole = len(tokenizer._load_encoding().encode_ordinary(text)), len(encodings.load_cl100k().encode_ordinary(text))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(encodings, "_PART", 3)
        patch.setattr(tokenizer, "_SHORT", 0)
        assert (count(text), count_cl100k(text)) == whole
        assert "".join(encodings._parts_of(text)) == text


def test_T1_words_are_parts() -> None:
    text = "pebble " * 100_000
    assert len(encodings._parts_of(text)) == 3
    assert count(text) == len(tokenizer._load_encoding().encode_ordinary(text))


def test_lone_surrogates_are_kept() -> None:
    assert pieces("a\ud800b") == ["a", "\ud800", "b"]
    assert count("a\ud800b") > 0


@pytest.mark.parametrize("one", first_of([" ", "\n", "a", "^", "字"]))
def test_a_million_times_the_same_character(one: str) -> None:
    text = f"x{one * 1_000_000}y"
    assert count(text) > 0
    assert "".join(pieces(text)) == text
