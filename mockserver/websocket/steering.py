"""The steering submissions of one connection: taken or refused, committed or given back. Spec: R4.16, X6."""

# How it works. A `response.steer` names a turn in progress. It is refused at once, or the server owns its input from
# `response.steer.accepted` on and owes one of these:
# A, B) the turn ends – early at a safe boundary, or as it would have – and a successor goes on with the input. What
#       a boundary is and how the turn is cut there is the core's business.
# C)    the turn ends with tool calls that the client has to answer. The submissions wait (`pending`) for one
#       `response.create` that continues the turn on the same lane, and go before its own input.
# D)    the successor can't be made, or the lane goes on with something else: each submission goes back to the client
#       in `response.steer.failed`, with its id and the input as it was sent.
#
# What must stay true:
# * An accepted submission is committed or given back exactly once, unless the connection ends: then it dies (X6).
# * It is committed only when the response that takes it in has been created. `with_pending` therefore only looks, and
#   `settle_lane` forgets; a continuation that was refused in between leaves everything waiting for the next one.
# * A fork takes nothing along: submissions belong to a lane and not to whoever names the response.
# * Nothing of this is written to the store. The successor and the continuation are ordinary turns.

from __future__ import annotations

from collections.abc import Callable, Iterable
from hashlib import blake2b
from typing import Any, NamedTuple

from mockserver.core.admission import resolve_model
from mockserver.core.steering import (
    MOST_PENDING,
    Steer,
    boundary,
    input_stubs,
    refusal_reason,
    successor,
    with_steers,
)
from mockserver.delivery.events import FOREVER, Emit, duration, events_in
from mockserver.engine.engine import Engine
from mockserver.store.connection_overlay import ConnectionRecords
from mockserver.websocket.playback import FinishedTurn, Out, Playback, SendFrames, take_events
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests import frames
from mockserver.wire.requests.frames import Frame, Lane
from mockserver.wire.responses import events, response_object

Create = Callable[[Lane, dict[str, Any]], Playback]


class PendingSteers(NamedTuple):
    """Submissions that wait for the client's answers, and the lane on which these have to come."""

    lane: Lane
    steers: list[Steer]


