"""What a mocked turn costs: CPU of the server's process per request, as a ratio to a bare ASGI app that sends the same
bytes, head and body, from a can (beside it the same app with a head of two lines, to see what headers cost); and what
turn 200 of a chain and a request in a conversation cost, as a ratio to plain turns of the same server. These two also
without sockets, in an engine.

Everything is measured in one run, in rounds that take turns; the load comes from another process. Run with
`pytest -m bench tests/bench/bench_mock.py -s`, or as a script.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from typing import Any

import orjson
import pytest

from mockserver.config.settings import Settings
from mockserver.delivery.events import Emit
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call
from mockserver.transport.app import create_app
from mockserver.transport.serve import Server, bind, server_config
from mockserver.wire.responses.event_list import sse
from proxy.app import ProxyApp
from tests.bench.bench_relay import ROUNDS, Child, cpu, metered

MODULE = "tests.bench.bench_mock"
CONNECTIONS = 8
REQUESTS = {"json": 1600, "sse": 800}  # in a round
EVENTS = 58
MODEL = "gpt-4.1"
DEPTHS = (1, 20, 200)
TURNS = 400  # measured per depth in a round
UNTIL, MEASURED = 175, 50  # turns of a chain before those that are measured, whose mean is turn 200
CHATS = 5  # conversations of each connection in a round
IN_CHAT = 12  # requests of a conversation: created, 10 turns, listed
LOGGING = "mock with the access log"  # the canned apps log nothing, so the mock's other rows don't either
BARE = "canned, uvicorn alone"
FAULTS = "mock with five idle faults"  # of every project that calls; none of them ever strikes
SCRIPTED = "mock with a scripted text"
KINDS = ("canned, two headers", BARE, "canned", "mock", LOGGING, FAULTS, SCRIPTED, "mock on sqlite")
HOST = [(b"host", b"localhost")]


def body(kind: str) -> bytes:
    """Return the request body of a kind of load; the reply to the streamed one takes `EVENTS` events."""
    request: dict[str, Any] = {"model": MODEL, "input": "ping"}
    if kind == "sse":
        request = {"model": MODEL, "input": " ".join(["word"] * (EVENTS - 18)), "stream": True}
    return orjson.dumps(request)


def recorded() -> tuple[bytes, list[bytes]]:
    """Return what the mock answers: the JSON body, and each event's bytes."""
    engine = Engine(Settings())
    answer = engine.create_response("p", body("json")).body
    steps = engine.create_response("p", body("sse")).steps
    events = [event for step in steps if isinstance(step, Emit) for event in step.events]
    assert len(events) == EVENTS, f"{len(events)} events, not {EVENTS}"
    return answer or b"", [sse([event]) for event in events]


def recorded_head() -> list[tuple[bytes, bytes]]:
    """Return what the mock sends before its JSON answer, without type and length."""
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": body("json"), "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    settings = Settings()
    scope = {"type": "http", "method": "POST", "path": "/v1/responses", "query_string": b"", "headers": HOST}
    asyncio.run(ProxyApp(create_app(settings), settings)(scope, receive, send))
    return [(name, value) for name, value in sent[0]["headers"] if name not in (b"content-type", b"content-length")]


def canned(head: list[tuple[bytes, bytes]]) -> Any:
    """The baseline: an ASGI app that reads the body and sends recorded bytes, one write per event."""
    answer, events = recorded()
    plain = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer)), *head]
    streamed = [(b"content-type", b"text/event-stream; charset=utf-8"), *head]

    async def app(scope: Any, receive: Any, send: Any) -> None:
        asked, more = b"", True
        while more:
            message = await receive()
            asked += message.get("body", b"")
            more = message.get("more_body", False)
        if b'"stream"' not in asked:
            await send({"type": "http.response.start", "status": 200, "headers": plain})
            await send({"type": "http.response.body", "body": answer})
            return
        await send({"type": "http.response.start", "status": 200, "headers": streamed})
        for event in events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def child(kind: str, where: str) -> None:
    """Serve until the parent ends this process; prints the port."""
    listener = bind("127.0.0.1", 0)
    store, level = f"sqlite:///{where}" if kind.endswith("sqlite") else "memory", "warning"
    settings = Settings(store=store, log_level="info" if kind == LOGGING else level)
    if kind.startswith("canned"):
        app = canned([] if kind == "canned, two headers" else recorded_head())
    else:
        mock = create_app(settings)
        prepare(mock.engine, kind)
        app = ProxyApp(mock, settings)
    if kind == LOGGING:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
    config = server_config(metered(app), settings)
    if kind == BARE:
        config.http = "httptools"  # as if this server had no protocol of its own
    Server(config, lambda: print(listener.getsockname()[1], flush=True)).run([listener])


def prepare(engine: Engine, kind: str) -> None:
    """Set what a kind of server has in all projects that call."""
    projects = [engine.project(f"Bearer key-{key}", None) for key in range(CONNECTIONS)]
    fault = {"do": {"error": "server_is_overloaded"}, "when": {"input_contains": "never said"}}
    for project in projects:
        if kind == FAULTS:
            engine.control.set_faults(project, [fault] * 5)
        if kind == SCRIPTED:
            engine.control.set_scenario(project, {"lines": [{"reply": {"text": " ".join(["word"] * (EVENTS - 18))}}]})


