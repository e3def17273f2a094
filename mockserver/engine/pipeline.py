"""A turn from its request to its delivery: admit, let the model answer, plan, lay out, write. Spec: P1.

Everything happens inside one transaction and before the first byte is sent, so whatever raises is a real HTTP status
and has written nothing. The order is the service's own (errors §3): what the request is refused for comes before the
faults of turns, those before the model, and a scripted line is used up only by a turn that got that far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any, NamedTuple

from mockserver.config.pacing import Pacing
from mockserver.core import background, compaction, encrypted_content, lifecycle, plain_turn, truncation
from mockserver.core.admission import Admission, admit
from mockserver.core.lineage import note_use
from mockserver.core.plain_turn import Planned, Plans, TurnRequest, shape_of, text_of
from mockserver.core.plans import Shape
from mockserver.core.prompt_cache import MIN_TOKENS, NOTHING, lookup
from mockserver.core.records import Change, State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import Item
from mockserver.core.turn import AnyTurn, Turn, plan, public_events
from mockserver.delivery.events import Body, Emit, Step, TimedStep, Wait, complete_at, deliver, duration
from mockserver.delivery.fault_effects import Effect, apply_to_body, apply_to_steps
from mockserver.engine.scenario_selection import Scenarios
from mockserver.engine.transactions import Recorder, UnitOfWork
from mockserver.faults.apply import FaultOutcome, read_faults, ready_faults
from mockserver.faults.apply import apply as apply_faults
from mockserver.faults.spec import CallInfo
from mockserver.journal.exchange import Call
from mockserver.model.compaction_summary import compacting, summary_tokens
from mockserver.model.default_model import SeededModel
from mockserver.model.output_limit import truncate_to_limit
from mockserver.model.prompt import Prompt, Reply, Respondent, input_text
from mockserver.scenarios.conditions import Gate, any_hold, rules_out
from mockserver.store.connection_overlay import ConnectionRecords, Layered
from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError
from mockserver.wire.requests import bodies, frames
from mockserver.wire.responses.encoding import json_body
from mockserver.wire.responses.event_list import sse
from mockserver.wire.responses.events import Event


class Delivery(NamedTuple):
    """A turn on its way to the caller: a JSON body, or events in time, faults and pacing laid over both.

    A `body` without `steps` leaves at once. `seconds` is how long the turn takes; one that takes time is `running`.
    """

    turn: AnyTurn
    steps: Sequence[Step]
    body: bytes | None
    seconds: float

    @property
    def id(self) -> str:
        """The response's id."""
        return self.turn.id

    @property
    def running(self) -> bool:
        """Whether the turn goes on after the request was answered."""
        return self.seconds > 0


class Said(NamedTuple):
    """What the test's author has set for a turn: a reply or an error, if any, and the changes that count its use."""

    reply: Reply | None
    changes: list[Change]
    error: APIError | None = None

    @property
    def pacing(self) -> Pacing | None:
        """The pace of the reply, if it has one of its own."""
        return None if self.reply is None else self.reply.pacing


