"""Bytes of JSON bodies and events. Spec: W4, W5, W6, S1."""

from __future__ import annotations

import json
from math import nextafter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.responses.encoding import json_body, json_body_in_parts, json_compact

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=("Cs",))), inner),
)  # fmt: skip


@given(VALUES)
def test_W4_bodies_are_pythons_json_with_indent_2(value: object) -> None:
    assert json_body(value) == json.dumps(value, indent=2).encode()


@given(VALUES, st.lists(VALUES), VALUES)
def test_W4_a_listing_has_the_same_bytes_an_item_at_a_time(before: object, data: list[object], after: object) -> None:
    for value in ({"a": before, "data": data, "z": after}, {"data": data}, {"a": {"data": []}, "data": data}, data):
        assert json_body_in_parts(value) == json_body(value)


@given(VALUES)
def test_W6_events_are_compact_raw_utf_8(value: object) -> None:
    line = json_compact(value)
    assert json.loads(line) == value
    assert b"\n" not in line


def test_W6_floats_and_text_as_recorded() -> None:
    assert json_body({"a": 2.5e-06, "b": 1.0}) == b'{\n  "a": 2.5e-06,\n  "b": 1.0\n}'
    assert json_body("é😀") == b'"\\u00e9\\ud83d\\ude00"'
    assert json_compact({"a": "é"}) == '{"a":"é"}'.encode()


@pytest.mark.parametrize(
    "number", [1e-5, nextafter(1e-4, 0), 1e-4, nextafter(1e16, 0), 1e16, 5e-324, 1.7e308, 0.0, 9**17]
)
@pytest.mark.parametrize("sign", [1, -1])
def test_W6_numbers_have_an_exponent_where_python_gives_one(number: float, sign: int) -> None:
    value = {"whole": 10**15, "text": "1e-5", "deep": [{"number": sign * number}]}
    expected = json.dumps(value, indent=2).encode()
    assert json_body(value) == json_body(value, value["deep"]) == expected


def test_values_deeper_than_orjson_goes() -> None:
    value: list[object] = []
    for _ in range(400):
        value = [value]
    assert json_body(value) == json.dumps(value, indent=2).encode()
    assert json.loads(json_compact(value)) == value
