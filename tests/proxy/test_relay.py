"""The relay on real sockets: what the upstream sends is what the client gets, and a torn answer stays torn."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from starlette.types import Message

from mockserver.config.settings import Settings
from proxy.app import ProxyApp
from proxy.relay import Relay
from proxy.target import Target
from tests.support.patience import settled, until
from tests.support.raw_upstream import (
    PATIENCE,
    Behaviour,
    Peer,
    RawUpstream,
    connect,
    exchange,
    get,
    parse,
    read_all,
    serving,
)


async def no_mock(scope, receive, send):
    """An app in the mock's place that answers 418."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
        return
    await send({"type": "http.response.start", "status": 418, "headers": [(b"content-length", b"3")]})
    await send({"type": "http.response.body", "body": b"tea"})


@contextmanager
def forwarding(behaviours: dict[str, Behaviour], **options) -> Iterator[tuple[RawUpstream, int]]:
    """A raw upstream and the port of a proxy that forwards to it."""
    with RawUpstream(behaviours) as upstream:
        settings = Settings(upstream=upstream.url, **options)
        with serving(ProxyApp(no_mock, settings), settings) as port:
            yield upstream, port
        assert upstream.failures == []


def reply(data: bytes) -> Behaviour:
    """A behaviour that reads the request and sends these bytes."""

    def behave(peer: Peer) -> None:
        peer.read_body()
        peer.send(data)

    return behave


def echo(peer: Peer) -> None:
    """Answer with exactly what was received."""
    body = peer.head + b"\r\n\r\n" + peer.read_body()
    peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))


