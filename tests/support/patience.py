"""Waiting for what another thread or process does; the time that it takes decides nothing but when to give up."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

PATIENCE_S = 120.0  # far more than anything takes, on a machine that is busy with other things too
ROUNDS = 50


def until(condition: Callable[[], Any]) -> bool:
    """Wait for a condition; returns whether it came true."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.005)
    return True


def settled(measure: Callable[[], int], round_trip: Callable[[], Any]) -> int:
    """Return a count once it stays the same while what changes it does a number of other things in between."""
    found, rounds = measure(), 0
    while rounds < ROUNDS:
        round_trip()
        rounds += 1
        if (now := measure()) != found:
            found, rounds = now, 0
    return found
