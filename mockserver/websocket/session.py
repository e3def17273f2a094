"""One WebSocket connection, without its socket: frames in, frames and turns to be played out. Spec: R4.*."""

# How it works. Whoever owns the socket gives each frame to `receive` and gets values back: frames to send, and turns to
# play (`playback.py`). It calls `advance` for each step of a turn, in its own time, and `on_turn_end` when there is
# none left. A `response.create` waits in its lane (`lanes.py`), then the engine answers it as it answers a POST, over a
# view that lays the connection's unstored responses over the project's. A `response.steer` goes to `steering.py`.
#
# What must stay true:
# * Nothing here waits. A turn that can't be begun, even by a fault of the mock, is an error frame on its lane: it must
#   not end the socket of fifteen other turns.
# * A lane that has started a frame is released exactly once, by the frame's refusal or by the end of its turn or of its
#   last successor. Otherwise it would stop for good.
# * The parent's context is captured before the first event leaves, for `response.in_progress` tells the client that the
#   parent may be evicted now. Spec: R4.11.
# * Only the latest response of each lane can be continued if it is not stored (R4.6), and a continuation that fails on
#   its own lane evicts it (R4.8). Ancestors live as long as a turn or a younger response needs them.
# * All that grows has a limit: waiting frames by number and size (the owner stops reading), what is known of turns that
#   are over, lanes, submissions.

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from mockserver.core.records import _new
from mockserver.delivery.events import Emit, Malformed, Step
from mockserver.delivery.player import DELIVERED, DISCONNECTED, KeepAlive
from mockserver.engine.engine import Engine
from mockserver.engine.journal_store import ExchangeRecorder
from mockserver.journal.exchange import Call
from mockserver.store.connection_overlay import ConnectionRecords
from mockserver.websocket.lanes import Lanes, Start
from mockserver.websocket.playback import (
    PATH,
    FinishedTurn,
    Out,
    Playback,
    SendFrames,
    Transcript,
    WaitingFrame,
    to_error,
)
from mockserver.websocket.steering import Steering
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests import frames
from mockserver.wire.requests.frames import Frame, Lane
from mockserver.wire.responses.encoding import json_compact, without_spare
from mockserver.wire.responses.events import Event

LIFETIME_S = 3600.0
REMEMBERED = 256  # turns that are over and whose end is still known, for a steer or an inject that comes too late
# Frames, and bytes of them, that wait for their lanes before no more are read. A lane never refuses (R4.9), so the
# only brake left is TCP's: the client's writes wait.
MOST_WAITING = 1024
MOST_AT_ONCE = 16 * 1024  # bytes of waiting frames that begin without delay to others
MOST_WAITING_BYTES = 16 * 1024 * 1024


