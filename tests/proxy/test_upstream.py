"""The transport: pool, TLS, addresses, failures as httpx's exceptions."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from pathlib import Path

import httpx
import pytest
import trustme

from proxy import upstream
from proxy.upstream import Upstream, WholeBody
from tests.support.raw_upstream import PATIENCE, Peer, RawUpstream

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def ok(peer: Peer) -> None:
    """Answer."""
    peer.read_body()
    peer.send(OK)


def request(url: str, method: str = "GET", **extensions: object) -> httpx.Request:
    """A request with a body that is there."""
    return httpx.Request(method, url, headers=[(b"host", b"x")], stream=WholeBody(b""), extensions=extensions)


async def fetch(transport: Upstream, sent: httpx.Request) -> bytes:
    """Return the body of the answer."""
    response = await transport.handle_async_request(sent)
    body = b"".join([part async for part in response.stream])  # type: ignore[union-attr]
    await response.stream.aclose()  # type: ignore[union-attr]
    return body


def test_works_under_httpx_itself() -> None:
    async def scene(url: str) -> httpx.Response:
        async with httpx.AsyncClient(transport=Upstream(), trust_env=False) as client:
            return await client.post(url, json={"a": 1})

    def echo(peer: Peer) -> None:
        body = peer.read_body()
        peer.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))

    with RawUpstream({"/v1/x": echo}) as raw:
        response = asyncio.run(scene(f"{raw.url}/x"))
    assert (response.json(), response.reason_phrase) == ({"a": 1}, "OK")


def test_target_goes_out_as_given() -> None:
    async def scene(url: str) -> None:
        transport = Upstream()
        await fetch(transport, request(url, target=b"/v1/%zz?[x]&a=%2f"))
        await transport.aclose()

    with RawUpstream({"/v1/%zz": ok}) as raw:
        asyncio.run(scene(raw.url))
    assert raw.heads == [b"GET /v1/%zz?[x]&a=%2f HTTP/1.1\r\nhost: x"]


@pytest.mark.parametrize("body", [b"", b"three"])
def test_whole_body_that_came_in_chunks_leaves_in_chunks(body: bytes) -> None:
    bodies: list[bytes] = []

    def behave(peer: Peer) -> None:
        bodies.append(peer.read_body())
        peer.send(OK)

    async def scene(url: str) -> None:
        transport = Upstream()
        headers = [(b"host", b"x"), (b"Transfer-Encoding", b"chunked")]
        for _ in range(2):  # on one connection: a body that ended wrong would be read as the next request
            sent = httpx.Request("POST", f"{url}/x", headers=headers, stream=WholeBody(body))
            assert await fetch(transport, sent) == b"ok"
        await transport.aclose()

    with RawUpstream({"/v1/x": behave}) as raw:
        asyncio.run(scene(raw.url))
    assert (bodies, raw.connections) == ([body, body], 1)


@pytest.mark.parametrize(("method", "served"), [("GET", True), ("POST", False)])
def test_kept_connection_that_dies_under_a_request(method: str, served: bool) -> None:
    """Only what may be done twice is sent again (RFC 9110 §9.2.2)."""

    def behave(peer: Peer) -> None:
        ok(peer)
        if raw.connections == 1:
            peer.read_head()
            peer.sock.close()

    async def scene() -> None:
        transport = Upstream()
        try:
            assert await fetch(transport, request(f"{raw.url}/x")) == b"ok"
            if served:
                assert await fetch(transport, request(f"{raw.url}/x", method)) == b"ok"
            else:
                with pytest.raises(httpx.TransportError):
                    await fetch(transport, request(f"{raw.url}/x", method))
        finally:
            await transport.aclose()

    with RawUpstream({"/v1/x": behave}) as raw:
        asyncio.run(scene())


def test_idle_connections_are_closed_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upstream, "IDLE_S", 0.05)
    closed = threading.Event()

    def behave(peer: Peer) -> None:
        ok(peer)
        if peer.wait_closed():
            closed.set()

    async def scene() -> None:
        transport = Upstream()
        await fetch(transport, request(f"{raw.url}/x"))
        assert await asyncio.to_thread(closed.wait, PATIENCE)
        await transport.aclose()

    with RawUpstream({"/v1/x": behave}) as raw:
        asyncio.run(scene())


def test_second_address_of_a_host_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(port: int) -> bytes:
        async def addresses(host: str, port: int, **_: object) -> list[object]:
            found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in ("127.0.0.2", "127.0.0.1")]
            return list(found)

        monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", addresses)
        transport = Upstream()
        try:
            return await fetch(transport, request(f"http://two.test:{port}/v1/x"))
        finally:
            await transport.aclose()

    with RawUpstream({"/v1/x": ok}) as raw:
        assert asyncio.run(scene(raw.port)) == b"ok"


def test_families_of_addresses_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    six = ["2001:db8::1", "2001:db8::2", "2001:db8::3"]
    found = [(socket.AF_INET6, socket.SOCK_STREAM, 6, "", (host, 80, 0, 0)) for host in six]
    found.append((socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.1", 80)))

    async def scene() -> None:
        loop = asyncio.get_running_loop()

        async def addresses(host: str, port: int, **_: object) -> list[object]:
            return list(found)

        async def refuse(sock: socket.socket, address: tuple[str, int]) -> None:
            tried.append(address[0])
            raise ConnectionRefusedError(address[0])

        monkeypatch.setattr(loop, "getaddrinfo", addresses)
        monkeypatch.setattr(loop, "sock_connect", refuse)
        with pytest.raises(ConnectionRefusedError, match="2001:db8::1"):
            await upstream.connect_socket(loop, "two.test", 80)

    asyncio.run(scene())
    assert tried == ["2001:db8::1", "192.0.2.1", "2001:db8::2", "2001:db8::3"]


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/v1", "http://no-such-host.invalid/v1", f"http://{'a' * 70}.test/"])
def test_no_connection(url: str) -> None:
    with pytest.raises(httpx.ConnectError):
        asyncio.run(fetch(Upstream(), request(url)))


def test_no_connection_in_time() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for sock in waiting:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        with pytest.raises(httpx.ConnectTimeout):
            asyncio.run(fetch(Upstream(), request(f"http://127.0.0.1:{port}/", timeout={"connect": 0.2})))
        for sock in waiting:
            sock.close()


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of localhost that only this test trusts."""
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    authority = trustme.CA()
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(path)
    authority.cert_pem.write_to_path(path, append=True)
    return path


def tls_answer(listener: socket.socket, certificate: Path, names: list[str | None]) -> None:
    """Answer one request over TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    sock, _ = listener.accept()
    with sock:
        try:
            secure = context.wrap_socket(sock, server_side=True)
        except (ssl.SSLError, OSError):
            return
        with secure:
            peer = Peer(secure)
            assert peer.read_head()
            names.append(secure.version())
            peer.send(OK)
            peer.wait_closed()


@pytest.mark.parametrize("trusted", [True, False])
def test_tls(certificate: Path, trusted: bool) -> None:
    names: list[str | None] = []

    async def scene(port: int) -> bytes:
        tls = ssl.create_default_context(cafile=str(certificate)) if trusted else None
        transport = Upstream(tls)
        try:
            return await fetch(transport, request(f"https://localhost:{port}/v1/x"))
        finally:
            await transport.aclose()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=tls_answer, args=(listener, certificate, names))
        thread.start()
        if trusted:
            assert asyncio.run(scene(listener.getsockname()[1])) == b"ok"
        else:
            with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
                asyncio.run(scene(listener.getsockname()[1]))
        thread.join(PATIENCE)
    assert len(names) == trusted
