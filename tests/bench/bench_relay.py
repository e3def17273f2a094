"""What a forwarded request costs: CPU of the proxy's process per request, as a ratio to a bare ASGI relay on aiohttp.

Everything is measured in one run, in rounds that take turns: the load and the upstream are other processes, the
proxy reports its own `time.process_time`. Run with `pytest -m bench tests/bench/bench_relay.py -s`, or as a script.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from mockserver.config.settings import Settings
from mockserver.transport.app import create_app
from mockserver.transport.serve import Server, bind, server_config
from proxy.app import ProxyApp
from proxy.headers import for_client, for_upstream
from proxy.upstream import Upstream
from tests.support.client_probe import Headers, answer_before_the_end, received, sent_head

MODULE = "tests.bench.bench_relay"
ROUNDS = int(os.environ.get("BENCH_ROUNDS", "5"))
CONNECTIONS = 8
LOADS = {"json": 1500, "sse": 150}  # requests in a round
EVENTS = 50
PARSES = 2000

ANSWER_HEADERS = b"".join(
    b"%b: %b\r\n" % pair
    for pair in (
        (b"Date", b"Fri, 20 Nov 2026 12:00:00 GMT"),
        (b"openai-version", b"2020-10-01"),
        (b"openai-organization", b"org-example"),
        (b"openai-processing-ms", b"412"),
        (b"x-request-id", b"req_0123456789abcdef0123456789abcdef"),
        (b"x-ratelimit-limit-requests", b"10000"),
        (b"x-ratelimit-limit-tokens", b"30000000"),
        (b"x-ratelimit-remaining-requests", b"9999"),
        (b"x-ratelimit-remaining-tokens", b"29999000"),
        (b"strict-transport-security", b"max-age=31536000; includeSubDomains; preload"),
        (b"Server", b"cloudflare"),
        (b"Set-Cookie", b"__cf_bm=0123456789; path=/; HttpOnly; Secure"),
    )
)
BODY = b'{"id": "resp_1", "object": "response", "output": "%b"}' % (b"x" * 1500)
JSON_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n%bContent-Length: %d\r\n\r\n%b" % (
    ANSWER_HEADERS,
    len(BODY),
    BODY,
)
EVENT = b'event: response.output_text.delta\ndata: {"type":"response.output_text.delta","delta":" word"}\n\n'
SSE_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n%bTransfer-Encoding: chunked\r\n\r\n" % ANSWER_HEADERS
)
REQUEST = (
    b"POST /v1/responses?kind=%b HTTP/1.1\r\nHost: localhost\r\nAccept-Encoding: gzip, deflate\r\n"
    b"Connection: keep-alive\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
    b"User-Agent: OpenAI/Python 3.51.0\r\nX-Stainless-Lang: python\r\nX-Stainless-Package-Version: 3.51.0\r\n"
    b"X-Stainless-OS: Linux\r\nX-Stainless-Arch: x64\r\nX-Stainless-Runtime: CPython\r\n"
    b"X-Stainless-Runtime-Version: 3.11.7\r\nX-Stainless-Async: false\r\nX-Stainless-Retry-Count: 0\r\n"
    b"Authorization: Bearer sk-bench\r\nContent-Length: 60\r\n\r\n"
    + b'{"model":"gpt-5.5","input":"'
    + b"x" * 30
    + b'"}'
)


class UpstreamProtocol(asyncio.Protocol):
    """Answers `?kind=json` in one write and `?kind=sse` event by event."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._data.endswith(b'"}'):
            return
        if b"kind=json" in self._data:
            self._transport.write(JSON_ANSWER)
        else:
            self._transport.write(SSE_HEAD)
            asyncio.get_running_loop().call_later(0.001, self._event, EVENTS)
        self._data = b""

    def _event(self, left: int) -> None:
        if left == 0:
            self._transport.write(b"0\r\n\r\n")
            return
        self._transport.write(b"%x\r\n%b\r\n" % (len(EVENT), EVENT))
        asyncio.get_running_loop().call_later(0.0005, self._event, left - 1)


# the candidates


class ThinAiohttp(httpx.AsyncBaseTransport):
    """The seam over aiohttp, as thin as it gets."""

    def __init__(self) -> None:
        self._session: Any = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        import aiohttp
        from yarl import URL

        self._session = self._session or aiohttp_session()
        stream: Any = request.stream
        response = await self._session.request(
            request.method,
            URL(str(request.url), encoded=True),
            headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw],
            data=getattr(stream, "data", stream) or None,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=None, sock_read=600),
        )
        return httpx.Response(response.status, headers=response.raw_headers, stream=AiohttpBody(response))


