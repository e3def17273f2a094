"""What an upstream gets, and what comes back, when an HTTP client has to pass on somebody else's request."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Awaitable, Callable

from tests.support.raw_upstream import PATIENCE, Behaviour, Peer, RawUpstream

Headers = list[tuple[bytes, bytes]]
# url, method, headers, body; returns the status and the headers of the response
Client = Callable[[str, str, Headers, AsyncIterator[bytes]], Awaitable[tuple[int, Headers]]]

PATH = "/v1/x"
ROUNDS = 200  # turns of the event loop; an answer that lies in the socket takes fewer than ten


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    """Yield the parts of a body."""
    for part in parts:
        yield part


def sent_head(client: Client, method: str, headers: Headers, body: bytes = b"") -> list[bytes]:
    """Return the lines of the head that the upstream gets."""

    def behave(peer: Peer) -> None:
        peer.read_body()
        peer.send(b"HTTP/1.1 204 No Content\r\n\r\n")

    with RawUpstream({PATH: behave}) as upstream:
        asyncio.run(_ask(client, upstream, method, headers, pieces(body)))
        assert len(upstream.heads) == 1
    return upstream.heads[0].split(b"\r\n")


def received(client: Client, response: bytes) -> tuple[int, Headers]:
    """Return the status and the headers of a response that the upstream sends."""

    def behave(peer: Peer) -> None:
        peer.send(response)

    return _exchange(client, behave, pieces(b""))


def answer_before_the_end(client: Client) -> tuple[int, bool]:
    """Return the status of an answer that comes before the request's end, and whether the client had read it then."""
    answered = threading.Event()
    uploaded = False

    def behave(peer: Peer) -> None:
        peer.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n")
        answered.set()
        peer.read_body()

    async def upload() -> AsyncIterator[bytes]:
        nonlocal uploaded
        yield b"some"
        assert await asyncio.to_thread(answered.wait, PATIENCE)
        for _ in range(ROUNDS):
            await asyncio.sleep(0)
        uploaded = True
        yield b"rest"

    status, _ = _exchange(client, behave, upload(), (b"content-length", b"8"))
    return status, not uploaded


def _exchange(
    client: Client, behave: Behaviour, body: AsyncIterator[bytes], *headers: tuple[bytes, bytes]
) -> tuple[int, Headers]:
    with RawUpstream({PATH: behave}) as upstream:
        return asyncio.run(_ask(client, upstream, "POST", [(b"host", b"up.test"), *headers], body))


async def _ask(
    client: Client, upstream: RawUpstream, method: str, headers: Headers, body: AsyncIterator[bytes]
) -> tuple[int, Headers]:
    return await client(upstream.url.removesuffix("/v1") + PATH, method, headers, body)
