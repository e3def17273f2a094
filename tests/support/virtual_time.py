"""Time that passes at once: a loop whose timers are due as soon as nothing else is to be done.

What waits in a test then takes no time, and things happen in the order of their timers however busy the machine is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")
STEP_S = 1e-6  # what a step of the loop takes: a timer that is due a rounding error from now comes to an end


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop with a clock of its own, which jumps to the next timer."""

    def __init__(self) -> None:
        super().__init__()
        self._passed = 0.0
        selector: Any = self._selector  # type: ignore[attr-defined]
        select = selector.select

        def select_at_once(timeout: float | None = None) -> Any:
            if timeout is None:  # no timer: something outside has to happen
                return select(None)
            ready = select(0)
            if not ready:
                self._passed += max(timeout, 0)
            self._passed += STEP_S
            return ready

        selector.select = select_at_once

    def time(self) -> float:
        """Return the seconds that have passed by the loop's own clock."""
        return self._passed


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main)


async def sleep(seconds: float) -> None:
    """Let virtual time pass; only for what `run` runs."""
    assert isinstance(asyncio.get_running_loop(), VirtualTimeLoop)
    await asyncio.sleep(seconds)


async def until_idle() -> None:
    """Let all other tasks go on until each of them waits for something, or for longer than a second."""
    await sleep(1)
