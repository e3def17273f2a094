"""One call, one transaction: what a call reads, when it is, what it writes; turns that ended by then are written first.

Whatever raises has written nothing, apart from time that has passed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import blake2b
from threading import RLock
from typing import Any, NamedTuple, Protocol, TypeVar
from weakref import WeakValueDictionary

from mockserver.config.settings import Settings
from mockserver.config.switches import values_of
from mockserver.core import collection, lifecycle
from mockserver.core.records import PROJECT_KEY, Change, Delete, Put, Record, State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import Clock, Project, Restored, forget_documents, read_project
from mockserver.core.turn import AnyTurn
from mockserver.delivery.fault_effects import Effect
from mockserver.engine.given_state import Given, Nothing, Played, play
from mockserver.faults.apply import FaultOutcome
from mockserver.journal.exchange import Call
from mockserver.model.prompt import Prompt, Reply
from mockserver.scenarios.conditions import Gate
from mockserver.store.connection_overlay import ConnectionRecords
from mockserver.store.from_snapshot import Started
from mockserver.store.view import Store, open_store, view_project
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.responses.ids import IdGenerator
from mockserver.wire.tokens import tokenizer

T = TypeVar("T")

MOST_VIEWS = 4096  # projects whose view is kept
TRIES_APART = 3  # of long work beside other calls of the project, before these have to wait for it, and after that
COLLECT_EVERY = 64  # calls of a project that write, after which it is looked for expired responses


class Recorder(Protocol):
    """Who is told what happens in a transaction; what is done to the answer is read from it afterwards."""

    call: Call
    effects: Sequence[Effect]
    fault_gate: Gate | None  # of those that may act on its turn; None where nobody has looked
    apart: bool  # whether other calls are answered at the same time, so that the work may be done again
    asked: tuple[Prompt, Reply] | None  # what the model was asked then, and what it said

    def add_reads(self, now: float) -> None:
        """Note the project's time at which something was read."""

    def begin_again(self) -> None:
        """Forget which line, turn and faults of turns answer: the work is done again, on a later state."""

    def add_line(self, line: dict[str, Any], size: int) -> None:
        """Note the line of a script that answers."""

    def add_misses(self, misses: Sequence[dict[str, Any]]) -> None:
        """Note which lines came nearest where none answers."""

    def add_turn(self, turn: AnyTurn, dropped: Collection[int], *, tells_all: bool = False) -> None:
        """Note the turn that answers, and whether its documents tell all that the API shows of what changes."""

    def add_faults(self, struck: FaultOutcome) -> None:
        """Note which faults strike."""

    def add_writes(self, now: float, changes: Sequence[Change]) -> None:
        """Note what was written, and when."""


class NoRecorder:
    """A recorder of control calls, which are no part of the journal."""

    effects: Sequence[Effect] = ()
    call = Call()
    fault_gate: Gate | None = None
    apart = False
    asked: tuple[Prompt, Reply] | None = None

    def add_reads(self, now: float) -> None: ...
    def begin_again(self) -> None: ...
    def add_line(self, line: dict[str, Any], size: int) -> None: ...
    def add_misses(self, misses: Sequence[dict[str, Any]]) -> None: ...
    def add_turn(self, turn: AnyTurn, dropped: Collection[int], *, tells_all: bool = False) -> None: ...
    def add_faults(self, struck: FaultOutcome) -> None: ...
    def add_writes(self, now: float, changes: Sequence[Change]) -> None: ...


NOT_RECORDED = NoRecorder()


class UnitOfWork(NamedTuple):
    """One call in progress: what it reads, when it is, and its place (`ordinal`) among the project's writes.

    `ended` are the turns that had come to their end by then, `rules` those of the caller's transport. `scenario` says
    that the project has one of its own, `pending` names the kinds of what else is on its agenda: faults, queued lines,
    turns in progress. `recorder` is told what answers.
    """

    state: State
    clock: Clock
    now: float
    ordinal: int
    id_generator: IdGenerator
    ended: list[str]
    rules: Semantics
    recorder: Recorder
    scenario: bool = False
    pending: Collection[str] = ()


# What a piece of work returns: its result, what it writes, and the clock where it moves that.
Written = tuple[T, list[Change]] | tuple[T, list[Change], Clock]


