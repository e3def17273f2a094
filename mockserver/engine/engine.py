"""The engine: one synchronous coordinator of store, clock, model and script; every call is one transaction.

The edge calls it with a `Call` and gets an `Answer` back. Whatever raises here has written nothing, apart from time
that has passed and a scripted line that was used. Every way in (HTTP, a socket, the in-process transport, the drivers,
a plain `create_response`) records the call in the journal and lets faults strike it, for all of them come through here.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from functools import cached_property, lru_cache, partial
from hashlib import blake2b
from threading import RLock
from typing import Any, NamedTuple

from mockserver.config.settings import Settings
from mockserver.core import background, lifecycle
from mockserver.core.admission import resolve_model
from mockserver.core.records import Change, _new
from mockserver.core.turn import AnyTurn, Turn
from mockserver.delivery.answer import JSON, SSE, Answer, error_answer
from mockserver.delivery.events import Emit, Step, count_events
from mockserver.delivery.fault_effects import apply_to_body, apply_to_steps
from mockserver.delivery.player import DELIVERED, POLL_S, Player
from mockserver.engine.control import ProjectControl
from mockserver.engine.endpoints import NO_PARTS, Parts, Table, endpoints
from mockserver.engine.fault_injection import FaultInjector
from mockserver.engine.journal_store import ExchangeRecorder, JournalStore
from mockserver.engine.pipeline import ENCODERS, Delivery, Pipeline
from mockserver.engine.project_directory import ProjectDirectory
from mockserver.engine.scenario_selection import Scenarios
from mockserver.engine.snapshot_file import start_of
from mockserver.engine.transactions import Transactions, UnitOfWork
from mockserver.faults.apply import ReadyTable
from mockserver.journal.exchange import Call
from mockserver.model.default_model import SeededModel
from mockserver.model.prompt import Answering, Respondent, respondent
from mockserver.store.connection_overlay import ConnectionRecords, Layered
from mockserver.store.failures import StoreUnavailable
from mockserver.store.view import Store
from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.paths import is_doubled, is_mocked
from mockserver.wire.requests import bodies, frames
from mockserver.wire.responses.encoding import json_body, json_body_in_parts
from mockserver.wire.responses.events import Event
from mockserver.wire.responses.resources import Listing

DEFAULT_PROJECT = "default"
SENTINELS = {"off": b"", "on": b"data: [DONE]\n\n"}  # switch `done_sentinel`. Spec: S2
SILENCES = {"comment": 15.0, "off": math.inf}  # switch `keep_alive`: seconds. Spec: S4


def _model_of(settings: Settings) -> Respondent:
    """The model that the settings name. Imported here, for a first answer seldom needs the other one."""
    if settings.model == "default":
        return SeededModel()
    from mockserver.model.echo_model import EchoModel

    return EchoModel()


class Engine:
    """A mock's whole state and behaviour, without sockets; two engines never meet."""

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        store: Store | None = None,
        model: Answering | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        start, settings = start_of(settings or Settings(), wall())
        self.scenarios = Scenarios(settings)
        self.settings = replace(settings, seed=self.scenarios.seed)
        self.model = _model_of(self.settings) if model is None else respondent(model)
        self._calls = Transactions(self.settings, store, wall, start, self.scenarios.given)
        self.scenarios.check_given(self._calls.start)
        self.store, self.rules = self._calls.store, self._calls.rules
        self.journal, self.fault_injector = JournalStore(self._calls), FaultInjector(self._calls)
        self._ready_faults = ReadyTable()
        self.events = self.journal.events
        self.projects = ProjectDirectory(self._calls, self.journal, DEFAULT_PROJECT)
        self.control = ProjectControl(self._calls, self.scenarios, self.journal, self.fault_injector, self.projects)
        self.pipeline = Pipeline(
            self.scenarios,
            self.model,
            self.settings.pacing,
            seed=self._calls.seed,
            retains=self.rules.zdr == "off",
        )
        self._project_of = lru_cache(maxsize=4096)(self._read_project)  # a caller calls often; refusals are not kept
        self.control.on_reset(self.projects.forget)
        self.control.on_reset(lambda _: self._project_of.cache_clear())
        self.control.on_reset(lambda _: self.pipeline.forget_turns())
        self._answer_turn: Callable[..., Any] = self.pipeline.answer
        rows = endpoints(self.pipeline.read, self.pipeline.answer)
        if self.rules.unknown_file == "refuse":
            from mockserver.engine.doubles import require_files, require_files_of

            self._answer_turn, rows = require_files_of(self.pipeline.answer), require_files(rows)
        self._table = Table(rows)
        # a turn that was disturbed is answered again: a model that counts its turns is left undisturbed
        alone = not getattr(self.model, "may_be_asked_again", False)
        self._write_apart: Callable[..., Any] = partial(self._calls.write_apart, alone=alone)
        self.waits = self.store.waits  # then each call has a thread, and the store keeps the calls of a project apart
        self._lock = RLock()  # callers without a socket come on threads of their own

    def project(self, authorization: str | None, openai_project: str | None) -> str:
        """The project of a caller: the key and `OpenAI-Project`, hashed, for keys are never written down.

        Raises E90 and E91 when only given keys are let in, E90 when any is needed.
        """
        key = (authorization or "").partition(" ")[2].strip()
        allowed = self.settings.api_key
        if not key and (allowed or self.rules.auth == "enforce"):
            raise errors.missing_bearer()
        if allowed and key not in allowed:
            raise errors.incorrect_api_key(key)
        name = _project_name(key, openai_project or "")
        self.projects.note_key(name, key)
        return name

    def _read_project(self, authorization: bytes, openai_project: bytes) -> str:
        return self.project(authorization.decode("latin-1"), openai_project.decode("latin-1"))

    # --- calls over HTTP -----------------------------------------------------------------------------------------

    def handle(self, call: Call, refused: APIError | MockError | None = None, *, apart: bool = False) -> Answer:
        """Answer a call to the public API, or one that was `refused` before it was read. An API error is an answer.

        Whatever else is raised is a fault of the mock, which is recorded as a 500.
        Only one call is answered at a time, apart from those that are answered `apart`, each in a thread of its own.
        """
        with _NO_LOCK if apart else self._lock:
            recorder = self.journal.record(call)
            recorder.apart = apart and not self.waits
            try:
                return self._answer(call, recorder, refused)
            except Exception:
                self._record_failure(recorder)
                raise

    def _answer(self, call: Call, recorder: ExchangeRecorder, refused: APIError | MockError | None) -> Answer:
        try:
            result = self._perform(call, recorder, refused)
        except (APIError, MockError) as error:
            return self._finish_answer(error_answer(error), recorder)
        if isinstance(result, Delivery):
            return self._deliver(result, recorder)
        if isinstance(result, Replay):
            return self._replay(result, recorder)
        return self._finish_answer(result, recorder)

    def _record_failure(self, recorder: ExchangeRecorder) -> None:
        """Record a call in which the mock itself failed, as the 500 that its caller is answered with."""
        recorder.drop_answer()
        recorder.effects = ()  # it is answered as it is
        self._finish_answer(error_answer(errors.mock_failed()), recorder)

    def create_response(self, project: str, body: bytes) -> Delivery:
        """Create a response: judged, admitted, answered, written, and laid out for delivery; raises APIError. Spec: P1.

        Whoever plays a `running` delivery calls `finish`, or `leave`, when it has ended.
        """
        call = Call(body=body, project=project)
        with self._lock:
            recorder = self.journal.record(call)
            try:
                delivery = self._perform(call, recorder)
            except (APIError, MockError) as error:
                recorder.exchange.ended = DELIVERED
                recorder.answer(error.status, error)
                raise
            except Exception:
                self._record_failure(recorder)
                raise
            assert isinstance(delivery, Delivery)
            if delivery.body is None:
                recorder.exchange.transport, recorder.exchange.events = "sse", count_events(delivery.steps)
            recorder.exchange.ended = None if delivery.running else DELIVERED
            recorder.answer(200)
            return delivery

    def _perform(
        self, call: Call, recorder: ExchangeRecorder, refused: APIError | MockError | None = None
    ) -> Answer | Delivery | Replay:
        """Return what a call comes to; raises the error that answers it."""
        project = call.project
        if project is None:
            headers = call.headers
            project = self._project_of(headers.get(b"authorization", b""), headers.get(b"openai-project", b""))
        recorder.project = project
        if self.events.is_on:
            self.journal.announce(project, recorder.exchange)
        if refused is not None:
            raise refused
        self.strike(recorder)
        if self.rules.unknown_url == "empty" and is_mocked(call.path) and self._table.find(call.path) is None:
            return NO_BODY  # Spec: E100
        endpoint, parts = self._table.literal.get((call.method, call.path)), NO_PARTS
        if endpoint is None:
            if not is_mocked(call.path) and self.is_scripted(project, call.method, call.path):
                scripted = self._calls.write(project, self._answer_call, call, recorder=recorder)
                if scripted is not None:  # another process may have used the line meanwhile
                    return scripted
            table = self._doubles if is_doubled(call.path) else self._table
            endpoint, parts = table.find_endpoint(call)
        request = endpoint.read(call, parts, self.rules)
        if endpoint.writes:
            result = self._write(recorder)(project, endpoint.run, parts, request, recorder=recorder)
        else:
            result = endpoint.run(self._calls.reading(project, recorder), parts, request)
        if isinstance(result, Delivery):
            return result
        if isinstance(result, APIError):
            raise result
        if isinstance(result, list):
            return Replay(result, parts["id"])
        if isinstance(result, Answer):
            return result
        if isinstance(result, bytes):
            return Answer(result)
        value, numbers = result if isinstance(result, Listing) else (result, None)
        return Answer(json_body_in_parts(value) if recorder.apart else json_body(value, numbers))

    def _write(self, recorder: ExchangeRecorder) -> Callable[..., Any]:
        """How a call that writes does its work: one in a thread keeps others out only for a moment."""
        return self._write_apart if recorder.apart else self._calls.write

    @cached_property
    def _doubles(self) -> Table:
        from mockserver.engine.doubles import table  # which most servers never need

        return table()

    def is_scripted(self, project: str, method: str, path: str) -> bool:
        """Whether a line of the project's script answers a call to a path that the mock does not cover."""
        state = self._calls.view(project)
        own, pending = self._calls.project(project, state).scenario, self.store.pending(project)
        return self.scenarios.has_call_line(state, method, path, pending=pending, own=own)

    def _answer_call(self, at: UnitOfWork, call: Call) -> tuple[Answer | None, list[Change]]:
        reply, changes = self.scenarios.answer_call(at, call.method, call.path)
        if reply is None:
            return None, changes
        return Answer(reply.body, reply.status, reply.content_type, reply.headers), changes

    def strike(self, recorder: ExchangeRecorder, named: str | None = None) -> None:
        """Let the faults of the edge strike a call before it is judged; raises the error of one that answers it."""
        project, call = recorder.project, recorder.call
        if "fault" not in self.store.pending(project):
            return
        # One look finds the faults of the edge and those of turns, which are left with the recorder. A transaction is
        # opened, and the body read, only where a fault may act: most faults do not, on most calls.
        ready = self._ready_faults.find(project, self._calls.view(project), call.method, call.path)
        on_call, _, recorder.fault_gate = ready
        if not on_call:
            return
        struck = self.fault_injector.strike_call(recorder, project, named=named)
        recorder.add_call_faults(struck)
        if struck.error is not None:
            raise struck.error

    def note_socket(self, near: ConnectionRecords) -> None:
        """Note what a socket remembers, for as long as somebody holds it: nothing that it goes on from is deleted."""
        self._calls.sockets[id(near)] = near

    def respond(self, request: dict[str, Any], near: ConnectionRecords, recorder: ExchangeRecorder) -> Delivery:
        """Answer the judged request of a socket, which remembers what is `near`; raises the error that answers it.

        Other calls are answered at the same time if the recorder says so (`apart`). Spec: P1, R4.5.
        """
        with _NO_LOCK if recorder.apart or self.waits else self._lock:
            outcome = self._write(recorder)(
                recorder.project,
                self._answer_turn,
                NO_PARTS,
                self.pipeline.shape(request),
                near,
                recorder=recorder,
                transport="websocket",
            )
        if isinstance(outcome, APIError):
            raise outcome
        return outcome

    def judge_frame(self, frame: dict[str, Any]) -> dict[str, Any]:
        """The judged request of a `response.create` frame. Spec: R4.1, R4.2."""
        return bodies.judge(partial(frames.create, stream_field=self.rules.ws_stream_field), frame, self.rules)

    # --- answers ---------------------------------------------------------------------------------------------------

    def _deliver(self, delivery: Delivery, recorder: ExchangeRecorder) -> Answer:
        lead_s = 0.0 if delivery.body is None else delivery.seconds
        model = delivery.turn.model
        buckets = recorder.buckets
        if delivery.body is not None and not delivery.steps:
            recorder.exchange.ended = DELIVERED
            recorder.keep_body(delivery.body)
            recorder.answer(200)
            whole = (delivery.body, 200, JSON, (), False, None, b"", None, model, lead_s, buckets, None)
            return _new(Answer, whole)  # as nearly every turn
        running = delivery.id if delivery.running else None
        answer = self._play(delivery.steps, delivery.body, running, recorder, model)
        return answer if answer.player is None else answer._replace(model=model, lead_s=lead_s, buckets=buckets)

    def _stream_at_once(self, emit: Emit, recorder: ExchangeRecorder, model: str) -> Answer:
        """The answer that a stream in one write is, with nothing to end: it leaves at once."""
        exchange, events, tail = recorder.exchange, emit.events, SENTINELS[self.rules.done_sentinel]
        if exchange.turn is not None and not recorder.effects:
            recorder.keep_events(exchange.turn, "sse", content_type=SSE, tail=tail)
        else:
            recorder.keep_answer(steps=(emit,), stream="sse", content_type=SSE, tail=tail)
        exchange.transport, exchange.events, exchange.ended = "sse", len(events), DELIVERED
        recorder.answer(200)
        return _new(Answer, (b"", 200, SSE, (), True, events, tail, None, model, 0.0, recorder.buckets, None))

    def _replay(self, replay: Replay, recorder: ExchangeRecorder) -> Answer:
        """The answer that streams a stored response; of one that still runs there are several steps."""
        steps = replay.steps
        running = replay.id if len(steps) > 1 else None
        if recorder.effects:
            steps = apply_to_steps(steps, recorder.effects, ENCODERS["sse"])
        return self._play(steps, None, running, recorder)._replace(buckets=recorder.buckets)

    def _finish_answer(self, answer: Answer, recorder: ExchangeRecorder) -> Answer:
        """Lay faults over an answer that is no turn, and record it."""
        answer = answer._replace(buckets=recorder.buckets) if recorder.buckets else answer
        if recorder.effects:
            body, steps = apply_to_body(answer.body, [], recorder.effects)
            answer = answer._replace(body=body)
            if steps:
                recorder.keep_answer(status=answer.status, headers=answer.headers, steps=steps)
                recorder.answer(answer.status, answer.error)
                return answer._replace(player=Player(steps, TurnListener(self, recorder, None)))
        recorder.exchange.ended = DELIVERED
        if answer.player is None:
            status, kind, headers = answer.status, answer.content_type, answer.headers
            recorder.keep_answer(body=answer.body, status=status, content_type=kind, headers=headers)
        recorder.answer(answer.status, answer.error)
        return answer

    def _play(
        self,
        steps: Sequence[Step],
        body: bytes | None,
        running: str | None,
        recorder: ExchangeRecorder,
        model: str = "",
    ) -> Answer:
        """The answer that a delivery is, of a `model`; it has a player, unless it is a stream that leaves at once."""
        rules, streamed = self.rules, body is None
        if streamed and running is None and len(steps) == 1 and isinstance(emit := steps[0], Emit):
            return self._stream_at_once(emit, recorder, model)
        tail = SENTINELS[rules.done_sentinel]
        if streamed:
            recorder.keep_answer(steps=steps, stream="sse", content_type=SSE, tail=tail)
            recorder.exchange.transport = "sse"
        else:
            recorder.keep_answer(steps=steps, body=body)
        listener = TurnListener(self, recorder, running)
        keep_alive_s = SILENCES[rules.keep_alive] if streamed else math.inf
        poll_s = POLL_S if streamed and running is not None else math.inf
        player = Player(steps, listener, keep_alive_s=keep_alive_s, poll_s=poll_s)
        recorder.answer(200)
        if not streamed:
            return Answer(body or b"", player=player)
        return Answer(content_type=SSE, streamed=True, tail=tail, player=player)

    # --- turns in progress -----------------------------------------------------------------------------------------

    def finish(self, project: str, response_id: str, recorder: ExchangeRecorder | None = None) -> None:
        """End a turn whose delivery has ended, whatever the clock says."""
        self._end(project, response_id, lifecycle.finish, recorder)

    def leave(self, project: str, response_id: str, recorder: ExchangeRecorder | None = None) -> None:
        """Note that the client of a running turn went away: the turn goes on, or is cancelled. Spec: R6.9, R9.20."""
        running = lifecycle.read_running(self._calls.view(project), response_id)
        if self.rules.on_disconnect == "cancel" and running is not None and not running.background:
            self._end(project, response_id, lifecycle.cancel, recorder)

    def interruption(self, project: str, response_id: str, number: int) -> list[Event] | None:
        """Return how a stream in progress goes on, whose next event would have `number`. Spec: S12.5."""
        state = self._calls.reading(project).state
        if state.get("running", response_id) is not None:  # nearly always: nothing has happened meanwhile
            return None
        return background.interruption(state, response_id, number)

    def stop_early(
        self,
        turn: AnyTurn,
        request: dict[str, Any],
        kept: int,
        near: ConnectionRecords,
        seconds: float,
        recorder: ExchangeRecorder,
    ) -> Turn:
        """Let a turn in progress end with the first `kept` items of its output, in so many seconds. Spec: R4.16 A."""
        from mockserver.core import steering

        final = turn.final
        output = final["output"][:kept]
        usage = steering.usage_until(final, output, request, resolve_model(request, self.rules), self.rules)

        def stop(at: UnitOfWork) -> tuple[Turn, list[Change]]:
            node = steering.truncate_output(Layered(near, at.state), turn.node, kept)
            whole = turn if isinstance(turn, Turn) else turn.read()
            stopped = whole._replace(final=steering.stop_response(final, output, usage), node=node)
            recorder.exchange.turn = stopped
            return stopped, steering.reschedule(at.state, stopped, at.now + seconds)

        return self._calls.write(recorder.project, stop, recorder=recorder, transport="websocket")

    def _end(
        self, project: str, response_id: str, end: Callable[..., list[Change]], recorder: ExchangeRecorder | None
    ) -> None:
        state = self._calls.view(project)
        with self.store.transaction(project):
            running = lifecycle.read_running(state, response_id)
            if running is not None:
                changes = end(state, running, self.rules)
                self.store.apply(project, changes)
                if recorder is not None:
                    recorder.add_writes(None, changes)

    def close(self) -> None:
        """Close the store, the journal written."""
        self.journal.close()
        self.store.close()


