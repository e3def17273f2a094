"""Servers that share a PostgreSQL: a chain over two of them, a hot project beside a quiet one, one that is gone."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from websockets.sync.client import connect

from mockserver.config.settings import SettingError, Settings
from mockserver.engine.engine import Engine
from mockserver.store.postgres import PostgresStore
from mockserver.transport.app import create_app
from tests.support.patience import until
from tests.support.postgres import PostgresServer, server, url
from tests.support.serving import FROZEN, Served, serving

__all__ = ["server", "url"]

pytestmark = pytest.mark.services

LOUD = ("--log-level", "info")


def create(served: Served, text: str = "hi", *, key: str = "test", **more: Any) -> Any:
    reply = served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": text, **more}, key=key)
    assert reply.status == 200, reply.body
    return reply.json


def test_a_chain_over_two_servers(url: str) -> None:
    with serving(*FROZEN, "--store", url) as one, serving(*FROZEN, "--store", url) as two:
        first = create(one)
        second = create(two, "and", previous_response_id=first["id"])
        third = create(one, "on", previous_response_id=second["id"])
        for served in (one, two):
            assert served.request("GET", f"/v1/responses/{third['id']}").json == third
        assert len({first["id"], second["id"], third["id"]}) == 3
        seen = two.control("GET", "/journal")["data"]
        assert [call["path"] for call in seen if call["method"] == "POST"] == ["/v1/responses"] * 3
        assert one.request("DELETE", f"/v1/responses/{first['id']}").status == 200
        assert two.request("GET", f"/v1/responses/{first['id']}").status == 404
        two.control("PUT", "/faults", [{"do": {"error": "rate_limit_exceeded"}}])
        assert one.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "x"}).status == 429


def test_streams_background_and_sockets(url: str) -> None:
    with serving(*FROZEN, "--store", url, "--pacing", "0.01:2000") as one, serving(*FROZEN, "--store", url) as two:
        streamed = one.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "say much", "stream": True})
        events = [json.loads(line[6:]) for line in streamed.body.decode().splitlines() if line.startswith("data: ")]
        assert [events[0]["type"], events[-1]["type"]] == ["response.created", "response.completed"]
        whole = events[-1]["response"]
        assert two.request("GET", f"/v1/responses/{whole['id']}").json["output"] == whole["output"]
        waiting = create(one, "long", background=True)
        assert waiting["status"] in ("queued", "in_progress")
        two.control("POST", "/clock/advance", {"seconds": 3600})
        assert two.request("GET", f"/v1/responses/{waiting['id']}").json["status"] == "completed"
        where = one.base_url.replace("http", "ws", 1) + "/responses"
        with connect(where, additional_headers={"authorization": "Bearer test"}, proxy=None) as socket:
            ids: list[str] = []
            for text in ("a", "b"):
                frame = {"type": "response.create", "model": "gpt-4.1", "input": text}
                socket.send(json.dumps(frame | ({"previous_response_id": ids[-1]} if ids else {})))
                while (event := json.loads(socket.recv(60)))["type"] != "response.completed":
                    assert event["type"] != "error", event
                ids.append(event["response"]["id"])
        assert two.request("GET", f"/v1/responses/{ids[1]}").json["previous_response_id"] == ids[0]


def test_two_workers(url: str) -> None:
    with serving(*FROZEN, "--store", url, "--workers", "2") as served, ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda number: create(served, f"{number}"), range(24)))
        assert len({answer["id"] for answer in answers}) == 24
        assert {answer["id"] for answer in answers} == {
            served.request("GET", f"/v1/responses/{answer['id']}").json["id"] for answer in answers
        }


def test_one_project_waits_for_no_other(server: PostgresServer, url: str) -> None:
    """Forty calls of a project that is held elsewhere fill no thread that another project's call needs."""

    holder = PostgresStore(url)
    name = Engine(Settings()).project("Bearer hot", None)
    with serving(*FROZEN, "--store", url) as served, ThreadPoolExecutor(40) as pool:
        create(served, key="quiet")
        with holder.transaction(name):
            hot = [pool.submit(create, served, f"{number}", key="hot") for number in range(40)]
            for _ in range(5):
                create(served, key="quiet")
            assert served.control("GET", "/health", key="hot")["status"] == "ok"
            assert not any(one.done() for one in hot)
        assert len({one.result(60)["id"] for one in hot}) == 40
    holder.close()


