"""The test author's levers over a whole project: its clock, its queue of scripted lines, its state, listings of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from mockserver.config.settings import parse_time
from mockserver.config.switches import describe
from mockserver.core import inspection
from mockserver.core.project import Clock, id_namespace
from mockserver.core.records import Change, Delete, Put
from mockserver.engine import script_queue
from mockserver.engine.fault_injection import FaultInjector
from mockserver.engine.journal_store import JournalStore
from mockserver.engine.scenario_selection import Scenarios
from mockserver.engine.snapshot_file import validate
from mockserver.engine.transactions import Transactions, UnitOfWork, Written
from mockserver.faults import apply as faults
from mockserver.journal import client_findings as verdict
from mockserver.scenarios.lines import parse_scenario
from mockserver.version import __version__
from mockserver.wire import catalog
from mockserver.wire.errors.api import MockError

DAY = 86_400
LONGEST_S = 1000 * 366 * DAY  # a clock moved further than this is a mistake
RESETTABLE = ("state", "scenario", "faults", "journal", "clock")


class ProjectControl:
    """What only a test author can do to a project; none of it is part of the public API."""

    def __init__(
        self, transactions: Transactions, scenarios: Scenarios, logbook: JournalStore, hazards: FaultInjector
    ) -> None:
        self._calls, self._scenarios, self._logbook, self._hazards = transactions, scenarios, logbook, hazards
        self._rules = transactions.rules
        self._watchers: list[Callable[[str], None]] = []

    def on_clock_moved(self, notify: Callable[[str], None]) -> None:
        """Have a function called with the project whenever its clock may say another time than before."""
        self._watchers.append(notify)

    def _tell_clock_moved(self, project: str) -> None:
        for notify in self._watchers:
            notify(project)

    def health(self) -> dict[str, Any]:
        """Return how the server is and how it is set."""
        settings = self._calls.settings
        shown = describe(settings.set)
        return {"status": "ok", "version": __version__, "mode": settings.default_mode, "switches": shown}

    def read_clock(self, project: str) -> dict[str, Any]:
        """Return the project's clock."""
        clock = self._calls.project(project, self._calls.view(project)).clock
        return {"now": clock.reading(self._calls.wall()), "mode": clock.mode}

    def set_clock(self, project: str, now: float | str | None) -> dict[str, Any]:
        """Freeze the project's clock at unix seconds or an ISO time, or let it run with the system's (None)."""
        moment = None if now is None else _time(now)

        def set_to(at: UnitOfWork) -> Written[None]:
            return None, [], Clock() if moment is None else at.clock.freeze_at(moment)

        self._calls.write(project, set_to)
        self._tell_clock_moved(project)
        return self.read_clock(project)

    def advance_clock(self, project: str, seconds: float) -> dict[str, Any]:
        """Move the project's clock forward; says which responses expired and which turns came to their end."""
        check_number(seconds, "seconds")

        def advance(at: UnitOfWork) -> Written[dict[str, Any]]:
            now = at.now + seconds
            completed = [*at.ended, *self._calls.settle(project, at.state, now)]
            expired = inspection.expiries_between(at.state, self._rules, at.now, now)
            expired += self._calls.forget(project, at.state, now)
            return {"now": now, "expired": expired, "completed": completed}, [], at.clock.advance(seconds)

        moved = self._calls.write(project, advance)
        self._tell_clock_moved(project)
        return moved

    def enqueue(self, project: str, lines: Any) -> int:
        """Append one-shot lines to the project's queue; returns how many wait. Raises MockError for a bad line."""
        entries = script_queue.validate(lines)

        def append(at: UnitOfWork) -> Written[int]:
            return script_queue.enqueue(at.state, entries)

        return self._calls.write(project, append)

    def scenario(self, project: str) -> dict[str, Any]:
        """Return the project's scenario: lines with use counts, which were never used, and what waits in the queue."""
        state = self._calls.view(project)
        own = self._calls.project(project, state).scenario
        found = self._scenarios.of(state, own=own)
        counts = [script_queue.use_count(state, number) for number in range(len(found.lines))]
        return {
            "seed": self._calls.seed if found.seed is None else found.seed,
            "lines": [{**line.to_json(), "used": used} for line, used in zip(found.lines, counts, strict=True)],
            "unused": [number for number, used in enumerate(counts) if not used],
            "queue": [{**entry["line"], "used": entry["used"]} for entry in script_queue.waiting_lines(state)],
        }

    def set_scenario(self, project: str, document: Any) -> dict[str, Any]:
        """Give the project a scenario of its own, its lines unused; a seed of its own makes the project draw other ids.

        Raises MockError, and changes nothing, for a document that is wrong. What is queued goes on waiting.
        """
        seed = parse_scenario(document).seed
        view, store = self._calls.view(project), self._calls.store
        with store.transaction(project):
            kept = self._calls.project(project, view)
            namespace = id_namespace(kept.id_namespace, None if seed == self._calls.seed else seed)
            forgotten = [Delete(put.kind, put.id) for put in script_queue.records(view) if put.kind == "played"]
            put = script_queue.scenario_put(document["lines"], seed)
            store.apply(project, [kept._replace(scenario=True, id_namespace=namespace).put(), put, *forgotten])
        return self.scenario(project)

    def faults(self, project: str) -> dict[str, Any]:
        """Return the project's faults with use counts."""
        return {"faults": self._hazards.list_faults(project)}

    def set_faults(self, project: str, given: Any) -> dict[str, Any]:
        """Put a list of faults in the place of all others; raises MockError, and changes nothing, for a wrong one."""
        self._hazards.replace(project, given)
        return self.faults(project)

    def journal(
        self,
        project: str,
        *,
        limit: int = 20,
        after: int | None = None,
        path: str | None = None,
        response_id: str | None = None,
        context: bool = True,
    ) -> dict[str, Any]:
        """Return a page of the project's exchanges, oldest first, behind the number `after`.

        Without `context` they don't say what the model saw, which takes time to find out.
        """
        return self._logbook.read(
            project, limit=limit, after=after, path=path, response_id=response_id, context=context
        )

    def verdict(self, project: str) -> list[verdict.Finding]:
        """Return what the journal shows that a client did wrong."""
        return verdict.find_mistakes(self._logbook.history(project))

    def clear_journal(self, project: str) -> None:
        """Empty the project's journal."""
        self._logbook.forget(project)

    def reset(self, project: str, only: Iterable[str] | None = None) -> None:
        """Forget the project, or only the named parts of it; after a reset the same requests get the same ids again."""
        parts = list(RESETTABLE if only is None else only)
        if any(part not in RESETTABLE for part in parts):
            raise MockError(f"only: takes a list of {', '.join(RESETTABLE)}.", param="only")
        view, store, first = self._calls.view(project), self._calls.store, self._calls.start(project)
        with store.transaction(project):
            kept = self._calls.project(project, view)
            if "clock" in parts:
                kept = kept._replace(clock=first.project.clock)
            if "scenario" in parts:
                kept = kept._replace(
                    scenario=first.project.scenario, id_namespace=_mint(kept.id_namespace, first.project.id_namespace)
                )
            records = [*script_queue.records(view), *faults.records(view)]
            if "state" in parts:
                store.clear(project)
                kept = kept._replace(
                    calls=first.project.calls, id_namespace=_mint(first.project.id_namespace, kept.id_namespace)
                )
                left: list[Change] = [put for put in records if _part(put) not in parts]
            else:
                left = [Delete(put.kind, put.id) for put in records if _part(put) in parts]
            store.apply(project, [kept.put(), *left, *(put for put in first.records if _part(put) in parts)])
        if "journal" in parts:
            self._logbook.forget(project)
        if "clock" in parts:
            self._tell_clock_moved(project)

    def snapshot(self, project: str) -> dict[str, Any]:
        """Return the project's whole state as one JSON document; the same state always gives the same document.

        Nothing is written, so a turn whose end no call has noticed yet is still under way.
        """
        from mockserver.snapshots.document import document_of  # pydantic models, which most servers never need

        calls = self._calls
        with calls.store.transaction(project):
            own, records = calls.project(project, calls.view(project)), calls.store.records(project)
        if not own.scenario and self._scenarios.lines:  # another server may have other lines
            records.append(script_queue.scenario_put(self._scenarios.lines, None))
        return document_of(records, own, calls.seed)

    def restore(self, project: str, document: Any) -> None:
        """Put a snapshot's state in place of the project's, which may be another one than it was taken of: a fork.

        What follows gives the bytes that it would have given there. Raises MockError, and changes nothing, for a
        document that is wrong or of another seed.
        """
        found = validate(document, self._calls.seed)
        if not found.project.scenario and self._scenarios.lines:  # it was taken where there are none
            own = found.project._replace(scenario=True)
            found = found._replace(project=own, records=[*found.records, script_queue.scenario_put([], None)])
        store = self._calls.store
        with store.transaction(project):
            store.clear(project)
            store.apply(project, [found.project.put(), *found.records])
        self._tell_clock_moved(project)

    def context(self, project: str, response_id: str) -> dict[str, Any]:
        """Return what the model saw for a response."""
        state = self._calls.reading(project).state
        return inspection.context_of(state, response_id, self._rules)

    def list_responses(self, project: str, *, limit: int, after: str | None, **where: str | None) -> dict[str, Any]:
        """List the project's responses, newest first; `where` filters by model, status, conversation."""
        at = self._calls.reading(project)
        wanted = {key: value for key, value in where.items() if value is not None}
        known = catalog.resolve(wanted.get("model", ""))
        if known is not None:  # an alias finds what it stands for
            wanted["model"] = known.id
        matches = partial(_matches, wanted)
        return inspection.responses(at.state, self._rules, limit=limit, after=after, matches=matches, now=at.now)

    def list_conversations(self, project: str, *, limit: int, after: str | None) -> dict[str, Any]:
        """List the project's conversations, newest first."""
        state = self._calls.reading(project).state
        return inspection.conversations(state, limit=limit, after=after)


def check_number(value: Any, name: str) -> float:
    """Return a length or point of time as a number; raises MockError for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
        raise MockError(f"{name}: takes a number from 0 to {LONGEST_S:g}.", param=name)
    return float(value)


def _time(value: float | str) -> float:
    if not isinstance(value, str):
        return check_number(value, "now")
    try:
        return parse_time(value)
    except ValueError:
        raise MockError("now: takes unix seconds or an ISO time such as 2026-11-20T12:00:00Z.", param="now") from None


def _part(put: Put) -> str:
    """Return which part of a project a record belongs to, as `reset` names it."""
    return "scenario" if put.kind in script_queue.KINDS else "faults" if put.kind == "fault" else "state"


def _mint(name: str, own: str) -> str:
    """Return the source of ids of one name with the seed of its own that another has, or has not."""
    return id_namespace(name, None) + own.removeprefix(id_namespace(own, None))


def _matches(wanted: Mapping[str, str], response: Mapping[str, Any]) -> bool:
    seen = {**response, "conversation": (response.get("conversation") or {}).get("id")}
    return all(seen.get(key) == value for key, value in wanted.items())