def ok(body: bytes, *headers: bytes) -> bytes:
    """A complete 200."""
    lines = [b"HTTP/1.1 200 OK", *headers, b"content-length: %d" % len(body)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


# what goes up


def test_request_goes_out_as_it_came() -> None:
    body = b'{"a": "\xc3\xa9"}'
    request = get(
        "/v1/echo?include%5B%5D=a&x=%2F&y=[1]&z",
        "X-Twice: 1",
        "X-Latin: caf\xe9",
        "X-Twice: 2",
        "Authorization: Bearer sk-secret",
        "Accept-Encoding: br, x-odd",
        "X-Understudy-Mode: forward",
        "X-Hop: gone",
        "Connection: x-hop",
        "TE: trailers",
        "Proxy-Authorization: Basic eDp5",
        method="POST",
        body=body,
    )
    with forwarding({"/v1/echo": echo}) as (upstream, port):
        answer = parse(exchange(port, request))
    assert answer.body.partition(b"\r\n\r\n") == (
        b"POST /v1/echo?include%%5B%%5D=a&x=%%2F&y=[1]&z HTTP/1.1\r\n"
        b"host: 127.0.0.1:%d\r\n"
        b"x-twice: 1\r\nx-latin: caf\xe9\r\nx-twice: 2\r\nauthorization: Bearer sk-secret\r\n"
        b"accept-encoding: br, x-odd\r\ncontent-length: %d" % (upstream.port, len(body)),
        b"\r\n\r\n",
        body,
    )


@pytest.mark.parametrize(
    ("base", "path", "target"),
    [
        ("/v1", "/v1/x", "/v1/x"),
        ("/v1", "/v1", "/v1"),
        ("/v1", "/v1beta/x", "/v1beta/x"),
        ("/v1", "/other/%2e%2E/%zz", "/other/%2e%2E/%zz"),
        ("/openai/v9", "/v1/responses/a%2Fb", "/openai/v9/responses/a%2Fb"),
        ("/openai/v9", "/other", "/other"),
        ("", "/v1/x", "/x"),
        ("", "/v1", "/"),
    ],
)
def test_base_path_takes_the_place_of_v1(base: str, path: str, target: str) -> None:
    with RawUpstream({target: echo}) as upstream:
        settings = Settings(upstream=f"http://127.0.0.1:{upstream.port}{base}")
        with serving(ProxyApp(no_mock, settings)) as port:
            answer = parse(exchange(port, get(path)))
    assert answer.body.split(b" ")[1] == target.encode()


def test_upstream_key_replaces_the_callers() -> None:
    with forwarding({"/v1/echo": echo}, upstream_api_key="sk-real") as (_, port):
        with_key = parse(exchange(port, get("/v1/echo", "authorization: Bearer any", "x-last: 1"))).body
        without = parse(exchange(port, get("/v1/echo"))).body
    assert b"authorization: Bearer sk-real\r\nx-last: 1" in with_key and b"any" not in with_key
    assert without.endswith(b"authorization: Bearer sk-real\r\n\r\n")


def test_only_given_keys_may_use_the_upstream() -> None:
    with forwarding({"/v1/echo": echo}, upstream_api_key="sk-real", api_key=("mine",)) as (upstream, port):
        refused = parse(exchange(port, get("/v1/echo", "authorization: Bearer other")))
        served = parse(exchange(port, get("/v1/echo", "authorization: Bearer mine")))
    assert (refused.status, served.status, len(upstream.heads)) == (401, 200, 1)


def test_chunked_request_stays_chunked() -> None:
    request = get("/v1/echo", "transfer-encoding: chunked", method="POST") + b"3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"
    with forwarding({"/v1/echo": echo}) as (_, port):
        answer = parse(exchange(port, request))
    assert b"\r\ntransfer-encoding: chunked" in answer.body and b"content-length" not in answer.body
    assert answer.body.endswith(b"\r\n\r\nabcdefg")


def test_request_body_streams_through() -> None:
    arrived = threading.Event()

    def behave(peer: Peer) -> None:
        while b"first" not in peer.rest:
            peer.rest += peer.sock.recv(65536)
        arrived.set()
        assert peer.read_body() == b"first!second"
        peer.send(ok(b"done"))

    with forwarding({"/v1/up": behave}) as (_, port), connect(port) as sock:
        sock.sendall(get("/v1/up", "content-length: 12", method="POST") + b"first!")
        assert arrived.wait(PATIENCE)
        sock.sendall(b"second")
        assert parse(read_all(sock)).body == b"done"


def test_expect_continue() -> None:
    with forwarding({"/v1/echo": echo}) as (_, port), connect(port) as sock:
        sock.sendall(get("/v1/echo", "expect: 100-continue", "content-length: 2", method="POST"))
        assert sock.recv(65536) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hi")
        assert parse(read_all(sock)).body.endswith(b"\r\n\r\nhi")


@pytest.mark.parametrize("path", ["/v1/" + "x" * 70_000, "/v1/\x01"])
def test_target_that_httpx_refuses_goes_out_all_the_same(path: str) -> None:
    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            sent.append(request)
            return httpx.Response(200, stream=httpx.ByteStream(b"ok"))

    sent: list[httpx.Request] = []
    messages = asyncio.run(relay(Transport(), path))
    assert sent[0].extensions["target"] == path.encode()
    assert [message["type"] for message in messages] == ["http.response.start", *["http.response.body"] * 2]


async def relay(transport: httpx.AsyncBaseTransport, path: str) -> list[Message]:
    """Relay a GET without a server; returns what is sent to the client, who stays."""
    settings = Settings(upstream="http://up.test/v1")
    sent: list[Message] = []
    coming: list[Message] = [{"type": "http.request", "body": b""}]

    async def receive() -> Message:
        return coming.pop() if coming else await asyncio.get_running_loop().create_future()

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"method": "GET", "raw_path": path.encode(), "query_string": b"", "headers": []}
    assert await Relay(settings, Target(settings), transport)(scope, receive, send) is None
    return sent


# what comes down

