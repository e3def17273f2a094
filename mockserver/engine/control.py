"""The control operations of a project for test authors: its clock, its scripted lines, its state, its lists."""

# How it works. Each method is one call of the control API or of a `Mock`. What it changes goes through
# `Transactions.write` or one store transaction; so a control call and a turn of the same project never
# interleave.
#
# What must stay true:
# * Everything is validated before the first write: a call that raises MockError has changed nothing.
# * After `reset` the same requests get the same ids. So the count of calls and the namespace of the ids go back
#   to what the project started with, which a snapshot given at the start may set.
# * Watchers are notified after the transaction, because they read the clock that it has written.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from mockserver.config.kinds import LATEST, TIMES, check_moment, parse_time
from mockserver.config.switches import describe
from mockserver.core import inspection
from mockserver.core.records import Change, Delete, Put
from mockserver.core.state import Clock, Project, id_namespace
from mockserver.engine import script_queue
from mockserver.engine.event_hub import EventStream
from mockserver.engine.fault_injection import FaultInjector
from mockserver.engine.given_state import Drafted, Nothing
from mockserver.engine.journal_store import JournalStore
from mockserver.engine.project_directory import ProjectDirectory
from mockserver.engine.scenario_selection import Scenarios, use_count
from mockserver.engine.snapshot_file import validate
from mockserver.engine.transactions import Transactions, UnitOfWork, Written
from mockserver.faults import apply as faults
from mockserver.journal.redaction import redact
from mockserver.scenarios.lines import load_scenario, parse_given, parse_scenario
from mockserver.version import __version__
from mockserver.wire import catalog
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.resources import page

if TYPE_CHECKING:
    from mockserver.journal.client_findings import Finding

DAY = 86_400
LONGEST_S = 1000 * 366 * DAY  # a clock moved further than this is a mistake
RESETTABLE = ("state", "scenario", "faults", "journal", "clock")


