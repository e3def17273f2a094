"""A server in a thread: reachable at once, gone at once, a guest that leaves its host alone."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.transport.abort import EXPECTED
from mockserver.transport.app import MockApp
from mockserver.transport.server_thread import ServerThread, ready_value


def served(**settings: Any) -> ServerThread:
    """The mock, served."""
    told = Settings(**settings)
    return ServerThread(MockApp(Engine(told)), told)


def test_it_answers_once_it_is_made_and_no_longer_once_it_is_stopped() -> None:
    server = served()
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}/v1", trust_env=False) as client:
        assert client.get("/models").status_code == 200
        server.stop()
        server.stop()
        with pytest.raises(httpx.TransportError):
            client.get("/models")
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", server.port)):
        pass


def test_it_leaves_its_host_alone() -> None:
    before = [*logging.getLogger().handlers], gc.get_threshold(), {*threading.enumerate()}
    frozen = gc.get_freeze_count()
    server = served()
    httpx.get(f"http://127.0.0.1:{server.port}/v1/models", trust_env=False)
    server.stop()
    assert ([*logging.getLogger().handlers], gc.get_threshold(), {*threading.enumerate()}) == before
    assert gc.get_freeze_count() <= frozen  # what another server has frozen may have been let go of meanwhile


def test_a_refused_socket_is_no_line_in_the_log_of_its_host(caplog: pytest.LogCaptureFixture) -> None:
    server = served(set=(("websocket", "off"),))
    with pytest.raises(InvalidStatus, match="426"):
        connect(f"ws://127.0.0.1:{server.port}/v1/responses", proxy=None)
    server.stop()
    assert not caplog.records
    logging.getLogger("uvicorn.error").error(EXPECTED[0])  # of a server of the host's own
    assert [record.message for record in caplog.records] == [EXPECTED[0]]


def test_stopping_does_not_wait_for_streams(caplog: pytest.LogCaptureFixture) -> None:
    server = served()
    lines = {"lines": [{"reply": {"text": "too late"}, "pacing": {"first_token": 60}}]}
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as client:
        client.post("/_mock/script", json=lines)
        body = {"model": "gpt-4.1", "input": "hi", "stream": True}
        with client.stream("POST", "/v1/responses", json=body) as answer:
            assert answer.status_code == 200
            server.stop()
            with pytest.raises(httpx.RemoteProtocolError):  # the stream was broken off, not waited for
                answer.read()
    assert not caplog.records


def test_what_follows_on_an_answer_is_done_once_the_server_has_settled() -> None:
    done: list[str] = []
    has_read = threading.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})
        has_read.wait()  # the client goes on before the server does
        asyncio.get_running_loop().call_soon(done.append, "noted")

    server = ServerThread(app, Settings())
    assert httpx.get(f"http://127.0.0.1:{server.port}/", trust_env=False).text == "ok"
    has_read.set()
    server.settle()
    assert done == ["noted"]
    server.stop()
    server.settle()  # of one that has ended there is nothing to wait for


def test_at_once() -> None:
    assert asyncio.run(ready_value(5)) == 5


def test_a_large_body_whose_client_leaves_midway_holds_nobody_up(caplog: pytest.LogCaptureFixture) -> None:
    server = served()
    text = "x" * 4_000_000
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}/v1", trust_env=False) as client:
        made = client.post("/conversations", json={"items": [{"role": "user", "content": text}]}).json()
        path = f"/conversations/{made['id']}/items"
        for _ in range(3):
            with socket.create_connection(("127.0.0.1", server.port)) as leaving:
                leaving.sendall(f"GET /v1{path} HTTP/1.1\r\nhost: x\r\n\r\n".encode())
                assert leaving.recv(12) == b"HTTP/1.1 200"
        assert client.get(path).json()["data"][0]["content"][0]["text"] == text
    server.stop()
    assert not caplog.records