class Pipeline:
    """How turns are answered: by a scenario's lines, else by the model, at a pace, under faults."""

    def __init__(self, scenarios: Scenarios, model: Respondent, pacing: Pacing, *, seed: int, retains: bool) -> None:
        self._scenarios, self._model, self._pacing = scenarios, model, pacing
        self._seed, self._retains = seed, retains
        # a model that plays what was recorded knows how long a hidden summary was
        self._summary_tokens: Callable[[str, int], int] = getattr(model, "summary_tokens", summary_tokens)
        # plans know what the default model says, and that it takes no time
        usual = type(model) is SeededModel and pacing.instant and retains
        self._plans = Plans() if usual else None

    def read(self, call: Call, parts: Mapping[str, str], rules: Semantics) -> TurnRequest:
        """The judged request of a call; raises the error that refuses it."""
        body = bodies.read_unjudged(call)
        if self._plans is not None:
            request = bodies.without_nulls(body) if None in body.values() else body
            shape = self._plans.recognize(request)
            if shape is not None:
                return _new(TurnRequest, (request, shape))
        return self.shape(bodies.judge(bodies.judge_response, body, rules))

    def shape(self, request: dict[str, Any]) -> TurnRequest:
        """A judged request with its shape."""
        return _new(TurnRequest, (request, None if self._plans is None else shape_of(request)))

    def forget_turns(self) -> None:
        """Hold nothing of single turns any more: a project was taken away."""
        if self._plans is not None:
            self._plans.forget_turns()

    def answer(
        self, at: UnitOfWork, parts: Mapping[str, str], asked: TurnRequest, near: ConnectionRecords | None = None
    ) -> tuple[Delivery | APIError, list[Change]]:
        """Answer a judged request; `near` is what the socket it came over remembers. Spec: P1, R4.5.

        An error that is returned, not raised, is a fault's or a script's: what it used up is written.
        """
        state, plans, (request, shape) = at.state, self._plans, asked
        if not self._retains:  # zero data retention (R1.10): nothing is stored, whatever was said
            request = {**request, "store": False}
        if near is not None:
            near.reset_if_restarted(at.ordinal)
            state = Layered(near, state)
        if at.pending and not _IN_PROGRESS.isdisjoint(at.pending):
            shape = None
        plan = None if shape is None or plans is None else plans.find(shape)
        if plan is None or shape is None:
            return self._answer_in_full(at, state, request, near, shape, None)
        opening = plain_turn.open_turn(plan, shape, state, request, at.rules, at.id_generator, at.now)
        if opening is None:
            return self._answer_in_full(at, state, request, near, shape, None)
        said = NOTHING_SAID
        if self._may_say(at, shape.text):
            prompt = opening.prompt(request, state, at.id_generator.seed("reply"), _transport_of(at, request))
            said = self._ask_author(at, prompt, "")
            if said.error is not None:
                return said.error, said.changes
        text = opening.echo() if said.reply is None else text_of(said.reply, plan.model)
        planned = None if text is None else plain_turn.complete(opening, text, state, request, at.rules, at.now)
        if planned is None:
            return self._answer_in_full(at, state, request, near, shape, said)
        return self._lay_out_plain(at, state, request, near, said, planned)

    def _answer_in_full(
        self,
        at: UnitOfWork,
        state: State,
        request: dict[str, Any],
        near: ConnectionRecords | None,
        shape: Shape | None,
        said: Said | None,
    ) -> tuple[Delivery | APIError, list[Change]]:
        """Answer a request of any kind; None says that the test's author was not asked yet."""
        rules, now, recorder = at.rules, at.now, at.recorder
        template = request.get("prompt")
        templated = template is not None and self._scenarios.has_template(at, template["id"])
        admission = admit(state, request, rules, at.id_generator, now, templated=templated)
        prompt = _prompt(at, state, admission)
        warms = not _WARMING.isdisjoint(request) and _warms(request)
        if said is None:
            answers = not admission.overflow and not warms
            said = self._ask_author(at, prompt, admission.compacts if answers else None)
        changes, reply = [*said.changes], said.reply
        if said.error is not None:
            return said.error, changes
        if admission.overflow:
            reply = OVERFLOW
        elif warms:
            reply = WARM
        else:
            reply = self._reply(at, admission, prompt, reply)
        if reply.error is not None:  # of a model of the test's own
            return reply.error, changes
        cached = admission.input_tokens >= MIN_TOKENS  # no shorter prompt is looked up
        recalled = lookup(state, admission, rules, now) if cached else NOTHING
        turn = plan(admission, reply, recalled, rules, now, warming=reply is WARM)
        pacing = reply.pacing or self._pacing
        delivery, turn, body = _lay_out(turn, request, pacing, rules, now, scripted=bool(reply.fields or reply.usage))
        changes += self._changes_of(at, state, turn, delivery.seconds, body, request, admission.again, near, pacing)
        if admission.dropped and turn.stored:
            changes.append(truncation.drop_record(turn.id, admission.dropped))
        recorder.add_turn(delivery.turn, admission.dropped)
        if shape is not None and self._plans is not None:
            self._plans.learn(shape, admission, reply, turn, rules)
        effects = recorder.effects
        return lay_faults(delivery, effects, recorder.call.transport) if effects else delivery, changes

    def _lay_out_plain(
        self,
        at: UnitOfWork,
        state: State,
        request: dict[str, Any],
        near: ConnectionRecords | None,
        said: Said,
        planned: Planned,
    ) -> tuple[Delivery, list[Change]]:
        """The delivery of a plain turn."""
        turn, in_conversation, events = planned
        recorder, pacing, tells_all = at.recorder, said.pacing or self._pacing, False
        if pacing.instant:
            shown = (turn, (), turn.body, 0.0) if events is None else (turn, [Emit(events)], None, 0.0)
            delivery = _new(Delivery, shown)
            changes = [*said.changes, *turn.learned]
            ancestors = () if near is None else _write_ancestors(near, turn, at.ordinal)
            tells_all = not ancestors
            changes += ancestors
            changes += lifecycle.commit_serialized(turn, in_conversation, at.ordinal)
            if at.rules.ttl_from != "created_at":
                changes += note_use(request, at.now)
        else:
            delivery, paced, body = _lay_out(turn.read(), request, pacing, at.rules, at.now, events=events)
            changes = [
                *said.changes,
                *self._changes_of(at, state, paced, delivery.seconds, body, request, _NO_IDS, near, pacing),
            ]
        recorder.add_turn(delivery.turn, (), tells_all=tells_all)
        effects = recorder.effects
        return lay_faults(delivery, effects, recorder.call.transport) if effects else delivery, changes

    def _is_scripted(self, at: UnitOfWork) -> bool:
        """Whether there is a line that may answer a turn."""
        return "line" in at.pending or at.scenario or not self._scenarios.silent

    def _may_say(self, at: UnitOfWork, text: str) -> bool:
        """Whether faults or lines may have a say in a turn that asks nothing but a text."""
        if self._is_scripted(at):
            return True
        return "fault" in at.pending and not rules_out(_gate_of(at), {input_text: text})

    def _ask_author(self, at: UnitOfWork, prompt: Prompt, compacts: str | None) -> Said:
        """What the test's author has set for a turn: faults of turns first, then lines. Spec: R15.7.

        `compacts` says whether the turn compacts its context, None that no line answers it.
        """
        changes: list[Change] = []
        struck = self._strike(at, prompt) if "fault" in at.pending else None
        if struck is not None:
            at.recorder.add_faults(struck)
            changes += struck.changes
            if struck.error is not None:
                return Said(None, changes, struck.error)
        if compacts is None or not self._is_scripted(at):
            return Said(None, changes) if changes else NOTHING_SAID
        reply, used = self._scenarios.answer(at, prompt, compacts)
        changes += used
        return Said(reply, changes, None if reply is None else reply.error)

    def _strike(self, at: UnitOfWork, prompt: Prompt) -> FaultOutcome | None:
        """Let the faults of turns strike one that was admitted; None where none may act. Spec: R15.7."""
        if not any_hold(_gate_of(at), prompt):
            return None
        call = at.recorder.call
        model = prompt.request.get("model") or prompt.model.id
        info = CallInfo("POST", call.path, prompt.transport, len(call.body), model)
        # read again: another process may have used one since the call came in
        return apply_faults(read_faults(at.state), info, at.state, self._seed, at.now, prompt)

    def _reply(self, at: UnitOfWork, admission: Admission, prompt: Prompt, scripted: Reply | None) -> Reply:
        """What is answered: the script's reply, or the model's, and what compacting adds to it. Spec: R5.3, R5.9."""
        compacts = admission.compacts
        if scripted is not None:
            reply = truncate_to_limit(scripted, prompt, at.rules.count)
        elif compacts == "trigger":
            reply = Reply()  # the model is not asked
        else:
            reply = self._ask_once(prompt, at.recorder) if at.recorder.apart else self._model.respond(prompt)
        if compacts or "compaction" in map(_type_of, reply.output):
            tokens = self._summary_tokens(at.id_generator.seed("compaction"), admission.input_tokens)
            shape = at.rules.compaction_shape if compacts == "threshold" else "last"
            return compacting(reply, shape, tokens)
        return reply

    def _ask_once(self, prompt: Prompt, recorder: Recorder) -> Reply:
        """Return what the model says, which is asked once for a prompt, also where the turn is worked out again."""
        if recorder.asked is None or recorder.asked[0] != prompt:
            recorder.asked = prompt, self._model.respond(prompt)
        return recorder.asked[1]

    def _changes_of(
        self,
        at: UnitOfWork,
        state: State,
        turn: Turn,
        seconds: float,
        body: bytes,
        request: dict[str, Any],
        again: frozenset[str],
        near: ConnectionRecords | None,
        pacing: Pacing,
    ) -> list[Change]:
        """Return what a turn changes: it is written at once, or kept as running until its end.

        Items with an id of `again` may stand in other turns too.
        """
        rules = at.rules
        changes = [*turn.learned]
        if turn.handed_out:
            changes += encrypted_content.remember(state, turn.handed_out)
        if near is not None:
            changes += _write_ancestors(near, turn, at.ordinal)
        if seconds or turn.final["background"]:
            changes += lifecycle.begin(state, turn, body, at.now, seconds, at.ordinal, pacing=pacing)
        else:
            changes += lifecycle.commit(state, turn.node, body if turn.stored else None, at.ordinal, rules, again)
        if rules.ttl_from != "created_at":
            changes += note_use(request, at.now)
        return changes


