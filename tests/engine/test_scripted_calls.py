"""Calls to paths that the mock does not cover: a scripted line answers them, and the journal has them. Spec: P24."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mockserver.journal.exchange import Call
from mockserver.wire.errors.api import MockError
from tests.support.caller import PROJECT, Caller

EMBEDDING = {"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m"}


def line(path: str = "/v1/embeddings", *, method: str | None = None, times: int | None = None, **http: Any) -> Any:
    when = {"path": path} if method is None else {"path": path, "method": method}
    return {"when": when, "reply": {"http": http}} | ({} if times is None else {"times": times})


def test_a_queued_line_answers_once_then_the_call_is_501() -> None:
    call = Caller()
    call.levers.enqueue(PROJECT, [line(json=EMBEDDING)])
    assert call("POST", "/v1/embeddings", {"input": "a"}) == EMBEDDING
    assert call("POST", "/v1/embeddings", {"input": "a"})["error"]["type"] == "mock_error"
    answered, refused = call.journal(path="/v1/embeddings")
    assert (answered["status"], answered["line"]["place"], answered["request"]) == (200, "queue", {"input": "a"})
    assert (refused["status"], refused["line"]) == (501, None)


def test_turns_and_other_calls_take_lines_of_their_own_in_any_order() -> None:
    call = Caller()
    call.levers.enqueue(PROJECT, [line(json=EMBEDDING), {"reply": {"text": "one"}}, line(status=503, body="busy")])
    assert call.create()["output"][0]["content"][0]["text"] == "one"
    assert call("POST", "/v1/embeddings") == EMBEDDING
    answer, headers = call.app.answer(Call("POST", "/v1/embeddings"))
    assert (answer.status, answer.body) == (503, b"busy")
    assert dict(headers)[b"content-type"] == b"text/plain; charset=utf-8" and b"x-request-id" in dict(headers)
    assert call.levers.scenario(PROJECT)["queue"] == []


def test_a_scenario_answers_again_and_again_and_counts() -> None:
    call = Caller()
    lines = [line("/v1/batches/*", method="GET", times=1, json=1), line("/v1/batches/*", json=2)]
    call.levers.set_scenario(PROJECT, {"lines": lines})
    assert [call("GET", "/v1/batches/b"), call("POST", "/v1/batches/b"), call("GET", "/v1/batches/b")] == [1, 2, 2]
    assert [one["used"] for one in call.levers.scenario(PROJECT)["lines"]] == [1, 2]
    assert [one["line"]["place"] for one in call.journal()] == ["lines[0]", "lines[1]", "lines[1]"]


def test_a_scenario_file_of_the_server_answers_for_every_project(tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("lines:\n  - when: {path: /v1/moderations}\n    reply: {http: {json: {id: modr-1}}}\n")
    call = Caller(scenario=(str(file),), strict=True)
    assert call("POST", "/v1/moderations") == {"id": "modr-1"}
    assert call.last()["line"]["place"] == f"{file}:2"
    # a turn asks only lines of turns; --strict says what was nearest
    assert 'path wants "/v1/moderations", found "/v1/responses"' in call.create()["error"]["message"]


def test_a_line_never_answers_for_a_covered_path() -> None:
    call = Caller()
    call.levers.enqueue(PROJECT, [line("*", json="mine")])
    assert call.create()["status"] == "completed"
    assert call("GET", "/v1/responses/resp_1")["error"]["message"] == "Response with id 'resp_1' not found."
    assert call("GET", "/v1/models")["object"] == "list"
    assert call("GET", "/v1/chat/completions") == "mine"


def test_a_call_that_no_line_answers_changes_nothing() -> None:
    call, plain = Caller(), Caller()
    for one in (call, plain):
        one.levers.enqueue(PROJECT, [line("/v1/batches", json=1)])
    call("POST", "/v1/embeddings")
    assert call.levers.snapshot(PROJECT) == plain.levers.snapshot(PROJECT)


def test_a_mistake_queues_nothing() -> None:
    call = Caller()
    with pytest.raises(MockError, match="the mock covers"):
        call.levers.enqueue(PROJECT, [line("/v1/batches", json=1), line("/v1/models", json=1)])
    assert call.levers.scenario(PROJECT)["queue"] == []


def test_a_snapshot_has_waiting_lines_and_use_counts() -> None:
    call, other = Caller(), Caller()
    call.levers.set_scenario(PROJECT, {"lines": [line(times=1, json="scenario")]})
    call.levers.enqueue(PROJECT, [line(json="queue")])
    assert call("POST", "/v1/embeddings") == "queue" and call("POST", "/v1/embeddings") == "scenario"
    call.levers.enqueue(PROJECT, [line(json="later")])
    other.levers.restore(PROJECT, call.levers.snapshot(PROJECT))
    assert other("POST", "/v1/embeddings") == "later"
    assert "error" in other("POST", "/v1/embeddings")


def test_faults_strike_scripted_calls_too() -> None:
    call = Caller()
    call.levers.enqueue(PROJECT, [line(json=EMBEDDING)])
    call.levers.set_faults(PROJECT, [{"when": {"path": "/v1/embeddings"}, "do": {"error": 503}, "times": 1}])
    assert "error" in call("POST", "/v1/embeddings")
    assert call("POST", "/v1/embeddings") == EMBEDDING
