"""The journal's download: what the mock answered, as a cassette that replays and is verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from mockserver import Mock, function_call
from mockserver.config.pacing import Pacing
from mockserver.wire.errors.api import MockError
from proxy import Proxy, save_journal
from proxy.cassettes.file import load, parse
from proxy.cassettes.interaction import CassetteError
from proxy.verify import Verifier

KEY = "sk-caller-0123456789"
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


def talk(url: str) -> list[Any]:
    """Turns, a stream, a refusal, a conversation and two turns on a socket; all bodies."""
    said: list[Any] = []
    with httpx.Client(base_url=url, trust_env=False, headers={"authorization": f"Bearer {KEY}"}) as client:

        def note(answer: httpx.Response) -> Any:
            said.append((answer.status_code, answer.headers["content-type"], answer.content))
            return json.loads(answer.content) if "json" in answer.headers["content-type"] else None

        def turn(**body: Any) -> Any:
            return note(client.post("/responses", json={"model": "gpt-4.1", **body}))

        first = turn(input=f"weather in Paris? my key is {KEY}", tools=[TOOL])
        turn(input="Who am I?", previous_response_id=first["id"])
        turn(input="Who am I?", previous_response_id="resp_unknown")
        turn(input="stream", stream=True)
        conversation = note(client.post("/conversations", json={"metadata": {"user": "ü"}}))["id"]
        turn(input="I am Ada", conversation=conversation)
        note(client.get(f"/conversations/{conversation}/items", params={"order": "asc", "limit": 1}))
        note(client.delete(f"/responses/{first['id']}"))
    address = url.replace("http", "ws", 1) + "/responses"
    with connect(address, proxy=None, additional_headers={"authorization": f"Bearer {KEY}"}) as socket:
        parent: dict[str, str] = {}
        for text, lane in (("I am Cy", {}), ("Who?", {}), ("lane", {"stream_id": "a"})):
            frame = {"type": "response.create", "model": "gpt-4.1", "input": text, "store": False, **parent, **lane}
            socket.send(json.dumps(frame))
            event: dict[str, Any] = {"type": ""}
            while event["type"] not in ("response.completed", "error"):
                event = json.loads(heard := socket.recv(20))
                said.append(heard)
            parent = {"previous_response_id": event["response"]["id"]} if not lane else {}
    return said


def without_key(said: list[Any], mark: bytes) -> list[Any]:
    return [(*one[:2], one[2].replace(KEY.encode(), mark)) if isinstance(one, tuple) else one for one in said]


def test_what_the_mock_answered_is_replayed_and_verified(tmp_path: Path) -> None:
    path = tmp_path / "journal.yaml"
    with Proxy(clock="2026-11-20T12:00:00Z") as proxy:
        said = talk(proxy.base_url)
        with httpx.Client(trust_env=False, headers={"authorization": f"Bearer {KEY}"}) as client:
            answer = client.get(f"{proxy.url}/_mock/journal.cassette")
    assert answer.status_code == 200 and answer.headers["content-type"] == "application/yaml"
    assert answer.headers["content-disposition"] == 'attachment; filename="journal.yaml"'
    assert KEY.encode() not in answer.content
    path.write_bytes(answer.content)
    cassette = load(path)
    assert cassette.head.recorded == "2026-11-20T12:00:00Z" and not cassette.problems
    assert len(cassette.interactions) == 11
    assert [one.connection for one in cassette.interactions] == [None] * 8 + [9, 9, 9]
    mark = cassette.interactions[0].request.value["input"].removeprefix("weather in Paris? my key is ").encode()
    with Proxy(cassette=path) as replay:
        assert talk(replay.base_url) == without_key(said, mark)
        assert replay.misses == [] and replay.unused == []
    verifier = Verifier()
    verifier.check_all(cassette)
    verifier.close()
    assert (verifier.checked, verifier.drift.groups()) == (11, [])


def test_saved_by_a_test(tmp_path: Path) -> None:
    path = tmp_path / "journal.yaml"
    with Mock(clock="2026-11-20T12:00:00Z") as mock:
        client = httpx.Client(base_url=mock.base_url, trust_env=False, headers={"authorization": f"Bearer {KEY}"})
        mock.reply(function_call("get_weather", {"city": "Paris"}))
        id = client.post("/responses", json={"model": "gpt-4.1", "input": "codeword", "tools": [TOOL]}).json()["id"]
        mock.clock.advance(days=31)
        again = {"model": "gpt-4.1", "input": "x", "previous_response_id": id}
        assert client.post("/responses", json=again).status_code == 400
        assert save_journal(mock, path) == 2
        assert save_journal(mock, tmp_path / "redacted.yaml", redact=["codeword"]) == 2
        with pytest.raises(MockError, match="writes no cassettes"):
            mock.control("GET", "/journal.cassette")
        with pytest.raises(CassetteError, match="can't be written"):
            save_journal(mock, tmp_path)
        mock.journal.clear()
        assert save_journal(mock, tmp_path / "empty.yaml") == 0
        client.close()
    assert "codeword" in path.read_text() and "codeword" not in (tmp_path / "redacted.yaml").read_text()
    assert load(path).interactions[1].at == 31 * 86400
    verifier = Verifier()
    verifier.check_all(load(path))
    verifier.close()
    assert verifier.drift.groups() == [], "the clock of the one who verifies moves as far"
    assert load(tmp_path / "empty.yaml").interactions == ()


def test_faults_are_written_as_they_left(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    with Proxy() as proxy, httpx.Client(base_url=proxy.base_url, trust_env=False) as client:
        proxy.control("PUT", "/faults", [{"do": {"cut": True}, "at": {"event": "response.created"}, "times": 1}])
        body = {"model": "gpt-4.1", "input": "x", "stream": True}
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/responses", json=body)
        proxy.control("PUT", "/faults", [{"do": "malformed", "at": {"event": "response.completed"}, "times": 1}])
        torn = client.post("/responses", json=body).content
        proxy.control("PUT", "/faults", [{"do": {"cut": True}, "at": {"bytes": 5}, "times": 1}])
        with pytest.raises(httpx.RemoteProtocolError):
            client.post("/responses", json={**body, "stream": False})
        assert proxy.save_journal(path) == 3
        assert proxy.control("GET", "/journal.cassette").startswith("understudy: cassette\n")
    cut, malformed, bytes_ = load(path).interactions
    assert cut.response.ended == "cut" and [event["type"] for event in cut.events] == ["response.created"]
    assert malformed.response.body == torn
    assert (bytes_.response.ended, len(bytes_.response.body)) == ("cut", 5)


def test_an_empty_journal_is_a_cassette() -> None:
    with Proxy() as proxy:
        cassette = parse(proxy.control("GET", "/journal.cassette").encode(), "x")
    assert cassette.interactions == () and cassette.head.recorded is None


def steer(url: str, text: str) -> list[str]:
    """The frames of a turn that is steered while it runs, on a lane, and of what follows it."""
    said: list[str] = []
    kinds: list[str] = []
    first = ""
    with connect(url.replace("http", "ws", 1) + "/responses", proxy=None) as socket:
        create = {"type": "response.create", "model": "gpt-6-astra", "input": text * 9, "stream_id": "a"}
        socket.send(json.dumps(create))
        while kinds.count("response.completed") + kinds.count("response.incomplete") < 2:
            said.append(str(socket.recv(20)))
            event = json.loads(said[-1])
            kinds.append(event["type"])
            if event["type"] == "response.output_item.added" and kinds.count("response.output_item.added") == 1:
                socket.send(json.dumps({"type": "response.steer", "previous_response_id": first, "input": "stop"}))
            if event["type"] == "response.created":
                first = event["response"]["id"]
    assert "response.steer.accepted" in kinds
    return said


def test_a_steered_turn_is_kept_with_what_steered_it_and_its_successor(tmp_path: Path) -> None:
    """As a recorder in front of the mock would have noted it: one interaction. Spec: R4.16."""
    path = tmp_path / "steered.yaml"
    with Proxy(clock="2026-11-20T12:00:00Z", pacing=Pacing(0.05, 100)) as proxy:
        said = steer(proxy.base_url, "tell me a long story about the sea ")
        path.write_bytes(httpx.get(f"{proxy.url}/_mock/journal.cassette", trust_env=False).content)
    (turn,) = load(path).interactions
    assert [piece.data.decode() for piece in turn.response.pieces if not piece.sent] == said
    (sent,) = [piece for piece in turn.response.pieces if piece.sent]
    assert json.loads(sent.data)["type"] == "response.steer" and turn.lane == "a"
    with Proxy(cassette=path) as replay:
        assert steer(replay.base_url, "tell me a long story about the sea ") == said
        assert replay.misses == [] and replay.unused == []
