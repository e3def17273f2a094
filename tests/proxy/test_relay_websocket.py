"""Forwarded WebSockets: real client, real upstream, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import trustme
from starlette.types import Message
from websockets.exceptions import ConnectionClosed, ConnectionClosedError, InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as connect_websocket
from websockets.sync.server import ServerConnection, serve

from mockserver.config.settings import Settings
from proxy.app import ProxyApp
from proxy.relay_websocket import Client, WebSocketRelay
from proxy.target import Target
from tests.support.patience import settled, until
from tests.support.raw_upstream import PATIENCE, Peer, RawUpstream, exchange, get, parse, serving
from tests.support.stub_mock import StubMock

PATH = "/v1/responses"
QUIET = logging.Logger("quiet", logging.CRITICAL + 1)  # what is logged here is the product's
Handler = Callable[[ServerConnection], None]


class Upstream:
    """A WebSocket server with one behaviour; it remembers handshakes and how each connection ended."""

    def __init__(self, handler: Handler, **options) -> None:
        self.handler = handler
        self.options = options
        self.opened: list[ServerConnection] = []
        self.ended: list[ConnectionClosed] = []

    def __enter__(self) -> Upstream:
        self.server = serve(self._handle, "127.0.0.1", 0, max_size=None, logger=QUIET, **self.options)
        self.port = self.server.socket.getsockname()[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()

    def _handle(self, connection: ServerConnection) -> None:
        self.opened.append(connection)
        try:
            self.handler(connection)
            while True:
                connection.recv()
        except ConnectionClosed as closed:
            self.ended.append(closed)

    def ending(self) -> ConnectionClosed:
        """Wait for the end of a connection."""
        assert until(lambda: len(self.ended) > 0)
        return self.ended[0]


@contextlib.contextmanager
def forwarding(handler: Handler, settings: dict | None = None, **options) -> Iterator[tuple[Upstream, str]]:
    """A proxy before an upstream; yields the upstream and the proxy's URL."""
    with Upstream(handler, **options) as upstream:
        told = Settings(upstream=f"http://127.0.0.1:{upstream.port}/v1", **(settings or {}))
        with serving(ProxyApp(StubMock(), told)) as port:
            yield upstream, f"ws://127.0.0.1:{port}{PATH}"


def opened(url: str, **options) -> ClientConnection:
    """A client's connection."""
    return connect_websocket(url, proxy=None, max_size=None, logger=QUIET, **options)


def idle(connection: ServerConnection) -> None:
    """Do nothing."""


def echo(connection: ServerConnection) -> None:
    """Send every message back."""
    for message in connection:
        connection.send(message)


# the handshake


def test_handshake_passes_as_it_is() -> None:
    def answer(connection, request, response) -> None:
        response.headers["X-Answer"] = "yes"
        response.headers["Server"] = "cloud"

    with (
        forwarding(idle, process_response=answer) as (upstream, url),
        opened(
            url + "?a=%2F&b",
            additional_headers=[("Authorization", "Bearer sk-1"), ("X-Two", "1"), ("X-Two", "2"), ("TE", "x")],
            user_agent_header="Agent/1",
        ) as client,
    ):
        assert until(lambda: len(upstream.opened) > 0)
        request = upstream.opened[0].request
        headers = list(request.headers.raw_items())
        names = [name.lower() for name, _ in headers]
        assert request.path == PATH + "?a=%2F&b"
        assert request.headers["Host"] == f"127.0.0.1:{upstream.port}"
        assert request.headers["Authorization"] == "Bearer sk-1"
        assert request.headers.get_all("X-Two") == ["1", "2"]
        assert request.headers.get_all("User-Agent") == ["Agent/1"]
        assert "te" not in names and "content-length" not in names
        assert len(names) == len({name for name in names if name != "x-two"}) + 2, names
        assert client.response.headers["X-Answer"] == "yes" and client.response.headers.get_all("Server")[-1:] == [
            "cloud"
        ]
        assert "x-understudy-source" not in client.response.headers
        assert len(client.response.headers.get_all("Date")) == 1


def test_no_header_of_ours_goes_upstream() -> None:
    with forwarding(idle) as (upstream, url):
        with opened(url, additional_headers={"X-Understudy-Mode": "forward"}, user_agent_header=None):
            assert until(lambda: len(upstream.opened) > 0)
        assert {name.lower() for name in upstream.opened[0].request.headers} == {
            "host",
            "upgrade",
            "connection",
            "sec-websocket-key",
            "sec-websocket-version",
            "sec-websocket-extensions",
        }


