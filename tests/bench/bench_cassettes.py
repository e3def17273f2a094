"""What recordings cost: CPU of a request through `record` as a ratio to `forward`, and through a recorder that does
only what none can leave out (`floor`); of a replayed turn as a ratio to a mocked one; of the recorder alone, and how
much of that is what its file asks of the bytes; how long it takes to load a cassette, to explain a miss, and to verify;
memory of a recorder.

The ratios are measured in one run, in rounds that take turns, the load and the upstream in other processes. Run with
`pytest -m bench tests/bench/bench_cassettes.py -s`, or as a script.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
import tracemalloc
from collections.abc import AsyncIterator, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from mockserver.config.settings import Settings
from mockserver.transport.app import create_app
from mockserver.transport.serve import Server, bind, server_config
from proxy.app import ProxyApp
from proxy.cassettes.document import format_head, format_interaction
from proxy.cassettes.file import Appender, load
from proxy.cassettes.interaction import Cassette, Head, Interaction, Piece, Request, Response
from proxy.cassettes.matching import Library, Miss, Session
from proxy.cassettes.redaction import Redactor, Secrets
from proxy.recorder import Recorder
from proxy.relay import Relay
from proxy.tape import Tape
from proxy.target import Target
from proxy.verify import Verifier
from tests.bench.bench_mock import body, client, recorded, recorded_head
from tests.bench.bench_relay import ROUNDS, Child, cpu, metered

MODULE = "tests.bench.bench_cassettes"
CONNECTIONS = 8
REQUESTS = {"json": 1200, "sse": 160}  # in a round
PAIRS = {"record": "forward", "floor": "forward", "replay": "mock"}
SIZE = 3000  # bytes of the JSON answer
JSON, SSE = ("content-type", "application/json"), ("content-type", "text/event-stream; charset=utf-8")
STREAMED = 200 << 20


def json_answer() -> bytes:
    """What the upstream answers: a Response of `SIZE` bytes."""
    answer, _ = recorded()
    value = orjson.loads(answer)
    value["output"][0]["content"][0]["text"] += " word" * ((SIZE - len(answer)) // 5)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2)


class UpstreamProtocol(asyncio.Protocol):
    """Answers a turn in one write, a streamed one event by event; `answers` is the first write of both, and events."""

    def __init__(self, answers: tuple[bytes, bytes, list[bytes]]) -> None:
        self._json, self._sse, self._events = answers

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport: Any = transport
        self._data = b""

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._data.endswith(b"}"):
            return
        if b'"stream"' in self._data:
            self._transport.write(self._sse)
            asyncio.get_running_loop().call_later(0.001, self._event, 0)
        else:
            self._transport.write(self._json)
        self._data = b""

    def _event(self, number: int) -> None:
        if number == len(self._events):
            self._transport.write(b"0\r\n\r\n")
            return
        event = self._events[number]
        self._transport.write(b"%x\r\n%b\r\n" % (len(event), event))
        asyncio.get_running_loop().call_later(0.0005, self._event, number + 1)


def child(kind: str, where: str) -> None:
    """Serve until the parent ends this process; prints the port. `where` is the upstream and the file."""
    listener = bind("127.0.0.1", 0)
    upstream, _, file = where.partition(" ")
    if kind == "upstream":
        asyncio.run(_serve_upstream(listener, written()))
        return
    options: dict[str, Any] = {"mode": "record" if kind == "floor" else kind}
    if kind in ("forward", "record", "floor"):
        options["upstream"] = upstream
    if kind in ("record", "replay", "floor"):
        options["cassette"] = (file,)
    if kind == "floor":
        Recorder.keep_tapes = keep_bare  # type: ignore[method-assign]
    settings = Settings(**options)
    app = ProxyApp(create_app(Settings(log_level="warning")), settings)
    Server(server_config(metered(app), settings), lambda: print(listener.getsockname()[1], flush=True)).run([listener])


def keep_bare(recorder: Recorder, tapes: Iterable[Tape]) -> None:
    """Do what no recorder can leave out: decode what passed, look for secrets, escape it for YAML, write it."""
    documents = []
    for tape in tapes:
        data = tape.chunks.joined()
        text = data.decode()
        assert recorder.redactor.is_clean_text(text, Secrets())
        documents.append(orjson.dumps(text) if len(tape.chunks.listed) > 1 else data.replace(b"\n", b"\n    "))
    recorder._append(documents)


def written() -> tuple[bytes, bytes, list[bytes]]:
    """The bytes that the upstream writes."""
    head, answer, (_, events) = b"".join(b"%b: %b\r\n" % pair for pair in recorded_head()), json_answer(), recorded()
    begin = b"HTTP/1.1 200 OK\r\n%bContent-Type: " % head
    whole = b"%bapplication/json\r\nContent-Length: %d\r\n\r\n%b" % (begin, len(answer), answer)
    return whole, begin + b"text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n", events


async def _serve_upstream(listener: Any, answers: tuple[bytes, bytes, list[bytes]]) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: UpstreamProtocol(answers), sock=listener)
    print(listener.getsockname()[1], flush=True)
    await server.serve_forever()


def write_recording(path: Path) -> None:
    """Write the two turns that the load asks for, so that a replay repeats them."""
    _, events = recorded()
    answers = {
        "json": Response(200, (JSON,), (Piece(0.0, json_answer()),)),
        "sse": Response(200, (SSE,), tuple(Piece(0.0, event) for event in events), streamed=True),
    }
    with path.open("w") as file:
        file.write(format_head(Head()))
        for number, (kind, response) in enumerate(answers.items(), 1):
            request = Request("POST", "/v1/responses", body=body(kind))
            file.write(format_interaction(Interaction(number, 0.0, request, response)))


async def measure(ports: dict[str, int]) -> dict[tuple[str, str], list[float]]:
    """The microseconds of CPU per request of each round, by server and kind of load."""
    found: dict[tuple[str, str], list[float]] = {}
    for turn in range(ROUNDS + 1):
        for name, port in ports.items():
            for kind, count in REQUESTS.items():
                before = await cpu(port)
                await asyncio.gather(*(client(port, kind, count // CONNECTIONS, key) for key in range(CONNECTIONS)))
                if turn:  # the first round warms up
                    found.setdefault((name, kind), []).append((await cpu(port) - before) / count * 1e6)
    return found


def run() -> dict[tuple[str, str], float]:
    """Measure the servers and print the table; returns the ratio of each to its baseline."""
    ratios: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as directory:
        replayed = Path(directory, "replay.yaml")
        write_recording(replayed)
        upstream = Child(MODULE, "upstream")
        base = f"http://127.0.0.1:{upstream.port}/v1"
        files = {"record": f"{directory}/record.yaml", "floor": f"{directory}/floor.yaml", "replay": str(replayed)}
        names = list(dict.fromkeys(name for pair in PAIRS.items() for name in reversed(pair)))
        children = {name: Child(MODULE, name, f"{base} {files.get(name, '')}") for name in names}
        try:
            found = asyncio.run(measure({name: one.port for name, one in children.items()}))
        finally:
            for one in (upstream, *children.values()):
                one.stop()
    print(f"\n{'CPU per request':<28}" + "".join(f"{kind + ' µs':>10}{'ratio':>7}" for kind in REQUESTS))
    for name in names:
        row = f"{name:<28}"
        for kind in REQUESTS:
            base_rows = found[PAIRS.get(name, name), kind]
            # of each round its own ratio: what else the machine does changes from round to round
            ratio = statistics.median(one / other for one, other in zip(found[name, kind], base_rows, strict=True))
            ratios[name, kind] = ratio
            row += f"{statistics.median(found[name, kind]):>10.0f}{ratio:>7.2f}"
        print(row)
    return ratios


# --- the recorder alone -----------------------------------------------------------------------------------------------


def measure_recorder() -> dict[str, float]:
    """Measure an exchange from the first note to the file, and what the file asks of its bytes, in µs of CPU."""
    figures: dict[str, float] = {}
    redactor, indent = Redactor(), partial(json_answer().replace, b"\n", b"\n    ")
    for kind, head, chunks in (("json", JSON, [json_answer()]), ("sse", SSE, recorded()[1])):
        text = b"".join(chunks).decode()
        headers = [*recorded_head(), (head[0].encode(), head[1].encode())]
        with tempfile.TemporaryDirectory() as directory:
            recorder = Recorder(Appender(f"{directory}/alone.yaml", None, 0.0), redactor)
            figures[f"{kind}: recorder alone"] = least(partial(record, recorder, body(kind), headers, chunks))
            size = os.path.getsize(f"{directory}/alone.yaml") // recorder.recorded
            recorder.close()
            figures[f"{kind}: of it, looking for secrets"] = least(partial(redactor.is_clean_text, text, Secrets()))
            escape = indent if kind == "json" else partial(orjson.dumps, text)
            figures[f"{kind}: of it, writing it as YAML"] = least(escape)
            with open(f"{directory}/bytes", "wb", buffering=0) as file:
                figures[f"{kind}: of it, the system's write"] = least(partial(file.write, bytes(size)))
    return figures


def record(recorder: Recorder, sent: bytes, headers: list[tuple[bytes, bytes]], chunks: list[bytes]) -> None:
    """Record one exchange, as a relay does."""
    scope = {"type": "http", "method": "POST", "raw_path": b"/v1/responses", "query_string": b"", "headers": headers}
    tape = recorder.begin(scope)
    tape.sent.add(time.monotonic(), sent)
    tape.status, tape.headers = 200, headers
    for chunk in chunks:
        tape.chunks.came.append(time.monotonic())
        tape.chunks.listed.append(chunk)
    tape.complete = True
    recorder.keep_tapes((tape,))


def least(work: Callable[[], Any]) -> float:
    """The CPU of one call in the fastest of many rows, in microseconds."""
    return min(seconds(lambda: [work() for _ in range(50)]) for _ in range(20)) / 50 * 1e6


# --- files -----------------------------------------------------------------------------------------------------------


def turns(count: int) -> list[Interaction]:
    """Chains of ten turns with answers of 3 kB, each about something else."""
    made = []
    value = orjson.loads(json_answer())
    for number in range(1, count + 1):
        parent = None if number % 10 == 1 else f"resp_{number - 1:032d}"
        asked = {
            "model": "gpt-4.1",
            "instructions": "You are helpful.",
            "input": f"Tell me what you know of number {number}, and of {number * 7}.",
            "previous_response_id": parent,
        }
        message = {**value["output"][0], "id": f"msg_{number:032d}"}
        answer = {**value, "id": f"resp_{number:032d}", "previous_response_id": parent, "output": [message]}
        response = Response(200, (JSON,), (Piece(0.4, orjson.dumps(answer, option=orjson.OPT_INDENT_2)),))
        made.append(
            Interaction(number, number / 10, Request("POST", "/v1/responses", body=orjson.dumps(asked)), response)
        )
    return made


def seconds(work: Callable[[], Any]) -> float:
    """The CPU of the fastest of some runs, in seconds."""
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def measure_files() -> dict[str, float]:
    """Measure what is done with files; returns the figures, by name."""
    figures: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "thousand.yaml")
        with path.open("w") as file:
            file.write(format_head(Head(None, "2026-11-20T12:00:00Z")))
            file.writelines(map(format_interaction, turns(1000)))
        figures["loading 1,000 interactions, s"] = seconds(lambda: load(path))
    library = Library([Cassette("many", Head(), tuple(turns(10_000)))])
    asked = Request("POST", "/v1/responses", body=b'{"model":"gpt-4.1","input":"Tell me what you know of nothing"}')
    session = Session(library)
    assert isinstance(session.find(asked), Miss)
    figures["nearest of 10,000, ms"] = seconds(lambda: session.find(asked)) * 1000
    figures["verify, interactions a second"] = 1000 / seconds(lambda: verify(Cassette("x", Head(), tuple(turns(1000)))))
    figures["memory for a stream of 200 MB, MB"] = asyncio.run(stream_memory()) / 2**20
    return figures


def verify(cassette: Cassette) -> None:
    """Verify a cassette."""
    verifier = Verifier()
    verifier.check_all(cassette)
    assert verifier.checked == len(cassette.interactions)
    verifier.close()


class LongStream(httpx.AsyncBaseTransport, httpx.AsyncByteStream):
    """An upstream whose answer is a long stream."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, headers=[(b"content-type", b"text/event-stream")], stream=self)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        line = b"data: " + b"x" * 65_000 + b"\n\n"
        for _ in range(STREAMED // len(line) + 1):
            yield bytes(bytearray(line))


async def stream_memory() -> int:
    """The most memory that recording a long stream takes, in bytes."""
    coming = [{"type": "http.request", "body": b""}]

    async def receive() -> Any:
        return coming.pop() if coming else await asyncio.get_running_loop().create_future()

    async def send(message: Any) -> None:
        pass

    scope = {"type": "http", "method": "GET", "path": "/", "raw_path": b"/", "query_string": b"", "headers": []}
    settings = Settings(upstream="http://up.test/v1")
    with tempfile.TemporaryDirectory() as directory:
        file = f"{directory}/long.yaml"
        recorder = Recorder(Appender(file, None, 0.0), Redactor())
        tracemalloc.start()
        await Relay(settings, Target(settings), LongStream(), recorder=recorder)(scope, receive, send)
        recorder.close()
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert recorder.failures == 0 and os.path.getsize(file) > STREAMED
    return most


@pytest.mark.bench
def test_recordings_cost_little() -> None:
    run()


@pytest.mark.bench
def test_a_recorder_does_little_besides_what_its_file_asks() -> None:
    for name, figure in measure_recorder().items():
        print(f"\n{name:<40}{figure:>10.1f} µs", end="")
    print()


@pytest.mark.bench
def test_files_are_used_fast() -> None:
    for name, figure in measure_files().items():
        print(f"\n{name:<40}{figure:>10.2f}", end="")
    print()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(sys.argv[1], sys.argv[2])
    else:
        test_recordings_cost_little()
        test_a_recorder_does_little_besides_what_its_file_asks()
        test_files_are_used_fast()
