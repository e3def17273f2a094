"""The proxy's app as a whole: the mock's side, errors of its own, foreign transports, a long body in little memory."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_websocket

from mockserver.config.settings import SettingError, Settings
from mockserver.store.failures import StoreUnavailable
from proxy.app import ProxyApp
from tests.support.raw_upstream import Peer, RawUpstream, connect, exchange, get, parse, serving
from tests.support.stub_mock import StubMock

UP = "http://upstream.test/v1"


def upstream_answers(request: httpx.Request) -> httpx.Response:
    """A transport's handler."""
    return httpx.Response(200, headers={"x-url": str(request.url)}, content=b"upstream")


def served(transport: httpx.AsyncBaseTransport, *requests: bytes, **options):
    """The answers of a proxy over this transport."""
    with serving(ProxyApp(StubMock(), Settings(**options), transport)) as port:
        return [parse(exchange(port, request)) for request in requests]


def test_mock_mode() -> None:
    """Without an upstream all is the mock's, so that its journal has each call. Spec: P24."""
    answers = served(httpx.MockTransport(upstream_answers), get("/v1/models"), get("/v1/batches"))
    for answer in answers:
        assert (answer.status, answer.body, answer.all(b"x-understudy-source")) == (200, b"mock", [b"mock"])
        assert len(answer.all(b"date")) == 1


class Scripted(StubMock):
    """A mock whose script answers for one path."""

    async def has_script_for(self, scope) -> bool:
        return scope["path"] == "/v1/embeddings"


def test_in_mock_mode_the_script_is_asked_before_the_upstream() -> None:
    requests = [get("/v1/embeddings"), get("/v1/batches"), get("/v1/embeddings", "x-understudy-mode: forward")]
    app = ProxyApp(Scripted(), Settings(upstream=UP, mode="mock"), httpx.MockTransport(upstream_answers))
    with serving(app) as port:
        bodies = [parse(exchange(port, request)).body for request in requests]
    assert bodies == [b"mock", b"upstream", b"upstream"]


def test_a_script_that_can_not_be_read_is_an_error_that_says_so() -> None:
    """Nothing is forwarded, and paid for, that the script may have a line for."""

    class Gone(StubMock):
        async def has_script_for(self, scope) -> bool:
            raise StoreUnavailable("There is no connection.")

    app = ProxyApp(Gone(), Settings(upstream=UP, mode="mock"), httpx.MockTransport(upstream_answers))
    with serving(app) as port:
        answer = parse(exchange(port, get("/v1/embeddings")))
    assert answer.status == 503 and b"There is no connection." in answer.body


def test_forward_mode_and_header() -> None:
    forwarded, mocked, control, wrong = served(
        httpx.MockTransport(upstream_answers),
        get("/v1/models?a=%2F"),
        get("/v1/models", "x-understudy-mode: mock"),
        get("/_mock/health"),
        get("/v1/models", "x-understudy-mode: auto"),
        upstream=UP,
    )
    assert (forwarded.body, forwarded.all(b"x-url")) == (b"upstream", [b"http://upstream.test/v1/models?a=%2F"])
    assert forwarded.all(b"x-understudy-source") == forwarded.all(b"date") == forwarded.all(b"server") == []
    assert mocked.body == control.body == b"mock"
    assert wrong.status == 400 and b'"param": "X-Understudy-Mode"' in wrong.body


def test_no_cors_headers() -> None:
    answers = served(
        httpx.MockTransport(upstream_answers),
        get("/v1/models", "origin: http://localhost:3000"),
        get("/v1/models", "origin: https://evil.test"),
        get("/_mock/journal", "sec-fetch-site: cross-site"),
        get("/v1/models", "access-control-request-method: POST", "origin: http://evil.test", method="OPTIONS"),
    )
    assert [one.status for one in answers] == [200, 403, 403, 403]
    assert all(not name.startswith(b"access-control") for one in answers for name, _ in one.headers)
    assert answers[1].all(b"x-should-retry") == [b"false"] and answers[1].all(b"x-understudy-source") == [b"mock"]


def test_guard_comes_before_forwarding() -> None:
    (answer,) = served(httpx.MockTransport(upstream_answers), get("/v1/models", "Origin: null"), upstream=UP)
    assert answer.status == 403


class Broken(httpx.AsyncByteStream):
    """A body that breaks off."""

    async def __aiter__(self):
        yield b"part"
        raise httpx.ReadError("broken")


