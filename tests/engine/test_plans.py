"""A turn that has a plan passes all that stands before the model, as one without does."""

from __future__ import annotations

import orjson

from mockserver.core.plans import Plan
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call

PING = orjson.dumps({"model": "gpt-4.1", "input": "ping"})


def planned() -> Engine:
    """An engine that has a plan for `PING`."""
    engine = Engine()
    for _ in range(3):
        assert engine.handle(Call(body=PING, project="p")).status == 200
    assert engine.pipeline._plans is not None
    assert any(isinstance(plan, Plan) for plan in engine.pipeline._plans._plans.values())
    return engine


def test_a_fault_strikes_it() -> None:
    engine = planned()
    engine.control.set_faults("p", [{"do": {"error": "rate_limit_exceeded"}}])
    assert engine.handle(Call(body=PING, project="p")).status == 429


def test_a_fault_of_the_edge_that_is_used_up_by_it_still_cuts_its_answer() -> None:
    engine = planned()
    engine.control.set_faults("p", [{"do": "cut", "times": 1}])
    assert engine.handle(Call(body=PING, project="p")).player is not None
    assert engine.handle(Call(body=PING, project="p")).player is None


def test_a_queued_line_answers_it() -> None:
    engine = planned()
    engine.control.enqueue("p", [{"reply": {"text": "scripted"}}])
    assert b"scripted" in engine.handle(Call(body=PING, project="p")).body
    assert b"Mock reply to: ping" in engine.handle(Call(body=PING, project="p")).body


def test_a_scenario_of_the_project_answers_it() -> None:
    engine = planned()
    engine.control.set_scenario("p", {"lines": [{"reply": {"text": "of the scenario"}}]})
    assert b"of the scenario" in engine.handle(Call(body=PING, project="p")).body
