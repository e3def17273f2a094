"""A turn's events: spelled out (`events_of`), folded back (`fold`), and laid out in time as steps. Spec: S5, S8.

A delivery is a list of steps, complete before the first byte leaves. It can be cut at a time that has passed
(background polling), resumed, changed by faults and compared, all without running anything. `Player` hands the steps
out; transports encode them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from copy import copy
from itertools import chain, repeat
from typing import Any, NamedTuple, overload

from mockserver.delivery.item_events import Cues, EventWriter, stream_items
from mockserver.wire.responses import events, response_object
from mockserver.wire.responses.event_list import AT_ONCE, EventList, places_of
from mockserver.wire.responses.events import Event, Padding
from mockserver.wire.responses.resources import Item

# --- Steps, and events laid out in time ------------------------------------------------------------------------


class Emit(NamedTuple):
    """Send these events now, in one write."""

    events: Sequence[Event]


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


def deliver(stream: Sequence[Event], first_token_s: float, tokens_per_s: float) -> Sequence[TimedStep]:
    """Lay a turn's events out in time: the first token's delay after the opening events, then one token at a time."""
    if not first_token_s and not tokens_per_s:
        return [Emit(stream)]
    # a real stream shows `created` and `in_progress` at once, before the model has said anything
    opening = 2 if len(stream) > 2 and stream[1]["type"] == "response.in_progress" else 1
    tokens = places_of(is_token, stream, opening) if tokens_per_s else []
    steps = PacedSteps(stream, opening, tokens, first_token_s, 1 / tokens_per_s if tokens_per_s else 0.0)
    return steps if len(stream) > AT_ONCE else list(steps)


class PacedSteps(Sequence[TimedStep]):
    """The steps of a stream in time, each made when it is asked for: a long turn begins before its last one is.

    The events before `opening`, a wait of `first_s`, what comes before the first token, if anything does; then for each
    of the `tokens`, which are places in the stream, a wait of `token_s` and the events up to the next one.
    """

    def __init__(
        self, stream: Sequence[Event], opening: int, tokens: Sequence[int], first_s: float, token_s: float
    ) -> None:
        self.stream = stream
        self._first, self._pause, self._tokens = Wait(first_s), Wait(token_s), len(tokens)
        begins = [opening] if not tokens or tokens[0] > opening else []
        self._timed = 2 + len(begins)  # place of the first step that is a token's
        self._cuts = [0, opening, *tokens[not begins :], len(stream)]
        self._last: Emit | None = None

    def __len__(self) -> int:
        return self._timed + 2 * self._tokens

    @overload
    def __getitem__(self, place: int) -> TimedStep: ...
    @overload
    def __getitem__(self, place: slice) -> list[TimedStep]: ...
    def __getitem__(self, place: int | slice) -> TimedStep | list[TimedStep]:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(len(self)))]
        place = range(len(self))[place]
        if self._last is not None and place == len(self) - 1:
            return self._last
        if place == 1:
            return self._first
        token, is_emission = divmod(place - self._timed, 2)
        if place >= self._timed and not is_emission:
            return self._pause
        at = token + self._timed - 1 if place >= self._timed else place // 2
        return Emit(self.stream[self._cuts[at] : self._cuts[at + 1]])

    @property
    def seconds(self) -> float:
        """How long it takes: added up one after the other, as the waits are."""
        return sum(chain((self._first.seconds,), repeat(self._pause.seconds, self._tokens)))

    def end_with(self, last: Emit) -> PacedSteps:
        """The same steps with another last one."""
        steps = copy(self)
        steps._last = last
        return steps


def duration(steps: Iterable[Step]) -> float:
    """Return how many seconds a delivery takes."""
    if isinstance(steps, PacedSteps):
        return steps.seconds
    return sum(step.seconds for step in steps if isinstance(step, Wait))


def count_events(steps: Iterable[Step]) -> int:
    """How many events of a delivery arrive whole."""
    if isinstance(steps, PacedSteps):
        return len(steps.stream)
    return sum([len(step.events) for step in steps if isinstance(step, Emit)])


def events_in(steps: Iterable[Step]) -> list[Event]:
    """The events of a delivery that arrive whole."""
    return [event for step in steps if isinstance(step, Emit) for event in step.events]


# --- Events of a Response, and back ------------------------------------------------------------------------


def events_of(
    final: dict[str, Any],
    pieces: Callable[[str], list[str]],
    *,
    obfuscate: bool,
    cues: Cues | None = None,
    error_shape: str = "nested",
    overflow: str = "error_then_failed",
) -> EventList:
    """Every event of the turn that ends in `final`, numbered from 0. Spec: S5, S8.

    The same response and cues always give the same events, so nothing else needs to be stored for a replay. A response
    in the background is queued first, and its deltas are not padded. Spec: S6, S8 i. `error_shape` and `overflow` are
    the values of switches `stream_error_shape` and `stream_overflow`.
    """
    # the service reads later events of a background turn back from a store, where they are kept unpadded
    obfuscate = obfuscate and not final["background"]
    pro = (final.get("reasoning") or {}).get("mode") == "pro"
    script = EventWriter(
        pieces,
        Padding(final["id"]) if obfuscate else None,
        cues,
        message_status="completed" if pro else "in_progress",  # as the service shows it in this mode (S8)
    )
    final = response_object.without_billing(final)
    begun = response_object.in_progress_view(final, cues)
    if final["background"]:
        queued = {**begun, "status": "queued"}
        script.lifecycle("response.created", queued)
        script.lifecycle("response.queued", queued)
    else:
        script.lifecycle("response.created", begun)
    script.lifecycle("response.in_progress", begun)
    stream_items(script, final["output"])
    error, ended = final["error"], True
    if error is not None:
        told, ended = _OVERFLOW[overflow] if error["code"] == "context_length_exceeded" else (True, True)
        if told:
            script.events.append(events.ERRORS[error_shape](_stream_error(error), script.number))
    if ended:
        script.lifecycle(_TERMINAL.get(final["status"], f"response.{final['status']}"), final)
    return script.events


def complete_at(
    time: int, final: dict[str, Any], steps: Sequence[TimedStep]
) -> tuple[dict[str, Any], Sequence[TimedStep]]:
    """The Response of a turn that takes time and its delivery, both with the time when it completes. Spec: O1.

    How long a delivery takes is known only once it is laid out, so its last event is told the time afterwards.
    """
    last = steps[-1]
    if final["completed_at"] in (None, time) or not isinstance(last, Emit):  # as of most, which take no time
        return final, steps
    terminal = last.events[-1]
    terminal = {**terminal, "response": {**terminal["response"], "completed_at": time}}
    last = Emit([*last.events[:-1], terminal])
    told = steps.end_with(last) if isinstance(steps, PacedSteps) else [*steps[:-1], last]
    return {**final, "completed_at": time}, told


# switch `stream_overflow` → whether the `error` event and the terminal event are sent (Spec: R7.3, S12.4)
_OVERFLOW = {"error_then_failed": (True, True), "error_only": (True, False), "failed_only": (False, True)}


# statuses that have no event of their own (Spec: S12.5)
_TERMINAL = {"cancelled": "response.failed"}


# error code → what the nested error event says beside it (Spec: S12, E54, E93–E98)
_STREAM_ERRORS = {
    "insufficient_quota": ("insufficient_quota", None),
    "rate_limit_exceeded": ("tokens", None),
    "context_length_exceeded": ("invalid_request_error", "input"),
    "server_is_overloaded": ("service_unavailable_error", None),
    "server_error": ("server_error", None),
    "slow_down": ("rate_limit_error", None),
}


def _stream_error(error: dict[str, Any]) -> dict[str, Any]:
    type, param = _STREAM_ERRORS.get(error["code"], ("invalid_request_error", None))
    return {"type": type, "code": error["code"], "message": error["message"], "param": param}


def fold(stream: Iterable[Event], *, begun: bool = True) -> dict[str, Any]:
    """Accumulate events into the Response they describe so far; the terminal event's own output is not used.

    The output is rebuilt from the items' own events, which is what makes this the best oracle of a stream. Items that
    have `in_progress_view` but are not done are part of it as their `added` event showed them, or left out.
    """
    response: dict[str, Any] = {}
    output: dict[int, Item] = {}
    for event in stream:
        kind = event["type"]
        if kind == "response.output_item.done" or (begun and kind == "response.output_item.added"):
            output[event["output_index"]] = event["item"]
        elif "response" in event:
            response = event["response"]
    return {**response, "output": [output[index] for index in sorted(output)]}
