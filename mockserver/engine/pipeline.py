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
from mockserver.core.plain_turn import Plans, Shape
from mockserver.core.prompt_cache import MIN_TOKENS, NOTHING, lookup
from mockserver.core.records import Change, State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import Item
from mockserver.core.turn import Turn, plan, public_events
from mockserver.delivery.events import Body, Emit, Step, TimedStep, Wait, complete_at, deliver, duration
from mockserver.delivery.fault_effects import Effect, apply_to_body, apply_to_steps
from mockserver.engine.scenario_selection import Scenarios
from mockserver.engine.transactions import Recorder, UnitOfWork
from mockserver.faults.apply import FaultOutcome, may_act_on_turn, read_faults, ready_faults
from mockserver.faults.apply import apply as apply_faults
from mockserver.faults.spec import CallInfo
from mockserver.model.compaction_summary import compacting, summary_tokens
from mockserver.model.default_model import SeededModel
from mockserver.model.output_limit import truncate_to_limit
from mockserver.model.prompt import Prompt, Reply, Respondent
from mockserver.store.connection_overlay import ConnectionRecords, Layered
from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError
from mockserver.wire.requests import frames
from mockserver.wire.responses.encoding import json_body
from mockserver.wire.responses.events import Event, sse


class Delivery(NamedTuple):
    """A turn on its way to the caller: a JSON body, or events in time, faults and pacing laid over both.

    A `body` without `steps` leaves at once. `seconds` is how long the turn takes; one that takes time is `running`.
    """

    turn: Turn
    steps: Sequence[Step]
    body: bytes | None
    seconds: float

    @property
    def id(self) -> str:
        """The response's id."""
        return self.turn.final["id"]

    @property
    def running(self) -> bool:
        """Whether the turn goes on after the request was answered."""
        return self.seconds > 0


