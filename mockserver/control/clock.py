"""A project's clock as a value: it runs with the system's, shifted or not, or stands still until it is moved."""

from __future__ import annotations

from typing import NamedTuple


class Clock(NamedTuple):
    """Seconds `shift` ahead of the system's clock, or frozen at `frozen` (unix seconds)."""

    shift: float = 0.0
    frozen: float | None = None

    @property
    def mode(self) -> str:
        """`system` for a clock that runs, `manual` for one that stands still."""
        return "system" if self.frozen is None else "manual"

    def reading(self, wall: float) -> float:
        """Return the time, in unix seconds, when the system's clock says `wall`."""
        return wall + self.shift if self.frozen is None else self.frozen

    def advanced(self, seconds: float) -> Clock:
        """Return the clock moved forward; it goes on running or standing still as before."""
        if self.frozen is None:
            return self._replace(shift=self.shift + seconds)
        return self._replace(frozen=self.frozen + seconds)

    def frozen_at(self, now: float) -> Clock:
        """Return the clock standing still at a time."""
        return Clock(frozen=now)
