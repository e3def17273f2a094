"""A project's clock as a value."""

from __future__ import annotations

from mockserver.core.state import Clock


def test_a_running_clock_follows_the_system() -> None:
    assert Clock().mode == "system"
    assert Clock().reading(100.0) == 100.0


def test_an_advanced_clock_goes_on_running() -> None:
    moved = Clock().advance(50)
    assert moved.mode == "system"
    assert (moved.reading(100.0), moved.reading(101.0)) == (150.0, 151.0)
    assert moved.advance(10).reading(100.0) == 160.0


def test_a_frozen_clock_stands_still_until_moved() -> None:
    frozen = Clock().freeze_at(7.0)
    assert frozen.mode == "manual"
    assert (frozen.reading(100.0), frozen.reading(200.0)) == (7.0, 7.0)
    assert frozen.advance(3).reading(100.0) == 10.0