class Reading(NamedTuple):
    """What a call that writes nothing reads, the time it reads it at, the rules it is read by.

    `begin_ids` gives a source of ids that are never kept, for what is only measured.
    """

    state: State
    now: float
    rules: Semantics
    begin_ids: Callable[[], IdGenerator]

    @property
    def id_generator(self) -> IdGenerator:
        """A source of ids that are never kept."""
        return self.begin_ids()


class _Outdated(Exception):
    """Another call has written since the work was begun."""


class _Era:
    """The time between two resets of a project."""


_Mark = tuple[bytes | None, list[Record], _Era | None]
_COUNTED = frozenset(("line", "fault"))  # kinds whose uses are counted, also those of calls that write nothing else


class Transactions:
    """The projects of one store, their clocks, and the rules that what is done to them follows."""

    def __init__(
        self,
        settings: Settings,
        store: Store | None,
        wall: Callable[[], float] = time.time,
        start: Restored | None = None,
        given: Given | None = None,
    ) -> None:
        self.settings, self.wall, self._start, self._given = settings, wall, start, given
        self.store = store or open_store(settings.store)
        # what the sockets remember, by identity: one is added while another thread looks through them
        self.sockets: WeakValueDictionary[int, ConnectionRecords] = WeakValueDictionary()
        self._spared: dict[str, set[str]] = {}  # project → nodes that only a socket or a turn in progress needs
        self._eras: WeakValueDictionary[str, _Era] = WeakValueDictionary()  # of projects with long work in progress
        self._known: dict[str, tuple[bytes, Project]] = {}  # project → what it last wrote of itself
        self._reserved: dict[str, Any] = {}  # project → the lock of long work that its other calls wait for
        if start is not None or given:
            self.store = Started(self.store, self._first_records)
        # a project's records, to be read: made once, for every call of the project looks through it
        self.view = lru_cache(maxsize=MOST_VIEWS)(partial(view_project, self.store))
        self.seed = settings.seed or 0
        digest = blake2b(str(self.seed).encode(), digest_size=32, person=b"understudy").digest()
        self._cluster = f"19{digest[0] & 15:x}"
        self.rules = Semantics(count=tokenizer.count, pieces=tokenizer.pieces, key=digest, **values_of(settings.set))
        # A parent that is neither stored nor remembered is not found over a socket, whoever retains nothing; errors in
        # a stream are nested there. Spec: R4.7, websocket §4.
        sockets = replace(self.rules, zdr="off", stream_error_shape="nested")
        self.rules_of = {"http": self.rules, "websocket": sockets}

    def project(self, name: str, state: State) -> Project:
        """Return what a project keeps of itself."""
        doc = state.get(*PROJECT_KEY)
        known = self._known.get(name)
        if known is not None and known[0] == doc:
            return known[1]
        return read_project(doc, name, self.settings.clock)

    def is_first(self, name: str, project: Project) -> bool:
        """Whether a project without records is as a new one, which nobody need write down."""
        return self._start is None and not self._given and project == Project(self.first_clock, 0, name)

    def drop_project(self, name: str) -> None:
        """Hold nothing any more of a project that was written anew, or taken away."""
        self._end_era(name)
        self._known.pop(name, None)
        self._spared.pop(name, None)
        # A few small objects for each of many projects keep nearly all memory of their records from being given back.
        self.view.cache_clear()
        forget_documents()

    @property
    def first_clock(self) -> Clock:
        """The clock that a project starts with."""
        return self._start.project.clock if self._start is not None else Clock(frozen=self.settings.clock)

    def start(self, name: str, now: float | None = None) -> Restored:
        """Return what a project starts from: nothing, the server's snapshot, or given state, at `now` if that is said.

        A snapshot is a whole state, to which nothing given is added.
        """
        if self._start is not None:
            return self._start
        project = Project(self.first_clock, 0, name)
        if not self._given:
            return Restored(project, [])
        played = self.play_given(self._given, Nothing(), project, now)
        return Restored(project._replace(calls=played.calls), [put for put in played.changes if isinstance(put, Put)])

    def play_given(self, given: Given, state: State, project: Project, now: float | None = None) -> Played:
        """Make given state on top of a project's; raises MockError. Nothing is written."""
        ids = partial(self.id_generator, project.id_namespace)
        at = project.clock.reading(self.wall()) if now is None else now
        return play(given, state, self.rules, ids, at, project.calls)

    def _first_records(self, name: str) -> list[Put]:
        start = self.start(name)
        return [start.project.put(), *start.records]

    def clear(self, project: str) -> None:
        """Forget a project, which begins anew; call it inside a transaction."""
        self._end_era(project)
        self.store.clear(project)

    def _end_era(self, project: str) -> None:
        """Have long work of a project done again: it may look as before, but all in it was forgotten."""
        self._eras.pop(project, None)

    def id_generator(self, name: str, ordinal: int, now: float) -> IdGenerator:
        """The source of ids for one call, by the name under which a project's ids are drawn."""
        return IdGenerator.at(f"{self.seed}/{name}/{ordinal}", now, self._cluster)

    def settle(self, project: str, state: State, now: float) -> list[str]:
        """Write what has ended by now; returns the responses that it completed."""
        ended = []
        while (settled := lifecycle.settle(state, now, self.rules)) is not None:
            ended.append(settled[0])
            self.store.apply(project, settled[1])
        if ended and project in self._spared:
            self._collect(project, state, ())
        return ended

    def forget(self, project: str, state: State, now: float) -> list[str]:
        """Write what was only there to be polled and has been for long enough; returns those responses."""
        gone = []
        while (found := lifecycle.forget(state, now)) is not None:
            gone.append(found[0])
            self.apply_deletions(project, state, found[1])
        return gone

    def collect_expired(self, project: str, state: State, now: float) -> None:
        """Take away some of the responses whose time has been over for long."""
        gone = collection.expired(state, self.rules, now)
        if gone:
            self.apply_deletions(project, state, gone)

    def apply_deletions(self, project: str, state: State, changes: Sequence[Change]) -> None:
        """Write changes that delete something, and delete what nothing needs after them."""
        nodes = collection.candidates(state, changes)
        self.store.apply(project, [*changes, *collection.leftovers(state, changes)])
        self._collect(project, state, nodes)

    def _collect(self, project: str, state: State, nodes: Iterable[str]) -> None:
        """Delete the nodes that nothing needs, and then their ancestors; what is only held for now is tried later."""
        starts = [*self._spared.pop(project, ()), *nodes]
        running = collection.running_parents(state) if starts else ()
        for start in starts:
            id: str | None = start
            while id is not None:
                if id in running or self._goes_on_from(id):
                    self._spared.setdefault(project, set()).add(id)
                    break
                dropped = collection.drop(state, id, self.rules)
                if dropped is None:
                    break
                self.store.apply(project, dropped[0])
                id = dropped[1]

    def _goes_on_from(self, id: str) -> bool:
        """Whether the next turn of some socket may go on from a node."""
        alive = [reference() for reference in self.sockets.valuerefs()]
        return any(near.goes_on_from(id) for near in alive if near is not None)

    def await_long_work(self, project: str) -> None:
        """Wait for long work of a project that keeps its other calls out; in the thread that does it, for nothing."""
        if self._reserved and (lock := self._reserved.get(project)) is not None:
            with lock:  # held until the work is done
                pass

    def write(
        self,
        project: str,
        work: Callable[..., Written[T]],
        *args: Any,
        recorder: Recorder = NOT_RECORDED,
        transport: str = "http",
    ) -> T:
        """Do a piece of work, `work(operation, *args)`, in one transaction; its changes are written unless it raises.

        Turns that have ended by now are written also then.
        """
        if self._reserved:
            self.await_long_work(project)
        store = self.store
        state = self.view(project)
        with store.transaction(project):
            clock, ordinal, name, scenario = self.project(project, state)
            now, pending = clock.reading(self.wall()), store.pending(project)
            ended: list[str] = []
            if pending and ("running" in pending or "fleeting" in pending):
                ended = self.settle(project, state, now)
                self.forget(project, state, now)
            id_generator = self.id_generator(name, ordinal, now)
            rules = self.rules_of[transport]
            operation = _new(
                UnitOfWork, (state, clock, now, ordinal, id_generator, ended, rules, recorder, scenario, pending)
            )
            try:
                result, changes, *moved = work(operation, *args)
            except Exception as error:
                recorder.add_reads(now)
                raised = error
            else:
                own = _new(Project, (moved[0] if moved else clock, ordinal + 1, name, scenario))
                put = own.put()
                changes = [*changes, put]
                # only these delete something, and few faults do
                if recorder.call.method == "DELETE" or ("fault" in pending and Delete in map(type, changes)):
                    self.apply_deletions(project, state, changes)
                else:
                    store.apply(project, changes)
                    if (ordinal + 1) % COLLECT_EVERY == 0:  # the work of one call in so many
                        self.collect_expired(project, state, now)
                self._known[project] = put.doc, own
                recorder.add_writes(now, changes)
                return result
        try:
            raise raised
        finally:
            del raised  # or error and frame would hold each other

    def write_apart(
        self,
        project: str,
        work: Callable[..., Written[T]],
        *args: Any,
        recorder: Recorder,
        transport: str = "http",
        alone: bool = False,
    ) -> T:
        """Do the same as `write`, but keep nobody out while the work is done: it may take seconds.

        Work only reads, and what it read is still so if nothing was written by another call meanwhile. Else it is done
        again, at last with the project's other calls waiting, or from the beginning on (`alone`); those of other
        projects never do.
        """
        try_apart = partial(self._try_apart, project, work, *args, recorder=recorder, transport=transport)
        for _ in range(0 if alone else TRIES_APART):
            with suppress(_Outdated):
                return try_apart(alone=False)
        lock = self._reserved.setdefault(project, RLock())
        with lock:
            self._reserved[project] = lock
            try:
                for _ in range(TRIES_APART):  # a turn in progress may still end, or another process write
                    with suppress(_Outdated):
                        return try_apart(alone=True)
            finally:
                self._reserved.pop(project, None)
            return self.write(project, work, *args, recorder=recorder, transport=transport)

    def _try_apart(
        self, project: str, work: Callable[..., Written[T]], *args: Any, recorder: Recorder, transport: str, alone: bool
    ) -> T:
        """Work without keeping the store, and write if the project is still as it was; else raises _Outdated.

        `alone` says that the project's other calls wait.
        """
        state = self.view(project)
        with self.store.transaction(project):
            clock, ordinal, name, scenario = self.project(project, state)
            now = clock.reading(self.wall())
            ended = self.settle(project, state, now)
            self.forget(project, state, now)
            began = _mark(state, self._eras.setdefault(project, _Era()))
            pending = frozenset(self.store.pending(project))
        if not alone and not pending.isdisjoint(_COUNTED):
            raise _Outdated
        ids, rules = self.id_generator(name, ordinal, now), self.rules_of[transport]
        try:
            outcome: Written[T] | Exception = work(
                UnitOfWork(state, clock, now, ordinal, ids, ended, rules, recorder, scenario, pending), *args
            )
        except Exception as error:
            if not (alone or isinstance(error, APIError | MockError)):
                # another call may have taken away what was read
                recorder.begin_again()
                return self.write(project, work, *args, recorder=recorder, transport=transport)
            outcome = error
        try:
            return self.write(project, self._hand_over, project, outcome, began, recorder=recorder, transport=transport)
        except _Outdated:
            recorder.begin_again()
            raise

    def _hand_over(self, at: UnitOfWork, project: str, outcome: Written[T] | Exception, began: _Mark) -> Written[T]:
        """Hand over what was worked out before, if the project is still as it was."""
        if _mark(at.state, self._eras.get(project)) != began:
            raise _Outdated
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def reading(self, project: str, recorder: Recorder = NOT_RECORDED) -> Reading:
        """Return what a call reads; turns that have ended by now are written first."""
        state = self.view(project)
        now = self.project(project, state).clock.reading(self.wall())
        recorder.add_reads(now)
        pending = self.store.pending(project)
        if "running" in pending or "fleeting" in pending:
            with self.store.transaction(project):
                self.settle(project, state, now)
                self.forget(project, state, now)
        return _new(Reading, (state, now, self.rules, partial(self.id_generator, project, 0, now)))


def _mark(state: State, era: _Era | None) -> _Mark:
    """What tells whether a project has changed: its own record, which counts the calls that write, and its agenda.

    A turn in progress ends without a call, and what it says becomes part of its conversation then. A fault counts also
    calls that write nothing.
    """
    agenda = [record for kind in ("running", "fleeting", "fault") for record in state.scan(kind)]
    return state.get(*PROJECT_KEY), agenda, era
