"""What users import in their tests: `Mock`, items, clock, faults, journal, snapshots, the pytest plugin.

May import: everything of `mockserver`. Start reading at `mock.py`, then `plugin.py`. Names are loaded on
the first use: the machine needs Hypothesis, and the pytest plugin must cost nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockserver.conformance.drivers import Answer, Driver, EngineDriver, HTTPDriver
    from mockserver.conformance.machine.hypothesis_machine import ResponsesMachine, run_machine
    from mockserver.conformance.registry import fixed_rules
    from mockserver.conformance.runner import judge, judge_all
    from mockserver.testing.mock import Mock

__all__ = [
    "Answer",
    "Driver",
    "EngineDriver",
    "HTTPDriver",
    "Mock",
    "ResponsesMachine",
    "fixed_rules",
    "judge",
    "judge_all",
    "run_machine",
]

_PLACES = {
    **dict.fromkeys(("Answer", "Driver", "EngineDriver", "HTTPDriver"), "mockserver.conformance.drivers"),
    **dict.fromkeys(("ResponsesMachine", "run_machine"), "mockserver.conformance.machine.hypothesis_machine"),
    "Mock": "mockserver.testing.mock",
    "fixed_rules": "mockserver.conformance.registry",
    **dict.fromkeys(("judge", "judge_all"), "mockserver.conformance.runner"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)
