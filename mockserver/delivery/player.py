"""One delivery on its way, without IO: what to write next, how long to wait before, what to do at the end.

How it works: a transport asks `next()` again and again. It gets a step to encode and write, a `Wait` to sit out, a
`KEEP_ALIVE` to send, or None at the end. HTTP, SSE, WebSocket, the in-process transport and the test drivers all play
by this one automaton, so that a fault or a pace means the same everywhere.

What must stay true:
* The turn is written *before* its last bytes are handed out: whoever has read them finds the response (read your
  writes). A JSON body that a fault cuts is no exception, for the model had finished.
* Nothing is sent before the first step, no sign of life either: a delay holds back the head of the answer too.
* A long wait is handed out in slices. After each slice the turn may turn out to be over: it was cancelled (then other
  events end the stream, Spec: S12.5), or the clock was moved past its end (then the rest leaves without waiting).
* Between two slices of a silent stream goes a comment, for proxies cut idle connections. Spec: S4.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from mockserver.delivery.events import Body, Cut, Emit, Malformed, Step, Wait
from mockserver.wire.responses.event_list import number_after
from mockserver.wire.responses.events import Event

DELIVERED, DISCONNECTED, CUT, CLOSED = "delivered", "disconnected", "cut", "closed"
POLL_S = 0.25  # how often a stream that waits looks whether its turn was cancelled or has ended


class KeepAlive(NamedTuple):
    """Send a sign of life."""


KEEP_ALIVE = KeepAlive()


class Listener(Protocol):
    """Who is told how a delivery goes: the turn behind it, and its entry in the journal."""

    def emit(self, events: int) -> None:
        """So many more events are written now."""

    def finish_turn(self) -> None:
        """The turn is over: its last bytes leave now."""

    def end(self, how: str) -> None:
        """The delivery has ended: `delivered`, or the client left (`disconnected`), or a fault broke it off."""

    def interruption(self, number: int) -> list[Event] | None:
        """The events that end the stream early, none where it only need not wait; None: it goes on."""


class Player:
    """The cursor of one delivery; `number` is the sequence number of its next event."""

    __slots__ = (
        "_begun", "_keep_alive_s", "_left_s", "_listener", "_poll_s", "_silent_s", "_skips_waits", "_slice_s",
        "ended", "number", "position", "steps",
    )  # fmt: skip

    def __init__(
        self, steps: Sequence[Step], listener: Listener, *, keep_alive_s: float = math.inf, poll_s: float = math.inf
    ) -> None:
        self.steps = steps
        self.position = self.number = 0
        self.ended = False
        self._listener = listener
        self._keep_alive_s, self._poll_s = keep_alive_s, poll_s
        self._begun = self._skips_waits = False
        self._left_s = self._slice_s = self._silent_s = 0.0

    @property
    def instant(self) -> bool:
        """Whether what is left of it takes no time."""
        if len(self.steps) == 1:  # as of nearly every turn
            return self.position == 1 or type(self.steps[0]) is not Wait
        return not any(isinstance(self.steps[at], Wait) for at in range(self.position, len(self.steps)))

    @property
    def is_over(self) -> bool:
        """Whether its last step was handed out, and nothing follows."""
        return self.ended and self.position == len(self.steps)

    def next(self) -> Step | KeepAlive | None:
        """Return what to do next, None at the end; who gets a Wait asks again when it is over."""
        if self._left_s > 0:
            pause = self._resume_wait()
            if pause is not None:
                return pause
        while self.position < len(self.steps):
            step = self.steps[self.position]
            self.position += 1
            if not isinstance(step, Wait):
                return self._hand_out(step)
            if step.seconds > 0 and not (self._skips_waits and step.seconds < math.inf):
                self._left_s, self._silent_s = step.seconds, 0.0
                return self._slice()
        if not self.ended:  # a fault took the last events
            self._finish()
        return None

    def leave(self) -> None:
        """Note that the client went away before the end."""
        self._end(DISCONNECTED)

    def replace_rest(self, steps: Sequence[Step], *, at_once: bool = False) -> None:
        """Go on with other steps; `at_once` gives up the wait that is in progress."""
        self.steps = [*self.steps[: self.position], *steps]
        if at_once:
            self._left_s = 0.0

    def _hand_out(self, step: Step) -> Step:
        self._begun = True
        listener = self._listener
        if isinstance(step, Emit):
            self.number = number_after(step.events, self.number)
            listener.emit(len(step.events))
        elif isinstance(step, Malformed):
            self.number = step.event.get("sequence_number", self.number) + 1
            listener.emit(1)
        elif isinstance(step, Cut):
            self._end(CUT if step.code is None else CLOSED)
            return step
        if self.position == len(self.steps):
            self._finish()
        elif isinstance(step, Body):
            listener.finish_turn()
        return step

    def _finish(self) -> None:
        self._listener.finish_turn()
        self._end(DELIVERED)

    def _end(self, how: str) -> None:
        if not self.ended:
            self.ended = True
            self._listener.end(how)

    def _slice(self) -> Wait:
        pause = self._left_s
        if self._begun and pause < math.inf:
            pause = min(pause, self._keep_alive_s - self._silent_s, self._poll_s)
        self._slice_s = pause
        return Wait(pause)

    def _resume_wait(self) -> Wait | KeepAlive | None:
        """Account for the slice that has passed; returns the next one or a sign of life, None when it is over."""
        self._left_s = self._left_s - self._slice_s if self._slice_s < self._left_s else 0.0
        self._silent_s += self._slice_s
        events = self._listener.interruption(self.number) if self._begun else None
        if events is not None:
            self._left_s, self._skips_waits = 0.0, True
            if events:
                self.replace_rest([Emit(events)])
            return None
        if self._left_s <= 0:
            return None
        if self._silent_s >= self._keep_alive_s:
            self._silent_s, self._slice_s = 0.0, 0.0
            return KEEP_ALIVE
        return self._slice()


class Pieces:
    """A body that is made while it leaves, so that it holds nobody up: an empty piece lets others pass.

    It is played as a `Player` is, and nobody waits for it.
    """

    instant = True

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self.ended = False

    def next(self) -> Body | Wait | None:
        """The next piece, a wait of no time, or None at the end."""
        piece = next(self._pieces, None)
        if piece is None:
            self.ended = True
            return None
        return Body(piece) if piece else Wait(0.0)

    def leave(self) -> None:
        """Make no more of it."""
        self._pieces = iter(())
