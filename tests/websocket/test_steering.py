"""The submissions of one connection: each is committed or given back once. Spec: R4.16, X6."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.websocket.playback import FinishedTurn, Playback, SendFrames
from mockserver.websocket.steering import Steering, steer_id
from mockserver.wire.errors.api import MockError
from tests.support.driving import NOON
from tests.support.sockets import Frames

CALL = {"type": "function_call", "name": "f", "call_id": "c1", "arguments": {}}
TOOLS = [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]


def begin(frames: Frames, output: list[dict[str, Any]], lane: str | None = "a") -> Playback:
    """Start a paced turn that can be steered, up to its first wait."""
    frames.script({"reply": {"output": output}, "pacing": {"first_token": 1, "tokens_per_second": 1}})
    frames.send("work", model="gpt-6-astra", stream_id=lane, tools=TOOLS)
    playback = frames.playing[-1]
    frames.step(playback)
    return playback


def frame_for(id: str, input: Any = "faster") -> dict[str, Any]:
    return {"type": "response.steer", "previous_response_id": id, "input": input}


@pytest.fixture
def frames() -> Frames:
    return Frames(Engine(Settings(clock=NOON)))


@pytest.fixture
def steering(frames: Frames) -> Steering:
    """What another connection would know: it steers the turns of `frames`, whose own session hears nothing of it."""
    return Steering(frames.engine, frames.connection._near)


def waiting(frames: Frames, steering: Steering, input: str = "faster", lane: str | None = "a") -> str:
    """Return the id of a turn that has ended with a call and a submission that waits for the call's output."""
    playback = begin(frames, [CALL], lane)
    frames.step(playback)  # the call has begun: no boundary is left
    id = playback.turn.id
    said = steering.submit(frame_for(id, input), playback, None)
    assert said.frames[0]["type"] == "response.steer.accepted"
    while playback.player.next() is not None:
        pass
    frames.playing.remove(playback)
    frames.connection.on_turn_end(playback)
    pending = steering.end_turn(playback, unreachable)
    assert isinstance(pending, SendFrames)
    assert [event["type"] for event in pending.frames] == ["response.steer.pending"]
    return id


def unreachable(lane: Any, request: dict[str, Any]) -> Playback:
    raise AssertionError("nothing is created")


def test_a_turn_that_nobody_steered_has_nothing_to_follow_it(frames: Frames, steering: Steering) -> None:
    assert steering.end_turn(begin(frames, [CALL]), unreachable) is None


def test_R4_16_B_a_successor_is_asked_for_once_on_the_same_lane(frames: Frames, steering: Steering) -> None:
    playback = begin(frames, [{"type": "message", "text": "one"}])
    other = begin(frames, [{"type": "message", "text": "other"}], "b")
    id = playback.turn.id
    for input in ("a", [{"role": "user", "content": "b"}]):
        steering.submit(frame_for(id, input), playback, None)
    asked: list[Any] = []

    def create(lane: Any, request: dict[str, Any]) -> Playback:
        asked.append((lane, request["previous_response_id"], [one["content"] for one in request["input"]]))
        return other

    assert steering.end_turn(playback, create) is other
    assert asked == [("a", id, ["a", "b"])]
    assert steering.end_turn(playback, create) is None, "it is committed once"


def test_R4_16_D_a_successor_that_is_refused_gives_each_back(frames: Frames, steering: Steering) -> None:
    playback = begin(frames, [{"type": "message", "text": "one"}])
    id = playback.turn.id
    for input in ("a", "b"):
        steering.submit(frame_for(id, input), playback, None)

    def create(lane: Any, request: dict[str, Any]) -> Playback:
        raise MockError("Not now.", status=500)

    said = steering.end_turn(playback, create)
    assert isinstance(said, SendFrames)
    assert [(one["steer"]["input"], one["steer"]["id"], one["error"]["message"]) for one in said.frames] == [
        ("a", steer_id(id, 1), "Not now."),
        ("b", steer_id(id, 2), "Not now."),
    ]
    assert {(one["stream_id"], one["sequence_number"]) for one in said.frames} == {("a", 0)}


def test_R4_16_C_only_the_lanes_own_continuation_takes_them_in(frames: Frames, steering: Steering) -> None:
    id = waiting(frames, steering)
    fork, fresh = {"previous_response_id": id, "input": []}, {"input": "x"}
    assert steering.with_pending("b", fork) is fork
    assert steering.with_pending("a", fresh) is fresh
    request = steering.with_pending("a", fork)
    assert [message["content"] for message in request["input"]] == ["faster"]
    assert steering.with_pending("a", fork) == request, "a look takes nothing away: the continuation may be refused"
    assert steering.settle_lane("b", id) == [], "a fork settles nothing of lane a"
    assert steering.settle_lane("a", id) == [], "it was committed"
    assert steering.with_pending("a", fork) is fork


def test_R4_16_C_what_the_lane_leaves_behind_is_given_back_once(frames: Frames, steering: Steering) -> None:
    id, other = waiting(frames, steering, "one"), waiting(frames, steering, "two", lane="b")
    (said,) = steering.settle_lane("a", None)
    (failure,) = said.frames
    assert (failure["type"], failure["error"]["code"]) == ("response.steer.failed", "successor_creation_failed")
    assert failure["steer"] == {"id": steer_id(id, 1), "input": "one", "previous_response_id": id}
    assert steering.settle_lane("a", None) == []
    assert steering.with_pending("b", {"previous_response_id": other, "input": []})["input"], "another lane's wait on"


@pytest.mark.parametrize(
    ("finished", "code", "lane"),
    [
        (None, "response_not_found", None),
        (FinishedTurn("a", "completed", 9), "response_already_completed", "a"),
        (FinishedTurn(None, "failed", 9), "response_not_active", None),
    ],
)
def test_R4_16_targets_that_are_over(steering: Steering, finished: Any, code: str, lane: str | None) -> None:
    (failure,) = steering.submit(frame_for("resp_1"), None, finished).frames
    assert (failure["error"]["code"], failure.get("stream_id")) == (code, lane)
    assert failure["sequence_number"] == 0, "X6"


def test_R4_16_the_input_is_judged_before_the_target(steering: Steering) -> None:
    (failure,) = steering.submit(frame_for("resp_1", 7), None, None).frames
    assert failure["error"]["code"] == "invalid_input"


def test_X6_ids_of_submissions_repeat_and_differ() -> None:
    assert steer_id("resp_1", 1) == steer_id("resp_1", 1)
    assert len({steer_id("resp_1", 1), steer_id("resp_1", 2), steer_id("resp_2", 1)}) == 3
    assert len(steer_id("resp_1", 1)) == len("steer_") + 32
