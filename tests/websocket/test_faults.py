"""Faults and the journal on a connection without a socket."""

from __future__ import annotations

from typing import Any

from mockserver.delivery.events import Cut, Malformed, Step
from mockserver.websocket.playback import Playback
from tests.support.sockets import Frames


def struck(*faults: dict[str, Any]) -> Frames:
    wire = Frames()
    wire.engine.control.set_faults(wire.project, list(faults))
    return wire


def journal(wire: Frames) -> list[dict[str, Any]]:
    return wire.engine.control.journal(wire.project)["data"]


def acts(wire: Frames) -> list[Step]:
    """Return what a turn does, act by act."""
    frame = b'{"type":"response.create","model":"gpt-4.1","input":"hi"}'
    (playback,) = wire.connection.receive(frame)
    assert isinstance(playback, Playback)
    found = []
    while (act := wire.connection.advance(playback)) is not None:
        found.append(act)
        if isinstance(act, Cut):
            break
    return found


def test_a_cut_ends_the_account_and_the_turn_stays_written() -> None:
    wire = struck({"do": {"close_socket": 4001}, "at": {"event": "response.created"}})
    assert acts(wire)[-1] == Cut(4001)
    (one,) = journal(wire)
    assert (one["ended"], one["events"], one["faults"]) == ("closed", 1, ["close_socket"])
    assert wire.engine.control.context(wire.project, one["response_id"])["items"]
    wire.connection.leave()
    assert journal(wire)[0]["ended"] == "closed"


def test_a_broken_frame_carries_its_lane() -> None:
    wire = struck({"do": "malformed", "at": {"event": "response.created"}})
    (playback,) = wire.connection.receive(
        b'{"type":"response.create","model":"gpt-4.1","input":"hi","stream_id":"main"}'
    )
    assert isinstance(playback, Playback)
    act = wire.connection.advance(playback)
    assert isinstance(act, Malformed) and act.event["stream_id"] == "main"


def test_a_lane_goes_on_behind_a_turn_whose_last_event_was_dropped() -> None:
    wire = struck({"do": "drop_event", "at": {"event": "response.completed"}, "times": 1})
    assert wire.send("one")[-1]["type"] == "response.output_item.done"
    assert wire.send("two")[-1]["type"] == "response.completed"
    assert [one["ended"] for one in journal(wire)] == ["delivered", "delivered"]


def test_a_refused_frame_evicts_and_makes_room() -> None:
    wire = struck({"when": {"input_contains": "bad"}, "do": {"error": 503}, "times": 1})
    first = wire.create("good", store=False)
    refusal = wire.send("bad", store=False, previous_response_id=first["id"])[-1]
    assert (refusal["type"], refusal["status"]) == ("error", 503)
    missed = wire.send("good", store=False, previous_response_id=first["id"])[-1]
    assert missed["error"]["code"] == "previous_response_not_found"
    assert [one["status"] for one in journal(wire)] == [200, 503, 400]
    assert wire.create("again")["status"] == "completed"


def test_frames_that_nobody_can_read_are_noted() -> None:
    wire = Frames()
    wire(b"{")
    wire({"type": "nonsense"})
    wire.send(stream_id="")
    assert [(one["status"], one["transport"], one["body"]) for one in journal(wire)][:2] == [
        (400, "websocket", "{"),
        (400, "websocket", '{"type": "nonsense"}'),
    ]
    assert len(journal(wire)) == 3


def test_the_times_of_a_delay_and_a_stall() -> None:
    wire = struck({"do": {"delay": 5}, "times": 1}, {"do": "stall", "at": {"event": "response.created"}})
    assert wire.send("slow") == []
    (playback,) = wire.playing
    assert wire.step(playback) == []
    said = wire.step(playback)
    assert [event["type"] for event in said] == ["response.created"]
    wire.connection.leave()
    assert journal(wire)[0]["ended"] == "disconnected"
