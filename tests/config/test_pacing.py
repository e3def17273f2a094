"""Pacing, from text and from Python values."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.config.pacing import Pacing, make_pacing, parse_pacing


@pytest.mark.parametrize(
    ("text", "pacing"),
    [
        ("0", Pacing()),
        ("0.3", Pacing(0.3)),
        ("0.3:60", Pacing(0.3, 60.0)),
        ("1:", Pacing(1.0)),
        ("0:1e3", Pacing(0, 1000)),
    ],
)
def test_text(text: str, pacing: Pacing) -> None:
    assert parse_pacing(text) == pacing


@pytest.mark.parametrize(
    "text", ["", ":", ":60", "a", "1:b", "-1", "1:-1", "nan", "1:nan", "inf", "1e6", "0:1e9", "1:2:3"]
)
def test_text_that_is_none(text: str) -> None:
    with pytest.raises(ValueError):
        parse_pacing(text)


@pytest.mark.parametrize("value", [Pacing(0.3, 60), (0.3, 60), [0.3, 60.0]])
def test_values(value: Any) -> None:
    assert make_pacing(value) == Pacing(0.3, 60.0)


@pytest.mark.parametrize("value", [(), (1, 2, 3), True, (True, 1), "1", None, -1, Pacing(-1), Pacing(0, float("inf"))])
def test_values_that_are_none(value: Any) -> None:
    with pytest.raises(ValueError):
        make_pacing(value)


def test_instant_is_no_time_at_all() -> None:
    assert Pacing().instant
    assert not Pacing(0.1).instant and not Pacing(0, 1).instant
