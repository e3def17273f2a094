"""The engine: one synchronous coordinator of store, clock, model and script; every call is one transaction.

The edge calls it with bytes and plain values and gets bytes, events or an error back. Whatever raises here has
written nothing, apart from time that has passed and a scripted line that was used.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache, partial
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from mockserver.control.journal import current
from mockserver.core import background, compaction, conversations, lifecycle, pages, steering, truncation
from mockserver.core.admission import Admission, admit, compact_window, known_model, measure
from mockserver.core.cache import recall
from mockserver.core.lineage import live_response, missing, note_use
from mockserver.core.state import Change, Item, State
from mockserver.core.turn import Emit, Step, Turn, Wait, complete_at, deliver, duration, plan, shown_events
from mockserver.hazards import Hazards
from mockserver.levers import Levers
from mockserver.logbook import Logbook
from mockserver.model.prompt import Answering, Prompt, Reply, respondent
from mockserver.model.seeded import SeededModel, cap
from mockserver.model.summary import compacting, summary_tokens
from mockserver.scenarios import Scenarios
from mockserver.settings import Pacing, Settings
from mockserver.snapshot_file import start_of
from mockserver.store.layered import Layered, Nearby
from mockserver.store.view import Store, View, open_store
from mockserver.transactions import Operation, Transactions
from mockserver.wire import catalog, errors, frames, requests, resources
from mockserver.wire.encoding import json_body
from mockserver.wire.errors import APIError, MockError
from mockserver.wire.events import Event
from mockserver.wire.query import ListQuery, RetrieveQuery

DEFAULT_PROJECT = "default"


class Delivery(NamedTuple):
    """A turn on its way to the caller: a JSON body, or events in time. `running` turns are finished by delivery."""

    id: str
    model: str
    steps: list[Step]
    body: bytes | None
    seconds: float
    turn: Turn

    @property
    def running(self) -> bool:
        """Whether the turn goes on after the request was answered."""
        return self.seconds > 0


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
        start, settings = start_of(settings or Settings())
        self.scenarios = Scenarios(settings)
        self.settings = replace(settings, seed=self.scenarios.seed)
        self.model = SeededModel() if model is None else respondent(model)
        self._calls = Transactions(self.settings, store, wall, start)
        self.store, self.rules = self._calls.store, self._calls.rules
        self.logbook, self.hazards = Logbook(self._calls), Hazards(self._calls)
        self.levers = Levers(self._calls, self.scenarios, self.logbook, self.hazards)

    # --- callers -----------------------------------------------------------------------------------------------

    def project(self, authorization: str | None, openai_project: str | None) -> str:
        """Return the project of a caller: the key and `OpenAI-Project`, hashed, for keys are never written down.

        Raises E90 and E91 when only given keys are let in, E90 when any is needed.
        """
        key = (authorization or "").partition(" ")[2].strip()
        allowed = self.settings.api_key
        if not key and (allowed or self.rules.auth == "enforce"):
            raise errors.missing_bearer()
        if allowed and key not in allowed:
            raise errors.incorrect_api_key(key)
        return _project_name(key, openai_project or "")

    # --- responses ---------------------------------------------------------------------------------------------

    def create_response(self, project: str, body: bytes) -> Delivery:
        """Create a response: judged, admitted, answered, written, and laid out for delivery. Spec: P1."""
        return self.answer(project, self._judged(requests.create_response, body))

    def answer(self, project: str, request: dict[str, Any], near: Nearby | None = None) -> Delivery:
        """Answer a judged request; `near` is what the socket it came over remembers. Spec: P1, R4.5."""
        if self.rules.zdr == "on":
            request = {**request, "store": False}
        outcome = self._calls.write(project, lambda operation: self._answer(operation, request, near))
        if isinstance(outcome, APIError):
            raise outcome
        return outcome

    def _judged(self, read: Callable[..., dict[str, Any]], body: Any) -> dict[str, Any]:
        """Return a body as it was judged. Spec: E5 (switch `unknown_body_key`), E34 (switch `id_prefix_code`)."""
        try:
            return read(body, unknown_keys=self.rules.unknown_body_key)
        except APIError as error:
            if error.code_switch is not None:
                error.code = getattr(self.rules, error.code_switch)
            raise

    def _answer(self, operation: Operation, request: dict[str, Any], near: Nearby | None) -> Delivery | APIError:
        if near is not None:
            near.meet(operation.ordinal)
            operation.state = Layered(near, operation.state)
        state, mint, now = operation.state, operation.mint, operation.now
        template = request.get("prompt")
        templated = template is not None and self.scenarios.templated(operation, template["id"])
        admission = admit(state, request, self.rules, mint, now, templated=templated)
        refusal = None if operation.idle else self._struck(operation, admission)
        if refusal is not None:
            return refusal
        reply = OVERFLOW if admission.overflow else WARM if _warms(request) else self._replied(operation, admission)
        if reply.error is not None:
            return reply.error
        recalled = recall(state, admission, self.rules, now)
        turn = plan(admission, reply, recalled, self.rules, now, warming=reply is WARM)
        operation.changes += turn.learned
        if near is not None:
            near.seen = operation.ordinal
            operation.changes += near.ancestors(turn.node.parent) if turn.stored else []
        pacing = reply.pacing or self.settings.pacing
        delivery, body = self._laid_out(turn, request, reply, now)
        turn = delivery.turn  # now it knows when it completes
        if delivery.running or turn.final["background"]:
            operation.changes += lifecycle.begin(
                state, turn, body, now, delivery.seconds, operation.ordinal, pacing=pacing
            )
        else:
            kept = body if turn.stored else None
            operation.changes += lifecycle.commit(
                state, turn.node, kept, operation.ordinal, self.rules, admission.again
            )
        if self.rules.ttl_from != "created_at":
            operation.changes += note_use(request, now)
        if admission.dropped and turn.stored:
            operation.changes.append(truncation.dropped_put(turn.id, admission.dropped))
        exchange = current()
        if exchange is not None:
            exchange.turn, exchange.dropped = turn, admission.dropped
        return delivery

    def _struck(self, operation: Operation, admission: Admission) -> APIError | None:
        """Return the error of a fault that strikes a turn. Spec: R15.7."""
        if not operation.state.scan("fault", limit=1):
            return None
        return self.hazards.strike_turn(operation, current(), self._prompt(operation, admission))

    def _replied(self, operation: Operation, admission: Admission) -> Reply:
        """Return what the model says, and what compacting the context adds to it. Spec: R5.3, R5.9."""
        prompt = self._prompt(operation, admission)
        reply = self.scenarios.answer(operation, prompt, admission.compacts)
        if reply is not None:
            reply = cap(reply, prompt, self.rules.count)
        elif admission.compacts == "trigger":
            reply = Reply()  # the model is not asked
        else:
            reply = self.model.respond(prompt)
        if admission.compacts or "compaction" in [item["type"] for item in reply.output]:
            tokens = summary_tokens(operation.mint.seed("compaction"), admission.input_tokens)
            return compacting(
                reply, self.rules.compaction_shape if admission.compacts == "threshold" else "last", tokens
            )
        return reply

    def _prompt(self, operation: Operation, admission: Admission) -> Prompt:
        newest_first = partial(admission.newest_first, operation.state)
        if admission.compacts == "trigger":  # it is nowhere kept, but a line may ask for it
            newest_first = partial(_behind, newest_first, {"type": compaction.TRIGGER})
        return Prompt(
            request=admission.asked,
            model=admission.model,
            input=admission.seen,
            newest_first=newest_first,
            item_count=admission.item_count,
            turn=admission.before.turn + 1,
            seed=operation.mint.seed("reply"),
            transport=_transport(operation.state, admission.request),
            input_tokens=admission.input_tokens,
        )

    def _laid_out(self, turn: Turn, request: Mapping[str, Any], reply: Reply, now: float) -> tuple[Delivery, bytes]:
        """Return a turn's delivery and the body that is kept of it."""
        pacing = reply.pacing or self.settings.pacing
        final, streamed = turn.final, bool(request.get("stream"))
        steps, seconds = [], 0.0
        if streamed or not pacing.instant:
            options = request.get("stream_options") or {}
            events = shown_events(final, turn.node.cues, self.rules, padded=options.get("include_obfuscation"))
            steps = deliver(events, pacing.first_token_s, pacing.tokens_per_s)
            seconds = duration(steps)
            final, steps = complete_at(int(now + seconds), final, steps)
            turn = turn._replace(final=final)
        scripted = bool(reply.fields or reply.usage)
        body = lifecycle.stored_body(turn, scripted=scripted) if turn.stored or not streamed else b""
        if streamed:
            return Delivery(turn.id, final["model"], steps, None, seconds, turn), body
        answer = json_body(background.queued(final)) if final["background"] else body
        waits: list[Step] = [] if final["background"] or not seconds else [Wait(seconds)]
        return Delivery(turn.id, final["model"], waits, answer, seconds, turn), body

    def finish(self, project: str, response_id: str) -> None:
        """End a turn whose delivery has ended, whatever the clock says."""
        self._end(project, response_id, lifecycle.finish)

    def leave(self, project: str, response_id: str) -> None:
        """Note that the client of a running turn went away: the turn goes on, or is cancelled. Spec: R6.9, R9.20."""
        running = lifecycle.read_running(View(self.store, project), response_id)
        if self.rules.on_disconnect == "cancel" and running is not None and not running.background:
            self._end(project, response_id, lifecycle.cancel)

    def over_sockets(self) -> Engine:
        """Return this engine as sockets have it.

        A parent that is neither stored nor remembered is not found, whoever retains nothing; errors in a stream are
        nested. Spec: R4.7, websocket §4.
        """
        twin = object.__new__(Engine)
        for name, part in vars(self).items():  # one by one, for a copied __dict__ makes every look at it slow
            setattr(twin, name, part)
        twin.rules = replace(self.rules, zdr="off", stream_error_shape="nested")
        return twin

    def judged_frame(self, frame: dict[str, Any]) -> dict[str, Any]:
        """Return the judged request of a `response.create` frame. Spec: R4.1, R4.2."""
        return self._judged(partial(frames.create, stream_field=self.rules.ws_stream_field), frame)

    def stop_early(
        self, project: str, turn: Turn, request: dict[str, Any], kept: int, near: Nearby, seconds: float
    ) -> Turn:
        """Let a turn under way end with the first `kept` items of its output, in so many seconds. Spec: R4.16 A."""
        output = turn.final["output"][:kept]
        usage = steering.billed(turn.final, output, request, known_model(request, self.rules), self.rules)

        def work(at: Operation) -> Turn:
            node = steering.shortened(Layered(near, at.state), turn.node, kept)
            stopped = turn._replace(final=steering.steered(turn.final, output, usage), node=node)
            at.changes += steering.restated(at.state, stopped, at.now + seconds)
            exchange = current()
            if exchange is not None:
                exchange.turn = stopped
            return stopped

        return self._calls.write(project, work)

    def _end(self, project: str, response_id: str, end: Callable[..., list[Change]]) -> None:
        state = View(self.store, project)
        with self.store.transaction(project):
            running = lifecycle.read_running(state, response_id)
            if running is not None:
                changes = end(state, running, self.rules)
                self.store.apply(project, changes)
                exchange = current()
                if exchange is not None:
                    exchange.changed(changes)

    def retrieve_response(self, project: str, id: str, query: RetrieveQuery) -> bytes | list[Step]:
        """Return a stored response as a JSON body, or the delivery of its events. Spec: P2, R6.2, S11."""
        state, now = self._calls.reading(project)
        node, body = live_response(state, id, self.rules, now), state.get("response", id)
        if node is None or body is None:
            found = background.under_way(state, id, self.rules, query, now)
            if found is None:
                raise missing(state, id, self.rules, now)
            return found
        if query.include and not set(query.include) <= set(node.include):
            include = {*query.include, *node.include}
            response = orjson.loads(body)
            response["output"] = [resources.present(item, include) for item in node.items[node.own :]]
            body = json_body(response)
        if not query.stream:
            return body
        final = orjson.loads(body)
        if self.rules.get_stream_finished == "refuse":
            background.refuse_replay(final, node)
        if final["background"] and now >= final["created_at"] + self.rules.stream_replay_window:
            raise errors.stream_without_stream()
        events = shown_events(final, node.cues, self.rules, padded=query.include_obfuscation)
        return [Emit(events if query.starting_after is None else events[max(query.starting_after + 1, 0) :])]

    def compact_response(self, project: str, body: bytes) -> bytes:
        """Compact a window; nothing of it is stored, and its id can't be continued. Spec: P7, R5.6–R5.8."""
        request = self._judged(requests.compact, body)

        def work(at: Operation) -> tuple[Any, list[Change]]:
            window = compact_window(at.state, request, self.rules, at.mint, at.now)
            tokens = summary_tokens(at.mint.seed("compaction"), window.input_tokens)
            return compaction.compacted(request, window, tokens, self.rules, at.now), []

        return self._calls.change(project, work)

    def cancel_response(self, project: str, id: str) -> bytes:
        """Cancel a background response; once it is cancelled, doing so again changes nothing. Spec: P4, R6.3–R6.5."""

        def work(at: Operation) -> bytes:
            body, at.changes = background.cancel(at.state, id, self.rules, at.now)
            return body

        return self._calls.write(project, work)

    def interrupted(self, project: str, id: str, number: int) -> list[Event] | None:
        """Return how a stream under way goes on, whose next event would have `number`. Spec: S12.5."""
        state, _ = self._calls.reading(project)
        return background.interruption(state, id, number)

    def delete_response(self, project: str, id: str) -> bytes:
        """Delete a response. Spec: P3."""
        return self._calls.change(project, lambda at: lifecycle.delete_response(at.state, id, self.rules, at.now))

    def list_input_items(self, project: str, id: str, query: ListQuery) -> bytes:
        """List a response's input items. Spec: P5."""
        state, now = self._calls.reading(project)
        return json_body(pages.input_items(state, id, query, self.rules, now))

    def count_input_tokens(self, project: str, body: bytes) -> bytes:
        """Count the input tokens of a request. Spec: P6."""
        request = self._judged(requests.count_input_tokens, body)
        state, now = self._calls.reading(project)
        count = measure(state, request, self.rules, self._calls.mint(project, 0, now), now)
        return json_body({"object": "response.input_tokens", "input_tokens": count})

    # --- conversations -----------------------------------------------------------------------------------------

    def create_conversation(self, project: str, body: bytes) -> bytes:
        """Create a conversation. Spec: P9."""
        request = self._judged(requests.create_conversation, body)
        return self._calls.change(
            project, lambda at: conversations.create(at.state, request, at.mint, at.now, at.ordinal)
        )

    def retrieve_conversation(self, project: str, id: str) -> bytes:
        """Return a conversation. Spec: P10."""
        state, _ = self._calls.reading(project)
        return json_body(conversations.retrieve(state, id).object)

    def update_conversation(self, project: str, id: str, body: bytes) -> bytes:
        """Change a conversation's metadata. Spec: P11."""
        request = self._judged(requests.update_conversation, body)
        return self._calls.change(project, lambda at: conversations.update(at.state, id, request, self.rules))

    def delete_conversation(self, project: str, id: str) -> bytes:
        """Delete a conversation, not its items. Spec: P12."""
        return self._calls.change(project, lambda at: conversations.delete(at.state, id))

    def create_items(self, project: str, id: str, body: bytes, include: Iterable[str]) -> bytes:
        """Add items to a conversation. Spec: P13."""
        request = self._judged(requests.create_items, body)
        asked = frozenset(include)

        def work(at: Operation) -> tuple[Any, list[Change]]:
            items, changes = conversations.create_items(at.state, id, request, at.mint, at.now)
            return resources.page([resources.present(item, asked) for item in items], has_more=False), changes

        return self._calls.change(project, work)

    def list_items(self, project: str, id: str, query: ListQuery) -> bytes:
        """List a conversation's items. Spec: P14."""
        state, _ = self._calls.reading(project)
        return json_body(pages.conversation_items(state, id, query))

    def retrieve_item(self, project: str, id: str, item_id: str, include: Iterable[str]) -> bytes:
        """Return one item of a conversation. Spec: P15."""
        state, _ = self._calls.reading(project)
        item = conversations.retrieve_item(state, id, item_id)
        return json_body(resources.present(item, set(include)))

    def delete_item(self, project: str, id: str, item_id: str) -> bytes:
        """Delete one item of a conversation; returns the conversation. Spec: P16."""
        return self._calls.change(project, lambda at: conversations.delete_item(at.state, id, item_id))

    # --- models ------------------------------------------------------------------------------------------------

    def list_models(self) -> bytes:
        """List the models of the catalogue. Spec: P17."""
        return json_body({"object": "list", "data": [resources.model(name, entry) for name, entry in catalog.names()]})

    def retrieve_model(self, name: str) -> bytes:
        """Return one model; raises E12. Spec: P18."""
        entry = catalog.resolve(name)
        if entry is None:
            raise errors.model_unavailable(name)
        return json_body(resources.model(name, entry))

    def close(self) -> None:
        """Close the store, the journal written."""
        self.logbook.close()
        self.store.close()


