"""Identifiers: anatomy, partition keys, determinism. Spec: W1, W2, W3."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.responses import ids
from mockserver.wire.responses.ids import IdGenerator

RECORDED = "resp_05f27bc922c0206f00698a2c6ea05c819192662f062c7b5e79"


def test_W1_partition_of_a_recorded_id() -> None:
    assert ids.partition_of(RECORDED) == "05f27bc922c0206f"
    assert not ids.is_marked_unstored(RECORDED)
    assert ids.is_marked_unstored(RECORDED.replace("206f00", "206f01"))


def test_W1_old_form_conversation_names_the_partition_at_its_end() -> None:
    conversation = "conv_68ffe6d9b8f48193a4bfadd3f3d277450ad2d29c24eaf56b"
    assert ids.partition_of_conversation(conversation) == "0ad2d29c24eaf56b"
    assert ids.partition_of(conversation) is None


@given(st.text(max_size=20), st.floats(0, 2**32 - 1), st.sampled_from(sorted(ids.PREFIXES)))
def test_W1_new_form_has_its_anatomy(key: str, now: float, kind: str) -> None:
    id_generator = IdGenerator.at(key, now).in_partition(None)
    made = id_generator.item(kind)
    prefix, _, digits = made.partition("_")
    assert prefix == ids.PREFIXES[kind]
    assert re.fullmatch(r"0[0-9a-f]{15}00[0-9a-f]{8}[0-9a-f]{3}[048c]8191[89ab][0-9a-f]{15}", digits)
    assert int(digits[18:26], 16) == int(now)
    assert ids.partition_of(made) == id_generator.partition


def test_W1_conversation_id_is_old_form() -> None:
    made = IdGenerator.at("k", 1795176000.0).conversation()
    assert re.fullmatch(r"conv_[0-9a-f]{48}", made)
    assert ids.partition_of_conversation(made).startswith("0")


def test_W2_call_ids_are_24_letters_and_digits() -> None:
    assert re.fullmatch(r"call_[A-Za-z0-9]{24}", IdGenerator.at("k", 0.0).call())


def test_W3_same_key_same_ids_other_key_other_ids() -> None:
    def drawn(key: str) -> list[str]:
        id_generator = IdGenerator.at(key, 5.0).in_partition(None)
        items = [id_generator.item("message", number) for number in range(20)]
        return [
            id_generator.partition,
            id_generator.skip(20).conversation(),
            id_generator.call(22),
            id_generator.skip(23).node(),
            *items,
        ]

    assert drawn("a") == drawn("a")
    assert not set(drawn("a")) & set(drawn("b"))
    assert len(set(drawn("a"))) == 24


@given(st.lists(st.integers(0, 40), min_size=1))
def test_W3_an_id_does_not_depend_on_what_was_asked_for_before(numbers: list[int]) -> None:
    id_generator = IdGenerator.at("k", 5.0).in_partition("0123456789abcdef")
    assert [id_generator.new("resp", number) for number in numbers] == [
        id_generator.skip(number).new("resp") for number in numbers
    ]


def test_W1_a_source_of_what_is_not_stored_says_so() -> None:
    source = IdGenerator.at("k", 5.0)
    assert ids.is_marked_unstored(source.in_partition(None, stored=False).new("resp"))
    assert not ids.is_marked_unstored(source.in_partition(None).new("resp"))
    own, given = source.in_partition(None), source.in_partition("0ad2d29c24eaf56b")
    assert own.first == 1, "a partition key of its own is the first thing that a source makes"
    assert (given.first, ids.partition_of(given.new("resp"))) == (0, "0ad2d29c24eaf56b")


def test_a_source_of_ids_does_not_change() -> None:
    id_generator = IdGenerator.at("k", 5.0)
    for name in ("partition", "mark", "first", "key", "other"):
        with pytest.raises(AttributeError):
            setattr(id_generator, name, "00")


@given(st.integers(0, 1000))
def test_drawn_text_has_the_size_asked_for(size: int) -> None:
    assert re.fullmatch(f"[A-Za-z0-9]{{{size}}}", ids.draw("seed", size))


@pytest.mark.parametrize("partition", ["", "0123456789abcdef"])
def test_the_ids_of_a_turn_are_what_their_numbers_give_one_by_one(partition: str) -> None:
    for number in range(64):
        source = IdGenerator.at(f"seed/p/{number}", 1_800_000_000.5)
        there = source.in_partition(partition)
        assert source.message_ids(partition) == (
            there.partition, there.new("msg", 0), there.new("msg", 1), there.new("resp", 2)
        )  # fmt: skip