def _write_ancestors(near: ConnectionRecords, turn: AnyTurn, ordinal: int) -> list[Change]:
    """What a stored turn of a socket must bring along; the socket is told that it got through."""
    near.last_ordinal = ordinal
    return near.ancestors(turn.parent) if turn.stored else []


def _gate_of(at: UnitOfWork) -> Gate:
    """The conditions of faults that may act on a turn, as they were when its call came in."""
    gate, call = at.recorder.fault_gate, at.recorder.call
    return ready_faults(at.state, call.method, call.path).gate if gate is None else gate


def _prompt(at: UnitOfWork, state: State, admission: Admission) -> Prompt:
    newest_first = partial(admission.newest_first, state)
    if admission.compacts == "trigger":  # it is nowhere kept, but a line may ask for it
        newest_first = partial(_append_item, newest_first, {"type": compaction.TRIGGER})
    return Prompt(  # by place, for so it costs half
        admission.effective_request,
        admission.model,
        admission.visible_items,
        newest_first,
        admission.item_count,
        admission.before.turn + 1,
        at.id_generator.seed("reply"),
        _transport_of(at, admission.request),
        admission.input_tokens,
    )


def _transport_of(at: UnitOfWork, request: Mapping[str, Any]) -> str:
    transport = at.recorder.call.transport
    return "sse" if transport == "http" and request.get("stream") else transport