def _behind(newest_first: Callable[[], Iterable[Item]], last: Item) -> Iterator[Item]:
    """Walk a context with one more item behind it."""
    yield last
    yield from newest_first()


def _warms(request: Mapping[str, Any]) -> bool:
    """Whether a request only warms up: its context is read and nothing is said. Spec: R4.4."""
    return request.get("generate") is False or bool((request.get("prompt_cache_options") or {}).get("prewarm"))


def _transport(state: State, request: Mapping[str, Any]) -> str:
    if isinstance(state, Layered):
        return "websocket"
    return "sse" if request.get("stream") else "http"


# What a warm-up says, at once. Spec: R4.4.
WARM = Reply(output_tokens=0, pacing=Pacing())

# What a turn is whose context is larger than the window, once its stream has begun. Spec: R7.3.
_E54 = errors.context_length_exceeded()
OVERFLOW = Reply(failed={"code": _E54.code, "message": _E54.message})


@lru_cache(maxsize=4096)
def _project_name(key: str, openai_project: str) -> str:
    """Return a project's name; a key is never written down."""
    if not key and not openai_project:
        return DEFAULT_PROJECT
    return blake2b(f"{key}\n{openai_project}".encode(), digest_size=12).hexdigest()


__all__ = ["APIError", "Delivery", "Emit", "Engine", "MockError", "Wait", "open_store"]