class Steering:
    """What one connection knows of submissions; `near` are its records of responses that are not stored."""

    def __init__(self, engine: Engine, near: ConnectionRecords) -> None:
        self._engine, self._near = engine, near
        self._accepted: dict[str, list[Steer]] = {}  # by the response in progress that they steer
        self.pending: dict[str, PendingSteers] = {}  # by the response that has ended and waits for its answers
        self._count = 0

    # --- Submissions in ----------------------------------------------------------------------------------------

    def submit(self, frame: Frame, playback: Playback | None, finished: FinishedTurn | None) -> SendFrames:
        """Answer a submission to a turn: the one in progress, or what is remembered of one that is over."""
        id = frame["previous_response_id"]
        reason = self._refusal(frame, playback, finished)
        if playback is None or reason is not None:
            code, message = reason or ("response_not_found", "")
            number = playback.take_number() if playback else 0  # X6: without a live target there is no counter
            target = playback or finished
            failure = frames.steer_failure(frame, code, message, number)
            return SendFrames([frames.with_lane(failure, target.lane if target else None)])
        self._count += 1
        steer = Steer(steer_id(id, self._count), frame)
        self._accepted.setdefault(id, []).append(steer)
        acceptance = frames.steer_acceptance(steer.id, id, playback.take_number())
        self._stop_early(playback)
        return SendFrames([frames.with_lane(acceptance, playback.lane)])

    def _refusal(
        self, frame: Frame, playback: Playback | None, finished: FinishedTurn | None
    ) -> tuple[str, str] | None:
        """Return code and sentence of the refusal of a submission, None when it is taken.

        The codes are the service's, the sentences ours: none was captured. Input is judged first, as everywhere.
        """
        id = frame["previous_response_id"]
        try:
            frames.check_steer(frame)
        except APIError as error:
            return "invalid_input", error.message
        if playback is None:
            if finished is None:
                return "response_not_found", f"Response with id '{id}' not found."
            if finished.status == "completed":
                return "response_already_completed", f"Response '{id}' has already completed."
            return "response_not_active", f"Response '{id}' is no longer accepting steering input."
        reason = refusal_reason(playback.request, resolve_model(playback.request, self._engine.rules))
        if reason is not None:
            return "steering_not_supported", reason
        if len(self._accepted.get(id, ())) >= MOST_PENDING:
            return "too_many_pending_steers", f"Too much steering input is pending for response '{id}'."
        return None

    def _stop_early(self, playback: Playback) -> None:
        """Let a turn end at the next safe boundary, if one comes before its end."""
        player = playback.player
        past, ahead = events_in(player.steps[: player.position]), events_in(player.steps[player.position :])
        stop = boundary(past, ahead)
        if stop is None:
            return
        kept = sum(event["type"] == "response.output_item.done" for event in [*past, *ahead[:stop]])
        rest = take_events(player.steps[player.position :], stop)
        # a scripted stall never ends; the clock ends such a turn as if it did not wait there
        seconds = duration(step for step in rest if step != FOREVER)
        turn = self._engine.stop_early(playback.turn, playback.request, kept, self._near, seconds, playback.recorder)
        final = response_object.without_billing(turn.final)
        terminal = events.lifecycle("response.incomplete", final, len(past) + stop)
        # nothing is left to be said before the stop: a wait in progress is for an item that won't come
        playback.stop_early(turn, [*rest, Emit([terminal])], at_once=stop == 0)

    # --- What follows a turn -----------------------------------------------------------------------------------

    def end_turn(self, playback: Playback, create: Create) -> Out | None:
        """Return what follows a turn that was steered: its successor, or why there is none; None for other turns.

        `create` answers a request on a lane, or raises the error that refuses it. Spec: R4.16 B to D.
        """
        id, lane = playback.turn.id, playback.lane
        steers = self._accepted.pop(id, None)
        if steers is None:
            return None
        stubs = input_stubs(playback.turn.final["output"])
        if stubs:
            self.pending[id] = PendingSteers(lane, steers)
            pending = [frames.steer_pending(steer.id, id, stubs, playback.take_number()) for steer in steers]
            return SendFrames([frames.with_lane(event, lane) for event in pending])
        try:
            return create(lane, successor(playback.request, id, steers))
        except (APIError, MockError) as error:
            return _give_back(steers, error.message, lane)

    def with_pending(self, lane: Lane, request: dict[str, Any]) -> dict[str, Any]:
        """A request with the submissions that wait for it before its own input. Spec: R4.16 C."""
        pending = self.pending.get(request.get("previous_response_id") or "")
        if pending is None or pending.lane != lane:
            return request
        return with_steers(request, pending.steers)

    def settle_lane(self, lane: Lane, parent: str | None) -> list[SendFrames]:
        """Forget what the lane's new response took in, the submissions to `parent`, and give back the lane's others."""
        ids = [id for id, pending in self.pending.items() if pending.lane == lane]
        failures = []
        for id in ids:
            steers = self.pending.pop(id).steers
            if id != parent:
                message = f"The lane went on without the required input of response '{id}'."
                failures.append(_give_back(steers, message, lane))
        return failures


def _give_back(steers: Iterable[Steer], message: str, lane: Lane) -> SendFrames:
    """Refuse submissions that were accepted: their turn is over, so its counter is too (X6)."""
    code = "successor_creation_failed"
    failures = [frames.steer_failure(steer.frame, code, message, 0, steer.id) for steer in steers]
    return SendFrames([frames.with_lane(event, lane) for event in failures])


def steer_id(response_id: str, number: int) -> str:
    """The id of the connection's submission of this number, the same on every run. Spec: X6."""
    return "steer_" + blake2b(f"{response_id}/{number}".encode(), digest_size=16).hexdigest()