class AiohttpBody(httpx.AsyncByteStream):
    """A response body of aiohttp."""

    def __init__(self, response: Any) -> None:
        self._response = response

    def __aiter__(self) -> Any:
        return self._response.content.iter_any().__aiter__()

    async def aclose(self) -> None:
        self._response.close()


def aiohttp_session() -> Any:
    """Return a session that adds and decodes nothing."""
    import aiohttp

    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        auto_decompress=False,
        skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        cookie_jar=aiohttp.DummyCookieJar(),
    )


def bare(base: str) -> Callable[..., Any]:
    """The baseline: an ASGI relay on aiohttp that does nothing but relay."""
    import aiohttp
    from yarl import URL

    origin = base.removesuffix("/v1")
    host = origin.partition("://")[2].encode()
    sessions: list[aiohttp.ClientSession] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if not sessions:
            sessions.append(aiohttp_session())
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        query = scope["query_string"].decode()
        url = URL(f"{origin}{scope['raw_path'].decode()}{'?' + query if query else ''}", encoded=True)
        sent = [(name.decode(), value.decode()) for name, value in for_upstream(scope["headers"], host, None)]
        async with sessions[0].request(
            scope["method"], url, headers=sent, data=body or None, allow_redirects=False
        ) as response:
            passed = for_client(response.raw_headers, response.status)
            await send({"type": "http.response.start", "status": response.status, "headers": passed})
            async for chunk in response.content.iter_any():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

    return app


def httpx_transport() -> httpx.AsyncBaseTransport:
    """httpx's own transport, without a limit of connections."""
    return httpx.AsyncHTTPTransport(limits=httpx.Limits(max_connections=None, max_keepalive_connections=None))


def httpx_aiohttp_transport() -> httpx.AsyncBaseTransport:
    """The package httpx-aiohttp, which needs a session made inside the loop."""
    from httpx_aiohttp import AiohttpTransport

    return AiohttpTransport(client=aiohttp_session)


CANDIDATES: dict[str, Callable[[], httpx.AsyncBaseTransport]] = {
    "own (httptools)": Upstream,
    "thin over aiohttp": ThinAiohttp,
    "httpx-aiohttp": httpx_aiohttp_transport,
    "httpx": httpx_transport,
}
BASELINE = "bare aiohttp relay"


def metered(app: Any) -> Callable[..., Any]:
    """Answer `/_cpu` with the seconds of CPU that the process has used; everything else is the app's.

    What the app returns is returned, for it may answer within its call.
    """

    async def meter(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for kind in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{kind}.complete"})
        else:
            body = repr(time.process_time()).encode()
            await send(
                {"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(body))]}
            )
            await send({"type": "http.response.body", "body": body})

    def serve(scope: Any, receive: Any, send: Any) -> Any:
        is_asked = scope["type"] == "lifespan" or scope["path"] == "/_cpu"
        return (meter if is_asked else app)(scope, receive, send)

    return serve


def child(kind: str, base: str) -> None:
    """Serve until the parent ends this process; prints the port."""
    listener = bind("127.0.0.1", 0)
    port = listener.getsockname()[1]
    if kind == "upstream":
        asyncio.run(_serve_upstream(listener))
        return
    settings = Settings(upstream=base, log_level="warning")
    # the real mock behind it: what the proxy counts for the mock's metrics is a part of what it costs
    app = bare(base) if kind == BASELINE else ProxyApp(create_app(settings), settings, CANDIDATES[kind]())
    Server(server_config(metered(app), settings), lambda: print(port, flush=True)).run([listener])


async def _serve_upstream(listener: Any) -> None:
    server = await asyncio.get_running_loop().create_server(UpstreamProtocol, sock=listener)
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()


class Child:
    """A process of a bench's script, and its port."""

    def __init__(self, module: str, kind: str, where: str = "") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, kind, where], stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())

    def stop(self) -> None:
        """End it."""
        self.process.kill()
        self.process.communicate()


