"""Mode `auto`: what the cassette has is replayed, the rest is recorded, and forgotten parents are given back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from proxy.cassettes.file import load
from tests.support.cassettes import mock_upstream, proxying, replaying


@contextmanager
def automatic(path: Path, **options: Any) -> Iterator[Caller]:
    """A client of a proxy in mode `auto` before a mock with these options."""
    with (
        mock_upstream(**options) as (_, upstream),
        proxying(mode="auto", upstream=upstream, cassette=(str(path),)) as (_, url),
        Caller(url) as caller,
    ):
        yield caller


class Caller:
    """A client of a proxy."""

    def __init__(self, url: str) -> None:
        self.client = httpx.Client(base_url=url, trust_env=False, headers={"authorization": "Bearer sk-caller-123456"})
        self.url = url

    def __enter__(self) -> Caller:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def turn(self, text: str, **more: Any) -> dict[str, Any]:
        answer = self.client.post("/responses", json={"model": "gpt-4.1", "input": text, **more})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def stream(self, text: str, **more: Any) -> str:
        return self.client.post("/responses", json={"model": "gpt-4.1", "input": text, "stream": True, **more}).text

    def socket(self, *frames: dict[str, Any]) -> list[dict[str, Any]]:
        """The terminal events of turns on one socket."""
        ends = []
        with connect(self.url.replace("http", "ws", 1) + "/responses", proxy=None) as socket:
            for frame in frames:
                parent = frame.get("previous_response_id") == "last" and ends
                more = {"previous_response_id": ends[-1]["response"]["id"]} if parent else {}
                socket.send(json.dumps({"type": "response.create", "model": "gpt-4.1", **frame, **more}))
                event: dict[str, Any] = {"type": ""}
                while event["type"] not in ("response.completed", "error"):
                    event = json.loads(socket.recv(20))
                ends.append(event)
        return ends


def text_of(response: dict[str, Any]) -> str:
    return response["output"][-1]["content"][0]["text"]


def test_what_is_there_is_replayed_and_the_rest_recorded(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    with mock_upstream() as (_, upstream):
        with proxying(mode="auto", upstream=upstream, cassette=(str(path),)) as (_, url), Caller(url) as caller:
            one = caller.turn("one")
            assert caller.turn("one") == one  # asked again, answered from what was recorded just now
            two = caller.turn("two", previous_response_id=one["id"])
        with proxying(mode="auto", upstream=upstream, cassette=(str(path),)) as (_, url), Caller(url) as caller:
            assert caller.turn("one") == one
            assert caller.turn("two", previous_response_id=one["id"]) == two
            three = caller.stream("three", previous_response_id=two["id"])
            assert "[5 items in context]" in three
            assert caller.client.get("/responses/resp_none").status_code == 404
    assert [one.request.value and one.request.value["input"] for one in load(path).interactions] == [
        "one",
        "two",
        "three",
        None,
    ]
    with replaying(path) as url, Caller(url) as caller:
        assert caller.turn("two", previous_response_id=caller.turn("one")["id"]) == two
        assert caller.stream("three", previous_response_id=two["id"]) == three


def test_a_parent_that_the_upstream_has_forgotten_is_rehydrated(tmp_path: Path) -> None:
    """Spec: R1.2, R1.24."""
    path = tmp_path / "talk.yaml"
    with mock_upstream() as (_, upstream):
        options = {"mode": "auto", "upstream": upstream, "cassette": (str(path),)}
        with proxying(**options) as (_, url), Caller(url) as caller:
            one = caller.turn("I am Ada", instructions="Be kind")
            two = caller.turn("Hello?", previous_response_id=one["id"])
        with httpx.Client(trust_env=False, headers={"authorization": "Bearer sk-caller-123456"}) as control:
            origin = upstream.removesuffix("/v1")
            assert control.post(f"{origin}/_mock/clock/advance", json={"days": 31}).status_code == 200
        with proxying(**options) as (_, url), Caller(url) as caller:
            three = caller.turn("Who am I?", previous_response_id=two["id"])
            four = caller.turn("Still?", previous_response_id=three["id"])
            assert "[5 items in context]" in text_of(three) and "[7 items in context]" in text_of(four)
            events = caller.stream("And now?", previous_response_id=two["id"])
            assert "[5 items in context]" in events and "response.completed" in events
            unknown = caller.client.post(
                "/responses", json={"model": "gpt-4.1", "input": "x", "previous_response_id": "resp_unknown"}
            )
            assert unknown.status_code == 400 and unknown.json()["error"]["code"] == "previous_response_not_found"
    interactions = load(path).interactions
    assert [one.rehydrated for one in interactions] == [False, False, True, False, True, False]
    assert interactions[2].request.value["previous_response_id"] == two["id"]
    with replaying(path) as url, Caller(url) as caller:
        assert caller.turn("Who am I?", previous_response_id=two["id"]) == three
        assert caller.turn("Still?", previous_response_id=three["id"]) == four


def test_a_conversation_of_another_account_is_created_anew(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    with automatic(path) as caller:
        created = caller.client.post("/conversations", json={"items": [{"role": "user", "content": "I am Bob"}]})
        id = created.json()["id"]
        caller.turn("Hello", conversation=id)
    with automatic(path, seed=9) as caller:
        turn = caller.turn("Who am I?", conversation=id)
        assert turn["conversation"] == {"id": id} and "[4 items in context]" in text_of(turn)
        listed = caller.client.get(f"/conversations/{id}/items").json()["data"]
        assert len(listed) == 5
        events = caller.stream("Again?", conversation={"id": id})
        assert f'"conversation":{{"id":"{id}"}}' in events and "[6 items in context]" in events
    assert [one.rehydrated for one in load(path).interactions] == [False, False, True, False, False]
    with replaying(path) as url, Caller(url) as caller:
        assert caller.turn("Who am I?", conversation=id) == turn


def test_sockets_go_upstream_turn_by_turn(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    first, second = {"input": "one"}, {"input": "two", "previous_response_id": "last"}
    with automatic(path) as caller:
        recorded = caller.socket(first, second)
    with automatic(path, seed=9) as caller:
        third = {"input": "three", "previous_response_id": "last"}
        *again, new = caller.socket(first, second, third)
        assert again == recorded and "[5 items in context]" in text_of(new["response"])
    assert [one.rehydrated for one in load(path).interactions] == [False, False, True]
    with replaying(path) as url, Caller(url) as caller:
        assert caller.socket(first, second, third) == [*recorded, new]


def test_an_upstream_that_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "talk.yaml"
    with automatic(path) as caller:
        one = caller.turn("one")
    with (
        proxying(mode="auto", upstream="http://127.0.0.1:9/v1", cassette=(str(path),)) as (_, url),
        Caller(url) as caller,
    ):
        assert caller.turn("one") == one
        gone = caller.client.post("/responses", json={"model": "gpt-4.1", "input": "two"})
        assert gone.status_code == 502 and gone.headers["x-should-retry"] == "false"
    assert len(load(path).interactions) == 1


@pytest.mark.parametrize("body", [b"", b"no json", b"[1]", b"\xff"])
def test_bodies_that_are_no_objects(tmp_path: Path, body: bytes) -> None:
    path = tmp_path / "talk.yaml"
    answers = []
    for _ in range(2):
        with automatic(path) as caller:
            answers.append(caller.client.post("/responses", content=body).text)
    assert answers[0] == answers[1] and len(load(path).interactions) == 1
