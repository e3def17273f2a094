"""How much property tests try: a part of it by default, all of it with `--hypothesis-profile=ci`."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, settings

ALL = 100  # `max_examples` of the profile `ci`; another profile's says how many of a hundred examples it tries
FEWEST = 5

SHARED: Any = {"deadline": None, "print_blob": True, "suppress_health_check": [HealthCheck.too_slow]}


def register_profiles() -> None:
    """Let `--hypothesis-profile` know the profiles; the quick one is the default, and the same each time."""
    settings.register_profile("ci", max_examples=ALL, **SHARED)
    settings.register_profile("quick", max_examples=15, derandomize=True, database=None, **SHARED)
    settings.load_profile("quick")


def part_of(most: int) -> int:
    """Return how many of something the profile tries."""
    return max(FEWEST, most * settings.default.max_examples // ALL)


def examples(most: int, **more: Any) -> settings:
    """Return settings for so many examples, or for the profile's part of them."""
    return settings(max_examples=part_of(most), **more)
