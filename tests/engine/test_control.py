"""The test author's levers: the clock, resets, what is forgotten and what stays."""

from __future__ import annotations

from mockserver.engine.engine import Engine
from tests.support.driving import NOON, Driver, refused, text_of


def test_the_clock_runs_stands_still_and_is_moved() -> None:
    wall = [1000.0]
    engine = Engine(wall=lambda: wall[0])
    assert engine.control.read_clock("p") == {"now": 1000.0, "mode": "system"}
    assert engine.control.advance_clock("p", 50)["now"] == 1050.0
    wall[0] = 1001.0
    assert engine.control.read_clock("p") == {"now": 1051.0, "mode": "system"}
    assert engine.control.set_clock("p", 5.0) == {"now": 5.0, "mode": "manual"}
    wall[0] = 2000.0
    assert engine.control.read_clock("p") == {"now": 5.0, "mode": "manual"}
    assert engine.control.read_clock("other")["now"] == 2000.0
    assert engine.control.set_clock("p", None) == {"now": 2000.0, "mode": "system"}


def test_a_reset_is_a_new_beginning() -> None:
    drive = Driver()
    first = drive.create()
    drive.advance(days=1)
    drive.script({"reply": {"text": "queued"}})
    drive.engine.control.reset("p")
    assert drive.create() == first


def test_a_reset_of_parts_leaves_the_others() -> None:
    drive = Driver()
    first = drive.create()
    drive.advance(seconds=60)
    drive.script({"reply": {"text": "queued"}})
    drive.engine.control.reset("p", ["scenario"])
    assert drive.get(first["id"])["id"] == first["id"]
    drive.script({"reply": {"text": "queued"}})
    drive.engine.control.reset("p", ["clock"])
    assert drive.engine.control.read_clock("p")["now"] == NOON
    drive.advance(seconds=60)
    drive.engine.control.reset("p", ["state"])
    assert refused(drive.get, first["id"]).status == 404
    assert drive.engine.control.read_clock("p")["now"] == NOON + 60
    assert text_of(drive.create()["output"][0]) == "queued"


def test_a_reset_touches_no_other_project() -> None:
    one = Driver()
    other = Driver(one.engine, project="q")
    kept = other.create()
    one.engine.control.reset("p")
    assert other.get(kept["id"]) == kept
