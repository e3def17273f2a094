"""One call, one transaction: what a call reads, when it is, what it writes; turns that ended by then are written first.

Whatever raises has written nothing, apart from time that has passed.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, TypeVar

from mockserver.control.clock import Clock
from mockserver.control.journal import current
from mockserver.control.project import Project, read_project
from mockserver.control.snapshot import Restored
from mockserver.core import lifecycle
from mockserver.core.rules import Rules
from mockserver.core.state import OWN, Change, State
from mockserver.model import tokens
from mockserver.settings import Settings
from mockserver.store.started import Started
from mockserver.store.view import Store, View, open_store
from mockserver.switches import values_of
from mockserver.wire.encoding import json_body
from mockserver.wire.ids import Mint

T = TypeVar("T")


@dataclass(slots=True)
class Operation:
    """One call under way: what it reads, when it is, its place among the project's writes, what it will write,
    which turns had come to their end by then, whether the project has a scenario of its own, and whether it is `idle`:
    without faults, queued lines and turns under way. `line` is the line that answers.
    """

    state: State
    clock: Clock
    now: float
    ordinal: int
    mint: Mint
    changes: list[Change]
    ended: list[str]
    scenario: bool = False
    idle: bool = False
    line: dict[str, Any] | None = None


class Transactions:
    """The projects of one store, their clocks, and the rules that what is done to them follows."""

    def __init__(
        self,
        settings: Settings,
        store: Store | None,
        wall: Callable[[], float] = time.time,
        start: Restored | None = None,
    ) -> None:
        self.settings, self.wall, self._start = settings, wall, start
        self.store = store or open_store(settings.store)
        self._known: dict[str, tuple[bytes, Project]] = {}  # project → what it last wrote of itself
        if start is not None:
            self.store = Started(self.store, [start.project.put(), *start.records])
        self.seed = settings.seed or 0
        digest = blake2b(str(self.seed).encode(), digest_size=32, person=b"understudy").digest()
        self._cluster = f"19{digest[0] & 15:x}"
        self.rules = Rules(count=tokens.count, pieces=tokens.pieces, key=digest, **values_of(settings.set))

    def view(self, project: str) -> View:
        """Return a project's records, to be read."""
        return View(self.store, project)

    def project(self, name: str, state: State) -> Project:
        """Return what a project keeps of itself."""
        doc = state.get(*OWN)
        known = self._known.get(name)
        if known is not None and known[0] == doc:
            return known[1]
        return read_project(doc, name, self.settings.clock)

    def start(self, name: str) -> Restored:
        """Return what a project starts from: nothing, or the server's snapshot."""
        return self._start or Restored(Project(Clock(frozen=self.settings.clock), 0, name), [])

    def mint(self, name: str, ordinal: int, now: float) -> Mint:
        """Return the source of ids for one call, by the name under which a project's ids are drawn."""
        return Mint.at(f"{self.seed}/{name}/{ordinal}", now, self._cluster)

    def settled(self, project: str, state: State, now: float) -> list[str]:
        """Write what has ended by now; returns the responses that it completed."""
        ended = []
        while (settled := lifecycle.settle(state, now, self.rules)) is not None:
            ended.append(settled[0])
            self.store.apply(project, settled[1])
        return ended

    def forgotten(self, project: str, state: State, now: float) -> list[str]:
        """Write what was only there to be polled and has been for long enough; returns those responses."""
        gone = []
        while (found := lifecycle.forget(state, now)) is not None:
            gone.append(found[0])
            self.store.apply(project, found[1])
        return gone

    def write(self, project: str, work: Callable[[Operation], T]) -> T:
        """Do a piece of work in one transaction; what it leaves in `changes` is written unless it raises.

        Turns that have ended by now are written also then.
        """
        state = View(self.store, project)
        with self.store.transaction(project):
            clock, ordinal, name, scenario = self.project(project, state)
            now, idle, ended = clock.reading(self.wall()), self.store.idle(project), []
            if not idle:
                ended = self.settled(project, state, now)
                self.forgotten(project, state, now)
            operation = Operation(state, clock, now, ordinal, self.mint(name, ordinal, now), [], ended, scenario, idle)
            exchange = current()
            if exchange is not None:
                exchange.at = now
            try:
                result = work(operation)
            except Exception as error:
                raised = error
            else:
                own = Project(operation.clock, ordinal + 1, name, scenario)
                put = own.put()
                operation.changes.append(put)
                self.store.apply(project, operation.changes)
                self._known[project] = put.doc, own
                if exchange is not None:
                    exchange.changed(operation.changes)
                    exchange.line = operation.line
                return result
        try:
            raise raised
        finally:
            del raised  # or error and frame would hold each other

    def change(self, project: str, work: Callable[[Operation], tuple[Any, list[Change]]]) -> bytes:
        """Do a piece of work that returns an object and its changes; returns the object's JSON body."""

        def apply(operation: Operation) -> Any:
            result, operation.changes = work(operation)
            return result

        return json_body(self.write(project, apply))

    def reading(self, project: str) -> tuple[State, float]:
        """Return what a call reads and the time it reads it at; turns that have ended by now are written first."""
        state = View(self.store, project)
        now = self.project(project, state).clock.reading(self.wall())
        exchange = current()
        if exchange is not None:
            exchange.at = now
        if not self.store.idle(project) and (state.scan("running", limit=1) or state.scan("fleeting", limit=1)):
            with self.store.transaction(project):
                self.settled(project, state, now)
                self.forgotten(project, state, now)
        return state, now
