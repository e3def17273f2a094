"""The verifier alone: sockets, refusals, background turns, answers of another kind, and the mock's clock."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from mockserver.config.pacing import Pacing
from mockserver.config.settings import Settings
from mockserver.conformance.drivers import NOON, EngineDriver
from mockserver.engine.engine import Engine
from mockserver.model.compaction_summary import summary_tokens
from mockserver.model.default_model import SeededModel
from mockserver.model.prompt import Reply
from proxy.cassettes.drift import Finding, compare
from proxy.cassettes.file import load, parse
from proxy.cassettes.interaction import Cassette, Head, Interaction, Piece, Request, Response
from proxy.journal_cassette import write_journal
from proxy.verify import ScriptedOnce, Verifier, ended_turns, ends_of_turns
from tests.support.cassettes import recording
from tests.support.prompts import prompt, user
from tests.support.slow_talks import TALKS, Caller

JSON = (("content-type", "application/json"),)
HEADERS = {"authorization": "Bearer sk-caller-123456"}


def interaction(
    number: int, method: str, path: str, body: Any, answer: Any, status: int = 200, **more: Any
) -> Interaction:
    asked = Request(method, path, headers=JSON, body=b"" if body is None else json.dumps(body).encode())
    return Interaction(number, number, asked, Response(status, JSON, (Piece(0, json.dumps(answer).encode()),), **more))


def check(*interactions: Interaction, recorded: str | None = None) -> tuple[Verifier, list[list[Finding]]]:
    """What a verifier finds in each interaction, and itself."""
    verifier = Verifier()
    verifier.begin(Cassette("x", Head(recorded=recorded), interactions))
    found = [verifier.check(one) for one in interactions]
    verifier.close()
    return verifier, found


def turn(url: str, **body: Any) -> dict[str, Any]:
    with httpx.Client(trust_env=False, headers=HEADERS) as client:
        answer: dict[str, Any] = client.post(f"{url}/responses", json={"model": "gpt-5.5", **body}).json()
        return answer


def speak(url: str, *frames: dict[str, Any]) -> None:
    """Turns on one socket, each after the one before; `{last}` is the id of the last response."""
    last = ""
    with connect(url.replace("http", "ws", 1) + "/responses", proxy=None, additional_headers=HEADERS) as socket:
        for frame in frames:
            text = json.dumps({"type": "response.create", "model": "gpt-5.5", **frame})
            socket.send(text.replace("{last}", last))
            kind = ""
            while kind not in ("response.completed", "error"):
                event = json.loads(socket.recv(20))
                kind, last = event["type"], event.get("response", {}).get("id", last)


@pytest.fixture
def on_a_socket(tmp_path: Path) -> tuple[Interaction, ...]:
    """Two turns of a chain, and one that is refused."""
    path = tmp_path / "socket.yaml"
    chained = {"input": "And?", "previous_response_id": "{last}"}
    with recording(path) as url:
        speak(url, {"input": "Hi"}, chained, {"input": "What?", "previous_response_id": "resp_unknown"})
    return load(path).interactions


def test_a_faithful_recording_of_a_socket_has_no_drift(on_a_socket) -> None:
    verifier, found = check(*on_a_socket)
    assert found == [[], [], []] and (verifier.checked, verifier.skipped) == (3, 0)


def test_another_error_on_a_socket_is_found(on_a_socket) -> None:
    *_, refused = on_a_socket
    (piece,) = refused.response.pieces
    error = json.loads(piece.data)

    def answered(**changes: Any) -> Interaction:
        changed = piece._replace(data=json.dumps({**error, **changes}).encode())
        return replace(refused, response=replace(refused.response, pieces=(changed,)))

    _, ((finding,),) = check(answered(status=418))
    assert (finding.endpoint, finding.kind, finding.recorded) == ("WEBSOCKET /v1/responses", "status", "418")
    _, ((finding,),) = check(answered(error={**error["error"], "code": "other"}))
    assert (finding.path, finding.kind, finding.recorded) == ("error.code", "value", '"other"')


def test_an_upgrade_without_a_turn_is_skipped() -> None:
    """No frame was asked, so there is nothing to play."""
    upgrade = Interaction(1, 0, Request("GET", "/v1/responses", socket=True), Response(101))
    verifier, found = check(upgrade)
    assert found == [[]] and (verifier.checked, verifier.skipped) == (0, 1)


def test_calls_of_others_and_refused_keys_are_skipped() -> None:
    """A path that only begins like a covered one is another; a key is the account's business."""
    error = {"error": {"message": "x", "type": "t", "param": None, "code": None}}
    verifier, _ = check(
        interaction(1, "GET", "/v1/responses_of_others", None, {}),
        interaction(2, "GET", "/v1/models", None, error, 401),
        interaction(3, "GET", "/v1/models", None, {}, ended="cut"),
    )
    assert (verifier.checked, verifier.skipped) == (0, 3)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_refusal_that_only_the_service_can_cause_is_the_scripts(status: int) -> None:
    error = {"message": "Not now.", "type": "server_error", "param": None, "code": "busy"}
    refused = interaction(1, "POST", "/v1/responses", {"model": "gpt-5.5", "input": "Hi"}, {"error": error}, status)
    assert check(refused)[1] == [[]]