def test_the_upstreams_key_replaces_the_callers() -> None:
    with forwarding(idle, {"upstream_api_key": "sk-real", "api_key": ("mine",)}) as (upstream, url):
        with opened(url, additional_headers={"Authorization": "Bearer mine"}):
            assert until(lambda: len(upstream.opened) > 0)
        assert upstream.opened[0].request.headers.get_all("Authorization") == ["Bearer sk-real"]
        for headers in ({"Authorization": "Bearer other"}, {}):
            with pytest.raises(InvalidStatus) as refused, opened(url, additional_headers=headers):
                pass
            assert refused.value.response.status_code == 401 and b"mock_error" in refused.value.response.body
        assert len(upstream.opened) == 1


@pytest.mark.parametrize(("offered", "taken"), [(["a", "b"], "b"), (["a"], None), (None, None)])
def test_subprotocols(offered: list[str] | None, taken: str | None) -> None:
    def choose(connection: ServerConnection, names: list[str]) -> str | None:
        return "b" if "b" in names else None

    with forwarding(echo, select_subprotocol=choose) as (upstream, url), opened(url, subprotocols=offered) as client:
        client.send("x")
        assert client.recv() == "x"
        assert client.subprotocol == upstream.opened[0].subprotocol == taken


@pytest.mark.parametrize("compression", ["deflate", None])
def test_compression_is_what_the_client_wants(compression: str | None) -> None:
    with forwarding(echo) as (upstream, url), opened(url, compression=compression) as client:
        client.send("x" * 1000)
        assert client.recv() == "x" * 1000
        for one in (client, upstream.opened[0]):
            assert bool(one.protocol.extensions) == bool(compression)


BODY = b'{"error": {"message": "no", "type": "invalid_request_error"}}'
CHUNKS = b"2\r\nno\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 401 No\r\nContent-Type: application/json\r\nX-Request-Id: req_1\r\nContent-Length: 61\r\n\r\n"
        + BODY,
        b"HTTP/1.1 426 Upgrade Required\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nuse HTTP",
        b"HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 429 Slow\r\nContent-Type: a/b\r\nTransfer-Encoding: chunked\r\nRetry-After: 3\r\n\r\n" + CHUNKS,
        b"HTTP/1.1 307 Away\r\nContent-Type: a/b\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Length: 2\r\n\r\nno",
    ],
)
def test_refusals_pass_as_they_are(answer: bytes) -> None:
    def refuse(peer: Peer) -> None:
        peer.send(answer)
        peer.sock.close()

    upgrade = ("upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13")
    asked = get(PATH, *upgrade, "sec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA==").replace(b"connection: close\r\n", b"")
    with RawUpstream({PATH: refuse}) as upstream:
        told = Settings(upstream=upstream.url)
        with serving(ProxyApp(StubMock(), told)) as port:
            seen = parse(exchange(port, asked))
    direct = parse(answer)
    hop = (b"connection", b"transfer-encoding", b"content-length", b"date")
    assert (seen.status, seen.body) == (direct.status, direct.body)
    assert [one for one in seen.headers if one[0] not in hop] == [one for one in direct.headers if one[0] not in hop]
    assert seen.all(b"x-understudy-source") == []