BIG = os.urandom(5_000_000)
RESPONSES = {
    "plain": ok(b"hello", b"Content-Type: application/json", b"X-Mixed-CASE: Yes"),
    "twice": ok(b"", b"Set-Cookie: a=1", b"X: \xe9\xff", b"Set-Cookie: b=2", b"Date: yesterday", b"Server: cloud"),
    "gzip": ok(gzip.compress(b"zipped" * 99), b"Content-Encoding: gzip"),
    "chunks": b"HTTP/1.1 201 Made\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"5\r\nhello\r\n1;ext=1\r\n!\r\n0\r\nX-Trailer: 1\r\n\r\n",
    "close": b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
    "http10": b"HTTP/1.0 200 OK\r\n\r\nold",
    "big": ok(BIG),
    "none": b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n",
    "unchanged": b"HTTP/1.1 304 Not Modified\r\nEtag: x\r\nContent-Length: 5\r\n\r\n",
    "moved": b"HTTP/1.1 307 Temporary Redirect\r\nLocation: http://127.0.0.1:1/v1/x\r\nContent-Length: 0\r\n\r\n",
    "early": b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" + ok(b"final"),
    "refused": b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}",
    "unknown": b"HTTP/1.1 599 Odd\r\nContent-Length: 2\r\n\r\n{}",
}
CONNECTION_HEADERS = (b"connection", b"transfer-encoding")


def final(raw: bytes) -> bytes:
    """Drop what is for one connection alone: 1xx responses."""
    while raw[9:10] == b"1":
        raw = raw.partition(b"\r\n\r\n")[2]
    return raw


@pytest.mark.parametrize("name", RESPONSES)
def test_response_comes_as_it_was_sent(name: str) -> None:
    path = f"/v1/{name}"

    def behave(peer: Peer) -> None:
        peer.read_body()
        peer.send(RESPONSES[name])
        peer.sock.close()

    with forwarding({path: behave}) as (upstream, port):
        direct = parse(final(exchange(upstream.port, get(path))))
        forwarded = parse(exchange(port, get(path)))
    dropped = (*CONNECTION_HEADERS, *([b"content-length"] if direct.status == 304 else []))
    assert forwarded.status == direct.status
    assert [one for one in forwarded.headers if one[0] not in CONNECTION_HEADERS] == [
        one for one in direct.headers if one[0] not in dropped
    ]
    assert forwarded.body == direct.body and forwarded.ended


