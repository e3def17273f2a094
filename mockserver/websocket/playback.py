"""One turn on its way over its lane, and the values that a session hands to whoever owns the socket."""

# How it works. A session answers a frame with values: `SendFrames` is sent at once, a `Playback` is played step by
# step, by its player, as every transport plays a delivery. The player reports to its listener, and that is the
# playback: it keeps the account of the exchange and passes on to its owner, the session, what concerns the
# connection. The owner is known by four methods only, so this module does not know sessions.
#
# What must stay true:
# * Events about steering are told between the events of a turn and take numbers of the turn's own counter. Therefore
#   `number` is the player's number plus `steering_events`, and an event that leaves later is shifted by as much. What
#   the service counts is not documented; one counter is what a client that sorts by number needs. Spec: X6.
# * A turn whose client has left is given up before its exchange is closed: what giving it up changes is a part of the
#   same exchange.
# * `turn` changes once at most, when a submission stops the turn early, together with the steps that are left.

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from mockserver.core.turn import AnyTurn, Turn
from mockserver.delivery.events import Emit, Step
from mockserver.delivery.player import DELIVERED, Player
from mockserver.engine.journal_store import ExchangeRecorder
from mockserver.engine.pipeline import Delivery
from mockserver.wire.errors.api import APIError, MockError, mock_failed
from mockserver.wire.requests.frames import Frame, Lane
from mockserver.wire.responses.encoding import json_compact, without_spare
from mockserver.wire.responses.events import Event

log = logging.getLogger("understudy")

PATH = "/v1/responses"


class SendFrames(NamedTuple):
    """Send these frames now."""

    frames: list[Event]


class Transcript:
    """What passes of a turn from a submission on: steps as they leave, and the frames that the client sent.

    `sent` are pairs: before which of the steps a frame came, and the frame. `recorder` is that of the turn's exchange.
    """

    def __init__(self, recorder: ExchangeRecorder, steps: Sequence[Step]) -> None:
        self.recorder = recorder
        self.steps = list(steps)
        self.sent: list[tuple[int, bytes]] = []

    def note_sent(self, frame: Frame) -> None:
        """Note a frame of the client's."""
        self.sent.append((len(self.steps), without_spare(json_compact(frame))))


class PlaybackOwner(Protocol):
    """The connection, as far as a turn on its way needs it."""

    def commit(self, playback: Playback) -> None:
        """Write the turn, whose last events leave now."""

    def abandon(self, playback: Playback) -> None:
        """Note that the turn's client has left."""

    def remember(self, playback: Playback) -> None:
        """Keep what can be continued of a turn that was delivered."""

    def interruption(self, playback: Playback, number: int) -> list[Event] | None:
        """Return how the stream goes on, whose next event would have `number`; None where nothing changes it."""


class Playback:
    """A turn on its way over its lane, and the listener of its player.

    `woken` says that the turn was told to stop where it is: who waits for its next step asks for it at once.
    """

    def __init__(
        self, owner: PlaybackOwner, lane: Lane, request: dict[str, Any], delivery: Delivery, recorder: ExchangeRecorder
    ) -> None:
        self._owner = owner
        self.lane, self.request, self.recorder = lane, request, recorder
        self.turn: AnyTurn = delivery.turn
        self.running = delivery.running
        self.player = Player(delivery.steps, self)
        self.steering_events = 0
        self.transcript: Transcript | None = None  # of a turn that is steered, and of its successors
        self.woken = False

    @property
    def number(self) -> int:
        """The sequence number of its next event, those about steering counted. Spec: X6."""
        return self.player.number + self.steering_events

    @property
    def is_plain(self) -> bool:
        """Whether its events leave as they are: on the default lane, none between them, and no error."""
        return self.lane is None and not self.steering_events and self.turn.error is None

    def take_number(self) -> int:
        """The number of an event about steering, and count that event."""
        self.steering_events += 1
        return self.number - 1

    def stop_early(self, turn: Turn, rest: Sequence[Step], *, at_once: bool) -> None:
        """End as another turn, after these steps; `at_once` gives up the wait in progress. Spec: R4.16 A."""
        self.turn, self.woken = turn, at_once
        self.player.replace_rest(rest, at_once=at_once)

    # --- What the player reports -------------------------------------------------------------------------------

    def emit(self, events: int) -> None:
        """Count events that are written now."""
        self.recorder.exchange.events += events

    def finish_turn(self) -> None:
        """Write the turn, whose last events leave now."""
        self._owner.commit(self)

    def end(self, how: str) -> None:
        """Record how the delivery ended; unless it was whole, the turn's client has left."""
        if how != DELIVERED:
            self._owner.abandon(self)
        self.recorder.end(how)
        if how == DELIVERED:
            self._owner.remember(self)

    def interruption(self, number: int) -> list[Event] | None:
        """Return how the stream goes on, whose next event would have `number`; None where nothing changes it."""
        return self._owner.interruption(self, number)


Out = SendFrames | Playback


class WaitingFrame(NamedTuple):
    """A `response.create` that waits for its lane, its size in bytes, and the recorder of its exchange."""

    frame: Frame
    size: int
    recorder: ExchangeRecorder


class FinishedTurn(NamedTuple):
    """What is remembered of a turn that is over: its lane, its status, and the number its next event would have."""

    lane: Lane
    status: str
    number: int


def to_error(failure: Exception) -> APIError | MockError:
    """The error that answers a failure; one of the mock's own is logged.

    Nothing is let through: an exception that left the session would end the socket with all its lanes.
    """
    if isinstance(failure, APIError | MockError):
        return failure
    log.error("a fault of the mock: response.create", exc_info=failure)
    return mock_failed()


def take_events(steps: Sequence[Step], count: int) -> list[Step]:
    """The beginning of a delivery: so many events, and the waits between them."""
    beginning: list[Step] = []
    for step in steps:
        if count == 0:
            break
        if isinstance(step, Emit):
            step = Emit(step.events[:count])
            count -= len(step.events)
        beginning.append(step)
    return beginning
