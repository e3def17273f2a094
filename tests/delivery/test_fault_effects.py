"""What faults do to an answer on its way, step by step and byte by byte."""

from __future__ import annotations

import math
from typing import Any

import pytest

from mockserver.delivery.events import FOREVER, Body, Cut, Emit, Malformed, Partial, Wait
from mockserver.delivery.fault_effects import At, Effect, apply_to_body, apply_to_steps, delay
from mockserver.wire.responses.event_list import sse

A, B, C = ({"type": kind, "sequence_number": number} for number, kind in enumerate(("a", "b", "a")))
STEPS = [Emit([A, B]), Wait(1.0), Emit([C])]


START = At()


def struck(kind: str, at: At = START, value: Any = None) -> list[Any]:
    return apply_to_steps(STEPS, [Effect(kind, value, at)], lambda event: sse([event]))


def test_without_effects_the_steps_stay_as_they_are() -> None:
    assert apply_to_steps(STEPS, [], lambda event: b"") == STEPS


@pytest.mark.parametrize(("kind", "end"), [("cut", Cut()), ("stall", FOREVER), ("close_socket", Cut(1011))])
def test_ends(kind: str, end: Any) -> None:
    """They come behind the event that they name; without one before everything; never where there is none."""

    def ended(at: At) -> list[Any]:
        return struck(kind, at, 1011 if kind == "close_socket" else None)

    assert ended(At())[-1] == end
    assert ended(At("a")) == [Emit([A]), end]
    assert ended(At("a", 2)) == [Emit([A, B]), Wait(1.0), Emit([C]), end]
    assert ended(At(count=2)) == [Emit([A, B]), end]
    assert ended(At("a", 3)) == ended(At("z")) == STEPS


@pytest.mark.parametrize(("kind", "end"), [("cut", Cut()), ("stall", FOREVER)])
def test_ends_behind_bytes(kind: str, end: Any) -> None:
    one = sse([A])
    assert struck(kind, At(bytes=0))[-1] == end
    assert struck(kind, At(bytes=3)) == [Partial(one[:3]), end]
    assert struck(kind, At(bytes=len(one))) == [Emit([A]), end]
    assert struck(kind, At(bytes=len(one) + 1)) == [Emit([A]), Partial(sse([B])[:1]), end]
    whole = sum(len(sse([event])) for event in (A, B, C))
    assert struck(kind, At(bytes=whole)) == [*STEPS, end]
    assert struck(kind, At(bytes=whole + 1)) == STEPS


def test_broken_and_dropped_events() -> None:
    assert struck("malformed") == [Malformed(A), Emit([B]), Wait(1.0), Emit([C])]
    assert struck("malformed", At("a", 2)) == [Emit([A, B]), Wait(1.0), Malformed(C)]
    assert struck("drop_event") == [Emit([B]), Wait(1.0), Emit([C])]
    assert struck("drop_event", At("a", 2)) == [Emit([A, B]), Wait(1.0)]
    assert struck("drop_event", At("z")) == struck("malformed", At("z")) == STEPS


def test_effects_come_one_after_the_other() -> None:
    effects = [Effect("drop_event"), Effect("malformed"), Effect("cut", None, At("a"))]
    assert apply_to_steps(STEPS, effects, lambda event: b"") == [Malformed(B), Wait(1.0), Emit([C]), Cut()]


def test_steps_that_are_struck_are_left_alone() -> None:
    apply_to_steps(STEPS, [Effect("malformed")], lambda event: b"")
    assert [Emit([A, B]), Wait(1.0), Emit([C])] == STEPS


def test_bodies() -> None:
    body = b'{"a": 1}'
    assert apply_to_body(body, [], []) == (body, [])
    assert apply_to_body(body, [], [Effect("malformed")]) == (body[:-1], [])
    assert apply_to_body(body, [], [Effect("cut")]) == (body, [Body(b""), Cut()])
    assert apply_to_body(body, [], [Effect("cut", None, At(bytes=3))]) == (body, [Body(b'{"a'), Cut()])
    assert apply_to_body(body, [], [Effect("cut", None, At(bytes=300))]) == (body, [Body(body), Cut()])
    assert apply_to_body(body, [], [Effect("stall", None, At(bytes=3))]) == (body, [Body(b'{"a'), FOREVER, Cut()])
    assert apply_to_body(body, [], [Effect("cut", None, At("a")), Effect("drop_event")]) == (body, [])


def test_a_delay_comes_before_the_pace_of_the_turn() -> None:
    body, pace = b"{}", [Wait(1.0)]
    assert apply_to_body(body, pace, [Effect("delay", 2)]) == (body, [Wait(2), Wait(1.0), Body(body)])
    assert apply_to_body(body, [], [Effect("stall")])[1][0] == FOREVER
    assert struck("delay", value=3) == [Wait(3), *STEPS]
    assert struck("stall")[0] == FOREVER


def test_delays_add_up_and_a_stall_at_the_start_is_one_without_end() -> None:
    assert delay([]) == delay([Effect("cut"), Effect("stall", None, At(bytes=1))]) == 0
    assert delay([Effect("delay", 0.5), Effect("delay", 1)]) == 1.5
    assert delay([Effect("stall")]) == math.inf
