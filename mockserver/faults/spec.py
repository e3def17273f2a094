"""Faults: when they strike and what they do. A fault is `{when, at, do, times}`; a project has a list of them.

Those whose `when` looks at the call only (path, method, probability) strike at the edge, as a gateway would, before the
call is judged. All others strike a turn once it is admitted, before the model is asked. Mistakes are found when the
list is read, never when it strikes. Whatever a fault remembers stands in its record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate
from functools import lru_cache
from typing import Any

import orjson

from mockserver.control.effects import At
from mockserver.model.conditions import check, hold
from mockserver.model.prompt import Prompt
from mockserver.model.scenario import check_error
from mockserver.model.scenario_mistakes import shown
from mockserver.wire.errors import MockError
from mockserver.wire.named_errors import MODEL

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_FAULT = ("when", "at", "do", "times", "used")
_AT = ("event", "count", "bytes")
_CHANCES = 1_000_000
ABNORMAL = 1011
TURNS = "/v1/responses"
MODEL_WORK = frozenset((TURNS, TURNS + "/compact"))  # what rate limits count unless they name a path or a method


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault, parsed: its conditions on the call, and those on the turn; `times` None means without limit."""

    source: Mapping[str, Any]
    kind: str
    value: Any
    at: At
    call_conditions: Mapping[str, Any]
    turn_conditions: Mapping[str, Any]
    times: int | None
    method: str | None
    early: bool  # whether it acts before the call is judged
    tests: tuple[Callable[[Called], bool], ...]

    def holds(self, call: Called, prompt: Prompt | None) -> bool:
        """Whether all its conditions hold, apart from its probability, which is drawn last."""
        for test in self.tests:
            if not test(call):
                return False
        return prompt is None or not self.turn_conditions or hold(self.turn_conditions, prompt)


@dataclass(frozen=True, slots=True)
class Called:
    """A call as faults see it: `streamed` says whether it asks for a stream, `size` counts the bytes of its body."""

    method: str = "POST"
    path: str = TURNS
    transport: str = "http"
    size: int = 0
    model: str = MODEL

    @property
    def streamed(self) -> bool:
        """Whether its answer is a row of events."""
        return self.transport != "http"


# --- Reading a list ------------------------------------------------------------------------------------------------


def parse_faults(value: Any, where: str = "faults") -> list[Fault]:
    """Return the faults of a JSON list; raises MockError whose `param` is the path of the first mistake."""
    if not isinstance(value, list):
        raise MockError(f"'{where}' must be a list of faults, not {shown(value)}.", param=where)
    return [parse_fault(one, f"{where}[{number}]") for number, one in enumerate(value)]


def parse_fault(value: Any, where: str) -> Fault:
    """Return one fault of a list; raises MockError."""
    _keys(value, _FAULT, where)
    if "do" not in value:
        raise MockError(f"'{where}' does nothing; 'do' is one of {', '.join(KINDS)}.", param=f"{where}.do")
    calls, turns = _conditions(value.get("when", {}), f"{where}.when")
    kind, asked = _done(value["do"], f"{where}.do")
    if value.get("times") is not None:
        _require(_count(value["times"]), value["times"], f"{where}.times")
    if "used" in value:
        _require(None if _whole(value["used"]) else "a whole number from 0", value["used"], f"{where}.used")
    at = _at(value.get("at", {}), kind, f"{where}.at")
    method = calls["method"].upper() if "method" in calls else None
    tests = tuple(_TESTS[key](asked) for key, asked in calls.items() if key in _TESTS)
    early = not turns and kind not in _OF_TURNS
    return Fault(value, kind, asked, at, calls, turns, value.get("times"), method, early, tests)


@lru_cache(maxsize=1024)
def known_fault(doc: bytes) -> Fault:
    """Return a fault that was judged before, from its JSON; the same fault is parsed once."""
    return parse_fault(orjson.loads(doc), "fault")


