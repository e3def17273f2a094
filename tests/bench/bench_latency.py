"""How long others wait: the latency of a short turn of another project while one client's heavy call is in progress.

The server, the heavy client and the sender of short turns are three processes. A short turn begins every 10 ms,
whether or not earlier ones were answered, so a pause counts for all that begin in it. Run with
`pytest -m bench tests/bench/bench_latency.py -s`, or as a script, which takes parts of the names of rows to measure.

Latencies include what else the machine does: compare them with the row `idle`. The last column does not: it is the
most CPU that the server has used, in all of its threads, while its event loop waited for its turn.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from mockserver.config.settings import Settings
from mockserver.transport.app import create_app
from mockserver.transport.serve import Server, bind, server_config
from proxy.app import ProxyApp
from tests.bench.bench_relay import ROUNDS, Child
from tests.bench.bench_websocket import LAST, socket

MODULE = "tests.bench.bench_latency"
MODEL = "gpt-4.1"
STORES = ("memory", "sqlite")
TICK_S = 0.01  # between the beginnings of two short turns
IDLE_S = 1.5
READERS, READ_S, PIECE = 8, 1.5, 65_536  # slow readers, how long they read, and how much at a time
MB = 1_000_000
MESSAGE = {"type": "message", "role": "user"}


# --- the heavy calls ----------------------------------------------------------------------------------------------


def _strict(schema: dict[str, Any]) -> dict[str, Any]:
    form = {"type": "json_schema", "name": "heavy", "strict": False, "schema": schema}
    return {"input": "x", "text": {"format": form}}


def _of(property: dict[str, Any]) -> dict[str, Any]:
    return _strict({"type": "object", "properties": {"a": property}, "required": ["a"]})


def _double(levels: int) -> dict[str, Any]:
    """A schema that refers to itself twice on each level: 2 ** levels values."""
    names = [f"#/$defs/d{level + 1}" for level in range(levels)]
    parts = [{"type": "object", "properties": {"l": {"$ref": at}, "r": {"$ref": at}}} for at in names]
    for part in parts:
        part["required"] = ["l", "r"]
    definitions = {f"d{level}": part for level, part in enumerate(parts)}
    return _strict({"$defs": {**definitions, f"d{levels}": {"type": "string"}}, **parts[0]})


def _long_words(size: int) -> str:
    return "pebble " * (size // 7)


def _texts_of(word: str) -> list[str]:
    return [f"{word * 700}{number}" for number in range(1000)]


# name → the request of a turn
TURNS: dict[str, Callable[[], dict[str, Any]]] = {
    "text of 10 MB": lambda: {"input": _long_words(10 * MB)},
    "20,000 items": lambda: {"input": [{**MESSAGE, "content": f"item {number}"} for number in range(20_000)]},
    "48 MB of small values": lambda: {"input": "x", "metadata": {"a": [[1, {}]] * (48 * MB // 8)}},
    "nested pattern": lambda: _of({"type": "string", "pattern": "((((a{1000}){1000}){1000}){1000})"}),
    "doubled $refs": lambda: _double(25),
    "enum beside a slow pattern": lambda: _of({"type": "string", "enum": _texts_of("a"), "pattern": "^a*a*b$"}),
}


class Client:
    """The heavy client's connection and project."""

    def __init__(self, port: int, key: str) -> None:
        self.port, self.key = port, key
        self._open: list[asyncio.StreamWriter] = []  # a writer that nobody holds closes its connection

    async def open(self, method: str, path: str, body: bytes, buffer: int = 2**20) -> asyncio.StreamReader:
        """Send a request and return what its answer is read from."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=buffer)
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n"
            f"Authorization: Bearer {self.key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._open.append(writer)
        writer.write(head.encode() + body)
        await writer.drain()
        return reader

    async def call(self, method: str, path: str, body: Any = b"") -> bytes:
        """The body of the answer."""
        reader = await self.open(method, path, body if isinstance(body, bytes) else orjson.dumps(body))
        chunks = []
        while chunk := await reader.read(2**20):
            chunks.append(chunk)
        head, _, answer = b"".join(chunks).partition(b"\r\n\r\n")
        assert head, f"no answer to {method} {path}"
        return answer

    async def read_slowly(self, path: str) -> None:
        """Read an answer a piece at a time, and leave after a while."""
        reader = await self.open("GET", path, b"", PIECE)
        until = time.perf_counter() + READ_S
        while time.perf_counter() < until and await reader.read(PIECE):
            await asyncio.sleep(0.05)
        self._open.pop().close()


Call = Callable[[], Awaitable[Any]]


class Row(NamedTuple):
    """A heavy call: `prepare` makes what it needs and returns the call."""

    name: str
    prepare: Callable[[Client], Awaitable[Call]]


def _post(make: Callable[[], dict[str, Any]]) -> Callable[[Client], Awaitable[Call]]:
    async def prepare(client: Client) -> Call:
        body = orjson.dumps({"model": MODEL, **make()})
        return lambda: client.call("POST", "/v1/responses", body)

    return prepare


def _frame(make: Callable[[], dict[str, Any]]) -> Callable[[Client], Awaitable[Call]]:
    async def prepare(client: Client) -> Call:
        frame = orjson.dumps({"type": "response.create", "model": MODEL, **make()}).decode()

        async def call() -> None:
            async with socket(client.port, 1) as one:
                await one.send(frame)
                while LAST not in (told := str(await one.recv())) and '"type":"error"' not in told:
                    pass

        return call

    return prepare


async def _listing(client: Client) -> Call:
    """51 items of 1 MB."""
    place = json.loads(await client.call("POST", "/v1/conversations", {}))["id"]
    items = [{**MESSAGE, "content": _long_words(MB)}] * 17
    for _ in range(3):
        await client.call("POST", f"/v1/conversations/{place}/items", {"items": items})
    return lambda: client.call("GET", f"/v1/conversations/{place}/items?limit=100")


async def _journal(client: Client) -> Call:
    """A journal full of large bodies."""
    for number in range(20):
        await client.call("POST", "/v1/responses", {"model": MODEL, "input": f"{number} {_long_words(MB)}"})
    return lambda: client.call("GET", "/_mock/journal?limit=1000&context=full")


async def _slow_readers(client: Client) -> Call:
    """Several who read slowly what is 48 MB long."""
    place = json.loads(await client.call("POST", "/v1/conversations", {}))["id"]
    path = f"/v1/conversations/{place}/items?limit=100"
    await client.call("POST", path, {"items": [{**MESSAGE, "content": _long_words(8 * MB)}] * 6})

    async def read() -> None:
        await asyncio.gather(*(client.read_slowly(path) for _ in range(READERS)))

    return read


async def _idle(client: Client) -> Call:
    return lambda: asyncio.sleep(IDLE_S)


async def _echo(client: Client) -> Call:
    """A stream whose events repeat 10 MB of instructions."""
    return await _post(lambda: {"input": "x", "instructions": _long_words(10 * MB), "stream": True})(client)


ROWS = [
    Row("idle", _idle),
    *(Row(name, _post(make)) for name, make in TURNS.items()),
    Row("stream of 30 MB", _echo),
    Row("listing of 51 items of 1 MB", _listing),
    Row("journal of 20 bodies of 1 MB", _journal),
    Row(f"{READERS} slow readers of 48 MB", _slow_readers),
    *(Row(f"WebSocket: {name}", _frame(make)) for name, make in TURNS.items()),
    Row("WebSocket: events of 30 MB", _frame(lambda: {"input": "x", "instructions": _long_words(10 * MB)})),
]


# --- the short turns ----------------------------------------------------------------------------------------------


class Probe:
    """A process that begins a short turn every so often, from `begin` to `end`."""

    def __init__(self, port: int) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", MODULE, "probe", str(port)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
        )

    def begin(self) -> None:
        """Begin to send; returns when the first turn was answered."""
        self._tell()
        self._hear()

    def end(self) -> list[float]:
        """End, and return the seconds that each turn took."""
        self._tell()
        return [float(seconds) for seconds in self._hear()]

    def _tell(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def _hear(self) -> Any:
        assert self._process.stdout is not None
        return json.loads(self._process.stdout.readline())

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()


class Sender:
    """Sends short turns over connections that it keeps; opens another one when all of them wait."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        body = orjson.dumps({"model": MODEL, "input": "ping"})
        head = (
            "POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer short\r\n"
            f"Content-Length: {len(body)}\r\nContent-Type: application/json\r\n\r\n"
        )
        self._request = head.encode() + body

    async def send(self) -> float:
        """Send a turn; returns the seconds until its answer was read."""
        start = time.perf_counter()
        reader, writer = self._free.pop() if self._free else await asyncio.open_connection("127.0.0.1", self._port)
        writer.write(self._request)
        head = await reader.readuntil(b"\r\n\r\n")
        assert b" 200 " in head, head
        await reader.readexactly(int(head.lower().partition(b"content-length:")[2].split()[0]))
        self._free.append((reader, writer))
        return time.perf_counter() - start

    async def send_until(self, stop: asyncio.Future[Any]) -> list[float]:
        """Begin a turn at every tick until told to stop."""
        turns: list[asyncio.Task[float]] = []
        due = time.perf_counter()
        while not stop.done():
            turns.append(asyncio.ensure_future(self.send()))
            due = max(due + TICK_S, time.perf_counter())
            await asyncio.sleep(due - time.perf_counter())
        return list(await asyncio.gather(*turns))


