"""Calls that may wait for another machine are made in threads: in the order of each caller, and never on the loop."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Collection, Iterator
from typing import Any

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mockserver.config.pacing import Pacing
from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.store.failures import StoreUnavailable
from mockserver.store.memory import MemoryStore
from mockserver.transport import waiting
from mockserver.transport.app import MockApp
from mockserver.transport.server_thread import ServerThread
from mockserver.transport.waiting import WaitingThreads
from tests.support.asgi import PING, ask
from tests.support.driving import NOON

TURN = {"model": "gpt-4.1", "input": "hi"}
KEY = {"authorization": "Bearer key"}


class Remote(MemoryStore):
    """A store that says of itself that it is on another machine, and notes which threads ask it."""

    waits = True

    def __init__(self) -> None:
        super().__init__()
        self.threads: set[str] = set()
        self.lookers: set[str] = set()

    def pending(self, project: str) -> Collection[str]:
        self.lookers.add(threading.current_thread().name.rpartition("_")[0])
        return super().pending(project)

    def transaction(self, project: str) -> Any:
        self.threads.add(threading.current_thread().name.rpartition("_")[0])
        return super().transaction(project)


@pytest.fixture
def store() -> Remote:
    return Remote()


@pytest.fixture
def port(store: Remote) -> Iterator[int]:
    settings = Settings(clock=NOON, pacing=Pacing(0.001, 10_000))
    server = ServerThread(MockApp(Engine(settings, store=store)), settings)
    yield server.port
    server.stop()


def test_every_call_has_a_thread(port: int, store: Remote) -> None:
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=KEY, trust_env=False) as client:
        first = client.post("/v1/responses", json=TURN).json()
        streamed = client.post("/v1/responses", json={**TURN, "stream": True, "previous_response_id": first["id"]})
        assert "response.completed" in streamed.text
        assert client.get("/v1/responses/resp_none").status_code == 404
        assert client.post("/_mock/clock/advance", json={"seconds": 60}).json()["now"] == NOON + 60
        assert client.get("/_mock/health").json()["status"] == "ok"
    assert store.threads == {"understudy-store", "understudy-control"}


def test_whether_a_path_is_scripted_is_asked_in_a_thread(store: Remote) -> None:
    """The proxy asks before it forwards: other calls go on meanwhile."""
    scope = {"type": "http", "method": "POST", "path": "/v1/embeddings", "headers": []}
    app = MockApp(Engine(Settings(clock=NOON), store=store))
    line = {"when": {"path": "/v1/embeddings"}, "reply": {"http": {"json": 1}}}
    project = app.engine.project("", "")
    assert asyncio.run(app.has_script_for(scope)) is False
    app.engine.control.enqueue(project, [line])
    store.lookers.clear()
    assert asyncio.run(app.has_script_for(scope)) is True
    assert store.lookers == {"understudy-store"}


def test_a_socket_too(port: int, store: Remote) -> None:
    where = f"ws://127.0.0.1:{port}/v1/responses"
    with connect(where, additional_headers=KEY, proxy=None) as socket:
        for _ in range(2):
            socket.send(json.dumps({"type": "response.create", **TURN}))
            while (event := json.loads(socket.recv(60)))["type"] != "response.completed":
                assert event["type"] != "error", event
    assert store.threads == {"understudy-store"}
    with pytest.raises(InvalidStatus) as refused:
        connect(where.replace("responses", "nothing"), additional_headers=KEY, proxy=None)
    assert refused.value.response.status_code == 501


def test_a_client_that_leaves_ends_its_turn_in_a_thread(port: int, store: Remote) -> None:
    scene = {"lines": [{"reply": {"text": "one two three"}, "pacing": {"first_token": 60, "tokens_per_second": 1}}]}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=KEY, trust_env=False) as client:
        client.post("/_mock/script", json=scene)
        with client.stream("POST", "/v1/responses", json={**TURN, "stream": True}) as streamed:
            assert streamed.status_code == 200
            next(streamed.iter_raw())
        assert client.get("/_mock/journal").json()["data"][-1]["path"] == "/v1/responses"


def test_a_caller_s_calls_keep_their_order_and_others_do_not_wait() -> None:
    async def scene() -> list[str]:
        threads, release, done = WaitingThreads(), threading.Event(), list[str]()

        def work(name: str, wait: bool = False) -> str:
            if wait:
                release.wait(60)
            done.append(name)
            return name

        slow = asyncio.ensure_future(threads.run("a", work, "a1", True))
        behind = [asyncio.ensure_future(threads.run("a", work, f"a{number}")) for number in range(2, 40)]
        await asyncio.sleep(0)
        assert await threads.run("b", work, "b") == "b" and await threads.look(work, "health") == "health"
        assert done == ["b", "health"]
        release.set()
        await asyncio.gather(slow, *behind)
        return done

    assert asyncio.run(scene()) == ["b", "health", *(f"a{number}" for number in range(1, 40))]


def test_what_is_raised_comes_back_and_keeps_nobody_from_their_turn() -> None:
    async def scene() -> list[Any]:
        threads = WaitingThreads()

        def fail() -> None:
            raise KeyError("x")

        asked = [threads.run("a", fail), threads.run("a", int, "7"), threads.run("a", fail)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        assert threads._queues == {} or await threads.run("a", int, "8") == 8
        return outcomes

    first, second, third = asyncio.run(scene())
    assert isinstance(first, KeyError) and second == 7 and isinstance(third, KeyError)


def test_what_nobody_waits_for_any_more_is_not_done() -> None:
    async def scene() -> list[str]:
        threads, began, release, done = WaitingThreads(), threading.Event(), threading.Event(), list[str]()

        def work(name: str) -> None:
            began.set()
            release.wait(60)
            done.append(name)

        tasks = [asyncio.ensure_future(threads.run("a", work, name)) for name in ("first", "second", "third")]
        await asyncio.get_running_loop().run_in_executor(None, began.wait, 60)
        for task in tasks[:2]:
            task.cancel()
        await asyncio.wait(tasks[:2])
        release.set()
        await tasks[2]
        return done

    assert asyncio.run(scene()) == ["first", "third"], "the first one was in progress"


def test_a_caller_with_many_calls_lets_others_have_its_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "MOST_CALLS", 1)

    async def scene() -> list[str]:
        threads, began, release, done = WaitingThreads(), threading.Event(), threading.Event(), list[str]()

        def work(name: str) -> None:
            began.set()
            release.wait(60)
            done.append(name)

        hot = [asyncio.ensure_future(threads.run("hot", work, "hot")) for _ in range(3 * waiting.IN_A_ROW)]
        await asyncio.get_running_loop().run_in_executor(None, began.wait, 60)
        quiet = asyncio.ensure_future(threads.run("quiet", work, "quiet"))
        await asyncio.sleep(0)
        release.set()
        await asyncio.gather(quiet, *hot)
        return done

    assert asyncio.run(scene()).index("quiet") == waiting.IN_A_ROW


def test_a_loop_that_is_closed_is_told_nothing() -> None:
    release, done = threading.Event(), threading.Event()

    def work() -> None:
        release.wait(60)
        done.set()

    async def scene(threads: WaitingThreads) -> None:
        asked = asyncio.ensure_future(threads.run("a", work))
        await asyncio.sleep(0)
        asked.cancel()

    threads = WaitingThreads()
    asyncio.run(scene(threads))
    release.set()
    assert done.wait(60)
    assert asyncio.run(threads.run("a", int, "7")) == 7


def test_a_store_that_is_gone_is_an_answer() -> None:
    class Gone(Remote):
        def open_call(self, project: str, *, writes: bool) -> Any:
            raise StoreUnavailable("There is no connection.")

    app = MockApp(Engine(Settings(clock=NOON), store=Gone()))
    status, headers, body = ask(app, "POST", "/v1/responses", PING)
    assert status == 503 and headers["x-should-retry"] == "true" and b"There is no connection." in body
