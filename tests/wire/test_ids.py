"""Identifiers: anatomy, partition keys, determinism. Spec: W1, W2, W3."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire import ids
from mockserver.wire.ids import Mint

RECORDED = "resp_05f27bc922c0206f00698a2c6ea05c819192662f062c7b5e79"


def test_W1_partition_of_a_recorded_id() -> None:
    assert ids.partition_of(RECORDED) == "05f27bc922c0206f"
    assert not ids.marked_unstored(RECORDED)
    assert ids.marked_unstored(RECORDED.replace("206f00", "206f01"))


def test_W1_old_form_conversation_names_the_partition_at_its_end() -> None:
    conversation = "conv_68ffe6d9b8f48193a4bfadd3f3d277450ad2d29c24eaf56b"
    assert ids.partition_of_conversation(conversation) == "0ad2d29c24eaf56b"
    assert ids.partition_of(conversation) is None


@given(st.text(max_size=20), st.floats(0, 2**32 - 1), st.sampled_from(sorted(ids.PREFIXES)))
def test_W1_new_form_has_its_anatomy(key: str, now: float, kind: str) -> None:
    mint = Mint(key, now)
    mint.partition = mint.new_partition()
    made = mint.item(kind)
    prefix, _, digits = made.partition("_")
    assert prefix == ids.PREFIXES[kind]
    assert re.fullmatch(r"0[0-9a-f]{15}00[0-9a-f]{8}[0-9a-f]{3}[048c]8191[89ab][0-9a-f]{15}", digits)
    assert int(digits[18:26], 16) == int(now)
    assert ids.partition_of(made) == mint.partition


def test_W1_conversation_id_is_old_form() -> None:
    mint = Mint("k", 1795176000.0)
    made = mint.conversation()
    assert re.fullmatch(r"conv_[0-9a-f]{48}", made)
    assert ids.partition_of_conversation(made).startswith("0")


def test_W2_call_ids_are_24_letters_and_digits() -> None:
    assert re.fullmatch(r"call_[A-Za-z0-9]{24}", Mint("k", 0.0).call())


def test_W3_same_key_same_ids_other_key_other_ids() -> None:
    def drawn(key: str) -> list[str]:
        mint = Mint(key, 5.0)
        return [mint.new_partition(), mint.conversation(), mint.call(), mint.item("message"), mint.item("message")]

    assert drawn("a") == drawn("a")
    assert not set(drawn("a")) & set(drawn("b"))
    assert len(set(drawn("a"))) == 5


@given(st.integers(0, 1000))
def test_drawn_text_has_the_size_asked_for(size: int) -> None:
    assert re.fullmatch(f"[A-Za-z0-9]{{{size}}}", ids.draw("seed", size))