def test_head() -> None:
    behaviours = {"/v1/head": reply(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"), "/v1/echo": echo}
    with forwarding(behaviours) as (upstream, port):
        answer = parse(exchange(port, get("/v1/head", method="HEAD")), "HEAD")
        assert parse(exchange(port, get("/v1/echo"))).status == 200
    assert (answer.status, answer.all(b"content-length"), answer.body) == (200, [b"500"], b"")
    assert upstream.connections == 1


def test_big_bodies_both_ways() -> None:
    with forwarding({"/v1/echo": echo}) as (_, port):
        answer = parse(exchange(port, get("/v1/echo", method="POST", body=BIG)))
    assert answer.body.partition(b"\r\n\r\n")[2] == BIG


def test_event_arrives_before_the_upstream_is_done() -> None:
    go_on = threading.Event()

    def behave(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ncontent-type: text/event-stream\r\n\r\n")
        for event in (b"data: 1\n\n", b"data: 2\n\n"):
            peer.send(b"%x\r\n%b\r\n" % (len(event), event))
            assert go_on.wait(PATIENCE)
        peer.send(b"0\r\n\r\n")

    with forwarding({"/v1/sse": behave}) as (_, port), connect(port) as sock:
        sock.sendall(get("/v1/sse"))
        seen = b""
        while b"data: 1\n\n" not in seen:
            seen += sock.recv(65536)
        go_on.set()
        assert parse(seen + read_all(sock)).body == b"data: 1\n\ndata: 2\n\n"


def test_head_arrives_before_the_body() -> None:
    go_on = threading.Event()

    def behave(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n")
        assert go_on.wait(PATIENCE)
        peer.send(b"ok")

    with forwarding({"/v1/slow": behave}) as (_, port), connect(port) as sock:
        sock.sendall(get("/v1/slow"))
        head = sock.recv(65536)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        go_on.set()
        assert read_all(sock) == b"ok"


def test_answer_before_the_upload_ends() -> None:
    def behave(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\nconnection: close\r\n\r\nbig")
        assert peer.wait_closed()

    with forwarding({"/v1/up": behave}) as (_, port), connect(port) as sock:
        sock.sendall(get("/v1/up", "content-length: 1000", method="POST") + b"some")
        answer = parse(read_all(sock))
    assert (answer.status, answer.body, answer.ended) == (413, b"big", True)


def test_body_and_answer_at_the_same_time() -> None:
    def behave(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\n")
        peer.send(peer.read_body())

    with forwarding({"/v1/both": behave}) as (_, port), connect(port) as sock:
        sock.sendall(get("/v1/both", "content-length: 4", method="POST") + b"ab")
        head = sock.recv(65536)
        sock.sendall(b"cd")
        assert head.startswith(b"HTTP/1.1 200") and read_all(sock) == b"abcd"


def test_connections_are_kept_and_not_limited() -> None:
    gate = threading.Barrier(150)

    def behave(peer: Peer) -> None:
        gate.wait(PATIENCE)
        peer.send(ok(b"together"))

    with forwarding({"/v1/all": behave, "/v1/echo": echo}) as (upstream, port):
        for _ in range(5):
            exchange(port, get("/v1/echo"))
        assert upstream.connections == 1
        socks = [connect(port) for _ in range(150)]
        for sock in socks:
            sock.sendall(get("/v1/all"))
        answers = [parse(read_all(sock)).body for sock in socks]
        for sock in socks:
            sock.close()
    assert answers == [b"together"] * 150


# what breaks

CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    "torn",
    [
        ok(b"x" * 100)[:-50],
        ok(b"x" * 100)[:-100],
        CHUNKED + b"5\r\nhello\r\n",
        CHUNKED + b"5\r\nhel",
        CHUNKED,
        CHUNKED + b"5\r\nhello\r\nnonsense\r\n",
        CHUNKED + b"5\r\nhello\r\n0\r\n",
    ],
)
def test_a_cut_stays_a_cut(torn: bytes, caplog: pytest.LogCaptureFixture) -> None:
    def behave(peer: Peer) -> None:
        peer.send(torn)
        peer.sock.close()

    with caplog.at_level(logging.WARNING), forwarding({"/v1/cut": behave}) as (_, port):
        logging.getLogger().addHandler(caplog.handler)
        raw = exchange(port, get("/v1/cut?key=sk-query", "authorization: Bearer sk-secret"))
        logging.getLogger().removeHandler(caplog.handler)
    answer = parse(raw)
    assert answer.status == 200 and not answer.ended and b"\r\n0\r\n" not in raw
    assert parse(torn).body.startswith(answer.body)
    lines = [record.getMessage() for record in caplog.records if record.name == "understudy.proxy"]
    assert lines and all("GET /v1/cut" in line and "sk-" not in line for line in lines)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 20",
        b"HTTP/1.1 200 OK\r\nX: ",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 999 Odd\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n",
        b"HTTP/1.1 200 OK\r\ncontent-length: 1x\r\n\r\n",
    ],
)
def test_no_valid_answer_is_502(answer: bytes) -> None:
    def behave(peer: Peer) -> None:
        peer.send(answer)
        peer.sock.close()

    with forwarding({"/v1/bad": behave}) as (_, port):
        assert_mock_error(exchange(port, get("/v1/bad", "authorization: Bearer sk-secret")), 502)


def assert_mock_error(raw: bytes, status: int) -> None:
    """The response is an error of the proxy's own."""
    answer = parse(raw)
    assert (answer.status, answer.ended) == (status, True)
    assert b'"type": "mock_error"' in answer.body and b"sk-" not in answer.body
    assert answer.all(b"x-should-retry") == [b"false"] and answer.all(b"x-understudy-source") == [b"mock"]
    assert len(answer.all(b"date")) == 1


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://no-such-host.invalid/v1"])
def test_unreachable_is_502(url: str) -> None:
    with serving(ProxyApp(no_mock, Settings(upstream=url))) as port:
        assert_mock_error(exchange(port, get("/v1/x")), 502)


def test_tls_to_a_server_without_it_is_502() -> None:
    with RawUpstream({}) as upstream:
        settings = Settings(upstream=f"https://127.0.0.1:{upstream.port}/v1", upstream_timeout=0.3)
        with serving(ProxyApp(no_mock, settings)) as port:
            status = parse(exchange(port, get("/v1/x"))).status
    assert status in (502, 504)


def test_cancelled_from_elsewhere_is_cancelled() -> None:
    """The server stops while the upstream is silent: that is no client that left."""

    class Transport(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            waiting.set()
            return await asyncio.get_running_loop().create_future()

    waiting = asyncio.Event()

    async def scene() -> None:
        task = asyncio.ensure_future(relay(Transport(), "/v1/x"))
        await waiting.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        for _ in range(5):  # the task that waits for the client to leave needs a turn to end
            await asyncio.sleep(0)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(scene())


def test_silence_is_504() -> None:
    def behave(peer: Peer) -> None:
        assert peer.wait_closed()

    with forwarding({"/v1/stall": behave}, upstream_timeout=0.3) as (_, port):
        assert_mock_error(exchange(port, get("/v1/stall", method="POST", body=b"{}")), 504)


def test_silence_in_the_middle_is_a_cut() -> None:
    def behave(peer: Peer) -> None:
        peer.send(CHUNKED + b"5\r\nhello\r\n")
        assert peer.wait_closed()

    with forwarding({"/v1/stall": behave}, upstream_timeout=0.3) as (_, port):
        answer = parse(exchange(port, get("/v1/stall")))
    assert (answer.status, answer.body, answer.ended) == (200, b"hello", False)


@pytest.mark.parametrize("stage", ["waiting", "streaming", "uploading"])
def test_client_that_leaves_closes_the_upstream(stage: str) -> None:
    there, closed = threading.Event(), threading.Event()

    def behave(peer: Peer) -> None:
        if stage == "streaming":
            peer.send(CHUNKED + b"5\r\nhello\r\n")
        there.set()
        if peer.wait_closed():
            closed.set()

    upload = ("content-length: 1000",) if stage == "uploading" else ()
    with forwarding({"/v1/leave": behave}) as (_, port):
        with connect(port) as sock:
            sock.sendall(get("/v1/leave", *upload, method="POST") + (b"part" if upload else b""))
            assert there.wait(PATIENCE)
            if stage == "streaming":
                assert sock.recv(10)
        assert closed.wait(PATIENCE)


def test_connection_closed_while_idle_is_replaced() -> None:
    def once(peer: Peer) -> None:
        peer.send(ok(b"bye"))
        peer.sock.close()

    with forwarding({"/v1/once": once}) as (upstream, port):
        for _ in range(5):
            assert parse(exchange(port, get("/v1/once"))).body == b"bye"
    assert upstream.connections >= 5


def test_excess_bytes_do_not_reach_the_next_request() -> None:
    behaviours = {"/v1/excess": reply(ok(b"one") + ok(b"forged")), "/v1/echo": echo}
    with forwarding(behaviours) as (_, port):
        assert parse(exchange(port, get("/v1/excess"))).body == b"one"
        assert b"forged" not in exchange(port, get("/v1/echo"))


def test_backpressure_reaches_the_upstream() -> None:
    sent = []

    def behave(peer: Peer) -> None:
        peer.send(CHUNKED)
        piece = b"10000\r\n" + bytes(65536) + b"\r\n"
        try:
            for _ in range(4000):
                peer.send(piece)
                sent.append(len(piece))
        except OSError:
            peer.sock.close()

    with forwarding({"/v1/flood": behave, "/v1/ok": reply(ok(b"ok"))}) as (_, port), connect(port) as sock:
        sock.sendall(get("/v1/flood"))
        assert until(lambda: len(sent) > 0)
        assert settled(lambda: sum(sent), lambda: exchange(port, get("/v1/ok"))) < 64_000_000
