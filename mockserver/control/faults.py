"""Faults: when they strike and what they do. A fault is `{when, at, do, times}`; a project has a list of them.

Those whose `when` looks at the call only (path, method, probability) strike at the edge, as a gateway would, before the
call is judged. All others strike a turn once it is admitted, before the model is asked. Mistakes are found when the
list is read, never when it strikes. Whatever a fault remembers stands in its record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import orjson

from mockserver.control import buckets
from mockserver.control.buckets import Buckets
from mockserver.core.state import Change, Delete, Put, State, read_node
from mockserver.delivery.fault_effects import At, Effect
from mockserver.model.conditions import shown
from mockserver.model.draws import draw
from mockserver.model.prompt import Prompt
from mockserver.model.scenario import Line, parse_lines
from mockserver.wire import errors
from mockserver.wire.encoding import stored_json
from mockserver.wire.errors import APIError, MockError
from mockserver.wire.named_errors import MODEL, from_script

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")
_FAULT = ("when", "at", "do", "times", "used")
_AT = ("event", "count", "bytes")
_CHANCES = 1_000_000
ABNORMAL = 1011
TURNS = "/v1/responses"
MODEL_WORK = frozenset((TURNS, TURNS + "/compact"))  # what rate limits count unless they name a path or a method


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault: `edge` are its conditions on the call; `line` has those on the turn, None when there are none.

    `times` None means without limit.
    """

    source: Mapping[str, Any]
    kind: str
    value: Any
    at: At
    edge: Mapping[str, Any]
    line: Line | None
    times: int | None

    @property
    def method(self) -> str | None:
        """The method that its conditions name."""
        method = self.edge.get("method")
        return None if method is None else method.upper()

    @property
    def early(self) -> bool:
        """Whether it strikes before the call is judged."""
        return self.line is None and self.kind not in _OF_TURNS


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
    edge, line = _conditions(value.get("when", {}), f"{where}.when")
    kind, asked = _done(value["do"], f"{where}.do")
    if value.get("times") is not None:
        _require(_count(value["times"]), value["times"], f"{where}.times")
    if "used" in value:
        _require(None if _whole(value["used"]) else "a whole number from 0", value["used"], f"{where}.used")
    return Fault(value, kind, asked, _at(value.get("at", {}), kind, f"{where}.at"), edge, line, value.get("times"))


def _conditions(when: Any, where: str) -> tuple[dict[str, Any], Line | None]:
    """Return the conditions on the call, and a line that has those on the turn."""
    if not isinstance(when, dict):
        raise MockError(f"'{where}' must be an object, not {shown(when)}.", param=where)
    edge = {key: one for key, one in when.items() if key in _EDGE}
    for key, one in edge.items():
        _require(_EDGE[key].complaint(one), one, f"{where}.{key}")
    others = {key: one for key, one in when.items() if key not in _EDGE}
    return edge, _line({"when": others, "reply": {"text": ""}}, "when", where) if others else None


def _line(line: Any, judged: str, where: str) -> Line:
    """Return a line of a scenario; what is wrong in its part `judged` is said of `where`."""
    try:
        return parse_lines([line])[0]
    except MockError as error:
        place = f"lines[0].{judged}"
        param = (error.param or "").replace(place, where, 1)
        raise MockError(error.message.replace(place, where), param=param) from None


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
    _line({"reply": {"error": value}}, "reply.error", where)
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


class Condition(NamedTuple):
    """`complaint` says what a value should have been, None when it will do; `holds` judges a call."""

    complaint: Callable[[Any], str | None]
    holds: Callable[[Called, Any], bool]


def _chance(value: Any) -> str | None:
    number = isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1
    return None if number else "a number from 0 to 1"


_EDGE: Mapping[str, Condition] = {
    "path": Condition(
        lambda value: None if isinstance(value, str) and value[:1] in ("/", "*") else "a path that begins with /",
        lambda call, asked: fnmatchcase(call.path, asked),
    ),
    "method": Condition(
        lambda value: None if isinstance(value, str) and value.upper() in METHODS else "one of " + ", ".join(METHODS),
        lambda call, asked: call.method == asked.upper(),
    ),
    "probability": Condition(_chance, lambda call, asked: True),  # drawn last
}


# --- What is kept ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Kept:
    """A fault in force: how often it struck (`used`) and was drawn for (`held`), its locks or buckets (`notes`)."""

    id: str
    fault: Fault
    used: int = 0
    held: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    def put(self) -> Put:
        """Return the change that stores it."""
        source = {key: one for key, one in self.fault.source.items() if key != "used"}
        doc = stored_json({"fault": source, "used": self.used, "held": self.held, "notes": self.notes})
        return Put("fault", self.id, doc, "", int(self.id))

    def to_json(self) -> dict[str, Any]:
        """Return the fault as it was given, and how often it struck."""
        return {**self.fault.source, "used": self.used}


def read_faults(state: State) -> list[Kept]:
    """Return a project's faults in order."""
    found = []
    for record in state.scan("fault"):
        known = orjson.loads(record.doc)
        found.append(
            Kept(record.id, parse_fault(known["fault"], "fault"), known["used"], known["held"], known["notes"])
        )
    return found


