"""The verifier alone: sockets, refusals, background turns, answers of another kind, and the mock's clock."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from mockserver.conformance.drivers import EngineDriver
from mockserver.model.default_model import SeededModel
from mockserver.model.prompt import Reply
from proxy.cassettes.drift import Finding
from proxy.cassettes.file import load
from proxy.cassettes.interaction import Cassette, Head, Interaction, Piece, Request, Response
from proxy.verify import ScriptedOnce, Verifier, ended_turns
from tests.support.cassettes import recording
from tests.support.prompts import prompt, user

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
