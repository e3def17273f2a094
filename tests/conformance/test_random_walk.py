"""The walker finds what is wrong, makes it short, and prints it as a program that can be run."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.conformance.drivers import Answer, EngineDriver
from mockserver.conformance.machine.checked_client import stage_of
from mockserver.conformance.machine.operation_table import OPERATIONS
from mockserver.conformance.machine.random_walk import Id, Step, bundles_of, replay, to_python, walk
from mockserver.conformance.machine.requests import RequestCase


class Merging(EngineDriver):
    """An engine that lays new metadata over the old."""

    def call(self, method: str, path: str, body: Any = None, **query: str) -> Answer:
        if method == "POST" and isinstance(body, dict) and set(body) == {"metadata"}:
            old = super().call("GET", path).body
            body = {"metadata": {**old.get("metadata", {}), **body["metadata"]}}
        return super().call(method, path, body, **query)

    def new_project(self, name: str) -> Merging:
        return Merging(self.engine, f"{self.project}/{name}")


def test_a_walk_is_the_same_every_time() -> None:
    with pytest.raises(AssertionError) as first:
        walk(Merging(), 1, 3000)
    with pytest.raises(AssertionError) as second:
        walk(Merging(), 1, 3000)
    assert str(first.value) == str(second.value)
    said, _, program = str(first.value).partition("\n\n")
    assert "R2.4" in said
    lines = program.splitlines()
    assert (lines[0], lines[-1]) == ("state = ResponsesMachine()", "state.teardown()")
    assert [line.partition("(")[0].split(".")[-1] for line in lines[1:-1]] == [
        "create_conversation",
        "update_conversation",
    ]


def test_steps_whose_ids_are_not_there_are_left_out() -> None:
    program = [Step(1, "retrieve", {"id": Id(0, 0)}), Step(2, "create", {"ask": RequestCase()})]
    assert replay(stage_of(EngineDriver()), program) is None


def test_a_program_is_written_as_the_machine_writes_it() -> None:
    program = [
        Step(0, "fork", {"parent": Id(9, 0), "ask": RequestCase()}),
        Step(1, "create_call", {"ask": RequestCase(store=False)}),
        Step(2, "chain", {"parent": Id(0, 1), "ask": RequestCase()}),
        Step(3, "answer_call", {"call": Id(1, 0), "ask": RequestCase()}),
    ]
    assert to_python(program).splitlines()[1:-1] == [
        "_, responses_0, *_ = state.fork(parent=missing, ask=Ask())",
        "responses_1 = state.create_call(ask=Ask(store=False))",
        "state.chain(parent=responses_0, ask=Ask())",
        "state.answer_call(call=responses_1, ask=Ask())",
    ]


def test_bundles_of_a_verb() -> None:
    assert {verb.name: bundles_of(verb) for verb in OPERATIONS}["refer_in"] == ["conversations", "items"]
