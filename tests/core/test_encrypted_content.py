"""Encrypted content: shape, round trip, tampering. Spec: W2, R1.42, R5.10, E57."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from mockserver.core.encrypted_content import decrypt, encrypt

KEY = b"k" * 32
NOW = 1_795_176_000.0


@given(st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), st.integers(0, 2**40)))
def test_what_was_sealed_comes_out_again(payload: dict[str, int]) -> None:
    assert decrypt(encrypt(payload, KEY, "rs_1", NOW), KEY) == payload


def test_W2_shape() -> None:
    blob = encrypt({"tokens": 5}, KEY, "rs_1", NOW)
    assert blob.startswith("gAAAAAB")
    assert int.from_bytes(base64.urlsafe_b64decode(blob)[1:9]) == int(NOW)


@given(st.data())
def test_E57_one_changed_character_is_noticed(data: st.DataObject) -> None:
    blob = encrypt({"tokens": 5}, KEY, "rs_1", NOW)
    at = data.draw(st.integers(0, len(blob) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != blob[at]))
    changed = blob[:at] + other + blob[at + 1 :]
    assert decrypt(changed, KEY) is None


@given(st.text())
def test_E57_foreign_content_is_noticed(text: str) -> None:
    assert decrypt(text, KEY) is None
    assert decrypt(encrypt({}, b"o" * 32, "rs_1", NOW), KEY) is None


def test_R15_6_the_same_seed_gives_the_same_blob() -> None:
    assert encrypt({"a": 1}, KEY, "rs_1", NOW) == encrypt({"a": 1}, KEY, "rs_1", NOW)
    assert encrypt({"a": 1}, KEY, "rs_1", NOW) != encrypt({"a": 1}, KEY, "rs_2", NOW)
