"""Draws: the same key, the same number."""

from __future__ import annotations

from mockserver.model.seeded_random import choose, draw


def test_draws_repeat_and_spread() -> None:
    assert draw("a", 1000) == draw("a", 1000)
    assert {draw(str(n), 5) for n in range(100)} == set(range(5))
    assert choose("a", ["x"]) == "x"
    assert draw("\ud800", 3) in range(3)
