"""What a server with a SQLite file has acknowledged outlives it, however it ends. Spec: R1.1, R1.8."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.support.examples import first_of
from tests.support.raw_http import Answer, chunked, connect, exchange, read_on, request
from tests.support.serving import FROZEN, Served, serving

MODEL = "gpt-4.1"


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state.db'}"


def ask(served: Served, method: str, path: str, body: Any = None) -> Any:
    """Make a call of the public API that must succeed."""
    reply = served.request(method, f"/v1{path}", body)
    assert reply.status == 200, reply.body
    return reply.json


def texts(served: Served, conversation: str) -> list[str]:
    """Return what a conversation holds."""
    items = ask(served, "GET", f"/conversations/{conversation}/items?order=asc")["data"]
    return [item["content"][0]["text"] for item in items]


def seen(served: Served, response: str) -> list[str]:
    """Return what the model saw."""
    return [item["content"][0]["text"] for item in served.control("GET", f"/responses/{response}/context")["items"]]


def test_everything_acknowledged_outlives_a_kill(store: str) -> None:
    with serving(*FROZEN, "--store", store) as served:
        served.control(
            "POST", "/script", {"lines": [{"reply": {"text": "kept line"}, "when": {"input_equals": "use"}}]}
        )
        made = ask(served, "POST", "/conversations", {"metadata": {"a": "1"}})
        first = ask(served, "POST", "/responses", {"model": MODEL, "input": "one"})
        turn = ask(served, "POST", "/responses", {"model": MODEL, "input": "two", "conversation": made["id"]})
        served.kill()
    held = ["two", "Mock reply to: two [1 items in context]"]
    with serving(*FROZEN, "--store", store) as served:
        assert ask(served, "GET", f"/responses/{first['id']}") == first
        assert ask(served, "GET", f"/responses/{turn['id']}") == turn
        assert [one["id"] for one in served.control("GET", "/responses")["data"]] == [turn["id"], first["id"]]
        assert [one["id"] for one in served.control("GET", "/conversations")["data"]] == [made["id"]]
        assert ask(served, "GET", f"/conversations/{made['id']}") == made
        assert texts(served, made["id"]) == held
        chain = {"model": MODEL, "input": "three", "previous_response_id": first["id"]}
        third = ask(served, "POST", "/responses", chain)
        assert seen(served, third["id"]) == ["one", "Mock reply to: one [1 items in context]", "three"]
        used = ask(served, "POST", "/responses", {"model": MODEL, "input": "use", "conversation": made["id"]})
        assert used["output"][0]["content"][0]["text"] == "kept line"
        assert texts(served, made["id"]) == [*held, "use", "kept line"]
        assert len({first["id"], turn["id"], third["id"], used["id"]}) == 4


@pytest.mark.parametrize("round", first_of(range(3), 2))
def test_kill_right_after_the_last_byte(store: str, round: int) -> None:
    """The server dies as soon as the answer is read, streamed and not."""
    body = {"model": MODEL, "input": "now", "stream": round % 2 == 0}
    with serving(*FROZEN, "--store", store) as served:
        conversation = ask(served, "POST", "/conversations", {})["id"]
        with connect(served.port) as sock:
            sock.sendall(request("POST", "/v1/responses", {**body, "conversation": conversation}))
            read_on(sock, until=b"event: response.completed\n" if body["stream"] else b'"metadata": {}\n}')
            served.kill()
    with serving(*FROZEN, "--store", store) as served:
        (found,) = served.control("GET", "/responses")["data"]
        assert found["status"] == "completed" and found["conversation"] == {"id": conversation}
        assert texts(served, conversation) == ["now", "Mock reply to: now [1 items in context]"]


def test_a_turn_cut_by_a_kill_is_finished_by_the_clock(store: str) -> None:
    with serving(*FROZEN, "--store", store) as served:
        conversation = ask(served, "POST", "/conversations", {})["id"]
        served.control("POST", "/script", {"lines": [{"reply": {"text": "late"}, "pacing": {"first_token": 60}}]})
        with connect(served.port) as sock:
            turn = {"model": MODEL, "input": "wait", "conversation": conversation, "stream": True}
            sock.sendall(request("POST", "/v1/responses", turn))
            read_on(sock, until=b"event: response.in_progress\n")
            served.kill()
    with serving(*FROZEN, "--store", store) as served:
        assert texts(served, conversation) == []
        locked = served.request("POST", "/v1/responses", {"model": MODEL, "input": "x", "conversation": conversation})
        assert (locked.status, locked.json["error"]["code"]) == (400, "conversation_locked")
        assert len(served.control("POST", "/clock/advance", {"seconds": 60})["completed"]) == 1
        assert texts(served, conversation) == ["wait", "late"]


def test_a_request_cut_by_a_kill_leaves_nothing(store: str) -> None:
    whole = chunked("POST", "/v1/responses", b'{"model": "gpt-4.1", "input": "half"}', 8)
    with serving(*FROZEN, "--store", store) as served, connect(served.port) as sock:
        sock.sendall(whole[:-10])
        ask(served, "GET", "/models")
        served.kill()
    with serving(*FROZEN, "--store", store) as served:
        assert served.control("GET", "/responses")["data"] == []
        assert exchange(served.port, whole).status == 200


def test_two_processes_share_a_file(store: str) -> None:
    with serving(*FROZEN, "--store", store) as one, serving(*FROZEN, "--store", store) as two:
        conversation = ask(one, "POST", "/conversations", {})["id"]
        parent: dict[str, str] = {}
        expected: list[str] = []
        ids = []
        for number, served in enumerate([one, two, one, two]):
            turn = {"model": MODEL, "input": f"turn {number}", "conversation": conversation}
            expected += [f"turn {number}", f"Mock reply to: turn {number} [{2 * number + 1} items in context]"]
            ids.append(ask(served, "POST", "/responses", turn)["id"])
            link = ask(served, "POST", "/responses", {"model": MODEL, "input": f"link {number}", **parent})
            parent = {"previous_response_id": link["id"]}
            ids.append(link["id"])
        for served in (one, two):
            assert texts(served, conversation) == expected
            assert [found["id"] for found in served.control("GET", "/responses")["data"]] == ids[::-1]
            assert len(seen(served, link["id"])) == 7
        assert len(set(ids)) == 8
        ask(two, "DELETE", f"/responses/{ids[0]}")
        assert one.request("GET", f"/v1/responses/{ids[0]}").status == 404


def test_projects_stay_apart_in_one_file(store: str) -> None:
    with serving(*FROZEN, "--store", store) as served:
        first = ask(served, "POST", "/responses", {"model": MODEL, "input": "mine"})
        served.kill()
    with serving(*FROZEN, "--store", store) as served:
        assert served.request("GET", f"/v1/responses/{first['id']}", key="other").status == 404
        assert served.control("GET", "/responses", key="other")["data"] == []


@pytest.fixture(scope="module")
def by_workers(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[Answer], list[str]]:
    """Answers of two worker processes, and the ids of what is stored then, oldest first."""
    store = f"sqlite:///{tmp_path_factory.mktemp('workers') / 'state.db'}"
    with serving(*FROZEN, "--store", store, "--workers", "2") as served:
        answers = []
        for number in range(60):
            answers.append(
                exchange(served.port, request("POST", "/v1/responses", {"model": MODEL, "input": str(number)}))
            )
        return answers, [one["id"] for one in served.control("GET", "/responses?limit=100")["data"]][::-1]


def test_workers_share_a_file(by_workers: tuple[list[Answer], list[str]]) -> None:
    answers, listed = by_workers
    assert [answer.json["id"] for answer in answers] == listed and len(set(listed)) == 60


def test_workers_name_every_request_differently(by_workers: tuple[list[Answer], list[str]]) -> None:
    """Spec: W15, C4."""
    answers, _ = by_workers
    assert len({answer.header("x-request-id") for answer in answers}) == 60