def _conditions(when: Any, where: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the conditions on the call, and those on the turn."""
    if not isinstance(when, dict):
        raise MockError(f"'{where}' must be an object, not {shown(when)}.", param=where)
    edge = {key: one for key, one in when.items() if key in _EDGE}
    for key, one in edge.items():
        _require(_EDGE[key](one), one, f"{where}.{key}")
    return edge, check({key: one for key, one in when.items() if key not in _EDGE}, where)


def _keys(value: Any, known: Iterable[str], where: str) -> None:
    """Raise MockError unless the value is an object with known keys only."""
    if not isinstance(value, dict):
        raise MockError(f"'{where}' must be an object, not {shown(value)}.", param=where)
    for key in value:
        if key not in known:
            message = f"Unknown key '{key}' in '{where}'. Known keys are: {', '.join(known)}."
            raise MockError(message, param=f"{where}.{key}")


def _require(wanted: str | None, value: Any, where: str) -> None:
    if wanted is not None:
        raise MockError(f"'{where}' must be {wanted}, not {shown(value)}.", param=where)


def _whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _count(value: Any) -> str | None:
    return None if _whole(value) and value > 0 else "a whole number from 1"


def _done(value: Any, where: str) -> tuple[str, Any]:
    """Return what a fault does: a bare word, or an object of one key."""
    if isinstance(value, str):
        value = {value: None}
    _keys(value, KINDS, where)
    if len(value) != 1:
        raise MockError(f"'{where}' must have exactly one of {', '.join(KINDS)}.", param=where)
    kind, asked = next(iter(value.items()))
    return kind, KINDS[kind](asked, f"{where}.{kind}")


def _at(value: Any, kind: str, where: str) -> At:
    _keys(value, _AT, where)
    if value and kind not in _PLACED:
        raise MockError(f"'{where}' has no meaning for {kind}.", param=where)
    if "bytes" in value:
        _require(None if _whole(value["bytes"]) else "a whole number from 0", value["bytes"], f"{where}.bytes")
        if len(value) > 1 or kind in ("malformed", "drop_event"):
            raise MockError(f"'{where}' must name an event or a count of bytes.", param=where)
    if "event" in value:
        _require(None if isinstance(value["event"], str) else "a type of event", value["event"], f"{where}.event")
    if "count" in value:
        _require(_count(value["count"]), value["count"], f"{where}.count")
    return At(**value)


def _nothing(value: Any, where: str) -> None:
    if value not in (None, True, {}):
        raise MockError(f"'{where}' takes no value, not {shown(value)}; a place goes into 'at'.", param=where)


def _error(value: Any, where: str) -> dict[str, Any]:
    if isinstance(value, str):
        value = {"code": value}
    elif _whole(value):
        value = {"status": value}
    check_error(value, where)
    return value


def _seconds(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise MockError(f"'{where}' must be a number of seconds, not {shown(value)}.", param=where)
    return value


def _code(value: Any, where: str) -> int:
    code = ABNORMAL if value is None or value is True else value
    if not _whole(code) or not (1000 <= code <= 1014 or 3000 <= code <= 4999) or code in (1004, 1005, 1006):
        raise MockError(f"'{where}' must be a code that a close frame may have, not {shown(value)}.", param=where)
    return code


def _limits(value: Any, where: str) -> dict[str, int]:
    _keys(value, _LIMITS, where)
    if not value:
        raise MockError(f"'{where}' must have one of {', '.join(_LIMITS)}.", param=where)
    for key, one in value.items():
        _require(_count(one), one, f"{where}.{key}")
    return {_LIMITS[key]: one for key, one in value.items()}


_LIMITS = {"requests_per_minute": "requests", "tokens_per_minute": "tokens"}

KINDS: Mapping[str, Callable[[Any, str], Any]] = {
    "error": _error,
    "delay": _seconds,
    "cut": _nothing,
    "stall": _nothing,
    "malformed": _nothing,
    "drop_event": _nothing,
    "rate_limit": _limits,
    "lock_conversation": _seconds,
    "expire": _nothing,
    "close_socket": _code,
}
_PLACED = ("cut", "stall", "malformed", "drop_event", "close_socket")
_OF_TURNS = ("lock_conversation", "expire")


# --- Conditions on the call ------------------------------------------------------------------------------------------


def _chance(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return None if number else "a number from 0 to 1"


_EDGE: Mapping[str, Callable[[Any], str | None]] = {
    "path": lambda value: None if isinstance(value, str) and value[:1] in ("/", "*") else "a path that begins with /",
    "method": lambda value: (
        None if isinstance(value, str) and value.upper() in METHODS else "one of " + ", ".join(METHODS)
    ),
    "probability": _chance,
}


def _path_test(pattern: str) -> Callable[[Called], bool]:
    match = re.compile(translate(pattern)).match
    return lambda call: match(call.path) is not None


def _method_test(method: str) -> Callable[[Called], bool]:
    wanted = method.upper()
    return lambda call: call.method == wanted


_TESTS: Mapping[str, Callable[[Any], Callable[[Called], bool]]] = {"path": _path_test, "method": _method_test}
