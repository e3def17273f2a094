"""One WebSocket connection, without its socket: frames in, frames and turns to be played out.

A connection holds its lanes and what it remembers of unstored responses; a `response.create` is answered by the same
engine as over HTTP, over a view that lays those records over the project's. Everything is synchronous; whoever owns the
socket plays the turns in time, step by step. Spec: R4.*, websocket §3 to §5.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from mockserver.core import steering
from mockserver.core.admission import resolve_model
from mockserver.core.steering import Steer
from mockserver.delivery.player import DELIVERED, KeepAlive, Player
from mockserver.delivery.schedule import FOREVER, Emit, Malformed, Step, duration, events_in
from mockserver.engine.engine import Engine
from mockserver.engine.journal_store import ExchangeRecorder
from mockserver.engine.pipeline import Delivery
from mockserver.journal.exchange import Call
from mockserver.store.connection_overlay import ConnectionRecords
from mockserver.websocket.lanes import Lanes, Start
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests import frames
from mockserver.wire.requests.frames import Frame, Lane
from mockserver.wire.responses import events, response_object
from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.responses.events import Event

log = logging.getLogger("understudy")

PATH = "/v1/responses"
LIFETIME_S = 3600.0
REMEMBERED = 256  # responses of this connection whose end is still known, for those who come too late
MOST_WAITING = 1024  # frames, and bytes of them, that wait for their lanes before no more are read
MOST_WAITING_BYTES = 16 * 1024 * 1024


class SendFrames(NamedTuple):
    """Send these frames now."""

    frames: list[Event]


class Playback:
    """A turn on its way over its lane, and the listener of its player.

    `number` is the sequence number of its next event. `told` counts the events about steering among those before: they
    share the counter of the turn. Spec: X6.
    """

    def __init__(
        self,
        connection: WebSocketSession,
        lane: Lane,
        request: dict[str, Any],
        delivery: Delivery,
        recorder: ExchangeRecorder,
    ) -> None:
        self._connection = connection
        self.lane, self.request, self.recorder = lane, request, recorder
        self.turn, self.running = delivery.turn, delivery.running
        self.player = Player(delivery.steps, self)
        self.told = 0
        self.steers: list[Steer] = []
        self.woken = False

    @property
    def number(self) -> int:
        """The sequence number of its next event, those about steering counted."""
        return self.player.number + self.told

    def take_number(self) -> int:
        """Return the number of an event that is told beside the turn's own."""
        self.told += 1
        return self.number - 1

    def emit(self, events: int) -> None:
        """Count events that are written now."""
        self.recorder.exchange.events += events

    def finish_turn(self) -> None:
        """Write the turn, whose last events leave now."""
        self._connection.commit(self)

    def end(self, how: str) -> None:
        """Record how the delivery ended; unless it was whole, the turn's client has left."""
        if how != DELIVERED:
            self._connection.abandon(self)
        self.recorder.end(how)
        if how == DELIVERED:
            self._connection.remember(self)

    def interruption(self, number: int) -> list[Event] | None:
        """Return how the stream goes on, whose next event would have `number`; None where nothing changes it."""
        return self._connection.interruption(self, number)


Out = SendFrames | Playback


class WaitingFrame(NamedTuple):
    """A frame that waits for its lane, its size in bytes, and the recorder of its exchange."""

    frame: Frame
    size: int
    recorder: ExchangeRecorder


class FinishedTurn(NamedTuple):
    """What is remembered of a turn that is over."""

    lane: Lane
    status: str
    number: int