class Connection:
    """One connection, on which a project sends requests one after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, key: int) -> None:
        self._reader, self._writer, self._key = reader, writer, key
        self.parent: str | None = None  # the end of its chain

    @classmethod
    async def open(cls, port: int, key: int) -> Connection:
        """Connect to a server as the project of a key."""
        return cls(*await asyncio.open_connection("127.0.0.1", port), key)

    async def call(self, path: str, sent: bytes, method: str = "POST", *, streamed: bool = False) -> bytes:
        """Return the body that answers a request; of a streamed one with its chunks."""
        head = (
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer key-{self._key}\r\nAccept: application/json\r\nContent-Length: {len(sent)}\r\n\r\n"
        )
        self._writer.write(head.encode() + sent)
        answer_head = await self._reader.readuntil(b"\r\n\r\n")
        assert answer_head.startswith(b"HTTP/1.1 200 "), answer_head
        if streamed:
            return await self._reader.readuntil(b"\r\n0\r\n\r\n")
        return await self._reader.readexactly(int(answer_head.lower().partition(b"content-length:")[2].split()[0]))

    async def close(self) -> None:
        """End it."""
        self._writer.close()
        await self._writer.wait_closed()


async def client(port: int, kind: str, count: int, key: int) -> None:
    """Send requests of a kind of load over one connection."""
    connection, sent = await Connection.open(port, key), body(kind)
    for _ in range(count):
        await connection.call("/v1/responses", sent, streamed=kind == "sse")
    await connection.close()


async def measure(ports: dict[str, int]) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the median microseconds per request, of CPU and of time, by server and kind of load."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for turn in range(ROUNDS + 1):
        for name, port in ports.items():
            for kind, count in REQUESTS.items():
                before, start = await cpu(port), time.perf_counter()
                share = count // CONNECTIONS
                await asyncio.gather(*(client(port, kind, share, key) for key in range(CONNECTIONS)))
                took = time.perf_counter() - start
                used = await cpu(port) - before
                if turn:  # the first round warms up
                    found.setdefault((name, kind), []).append((used / count * 1e6, took / count * 1e6))
    return {
        key: (statistics.median(one for one, _ in rows), statistics.median(one for _, one in rows))
        for key, rows in found.items()
    }


Load = Callable[[Connection], Awaitable[Any]]

_numbers = itertools.count()


async def plain_turns(connection: Connection) -> None:
    """As many plain turns as a chain has that are measured, each with a text that never came before.

    Their answers are read as a chain's are: a client that is slower to ask wakes the server more often.
    """
    for _ in range(MEASURED):
        assert orjson.loads(await connection.call("/v1/responses", new_turn(None)))["id"]


async def begin_chain(connection: Connection) -> None:
    """Begin a new chain, up to the turns that are measured, each with a text that never came before."""
    connection.parent = None
    await go_on(connection, UNTIL)


async def go_on(connection: Connection, turns: int = MEASURED) -> None:
    """Go on with a connection's chain in the same way."""
    for _ in range(turns):
        answered = await connection.call("/v1/responses", new_turn(connection.parent))
        connection.parent = orjson.loads(answered)["id"]


async def same_plain_turns(connection: Connection) -> None:
    """As many plain turns as conversations have requests."""
    sent = body("json")
    for _ in range(CHATS * IN_CHAT):
        await connection.call("/v1/responses", sent)


async def converse(connection: Connection) -> None:
    """Conversations, each created, gone on with by ten turns and listed."""
    for _ in range(CHATS):
        conversation = orjson.loads(await connection.call("/v1/conversations", b"{}"))["id"]
        sent = orjson.dumps({"model": MODEL, "input": "ping", "conversation": conversation})
        for _ in range(10):
            await connection.call("/v1/responses", sent)
        await connection.call(f"/v1/conversations/{conversation}/items", b"", "GET")


async def use(port: int, connections: list[Connection], load: Load, requests: int) -> float:
    """The microseconds of CPU that a server takes per request of a load, on all connections at once."""
    before = await cpu(port)
    await asyncio.gather(*map(load, connections))
    return (await cpu(port) - before) / requests / len(connections) * 1e6


async def stateful_cost(port: int) -> dict[str, tuple[float, float, float]]:
    """The least microseconds of CPU of a plain turn and of one with state, by what the state is, and the median ratio.

    Rounds take turns; a ratio is of one round, for then both had the same machine.

    A chain's turn is what a user's 200th costs: each goes on from the one that its client made before, as a chain does,
    and says what was not said before, as do the plain turns beside it. Measured are the turns from 176 to 225 of new
    chains, as one of each chain would be too little.
    """
    connections = [await Connection.open(port, key) for key in range(CONNECTIONS)]
    chains: list[tuple[float, float]] = []
    conversations: list[tuple[float, float]] = []
    for turn in range(2 * ROUNDS + 1):
        await asyncio.gather(*map(begin_chain, connections))
        costs = [
            await use(port, connections, load, requests)
            for load, requests in (
                (plain_turns, MEASURED),
                (go_on, MEASURED),
                (same_plain_turns, CHATS * IN_CHAT),
                (converse, CHATS * IN_CHAT),
            )
        ]
        if turn:  # the first round warms up
            chains.append((costs[0], costs[1]))
            conversations.append((costs[2], costs[3]))
    for connection in connections:
        await connection.close()
    rows = {"turn 200 of a chain": chains, "a request of a conversation": conversations}
    return {
        name: (min(plain for plain, _ in row), min(cost for _, cost in row), statistics.median(b / a for a, b in row))
        for name, row in rows.items()
    }


