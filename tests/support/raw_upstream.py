"""An upstream that misbehaves on purpose, byte by byte, and what a test needs to look at it through a raw socket."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import uvicorn

from mockserver.config.settings import Settings
from mockserver.transport.serve import Server, bind, server_config

PATIENCE = 120.0  # seconds; far more than anything here takes


class Peer:
    """One connection of the upstream, and the request that is on it."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.head = b""
        self.rest = b""

    def read_head(self) -> bool:
        """Read a request's head; false at the end of the connection."""
        data = self.rest
        while b"\r\n\r\n" not in data:
            more = self.sock.recv(65536)
            if not more:
                return False
            data += more
        self.head, _, self.rest = data.partition(b"\r\n\r\n")
        return True

    def header(self, name: bytes) -> bytes | None:
        """Return a header's value."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.lower() == name:
                return value.strip()
        return None

    def read_body(self) -> bytes:
        """Read the request's body; chunks are put together."""
        if self.header(b"transfer-encoding") == b"chunked":
            return self._read_chunks()
        length = int(self.header(b"content-length") or 0)
        while len(self.rest) < length:
            self.rest += self.sock.recv(1 << 20) or self._ended()
        body, self.rest = self.rest[:length], self.rest[length:]
        return body

    def _read_chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self.rest:
                self.rest += self.sock.recv(65536) or self._ended()
            size, _, self.rest = self.rest.partition(b"\r\n")
            while len(self.rest) < int(size, 16) + 2:
                self.rest += self.sock.recv(1 << 20) or self._ended()
            body += self.rest[: int(size, 16)]
            self.rest = self.rest[int(size, 16) + 2 :]
            if int(size, 16) == 0:
                return body

    def _ended(self) -> bytes:
        raise ConnectionError("the connection ended in the middle of a request")

    def send(self, data: bytes) -> None:
        """Send bytes at once."""
        self.sock.sendall(data)

    def wait_closed(self) -> bool:
        """Return whether the other side closed within the time a test is willing to wait."""
        self.sock.settimeout(PATIENCE)
        try:
            while self.sock.recv(65536):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True


Behaviour = Callable[[Peer], None]


@dataclass
class RawUpstream:
    """A server of raw behaviours, by path; a behaviour that returns keeps the connection open for the next request."""

    behaviours: dict[str, Behaviour]
    heads: list[bytes] = field(default_factory=list)
    failures: list[BaseException] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> RawUpstream:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    @property
    def url(self) -> str:
        """The base URL, with `/v1`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            sock.settimeout(PATIENCE)
            threading.Thread(target=self._talk, args=(sock,), daemon=True).start()

    def _talk(self, sock: socket.socket) -> None:
        peer = Peer(sock)
        with contextlib.suppress(OSError), sock:
            while sock.fileno() >= 0 and peer.read_head():
                self.heads.append(peer.head)
                target = peer.head.split(b" ")[1].decode("latin-1")
                try:
                    self.behaviours[target.partition("?")[0]](peer)
                except (KeyError, AssertionError) as failure:
                    self.failures.append(failure)
                    return


@contextlib.contextmanager
def serving(app: object, settings: Settings | None = None) -> Iterator[int]:
    """Serve an ASGI app the way the command line does, in a thread; yields the port."""
    listener = bind("127.0.0.1", 0)
    config: uvicorn.Config = server_config(app, settings or Settings())  # type: ignore[arg-type]
    ready = threading.Event()
    server = Server(config, ready.set)
    thread = threading.Thread(target=server.run, args=([listener],), daemon=True)
    thread.start()
    assert ready.wait(PATIENCE)
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = True
        thread.join(PATIENCE)


def connect(port: int) -> socket.socket:
    """Return a connection to a local port."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)


def read_all(sock: socket.socket) -> bytes:
    """Read until the end of the connection."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(1 << 20):
            parts.append(part)
    return b"".join(parts)


def exchange(port: int, request: bytes) -> bytes:
    """Send a raw request that ends its connection and return all bytes that come back."""
    with connect(port) as sock:
        sock.sendall(request)
        return read_all(sock)


def get(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    """Return the bytes of a request that closes its connection."""
    lines = [f"{method} {path} HTTP/1.1", "host: localhost", "connection: close", *headers]
    if body:
        lines.append(f"content-length: {len(body)}")
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


@dataclass(frozen=True)
class Answer:
    """A response taken apart: `ended` tells whether its body was complete by its own framing."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes
    ended: bool

    def all(self, name: bytes) -> list[bytes]:
        """Return the values of a header, in order."""
        return [value for key, value in self.headers if key == name]


def parse(raw: bytes, method: str = "GET") -> Answer:
    """Take a raw response apart."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    status_line, *lines = head.split(b"\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
    fields = dict(headers)
    status = int(status_line.split(b" ")[1])
    if method == "HEAD" or status in (204, 304):
        return Answer(status, headers, rest, rest == b"")
    if fields.get(b"transfer-encoding") == b"chunked":
        body, ended = _unchunk(rest)
        return Answer(status, headers, body, ended)
    length = int(fields.get(b"content-length", len(rest)))
    return Answer(status, headers, rest, len(rest) == length)


def _unchunk(rest: bytes) -> tuple[bytes, bool]:
    """Put chunks together; tells whether the last chunk and the end of the trailers came."""
    parts = []
    while True:
        line, found, rest = rest.partition(b"\r\n")
        digits = line.partition(b";")[0]
        if not found or not all(48 <= one <= 57 or 97 <= one <= 102 for one in digits):
            return b"".join(parts), False
        size = int(digits, 16)
        if size == 0:
            return b"".join(parts), rest.endswith(b"\r\n")
        parts.append(rest[:size])
        rest = rest[size + 2 :]
