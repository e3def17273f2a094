"""Applying faults: which of a project's faults act on a call, what they do to it, and what they remember.

How it works: a fault in force is one record, `{"fault", "used", "held", "notes"}`. `read_faults` turns the records into
`ActiveFault` objects through a cache whose key is the record itself, so a fault that never acts costs a look into a
dictionary and its first condition that fails.

What must stay true:
* The store is the truth. Several processes may share one, so what is cached is compared with the record: another
  process that counts a use writes another document.
* An `ActiveFault` is shared through the cache and never changed. `apply` works on a copy of each fault whose conditions
  hold, and writes that copy only if it differs; so nothing is encoded for a fault that did nothing.
* What a fault draws or counts depends on its record, the seed and the clock alone: a snapshot goes on where it was.
* Rate limits come first, because the service counts requests that fail as well (Spec: R13.6); the other faults follow
  in the author's order up to the first that answers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import orjson

from mockserver.core.records import Change, Delete, Put, Record, State
from mockserver.core.state import read_node
from mockserver.delivery.fault_effects import Effect
from mockserver.faults import rate_limits
from mockserver.faults.rate_limits import Buckets
from mockserver.faults.spec import MODEL_WORK, CallInfo, Fault, load_fault
from mockserver.model.prompt import Prompt
from mockserver.model.seeded_random import draw
from mockserver.scenarios.conditions import Gate, compile_gate, hold
from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError
from mockserver.wire.errors.scripted import from_script
from mockserver.wire.responses.encoding import encode_compact

_CHANCES = 1_000_000
# A lock notes every conversation, so its record may become large. Such a record is read anew for each call: a cache
# that held many versions of it would need more memory than the project itself.
_LONGEST_CACHED, _MOST_CACHED = 4096, 16_384  # bytes of a record, of all records of a project
_MOST_READY = 256  # calls whose faults are kept ready, by project, method and path


# --- What is stored --------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class ActiveFault:
    """A fault in force: how often it struck (`used`) and was drawn for (`held`), its locks or buckets (`notes`)."""

    id: str
    fault: Fault
    used: int = 0
    held: int = 0
    notes: dict[str, Any] = field(default_factory=dict)

    @property
    def spent(self) -> bool:
        """Whether it has acted as often as it may; a conversation that it has locked stays so until the clock says."""
        times = self.fault.times
        return times is not None and self.used >= times and self.fault.kind != "lock_conversation"

    def copy(self) -> ActiveFault:
        """A copy that may be changed."""
        return ActiveFault(self.id, self.fault, self.used, self.held, dict(self.notes))

    def put(self) -> Put:
        """The change that stores it."""
        source = {key: value for key, value in self.fault.source.items() if key != "used"}
        doc = encode_compact({"fault": source, "used": self.used, "held": self.held, "notes": self.notes})
        return Put("fault", self.id, doc, "", int(self.id))

    def to_json(self) -> dict[str, Any]:
        """The fault as it was given, and how often it struck."""
        return {**deepcopy(dict(self.fault.source)), "used": self.used}


def read_faults(state: State) -> list[ActiveFault]:
    """A project's faults in order; they are shared, so nobody may change them."""
    return [_read_record(record) for record in state.scan("fault")]


def _read_record(record: Record) -> ActiveFault:
    read = _read_cached if len(record.doc) <= _LONGEST_CACHED else _read
    return read(record.id, record.doc)


def _read(id: str, doc: bytes) -> ActiveFault:
    stored = orjson.loads(doc)
    # Each use gives the record other counts. The fault in it stays the same document, and is parsed once.
    return ActiveFault(id, load_fault(encode_compact(stored["fault"])), stored["used"], stored["held"], stored["notes"])


_document_in = itemgetter(1)
_read_cached = lru_cache(maxsize=1024)(_read)


class ReadyFaults(NamedTuple):
    """The faults of a project that may act on a call, and those that may act on its turn once that is admitted.

    `gate` has the conditions of the latter: where those of none hold, `apply` would change nothing.
    """

    on_call: tuple[ActiveFault, ...]
    on_turn: tuple[ActiveFault, ...]
    gate: Gate


