"""Large bodies are answered in threads, and while one is in progress any other call; nobody waits for them.

What another call does meanwhile is decided by events, not by time: a turn holds still until the others have answers.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Coroutine, Sequence
from threading import Event, current_thread
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.model.default_model import SeededModel
from mockserver.model.prompt import Prompt, Reply
from mockserver.transport.app import MockApp
from mockserver.transport.http import whole_body
from mockserver.transport.threads import MOST_THREADS
from mockserver.wire.requests.bodies import HEAVY
from tests.support.driving import NOON, Driver
from tests.support.patience import PATIENCE_S

LARGE = "pebble " * (HEAVY // 7 + 1)


class Watched:
    """A model that notes in which thread each turn was answered; a turn that says so waits until it is let go."""

    may_be_asked_again = True

    def __init__(self) -> None:
        self.threads: list[str] = []
        self.entered, self.go = Event(), Event()

    def respond(self, prompt: Prompt) -> Reply:
        self.threads.append(current_thread().name)
        if "hold" in prompt.request.get("metadata", {}):
            self.entered.set()
            assert self.go.wait(PATIENCE_S)
        return SeededModel().respond(prompt)

    @property
    def apart(self) -> list[bool]:
        """Whether each turn was answered in a thread of its own."""
        return [name.startswith("understudy_") for name in self.threads]


class Server:
    """An app, called as a server's loop calls it."""

    def __init__(self, **settings: Any) -> None:
        self.model = Watched()
        self.engine = Engine(Settings(**{"clock": NOON, **settings}), model=self.model)
        self.app = MockApp(self.engine)

    async def ask(
        self, method: str, path: str, body: Any = None, headers: Sequence[tuple[bytes, bytes]] = ()
    ) -> tuple[int, dict[str, str], bytes]:
        raw = b"" if body is None else json.dumps(body).encode()
        target, _, query = path.partition("?")
        scope = {"type": "http", "method": method, "path": target, "query_string": query.encode(), "headers": headers}
        unread = [{"type": "http.request", "body": raw, "more_body": False}]
        sent: list[Any] = []

        async def receive() -> Any:
            return unread.pop() if unread else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await self.app(scope, receive, send)
        received = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        return sent[0]["status"], received, b"".join(message["body"] for message in sent[1:])

    async def create(self, input: str = "x", **fields: Any) -> Any:
        status, _, body = await self.ask("POST", "/v1/responses", {"model": "gpt-4.1", "input": input, **fields})
        assert status == 200, body
        return json.loads(body)


def run(main: Coroutine[Any, Any, None]) -> None:
    async def within_patience() -> None:
        await asyncio.wait_for(main, PATIENCE_S)

    asyncio.run(within_patience())


def test_only_what_may_take_long_leaves_the_servers_thread() -> None:
    server = Server()

    async def main() -> None:
        first = await server.create()
        await server.create(previous_response_id=first["id"])
        assert server.model.apart == [False, False], "nothing was large yet"
        large = await server.create(LARGE)
        await server.create()
        await server.create(previous_response_id=large["id"])
        assert server.model.apart[2:] == [True, False, True], "what goes on from others' may go on from something large"

    run(main())


@pytest.mark.parametrize(
    ("method", "path", "apart"),
    [
        ("GET", "/v1/conversations/c/items", True),
        ("GET", "/v1/responses/r/input_items", True),
        ("GET", "/_mock/journal", True),
        ("GET", "/v1/responses/r", False),
        ("GET", "/v1/models", False),
        ("DELETE", "/v1/responses/r", False),
        ("POST", "/_mock/reset", False),
    ],
)
def test_what_reads_what_a_large_body_has_left(monkeypatch: Any, method: str, path: str, apart: bool) -> None:
    server = Server()
    threads: list[str] = []
    answer = server.app.answer

    def note(*args: Any, **how: Any) -> Any:
        threads.append(current_thread().name)
        return answer(*args, **how)

    monkeypatch.setattr(server.app, "answer", note)

    async def main() -> None:
        await server.ask(method, path, {} if method == "POST" else None)
        await server.create(LARGE)
        await server.ask(method, path, {} if method == "POST" else None)

    run(main())
    assert [name.startswith("understudy_") for name in threads] == [False, True, apart]


