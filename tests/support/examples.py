"""How much property tests try: a part of it by default, all of it with `--hypothesis-profile=ci`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ALL = 100  # `max_examples` of the profile `ci`; another profile's says how many of a hundred examples it tries
FEWEST = 5

SHARED: Any = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}


def register_profiles() -> None:
    """Let `--hypothesis-profile` know the profiles; the quick one is the default, and the same each time."""
    settings.register_profile("ci", max_examples=ALL, **SHARED)
    settings.register_profile("quick", max_examples=8, derandomize=True, database=None, **SHARED)
    settings.load_profile("quick")


def part_of(most: int) -> int:
    """Return how many of something the profile tries."""
    return max(FEWEST, most * settings.default.max_examples // ALL)


def seeds(most: int) -> range:
    """Return the profile's part of so many seeds of random programs, two at least."""
    return range(max(2, most * settings.default.max_examples // ALL))


def first_of(values: Sequence[Any], count: int = 1) -> list[Any]:
    """Return parameters of a test that costs much with each of them: all but the first ones are slow."""
    return [*values[:count], *(pytest.param(value, marks=pytest.mark.slow) for value in values[count:])]


def examples(most: int, **more: Any) -> settings:
    """Return settings for so many examples, or for the profile's part of them."""
    return settings(max_examples=part_of(most), **more)