def records(state: State) -> list[Put]:
    """Return all that a project keeps of faults."""
    return [Put("fault", one.id, one.doc, "", one.order) for one in state.scan("fault")]


def replaced(state: State, faults: Iterable[Fault]) -> list[Change]:
    """Return the changes that put these faults in the place of all others."""
    gone = [Delete("fault", record.id) for record in state.scan("fault")]
    kept = [Kept(f"{at:06d}", one, used=one.source.get("used", 0)) for at, one in enumerate(faults)]
    return [*gone, *(one.put() for one in kept)]


# --- Striking --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Struck:
    """What strikes a call, in words, too: the error that answers it, effects on its answer, its buckets by fault."""

    error: APIError | None = None
    kinds: list[str] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    buckets: dict[str, Buckets] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


def strike(
    kept: Iterable[Kept], call: Called, state: State, seed: object, now: float, prompt: Prompt | None = None
) -> Struck:
    """Let faults strike a call: those of the edge without a prompt, those of turns with it.

    Limits of rate come first; the others follow in their order up to the first that answers.
    """
    struck = Struck()
    faults = [one for one in kept if one.fault.early is (prompt is None) and _holds(one.fault, call, prompt)]
    for one in sorted(faults, key=lambda one: one.fault.kind != "rate_limit"):
        if struck.error is not None:
            break
        before = replace(one, notes=dict(one.notes))
        _strike(one, struck, _Circumstances(call, state, f"{seed}/fault/{one.id}", now, prompt))
        if one != before:
            struck.changes.append(one.put())
    return struck


class _Circumstances(NamedTuple):
    call: Called
    state: State
    seed: str
    now: float
    prompt: Prompt | None


def _holds(fault: Fault, call: Called, prompt: Prompt | None) -> bool:
    if not all(_EDGE[key].holds(call, asked) for key, asked in fault.edge.items()):
        return False
    return prompt is None or fault.line is None or fault.line.holds(prompt)


def _strike(one: Kept, struck: Struck, at: _Circumstances) -> None:
    special = _SPECIAL.get(one.fault.kind)
    if special is not None:
        special(one, struck, at)
    elif _applies(one.fault, at.call) and _chosen(one, at):
        struck.kinds.append(one.fault.kind)
        if one.fault.kind == "error":
            struck.error = from_script(one.fault.value, at.call.model)
        else:
            struck.effects.append(Effect(one.fault.kind, one.fault.value, one.fault.at))


def _applies(fault: Fault, call: Called) -> bool:
    if fault.kind == "close_socket":
        return call.transport == "websocket"
    named = fault.at.event is not None or fault.at.count is not None
    return call.streamed or not (named or fault.kind == "drop_event")


def _chosen(one: Kept, at: _Circumstances) -> bool:
    """Whether a fault whose other conditions hold strikes this time; it is counted if it does. Spec: R15.6."""
    if one.fault.times is not None and one.used >= one.fault.times:
        return False
    chance = one.fault.edge.get("probability")
    if chance is not None:
        one.held += 1
        if draw(f"{at.seed}/{one.held}", _CHANCES) >= chance * _CHANCES:
            return False
    one.used += 1
    return True


def _limit_rate(one: Kept, struck: Struck, at: _Circumstances) -> None:
    """Count a call in a fault's buckets; what they don't hold is refused."""
    held = buckets.opened(one.fault.value, one.notes, at.now)
    spent = one.fault.times is not None and one.used >= one.fault.times
    if not spent and _counted(one.fault, at.call):
        held, error = buckets.take(held, buckets.tokens_of(at.call.size), at.call.model)
        one.notes = buckets.noted(held)
        if error is not None:
            one.used += 1
            struck.kinds.append(one.fault.kind)
            struck.error = struck.error or error
    if not spent:
        struck.buckets[one.id] = held


def _counted(fault: Fault, call: Called) -> bool:
    if "path" in fault.edge or "method" in fault.edge:
        return True
    return call.method == "POST" and call.path in MODEL_WORK


def _lock(one: Kept, struck: Struck, at: _Circumstances) -> None:
    """Lock a conversation from its first turn on; each is locked once. Spec: E67."""
    given = at.prompt.request.get("conversation") if at.prompt else None
    if given is None:
        return
    id = given if isinstance(given, str) else given["id"]
    if id not in one.notes:
        if not _chosen(one, at):
            return
        one.notes[id] = at.now + one.fault.value
    if at.now < one.notes[id]:
        struck.kinds.append(one.fault.kind)
        struck.error = errors.conversation_locked()


def _expire(one: Kept, struck: Struck, at: _Circumstances) -> None:
    """Let the parent of a turn be gone. Spec: E60, E75."""
    parent = at.prompt.request.get("previous_response_id") if at.prompt else None
    if parent is None or not _chosen(one, at):
        return
    node = read_node(at.state, parent)
    if node is not None and at.state.get("response", parent) is not None:
        struck.changes += [Delete("response", parent), Put("node", parent, node._replace(deleted=True).doc())]
    struck.kinds.append(one.fault.kind)
    struck.error = errors.previous_response_not_found(parent)


_SPECIAL: Mapping[str, Callable[[Kept, Struck, _Circumstances], None]] = {
    "rate_limit": _limit_rate,
    "lock_conversation": _lock,
    "expire": _expire,
}