async def client(port: int, kind: str, count: int) -> None:
    """Send requests one after the other over one connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for _ in range(count):
        writer.write(REQUEST % kind.encode())
        if kind == "json":
            await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(len(BODY))
        else:
            await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()
    await writer.wait_closed()


async def load(port: int, kind: str) -> None:
    """Send a round's requests over several connections."""
    await asyncio.gather(*(client(port, kind, LOADS[kind] // CONNECTIONS) for _ in range(CONNECTIONS)))


async def cpu(port: int) -> float:
    """Return the seconds of CPU that a proxy has used."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"GET /_cpu HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return float(answer.rpartition(b"\r\n\r\n")[2])


async def measure(ports: dict[str, int]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the median microseconds per request, of CPU and of time, by candidate and kind of request."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for turn in range(ROUNDS + 1):
        for name, port in ports.items():
            for kind, count in LOADS.items():
                before = 0.0 if name == "direct" else await cpu(port)
                start = time.perf_counter()
                await load(port, kind)
                took = time.perf_counter() - start
                used = 0.0 if name == "direct" else await cpu(port) - before
                if turn:  # the first round warms up
                    found.setdefault((name, kind), []).append((used / count * 1e6, took / count * 1e6))
    return {key: tuple(statistics.median(column) for column in zip(*rows, strict=True)) for key, rows in found.items()}  # type: ignore[misc]


def run() -> dict[tuple[str, str], tuple[float, float]]:
    """Measure everything and print the table."""
    upstream = Child(MODULE, "upstream")
    children = {name: Child(MODULE, name, f"http://127.0.0.1:{upstream.port}/v1") for name in (BASELINE, *CANDIDATES)}
    try:
        ports = {"direct": upstream.port, **{name: one.port for name, one in children.items()}}
        found = asyncio.run(measure(ports))
    finally:
        for one in (upstream, *children.values()):
            one.stop()
    print(
        f"\n{'CPU of the proxy per request':<28}"
        + "".join(f"{kind + ' µs':>10}{'ratio':>7}{'wall µs':>9}" for kind in LOADS)
    )
    for name in ports:
        row = f"{name:<28}"
        for kind in LOADS:
            used, took = found[name, kind]
            row += f"{used:>10.0f}{used / found[BASELINE, kind][0]:>7.2f}{took:>9.0f}"
        print(row)
    return found


def parsers() -> None:
    """Print what it costs to parse the JSON answer."""
    import h11
    import httptools

    class Sink:
        def __init__(self) -> None:
            self.headers: Headers = []
            self.body: list[bytes] = []

        def on_header(self, name: bytes, value: bytes) -> None:
            self.headers.append((name, value))

        def on_body(self, data: bytes) -> None:
            self.body.append(data)

    def over_httptools() -> None:
        sink = Sink()
        httptools.HttpResponseParser(sink).feed_data(JSON_ANSWER)
        assert b"".join(sink.body) == BODY

    def over_h11() -> None:
        connection, body = h11.Connection(h11.CLIENT), b""
        connection.receive_data(JSON_ANSWER)
        while not isinstance(event := connection.next_event(), h11.EndOfMessage):
            body += event.data if isinstance(event, h11.Data) else b""
        assert body == BODY

    costs = []
    for parse in (over_httptools, over_h11):
        start = time.process_time()
        for _ in range(PARSES):
            parse()
        costs.append((time.process_time() - start) / PARSES * 1e6)
    print(f"\nparsing an answer: httptools {costs[0]:.1f} µs, h11 {costs[1]:.1f} µs, ratio {costs[1] / costs[0]:.0f}")


@pytest.mark.bench
def test_relay_costs_little() -> None:
    run()
    parsers()


# what aiohttp does with a request that is not its own; httpx and h11 are in tests/proxy/test_own_client.py


async def over_aiohttp(url: str, method: str, headers: Headers, body: AsyncIterator[bytes]) -> tuple[int, Headers]:
    """Ask with aiohttp: a body of one piece as bytes, as it wants no header for chunks of its own."""
    from yarl import URL

    first = await anext(body)
    data: Any = chain(first, body) if b"content-length" in dict(headers) else first
    sent = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
    async with (
        aiohttp_session() as session,
        session.request(method, URL(url, encoded=True), headers=sent, data=data or None) as response,
    ):
        return response.status, list(response.raw_headers)


async def chain(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """Yield a piece and those after it."""
    yield first
    async for piece in rest:
        yield piece


@pytest.mark.bench
def test_aiohttp_changes_headers() -> None:
    headers = [(b"X-B", b"1"), (b"Host", b"up.test"), (b"x-a", b"caf\xe9"), (b"X-B", b"2")]
    changed = [b"Host: up.test", b"X-B: 1", b"x-a: caf\xc3\xa9", b"X-B: 2", b"Content-Length: 0"]
    assert sent_head(over_aiohttp, "POST", headers) == [b"POST /v1/x HTTP/1.1", *changed]


@pytest.mark.bench
def test_aiohttp_reads_an_answer_before_the_end_of_the_request() -> None:
    assert answer_before_the_end(over_aiohttp) == (413, True)


@pytest.mark.bench
def test_aiohttp_refuses_a_long_header() -> None:
    import aiohttp

    with pytest.raises(aiohttp.ClientResponseError, match="8190"):
        received(over_aiohttp, b"HTTP/1.1 204 No Content\r\nX-Big: %b\r\n\r\n" % (b"x" * 60_000))


if __name__ == "__main__":
    if len(sys.argv) == 3:
        child(sys.argv[1], sys.argv[2])
    else:
        run()