class ReadyTable:
    """What is ready for the calls of many projects, as long as their records stay the same."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str, str], tuple[list[Record], ReadyFaults]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def find(self, project: str, state: State, method: str, path: str) -> ReadyFaults:
        """What `ready_faults` finds, which is chosen anew only where a record is another one."""
        # Faults that only wait are the same objects on every call, which tells lists apart without a look into them.
        key, records = (project, method, path), state.scan("fault")
        known = self._known.get(key)
        if known is not None and known[0] == records:
            return known[1]
        ready = _choose(records, method, path)
        if sum(map(len, map(_document_in, records))) <= _MOST_CACHED:
            if len(self._known) >= _MOST_READY:
                self._known.clear()
            self._known[key] = records, ready
        return ready


def ready_faults(state: State, method: str, path: str) -> ReadyFaults:
    """The faults that are not used up and have nothing against this method and path, for nobody to change."""
    return _choose(state.scan("fault"), method, path)


def _choose(records: Iterable[Record], method: str, path: str) -> ReadyFaults:
    call = CallInfo(method, path)
    ready = [one for one in map(_read_record, records) if not one.spent and holds(one.fault, call)]
    on_call = tuple([one for one in ready if one.fault.before_admission])
    on_turn = tuple([one for one in ready if not one.fault.before_admission])
    return ReadyFaults(on_call, on_turn, compile_gate([one.fault.turn_tests for one in on_turn]))


def records(state: State) -> list[Put]:
    """All that a project keeps of faults."""
    return [Put("fault", record.id, record.doc, "", record.order) for record in state.scan("fault")]


def replace_all(state: State, faults: Iterable[Fault]) -> list[Change]:
    """The changes that put these faults in the place of all others."""
    gone = [Delete("fault", record.id) for record in state.scan("fault")]
    kept = [ActiveFault(f"{place:06d}", fault, used=fault.source.get("used", 0)) for place, fault in enumerate(faults)]
    return [*gone, *(one.put() for one in kept)]


# --- Striking --------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class FaultOutcome:
    """What faults do to a call: the error that answers it, effects on its answer, its buckets by fault, all by name."""

    error: APIError | None = None
    kinds: list[str] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    buckets: dict[str, Buckets] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)


def apply(
    kept: Iterable[ActiveFault], call: CallInfo, state: State, seed: object, now: float, prompt: Prompt | None = None
) -> FaultOutcome:
    """Let faults act on a call: those of the edge without a prompt, those of turns with it."""
    struck = FaultOutcome()
    for one in find_active(kept, call, prompt):
        if struck.error is not None:
            break
        changing = one.copy()
        _apply(changing, struck, _Circumstances(call, state, f"{seed}/fault/{one.id}", now, prompt))
        if changing != one:
            struck.changes.append(changing.put())
    return struck


def holds(fault: Fault, call: CallInfo, prompt: Prompt | None = None) -> bool:
    """Whether all conditions of a fault hold, except its probability, which is drawn last."""
    for test in fault.call_tests:
        if not test(call):
            return False
    return prompt is None or hold(fault.turn_tests, prompt, {})


def find_active(kept: Iterable[ActiveFault], call: CallInfo, prompt: Prompt | None = None) -> list[ActiveFault]:
    """The faults whose conditions hold, rate limits first."""
    early = prompt is None
    active = [
        one for one in kept if one.fault.before_admission is early and not one.spent and holds(one.fault, call, prompt)
    ]
    if len(active) > 1:
        active.sort(key=lambda one: one.fault.kind != "rate_limit")
    return active


class _Circumstances(NamedTuple):
    call: CallInfo
    state: State
    seed: str
    now: float
    prompt: Prompt | None


def _apply(one: ActiveFault, struck: FaultOutcome, at: _Circumstances) -> None:
    special = _SPECIAL.get(one.fault.kind)
    if special is not None:
        special(one, struck, at)
    elif _applies(one.fault, at.call) and _choose_rules(one, at):
        struck.kinds.append(one.fault.kind)
        if one.fault.kind == "error":
            struck.error = from_script(one.fault.value, at.call.model)
        else:
            struck.effects.append(Effect(one.fault.kind, one.fault.value, one.fault.at))


def _applies(fault: Fault, call: CallInfo) -> bool:
    if fault.kind == "close_socket":
        return call.transport == "websocket"
    named = fault.at.event is not None or fault.at.count is not None
    return call.transport != "http" or not (named or fault.kind == "drop_event")


def _choose_rules(one: ActiveFault, at: _Circumstances) -> bool:
    """Whether a fault whose other conditions hold strikes this time; it is counted if it does. Spec: R15.6."""
    if one.fault.times is not None and one.used >= one.fault.times:
        return False
    chance = one.fault.call_conditions.get("probability")
    if chance is not None:
        # counted also where it does not act, so that the next call draws another number
        one.held += 1
        if draw(f"{at.seed}/{one.held}", _CHANCES) >= chance * _CHANCES:
            return False
    one.used += 1
    return True


def _limit_rate(one: ActiveFault, struck: FaultOutcome, at: _Circumstances) -> None:
    """Count a call in a fault's buckets; what they don't hold is refused."""
    held = rate_limits.load_buckets(one.fault.value, one.notes, at.now)
    if _is_rate_limited(one.fault, at.call):
        held, error = rate_limits.take(held, rate_limits.tokens_of(at.call.size), at.call.model)
        one.notes = rate_limits.to_document(held)
        if error is not None:
            one.used += 1
            struck.kinds.append(one.fault.kind)
            struck.error = struck.error or error
    struck.buckets[one.id] = held


def _is_rate_limited(fault: Fault, call: CallInfo) -> bool:
    if "path" in fault.call_conditions or "method" in fault.call_conditions:
        return True
    return call.method == "POST" and call.path in MODEL_WORK


def _lock(one: ActiveFault, struck: FaultOutcome, at: _Circumstances) -> None:
    """Lock a conversation from its first turn on; each is locked once. Spec: E67."""
    given = at.prompt.request.get("conversation") if at.prompt else None
    if given is None:
        return
    id = given if isinstance(given, str) else given["id"]
    if id not in one.notes:
        if not _choose_rules(one, at):
            return
        # Kept after it has passed as well: that is how a conversation is locked only once.
        one.notes[id] = at.now + one.fault.value
    if at.now < one.notes[id]:
        struck.kinds.append(one.fault.kind)
        struck.error = errors.conversation_locked()


def _expire(one: ActiveFault, struck: FaultOutcome, at: _Circumstances) -> None:
    """Let the parent of a turn be gone. Spec: E60, E75."""
    parent = at.prompt.request.get("previous_response_id") if at.prompt else None
    if parent is None or not _choose_rules(one, at):
        return
    node = read_node(at.state, parent)
    if node is not None and at.state.get("response", parent) is not None:
        # Its node stays, marked as deleted: what was chained to it before goes on, as it does after DELETE.
        struck.changes += [Delete("response", parent), node._replace(deleted=True).put()]
    struck.kinds.append(one.fault.kind)
    struck.error = errors.previous_response_not_found(parent)


_SPECIAL: Mapping[str, Callable[[ActiveFault, FaultOutcome, _Circumstances], None]] = {
    "rate_limit": _limit_rate,
    "lock_conversation": _lock,
    "expire": _expire,
}
