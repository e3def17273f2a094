"""Turns that take time: how each ends, is left, read while it runs, cancelled under a reader, stopped by a socket.

Spec: R4.16, R6.9, R9.20, S11, S12.5.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.delivery.answer import Answer
from mockserver.delivery.events import Body, Emit, Wait
from mockserver.delivery.player import Player
from mockserver.journal.exchange import Call
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.events import Event
from tests.support.driving import MODEL, Driver, refused, text_of
from tests.support.sockets import Frames

SLOW = {"reply": {"text": "one two three"}, "pacing": {"first_token": 10, "tokens_per_second": 1}}


def begin(drive: Driver, **fields: Any) -> tuple[str, Player]:
    """Start a turn that takes time; returns its id and its delivery."""
    drive.script(SLOW)
    body = json.dumps({"model": MODEL, "input": "u", **fields}).encode()
    answer = drive.engine.handle(Call(body=body, project=drive.project))
    assert answer.player is not None
    [running] = drive.engine.store.scan(drive.project, "running")
    return running.id, answer.player


def play(player: Player) -> list[Event]:
    """Play a delivery to its end, its waits over at once; returns its events."""
    events: list[Event] = []
    while (step := player.next()) is not None:
        events += step.events if isinstance(step, Emit) else []
    return events


def last_exchange(drive: Driver) -> dict[str, Any]:
    return drive.engine.control.journal(drive.project)["data"][-1]


def test_R9_20_a_json_answer_is_written_when_it_leaves() -> None:
    drive = Driver()
    id, player = begin(drive)
    assert refused(drive.get, id).status == 404, "in the foreground, nobody sees it run"
    assert player.next() == Wait(13), "ten seconds to the first token, then three tokens"
    body = player.next()
    assert isinstance(body, Body)
    assert json.loads(body.data)["id"] == id
    assert player.next() is None
    exchange = drive.engine.control.journal("p")["data"][0]
    assert (exchange["ended"], exchange["response_id"]) == ("delivered", id)
    assert drive.get(id)["status"] == "completed"


def test_a_stream_is_written_with_its_last_event() -> None:
    drive = Driver()
    id, player = begin(drive, stream=True)
    events = play(player)
    assert events[-1]["type"] == "response.completed"
    exchange = last_exchange(drive)
    assert (exchange["transport"], exchange["events"], exchange["ended"]) == ("sse", len(events), "delivered")
    assert drive.get(id)["completed_at"] == events[-1]["response"]["completed_at"]


@pytest.mark.parametrize(("switch", "status"), [("continue", "completed"), ("cancel", "cancelled")])
def test_R6_9_what_becomes_of_a_turn_whose_client_leaves(switch: str, status: str) -> None:
    drive = Driver(set=(("on_disconnect", switch),))
    id, player = begin(drive, stream=True)
    player.next()
    player.leave()
    assert last_exchange(drive)["ended"] == "disconnected"
    drive.advance(seconds=60)
    assert drive.get(id)["status"] == status


def test_R6_9_a_background_turn_goes_on_whoever_leaves() -> None:
    drive = Driver(set=(("on_disconnect", "cancel"),))
    id, player = begin(drive, stream=True, background=True)
    player.next()
    player.leave()
    drive.advance(seconds=60)
    assert drive.get(id)["status"] == "completed"


def read(drive: Driver, id: str, **query: str) -> Answer:
    return drive.answer("GET", f"/v1/responses/{id}", stream="true", **query)


def test_S11_a_second_reader_of_a_background_turn_gets_the_same_events() -> None:
    drive = Driver()
    id, player = begin(drive, stream=True, background=True)
    reader = read(drive, id, starting_after="0").player
    assert reader is not None
    assert play(reader) == play(player)[1:]


def test_S12_5_a_stream_whose_turn_is_cancelled_ends_with_failed() -> None:
    drive = Driver()
    id, _ = begin(drive, stream=True, background=True)
    reader = read(drive, id).player
    assert reader is not None
    assert isinstance(reader.next(), Emit)
    drive.call("POST", f"/v1/responses/{id}/cancel")
    last = play(reader)[-1]
    assert (last["type"], last["response"]["status"]) == ("response.failed", "cancelled")


def test_a_fault_strikes_the_replay_of_a_stored_response() -> None:
    drive = Driver()
    id = drive.create(background=True)["id"]
    assert read(drive, id).events is not None, "it has ended: the stream leaves at once"
    drive.engine.control.set_faults("p", [{"do": "cut", "at": {"event": "response.in_progress"}}])
    cut = read(drive, id).player
    assert cut is not None
    assert [event["type"] for event in play(cut)][-1] == "response.in_progress"
    assert last_exchange(drive)["ended"] == "cut"


def test_a_fault_delays_an_answer_that_is_no_turn() -> None:
    drive = Driver()
    drive.engine.control.set_faults("p", [{"do": {"delay": 7}}])
    player = drive.answer("GET", "/v1/models").player
    assert player is not None
    assert player.next() == Wait(7)
    assert isinstance(player.next(), Body)
    assert last_exchange(drive)["ended"] == "delivered"


def test_a_call_that_was_refused_before_it_was_read_is_in_the_journal() -> None:
    drive = Driver()
    answer = drive.engine.handle(Call("GET", "/v1/models", project="p"), MockError("too large", status=413))
    assert answer.status == 413
    assert last_exchange(drive)["status"] == 413


# --- sockets ---------------------------------------------------------------------------------------------------------


def test_R4_16_A_a_turn_that_a_socket_stops_is_stored_as_it_was_said() -> None:
    frames = Frames()
    lines = [{"type": "message", "text": "one two"}, {"type": "message", "text": "three four"}]
    frames.script({"reply": {"output": lines}, "pacing": {"first_token": 1, "tokens_per_second": 1}})
    frames.send("work", model="gpt-6-astra")
    [playback] = frames.playing
    id = frames.step(playback)[0]["response"]["id"]
    while not any(event["type"] == "response.output_text.delta" for event in frames.step(playback)):
        pass
    frames({"type": "response.steer", "previous_response_id": id, "input": "stop"})
    frames.rest(playback)
    stored = Driver(frames.engine).get(id)
    assert (stored["status"], stored["incomplete_details"]) == ("incomplete", {"reason": "steered"})
    assert [text_of(item) for item in stored["output"] if item["type"] == "message"] == ["one two"]


def test_R4_2_a_frame_is_judged_by_the_switch() -> None:
    frame = {"type": "response.create", "model": MODEL, "input": "x", "stream": True}
    assert Driver().engine.judge_frame(frame)["stream"] is True
    error = refused(Driver(set=(("ws_stream_field", "refuse"),)).engine.judge_frame, frame)
    assert (error.code, error.param) == ("unknown_parameter", "stream")


def test_a_socket_is_told_the_error_of_its_turn() -> None:
    frames = Frames()
    frames.script({"reply": {"error": {"code": "rate_limit_exceeded"}}})
    said = frames.send()
    assert [(frame["type"], frame["status"], frame["error"]["code"]) for frame in said] == [
        ("error", 429, "rate_limit_exceeded")
    ]
