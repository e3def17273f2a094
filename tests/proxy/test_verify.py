"""Recordings against the mock: `verify`, `shadow`, and the mock whose model is a recording."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx
import pytest

from mockserver import Mock, function_call, incomplete
from mockserver.scenarios.loader import load_file
from proxy import Proxy, cli
from proxy.cassettes.drift import Drift, Finding, compare, compare_events
from proxy.cassettes.file import load, save
from proxy.cassettes.interaction import Piece
from proxy.verify import Verifier
from tests.support.serving import ROOT

RECORDINGS = sorted((ROOT / "fixtures" / "recordings").glob("*.yaml"))
BOOM = {"failed": {"code": "server_error", "message": "x"}}
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


@contextmanager
def client_of(url: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=url, trust_env=False, headers={"authorization": "Bearer sk-caller-123456"}) as client:
        yield client


def talk(client: httpx.Client) -> list[Any]:
    """A talk with tools, a conversation, failures and refusals; what a user can see of it."""
    said: list[Any] = []

    def turn(**body: Any) -> dict[str, Any]:
        answer = client.post("/responses", json={"model": "gpt-5.5", **body})
        value = answer.json()
        said.append((answer.status_code, value.get("status"), [item.get("type") for item in value.get("output", ())]))
        said.append([part.get("text") for item in value.get("output", ()) for part in item.get("content", ())])
        return value

    first = turn(input="weather in Paris?", tools=[TOOL])
    call = first["output"][-1]
    output = {"type": "function_call_output", "call_id": call["call_id"], "output": "18"}
    second = turn(input=[output], previous_response_id=first["id"], tools=[TOOL])
    turn(input="And tomorrow?", previous_response_id=second["id"], max_output_tokens=100)
    turn(input="boom", previous_response_id=first["id"])
    turn(input="What?", previous_response_id="resp_unknown")
    conversation = client.post("/conversations", json={}).json()["id"]
    turn(input="I am Ada", conversation=conversation)
    turn(input="Who am I?", conversation=conversation)
    stream = {"model": "gpt-5.5", "input": "stream", "stream": True, "conversation": conversation}
    said.append("[6 items" in client.post("/responses", json=stream).text)
    said.append(len(client.get(f"/conversations/{conversation}/items").json()["data"]))
    return said


@pytest.fixture
def recorded(tmp_path: Path) -> tuple[Path, list[Any]]:
    path = tmp_path / "talk.yaml"
    with Mock() as mock:
        mock.reply(function_call("get_weather", {"city": "Paris"}), "18 degrees.", incomplete("max_output_tokens"))
        mock.script(
            [{"when": {"input_contains": "boom"}, "reply": {"failed": {"code": "server_error", "message": "x"}}}]
        )
        with Proxy(mode="record", cassette=path, upstream=mock.base_url) as proxy, client_of(proxy.base_url) as client:
            said = talk(client)
    return path, said


def test_a_faithful_recording_has_no_drift(recorded, tmp_path: Path, capsys) -> None:
    path, _ = recorded
    report = tmp_path / "report.xml"
    assert cli.main(["verify", str(path), "--junit", str(report)]) == 0
    assert capsys.readouterr().out == f"{path}: 10 interactions, no drift\n"
    assert ElementTree.parse(report).getroot().get("failures") == "0"
    assert cli.main(["verify", str(path), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"cassette": str(path), "checked": 10, "skipped": 0, "findings": []}]


CHANGES = {
    b'"background": false': b'"background": true',
    b'"input_tokens": ': b'"input_tokens": 1',
    b'"status": "completed",\n  "background"': b'"background"',
    b'"object": "conversation"': b'"object": "talk"',
    b"previous_response_not_found": b"no_such_parent",
    b"event: response.output_text.done": b"event: response.output_text.over",
    b'"type":"response.content_part.done"': b'"type":"response.content_part.end"',
    b'"has_more": false': b'"has_more": true',
}


@pytest.mark.parametrize("old", [*CHANGES])
def test_a_change_of_the_api_is_found(recorded, tmp_path: Path, capsys, old: bytes) -> None:
    path, _ = recorded
    cassette, changed = load(path), 0
    interactions = []
    for interaction in cassette.interactions:
        pieces = tuple(
            Piece(at, data.replace(old, CHANGES[old]), sent) for at, data, sent in interaction.response.pieces
        )
        changed += pieces != interaction.response.pieces
        interactions.append(replace(interaction, response=replace(interaction.response, pieces=pieces)))
    assert changed
    other = tmp_path / "changed.yaml"
    save(replace(cassette, interactions=tuple(interactions)), other)
    status = cli.main(["verify", str(other), "--junit", str(tmp_path / "x.xml")])
    out = capsys.readouterr().out
    if old.startswith(b"event:"):  # the name of an event's line says nothing that its data does not
        assert status == 0
        return
    assert status == 1 and "differences in" in out and "recorded" in out
    assert ElementTree.parse(tmp_path / "x.xml").getroot().get("failures") == "1"


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_recordings_of_real_clients_have_no_drift(file: Path) -> None:
    """They send back what the API sealed, which the mock seals anew. Spec: R1.41, R1.42."""
    cassette, verifier = load(file), Verifier()
    assert b'"encrypted_content": "gAAAA' in file.read_bytes()
    verifier.check_all(cassette)
    verifier.close()
    assert (verifier.checked, verifier.skipped) == (len(cassette.interactions), 0)
    assert [group.to_json() for group in verifier.drift.groups()] == []


def test_files_that_can_not_be_used(recorded, tmp_path: Path, capsys) -> None:
    path, _ = recorded
    assert cli.main(["verify", str(path), "--junit", str(tmp_path / "no" / "x.xml")]) == 2
    assert "can't be written" in capsys.readouterr().err
    assert cli.main(["scenario", "from", str(tmp_path / "none.yaml")]) == 2


def test_a_recording_as_a_model(recorded, capsys) -> None:
    path, said = recorded
    with Proxy(mode="mock", cassette=path) as proxy, client_of(proxy.base_url) as client:
        assert talk(client) == said
        first = client.post(
            "/responses", json={"model": "gpt-5.5", "input": "weather in Paris?", "tools": [TOOL]}
        ).json()
        stored = load(path).interactions[0].value
        assert first["id"] != stored["id"] and first["output"][-1]["arguments"] == stored["output"][-1]["arguments"]
        assert first["usage"] == stored["usage"]
        assert client.get(f"/responses/{first['id']}").json() == first
        assert client.get(f"/responses/{first['id']}/input_items").json()["data"][0]["role"] == "user"
        assert client.delete(f"/responses/{first['id']}").status_code == 200
        assert client.get(f"/responses/{first['id']}").status_code == 404
        other = client.post("/responses", json={"model": "gpt-5.5", "input": "unheard of"}).json()
        assert other["output"][-1]["content"][0]["text"].startswith("Mock reply to: unheard of")
        client.post(f"{proxy.url}/_mock/clock/advance", json={"days": 31}).raise_for_status()
        gone = {"model": "gpt-5.5", "input": "x", "previous_response_id": other["id"]}
        assert client.post("/responses", json=gone).json()["error"]["code"] == "previous_response_not_found"
    with Proxy(mode="mock", cassette=path, strict=True) as proxy, client_of(proxy.base_url) as client:
        miss = client.post("/responses", json={"model": "gpt-5.5", "input": "weather in Rome?", "tools": [TOOL]})
        assert miss.status_code == 501 and miss.headers["x-should-retry"] == "false"
        message = miss.json()["error"]["message"]
        assert 'recorded "weather in Paris?", sent "weather in Rome?"' in message


def test_a_recording_as_a_scenario(recorded, tmp_path: Path, capsys) -> None:
    path, _ = recorded
    assert cli.main(["scenario", "from", str(path)]) == 0
    scenario = tmp_path / "scenario.yaml"
    scenario.write_text(capsys.readouterr().out)
    document = load_file(scenario)
    assert not document.mistakes and len(document.value["lines"]) == 8
    assert cli.main(["scenario", "check", str(scenario)]) == 0


def test_shadow(recorded, tmp_path: Path) -> None:
    with Mock() as mock, Proxy(mode="shadow", upstream=mock.base_url) as proxy, client_of(proxy.base_url) as client:
        mock.reply(function_call("get_weather", {"city": "Paris"}))
        assert "x-understudy-source" not in client.get("/models").headers
        talk(client)
        assert proxy.drift() == [] == proxy.control("GET", "/drift")["data"]
    with Mock(set={"delete_object": "response.deleted"}) as mock, Proxy(mode="shadow", upstream=mock.base_url) as proxy:
        with client_of(proxy.base_url) as client:
            for _ in range(2):
                id = client.post("/responses", json={"model": "gpt-4.1", "input": "x"}).json()["id"]
                assert client.delete(f"/responses/{id}").json()["object"] == "response.deleted"
        (group,) = proxy.drift()
        assert {key: group[key] for key in ("endpoint", "path", "kind", "count", "recorded", "ours")} == {
            "endpoint": "DELETE /v1/responses/{id}",
            "path": "object",
            "kind": "value",
            "count": 2,
            "recorded": '"response.deleted"',
            "ours": '"response"',
        }
        proxy.control("DELETE", "/drift")
        assert proxy.drift() == []


def test_what_is_compared() -> None:
    def kinds(one: Any, other: Any) -> list[tuple[str, str]]:
        return [(finding.path, finding.kind) for finding in compare("x", one, other)]

    assert kinds({"a": [1, {"b": 2}]}, {"a": [1, {"b": 2}]}) == []
    assert kinds({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}) == [("a.[].b", "value")]
    assert kinds([1], [1, 2]) == [("body", "length")]
    assert kinds({"a": 1, "b": 2}, {"b": 2, "a": 1}) == [("body", "order of keys")]
    assert kinds({"a": 1}, {"b": 1}) == [("a", "missing in ours"), ("b", "only in ours")]
    assert kinds({"a": True}, {"a": 1}) == [("a", "value")]
    assert kinds({"created_at": 1, "obfuscation": "x"}, {"created_at": 2, "obfuscation": "y"}) == []
    delta = {"type": "x.delta", "delta": "a"}
    assert [*compare_events("x", [delta, delta], [delta])] == []
    (finding,) = compare_events("x", [delta], [{"type": "y"}])
    assert finding.kind == "grammar"
    drift = Drift()
    drift.add(Finding("e", "p", "k", "1", "2"), 3)
    drift.add(Finding("e", "p", "k", "1", "4"), 3)
    assert drift.groups()[0].to_json()["exchanges"] == [3] and drift.groups()[0].count == 2


def test_what_the_mock_does_not_cover_is_skipped(recorded) -> None:
    path, _ = recorded
    cassette = load(path)
    first = cassette.interactions[0]
    cut = replace(first, response=replace(first.response, ended="cut"))
    other = replace(first, request=replace(first.request, path="/v1/embeddings"))
    verifier = Verifier()
    verifier.check_all(replace(cassette, interactions=(cut, other)))
    verifier.close()
    assert (verifier.checked, verifier.skipped) == (0, 2)


def test_a_turn_in_the_background_is_compared_once_its_end_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    with Mock() as mock, Proxy(mode="shadow", upstream=mock.base_url) as proxy, client_of(proxy.base_url) as client:
        mock.reply("said in the background")

        def begin() -> str:
            return client.post("/responses", json={"model": "gpt-4.1", "input": "x", "background": True}).json()["id"]

        first = begin()
        again = {"model": "gpt-4.1", "input": "y", "previous_response_id": first}
        assert client.post("/responses", json=again).status_code == 200
        assert client.get(f"/responses/{first}").json()["status"] == "completed"
        begin()  # nobody looks at it: it waits until somebody asks for the findings
        assert proxy.drift() == []
        begin()
        proxy.control("DELETE", "/drift")
        monkeypatch.setattr("proxy.shadow.MOST_WAITING", 2)
        begin()
        client.get("/models")
        assert proxy.drift() == []


def test_a_slow_turn_in_the_background_is_shadowed_without_drift() -> None:
    """Who polls sees it running; when it ends, the shadow learns from the polls. Spec: R6.2."""
    upstream = Mock(pacing=(2.0, 0.0), clock="2026-11-20T12:00:00Z")
    with upstream as mock, Proxy(mode="shadow", upstream=mock.base_url) as proxy, client_of(proxy.base_url) as client:

        def begin() -> str:
            return client.post("/responses", json={"model": "gpt-4.1", "input": "x", "background": True}).json()["id"]

        cancelled = begin()
        assert client.post(f"/responses/{cancelled}/cancel").json()["status"] == "cancelled"
        id = begin()
        assert client.get(f"/responses/{id}").json()["status"] == "queued"
        mock.clock.advance(seconds=3)
        assert client.get(f"/responses/{id}").json()["status"] == "completed"
        assert proxy.drift() == []
