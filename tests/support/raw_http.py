"""HTTP on a bare socket: bytes out, bytes in, nothing interpreted that a test does not ask for."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

from tests.support.serving import KEY, PATIENCE_S

# Headers that belong to one connection, and those of who answered when.
OWN_TO_A_HOP = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "date", "x-understudy-source"}
)


@dataclass(frozen=True)
class Answer:
    """A whole answer: its header lines as they came, lower-case names, and the body without its chunks."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        """Return the first value of a header."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def end_to_end(self) -> list[tuple[str, str]]:
        """The headers that a relay must leave as they are."""
        return [pair for pair in self.headers if pair[0] not in OWN_TO_A_HOP]


def head(method: str, target: str, *lines: str) -> bytes:
    """Return the head of a request; a line like `name: value` replaces the default header of that name."""
    headers = {
        "host": "host: 127.0.0.1",
        "authorization": f"authorization: Bearer {KEY}",
        "connection": "connection: close",
    }
    headers |= {line.partition(":")[0].lower(): line for line in lines}
    return "\r\n".join([f"{method} {target} HTTP/1.1", *headers.values(), "", ""]).encode("latin-1")


def request(method: str, target: str, body: Any = None, *lines: str) -> bytes:
    """Return a whole request; a body that is not bytes goes as JSON."""
    if body is None:
        return head(method, target, *lines)
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    own = ("content-type: application/json", f"content-length: {len(data)}")
    return head(method, target, *own, *lines) + data


def chunked(method: str, target: str, body: bytes, size: int) -> bytes:
    """Return a request whose body comes in chunks, its length unannounced."""
    parts = [body[at : at + size] for at in range(0, len(body), size)]
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in [*parts, b""])
    return head(method, target, "content-type: application/json", "transfer-encoding: chunked") + chunks


def connect(port: int) -> socket.socket:
    """Open a connection."""
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def exchange(port: int, data: bytes) -> Answer:
    """Send a request on a connection of its own and read until the other side closes."""
    with connect(port) as sock:
        sock.sendall(data)
        return parse(read_on(sock))


def read_on(sock: socket.socket, until: bytes | None = None) -> bytes:
    """Read until these bytes have come, or to the end."""
    received = b""
    while until is None or until not in received:
        more = sock.recv(65536)
        if not more:
            assert until is None, f"the connection ended before {until!r}: {received!r}"
            break
        received += more
    return received


def parse(data: bytes) -> Answer:
    """Return the answer that these bytes are; they must be nothing but that."""
    top, separator, rest = data.partition(b"\r\n\r\n")
    assert separator, f"no answer: {data!r}"
    first, *lines = top.decode("latin-1").split("\r\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
    answer = Answer(int(first.split()[1]), headers, rest)
    if answer.header("transfer-encoding") == "chunked":
        return Answer(answer.status, headers, _dechunked(rest))
    assert len(rest) == int(answer.header("content-length") or 0), data
    return answer


def _dechunked(data: bytes) -> bytes:
    body = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body += data[:length]
        assert data[length : length + 2] == b"\r\n", "a chunk is torn"
        data = data[length + 2 :]
        if not length:
            assert data == b"", "bytes behind the end"
            return body