def test_any_other_refusal_has_to_be_the_mocks_own() -> None:
    error = {"message": "No.", "type": "invalid_request_error", "param": None, "code": "odd"}
    refused = interaction(1, "POST", "/v1/responses", {"model": "gpt-5.5", "input": "Hi"}, {"error": error}, 400)
    verifier, ((finding,),) = check(refused)
    assert (finding.endpoint, finding.kind, finding.recorded) == ("POST /v1/responses", "status", "400")
    assert finding.ours.startswith("200 {")
    (group,) = verifier.drift.groups()
    assert group.exchanges == [1]


def test_ids_in_a_path_are_exchanged_and_no_part_of_the_endpoint() -> None:
    conversation = {"id": "conv_0123456789abcdef", "object": "conversation", "created_at": 1_795_176_000}
    answer = {**conversation, "metadata": {"topic": "x"}}
    path = f"/v1/conversations/{conversation['id']}"
    created = interaction(1, "POST", "/v1/conversations", {"metadata": {"topic": "x"}}, answer)
    read = interaction(2, "GET", path, None, answer)
    changed = interaction(3, "GET", path, None, {**answer, "metadata": {"topic": "y"}})
    _, (*found, (finding,)) = check(created, read, changed)
    assert found == [[], []]
    assert (finding.endpoint, finding.path) == ("GET /v1/conversations/{id}", "metadata.topic")
    assert (finding.recorded, finding.ours) == ('"y"', '"x"')


def test_a_body_where_the_mock_streams_is_found() -> None:
    body = {"model": "gpt-5.5", "input": "Hi", "stream": True}
    answer = {"id": "resp_0123456789", "object": "response", "status": "completed", "output": []}
    _, ((finding,),) = check(interaction(1, "POST", "/v1/responses", body, answer))
    assert (finding.path, finding.kind, finding.recorded, finding.ours) == ("body", "stream", "a body", "a stream")


def test_a_stream_where_the_mock_has_a_body_is_found() -> None:
    events = [{"type": "response.created", "response": {"id": "resp_0123456789", "output": []}}]
    pieces = tuple(Piece(0, b"data: " + json.dumps(event).encode() + b"\n\n") for event in events)
    asked = Request("POST", "/v1/responses", headers=JSON, body=b'{"model": "gpt-5.5", "input": "Hi"}')
    answer = Response(200, (("content-type", "text/event-stream"),), pieces, streamed=True)
    _, (findings,) = check(Interaction(1, 0, asked, answer))
    assert [finding.kind for finding in findings] == ["grammar"]


