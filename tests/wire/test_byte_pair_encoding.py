"""The light tokenizer has the tokens of tiktoken, or leaves a text to it."""

from __future__ import annotations

import base64
import sys
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tiktoken import Encoding

from mockserver.wire.tokens import encodings, tokenizer
from mockserver.wire.tokens.tokenizer import LONGEST_PIECE, LONGEST_TEXT, LightTokenizer, TooMuchWorkError
from tests.support.examples import examples


@pytest.fixture(scope="module")
def content() -> bytes:
    return encodings.read_o200k_ranks()


@pytest.fixture(scope="module")
def light(content: bytes) -> Iterator[LightTokenizer]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokenizer, "MOST_MERGES", sys.maxsize)
        light = LightTokenizer(content)
        light.build_index()
        yield light


@pytest.fixture(scope="module")
def tiktoken() -> Encoding:
    return encodings.load_o200k()


@pytest.fixture
def unloaded(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A process that has counted nothing yet."""
    monkeypatch.setattr(tokenizer, "_light", None)
    monkeypatch.setattr(tokenizer, "_encoding", None)
    tokenizer._count_short.cache_clear()
    return monkeypatch


ASSIGNED = st.characters(exclude_categories=["Cn", "Cs"])
WORDS = (
    *("it's", "I'LL", " Weather", "understudy", "\r\n", "  ", "12345", "/*", "XMLHttp", "\x1c", "\x85", "\u2003"),
    *(" naïve", "İstanbul", "ΌΣΟΣ", "お誕生日", "한국어", "हिन्दी", "e\u0301", "ǅ", "Ⅷ", "٣٤٥٦", "—", "🙂"),
    *("“”", "👩‍👩‍👧", "\n /"),
)
TEXTS = st.text(ASSIGNED, max_size=60) | st.lists(st.sampled_from(WORDS) | ASSIGNED, max_size=12).map("".join)

NEW_WORDS = " ".join(f"{first}{second}{third}q" for first in "qxzjvkwb" for second in "xzjv" for third in "vjxkz")


@given(text=TEXTS)
@examples(600)
def test_T1_every_text_has_the_tokens_of_tiktoken(light: LightTokenizer, tiktoken: Encoding, text: str) -> None:
    if "ſ" in text:
        return
    tokens = tiktoken.decode_tokens_bytes(tiktoken.encode_ordinary(text))
    assert light.count(text) == len(tokens)
    assert light.pieces(text) == [*tokenizer.join_characters(tokens)]


@given(data=st.binary(max_size=300))
@examples(200)
def test_T1_so_has_base64(light: LightTokenizer, tiktoken: Encoding, data: bytes) -> None:
    text = base64.b64encode(data).decode()
    try:
        assert light.count(text) == len(tiktoken.encode_ordinary(text))
    except TooMuchWorkError:
        assert max(map(len, text.split("/"))) > LONGEST_PIECE


@pytest.mark.parametrize("name", ["README.md", "mockserver/wire/tokens/tokenizer.py", "mockserver/wire/models.json"])
def test_T1_so_have_prose_code_and_data(light: LightTokenizer, tiktoken: Encoding, name: str) -> None:
    text = (Path(__file__).parents[2] / name).read_text()[:LONGEST_TEXT]
    assert light.count(text) == len(tiktoken.encode_ordinary(text))


def is_known(point: int) -> bool:
    return unicodedata.category(chr(point)) not in ("Cn", "Cs", "Co") and chr(point) != "ſ"


def compare_characters(light: LightTokenizer, tiktoken: Encoding, points: range) -> int:
    """Count every character of a range in places that tell classes apart; returns how many there are."""
    characters = [chr(point) for point in points if is_known(point)]
    for one in characters:
        text = f"a{one}b {one}X{one}'s{one}1{one}{one}\n{one} {one}{one} 12{one}4!{one}\n {one}'{one}S"
        assert light.count(text) == len(tiktoken.encode_ordinary(text)), f"U+{ord(one):04X}"
    return len(characters)


def test_T1_characters_have_the_classes_of_tiktoken(light: LightTokenizer, tiktoken: Encoding) -> None:
    assert compare_characters(light, tiktoken, range(0x600)) > 1_000
    assert compare_characters(light, tiktoken, range(0x600, sys.maxunicode, 97)) > 1_000


@pytest.mark.slow
def test_T1_every_character_does(light: LightTokenizer, tiktoken: Encoding) -> None:
    assert compare_characters(light, tiktoken, range(0x600, sys.maxunicode)) > 120_000


@pytest.mark.parametrize("text", ["a" * (LONGEST_PIECE + 1), "a " * LONGEST_TEXT, "ſ", "\ud800", "\U0002fe00"])
def test_what_it_leaves_to_tiktoken(light: LightTokenizer, text: str) -> None:
    with pytest.raises(TooMuchWorkError):
        light.count(text)
    with pytest.raises(TooMuchWorkError):
        light.pieces(text)


def test_T1_ranks_are_searched_before_there_is_an_index(content: bytes) -> None:
    light = LightTokenizer(content)
    assert light.count("tiktoken is great!") == 6
    assert light.pieces("2 + 2 = 4") == ["2", " +", " ", "2", " =", " ", "4"]
    assert light._ranks._index is None


def test_T1_the_index_is_built_after_many_searches(content: bytes, tiktoken: Encoding) -> None:
    light = LightTokenizer(content)
    assert light.count(NEW_WORDS) == len(tiktoken.encode_ordinary(NEW_WORDS))
    assert light._ranks._index is not None
    light.build_index()
    assert light._ranks._content == b""


def test_pieces_are_forgotten_when_they_are_many(
    light: LightTokenizer, tiktoken: Encoding, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer, "_MOST_PIECES", 3)
    text = "one two three four five six seven"
    assert light.count(text) == len(tiktoken.encode_ordinary(text))
    assert len(light._tokens) <= 3


def test_tiktoken_takes_over_once_merging_has_cost_as_much(unloaded: pytest.MonkeyPatch) -> None:
    unloaded.setattr(tokenizer, "MOST_MERGES", 50)
    assert tokenizer.count("ping") == 1
    assert tokenizer._encoding is None
    before, pieces = tokenizer.count(NEW_WORDS), tokenizer.pieces(NEW_WORDS)
    assert tokenizer._light is None
    assert (tokenizer.count(NEW_WORDS), tokenizer.pieces(NEW_WORDS)) == (before, pieces)
    assert before == len(pieces)


def test_a_process_loads_once(unloaded: pytest.MonkeyPatch) -> None:
    tokenizer.load()
    light = tokenizer._light
    tokenizer.load()
    assert tokenizer._light is light
    encoding = tokenizer._load_encoding()
    tokenizer.load()
    assert tokenizer._light is None
    assert tokenizer._load_encoding() is encoding