class WebSocketSession:
    """What one socket knows; `headers` are those of its handshake."""

    def __init__(self, engine: Engine, project: str, headers: Mapping[bytes, bytes] | None = None) -> None:
        self._engine, self._project = engine, project
        self._headers = headers or {}
        self._rules = engine.rules
        self._near = ConnectionRecords()
        engine.note_socket(self._near)
        self._token = object()  # tells in the journal what went over this socket
        self._lanes = Lanes()
        self._active: dict[str, Playback] = {}  # by response
        self._finished: dict[str, FinishedTurn] = {}  # by response, the oldest first
        self._steering = Steering(engine, self._near)
        self._waiting_bytes = 0
        self._apart = False  # whether what is in progress is done in a thread of its own
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

    @property
    def has_long_frames(self) -> bool:
        """Whether what waits is so long that to begin it may take long."""
        return self._waiting_bytes > MOST_AT_ONCE

    @property
    def busy_lanes(self) -> int:
        """On how many lanes a turn is played."""
        return self._lanes.in_flight

    # --- Frames in ---------------------------------------------------------------------------------------------

    def receive(self, data: bytes, *, apart: bool = False) -> list[Out]:
        """Take a frame in; returns what is to be said and played because of it.

        `apart` says that this is done in a thread, and that others' calls are answered meanwhile.
        """
        self._apart = apart
        lane: Lane = None
        recorder: ExchangeRecorder | None = None
        try:
            frame = frames.read(data)
            if frame["type"] != frames.CREATE:
                return [_OTHERS[frame["type"]](self, frame)]
            recorder = self._record(data)
            lane = frames.lane_of(frame)
            starts = self._lanes.submit(lane, _new(WaitingFrame, (frame, len(data), recorder)))
        except (APIError, MockError) as error:
            return [self._refusal(error, lane, recorder or self._record(data))]
        self._waiting_bytes += len(data)
        return self._start(starts)

    def _record(self, body: bytes) -> ExchangeRecorder:
        """Begin to record what a frame wants: the same that a POST would."""
        call = _new(Call, ("POST", PATH, body, self._project, (), self._headers, "websocket"))
        recorder = self._engine.journal.record(call)
        recorder.project, recorder.apart = self._project, self._apart
        if self._engine.events.is_on:
            self._engine.journal.announce(self._project, recorder.exchange)
        return recorder

    def _refusal(self, error: APIError | MockError, lane: Lane, recorder: ExchangeRecorder) -> SendFrames:
        recorder.exchange.events, recorder.exchange.ended = 1, DELIVERED
        frame = frames.error_frame(error, lane, null_members=self._rules.ws_null_members)
        self._keep(recorder, (Emit([frame]),), None)
        recorder.answer(error.status, error)
        return SendFrames([frame])

    def _keep(
        self, recorder: ExchangeRecorder, steps: Sequence[Step], lane: Lane, sent: Sequence[tuple[int, bytes]] = ()
    ) -> None:
        recorder.keep_answer(steps=steps, stream="websocket", status=101, lane=lane, socket=self._token, sent=sent)

    def _start(self, starts: Iterable[Start]) -> list[Out]:
        """Begin what starts; what is refused makes room for what comes next."""
        outs: list[Out] = []
        todo = deque(starts)  # and no recursion: a thousand refused frames may wait in one lane
        while todo:
            lane, waiting = todo.popleft()
            self._waiting_bytes -= waiting.size
            try:
                outs += self._begin(lane, waiting)
            except Exception as failure:
                self._forget_parent(lane, waiting.frame.get("previous_response_id"))
                outs.append(self._refusal(to_error(failure), lane, waiting.recorder))
                todo.extend(self._lanes.release_lane(lane))
        return outs

    def _begin(self, lane: Lane, waiting: WaitingFrame) -> list[Out]:
        self._engine.strike(waiting.recorder)
        request = self._engine.judge_frame(waiting.frame)
        if not self._steering.pending:  # nearly always: nobody steers
            return [self._answer(lane, request, waiting.recorder)]
        playback = self._answer(lane, self._steering.with_pending(lane, request), waiting.recorder)
        waiting.recorder.drop_answer()  # it answers more than its frame
        return [*self._steering.settle_lane(lane, request.get("previous_response_id")), playback]

    def _answer(self, lane: Lane, request: dict[str, Any], recorder: ExchangeRecorder) -> Playback:
        """Have a request answered; the parent is captured before anything is said. Spec: R4.11."""
        if self._rules.zdr == "on":  # who retains nothing still continues on the socket
            request = {**request, "store": False}
        recorder.apart = self._apart  # it may have waited, and others begin it
        delivery = self._engine.respond(request, self._near, recorder)
        takes_time = delivery.running or len(delivery.steps) > 1
        if takes_time or recorder.effects:
            self._keep(recorder, delivery.steps, lane)
        else:
            recorder.keep_events(delivery.turn, "websocket", status=101, lane=lane, socket=self._token)
        if takes_time:  # else its only step ends it, and the end is noted
            recorder.answer(200)
        playback = Playback(self, lane, request, delivery, recorder)
        self._near.retain(playback.turn.parent)
        self._active[delivery.id] = playback
        return playback

    def _create_successor(self, lane: Lane, request: dict[str, Any]) -> Playback:
        """Answer a request that steering made, recorded like one that a client sent; raises the error that refuses it.

        Spec: R4.16 B.
        """
        recorder = self._record(without_spare(json_compact(request)))
        try:
            playback = self._answer(lane, request, recorder)
            recorder.drop_answer()  # nobody sent this request
            return playback
        except Exception as failure:
            error = to_error(failure)
            self._refusal(error, lane, recorder)  # for the journal; the client gets its submissions back instead
            self._forget_parent(lane, request["previous_response_id"])
            raise error from failure

    # --- Memory ------------------------------------------------------------------------------------------------

    def _cache_lane(self, lane: Lane) -> Lane:
        """Return whose latest response a lane's is. Spec: R4.6 (switch `ws_cache`)."""
        return lane if self._rules.ws_cache == "per_lane" else None

    def _forget_parent(self, lane: Lane, parent: Any) -> None:
        """Forget the parent of a continuation on its own lane that failed; a fork's parent stays. Spec: R4.8."""
        place = self._cache_lane(lane)
        if parent is not None and self._near.latest(place) == parent:
            self._near.evict(place)

    def remember(self, playback: Playback) -> None:
        """Keep what can still be continued of a turn that is over. Spec: R4.6."""
        turn = playback.turn
        if turn.status in self._rules.chain_onto:
            self._near.remember(self._cache_lane(playback.lane), turn.id, None if turn.stored else turn.node)
        else:
            self._forget_parent(playback.lane, playback.request.get("previous_response_id"))
        self._near.release(turn.parent)
        self._finished[turn.id] = _new(FinishedTurn, (playback.lane, turn.status, playback.number))
        if len(self._finished) > REMEMBERED:
            del self._finished[next(iter(self._finished))]

    # --- Turns in time -----------------------------------------------------------------------------------------

    def advance(self, playback: Playback) -> Step | None:
        """Return what a turn does next, its events as frames, None when it is over."""
        step = self._next_step(playback)
        if playback.transcript is not None and step is not None:
            playback.transcript.steps.append(step)
        return step

    def _next_step(self, playback: Playback) -> Step | None:
        shift = playback.steering_events
        step = playback.player.next()
        if isinstance(step, Emit):
            if playback.is_plain:
                return step  # nothing to add: the events leave as they are, without a copy of each
            return Emit([self._to_frame(event, shift, playback.lane) for event in step.events])
        if isinstance(step, Malformed):
            return Malformed(self._to_frame(step.event, shift, playback.lane))
        assert not isinstance(step, KeepAlive)  # these are for SSE: a socket has pings of its own
        return step

    def _to_frame(self, event: Event, shift: int, lane: Lane) -> Event:
        if shift:
            event = {**event, "sequence_number": event["sequence_number"] + shift}
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

    def on_turn_end(self, playback: Playback, *, apart: bool = False) -> list[Out]:
        """Return what follows a turn whose last events were sent: its successor, or what waited for its lane."""
        self._apart = apart
        following = self._steering.end_turn(playback, self._create_successor)
        outs: list[Out] = [] if following is None else [following]
        transcript = playback.transcript
        if isinstance(following, Playback):
            following.transcript = transcript
            return outs  # the lane stays busy: what waits in it came after the submissions
        if transcript is not None:
            transcript.steps += [Emit(following.frames)] if following is not None else []
            self._keep(transcript.recorder, transcript.steps, playback.lane, transcript.sent)
        starts = self._lanes.release_lane(playback.lane)
        return [*outs, *self._start(starts)] if starts else outs

    def leave(self) -> None:
        """Note that the client is gone: turns in progress go on or are cancelled, the rest is forgotten."""
        for playback in list(self._active.values()):
            playback.player.leave()
        for waiting in self._lanes.waiting_frames():
            waiting.recorder.abandon(DISCONNECTED)
        self._near.forget()  # now, and not once it is collected: what only it needed can be deleted from here on

    # --- Frames that are no turns ------------------------------------------------------------------------------

    def _steer(self, frame: Frame) -> SendFrames:
        frames.check_addressed(frame, "previous_response_id")
        id = frame["previous_response_id"]
        steered = self._active.get(id)
        if steered is None:
            return self._steering.submit(frame, None, self._finished.get(id))
        if steered.transcript is None:  # it leaves in another way than it was laid out, and is kept at its end
            steered.recorder.drop_answer()
            steered.transcript = Transcript(steered.recorder, steered.player.steps[: steered.player.position])
        steered.transcript.note_sent(frame)
        out = self._steering.submit(frame, steered, self._finished.get(id))
        steered.transcript.steps.append(Emit(out.frames))
        return out

    def _inject(self, frame: Frame) -> SendFrames:
        """Refuse an injection: only multi-agent responses take one, and there are none here. Spec: X7, R15.8."""
        frames.check_addressed(frame, "response_id")
        id = frame["response_id"]
        if id in self._active:
            raise MockError("The mock does not support multi-agent responses.", status=501, param="response_id")
        turn = self._finished.get(id)
        if turn is None:
            return SendFrames([frames.inject_failure(frame, 0, ended=False)])
        return SendFrames([frames.with_lane(frames.inject_failure(frame, turn.number, ended=True), turn.lane)])


_OTHERS: dict[str, Callable[[WebSocketSession, Frame], Out]] = {
    frames.STEER: WebSocketSession._steer,
    frames.INJECT: WebSocketSession._inject,
}