class Pipeline:
    """How turns are answered: by a scenario's lines, else by the model, at a pace, under faults."""

    def __init__(self, scenarios: Scenarios, model: Respondent, pacing: Pacing, *, seed: int, retains: bool) -> None:
        self._scenarios, self._model, self._pacing = scenarios, model, pacing
        self._seed, self._retains = seed, retains
        # plans know what the default model says, and when; a scenario may say something else
        usual = type(model) is SeededModel and pacing.instant and scenarios.silent and retains
        self._plans = Plans() if usual else None

    def answer(
        self, at: UnitOfWork, parts: Mapping[str, str], request: dict[str, Any], near: ConnectionRecords | None = None
    ) -> tuple[Delivery | APIError, list[Change]]:
        """Answer a judged request; `near` is what the socket it came over remembers. Spec: P1, R4.5.

        An error that is returned, not raised, is a fault's or a script's: what it used up is written.
        """
        state, rules, now, recorder = at.state, at.rules, at.now, at.recorder
        if not self._retains:  # zero data retention (R1.10): nothing is stored, whatever was said
            request = {**request, "store": False}
        if near is not None:
            near.reset_if_restarted(at.ordinal)
            state = Layered(near, state)
        plans = self._plans
        shape = None if plans is None or at.pending or at.scenario else plain_turn.shape_of(request)
        if shape is not None and plans is not None:
            planned = self._answer_by_plan(plans, shape, at, state, request, near)
            if planned is not None:
                return planned
        template = request.get("prompt")
        templated = template is not None and self._scenarios.has_template(at, template["id"])
        admission = admit(state, request, rules, at.id_generator, now, templated=templated)
        changes: list[Change] = []
        prompt = _prompt(at, state, admission)
        struck = self._strike(at, prompt) if "fault" in at.pending else None
        if struck is not None:
            recorder.add_faults(struck)
            changes += struck.changes
            if struck.error is not None:
                return struck.error, changes
        if admission.overflow:
            reply = OVERFLOW
        elif not _WARMING.isdisjoint(request) and _warms(request):
            reply = WARM
        else:
            reply, used = self._reply(at, admission, prompt)
            changes += used
        if reply.error is not None:
            return reply.error, changes
        cached = admission.input_tokens >= MIN_TOKENS  # no shorter prompt is looked up
        recalled = lookup(state, admission, rules, now) if cached else NOTHING
        turn = plan(admission, reply, recalled, rules, now, warming=reply is WARM)
        pacing = reply.pacing or self._pacing
        delivery, body = _lay_out(turn, request, reply, pacing, rules, now)
        changes += self._changes_of(at, state, delivery, body, admission, near, pacing)
        recorder.add_turn(delivery.turn, admission.dropped)
        if shape is not None and plans is not None:
            plans.learn(shape, admission, turn, rules)
        effects = recorder.effects
        return lay_faults(delivery, effects, recorder.call.transport) if effects else delivery, changes

    def _answer_by_plan(
        self,
        plans: Plans,
        shape: Shape,
        at: UnitOfWork,
        state: State,
        request: dict[str, Any],
        near: ConnectionRecords | None,
    ) -> tuple[Delivery, list[Change]] | None:
        """Answer a request by the plan of its shape; None where there is none that fits."""
        plan, rules, recorder = plans.find(shape), at.rules, at.recorder
        if plan is None:
            return None
        planned = plain_turn.answer(plan, shape, state, request, rules, at.id_generator, at.now)
        if planned is None:
            return None
        turn, body = planned
        changes = [*turn.learned, *lifecycle.commit(state, turn.node, body, at.ordinal, rules, ())]
        if near is not None:
            near.last_ordinal = at.ordinal
            changes[len(turn.learned) : 0] = near.ancestors(turn.node.parent)
        if rules.ttl_from != "created_at":
            changes += note_use(request, at.now)
        delivery = _new(Delivery, (turn, (), body, 0.0))
        if plan.streamed:
            delivery = _new(Delivery, (turn, [Emit(public_events(turn.final, turn.node.cues, rules))], None, 0.0))
        recorder.add_turn(turn, ())
        effects = recorder.effects
        return lay_faults(delivery, effects, recorder.call.transport) if effects else delivery, changes

    def _strike(self, at: UnitOfWork, prompt: Prompt) -> FaultOutcome | None:
        """Let the faults of turns strike one that was admitted; None where none may act. Spec: R15.7."""
        call, ready = at.recorder.call, at.recorder.turn_faults
        if ready is None:  # a turn that no call of its own began
            ready = ready_faults(at.state, call.method, call.path).on_turn
        if not may_act_on_turn(ready, prompt):
            return None
        model = prompt.request.get("model") or prompt.model.id
        info = CallInfo("POST", call.path, prompt.transport, len(call.body), model)
        # read again: another process may have used one since the call came in
        return apply_faults(read_faults(at.state), info, at.state, self._seed, at.now, prompt)

    def _reply(self, at: UnitOfWork, admission: Admission, prompt: Prompt) -> tuple[Reply, list[Change]]:
        """Return what the model says, what compacting the context adds to it, and what it used up. Spec: R5.3, R5.9."""
        compacts, scenarios = admission.compacts, self._scenarios
        reply: Reply | None = None
        used: list[Change] = []
        if "line" in at.pending or at.scenario or not scenarios.silent:
            reply, used = scenarios.answer(at, prompt, compacts)
        if reply is not None:
            reply = truncate_to_limit(reply, prompt, at.rules.count)
        elif compacts == "trigger":
            reply = Reply()  # the model is not asked
        else:
            reply = self._ask_once(prompt, at.recorder) if at.recorder.apart else self._model.respond(prompt)
        if compacts or "compaction" in map(_type_of, reply.output):
            tokens = summary_tokens(at.id_generator.seed("compaction"), admission.input_tokens)
            shape = at.rules.compaction_shape if compacts == "threshold" else "last"
            return compacting(reply, shape, tokens), used
        return reply, used

    def _ask_once(self, prompt: Prompt, recorder: Recorder) -> Reply:
        """Return what the model says, which is asked once for a prompt, also where the turn is worked out again."""
        if recorder.asked is None or recorder.asked[0] != prompt:
            recorder.asked = prompt, self._model.respond(prompt)
        return recorder.asked[1]

    def _changes_of(
        self,
        at: UnitOfWork,
        state: State,
        delivery: Delivery,
        body: bytes,
        admission: Admission,
        near: ConnectionRecords | None,
        pacing: Pacing,
    ) -> list[Change]:
        """Return what a turn changes: it is written at once, or kept as running until its end."""
        turn, rules = delivery.turn, at.rules
        changes = [*turn.learned]
        if turn.handed_out:
            changes += encrypted_content.remember(state, turn.handed_out)
        if near is not None:
            near.last_ordinal = at.ordinal
            changes += near.ancestors(turn.node.parent) if turn.stored else []
        if delivery.seconds or turn.final["background"]:
            changes += lifecycle.begin(state, turn, body, at.now, delivery.seconds, at.ordinal, pacing=pacing)
        else:
            changes += lifecycle.commit(
                state, turn.node, body if turn.stored else None, at.ordinal, rules, admission.again
            )
        if rules.ttl_from != "created_at":
            changes += note_use(admission.request, at.now)
        if admission.dropped and turn.stored:
            changes.append(truncation.drop_record(turn.id, admission.dropped))
        return changes


