"""What faults do to an answer on its way: pure functions over the steps of a delivery.

Faults and pacing meet here and nowhere else: a delivery is laid out in time first, then its faults are laid over it in
the order in which the test author gave them. Events are counted from 1. A cut, a stall and a closed socket come right
after the event they name; a malformed or a dropped event is that event itself. Without a place they strike at the
beginning: the first event, or before all bytes, the head of the answer included.

Events that leave in one write are taken apart for this and put together again after it, so that a fault never changes
how many writes the rest of a stream takes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, NamedTuple

from mockserver.delivery.events import FOREVER, Body, Cut, Emit, Malformed, Partial, Step, Wait, events_in
from mockserver.wire.responses.events import Event

Encode = Callable[[Event], bytes]


@dataclass(frozen=True, slots=True)
class At:
    """Where a fault strikes: the `count`-th event (of a type, or of all), or after so many bytes; else at once."""

    event: str | None = None
    count: int | None = None
    bytes: int | None = None

    @property
    def is_start(self) -> bool:
        """Whether no place was named."""
        return self.event is None and self.count is None and self.bytes is None


class Effect(NamedTuple):
    """One fault that strikes an answer; `value` is the seconds of a delay, the code of a closed socket."""

    kind: str
    value: Any = None
    at: At = At()


def truncate_json(text: bytes) -> bytes:
    """Return JSON text without its last character, which no parser takes."""
    return text[:-1]


def delay(effects: Iterable[Effect]) -> float:
    """Return how many seconds pass before an answer begins; infinity when it never does."""
    return sum(
        math.inf if one.kind == "stall" else one.value
        for one in effects
        if one.kind == "delay" or (one.kind == "stall" and one.at.is_start)
    )


def apply_to_body(body: bytes, waits: Sequence[Step], effects: Sequence[Effect]) -> tuple[bytes, list[Step]]:
    """Lay effects over a JSON body: returns the body as announced, and its steps, none when it leaves at once.

    Those that name an event do not concern a body.
    """
    end: list[Step] | None = None
    for effect in effects:
        if effect.at.event is not None or effect.at.count is not None:
            continue
        if effect.kind == "malformed":
            body = truncate_json(body)
        elif effect.kind == "cut" or (effect.kind == "stall" and not effect.at.is_start):
            sent = body[: min(effect.at.bytes or 0, len(body))]
            end = [Body(sent), *([FOREVER] if effect.kind == "stall" else []), Cut()]
    seconds = delay(effects)
    held = [Wait(seconds), *waits] if seconds else [*waits]
    if end is None and not held:
        return body, []
    return body, [*held, *([Body(body)] if end is None else end)]


def apply_to_steps(steps: Sequence[Step], effects: Sequence[Effect], encode: Encode) -> list[Step]:
    """Lay effects over the events of a turn; `encode` says what an event is on this transport."""
    struck: list[Step] = []
    for step in steps:
        struck += [Emit([event]) for event in step.events] if isinstance(step, Emit) else [step]
    for effect in effects:
        strike = _ON_STEPS.get(effect.kind)
        if strike is not None:
            struck = strike(struck, effect, encode)
    seconds = delay(effects)
    joined = _join(struck)
    return [Wait(seconds), *joined] if seconds else joined


def _join(steps: Iterable[Step]) -> list[Step]:
    """Return steps with neighbouring events in one write again."""
    joined: list[Step] = []
    for is_emit, neighbours in groupby(steps, lambda step: isinstance(step, Emit)):
        group = list(neighbours)
        joined += [Emit(events_in(group))] if is_emit else group
    return joined


def _index_of(steps: Sequence[Step], at: At) -> int | None:
    """The index of the event that a place names, None when there is none."""
    left = at.count or 1
    for index, step in enumerate(steps):
        if isinstance(step, Emit) and at.event in (None, step.events[0]["type"]):
            left -= 1
            if left == 0:
                return index
    return None


def _end(steps: list[Step], effect: Effect, encode: Encode) -> list[Step]:
    """Let nothing follow a place but the end that the effect is."""
    end: Step = FOREVER if effect.kind == "stall" else Cut(effect.value if effect.kind == "close_socket" else None)
    if effect.at.is_start:
        return [end]
    if effect.at.bytes is not None:
        return _end_after_bytes(steps, effect.at.bytes, end, encode)
    index = _index_of(steps, effect.at)
    return steps if index is None else [*steps[: index + 1], end]


def _end_after_bytes(steps: list[Step], left: int, end: Step, encode: Encode) -> list[Step]:
    for index, step in enumerate(steps):
        sent = encode(step.events[0]) if isinstance(step, Emit) else b""
        if len(sent) > left:
            return [*steps[:index], *([Partial(sent[:left])] if left else []), end]
        left -= len(sent)
    return steps if left else [*steps, end]


def _malform(steps: list[Step], effect: Effect, encode: Encode) -> list[Step]:
    index = _index_of(steps, effect.at)
    if index is None:
        return steps
    struck = steps[index]
    assert isinstance(struck, Emit)
    return [*steps[:index], Malformed(struck.events[0]), *steps[index + 1 :]]


def _drop(steps: list[Step], effect: Effect, encode: Encode) -> list[Step]:
    index = _index_of(steps, effect.at)
    return steps if index is None else [*steps[:index], *steps[index + 1 :]]


_ON_STEPS: Mapping[str, Callable[[list[Step], Effect, Encode], list[Step]]] = {
    "cut": _end,
    "stall": _end,
    "close_socket": _end,
    "malformed": _malform,
    "drop_event": _drop,
}