def _append_item(newest_first: Callable[[], Iterable[Item]], last: Item) -> Iterator[Item]:
    """Walk a context with one more item at its end."""
    yield last
    yield from newest_first()


_type_of = itemgetter("type")
_NO_IDS: frozenset[str] = frozenset()
_IN_PROGRESS = frozenset(("running", "fleeting"))  # kinds of records that may end, or be forgotten, by the next turn
_WARMING = frozenset(("generate", "prompt_cache_options"))


def _warms(request: Mapping[str, Any]) -> bool:
    """Whether a request only warms up: its context is read and nothing is said. Spec: R4.4."""
    return request.get("generate") is False or bool((request.get("prompt_cache_options") or {}).get("prewarm"))


def _lay_out(
    turn: Turn,
    request: Mapping[str, Any],
    pacing: Pacing,
    rules: Semantics,
    now: float,
    *,
    events: Sequence[Event] | None = None,
    scripted: bool = False,
) -> tuple[Delivery, Turn, bytes]:
    """A turn's delivery, the turn as it ends then, and the body that is kept of it.

    Its `events` are given if they are there already; `scripted` ones may have members of their own.
    """
    final, streamed = turn.final, bool(request.get("stream"))
    steps: Sequence[TimedStep] = []
    seconds = 0.0
    if streamed or not pacing.instant:
        # also for a body: how long it takes follows from its events
        if events is None:
            options = request.get("stream_options") or {}
            events = public_events(final, turn.node.cues, rules, padded=options.get("include_obfuscation"))
        steps = [Emit(events)]
        if not pacing.instant:
            steps = deliver(events, pacing.first_token_s, pacing.tokens_per_s)
            seconds = duration(steps)
            final, steps = complete_at(int(now + seconds), final, steps)
            turn = turn._replace(final=final)
    body = lifecycle.encode_body(turn, scripted=scripted) if turn.stored or not streamed else b""
    if streamed:
        return Delivery(turn, steps, None, seconds), turn, body
    if final["background"]:
        queued = json_body(background.queue_view(final, turn.node.cues))
        return Delivery(turn, [], queued, seconds), turn, body
    return _new(Delivery, (turn, [Wait(seconds), Body(body)] if seconds else [], body, seconds)), turn, body


def lay_faults(delivery: Delivery, effects: Sequence[Effect], transport: str) -> Delivery:
    """A delivery with faults laid over it."""
    if delivery.body is None:
        return delivery._replace(steps=apply_to_steps(delivery.steps, effects, ENCODERS[transport]))
    waits = [step for step in delivery.steps if isinstance(step, Wait)]
    body, steps = apply_to_body(delivery.body, waits, effects)
    return delivery._replace(body=body, steps=steps)


def encode_sse(event: Event) -> bytes:
    """One event as a stream of events carries it."""
    return sse([event])


def encode_frame(event: Event) -> bytes:
    """One event as a text frame of a socket carries it."""
    return frames.text(event).encode()


# what an event is on a transport, for faults that strike after so many bytes
ENCODERS: Mapping[str, Callable[[Event], bytes]] = {"http": encode_sse, "sse": encode_sse, "websocket": encode_frame}

NOTHING_SAID = Said(None, [])

# What a warm-up says, at once. Spec: R4.4.
WARM = Reply(output_tokens=0, pacing=Pacing())

# What a turn is whose context is larger than the window, once its stream has begun. Spec: R7.3.
_E54 = errors.context_length_exceeded()
OVERFLOW = Reply(failed={"code": _E54.code, "message": _E54.message})

__all__ = ["Delivery", "Emit", "Pipeline", "Wait", "lay_faults"]