@pytest.mark.parametrize("answer", [b"", b"garbage\r\n\r\n", b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"])
def test_no_handshake_is_502(answer: bytes, caplog: pytest.LogCaptureFixture) -> None:
    def behave(peer: Peer) -> None:
        peer.send(answer)
        peer.sock.close()

    with RawUpstream({PATH: behave}) as upstream:
        told = Settings(upstream=upstream.url, upstream_api_key="sk-secret")
        with serving(ProxyApp(StubMock(), told)) as port, watched(caplog):
            assert refused(f"ws://127.0.0.1:{port}{PATH}?key=sk-query", 502)
    assert "WebSocket /v1/responses" in caplog.text and "sk-" not in caplog.text


def test_unreachable_is_502_and_silence_504() -> None:
    with serving(ProxyApp(StubMock(), Settings(upstream="http://127.0.0.1:1/v1"))) as port:
        assert refused(f"ws://127.0.0.1:{port}{PATH}", 502)

    def behave(peer: Peer) -> None:
        assert peer.wait_closed()

    with RawUpstream({PATH: behave}) as upstream:
        told = Settings(upstream=upstream.url, upstream_timeout=0.3)
        with serving(ProxyApp(StubMock(), told)) as port:
            assert refused(f"ws://127.0.0.1:{port}{PATH}", 504)


def refused(url: str, status: int) -> bool:
    """A client is refused with an error of ours."""
    with pytest.raises(InvalidStatus) as found, opened(url):
        pass
    response = found.value.response
    assert (response.status_code, response.headers["x-should-retry"]) == (status, "false")
    return b'"mock_error"' in response.body and response.headers["x-understudy-source"] == "mock"


@contextlib.contextmanager
def watched(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Catch what a server in a thread logs, down to the least of it."""
    root = logging.getLogger()
    with caplog.at_level(logging.DEBUG):
        root.addHandler(caplog.handler)
        try:
            yield
        finally:
            root.removeHandler(caplog.handler)


def test_a_client_that_leaves_during_the_handshake_is_noticed() -> None:
    there, closed = threading.Event(), threading.Event()

    def behave(peer: Peer) -> None:
        there.set()
        if peer.wait_closed():
            closed.set()

    upgrade = ("upgrade: websocket", "connection: upgrade", "sec-websocket-version: 13")
    asked = get(PATH, *upgrade, "sec-websocket-key: AQIDBAUGBwgJCgsMDQ4PEA==").replace(b"connection: close\r\n", b"")
    with (
        RawUpstream({PATH: behave}) as upstream,
        serving(ProxyApp(StubMock(), Settings(upstream=upstream.url))) as port,
    ):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            sock.sendall(asked)
            assert there.wait(PATIENCE)
        assert closed.wait(PATIENCE)


def test_tls() -> None:
    authority = trustme.CA()
    ours, theirs = ssl.create_default_context(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(theirs)
    with Upstream(echo, ssl=theirs) as upstream:
        settings = Settings(upstream=f"https://localhost:{upstream.port}/v1")
        for context, trusted in ((ours, True), (None, False)):
            if trusted:
                authority.configure_trust(context)
            app = ProxyApp(StubMock(), settings)
            assert app.modes is not None
            app.modes.relays = app.modes.relays[0], WebSocketRelay(settings, Target(settings), context)
            with serving(app) as port:
                url = f"ws://127.0.0.1:{port}{PATH}"
                if trusted:
                    with opened(url) as client:
                        client.send(BIG)
                        assert client.recv() == BIG
                    assert upstream.opened[0].request.headers["Host"] == f"localhost:{upstream.port}"
                else:
                    assert refused(url, 502)


# who may come, and whither


def test_pages_of_others_are_refused_before_the_upstream_hears_of_them() -> None:
    with forwarding(echo, {"upstream_api_key": "sk-real"}) as (upstream, url):
        for headers in (
            {"origin": "https://evil.test"},
            {"origin": "null"},
            {"additional_headers": {"Sec-Fetch-Site": "cross-site"}},
            {"origin": "http://localhost:3000"},
        ):
            with pytest.raises(InvalidStatus) as found, opened(url, **headers):
                pass
            assert found.value.response.status_code == 403
        with pytest.raises(InvalidStatus) as found, opened(url.replace("127.0.0.1", "localhost"), origin="http://a.b"):
            pass
        assert found.value.response.status_code == 403
        assert upstream.opened == []
        own = url.removeprefix("ws").removesuffix(PATH)
        with opened(url, origin=f"http{own}") as client:
            client.send("x")
            assert client.recv() == "x"


@pytest.mark.parametrize(
    ("mode", "header", "answer"), [("mock", None, "mock"), ("mock", "forward", "up"), ("forward", "mock", "mock")]
)
def test_mode_of_the_server_and_of_one_socket(mode: str, header: str | None, answer: str) -> None:
    told = {"additional_headers": {"X-Understudy-Mode": header}} if header else {}
    with forwarding(lambda one: one.send("up"), {"mode": mode}) as (_, url), opened(url, **told) as client:
        assert client.recv() == answer


def test_wrong_modes_are_refused() -> None:
    with serving(ProxyApp(StubMock(), Settings())) as port:
        for mode in ("forward", "nonsense"):
            url = f"ws://127.0.0.1:{port}{PATH}"
            with pytest.raises(InvalidStatus) as found, opened(url, additional_headers={"X-Understudy-Mode": mode}):
                pass
            assert found.value.response.status_code == 400
        with opened(f"ws://127.0.0.1:{port}/v1/realtime") as client:
            assert client.recv() == "mock", "which refuses it, and has it in its journal (P24)"


def test_other_paths_are_forwarded_too() -> None:
    with (
        forwarding(echo, {"mode": "mock"}) as (upstream, url),
        opened(url.replace(PATH, "/v1/realtime;a?m=x")) as client,
    ):
        client.send("x")
        assert client.recv() == "x" and upstream.opened[0].request.path == "/v1/realtime;a?m=x"


# messages

BIG = os.urandom(1 << 20)
MESSAGES = ["text", b"bytes", "", b"", "ünï 🙂 \u2028 \x00", bytes(range(256)), "a" * (1 << 20), BIG]


@pytest.mark.parametrize("compression", ["deflate", None])
def test_messages_both_ways_untouched_and_in_order(compression: str | None) -> None:
    seen: list[str | bytes] = []

    def behave(connection: ServerConnection) -> None:
        for _ in MESSAGES:
            seen.append(connection.recv())
        for message in MESSAGES:
            connection.send(message)

    with forwarding(behave) as (_, url), opened(url, compression=compression) as client:
        for message in MESSAGES:
            client.send(message)
        assert [client.recv() for _ in MESSAGES] == MESSAGES
    assert seen == MESSAGES


def test_many_messages_at_once_both_ways() -> None:
    count = 2000
    with forwarding(echo) as (_, url), opened(url) as client:
        threading.Thread(target=lambda: [client.send(f"{n}") for n in range(count)]).start()
        assert [client.recv() for _ in range(count)] == [f"{n}" for n in range(count)]


def test_fragments_are_one_message() -> None:
    with forwarding(echo) as (_, url), opened(url) as client:
        client.send(["a", "b", "c"])
        assert client.recv() == "abc"


def test_a_message_comes_before_the_next_is_sent() -> None:
    go_on = threading.Event()

    def behave(connection: ServerConnection) -> None:
        connection.send("1")
        assert go_on.wait(PATIENCE)
        connection.send("2")

    with forwarding(behave) as (_, url), opened(url) as client:
        assert client.recv(PATIENCE) == "1"
        go_on.set()
        assert client.recv(PATIENCE) == "2"


def test_pings_are_answered_on_both_sides() -> None:
    answered = threading.Event()

    def behave(connection: ServerConnection) -> None:
        if connection.ping().wait(PATIENCE):
            answered.set()

    with forwarding(behave) as (_, url), opened(url) as client:
        assert client.ping("p").wait(PATIENCE)
        assert answered.wait(PATIENCE)


# endings


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1000, "bye"), (1001, "away"), (1011, "fault ü"), (4000, "own"), (4999, "x" * 123)]
)
def test_the_upstreams_close_reaches_the_client(code: int, reason: str) -> None:
    def behave(connection: ServerConnection) -> None:
        connection.send("last")
        connection.close(code, reason)

    with forwarding(behave) as (_, url), opened(url) as client:
        assert client.recv() == "last"
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (code, reason)


@pytest.mark.parametrize(
    ("code", "reason"), [(1000, ""), (1000, "bye"), (1001, "away"), (1011, "fault ü"), (4000, "own"), (4999, "x" * 123)]
)
def test_the_clients_close_reaches_the_upstream(code: int, reason: str) -> None:
    with forwarding(idle) as (upstream, url):
        client = opened(url).__enter__()
        client.send("last")
        client.close(code, reason)
        ended = upstream.ending()
    assert (ended.rcvd.code, ended.rcvd.reason) == (code, reason)


def test_a_close_without_a_code_has_none_on_the_other_side_either() -> None:
    def bare(connection: ServerConnection | ClientConnection) -> None:
        connection.socket.sendall(Frame(Opcode.CLOSE, b"").serialize(mask=isinstance(connection, ClientConnection)))

    with forwarding(bare) as (_, url), opened(url) as client, pytest.raises(ConnectionClosed) as closed:
        client.recv(PATIENCE)
    assert closed.value.rcvd.code == 1005
    with forwarding(idle) as (upstream, url), opened(url) as client:
        bare(client)
        assert upstream.ending().rcvd.code == 1005


def vanish(connection: ServerConnection | ClientConnection) -> None:
    """Break a connection off."""
    connection.socket.shutdown(socket.SHUT_RDWR)


def test_an_upstream_that_vanishes_is_a_broken_connection(caplog: pytest.LogCaptureFixture) -> None:
    def behave(connection: ServerConnection) -> None:
        connection.send("part")
        connection.recv()
        vanish(connection)

    with forwarding(behave) as (_, url), watched(caplog), opened(url + "?key=sk-query") as client:
        assert client.recv() == "part"
        client.send("go")
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
    assert closed.value.rcvd is None
    assert "upstream broke off: WebSocket /v1/responses" in caplog.text


def test_a_message_for_an_upstream_that_has_ended_is_no_ending_of_the_client() -> None:
    class Ended:
        async def send(self, message: str) -> None:
            raise ConnectionClosedError(None, None)

    async def receive() -> Message:
        return {"type": "websocket.receive", "text": "late", "bytes": None}

    async def scene() -> None:
        assert await Client(receive).pass_on(Ended()) is None  # type: ignore[arg-type]

    asyncio.run(scene())


def test_an_upstream_that_breaks_the_protocol_is_a_broken_connection() -> None:
    def behave(connection: ServerConnection) -> None:
        connection.socket.sendall(Frame(Opcode.TEXT, b"\xff\xfe").serialize(mask=False))

    with forwarding(behave) as (_, url), opened(url) as client, pytest.raises(ConnectionClosed) as closed:
        client.recv(PATIENCE)
    assert closed.value.rcvd is None


def test_a_client_that_vanishes_is_one_for_the_upstream_too() -> None:
    with forwarding(lambda one: one.send("x")) as (upstream, url), opened(url) as client:
        assert client.recv() == "x"
        vanish(client)
        assert upstream.ending().rcvd is None


def test_a_client_that_leaves_while_much_is_coming_ends_the_upstream() -> None:
    def flood(connection: ServerConnection) -> None:
        while True:
            connection.send(BIG)

    with forwarding(flood) as (upstream, url):
        client = opened(url).__enter__()
        client.recv()
        vanish(client)
        upstream.ending()
    with forwarding(flood) as (upstream, url):
        client = opened(url).__enter__()
        client.recv()
        client.close(4000, "enough")
        upstream.ending()


@pytest.mark.slow  # twenty messages of more than any buffer holds
def test_what_was_sent_before_the_end_arrives() -> None:
    sent: list[int] = []

    def behave(connection: ServerConnection) -> None:
        for _ in range(20):
            connection.send(BIG)
            sent.append(1)
        connection.close(1000, "done")

    with forwarding(behave) as (_, url), opened(url) as client:
        assert until(lambda: len(sent) > 2)
        assert [client.recv() for _ in range(20)] == [BIG] * 20
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE)
    assert closed.value.rcvd.reason == "done"


def test_nothing_secret_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    told = {"additional_headers": {"Authorization": "Bearer sk-mine"}}
    with forwarding(echo, {"upstream_api_key": "sk-real"}) as (_, url), watched(caplog), opened(url, **told) as client:
        client.send("sk-body")
        assert client.recv() == "sk-body"
    assert "sk-" not in caplog.text


# memory

CHILD = """
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
PIECES = 150


def test_a_slow_reader_makes_the_other_side_wait() -> None:
    """Memory stays what it is while one side sends a lot and the other reads nothing."""
    sent: list[int] = []
    read_on = threading.Event()

    def behave(connection: ServerConnection) -> None:
        if connection.recv() == "down":
            for _ in range(PIECES):
                connection.send(BIG)
                sent.append(1)
        else:
            assert read_on.wait(PATIENCE)
            connection.send(str(sum(len(connection.recv()) for _ in range(PIECES))))

    with Upstream(behave, compression=None, max_queue=1) as upstream, measured(upstream) as (url, peak):
        with opened(url, compression=None, max_queue=1) as client:
            client.send("warm")
        before = peak()
        with opened(url, compression=None, max_queue=1) as client:
            client.send("down")
            assert until(lambda: len(sent) > 2)
            assert settled(lambda: len(sent), peak) < PIECES / 3
            assert sum(len(client.recv()) for _ in range(PIECES)) == PIECES << 20
        with opened(url, compression=None, max_queue=1) as client:
            client.send("up")
            pushed: list[int] = []
            pusher = threading.Thread(target=lambda: [pushed.append(client.send(BIG) or 1) for _ in range(PIECES)])
            pusher.start()
            assert until(lambda: len(pushed) > 2)
            assert settled(lambda: len(pushed), peak) < PIECES / 3
            read_on.set()
            assert client.recv(PATIENCE) == str(PIECES << 20)
            pusher.join()
        assert (peak() - before) / 1024 < 40  # MB


@contextlib.contextmanager
def measured(upstream: Upstream) -> Iterator[tuple[str, Callable[[], int]]]:
    """A proxy in a process of its own: its URL, and the most memory it has had so far."""
    command = [sys.executable, "-c", CHILD, f"http://127.0.0.1:{upstream.port}/v1"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
    try:
        assert child.stdout is not None
        port = int(child.stdout.readline())
        yield f"ws://127.0.0.1:{port}{PATH}", lambda: int(parse(exchange(port, get("/_mock/memory"))).body)
    finally:
        child.kill()
        child.communicate()