def test_short_calls_are_answered_while_a_long_one_is_in_progress() -> None:
    server = Server()

    async def main() -> None:
        long = asyncio.ensure_future(server.create(LARGE, metadata={"hold": "1"}))
        while not server.model.entered.is_set():
            await asyncio.sleep(0)
        turns = [await server.create(f"{number}") for number in range(3)]
        assert json.loads((await server.ask("GET", f"/v1/responses/{turns[0]['id']}"))[2]) == turns[0]
        assert (await server.ask("GET", "/_mock/journal"))[0] == 200
        assert not long.done()
        server.model.go.set()
        turns.append(await long)
        assert len({turn["id"] for turn in turns}) == 4

    run(main())
    assert all(server.model.apart)
    assert len(server.model.threads) == 5, "the long turn was answered again: others had written meanwhile"


def test_a_control_call_that_names_the_project_waits_in_a_thread_too() -> None:
    """Whoever looks at the project of another key: what it writes may have to wait for the long call."""
    server = Server()

    async def main() -> None:
        server.engine.control.enqueue("default", [{"when": {"input_contains": "nothing"}, "reply": {"text": "x"}}])
        long = asyncio.ensure_future(server.create(LARGE, metadata={"hold": "1"}))
        while not server.model.entered.is_set():
            await asyncio.sleep(0)
        headers = [(b"authorization", b"Bearer another"), (b"x-understudy-project", b"default")]
        moves = asyncio.ensure_future(server.ask("POST", "/_mock/clock/advance", {"seconds": 1}, headers))
        await asyncio.sleep(0)
        assert not moves.done() and not long.done(), "and the loop goes on"
        server.model.go.set()
        assert (await moves)[0] == (await server.ask("GET", "/_mock/clock"))[0] == 200
        await long

    run(main())


def test_a_call_whose_others_never_rest_comes_to_its_end() -> None:
    """More calls at once than there are threads."""
    server = Server()

    async def main() -> None:
        turns = await asyncio.gather(*(server.create(f"{n} {LARGE}") for n in range(MOST_THREADS + 4)))
        assert len({turn["id"] for turn in turns}) == len(turns)
        body = (await server.ask("GET", "/_mock/journal?limit=1000"))[2]
        found = json.loads(body)["data"]
        assert [entry["id"] for entry in found] == list(range(1, len(turns) + 1))
        assert sorted(entry["response_id"] for entry in found) == sorted(turn["id"] for turn in turns)

    run(main())


def test_errors_in_threads_are_answers_with_all_headers() -> None:
    server = Server()

    async def main() -> None:
        status, headers, body = await server.ask(
            "POST", "/v1/responses", {"model": "gpt-4.1", "input": LARGE, "previous_response_id": "resp_none"}
        )
        assert (status, json.loads(body)["error"]["code"]) == (400, "previous_response_not_found")
        assert "x-request-id" in headers and headers["content-length"] == str(len(body))

    run(main())


def test_a_fault_of_the_model_in_a_thread_is_a_500_and_the_next_call_is_served(
    caplog: pytest.LogCaptureFixture,
) -> None:
    server = Server()

    def fail(prompt: Prompt) -> Reply:
        raise RuntimeError("deliberate")

    async def main() -> None:
        whole, server.model.respond = server.model.respond, fail  # type: ignore[method-assign]
        status, _, body = await server.ask("POST", "/v1/responses", {"model": "gpt-4.1", "input": LARGE})
        assert (status, json.loads(body)["error"]["type"]) == (500, "mock_error")
        server.model.respond = whole  # type: ignore[method-assign]
        await server.create()
        assert server.model.apart == [False], "no call is in progress any more"

    run(main())
    assert "deliberate" in caplog.text


def test_the_same_calls_have_the_same_bytes_in_threads_and_without() -> None:
    def inputs() -> list[dict[str, Any]]:
        return [
            {"input": LARGE},
            {"input": "short"},
            {"input": LARGE, "stream": True},
            {"input": LARGE, "store": False},
        ]

    server, drive, answers = Server(), Driver(project="default"), []

    async def main() -> None:
        for body in inputs():
            answers.append((await server.ask("POST", "/v1/responses", {"model": "gpt-4.1", **body}))[2])

    run(main())
    for body, got in zip(inputs(), answers, strict=True):
        answer = drive.answer("POST", "/v1/responses", {"model": "gpt-4.1", **body})
        assert got == whole_body(answer)
    assert drive.engine.store.records("default") == server.engine.store.records("default")
