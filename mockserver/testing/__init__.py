"""What users import in their tests: drivers, the fixed rules with their catalogue, the state machine, `conform`.

May import: everything of `mockserver`. Start reading at `driver.py`, then `rules.py` and `machine.py`. Names are loaded
when they are first asked for: the machine needs Hypothesis, and the pytest plugin must cost nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mockserver.testing.driver import Answer, Driver, EngineDriver, HTTPDriver
    from mockserver.testing.machine import ResponsesMachine, run_machine
    from mockserver.testing.mock import Mock
    from mockserver.testing.rules import fixed_rules
    from mockserver.testing.verdicts import judge, judge_all

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
    **dict.fromkeys(("Answer", "Driver", "EngineDriver", "HTTPDriver"), "driver"),
    **dict.fromkeys(("ResponsesMachine", "run_machine"), "machine"),
    "Mock": "mock",
    "fixed_rules": "rules",
    **dict.fromkeys(("judge", "judge_all"), "verdicts"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