def new_turn(parent: str | None) -> bytes:
    """Return the body of a turn that says what was not said before."""
    return turn_body(parent, f"and then, after {next(_numbers)}?")


def chain_cost(engine: Engine) -> dict[int, float]:
    """Return the median microseconds of CPU of a turn at each depth of a chain; rounds take turns."""
    parents: dict[int, str | None] = {}
    parent = None
    for depth in range(1, max(DEPTHS) + 1):
        if depth in DEPTHS:
            parents[depth] = parent
        parent = engine.create_response("p", turn_body(parent)).id
    found: dict[int, list[float]] = {depth: [] for depth in DEPTHS}
    for _ in range(2 * ROUNDS):
        for depth in DEPTHS:
            asked = turn_body(parents[depth])
            start = time.process_time()
            for _ in range(TURNS):
                engine.create_response("p", asked)
            found[depth].append((time.process_time() - start) / TURNS * 1e6)
    return {depth: min(rows) for depth, rows in found.items()}


def conversation_cost(engine: Engine) -> tuple[float, float]:
    """The least microseconds of CPU of a plain turn, and of a request of a conversation: created, 10 turns, listed."""
    plain, requests = body("json"), []
    for _ in range(2 * ROUNDS):
        start = time.process_time()
        for _ in range(TURNS):
            answer(engine, "/v1/responses", plain)
        middle = time.process_time()
        for _ in range(TURNS // 10):
            conversation = orjson.loads(answer(engine, "/v1/conversations", b"{}"))["id"]
            sent = orjson.dumps({"model": MODEL, "input": "and then?", "conversation": conversation})
            for _ in range(10):
                answer(engine, "/v1/responses", sent)
            answer(engine, f"/v1/conversations/{conversation}/items", b"", "GET")
        requests.append((middle - start, (time.process_time() - middle) / 1.2))
    return min(one for one, _ in requests) / TURNS * 1e6, min(one for _, one in requests) / TURNS * 1e6


def answer(engine: Engine, path: str, sent: bytes, method: str = "POST") -> bytes:
    """What an engine answers a call with."""
    return engine.handle(Call(method, path, sent, "p")).body


def turn_body(parent: str | None, text: str = "and then?") -> bytes:
    """Return the body of one turn of a chain, whose first is a plain one."""
    goes_on = {} if parent is None else {"previous_response_id": parent}
    return orjson.dumps({"model": MODEL, "input": text, **goes_on})


def run() -> None:
    """Measure everything and print the tables."""
    with tempfile.TemporaryDirectory() as directory:
        children = {kind: Child(MODULE, kind, f"{directory}/bench.db") for kind in KINDS}
        try:
            stateful = asyncio.run(stateful_cost(children["mock"].port))
            found = asyncio.run(measure({name: one.port for name, one in children.items()}))
        finally:
            for one in children.values():
                one.stop()
        heads = "".join(f"{kind + ' µs':>10}{'ratio':>7}{'turns/s':>9}" for kind in REQUESTS)
        print(f"\n{'CPU of the server per turn':<28}{heads}")
        for name in KINDS:
            row = f"{name:<28}"
            for kind in REQUESTS:
                used, took = found[name, kind]
                row += f"{used:>10.0f}{used / found['canned', kind][0]:>7.2f}{1e6 / took:>9.0f}"
            print(row)
        print(f"\n{'CPU of the server':<28}{'plain turn µs':>14}{'µs':>10}{'ratio':>7}")
        for name, (plain, cost, ratio) in stateful.items():
            print(f"{name:<28}{plain:>14.0f}{cost:>10.0f}{ratio:>7.2f}")
        print(f"\n{'in the engine, a chain':<28}" + "".join(f"{f'turn {d} µs':>14}{'ratio':>7}" for d in DEPTHS))
        for name, store in (("memory", "memory"), ("sqlite", f"sqlite:///{directory}/chain.db")):
            costs = chain_cost(Engine(Settings(store=store)))
            print(f"{name:<28}" + "".join(f"{costs[d]:>14.0f}{costs[d] / costs[1]:>7.2f}" for d in DEPTHS))
        plain, request = conversation_cost(Engine(Settings()))
        print(
            f"\nin the engine, a plain turn {plain:.0f} µs, a request of a conversation {request:.0f} µs,"
            f" ratio {request / plain:.2f}"
        )


@pytest.mark.bench
def test_turns_cost_little() -> None:
    run()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1], sys.argv[2])
    else:
        run()
