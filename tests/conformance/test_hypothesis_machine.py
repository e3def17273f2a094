"""The machine finds what is wrong, prints a program that shows it, and can be built upon."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest
from hypothesis import settings
from hypothesis.stateful import rule, run_state_machine_as_test

from mockserver.conformance.drivers import Answer, EngineDriver, HTTPDriver
from mockserver.conformance.machine.hypothesis_machine import ResponsesMachine, run_machine
from mockserver.conformance.machine.operation_table import OPERATIONS
from mockserver.conformance.machine.requests import RequestCase
from tests.support.examples import part_of


class Inheriting(EngineDriver):
    """An engine whose responses inherit their parent's instructions."""

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        parent = body.get("previous_response_id") if isinstance(body, dict) else None
        if parent is not None and "instructions" not in body:
            known = super().call("GET", f"/responses/{parent}").body
            body = {**body, "instructions": known.get("instructions")}
        return super().call(method, path, body, **query)

    def new_project(self, name: str) -> Inheriting:
        return Inheriting(self.engine, f"{self.project}/{name}")


def test_what_goes_wrong_is_a_program() -> None:
    with pytest.raises(AssertionError) as found:
        run_machine(Inheriting(), examples=200)
    said = str(found.value)
    assert "R1.21" in said.splitlines()[0]
    program = said[said.index("state = ResponsesMachine()") :]
    assert program.endswith("state.teardown()")
    assert "instructions='Be kind.'" in program
    steps = [line for line in program.splitlines() if "state.wait(" not in line]
    assert len(steps) <= 5, "what is found first may be a response in the background, which takes its seconds"

    class Bound(ResponsesMachine):
        driver = Inheriting()

    with pytest.raises(AssertionError, match=r"R1\.21"):
        exec(program, {"ResponsesMachine": Bound, "Ask": RequestCase})


def test_the_same_programs_every_time() -> None:
    said = []
    for _ in range(2):
        with pytest.raises(AssertionError) as found:
            run_machine(Inheriting(), examples=100, steps=20)
        said.append(str(found.value))
    assert said[0] == said[1]


def test_a_server_that_cannot_be_reached() -> None:
    nowhere = HTTPDriver("http://127.0.0.1:9/v1", timeout_s=2)
    with pytest.raises(AssertionError, match="Connect"):
        run_machine(nowhere, examples=2, steps=3)
    nowhere.close()


def test_one_model_only() -> None:
    asked = set()

    class Listening(EngineDriver):
        def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
            if isinstance(body, dict) and "model" in body:
                asked.add(body["model"])
            return super().call(method, path, body, **query)

        def new_project(self, name: str) -> Listening:
            return Listening(self.engine, f"{self.project}/{name}")

    run_machine(Listening(), examples=part_of(60), steps=20, model="gpt-5.5")
    assert asked == {"gpt-5.5", "gpt-none"}


def test_users_add_rules_for_their_own_agent() -> None:
    class AgentMachine(ResponsesMachine):
        driver = EngineDriver()
        steps = 0

        @rule(target=ResponsesMachine.responses, parent=ResponsesMachine.responses)
        def agent(self, parent: str) -> Any:
            if self.verbs.reference.judge([], parent=parent) is not None:
                return parent
            type(self).steps += 1
            body = {"model": "gpt-5.6-terra", "input": "Go on.", "previous_response_id": parent}
            return self.verbs.adopt(self.verbs.driver.call("POST", "/responses", body).body["id"])

    run_state_machine_as_test(
        AgentMachine, settings=settings(max_examples=30, stateful_step_count=25, deadline=None, database=None)
    )
    assert AgentMachine.steps


def test_every_verb_is_a_rule() -> None:
    assert all(hasattr(getattr(ResponsesMachine, verb.name), "hypothesis_stateful_rule") for verb in OPERATIONS)


def test_the_room_needs_no_hypothesis() -> None:
    code = (
        "import sys, mockserver.conformance.machine.random_walk, mockserver.testing; "
        "sys.exit('hypothesis' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
