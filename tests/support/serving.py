"""The product in a process of its own, as its users run it: started, reached over sockets, stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 120.0  # far more than anything here takes
FROZEN = ("--clock", "2026-11-20T12:00:00Z", "--seed", "7")
KEY = "test"
_PORT = re.compile(r"http://127\.0\.0\.1:(\d+)/_mock/")
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True)
class Reply:
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON, None when there is none."""
        return json.loads(self.body) if self.body else None


@dataclass
class Served:
    """A running server."""

    process: subprocess.Popen[str]
    port: int
    log: IO[str]

    @property
    def origin(self) -> str:
        """Where the control API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What a client is given as its base URL."""
        return f"{self.origin}/v1"

    @property
    def pid(self) -> int:
        """The process id."""
        return self.process.pid

    def request(self, method: str, path: str, body: Any = None, *, key: str | None = KEY) -> Reply:
        """Send a request; a `body` that is not bytes goes as JSON, a `path` counts from the origin."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        headers = {} if key is None else {"authorization": f"Bearer {key}"}
        if data is not None:
            headers["content-type"] = "application/json"
        request = urllib.request.Request(self.origin + path, data, headers, method=method)
        try:
            with _DIRECT.open(request, timeout=PATIENCE_S) as answer:
                return Reply(answer.status, dict(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Reply(error.code, dict(error.headers), error.read())

    def control(self, method: str, path: str, body: Any = None, *, key: str | None = KEY) -> Any:
        """Call the control API, `path` below `/_mock`; returns its JSON and fails on any error."""
        reply = self.request(method, f"/_mock{path}", body, key=key)
        assert reply.status < 400, f"{method} {path}: {reply.status} {reply.body.decode()}"
        return reply.json

    def kill(self) -> None:
        """End the process without letting it do anything any more."""
        self.process.kill()
        self.process.wait(PATIENCE_S)

    def stop(self) -> None:
        """End the process politely; it must end well and have logged no fault."""
        self.process.send_signal(signal.SIGTERM)
        status = self.process.wait(PATIENCE_S)
        log = self.logged()
        assert status == 0, f"exit status {status}\n{log}"
        assert "Traceback" not in log, log

    def logged(self) -> str:
        """Return what it wrote on standard error so far."""
        self.log.seek(0)
        return self.log.read()


@contextmanager
def serving(*arguments: str, env: Mapping[str, str] | None = None) -> Iterator[Served]:
    """Serve on a free port with these options; the process is gone afterwards, whatever happened."""
    with tempfile.TemporaryFile("w+", encoding="utf-8") as log:
        process = _start(arguments, env or {}, log)
        try:
            served = Served(process, 0, log)
            served.port = _announced_port(served)
            yield served
            if process.poll() is None:
                served.stop()
        finally:
            process.kill()
            process.wait(PATIENCE_S)
            if process.stdout is not None:
                process.stdout.close()


def _start(arguments: tuple[str, ...], env: Mapping[str, str], log: IO[str]) -> subprocess.Popen[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    return subprocess.Popen(
        [sys.executable, "-m", "proxy.cli", *arguments, "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=log,
        encoding="utf-8",
        cwd=ROOT,
        env={**inherited, "PYTHONIOENCODING": "utf-8", **env},
    )


def _announced_port(served: Served) -> int:
    """Read the banner; a server that prints none in time is killed, which ends the reading."""
    deadline = threading.Timer(PATIENCE_S, served.process.kill)
    deadline.start()
    lines: list[str] = []
    try:
        for line in served.process.stdout or ():
            lines.append(line)
            if found := _PORT.search(line):
                return int(found[1])
    finally:
        deadline.cancel()
    raise AssertionError(f"the server printed no address:\n{''.join(lines)}{served.logged()}")
