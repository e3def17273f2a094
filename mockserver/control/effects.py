"""What faults do to an answer on its way: pure functions over the steps of a turn, and over a body.

Events are counted from 1. A cut, a stall and a closed socket come right behind the event they name; a malformed or a
dropped event is that event itself. Without a place they strike at the beginning: the first event, or before all bytes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from mockserver.core.turn import Emit, Step, Wait
from mockserver.wire.events import Event

Encode = Callable[[Event], bytes]


@dataclass(frozen=True, slots=True)
class At:
    """Where a fault strikes: the `count`-th event (of a type, or of all), or behind so many bytes; else at once."""

    event: str | None = None
    count: int | None = None
    bytes: int | None = None

    @property
    def start(self) -> bool:
        """Whether no place was named."""
        return self == At()


class Effect(NamedTuple):
    """One fault that strikes an answer; `value` is the seconds of a delay, the code of a closed socket."""

    kind: str
    value: Any = None
    at: At = At()


class Garble(NamedTuple):
    """Send this event now, its JSON broken."""

    event: Event


class Part(NamedTuple):
    """Send only these bytes of an event; a WebSocket can't."""

    part: bytes


class Cut(NamedTuple):
    """Break the connection off; a WebSocket is closed with `code`, or just lost (None)."""

    code: int | None = None


Act = Step | Garble | Part | Cut  # what a transport does of a turn
FOREVER = Wait(math.inf)


class Passage(NamedTuple):
    """How a whole body leaves: this body, and behind `after` bytes of it, if that is a number, nothing more.

    `stalls` says that then the connection stays open for as long as the client does; else it breaks off.
    """

    body: bytes
    after: int | None = None
    stalls: bool = False


def broken_json(text: bytes) -> bytes:
    """Return JSON that is none any more: its last character is missing."""
    return text[:-1]


def delay(effects: Iterable[Effect]) -> float:
    """Return how many seconds pass before an answer begins; infinity when it never does."""
    return sum(
        math.inf if one.kind == "stall" else one.value
        for one in effects
        if one.kind == "delay" or (one.kind == "stall" and one.at.start)
    )


def on_body(body: bytes, effects: Iterable[Effect]) -> Passage:
    """Let effects strike a whole body; those that name an event pass it by."""
    passage = Passage(body)
    for effect in effects:
        if effect.at.event is not None or effect.at.count is not None:
            continue
        after = min(effect.at.bytes or 0, len(body))
        if effect.kind == "malformed":
            passage = passage._replace(body=broken_json(body))
        elif effect.kind == "cut" or (effect.kind == "stall" and not effect.at.start):
            passage = passage._replace(after=after, stalls=effect.kind == "stall")
    return passage


def on_steps(steps: Sequence[Step], effects: Iterable[Effect], encode: Encode) -> list[Act]:
    """Let effects strike a delivery; `encode` says what an event is on this transport."""
    acts: list[Act] = []
    for step in steps:
        acts += [Emit([event]) for event in step.events] if isinstance(step, Emit) else [step]
    for effect in effects:
        strike = _ON_STEPS.get(effect.kind)
        if strike is not None:
            acts = strike(acts, effect, encode)
    return _together(acts)


def _together(acts: Iterable[Act]) -> list[Act]:
    """Return acts with neighbouring events in one write again."""
    joined: list[Act] = []
    for act in acts:
        last = joined[-1] if joined else None
        if isinstance(act, Emit) and isinstance(last, Emit):
            last.events.extend(act.events)
        else:
            joined.append(act)
    return joined


def _place(acts: Sequence[Act], at: At) -> int | None:
    """Return the index of the event that a place names, None when there is none."""
    left = at.count or 1
    for index, act in enumerate(acts):
        if isinstance(act, Emit) and at.event in (None, act.events[0]["type"]):
            left -= 1
            if left == 0:
                return index
    return None


def _ended(acts: list[Act], effect: Effect, encode: Encode) -> list[Act]:
    """Let nothing follow a place but the end that the effect is."""
    end: Act = FOREVER if effect.kind == "stall" else Cut(effect.value if effect.kind == "close_socket" else None)
    if effect.at.start:
        return [end]
    if effect.at.bytes is not None:
        return _ended_behind(acts, effect.at.bytes, end, encode)
    index = _place(acts, effect.at)
    return acts if index is None else [*acts[: index + 1], end]


def _ended_behind(acts: list[Act], left: int, end: Act, encode: Encode) -> list[Act]:
    for index, act in enumerate(acts):
        sent = encode(act.events[0]) if isinstance(act, Emit) else b""
        if len(sent) > left:
            return [*acts[:index], *([Part(sent[:left])] if left else []), end]
        left -= len(sent)
    return acts if left else [*acts, end]


def _malformed(acts: list[Act], effect: Effect, encode: Encode) -> list[Act]:
    index = _place(acts, effect.at)
    if index is None:
        return acts
    struck = acts[index]
    assert isinstance(struck, Emit)
    return [*acts[:index], Garble(struck.events[0]), *acts[index + 1 :]]


def _dropped(acts: list[Act], effect: Effect, encode: Encode) -> list[Act]:
    index = _place(acts, effect.at)
    return acts if index is None else [*acts[:index], *acts[index + 1 :]]


_ON_STEPS: Mapping[str, Callable[[list[Act], Effect, Encode], list[Act]]] = {
    "cut": _ended,
    "stall": _ended,
    "close_socket": _ended,
    "malformed": _malformed,
    "drop_event": _dropped,
}