def test_a_stream_and_a_body_of_the_mock_have_no_drift(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    with recording(path) as url:
        first = turn(url, input="Hi")
        with httpx.Client(trust_env=False, headers=HEADERS) as client:
            body = {"model": "gpt-5.5", "input": "And?", "stream": True, "previous_response_id": first["id"]}
            assert "response.completed" in client.post(f"{url}/responses", json=body).text
            listed = client.get(f"{url}/responses/{first['id']}/input_items", params={"order": "asc"})
            assert len(listed.json()["data"]) == 1
    verifier, found = check(*load(path).interactions)
    assert found == [[], [], []] and verifier.checked == 3


# --- what is known beforehand -----------------------------------------------------------------------------------------


def test_how_a_turn_ended_is_found_in_a_later_answer() -> None:
    def read(number: int, status: str, id: str = "resp_1") -> Interaction:
        return interaction(number, "GET", "/v1/responses/x", None, {"id": id, "object": "response", "status": status})

    queued, done, failed = read(1, "queued"), read(2, "completed"), read(3, "failed", "resp_2")
    others = [interaction(4, "GET", "/v1/models", None, [1]), interaction(5, "GET", "/v1/models", None, {"id": "x"})]
    assert ended_turns([queued, done, failed, *others]) == {"resp_1": done}, "the other one showed its end itself"


@pytest.mark.parametrize(
    ("recorded", "created_at", "at"),
    [
        ("2026-11-29T00:00:10Z", None, 1_795_910_411),
        ("2026-11-29T00:00:10+00:00", 1_795_999_999, 1_795_999_999),
        ("no time", None, 1),
        (None, None, 1),
    ],
)
def test_the_mocks_clock_stands_at_the_time_of_the_exchange(recorded: str | None, created_at: Any, at: int) -> None:
    """The answer says it best; else the head of the cassette does, and the seconds since."""
    answer = {"id": "conv_0123456789", "object": "conversation", "created_at": created_at, "metadata": {}}
    created = interaction(1, "POST", "/v1/conversations", {}, answer)
    verifier = Verifier()
    verifier.begin(Cassette("x", Head(recorded=recorded), (created,)))
    verifier.check(created)
    assert EngineDriver(verifier.engine).call("POST", "/conversations", {}).body["created_at"] == at
    verifier.close()


def test_a_model_says_what_it_was_told_or_what_it_would_have_said() -> None:
    model, asked = ScriptedOnce(), prompt(user("Hi"))
    assert model.respond(asked) == SeededModel().respond(asked)
    reply = Reply(output=({"type": "message", "role": "assistant", "content": []},))
    model.say(reply)
    assert model.respond(asked)._replace(output_tokens=None) == reply


# --- turns that take time, limits, compactions ------------------------------------------------------------------------


@pytest.mark.parametrize("talk", TALKS, ids=lambda talk: talk.__name__)
def test_what_is_seen_of_slow_turns_is_no_drift(talk: Callable[[Caller], None]) -> None:
    """A faithful API whose turns take seconds: polled, cancelled, resumed, cut, compacted."""
    clock = [NOON]

    def wait(seconds: float) -> None:
        clock[0] += seconds

    engine = Engine(Settings(pacing=Pacing(2.0, 4.0)), wall=lambda: clock[0])
    talk(Caller(EngineDriver(engine), wait))
    cassette = parse(b"".join(write_journal(engine.journal.answers(None))), "talk")
    engine.close()
    verifier = Verifier()
    verifier.check_all(cassette)
    verifier.close()
    assert verifier.drift.groups() == [] and verifier.checked == len(cassette.interactions) > 1


def turn_as_seen(number: int, status: str, **more: Any) -> Interaction:
    answer = {"id": "resp_1", "object": "response", "status": status, "created_at": 100, **more}
    return interaction(number, "GET", "/v1/responses/resp_1", None, answer)


def test_a_turn_ends_between_who_saw_it_running_last_and_who_saw_its_end() -> None:
    """Interaction `n` is at second `n`."""
    queued, running, done = (turn_as_seen(1, "queued"), turn_as_seen(5, "in_progress"), turn_as_seen(9, "completed"))
    assert ends_of_turns([done]) == {}, "nobody saw it running"
    assert ends_of_turns([queued]) == ends_of_turns([queued, turn_as_seen(4, "cancelled")]) == {"resp_1": math.inf}
    assert ends_of_turns([queued, done]) == {"resp_1": 9.0}
    late = replace(done, response=replace(done.response, pieces=(done.response.pieces[0]._replace(at=2.0),)))
    assert ends_of_turns([queued, late]) == {"resp_1": 9.0}, "the request counts, not the answer"
    asked = {"model": "gpt-4.1", "input": "x", "previous_response_id": "resp_1"}
    onward = interaction(
        7, "POST", "/v1/responses", asked, {"id": "resp_2", "object": "response", "status": "completed"}
    )
    assert ends_of_turns([queued, onward]) == {"resp_1": 7.0}, "who went on from it has seen its end"
    said = [
        (turn_as_seen(9, "completed", completed_at=100 + took), end) for took, end in ((6, 7.0), (30, 9.0), (1, 5.001))
    ]
    for ended, end in said:
        assert ends_of_turns([queued, running, ended, turn_as_seen(20, "completed")]) == {"resp_1": end}


def test_more_than_the_limit_is_cut_from_what_was_said() -> None:
    """Spec: R7.5."""
    model = ScriptedOnce(lambda text: len(text.split()))
    message = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "word " * 40}]}
    model.say(Reply(output=(message,)), output_tokens=45)
    limited = replace(prompt(user("Hi")), request={"model": "gpt-4.1", "max_output_tokens": 16})
    assert model.respond(limited).incomplete == "max_output_tokens"
    assert model.respond(prompt(user("Hi"))).incomplete is None


def test_the_length_of_a_summary_is_what_was_billed_beyond_what_can_be_seen() -> None:
    """Spec: T10, R5.2."""
    model = ScriptedOnce()
    model.say(Reply(output=({"type": "compaction"},)), output_tokens=90)
    assert model.summary_tokens("seed", 400) == 90, "a turn that only compacts asks no model"
    model.respond(prompt(user("Hi")))
    assert model.summary_tokens("seed", 400) == 90
    model.say(Reply(output=({"type": "compaction"},)), output_tokens=0)
    assert model.summary_tokens("seed", 400) == summary_tokens("seed", 400), "a pass that was free is a mistake"
    below = {"model": "gpt-4.1", "context_management": [{"type": "compaction", "compact_threshold": 1000}]}
    model.say(Reply(output=({"type": "compaction"},)), output_tokens=90)
    assert model.respond(replace(prompt(user("Hi")), request=below)).output == ()


def test_a_value_that_nobody_could_know_is_known_to_be_there() -> None:
    assert [*compare("x", {"completed_at": 1}, {"completed_at": 2})] == []
    (finding,) = compare("x", {"completed_at": None}, {"completed_at": 2})
    assert (finding.path, finding.kind) == ("completed_at", "value")