class Replay(NamedTuple):
    """The delivery of a response that is stored already, or still running in the background."""

    steps: Sequence[Step]
    id: str


class TurnListener:
    """Tells a delivery's progress to the turn behind it, if one is `running`, and to the journal."""

    __slots__ = ("_engine", "_recorder", "_running")

    def __init__(self, engine: Engine, recorder: ExchangeRecorder, running: str | None) -> None:
        self._engine, self._recorder, self._running = engine, recorder, running

    def emit(self, events: int) -> None:
        """Count events that are written now."""
        self._recorder.exchange.events += events

    def finish_turn(self) -> None:
        """Write the turn, whose last bytes leave now."""
        if self._running is not None:
            with suppress(StoreUnavailable):  # then whoever calls next ends it: its time is over
                self._engine.finish(self._recorder.project, self._running, self._recorder)

    def end(self, how: str) -> None:
        """Record how the delivery ended; unless it was whole, the turn's client has left."""
        if self._running is not None and how != DELIVERED:
            with suppress(StoreUnavailable):  # then the turn goes on to its end
                self._engine.leave(self._recorder.project, self._running, self._recorder)
        self._recorder.end(how)

    def interruption(self, number: int) -> list[Event] | None:
        """Return how the stream goes on, whose next event would have `number`; None where nothing changes it."""
        if self._running is None:
            return None
        try:
            return self._engine.interruption(self._recorder.project, self._running, number)
        except StoreUnavailable:
            return None


_NO_LOCK = nullcontext()
NO_BODY = Answer(status=404, content_type=b"", headers=((b"x-content-type-options", b"nosniff"),))


def _project_name(key: str, openai_project: str) -> str:
    """A project's name; a key is never written down."""
    if not key and not openai_project:
        return DEFAULT_PROJECT
    return blake2b(f"{key}\n{openai_project}".encode(), digest_size=12).hexdigest()


__all__ = ["DEFAULT_PROJECT", "APIError", "Delivery", "Engine", "MockError", "Parts"]
