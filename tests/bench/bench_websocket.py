"""What WebSocket mode costs: CPU of the server's process per turn and per frame, beside a bare ASGI app that sends the
same frames from a can, for a long turn and a short one; the long turn as SSE; and what 200 open sockets with 16 turns
each hold.

Everything is measured in one run, in rounds that take turns; the load comes from another process. Run with
`pytest -m bench tests/bench/bench_websocket.py -s`, or as a script.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import orjson
import pytest
from websockets.asyncio.client import ClientConnection, connect

from mockserver.config.pacing import Pacing
from mockserver.config.settings import Settings
from mockserver.delivery.events import Emit
from mockserver.engine.engine import Engine
from mockserver.transport.app import create_app
from mockserver.transport.serve import Server, bind, server_config
from mockserver.wire.requests import frames
from proxy.app import ProxyApp
from tests.bench import bench_mock
from tests.bench.bench_mock import EVENTS, body
from tests.bench.bench_relay import ROUNDS, Child, cpu, metered

MODULE = "tests.bench.bench_websocket"
CONNECTIONS = 8
TURNS = 640  # in a round
KINDS = ("canned", "mock")
SOCKETS, LANES = 200, 16
FRAMES = {  # by the kind of turn
    "frames": orjson.dumps({"type": "response.create", **orjson.loads(body("sse"))}).decode(),
    "a short turn": orjson.dumps({"type": "response.create", **orjson.loads(body("json"))}).decode(),
}
LAST = '"type":"response.completed"'


def canned() -> Any:
    """The baseline: an ASGI app that answers each frame with recorded frames, one send each."""
    told = {frame: recorded(frame) for frame in FRAMES.values()}

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            for text in told[message["text"]]:
                await send({"type": "websocket.send", "text": text})

    return app


def recorded(frame: str) -> list[str]:
    """Return the frames that the mock answers one with."""
    request = {**orjson.loads(frame), "stream": True}
    del request["type"]
    steps = Engine(Settings()).create_response("p", orjson.dumps(request)).steps
    return [frames.text(event) for step in steps if isinstance(step, Emit) for event in step.events]


def child(kind: str) -> None:
    """Serve until the parent ends this process; prints the port."""
    listener = bind("127.0.0.1", 0)
    quiet = Settings(log_level="warning")  # as the canned app
    settings = Settings(pacing=Pacing(1000.0), log_level="warning") if kind == "paced" else quiet
    app = canned() if kind == "canned" else ProxyApp(create_app(settings), settings)
    Server(server_config(metered(app), settings), lambda: print(listener.getsockname()[1], flush=True)).run([listener])


def socket(port: int, key: int = 0) -> connect:
    """Return a connection to be opened, as one project, without compression."""
    headers = {"authorization": f"Bearer key-{key}"}
    url = f"ws://127.0.0.1:{port}/v1/responses"
    return connect(url, additional_headers=headers, proxy=None, compression=None, max_size=None, max_queue=None)


async def client(frame: str, port: int, count: int, key: int) -> None:
    """Play turns one after the other over one socket."""
    async with socket(port, key) as one:
        for _ in range(count):
            await one.send(frame)
            while LAST not in str(await one.recv()):
                pass


async def measure(ports: dict[str, int]) -> dict[str, tuple[float, float]]:
    """Return the median microseconds per turn, of CPU and of time, by what served it."""
    found: dict[str, list[tuple[float, float]]] = {}
    share = TURNS // CONNECTIONS
    loads = {
        f"{kind}, {name}": (port, partial(client, frame))
        for name, frame in FRAMES.items()
        for kind, port in ports.items()
    }
    loads["mock, SSE"] = (ports["mock"], _sse)
    for turn in range(ROUNDS + 1):
        for name, (port, play) in loads.items():
            before, start = await cpu(port), time.perf_counter()
            await asyncio.gather(*(play(port, share, key) for key in range(CONNECTIONS)))
            took = time.perf_counter() - start
            used = await cpu(port) - before
            if turn:  # the first round warms up
                found.setdefault(name, []).append((used / TURNS * 1e6, took / TURNS * 1e6))
    return {
        name: (statistics.median(one for one, _ in rows), statistics.median(one for _, one in rows))
        for name, rows in found.items()
    }


async def _sse(port: int, count: int, key: int) -> None:
    await bench_mock.client(port, "sse", count, key)


def resident(pid: int) -> float:
    """Return a process's resident memory in megabytes."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


async def hold(process: Child) -> dict[str, float]:
    """Return the memory of a server while it holds sockets, and turns on all their lanes."""
    pid = process.process.pid
    async with socket(process.port) as one:
        await _begin(one, 1)
    found = {"none": resident(pid)}
    async with AsyncExitStack() as stack:
        opened = [await stack.enter_async_context(socket(process.port, key)) for key in range(SOCKETS)]
        found[f"{SOCKETS} sockets"] = resident(pid)
        await asyncio.gather(*(_begin(one, LANES) for one in opened))
        found[f"with {LANES} turns each"] = resident(pid)
    return found


async def _begin(one: ClientConnection, lanes: int) -> None:
    for lane in range(lanes):
        frame = {
            "type": "response.create",
            "model": "gpt-4.1",
            "input": "ping",
            "store": False,
            "stream_id": f"l{lane}",
        }
        await one.send(orjson.dumps(frame).decode())
    begun = 0
    while begun < lanes:
        begun += '"type":"response.in_progress"' in str(await one.recv())


def run() -> None:
    """Measure everything and print the tables."""
    children = {kind: Child(MODULE, kind) for kind in (*KINDS, "paced")}
    try:
        found = asyncio.run(measure({kind: children[kind].port for kind in KINDS}))
        held = asyncio.run(hold(children["paced"]))
    finally:
        for one in children.values():
            one.stop()
    print(f"\n{f'a turn of {EVENTS} events':<24}{'CPU µs':>9}{'per event':>11}{'ratio':>7}{'turns/s':>9}")
    for name, frame in {**FRAMES, "SSE": FRAMES["frames"]}.items():
        base, events = found[f"canned, {'frames' if name == 'SSE' else name}"][0], len(recorded(frame))
        for row in [f"{kind}, {name}" for kind in KINDS if f"{kind}, {name}" in found]:
            used, took = found[row]
            print(f"{row:<24}{used:>9.0f}{used / events:>11.1f}{used / base:>7.2f}{1e6 / took:>9.0f}")
    print("\nresident memory: " + ", ".join(f"{name} {size:.0f} MB" for name, size in held.items()))


@pytest.mark.bench
def test_frames_cost_little() -> None:
    run()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1])
    else:
        run()