def test_a_server_that_goes_away(server: PostgresServer, url: str) -> None:
    with serving(*FROZEN, "--store", url, *LOUD) as served:
        before = create(served)
        server.stop("immediate")
        for _ in range(3):
            reply = served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "hi"})
            assert reply.status == 503 and reply.headers["x-should-retry"] == "true", reply.body
            assert reply.json["error"]["type"] == "mock_error" and "PostgreSQL" in reply.json["error"]["message"]
        server.start()
        assert until(lambda: served.request("GET", "/v1/models").status == 200)
        assert until(lambda: served.request("GET", f"/v1/responses/{before['id']}").status == 200)
        after = create(served, previous_response_id=before["id"])
        assert after["previous_response_id"] == before["id"]
        assert "Traceback" not in served.logged()


def test_a_conversation_is_locked_on_all_servers(url: str) -> None:
    """While a turn writes to a conversation, another one is refused, whoever serves it."""
    with serving(*FROZEN, "--store", url, "--pacing", "30:1") as one, serving(*FROZEN, "--store", url) as two:
        talk = one.request("POST", "/v1/conversations", {}).json["id"]
        turn = {"model": "gpt-4.1", "input": "hi", "conversation": talk}
        began = threading.Thread(target=one.request, args=("POST", "/v1/responses", {**turn, "background": True}))
        began.start()
        began.join(60)
        refused = two.request("POST", "/v1/responses", turn)
        assert (refused.status, refused.json["error"]["code"]) == (400, "conversation_locked")


def test_of_turns_that_begin_at_once_on_two_servers_a_conversation_takes_one(url: str) -> None:
    """As long as that is in progress; afterwards it takes one again, and has the items of each that it took."""
    with (
        serving(*FROZEN, "--store", url, "--pacing", "30:1") as one,
        serving(*FROZEN, "--store", url, "--pacing", "30:1") as two,
        ThreadPoolExecutor(8) as pool,
    ):
        talk = one.request("POST", "/v1/conversations", {}).json["id"]
        turn = {"model": "gpt-4.1", "input": "hi", "conversation": talk, "background": True}
        taken: list[str] = []
        for _ in range(5):
            asked = [pool.submit(served.request, "POST", "/v1/responses", turn) for served in (one, two) * 4]
            replies = [future.result(60) for future in asked]
            taken += [reply.json["id"] for reply in replies if reply.status == 200]
            refused = [reply.json["error"]["code"] for reply in replies if reply.status != 200]
            assert refused == ["conversation_locked"] * 7
            assert two.control("POST", "/clock/advance", {"seconds": 3600})["completed"] == taken[-1:]
        items = one.request("GET", f"/v1/conversations/{talk}/items?limit=100").json["data"]
        assert len(taken) == 5 and [item["role"] for item in items] == ["assistant", "user"] * 5


def test_turns_of_two_servers_follow_each_other_in_a_conversation(url: str) -> None:
    with (
        serving(*FROZEN, "--store", url) as one,
        serving(*FROZEN, "--store", url) as two,
        ThreadPoolExecutor(8) as pool,
    ):
        talk = one.request("POST", "/v1/conversations", {}).json["id"]
        turn = {"conversation": talk}
        asked = [pool.submit(create, served, f"{number}", **turn) for number in range(20) for served in (one, two)]
        assert len({future.result(60)["id"] for future in asked}) == 40
        items = two.request("GET", f"/v1/conversations/{talk}/items?limit=100&order=asc").json["data"]
        assert [item["role"] for item in items] == ["user", "assistant"] * 40
        texts = [item["content"][0]["text"] for item in items[::2]]
        assert sorted(texts) == sorted([f"{number}" for number in range(20)] * 2)


def test_what_can_not_be_opened_is_one_line() -> None:
    with pytest.raises(SettingError, match="--store postgresql: can't use PostgreSQL on 127") as caught:
        create_app(Settings(store="postgresql://me:hush@127.0.0.1:1/x"))
    assert "hush" not in str(caught.value)
