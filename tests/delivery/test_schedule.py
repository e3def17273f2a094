"""How a turn's events are laid out in time. Spec: S5, O1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from mockserver.delivery.events import (
    Cut,
    Emit,
    Malformed,
    Wait,
    complete_at,
    count_events,
    deliver,
    duration,
    events_in,
)
from mockserver.wire.responses.event_list import AT_ONCE
from mockserver.wire.responses.events import Event
from tests.support.driving import Driver


def events(*types: str) -> list[Event]:
    return [{"type": f"response.{type}", "sequence_number": number} for number, type in enumerate(types)]


def test_delivery_lays_tokens_out_in_time() -> None:
    stream = Driver().stream("hello")
    deltas = sum(event["type"].endswith(".delta") for event in stream)
    steps = deliver(stream, 0.5, 10)
    assert duration(steps) == pytest.approx(0.5 + deltas / 10)
    assert [event for step in steps if isinstance(step, Emit) for event in step.events] == stream
    assert steps[0] == Emit(stream[:2])
    assert steps[1] == Wait(0.5)
    assert deliver(stream, 0, 0) == [Emit(stream)]


def test_tokens_come_one_at_a_time_and_the_rest_with_the_token_before() -> None:
    stream = events("created", "in_progress", "output_item.added", "x.delta", "x.delta", "x.done", "completed")
    second = Wait(0.25)
    assert deliver(stream, 2, 4) == [
        Emit(stream[:2]),
        Wait(2),
        Emit(stream[2:3]),
        second,
        Emit(stream[3:4]),
        second,
        Emit(stream[4:]),
    ]
    at_once = events("created", "in_progress", "x.delta", "completed")
    assert deliver(at_once, 2, 4) == [Emit(at_once[:2]), Wait(2), second, Emit(at_once[2:])]


def test_only_the_first_token_may_take_its_time() -> None:
    stream = events("created", "in_progress", "x.delta", "x.delta", "completed")
    assert deliver(stream, 2, 0) == [Emit(stream[:2]), Wait(2), Emit(stream[2:])]


def test_a_queued_response_shows_nothing_more_until_it_begins() -> None:
    """Spec: S8 i: in the background, `in_progress` comes when the model starts."""
    stream = events("created", "queued", "in_progress", "x.delta", "completed")
    assert deliver(stream, 2, 0) == [Emit(stream[:1]), Wait(2), Emit(stream[1:])]


def test_events_in_a_delivery_are_those_that_arrive_whole() -> None:
    stream = events("created", "in_progress", "x.delta")
    steps = [Emit(stream[:1]), Wait(1.5), Malformed(stream[1]), Emit(stream[2:]), Wait(2), Cut()]
    assert events_in(steps) == [stream[0], stream[2]]
    assert duration(steps) == 3.5


def test_O1_a_turn_that_takes_time_is_another_turn_than_the_one_that_was_planned() -> None:
    stream = Driver().stream("hello")
    final = stream[-1]["response"]
    before = (dict(final), [dict(event) for event in stream])
    steps = deliver(stream, 0.5, 10)
    later, told = complete_at(1_795_176_007, final, steps)
    assert later["completed_at"] == 1_795_176_007
    assert told[-1].events[-1]["response"]["completed_at"] == 1_795_176_007  # type: ignore[union-attr]
    assert (final, stream) == before, "what was made before stays as it was"
    assert complete_at(before[0]["completed_at"], final, steps) == (final, steps)


def lay_out(stream: Sequence[Event], opening: int, first_token_s: float, tokens_per_s: float) -> list[Any]:
    """The steps of a stream one after the other, as the rule has them: a token's time before each delta."""
    steps: list[Any] = [Emit(stream[:opening]), Wait(first_token_s)]
    batch: list[Event] = []
    for event in stream[opening:]:
        if tokens_per_s and event["type"].endswith(".delta"):
            steps += [Emit(batch), Wait(1 / tokens_per_s)] if batch else [Wait(1 / tokens_per_s)]
            batch = []
        batch.append(event)
    return [*steps, Emit(batch)]


OTHERS = [{"type": "response.created"}, {"type": "response.in_progress"}, {"type": "response.output_item.added"}]


@pytest.mark.parametrize("before", [1, 2, 3])
@pytest.mark.parametrize("tokens", [0, 5, 2 * AT_ONCE])
@pytest.mark.parametrize("pace", [(0.5, 0.0), (0.0, 30.0), (0.25, 7.0)], ids=str)
def test_steps_are_the_same_made_one_by_one(before: int, tokens: int, pace: tuple[float, float]) -> None:
    stream: list[Event] = [*OTHERS[:before], *({"type": "response.x.delta", "delta": str(at)} for at in range(tokens))]
    stream += [{"type": "response.x.done"}, {"type": "response.x.delta", "delta": "!"}, {"type": "response.completed"}]
    opening = 2 if before > 1 else 1
    expected = lay_out(stream, opening, *pace)
    steps = deliver(stream, *pace)
    assert len(steps) == len(expected) and list(steps) == expected
    assert steps[-1] == expected[-1] and steps[1:4] == expected[1:4]
    assert duration(steps) == sum(step.seconds for step in expected if isinstance(step, Wait))
    assert count_events(steps) == count_events(expected) == len(stream)


def test_a_long_turn_completes_at_the_end_of_its_delivery() -> None:
    """Spec: O1."""
    stream: list[Event] = [{"type": "response.x.delta"} for _ in range(2 * AT_ONCE)]
    stream.append({"type": "response.completed", "response": {"completed_at": 1}})
    steps = deliver(stream, 0.5, 1.0)
    final, timed = complete_at(9, {"completed_at": 1}, steps)
    assert final == {"completed_at": 9}
    assert events_in(timed[-1:])[-1] == {"type": "response.completed", "response": {"completed_at": 9}}
    assert timed[:-1] == steps[:-1] and steps[-1] == Emit(stream[-2:])
