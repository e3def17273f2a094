"""Lanes as an automaton: one turn at a time each, sixteen in flight, thirty-two names. Spec: R4.9."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.websocket.lanes import Lanes
from mockserver.wire.errors.api import APIError


def started(starts: list[Any]) -> list[Any]:
    return [start.frame for start in starts]


def test_R4_9_a_lane_is_first_in_first_out_and_never_refuses() -> None:
    lanes = Lanes()
    assert started(lanes.submit(None, 1)) == [1]
    assert lanes.submit(None, 2) == lanes.submit(None, 3) == []
    assert lanes.waiting == 2
    assert started(lanes.release_lane(None)) == [2]
    assert started(lanes.release_lane(None)) == [3]
    assert lanes.release_lane(None) == []
    assert (lanes.waiting, lanes.in_flight) == (0, 0)


def test_R4_9_lanes_run_beside_each_other() -> None:
    lanes = Lanes()
    assert started(lanes.submit(None, 1)) == [1]
    assert started(lanes.submit("a", 2)) == [2]
    assert lanes.submit("a", 3) == []
    assert started(lanes.submit("b", 4)) == [4]
    assert started(lanes.release_lane("a")) == [3]


def test_R4_9_the_seventeenth_in_flight_waits_for_its_turn() -> None:
    lanes = Lanes()
    for number in range(16):
        assert started(lanes.submit(f"l{number}", number)) == [number]
    assert lanes.submit("x", "x1") == lanes.submit("y", "y1") == lanes.submit("x", "x2") == []
    assert lanes.in_flight == 16
    assert started(lanes.release_lane("l3")) == ["x1"], "in the order of arrival"
    assert started(lanes.release_lane("x")) == ["y1"]
    assert started(lanes.release_lane("l4")) == ["x2"]


def test_WE3_the_thirty_third_name_is_one_too_many() -> None:
    lanes = Lanes()
    lanes.submit(None, 0)  # the default lane does not count
    for number in range(32):
        lanes.submit(f"l{number}", number)
    with pytest.raises(APIError) as caught:
        lanes.submit("l32", 33)
    assert caught.value.code == "websocket_stream_limit_reached"
    lanes.submit("l0", "known names go on")


@given(st.lists(st.one_of(st.integers(0, 5), st.none()), max_size=60), st.data())
def test_whatever_happens_order_and_limits_hold(program: list[int | None], data: st.DataObject) -> None:
    lanes = Lanes(most_in_flight=3)
    sent: dict[Any, list[int]] = {}
    begun: dict[Any, list[int]] = {}
    busy: list[Any] = []

    def note(starts: list[Any]) -> None:
        for start in starts:
            assert start.lane not in busy
            busy.append(start.lane)
            begun.setdefault(start.lane, []).append(start.frame)
        assert len(busy) == lanes.in_flight <= 3

    for number, step in enumerate(program):
        if step is None and busy:
            note(lanes.release_lane(busy.pop(data.draw(st.integers(0, len(busy) - 1)))))
        elif step is not None:
            lane = None if step == 0 else f"l{step}"
            sent.setdefault(lane, []).append(number)
            note(lanes.submit(lane, number))
    while busy:
        note(lanes.release_lane(busy.pop()))
    assert begun == sent
    assert lanes.waiting == 0


def test_what_waits_is_known_until_it_starts() -> None:
    lanes = Lanes()
    for lane, frame in (("a", 1), ("a", 2), (None, 3), (None, 4), ("a", 5)):
        lanes.submit(lane, frame)
    assert sorted(lanes.waiting_frames()) == [2, 4, 5]
    lanes.release_lane("a")
    assert sorted(lanes.waiting_frames()) == [4, 5]
