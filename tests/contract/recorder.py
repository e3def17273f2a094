"""A server between a client and the product that writes down what goes through: requests, frames, answers."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.serving import PATIENCE_S

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
class Recorder:
    """What went through so far, in order."""

    port: int = 0
    requests: list[Request] = field(default_factory=list)

    @property
    def base_url(self) -> str:
        """What the client is given as its base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def bodies(self, path: str = "/v1/responses") -> list[Any]:
        """Return the bodies that were sent to a path."""
        return [one.json for one in self.requests if one.path == path]


@contextmanager
def recording(port: int) -> Iterator[Recorder]:
    """Listen, and pass everything on to a port of this machine."""
    recorder = Recorder()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

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

        do_GET = do_POST = do_DELETE = _pass

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