async def probe(port: int) -> None:
    """Serve a `Probe`: a line begins, the next one ends."""
    sender, loop = Sender(port), asyncio.get_running_loop()

    def hear() -> bytes:
        return sys.stdin.buffer.readline()

    while await loop.run_in_executor(None, hear):
        await sender.send()
        print("[]", flush=True)
        print(json.dumps(await sender.send_until(loop.run_in_executor(None, hear))), flush=True)


# --- the table ----------------------------------------------------------------------------------------------------


class Heartbeat:
    """An ASGI app around another one that answers `/_held` with the seconds of CPU that its loop has waited at most."""

    def __init__(self, app: Any) -> None:
        self._app, self._most = app, 0.0
        self._beating: asyncio.Task[None] | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope.get("path") != "/_held":
            await self._app(scope, receive, send)
            return
        self._beating = self._beating or asyncio.ensure_future(self._beat())
        body, self._most = repr(self._most).encode(), 0.0
        await send({"type": "http.response.start", "status": 200, "headers": [(b"connection", b"close")]})
        await send({"type": "http.response.body", "body": body})

    async def _beat(self) -> None:
        while True:
            before = time.process_time()
            await asyncio.sleep(0.001)
            self._most = max(self._most, time.process_time() - before)


def child(store: str, where: str) -> None:
    """Serve until the parent ends this process; prints the port."""
    listener = bind("127.0.0.1", 0)
    settings = Settings(store="memory" if store == "memory" else f"sqlite:///{where}", log_level="warning")
    app = Heartbeat(ProxyApp(create_app(settings), settings))
    Server(server_config(app, settings), lambda: print(listener.getsockname()[1], flush=True)).run([listener])