def _prompt(at: UnitOfWork, state: State, admission: Admission) -> Prompt:
    newest_first = partial(admission.newest_first, state)
    if admission.compacts == "trigger":  # it is nowhere kept, but a line may ask for it
        newest_first = partial(_append_item, newest_first, {"type": compaction.TRIGGER})
    transport = at.recorder.call.transport
    if transport == "http" and admission.request.get("stream"):
        transport = "sse"
    return Prompt(  # by place, for so it costs half
        admission.effective_request,
        admission.model,
        admission.visible_items,
        newest_first,
        admission.item_count,
        admission.before.turn + 1,
        at.id_generator.seed("reply"),
        transport,
        admission.input_tokens,
    )


def _append_item(newest_first: Callable[[], Iterable[Item]], last: Item) -> Iterator[Item]:
    """Walk a context with one more item at its end."""
    yield last
    yield from newest_first()


_type_of = itemgetter("type")
_WARMING = frozenset(("generate", "prompt_cache_options"))


def _warms(request: Mapping[str, Any]) -> bool:
    """Whether a request only warms up: its context is read and nothing is said. Spec: R4.4."""
    return request.get("generate") is False or bool((request.get("prompt_cache_options") or {}).get("prewarm"))


def _lay_out(
    turn: Turn, request: Mapping[str, Any], reply: Reply, pacing: Pacing, rules: Semantics, now: float
) -> tuple[Delivery, bytes]:
    """A turn's delivery and the body that is kept of it."""
    final, streamed = turn.final, bool(request.get("stream"))
    steps: list[TimedStep] = []
    seconds = 0.0
    if streamed or not pacing.instant:
        # also for a body: how long it takes follows from its events
        options = request.get("stream_options") or {}
        events = public_events(final, turn.node.cues, rules, padded=options.get("include_obfuscation"))
        steps = [Emit(events)]
        if not pacing.instant:
            steps = deliver(events, pacing.first_token_s, pacing.tokens_per_s)
            seconds = duration(steps)
            final, steps = complete_at(int(now + seconds), final, steps)
            turn = turn._replace(final=final)
    scripted = bool(reply.fields or reply.usage)
    body = lifecycle.encode_body(turn, scripted=scripted) if turn.stored or not streamed else b""
    if streamed:
        return Delivery(turn, steps, None, seconds), body
    if final["background"]:
        return Delivery(turn, [], json_body(background.queue_view(final, turn.node.cues)), seconds), body
    return _new(Delivery, (turn, [Wait(seconds), Body(body)] if seconds else [], body, seconds)), body


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

# What a warm-up says, at once. Spec: R4.4.
WARM = Reply(output_tokens=0, pacing=Pacing())

# What a turn is whose context is larger than the window, once its stream has begun. Spec: R7.3.
_E54 = errors.context_length_exceeded()
OVERFLOW = Reply(failed={"code": _E54.code, "message": _E54.message})

__all__ = ["Delivery", "Emit", "Pipeline", "Wait", "lay_faults"]
