"""Why the proxy has its own HTTP client: what httpx, httpx2 and h11 do with a request that is not theirs.

A test that fails here because a library has learned something is good news: then look again whether `proxy/upstream.py`
and `proxy/http1.py` are needed. The same for aiohttp is in `tests/bench/bench_relay.py`, with the cost of each.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import h11
import httpx
import httpx2
import pytest

from proxy.upstream import Upstream
from tests.support.client_probe import Client, Headers, answer_before_the_end, received, sent_head

HEADERS = [(b"X-B", b"1"), (b"Host", b"up.test"), (b"x-a", b"caf\xe9"), (b"X-B", b"2"), (b"Content-Length", b"2")]
LINES = [b"X-B: 1", b"Host: up.test", b"x-a: caf\xe9", b"X-B: 2", b"Content-Length: 2"]
HOST_FIRST = [b"Host: up.test", b"X-B: 1", b"x-a: caf\xe9", b"X-B: 2", b"Content-Length: 2"]
BIG_HEAD = b"HTTP/1.1 204 No Content\r\nX-Big: %b\r\n\r\n" % (b"x" * 200_000)
ODD_TARGET = b"/v1/x?%zz&[x]&a=%2f"


def client_of(library: ModuleType, make_transport: Any, **extensions: object) -> Client:
    """Return a client over a transport of httpx's kind."""

    async def ask(url: str, method: str, headers: Headers, body: AsyncIterator[bytes]) -> tuple[int, Headers]:
        class Body(library.AsyncByteStream):  # type: ignore[misc,name-defined]
            def __aiter__(self) -> AsyncIterator[bytes]:
                return body

        request = library.Request(method, url, headers=headers, stream=Body(), extensions=extensions)
        async with make_transport() as transport:
            response = await transport.handle_async_request(request)
            await response.stream.aclose()
        return response.status_code, response.headers.raw

    return ask


OURS = client_of(httpx, Upstream)
LIBRARIES = pytest.mark.parametrize("library", [httpx, httpx2], ids=["httpx", "httpx2"])


def test_our_headers_keep_their_order_and_bytes() -> None:
    assert sent_head(OURS, "POST", HEADERS, b"hi") == [b"POST /v1/x HTTP/1.1", *LINES]


@LIBRARIES
def test_httpx_sends_host_first(library: ModuleType) -> None:
    client = client_of(library, library.AsyncHTTPTransport)
    assert sent_head(client, "POST", HEADERS, b"hi") == [b"POST /v1/x HTTP/1.1", *HOST_FIRST]


def test_h11_sends_host_first() -> None:
    head = h11.Connection(h11.CLIENT).send(h11.Request(method=b"POST", target=b"/v1/x", headers=HEADERS))
    assert head == b"\r\n".join([b"POST /v1/x HTTP/1.1", *HOST_FIRST, b"", b""])


def test_our_client_reads_an_answer_before_the_end_of_the_request() -> None:
    assert answer_before_the_end(OURS) == (413, True)


@LIBRARIES
def test_httpx_reads_no_answer_before_the_end_of_the_request(library: ModuleType) -> None:
    assert answer_before_the_end(client_of(library, library.AsyncHTTPTransport)) == (413, False)


def test_our_client_takes_a_big_head() -> None:
    status, headers = received(OURS, BIG_HEAD)
    assert (status, headers) == (204, [(b"X-Big", b"x" * 200_000)])


@LIBRARIES
def test_httpx_refuses_a_big_head(library: ModuleType) -> None:
    with pytest.raises(library.RemoteProtocolError):
        received(client_of(library, library.AsyncHTTPTransport), BIG_HEAD)


@LIBRARIES
def test_the_exact_target_is_no_reason(library: ModuleType) -> None:
    for client in (
        client_of(httpx, Upstream, target=ODD_TARGET),
        client_of(library, library.AsyncHTTPTransport, target=ODD_TARGET),
    ):
        assert sent_head(client, "GET", [(b"host", b"up.test")])[0] == b"GET %b HTTP/1.1" % ODD_TARGET