@pytest.mark.parametrize(
    ("failure", "status"),
    [
        (httpx.ConnectError("no"), 502),
        (httpx.ConnectTimeout("no"), 504),
        (httpx.ReadTimeout("no"), 504),
        (httpx.RemoteProtocolError("no"), 502),
        (OSError("no"), 502),
    ],
)
def test_failures_of_a_foreign_transport(failure: Exception, status: int) -> None:
    def handler(request: httpx.Request) -> httpx.Response:
        raise failure

    (answer,) = served(httpx.MockTransport(handler), get("/v1/models"), upstream=UP)
    assert answer.status == status and b"mock_error" in answer.body


@pytest.mark.parametrize("headers", [{}, {"content-length": "10"}])
def test_foreign_transport_that_breaks_off(headers: dict[str, str]) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, headers=headers, stream=Broken()))
    (answer,) = served(transport, get("/v1/models"), upstream=UP)
    assert (answer.status, answer.body, answer.ended) == (200, b"part", False)


def test_foreign_transport_that_ends_early() -> None:
    transport = httpx.MockTransport(
        lambda _: httpx.Response(200, headers={"content-length": "9"}, stream=httpx.ByteStream(b"short"))
    )
    (answer,) = served(transport, get("/v1/models"), upstream=UP)
    assert (answer.body, answer.ended) == (b"short", False)


def test_life_reaches_the_mock() -> None:
    mock = StubMock()
    with serving(ProxyApp(mock, Settings())):
        assert mock.life == ["lifespan.startup"]
    assert mock.life == ["lifespan.startup", "lifespan.shutdown"]


def test_websocket() -> None:
    with (
        serving(ProxyApp(StubMock(), Settings())) as port,
        connect_websocket(f"ws://127.0.0.1:{port}/v1/responses", proxy=None) as socket,
    ):
        assert socket.recv() == "mock"
    with serving(ProxyApp(StubMock(), Settings())) as port, pytest.raises(InvalidStatus) as refused:
        connect_websocket(f"ws://127.0.0.1:{port}/v1/responses", origin="https://evil.test", proxy=None)
    assert refused.value.response.status_code == 403


def test_websocket_without_the_response_extension_is_closed() -> None:
    sent = []

    async def send(message) -> None:
        sent.append(message["type"])

    scope = {"type": "websocket", "path": "/v1/responses", "headers": [(b"host", b"localhost")], "extensions": {}}
    scope["headers"].append((b"origin", b"https://evil.test"))
    asyncio.run(ProxyApp(StubMock(), Settings(upstream=UP))(scope, None, send))
    assert sent == ["websocket.close"]


def test_a_cassette_that_can_not_be_read() -> None:
    with pytest.raises(SettingError, match=r"none\.yaml can't be read"):
        ProxyApp(StubMock(), Settings(mode="replay", cassette=("none.yaml",)))


MEMORY_CHILD = """
import resource, sys
from mockserver.config.settings import Settings
from mockserver.transport.serve import Server, bind, server_config
from proxy.app import ProxyApp
from tests.support.stub_mock import StubMock
settings = Settings(upstream=sys.argv[1])
listener = bind("127.0.0.1", 0)
class Meter(StubMock):
    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            body = b"%d" % resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            await send({"type": "http.response.start", "status": 200, "headers": []})
            return await send({"type": "http.response.body", "body": body})
        await super().__call__(scope, receive, send)
ready = lambda: print(listener.getsockname()[1], flush=True)
Server(server_config(ProxyApp(Meter(), settings), settings), ready).run([listener])
"""
PIECE = bytes(1 << 20)
PIECES = 200


def flood(peer: Peer) -> None:
    """Count a long upload without keeping it, then send as much back."""
    left = int(peer.header(b"content-length") or 0) - len(peer.rest)
    while left > 0:
        left -= len(peer.sock.recv(1 << 20))
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (PIECES << 20))
    for _ in range(PIECES):
        peer.send(PIECE)


def test_memory_stays_constant() -> None:
    with RawUpstream({"/v1/flood": flood}) as upstream:
        child = subprocess.Popen(
            [sys.executable, "-c", MEMORY_CHILD, upstream.url], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        try:
            assert child.stdout is not None
            port = int(child.stdout.readline())
            before = int(parse(exchange(port, get("/_mock/memory"))).body)
            received = push_and_pull(port)
            after = int(parse(exchange(port, get("/_mock/memory"))).body)
        finally:
            child.kill()
            child.communicate()
    assert received >= PIECES << 20
    assert (after - before) / 1024 < 60  # MB


def push_and_pull(port: int) -> int:
    """Send a long body and count the bytes that come back."""
    with connect(port) as sock:
        request = get("/v1/flood", f"content-length: {PIECES << 20}", method="POST")

        def push() -> None:
            sock.sendall(request)
            for _ in range(PIECES):
                sock.sendall(PIECE)

        pusher = threading.Thread(target=push)
        pusher.start()
        received = 0
        while part := sock.recv(1 << 20):
            received += len(part)
        pusher.join()
    return received
