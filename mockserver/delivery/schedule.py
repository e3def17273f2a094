"""The steps of a delivery, and how a turn's events are laid out in time.

A delivery is a list of steps, complete before the first byte leaves. It can be cut at a time that has passed
(background polling), resumed, changed by faults and compared, all without running anything. `Player` hands the steps
out; transports encode them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from mockserver.wire.responses.events import Event


class Emit(NamedTuple):
    """Send these events now, in one write."""

    events: list[Event]


class Wait(NamedTuple):
    """Let so many seconds pass."""

    seconds: float


class Body(NamedTuple):
    """Send these bytes of a JSON body; the turn behind it is over."""

    data: bytes


class Malformed(NamedTuple):
    """Send this event now, its JSON broken."""

    event: Event


class Partial(NamedTuple):
    """Send only these bytes of an event; a WebSocket can't."""

    data: bytes


class Cut(NamedTuple):
    """Break the connection off; a WebSocket is closed with `code`, or just lost (None)."""

    code: int | None = None


TimedStep = Emit | Wait  # of a delivery without faults
Step = TimedStep | Body | Malformed | Partial | Cut
FOREVER = Wait(math.inf)


def is_token(event: Event) -> bool:
    """Whether an event stands for a token that took its time."""
    return event["type"].endswith(".delta")


def deliver(stream: list[Event], first_token_s: float, tokens_per_s: float) -> list[TimedStep]:
    """Lay a turn's events out in time: the first token's delay after the opening events, then one token at a time."""
    if not first_token_s and not tokens_per_s:
        return [Emit(stream)]
    # a real stream shows `created` and `in_progress` at once, before the model has said anything
    opening = 2 if len(stream) > 2 and stream[1]["type"] == "response.in_progress" else 1
    steps: list[TimedStep] = [Emit(stream[:opening]), Wait(first_token_s)]
    batch: list[Event] = []
    for event in stream[opening:]:
        if tokens_per_s and is_token(event):
            steps += [Emit(batch), Wait(1 / tokens_per_s)] if batch else [Wait(1 / tokens_per_s)]
            batch = []
        batch.append(event)
    return [*steps, Emit(batch)]


def duration(steps: Iterable[Step]) -> float:
    """Return how many seconds a delivery takes."""
    return sum(step.seconds for step in steps if isinstance(step, Wait))


def events_in(steps: Iterable[Step]) -> list[Event]:
    """The events of a delivery that arrive whole."""
    return [event for step in steps if isinstance(step, Emit) for event in step.events]
