"""Steps per second of the state machine: Hypothesis by itself, the machine over an engine, the walker over everything.

`python -m tests.bench.bench_machine` prints them: by CPU time of this process, over a socket by time of the wall.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from mockserver.config.settings import Settings
from mockserver.conformance.drivers import NOON, EngineDriver, HTTPDriver
from mockserver.conformance.machine.hypothesis_machine import ResponsesMachine
from mockserver.conformance.machine.operation_table import OPERATIONS, Operation
from mockserver.conformance.machine.operations import Operations
from mockserver.conformance.machine.random_walk import walk
from mockserver.engine.engine import Engine
from mockserver.store.sqlite import SQLiteStore
from tests.support.serving import FROZEN, serving

STEPS = 40


class Counted(Operations):
    """Verbs that are counted."""

    done = 0


class Idle:
    """What the machine's rules can be done to without anything happening: the framework's own share."""

    controls = True

    def audit(self) -> None:
        """Find nothing."""

    close = audit


def _counting(verb: Callable[..., Any]) -> Callable[..., Any]:
    def run(self: Any, *taken: Any, **arguments: Any) -> Any:
        Counted.done += not taken  # one verb may do another
        return verb(self, *taken, **arguments)

    return run


def _idle(verb: Operation) -> Callable[..., Any]:
    made = (["id"] if verb.several else "id") if verb.into else None
    return lambda self, **arguments: made


for _verb in OPERATIONS:
    setattr(Counted, _verb.name, _counting(getattr(Operations, _verb.name)))
    setattr(Idle, _verb.name, _counting(_idle(_verb)))


class BusyMachine(ResponsesMachine):
    """The machine over an engine, counted."""

    driver = EngineDriver()

    def __init__(self) -> None:
        super().__init__()
        self.verbs = Counted(self._stage())


class IdleMachine(ResponsesMachine):
    """The machine's rules over nothing, counted."""

    driver = EngineDriver()

    def __init__(self) -> None:
        super().__init__()
        self.verbs = Idle()  # type: ignore[assignment]


def measured(work: Callable[[], None], clock: Callable[[], float] = time.process_time) -> float:
    """Return how many seconds a piece of work takes."""
    started = clock()
    work()
    return clock() - started


def hypothesis_rate(machine: type[ResponsesMachine], examples: int) -> float:
    """Return the steps per second of a machine that looks for something wrong and finds nothing."""
    Counted.done = 0
    plan = settings(
        max_examples=examples,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    seconds = measured(lambda: run_state_machine_as_test(machine, settings=plan))
    return Counted.done / seconds


def main() -> None:
    """Print the figures."""
    driver = EngineDriver()
    print(
        f"walker over an engine in memory:          {20_000 / measured(lambda: walk(driver, 1, 20_000)):8,.0f} steps/s"
    )
    driver = EngineDriver(Engine(Settings(clock=NOON), store=SQLiteStore(":memory:")))
    print(f"walker over an engine in SQLite:          {5_000 / measured(lambda: walk(driver, 1, 5_000)):8,.0f} steps/s")
    print(f"Hypothesis, the same rules doing nothing: {hypothesis_rate(IdleMachine, 150):8,.0f} steps/s")
    print(f"Hypothesis over an engine in memory:      {hypothesis_rate(BusyMachine, 150):8,.0f} steps/s")
    with serving(*FROZEN) as served:
        socket = HTTPDriver(served.base_url)
        seconds = measured(lambda: walk(socket, 1, 1_500), time.perf_counter)
        print(f"walker over a socket (wall):              {1_500 / seconds:8,.0f} steps/s")
        socket.close()


if __name__ == "__main__":
    main()