async def measure(row: Row, port: int) -> tuple[float, list[float], float]:
    """Return the seconds that a heavy call took, those of the short turns that began meanwhile, and of CPU held."""
    client = Client(port, "key-1")
    call = await row.prepare(client)
    took, held, latencies = 0.0, 0.0, list[float]()
    short = Probe(port)
    try:
        for _ in range(ROUNDS):
            short.begin()
            await client.call("GET", "/_held")
            start = time.perf_counter()
            with suppress(ConnectionError):
                await call()
            took += time.perf_counter() - start
            latencies += short.end()
            held = max(held, float((await client.call("GET", "/_held")).split(b"\r\n")[1]))
    finally:
        short.stop()
    return took / ROUNDS, latencies, held


def run(wanted: list[str]) -> None:
    """Measure the rows and print the table."""
    columns = "".join(f"{name:>8}" for name in ("p50", "p99", "max", "held"))
    print(f"\n{'milliseconds of a short turn beside':<44}{'took s':>8}{'turns':>7}{columns}")
    with tempfile.TemporaryDirectory() as directory:
        for store in STORES:
            for number, row in enumerate(ROWS):
                name = f"{store}: {row.name}"
                if wanted and not any(part in name for part in wanted):
                    continue
                server = Child(MODULE, store, f"{directory}/{number}.db")  # each row has a server of its own
                try:
                    took, found, held = asyncio.run(measure(row, server.port))
                finally:
                    server.stop()
                found.sort()
                p50, p99 = (found[int(len(found) * share)] for share in (0.5, 0.99))
                figures = "".join(f"{seconds * 1000:>8.1f}" for seconds in (p50, p99, found[-1], held))
                print(f"{name:<44}{took:>8.2f}{len(found):>7}{figures}", flush=True)


@pytest.mark.bench
def test_others_wait_little() -> None:
    run([])


if __name__ == "__main__":
    if sys.argv[1:2] == ["probe"]:
        asyncio.run(probe(int(sys.argv[2])))
    elif sys.argv[1:2] and sys.argv[1] in STORES:
        child(sys.argv[1], sys.argv[2])
    else:
        run(sys.argv[1:])
