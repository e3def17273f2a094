"""The clock of a mock, for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from mockserver.testing.origins import at_caller

if TYPE_CHECKING:
    from mockserver.testing.embedded_server import Host

DAY, HOUR, MINUTE = 86_400, 3_600, 60


class Moved(NamedTuple):
    """The result of moving the clock: the new time, the ids of responses that expired and of those that completed."""

    now: float
    expired: list[str]
    completed: list[str]


class MockClock:
    """The clock that lifetimes, pacing and `created_at` follow; it runs with the system's until it is frozen."""

    def __init__(self, host: Host, project: str) -> None:
        self._host, self._project = host, project

    @property
    def now(self) -> float:
        """The time in unix seconds."""
        return float(self._host.levers.read_clock(self._project)["now"])

    @property
    def frozen(self) -> bool:
        """Whether the clock is stopped."""
        return bool(self._host.levers.read_clock(self._project)["mode"] == "manual")

    @at_caller
    def freeze(self, at: float | str | datetime | None = None) -> None:
        """Stop the clock at a time: unix seconds, ISO text (UTC unless it says otherwise), or now for None."""
        if isinstance(at, datetime):
            at = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
        self._host.levers.set_clock(self._project, self.now if at is None else at)

    @at_caller
    def advance(self, *, days: float = 0, hours: float = 0, minutes: float = 0, seconds: float = 0) -> Moved:
        """Move the clock forward, running or frozen."""
        total = days * DAY + hours * HOUR + minutes * MINUTE + seconds
        return Moved(**self._host.levers.advance_clock(self._project, total))

    def run(self) -> None:
        """Let the clock run with the system's again."""
        self._host.levers.set_clock(self._project, None)