class WebSocketSession:
    """What one socket knows; `headers` are those of its handshake."""

    def __init__(self, engine: Engine, project: str, headers: Mapping[bytes, bytes] | None = None) -> None:
        self._engine, self._project = engine, project
        self._headers = headers or {}
        self._rules = engine.rules
        self._near = ConnectionRecords()
        self._lanes = Lanes()
        self._active: dict[str, Playback] = {}
        self._ended: dict[str, FinishedTurn] = {}
        self._queued: dict[str, tuple[Lane, list[Steer]]] = {}  # response that waits for its answers → submissions
        self._waiting_bytes = 0
        self._submitted = 0
        self._opened_at = self._now()

    def _now(self) -> float:
        return float(self._engine.control.read_clock(self._project)["now"])

    def remaining_seconds(self) -> float:
        """Return how long this connection may go on by the project's clock. Spec: R4.12."""
        return self._opened_at + LIFETIME_S - self._now()

    @property
    def is_congested(self) -> bool:
        """Whether so much waits that no more should be read for now."""
        return self._lanes.waiting >= MOST_WAITING or self._waiting_bytes >= MOST_WAITING_BYTES

    # --- Frames in ---------------------------------------------------------------------------------------------

    def receive(self, data: bytes) -> list[Out]:
        """Take a frame in; returns what is to be said and played because of it."""
        lane: Lane = None
        recorder: ExchangeRecorder | None = None
        try:
            frame = frames.read(data)
            if frame["type"] != frames.CREATE:
                return [_OTHERS[frame["type"]](self, frame)]
            recorder = self._record(data)
            lane = frames.lane_of(frame)
            starts = self._lanes.submit(lane, WaitingFrame(frame, len(data), recorder))
        except (APIError, MockError) as error:
            return [self._refusal(error, lane, recorder or self._record(data))]
        self._waiting_bytes += len(data)
        return self._start(starts)

    def _record(self, body: bytes) -> ExchangeRecorder:
        """Begin to record what a frame wants: the same that a POST would."""
        call = Call("POST", PATH, body, self._project, (), self._headers, "websocket")
        recorder = self._engine.journal.record(call)
        recorder.project = self._project
        return recorder

    def _refusal(self, error: APIError | MockError, lane: Lane, recorder: ExchangeRecorder) -> SendFrames:
        recorder.exchange.events, recorder.exchange.ended = 1, DELIVERED
        recorder.answer(error.status, error)
        return SendFrames([frames.error_frame(error, lane, null_members=self._rules.ws_null_members)])

    def _start(self, starts: Iterable[Start]) -> list[Out]:
        """Begin what starts; what is refused makes room for what comes next."""
        outs: list[Out] = []
        todo = deque(starts)
        while todo:
            lane, asked = todo.popleft()
            self._waiting_bytes -= asked.size
            try:
                outs += self._begin(lane, asked)
            except Exception as failure:
                error = _as_error(failure)
                self._forget_parent(lane, asked.frame.get("previous_response_id"))
                outs.append(self._refusal(error, lane, asked.recorder))
                todo.extend(self._lanes.release_lane(lane))
        return outs

    def _begin(self, lane: Lane, asked: WaitingFrame) -> list[Out]:
        recorder = asked.recorder
        self._engine.strike(recorder)
        request = self._engine.judge_frame(asked.frame)
        parent = request.get("previous_response_id")
        waiting_lane, steers = self._queued.get(parent or "", (None, []))
        if steers and waiting_lane == lane:
            request = steering.with_steers(request, steers)
            playback = self._answer(lane, request, recorder)
            del self._queued[parent or ""]
        else:
            playback = self._answer(lane, request, recorder)
        return [*self._return_steers(lane), playback]

    def _answer(self, lane: Lane, request: dict[str, Any], recorder: ExchangeRecorder) -> Playback:
        """Have a request answered; the parent is captured before anything is said. Spec: R4.11."""
        if self._rules.zdr == "on":
            request = {**request, "store": False}
        delivery = self._engine.respond(request, self._near, recorder)
        recorder.answer(200)
        playback = Playback(self, lane, request, delivery, recorder)
        self._near.retain(playback.turn.node.parent)
        self._active[delivery.id] = playback
        return playback

    # --- Memory ------------------------------------------------------------------------------------------------

    def _place(self, lane: Lane) -> Lane:
        """Return whose latest response a lane's is. Spec: R4.6 (switch `ws_cache`)."""
        return lane if self._rules.ws_cache == "per_lane" else None

    def _forget_parent(self, lane: Lane, parent: Any) -> None:
        """Forget the parent of a continuation on its own lane that failed; a fork's parent stays. Spec: R4.8."""
        place = self._place(lane)
        if parent is not None and self._near.latest(place) == parent:
            self._near.evict(place)

    def remember(self, playback: Playback) -> None:
        """Keep what can still be continued of a turn that is over. Spec: R4.6."""
        turn = playback.turn
        if turn.node.status in self._rules.chain_onto:
            self._near.remember(self._place(playback.lane), turn.id, None if turn.stored else turn.node)
        else:
            self._forget_parent(playback.lane, playback.request.get("previous_response_id"))
        self._near.release(turn.node.parent)
        self._ended[turn.id] = FinishedTurn(playback.lane, turn.node.status, playback.number)
        if len(self._ended) > REMEMBERED:
            del self._ended[next(iter(self._ended))]

    # --- Turns in time -----------------------------------------------------------------------------------------

    def advance(self, playback: Playback) -> Step | None:
        """Return what a turn does next, its events as frames, None when it is over."""
        told = playback.told
        step = playback.player.next()
        if isinstance(step, Malformed):
            return Malformed(self._to_frame(step.event, told, playback.lane))
        if isinstance(step, KeepAlive):  # a socket has pings of its own
            return self.advance(playback)
        if not isinstance(step, Emit):
            return step
        if playback.lane is None and not told and playback.turn.final["error"] is None:
            return step  # as it is
        return Emit([self._to_frame(event, told, playback.lane) for event in step.events])

    def _to_frame(self, event: Event, told: int, lane: Lane) -> Event:
        if told:
            event = {**event, "sequence_number": event["sequence_number"] + told}
        if event["type"] == "error":
            event = {**event, "error": frames.members(event["error"], self._rules.ws_null_members)}
        return frames.with_lane(event, lane)

    def commit(self, playback: Playback) -> None:
        """Write a turn that is over."""
        if playback.running:
            self._engine.finish(self._project, playback.turn.id, playback.recorder)
        self._active.pop(playback.turn.id, None)

    def abandon(self, playback: Playback) -> None:
        """Note that the client of a turn is gone: it goes on, or is cancelled. Spec: R9.20."""
        self._active.pop(playback.turn.id, None)
        if playback.running:
            self._engine.leave(self._project, playback.turn.id, playback.recorder)

    def interruption(self, playback: Playback, number: int) -> list[Event] | None:
        """Return how a turn goes on that has waited: one that the clock has ended waits no more."""
        return self._engine.interruption(self._project, playback.turn.id, number)

    def on_turn_end(self, playback: Playback) -> list[Out]:
        """Return what follows a turn whose last events were sent: its successor, or what waited for its lane."""
        outs: list[Out] = []
        if playback.steers:
            owed = steering.input_stubs(playback.turn.final["output"])
            if not owed:
                follower = self._successor(playback)
                if isinstance(follower, Playback):
                    return [follower]
                outs.append(follower)
            else:
                self._queued[playback.turn.id] = (playback.lane, playback.steers)
                outs.append(self._pending(playback, owed))
        return [*outs, *self._start(self._lanes.release_lane(playback.lane))]

    def leave(self) -> None:
        """Note that the client is gone: turns in progress go on or are cancelled, the rest is forgotten."""
        for playback in list(self._active.values()):
            playback.player.leave()

    # --- Steering ----------------------------------------------------------------------------------------------

    def _steer(self, frame: Frame) -> SendFrames:
        """Answer a steering submission. Spec: R4.16."""
        frames.check_addressed(frame, "previous_response_id")
        id = frame["previous_response_id"]
        playback = self._active.get(id)
        refusal = self._steering_refusal(frame, id, playback)
        if playback is None or refusal is not None:
            code, message = refusal or ("response_not_found", "")
            number = playback.take_number() if playback else 0
            lane = playback.lane if playback else self._ended[id].lane if id in self._ended else None
            return SendFrames([frames.with_lane(frames.steer_failure(frame, code, message, number), lane)])
        self._submitted += 1
        steer = Steer(_steer_id(id, self._submitted), frame)
        playback.steers.append(steer)
        accepted = frames.steer_acceptance(steer.id, id, playback.take_number())
        self._stop_early(playback)
        return SendFrames([frames.with_lane(accepted, playback.lane)])

    def _steering_refusal(self, frame: Frame, id: str, playback: Playback | None) -> tuple[str, str] | None:
        """Return code and sentence of the refusal of a submission, None when it is taken; the sentences are ours."""
        try:
            frames.check_steer(frame)
        except APIError as error:
            return "invalid_input", error.message
        if playback is None:
            ended = self._ended.get(id)
            if ended is None:
                return "response_not_found", f"Response with id '{id}' not found."
            if ended.status == "completed":
                return "response_already_completed", f"Response '{id}' has already completed."
            return "response_not_active", f"Response '{id}' is no longer accepting steering input."
        reason = steering.refusal_reason(playback.request, resolve_model(playback.request, self._rules))
        if reason is not None:
            return "steering_not_supported", reason
        if len(playback.steers) >= steering.MOST_PENDING:
            return "too_many_pending_steers", f"Too much steering input is pending for response '{id}'."
        return None

    def _stop_early(self, playback: Playback) -> None:
        """Let a turn end at the next safe boundary, if one comes before its end."""
        player = playback.player
        past, ahead = events_in(player.steps[: player.position]), events_in(player.steps[player.position :])
        stop = steering.boundary(past, ahead)
        if stop is None:
            return
        kept = sum(event["type"] == "response.output_item.done" for event in [*past, *ahead[:stop]])
        rest = _first(player.steps[player.position :], stop)
        seconds = duration(step for step in rest if step != FOREVER)
        playback.turn = self._engine.stop_early(
            playback.turn, playback.request, kept, self._near, seconds, playback.recorder
        )
        final = response_object.without_billing(playback.turn.final)
        terminal = events.lifecycle("response.incomplete", final, len(past) + stop)
        playback.woken = stop == 0
        player.replace_rest([*rest, Emit([terminal])], at_once=playback.woken)

    def _successor(self, playback: Playback) -> Out:
        """Return the turn that goes on with what was submitted, or why there is none. Spec: R4.16 B."""
        id, lane = playback.turn.id, playback.lane
        request = steering.successor(playback.request, id, playback.steers)
        recorder = self._record(json_compact(request))
        try:
            return self._answer(lane, request, recorder)
        except Exception as failure:
            self._refusal(_as_error(failure), lane, recorder)
            message = _as_error(failure).message
            self._forget_parent(lane, id)
            return self._refuse_steers(playback.steers, message, lane)

    def _refuse_steers(self, steers: Iterable[Steer], message: str, lane: Lane) -> SendFrames:
        code = "successor_creation_failed"
        failed = [frames.steer_failure(one.frame, code, message, 0, one.id) for one in steers]
        return SendFrames([frames.with_lane(event, lane) for event in failed])

    def _pending(self, playback: Playback, owed: list[dict[str, Any]]) -> SendFrames:
        """Tell each submission that it waits for the client's answers. Spec: R4.16 C."""
        id = playback.turn.id
        told = [frames.steer_pending(one.id, id, owed, playback.take_number()) for one in playback.steers]
        return SendFrames([frames.with_lane(event, playback.lane) for event in told])

    def _return_steers(self, lane: Lane) -> list[SendFrames]:
        """Return the submissions that can't be committed any more, since their lane goes on without them."""
        lost = [id for id, (waiting_lane, _) in self._queued.items() if waiting_lane == lane]
        said = []
        for id in lost:
            message = f"The lane went on without the required input of response '{id}'."
            said.append(self._refuse_steers(self._queued.pop(id)[1], message, lane))
        return said

    # --- Injection ---------------------------------------------------------------------------------------------

    def _inject(self, frame: Frame) -> SendFrames:
        """Refuse an injection: only multi-agent responses take one, and there are none here. Spec: X7, R15.8."""
        frames.check_addressed(frame, "response_id")
        id = frame["response_id"]
        if id in self._active:
            raise MockError("The mock does not support multi-agent responses.", status=501, param="response_id")
        ended = self._ended.get(id)
        if ended is None:
            return SendFrames([frames.inject_failure(frame, 0, ended=False)])
        return SendFrames([frames.with_lane(frames.inject_failure(frame, ended.number, ended=True), ended.lane)])


_OTHERS: dict[str, Callable[[WebSocketSession, Frame], Out]] = {
    frames.STEER: WebSocketSession._steer,
    frames.INJECT: WebSocketSession._inject,
}


def _as_error(failure: Exception) -> APIError | MockError:
    """Return what is said of a failure; one of the mock's own is logged. Nobody else's mistake may stop a lane."""
    if isinstance(failure, APIError | MockError):
        return failure
    log.error("a fault of the mock: response.create", exc_info=failure)
    return MockError("The mock itself failed; its log has the traceback.", status=500)


def _steer_id(response_id: str, number: int) -> str:
    """Return the id of a submission. Spec: X6."""
    return "steer_" + blake2b(f"{response_id}/{number}".encode(), digest_size=16).hexdigest()


def _first(steps: Sequence[Step], count: int) -> list[Step]:
    """Return the beginning of a delivery: so many events, and the waiting between them."""
    kept: list[Step] = []
    for step in steps:
        if count == 0:
            break
        if isinstance(step, Emit):
            step = Emit(step.events[:count])
            count -= len(step.events)
        kept.append(step)
    return kept
