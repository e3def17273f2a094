"""A server between a client and the product that writes down what goes through: requests, frames, answers."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.serving import PATIENCE_S

CUT = "/cut"  # asked for it, the recorder breaks off all WebSockets
FRAMING = frozenset(("transfer-encoding", "connection", "content-length"))


@dataclass(frozen=True)
class Request:
    """What a client asked for, and the status it got."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass
class Socket:
    """A WebSocket: the bytes of each direction behind the handshake, uncompressed."""

    path: str
    headers: dict[str, str]
    status: int = 0
    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)

    @property
    def asked(self) -> list[Any]:
        """The client's messages, as JSON."""
        return [json.loads(data) for data in messages(bytes(self.sent))]

    @property
    def answered(self) -> list[bytes]:
        """The server's messages."""
        return messages(bytes(self.received))

    @property
    def closes(self) -> list[bytes]:
        """The payload of the server's close frame, if it sent one."""
        return messages(bytes(self.received), kinds=(8,))


@dataclass
class Recorder:
    """What went through so far, in order."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)
    sockets: list[Socket] = field(default_factory=list)
    live: list[socket.socket] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """What the client is given as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def bodies(self, path: str = "/v1/responses") -> list[Any]:
        """Return the bodies that were sent to a path."""
        return [one.json for one in self.requests if one.path == path]


def messages(data: bytes, kinds: tuple[int, ...] = (1, 2)) -> list[bytes]:
    """Return the payloads of the messages of these kinds in a direction's bytes; there are no fragments."""
    found = []
    while len(data) >= 2:
        kind, length, at = data[0] & 0x0F, data[1] & 0x7F, 2
        if length > 125:
            size = 2 if length == 126 else 8
            length, at = int.from_bytes(data[2 : 2 + size], "big"), 2 + size
        key = data[at : at + 4] if data[1] & 0x80 else b""
        at += len(key)
        payload = data[at : at + length]
        if len(payload) < length:
            break
        if kind in kinds:
            assert data[0] & 0x80, "a fragment"
            found.append(bytes(one ^ key[place % 4] for place, one in enumerate(payload)) if key else payload)
        data = data[at + length :]
    return found


def pump(source: socket.socket, sink: socket.socket, record: bytearray) -> None:
    """Pass bytes on until their source ends, then end their sink."""
    with contextlib.suppress(OSError):
        while part := source.recv(65536):
            record += part
            sink.sendall(part)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


@contextmanager
def recording(port: int) -> Iterator[Recorder]:
    """Listen, and pass everything on to a port of this machine."""
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            upgraded = self.headers.get("upgrade", "").lower() == "websocket"
            (self._cut if self.path == CUT else self._join if upgraded else self._pass)()

        def _pass(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            onward = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            onward.request(self.command, self.path, body, dict(self.headers.items()))
            answer = onward.getresponse()
            sent = {name.lower(): value for name, value in self.headers.items()}
            recorder.requests.append(Request(self.command, self.path, sent, body, answer.status))
            self.send_response_only(answer.status, answer.reason)
            for name, value in answer.getheaders():
                if name.lower() not in FRAMING:
                    self.send_header(name, value)
            self.send_header("connection", "close")
            self.end_headers()
            while part := answer.read1(65536):
                self.wfile.write(part)
                self.wfile.flush()
            onward.close()
            self.close_connection = True

        def _cut(self) -> None:
            for one in recorder.live:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
            self.send_response(204)
            self.end_headers()

        def _join(self) -> None:
            """Pass a WebSocket on, without compression, so that it can be read here."""
            sent = {name.lower(): value for name, value in self.headers.items()}
            seen = Socket(self.path, sent)
            recorder.sockets.append(seen)
            lines = [self.requestline, *(f"{name}: {value}" for name, value in self.headers.items())]
            lines = [line for line in lines if not line.lower().startswith("sec-websocket-extensions")]
            with socket.create_connection(("127.0.0.1", port)) as onward:
                onward.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
                head = b""
                while b"\r\n\r\n" not in head:
                    head += onward.recv(65536)
                self.connection.sendall(head)
                seen.status = int(head.split(b" ")[1])
                seen.received += head.partition(b"\r\n\r\n")[2]
                recorder.live += [self.connection, onward]
                up = threading.Thread(target=pump, args=(self.connection, onward, seen.sent), daemon=True)
                up.start()
                pump(onward, self.connection, seen.received)
                up.join(PATIENCE_S)
            self.close_connection = True

        do_GET = do_POST = do_DELETE = _serve

        def log_message(self, format: str, *args: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    recorder.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        server.shutdown()
        server.server_close()
