"""`understudy cassette refresh`: the same programme against another instance of the API, ids mapped, changes told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from mockserver.config.pacing import Pacing
from mockserver.config.settings import Settings
from proxy import cli
from proxy.cassettes.changes import find_changes
from proxy.cassettes.file import load
from proxy.cassettes.interaction import Cassette, Head, Interaction, Piece, Request, Response
from proxy.refresh import Refresher
from tests.support.cassettes import mock_upstream, recording, replaying

KEY = "sk-refreshing-0123456789"
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


def talk(url: str) -> list[str]:
    """A chain, a tool, a conversation, a stream, a refusal, a turn in the background and a socket; what it was told."""
    said: list[str] = []
    with httpx.Client(base_url=url, trust_env=False, headers={"authorization": "Bearer sk-caller-123456"}) as client:

        def post(path: str, **body: Any) -> dict[str, Any]:
            answer = client.post(path, json=body).json()
            said.extend(part.get("text", "") for item in answer.get("output", ()) for part in item.get("content", ()))
            return answer

        def turn(**body: Any) -> dict[str, Any]:
            return post("/responses", model="gpt-5.5", **body)

        first = turn(input="weather in Paris?", tools=[TOOL], include=["reasoning.encrypted_content"], store=False)
        call = first["output"][-1]
        output = {"type": "function_call_output", "call_id": call["call_id"], "output": "18"}
        turn(input=[*first["output"], output], tools=[TOOL], store=False)
        stored = turn(input="I am Ada")
        turn(input="Who am I?", previous_response_id=stored["id"])
        turn(input="Who am I?", previous_response_id="resp_unknown")
        conversation = post("/conversations", items=[{"role": "user", "content": "I am Bob"}])["id"]
        turn(input="Who am I?", conversation=conversation)
        said.append(client.post("/responses", json={"model": "gpt-5.5", "input": "s", "stream": True}).text[-40:])
        waiting = turn(input="think", background=True)
        while client.get(f"/responses/{waiting['id']}").json()["status"] != "completed":
            pass
        said.append(str(len(client.get(f"/conversations/{conversation}/items").json()["data"])))
        client.delete(f"/responses/{stored['id']}")
    with connect(url.replace("http", "ws", 1) + "/responses", proxy=None) as socket:
        parent: dict[str, str] = {}
        for text in ("I am Cy", "Who am I?"):
            socket.send(
                json.dumps({"type": "response.create", "model": "gpt-4.1", "input": text, "store": False, **parent})
            )
            event: dict[str, Any] = {"type": ""}
            while event["type"] not in ("response.completed", "error"):
                event = json.loads(socket.recv(20))
            parent = {"previous_response_id": event["response"]["id"]}
            said.append(event["response"]["output"][-1]["content"][0]["text"])
    return said


@pytest.fixture
def talked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, list[str]]:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    path = tmp_path / "talk.yaml"
    with recording(path) as url:
        said = talk(url)
    return path, said


def test_the_same_programme_on_another_instance(talked, capsys: pytest.CaptureFixture[str]) -> None:
    path, said = talked
    before = load(path)
    with mock_upstream(seed=8, api_key=(KEY,)) as (_, upstream):
        assert cli.main(["cassette", "refresh", str(path), "--upstream", upstream]) == 0
    after = load(path)
    assert capsys.readouterr().out == (
        f"{path}: {len(before.interactions)} interactions recorded from {upstream}, no changes\n"
    )
    assert after.head.upstream == upstream and KEY not in path.read_text()
    assert [one.response.status for one in after.interactions] == [one.response.status for one in before.interactions]
    assert {one.connection for one in after.interactions} == {one.connection for one in before.interactions}
    old = {one.resource["id"] for one in before.interactions if one.resource.get("object") == "response"}
    assert not any(id in path.read_text() for id in old)
    with replaying(path) as url:
        assert talk(url) == said


def test_what_the_api_changed(talked, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = talked
    text, other = path.read_text(), tmp_path / "other.yaml"
    with mock_upstream(set=(("delete_object", "response.deleted"),)) as (_, upstream):
        assert cli.main(["cassette", "refresh", str(path), "--upstream", upstream, "-o", str(other)]) == 0
    out = capsys.readouterr().out
    assert "1 changes in 1 places\n" in out and "DELETE /v1/responses/{id}  object: value\n" in out
    assert 'was "response"\n' in out and 'now "response.deleted"\n' in out
    assert path.read_text() == text and other.exists()


def test_what_can_not_be_refreshed(talked, tmp_path: Path, monkeypatch, capsys: pytest.CaptureFixture[str]) -> None:
    path, _ = talked
    text = path.read_text()

    def refused(*words: str) -> str:
        assert cli.main(["cassette", "refresh", *words]) == 2
        return capsys.readouterr().err

    assert "can't be read" in refused(str(tmp_path / "none.yaml"), "--upstream", "http://127.0.0.1:9/v1")
    assert "gave no answer" in refused(str(path), "--upstream", "http://127.0.0.1:9/v1")
    assert "upstream" in refused(str(path), "--upstream", "nowhere")
    with mock_upstream(api_key=("sk-another-0123456789",)) as (_, upstream):
        assert "refused the key (401)" in refused(str(path), "--upstream", upstream)
    with mock_upstream() as (_, upstream):
        words = [str(path), "--upstream", upstream, "-o", str(tmp_path)]
        assert "can't be written" in refused(*words)
    monkeypatch.delenv("OPENAI_API_KEY")
    assert "OPENAI_API_KEY" in refused(str(path), "--upstream", "http://127.0.0.1:9/v1")
    assert path.read_text() == text and [one.name for one in tmp_path.iterdir()] == [path.name]


def test_a_turn_in_the_background_is_polled_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "poll.yaml"
    with recording(path) as url, httpx.Client(base_url=url, trust_env=False) as client:
        id = client.post("/responses", json={"model": "gpt-4.1", "input": "x", "background": True}).json()["id"]
        client.get(f"/responses/{id}")
    with mock_upstream(pacing=Pacing(0.2, 50.0), clock=None) as (_, upstream):
        settings = Settings(upstream=upstream, upstream_api_key=KEY)
        done = Refresher(settings, poll_s=0.02).refresh(load(path), str(path))
    statuses = [one.resource["status"] for one in load(path).interactions]
    assert done.count > 2 and statuses[-1] == "completed" and set(statuses[:-1]) <= {"queued", "in_progress"}


def test_a_redacted_value_is_named(tmp_path: Path) -> None:
    request = Request("POST", "/v1/responses", body=b'{"model":"gpt-4.1","input":"<redacted:0a1b2c>"}')
    cassette = Cassette("x", Head(), (Interaction(1, 0.0, request, Response(200, (), (Piece(0.0, b"{}"),))),))
    with mock_upstream() as (_, upstream):
        settings = Settings(upstream=upstream, upstream_api_key=KEY)
        done = Refresher(settings).refresh(cassette, str(tmp_path / "out.yaml"))
    assert done.warnings == ["interaction 1: it holds a redacted value, which was sent as it stands there"]


def test_a_steer_is_sent_at_its_place(tmp_path: Path) -> None:
    """Spec: R4.16."""
    path = tmp_path / "steered.yaml"
    with (
        recording(path, pacing=Pacing(0.05, 100.0), clock=None) as url,
        connect(url.replace("http", "ws", 1) + "/responses", proxy=None) as socket,
    ):
        socket.send(json.dumps({"type": "response.create", "model": "gpt-4.1", "input": "tell me a long story"}))
        id = json.loads(socket.recv(20))["response"]["id"]
        items = [{"type": "message", "role": "user", "content": "shorter"}]
        socket.send(json.dumps({"type": "response.steer", "previous_response_id": id, "input": items}))
        kinds = []
        while not kinds or kinds[-1] not in ("response.completed", "response.failed"):
            kinds.append(json.loads(socket.recv(20))["type"])
    (before,) = load(path).interactions
    assert any(piece.sent for piece in before.response.pieces)
    with mock_upstream(seed=9, pacing=Pacing(0.05, 100.0), clock=None) as (_, upstream):
        settings = Settings(upstream=upstream, upstream_api_key=KEY)
        Refresher(settings).refresh(load(path), str(path))
    (after,) = load(path).interactions
    (sent,) = [piece.data for piece in after.response.pieces if piece.sent]
    assert after.events[0]["response"]["id"].encode() in sent
    assert after.resource["status"] == "completed"


def answered(status: int, value: Any) -> Interaction:
    response = Response(status, (("content-type", "application/json"),), (Piece(0.0, json.dumps(value).encode()),))
    return Interaction(1, 0.0, Request("POST", "/v1/responses", body=b"{}"), response)


def changes(was: Interaction, now: Interaction, **ids: str) -> list[tuple[str, str]]:
    return [(finding.path, finding.kind) for finding in find_changes("x", was, now, ids)]


def test_what_counts_as_a_change() -> None:
    said = {
        "id": "resp_1",
        "truncation": "auto",
        "output": [{"type": "message", "content": [{"text": "a"}]}],
        "usage": {"n": 1},
    }
    more = {
        **said,
        "id": "resp_2",
        "output": [{"type": "reasoning"}, *said["output"], *said["output"]],
        "usage": {"n": 7},
    }
    assert changes(answered(200, said), answered(200, more), resp_1="resp_2") == []
    assert changes(answered(200, said), answered(200, {**more, "truncation": "off"}), resp_1="resp_2") == [
        ("truncation", "value")
    ]
    assert changes(answered(200, said), answered(200, {**said, "usage": {"m": 1}, "new": 1})) == [
        ("new", "new"),
        ("usage.n", "gone"),
        ("usage.m", "new"),
    ]
    other = {**said, "output": [{"type": "message", "content": [{"text": "a", "marks": []}]}]}
    assert changes(answered(200, said), answered(200, other)) == [("output.message.content.marks", "new")]
    assert changes(answered(200, said), answered(400, said)) == [("status", "status")]
    texts = [
        {"error": {"message": f"No {id} here{end}"}} for id, end in (("resp_1", "."), ("resp_2", "."), ("resp_2", "!"))
    ]
    assert changes(answered(404, texts[0]), answered(404, texts[1]), resp_1="resp_2") == []
    assert changes(answered(404, texts[0]), answered(404, texts[2]), resp_1="resp_2") == [("error.message", "value")]


def test_events_of_the_same_type_are_compared() -> None:
    def stream(*events: dict[str, Any]) -> Interaction:
        data = b"".join(b"data: %b\n\n" % json.dumps(event).encode() for event in events)
        response = Response(200, (("content-type", "text/event-stream"),), (Piece(0.0, data),), streamed=True)
        return Interaction(1, 0.0, Request("POST", "/v1/responses", body=b"{}"), response)

    was = stream({"type": "a.delta", "delta": "x"}, {"type": "response.completed", "response": {"store": True}})
    now = stream(
        {"type": "b"},
        {"type": "a.delta", "delta": "y", "n": 1},
        {"type": "response.completed", "response": {"store": False}},
    )
    assert changes(was, now) == [("events.a.delta.n", "new"), ("events.response.completed.response.store", "value")]
    assert changes(was, was) == []
