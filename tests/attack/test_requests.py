"""Mutated requests of every endpoint over HTTP, raw bytes, and mutated frames: no fault of the mock, and it goes on."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPConnection
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import pytest
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect as connect_socket

from tests.support.any_call import FRAME, Request, draw_request
from tests.support.raw_http import connect, head, request
from tests.support.serving import FROZEN, KEY, PATIENCE_S, Served, serving

CLIENTS = 4
REQUESTS, RAW, FRAMES = 1500, 300, 250  # of each client
FAULTY = ("a fault of the mock", "Traceback", "Exception in ASGI")


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serving(*FROZEN, "--log-level", "warning", "--head-timeout", "1", "--max-body-bytes", "8000000") as running:
        yield running


class Target:
    """A project of a server, of a key of its own, with something in it."""

    def __init__(self, served: Served, number: int) -> None:
        self.port, self.key = served.port, f"{KEY}-{number}"
        conversation = self._make(served, "/v1/conversations", {"items": [{"role": "user", "content": "hello"}]})
        response = self._make(served, "/v1/responses", {"model": "gpt-4.1", "input": "hello"})
        items = served.request("GET", f"/v1/conversations/{conversation}/items", key=self.key).json["data"]
        self.names: Mapping[str, str] = {"response": response, "conversation": conversation, "item": items[0]["id"]}
        self.snapshot = served.control("GET", "/snapshot", key=self.key)

    def _make(self, served: Served, path: str, body: Any) -> str:
        return served.request("POST", path, body, key=self.key).json["id"]

    @property
    def headers(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.key}", "content-type": "application/json"}


def check(served: Served) -> None:
    """It still answers, and its log tells of no fault."""
    assert served.control("GET", "/health", key="other")["status"] == "ok"
    turn = served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "still there?"}, key="other")
    assert turn.status == 200, turn.body
    log = served.logged()
    assert not any(word in log for word in FAULTY), log[-5000:]


def in_parallel(served: Served, work: Any, count: int) -> Counter[str]:
    """Do the work of several clients at once; returns what came back, counted."""
    targets = [Target(served, number) for number in range(CLIENTS)]
    with ThreadPoolExecutor(CLIENTS) as pool:
        parts = [pool.submit(work, target, Random(f"attack {number}"), count) for number, target in enumerate(targets)]
        return sum((part.result() for part in parts), Counter())


def send_mutated(target: Target, random: Random, count: int) -> Counter[str]:
    told: Counter[str] = Counter()
    connection = HTTPConnection("127.0.0.1", target.port, timeout=PATIENCE_S)
    for number in range(count):
        if number % 100 == 0:  # a scenario or a fault of an earlier one would answer all that follows
            connection.request("POST", "/_mock/reset", b'{"only": ["scenario", "faults"]}', target.headers)
            connection.getresponse().read()
        sent = draw_request(random, target.names, target.snapshot)
        if sent.method == FRAME:
            continue
        try:
            connection.request(sent.method, quote(sent.target, safe="/?&=%[]"), sent.body, target.headers)
            reply = connection.getresponse()
            body = reply.read()
        except OSError:  # a fault that cuts was set
            told["cut"] += 1
            connection.close()
            continue
        told[str(reply.status)] += 1
        assert b"The mock itself failed" not in body, sent
    connection.close()
    return told


def test_mutated_requests(served: Served, times: int) -> None:
    told = in_parallel(served, send_mutated, REQUESTS * times)
    check(served)
    print(f"\n{told.total()} mutated requests: {dict(told.most_common())}")


_HEADERS = (
    *(
        "transfer-encoding: chunked",
        "content-length: 5",
        "content-length: -1",
        "content-length: x",
        "expect: 100-continue",
    ),
    *("connection: upgrade, http2-settings", "upgrade: h2c", "http2-settings: AAMAAABkAAQAoAAA", "upgrade: websocket"),
    *("sec-websocket-key: x", "sec-websocket-version: 13", "host:", "content-type: \xff", "x: " + "y" * 70_000),
    *(
        "openai-project: \x00",
        "authorization: Basic x",
        "authorization:",
        "accept-encoding: *",
        "content-encoding: gzip",
    ),
)


def raw_bytes(random: Random) -> bytes:
    """Something that looks like a request, and is wrong in some way."""
    body = b'{"model": "gpt-4.1", "input": "x"}'
    method = random.choice(("POST", "GET", "PUT", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PRI", "post", ""))
    target = random.choice(
        ("/v1/responses", "*", "/", "/v1/../v1/responses", "http://x/v1/responses", "/%00", "//", "?")
    )
    lines = random.sample(_HEADERS, random.randrange(4))
    data = bytearray(request(method, target, body, *lines) if random.random() < 0.7 else head(method, target, *lines))
    for _ in range(random.randrange(4)):
        at = random.randrange(len(data))
        data[at : at + random.choice((0, 1, 1, 8))] = bytes(
            random.randrange(256) for _ in range(random.choice((0, 1, 4)))
        )
    return bytes(data[: random.randrange(len(data))]) if random.random() < 0.2 else bytes(data)


def send_raw(target: Target, random: Random, count: int) -> Counter[str]:
    told: Counter[str] = Counter()
    for _ in range(count):
        with connect(target.port) as sock:
            sock.sendall(raw_bytes(random))
            with suppress(OSError):
                sock.shutdown(socket.SHUT_WR)
            received = b""
            with suppress(ConnectionResetError):
                while more := sock.recv(65536):
                    received += more
        told[received[9:12].decode("latin-1") or "closed"] += 1
    return told


def test_raw_bytes(served: Served, times: int) -> None:
    told = in_parallel(served, send_raw, RAW * times)
    assert not [status for status in told if status.startswith("5") and status != "501"], told
    check(served)
    print(f"\n{told.total()} raw requests: {dict(told.most_common())}")


def send_frames(target: Target, random: Random, count: int) -> Counter[str]:
    told: Counter[str] = Counter()
    for _ in range(count // 25):
        with (
            suppress(WebSocketException, OSError),
            connect_socket(
                f"ws://127.0.0.1:{target.port}/v1/responses", additional_headers=target.headers, max_queue=None
            ) as wire,
        ):
            for _ in range(25):
                frame = _frame(random, target)
                wire.send(frame, text=random.random() < 0.8)
                told["sent"] += 1
            wire.ping().wait(PATIENCE_S)  # it has read them all, or has closed
            told["connections that stayed"] += 1
    return told


def _frame(random: Random, target: Target) -> bytes:
    sent = Request("", "")
    while sent.method != FRAME:
        sent = draw_request(random, target.names, target.snapshot)
    return sent.body


def test_mutated_frames(served: Served, times: int) -> None:
    told = in_parallel(served, send_frames, FRAMES * times)
    check(served)
    print(f"\nmutated frames: {dict(told.most_common())}")


SECRETS = tuple(f"sk-proj-Planted{number:02}Secret0123456789" for number in range(12))


def test_planted_secrets_are_nowhere(tmp_path: Path, times: int) -> None:
    """The caller's keys and those in requests, mutated: neither file, journal, snapshot nor log has them."""
    file, random = tmp_path / "state.db", Random(7)
    with serving(*FROZEN, "--store", f"sqlite:///{file}") as served:
        sent = 0
        for number in range(120 * times):
            secret = SECRETS[number % len(SECRETS)]
            tool = {"type": "mcp", "server_label": "s", "server_url": f"https://u:{secret}@example.com/"}
            tool |= {"authorization": secret, "headers": {"X-Api-Key": secret, "Cookie": secret}}
            body = json.dumps({"model": "gpt-4.1", "input": "x", "tools": [tool]}).encode()
            if number % 3:
                at = random.randrange(len(body))
                if secret.encode() not in body[max(0, at - 45) : at + 45]:  # half a secret is none of ours any more
                    body = body[:at] + random.choice((b"", b"}", b'"', b"\xff")) + body[at + 1 :]
            served.request("POST", f"/v1/responses?api_key={secret}", body, key=secret)
            sent += 1
        shown = json.dumps(
            [served.control("GET", path, key=secret) for secret in SECRETS for path in ("/journal", "/snapshot")]
        )
        served.stop()
        log = served.logged()
        kept = b"".join(part.read_bytes() for part in tmp_path.iterdir())
    found = [secret for secret in SECRETS if secret in shown or secret in log or secret.encode() in kept]
    assert not found
    print(f"\n{sent} requests with {len(SECRETS)} secrets, none kept")


def test_slow_clients_hold_up_nobody(served: Served, times: int) -> None:
    """Half heads, half bodies and readers who do not read, while others are answered."""
    target = Target(served, 0)
    large = [{"role": "user", "content": "word " * 100_000}] * 8
    for _ in range(3):
        target_path = f"/v1/conversations/{target.names['conversation']}/items"
        assert served.request("POST", target_path, {"items": large}, key=target.key).status == 200
    listing = request("GET", f"{target_path}?limit=100", None, f"authorization: Bearer {target.key}")
    slow: list[socket.socket] = []
    try:
        for number in range(60 * times if times == 1 else 600):
            sock = connect(served.port)
            slow.append(sock)
            whole = request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "x" * 500})
            sock.sendall((listing, whole[:-100], whole[:40])[number % 3])
            check(served)
    finally:
        for sock in slow:
            sock.close()
    check(served)
    print(f"\n{len(slow)} slow clients, the others were answered")