class ProjectControl:
    """The control operations of a project, for test authors; none is part of the public API."""

    def __init__(
        self,
        transactions: Transactions,
        scenarios: Scenarios,
        logbook: JournalStore,
        hazards: FaultInjector,
        directory: ProjectDirectory,
    ) -> None:
        self._directory = directory
        self._began = perf_counter()
        self._calls, self._scenarios, self._logbook, self._hazards = transactions, scenarios, logbook, hazards
        self._rules = transactions.rules
        self._watchers: list[Callable[[str], None]] = []
        self._forgetters: list[Callable[[str], None]] = []
        self.sections: dict[str, Callable[..., Any]] = {}  # what a proxy around this mock has to say, by name

    def on_clock_moved(self, notify: Callable[[str], None]) -> None:
        """Register a function that is called with the project whenever its clock may have changed."""
        self._watchers.append(notify)

    def on_reset(self, forget: Callable[[str], None]) -> None:
        """Register a function that is called with a project that was reset, and forgets what it remembers of it."""
        self._forgetters.append(forget)

    def _notify_clock_watchers(self, project: str, **moved: Any) -> None:
        for notify in self._watchers:
            notify(project)
        if self._logbook.events.is_on:
            clock = {**self.read_clock(project), "expired": [], "completed": [], **moved}
            self._logbook.events.publish(b"clock", {"project": project, **clock})

    def projects(self) -> dict[str, Any]:
        """All projects of the server, the one with the latest call first."""
        return {"data": self._directory.list_projects()}

    def check_project(self, name: str) -> str:
        """The name of a project; raises MockError 404 when there is none of that name."""
        if not self._directory.is_known(name):
            raise MockError(f"There is no project {name[:100]!r}; GET /_mock/projects lists them.", status=404)
        return name

    def listen(self, project: str | None = None, last_id: str | None = None) -> EventStream:
        """The events of a project, or of all (None): from now on, or from after the event `last_id`.

        The project need not be there yet: a browser that reconnects to a server that was started again would give up.
        """
        return self._logbook.events.listen(project, last_id)

    def health(self) -> dict[str, Any]:
        """The server's status and settings; raises MockError 503 when the store can't be written."""
        settings = self._calls.settings
        self._calls.store.check()
        health = {
            "status": "ok",
            "version": __version__,
            "mode": settings.default_mode,
            "switches": describe(settings.set),
            "store": settings.store.partition(":")[0],
            "uptime_s": round(perf_counter() - self._began, 3),
        }
        recorder = self._section("recorder")
        return health if recorder is None else {**health, "recorder": recorder}

    def drift(self, project: str) -> dict[str, Any]:
        """Where this mock would have answered differently than the upstream of mode `shadow`."""
        return {"data": self._section("drift") or []}

    def clear_drift(self, project: str) -> None:
        """Forget what `drift` says."""
        self._section("clear_drift")

    def interactions(
        self, project: str, *, after: int, used: bool | None
    ) -> tuple[dict[str, int], Iterator[dict[str, Any] | None]]:
        """How many interactions the server's cassettes have, and those after a number; None between two steps.

        `used` lists those that were an answer, or those that were none. Raises MockError without a cassette.
        """
        totals, rows = self._cassette_section("interactions")(after, used)
        return totals, map(redact, rows)

    def cassette_misses(self, project: str, *, after: int) -> Iterator[dict[str, Any] | None]:
        """What no recording answered, after a number, and what came nearest. Raises MockError without a cassette."""
        return map(redact, self._cassette_section("misses")(after))

    def _cassette_section(self, name: str) -> Callable[..., Any]:
        read = self.sections.get(name)
        if read is None:
            raise MockError("This server has no cassette; start it with --cassette FILE.", status=404)
        return read

    def _section(self, name: str) -> Any:
        read = self.sections.get(name)
        return None if read is None else read()

    def read_clock(self, project: str) -> dict[str, Any]:
        """The project's clock: its time and mode."""
        clock = self._calls.project(project, self._calls.view(project)).clock
        return {"now": clock.reading(self._calls.wall()), "mode": clock.mode}

    def set_clock(self, project: str, now: float | str | None) -> dict[str, Any]:
        """Freeze the project's clock at unix seconds or an ISO time, or let it run with the system's (None)."""
        moment = None if now is None else _time(now)

        def set_to(at: UnitOfWork) -> Written[None]:
            return None, [], Clock() if moment is None else at.clock.freeze_at(moment)

        self._calls.write(project, set_to)
        self._notify_clock_watchers(project)
        return self.read_clock(project)

    def advance_clock(self, project: str, seconds: float) -> dict[str, Any]:
        """Move the project's clock forward; returns which responses expired and which turns ended."""
        check_number(seconds, "seconds")

        def advance(at: UnitOfWork) -> Written[dict[str, Any]]:
            now = at.now + seconds
            if now > LATEST:
                raise MockError("seconds: no clock goes beyond 2106-02-07T06:28:15Z.", param="seconds")
            completed = [*at.ended, *self._calls.settle(project, at.state, now)]
            # first, so that what only stays to be polled is not found a second time among what has expired
            forgotten = self._calls.forget(project, at.state, now)
            expired = [*inspection.expiries_between(at.state, self._rules, at.now, now), *forgotten]
            self._calls.collect_expired(project, at.state, now)
            return {"now": now, "expired": expired, "completed": completed}, [], at.clock.advance(seconds)

        moved = self._calls.write(project, advance)
        self._notify_clock_watchers(project, **moved)
        return moved

    def enqueue(self, project: str, lines: Any) -> int:
        """Append one-shot lines to the project's queue; returns how many wait. Raises MockError for a bad line."""
        entries = script_queue.validate(lines)

        def append(at: UnitOfWork) -> Written[int]:
            return script_queue.enqueue(at.state, entries)

        return self._calls.write(project, append)

    def scenario(self, project: str) -> dict[str, Any]:
        """The project's scenario: lines with use counts, the numbers of unused lines, and the queue."""
        state = self._calls.view(project)
        own = self._calls.project(project, state).scenario
        current = self._scenarios.of(state, own=own)
        counts = [use_count(state, number) for number in range(len(current.lines))]
        return {
            **({"given": current.given} if current.given else {}),
            "seed": self._calls.seed if current.seed is None else current.seed,
            "lines": [{**line.to_json(), "used": used} for line, used in zip(current.lines, counts, strict=True)],
            "unused": [number for number, used in enumerate(counts) if not used],
            "queue": [{**entry["line"], "used": entry["used"]} for entry in script_queue.waiting_lines(state)],
        }

    def set_scenario(self, project: str, document: Any) -> dict[str, Any]:
        """Set the project's own scenario, its lines unused; a seed in it makes the project draw other ids.

        What it gives is added to the state. Raises MockError, and changes nothing, for an invalid document. Queued
        lines stay.
        """
        scenario = parse_scenario(document)
        seed = scenario.seed
        view, store = self._calls.view(project), self._calls.store
        with store.transaction(project):
            old = self._calls.project(project, view)
            namespace = id_namespace(old.id_namespace, None if seed == self._calls.seed else seed)
            forgotten = [Delete(put.kind, put.id) for put in script_queue.records(view) if put.kind == "played"]
            put = script_queue.scenario_put(document["lines"], seed, scenario.given)
            own = old._replace(scenario=True, id_namespace=namespace)
            played = self._calls.play_given(scenario.given, view, own)
            own = own._replace(calls=own.calls + played.calls)
            store.apply(project, [own.put(), put, *forgotten, *played.changes])
        return self.scenario(project)

    def give(self, project: str, given: Any) -> dict[str, list[str]]:
        """Add conversations and stored responses to the project's state; returns their ids, by kind.

        Raises MockError, and changes nothing, for what is no given state or what the API would refuse.
        """
        parse_given(given)
        view, store = self._calls.reading(project).state, self._calls.store
        with store.transaction(project):
            own = self._calls.project(project, view)
            played = self._calls.play_given(given, view, own)
            store.apply(project, [own._replace(calls=own.calls + played.calls).put(), *played.changes])
        return played.ids

    def faults(self, project: str) -> dict[str, Any]:
        """The project's faults with use counts."""
        return {"faults": self._hazards.list_faults(project)}

    def set_faults(self, project: str, given: Any) -> dict[str, Any]:
        """Replace all faults; raises MockError, and changes nothing, for a wrong one."""
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
        context: str = "reference",
    ) -> dict[str, Any]:
        """A page of the project's exchanges, oldest first, after the number `after`.

        `context` says what stands there of what the model saw: `reference` (where it can be read), `full`, `none`.
        """
        found = self.read_journal(
            project, limit=limit, after=after, path=path, response_id=response_id, context=context
        )
        exchanges = [exchange for exchange in found if exchange is not None]
        return page(exchanges[:limit], has_more=len(exchanges) > limit)

    def read_journal(self, project: str, *, limit: int, after: int | None = None, **how: Any) -> Iterator[Any]:
        """Yield the exchanges of such a page one by one, and one more if there are more; None between two steps."""
        return self._logbook.read(project, limit=limit, after=after, **how)

    def journal_cassette(self, project: str) -> Iterator[bytes]:
        """The project's newest exchanges as a cassette, document by document; raises MockError where none is written.

        Only `understudy serve` and a `Proxy` know the format, and only a process that answers alone all the exchanges.
        """
        write = self.sections.get("cassette")
        if write is None:
            raise MockError("The mock alone writes no cassettes; `understudy serve` does.", status=409)
        if self._calls.settings.workers > 1:
            raise MockError("Of several --workers each knows only its own answers.", status=409)
        pieces: Iterator[bytes] = write(self._logbook.answers(project))
        return pieces

    def verdict(self, project: str) -> list[Finding]:
        """The client's mistakes that the journal shows."""
        *_, findings = self.find_mistakes(project)
        return findings or []

    def find_mistakes(self, project: str) -> Iterator[list[Finding] | None]:
        """Yield None after each step of the work, at the end the mistakes: long journals let other calls pass."""
        from mockserver.journal import client_findings

        for history in self._logbook.history(project):
            if history is None:
                yield None
            else:
                yield from client_findings.find_mistakes(history)

    def clear_journal(self, project: str) -> None:
        """Empty the project's journal."""
        self._logbook.forget(project)

    def reset(self, project: str, only: Iterable[str] | None = None) -> None:
        """Forget the project, or only the named parts of it; after a reset the same requests get the same ids again."""
        parts = list(RESETTABLE if only is None else only)
        if any(part not in RESETTABLE for part in parts):
            raise MockError(f"only: takes a list of {', '.join(RESETTABLE)}.", param="only")
        view, store = self._calls.view(project), self._calls.store
        with store.transaction(project):
            record = self._calls.project(project, view)
            clock = self._calls.first_clock if "clock" in parts else record.clock
            first = self._calls.start(project, clock.reading(self._calls.wall()))
            record = record._replace(clock=clock)
            if "scenario" in parts:
                record = record._replace(
                    scenario=first.project.scenario, id_namespace=_mint(record.id_namespace, first.project.id_namespace)
                )
            records = [*script_queue.records(view), *faults.records(view)]
            again: list[Change] = []
            if "state" in parts:
                record = record._replace(
                    calls=first.project.calls, id_namespace=_mint(first.project.id_namespace, record.id_namespace)
                )
                kept = [put for put in records if _part(put) not in parts]
                record, again = self._give_again(kept, first.records, record)
                self._calls.clear(project)
                left: list[Change] = [*kept]
            else:
                left = [Delete(put.kind, put.id) for put in records if _part(put) in parts]
            begin = [put for put in first.records if _part(put) in parts]
            puts = [*left, *begin, *again]
            if "state" not in parts or puts or not self._calls.is_first(project, record):
                store.apply(project, [record.put(), *puts])
        self._calls.drop_project(project)
        for forget in self._forgetters:
            forget(project)
        if "journal" in parts:
            self._logbook.forget(project)
        if "clock" in parts:
            self._notify_clock_watchers(project)

    def _give_again(self, kept: Iterable[Put], first: Iterable[Put], record: Project) -> tuple[Project, list[Change]]:
        """Play what the project's own scenario gives, if that stays, on top of what every project starts with."""
        own = next((load_scenario(put.doc) for put in kept if put.kind == "scenario"), None)
        if own is None or not own.given:
            return record, []
        played = self._calls.play_given(own.given, Drafted(Nothing(), first), record)
        return record._replace(calls=record.calls + played.calls), played.changes

    def snapshot(self, project: str) -> dict[str, Any]:
        """The project's whole state as one JSON document; the same state always gives the same document.

        Nothing is written, so a turn whose end no call has noticed yet is still in progress.
        """
        from mockserver.snapshots.document import document_of  # pydantic models, which most servers never need

        calls = self._calls
        with calls.store.transaction(project):
            own, records = calls.project(project, calls.view(project)), calls.store.records(project)
        if not own.scenario and self._scenarios.lines:  # another server may have other lines
            records.append(script_queue.scenario_put(self._scenarios.lines, None))
        return document_of(records, own, calls.seed)

    def restore(self, project: str, document: Any) -> None:
        """Replace the project's state by a snapshot's, which may come from another project: a fork.

        Later calls give the same bytes as they would have there. Raises MockError, and changes nothing, for a document
        that is invalid or of another seed.
        """
        restored = validate(document, self._calls.seed, self._calls.wall())
        if not restored.project.scenario and self._scenarios.lines:  # it was taken where there are none
            own = restored.project._replace(scenario=True)
            restored = restored._replace(project=own, records=[*restored.records, script_queue.scenario_put([], None)])
        store = self._calls.store
        with store.transaction(project):
            self._calls.clear(project)
            store.apply(project, [restored.project.put(), *restored.records])
        self._notify_clock_watchers(project)

    def context(self, project: str, response_id: str) -> dict[str, Any]:
        """What the model saw for a response."""
        state = self._calls.reading(project).state
        return inspection.context_of(state, response_id, self._rules)

    def graph(self, project: str, after: str | None = None) -> Iterator[dict[str, Any]]:
        """Yield first `now`, the project's time, then each response as a node, without its texts.

        With `after` the stored ones are those after that response, and what they go on from. Raises MockError first of
        all if no such response is stored.
        """
        from mockserver.core.graph import find_stored, list_nodes

        reading = self._calls.reading(project)
        stored = find_stored(reading.state, after)
        yield {"now": reading.now}
        yield from list_nodes(reading.state, stored, self._rules, reading.now)

    def models(self) -> dict[str, Any]:
        """Every model with its context window and its longest output, in tokens."""
        return inspection.models()

    def response(self, project: str, response_id: str) -> dict[str, Any]:
        """A response of the project, expired or not; one in the background as a poll finds it."""
        reading = self._calls.reading(project)
        return inspection.response_of(reading.state, response_id, self._rules, reading.now)

    def response_events(
        self, project: str, response_id: str, first_token_s: float | None = None, tokens_per_s: float | None = None
    ) -> dict[str, Any]:
        """Every event of a response's stream with its second; without a pacing, with the server's."""
        pacing = self._calls.settings.pacing
        return inspection.events_of(
            self._calls.reading(project).state,
            response_id,
            self._rules,
            pacing.first_token_s if first_token_s is None else first_token_s,
            pacing.tokens_per_s if tokens_per_s is None else tokens_per_s,
        )

    def list_responses(self, project: str, *, limit: int, after: str | None, **where: str | None) -> dict[str, Any]:
        """List the project's responses, newest first; `where` filters by model, status, conversation."""
        reading = self._calls.reading(project)
        wanted = {key: value for key, value in where.items() if value is not None}
        known = catalog.resolve(wanted.get("model", ""))
        if known is not None:  # an alias finds the responses of its model
            wanted["model"] = known.id
        matches = partial(_matches, wanted)
        return inspection.responses(
            reading.state, self._rules, limit=limit, after=after, matches=matches, now=reading.now
        )

    def list_conversations(self, project: str, *, limit: int, after: str | None) -> dict[str, Any]:
        """List the project's conversations, newest first."""
        state = self._calls.reading(project).state
        return inspection.conversations(state, limit=limit, after=after)


def check_number(value: Any, name: str) -> float:
    """Check a length or point of time in seconds; raises MockError."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
        raise MockError(f"{name}: takes a number from 0 to {LONGEST_S:g}, not {value!r}.", param=name)
    return float(value)


def _time(value: float | str) -> float:
    try:
        return parse_time(value) if isinstance(value, str) else check_moment(check_number(value, "now"))
    except ValueError:
        raise MockError(f"now: takes unix seconds from 0 to {LATEST}, or {TIMES}.", param="now") from None


def _part(put: Put) -> str:
    """The part of a project that a record belongs to, as `reset` names it."""
    return "scenario" if put.kind in script_queue.KINDS else "faults" if put.kind == "fault" else "state"


def _mint(name: str, own: str) -> str:
    """The id namespace of `name`, with the seed of `own` if that has one."""
    return id_namespace(name, None) + own.removeprefix(id_namespace(own, None))


def _matches(wanted: Mapping[str, str], response: Mapping[str, Any]) -> bool:
    seen = {**response, "conversation": (response.get("conversation") or {}).get("id")}
    return all(seen.get(key) == value for key, value in wanted.items())
