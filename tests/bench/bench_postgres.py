"""What a turn costs on PostgreSQL, and what more processes bring: turns per second, p50 and p99 with one, two and four
servers on one database, over eight projects and over one; CPU and time beside a bare `INSERT` and `SELECT` of as many
bytes, committed. One server runs with its journal too, as by default.

Everything is measured in one run, in rounds that take turns. Run with `pytest -m bench tests/bench/bench_postgres.py
-s`, or as a script.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from contextlib import ExitStack
from itertools import chain

import psycopg
import pytest

from mockserver.config.settings import Settings
from mockserver.transport.app import create_app
from mockserver.transport.serve import Server, bind, server_config
from proxy.app import ProxyApp
from tests.bench.bench_mock import body
from tests.bench.bench_relay import ROUNDS, Child, cpu, metered
from tests.support.postgres import PostgresServer

MODULE = "tests.bench.bench_postgres"
SERVERS = (1, 2, 4)
CALLERS = 8
REQUESTS = 400  # in a round
JOURNAL = 1000  # exchanges, as by default
BYTES = 2600  # what a turn leaves in the tables, about
BARE = "bare INSERT and SELECT"


def child(where: str, journal: str) -> None:
    """Serve until the parent ends this process, with a journal of so many exchanges; prints the port."""
    listener = bind("127.0.0.1", 0)
    settings = Settings(store=where, journal=int(journal), log_level="warning")
    app = metered(ProxyApp(create_app(settings), settings))
    Server(server_config(app, settings), lambda: print(listener.getsockname()[1], flush=True)).run([listener])


async def ask(port: int, key: str, count: int) -> list[float]:
    """Create responses one after the other over one connection; returns the seconds of each."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    asked, took = body("json"), []
    head = (
        f"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Authorization: Bearer {key}\r\nContent-Length: {len(asked)}\r\n\r\n"
    )
    for _ in range(count):
        start = time.perf_counter()
        writer.write(head.encode() + asked)
        answer = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(answer.lower().partition(b"content-length:")[2].split()[0]))
        took.append(time.perf_counter() - start)
    writer.close()
    await writer.wait_closed()
    return took


class Row:
    """What was measured of one way to serve, over all rounds."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.cpu: list[float] = []
        self.latencies: list[float] = []

    def text(self, bare: Row) -> str:
        """The figures, with the ratio of CPU to the bare statements."""
        ordered = sorted(self.latencies)
        used = statistics.median(self.cpu)
        p50, p99 = ordered[len(ordered) // 2], ordered[len(ordered) * 99 // 100]
        return (
            f"{statistics.median(self.rates):>9.0f}{p50 * 1e3:>9.2f}{p99 * 1e3:>9.2f}"
            f"{used * 1e6:>9.0f}{used / statistics.median(bare.cpu):>7.1f}"
        )


async def measure(ports: list[int], projects: int, row: Row) -> None:
    """Add one round: callers spread over servers and projects."""
    before, start = [await cpu(port) for port in ports], time.perf_counter()
    share = REQUESTS // CALLERS
    tasks = [ask(ports[number % len(ports)], f"key-{number % projects}", share) for number in range(CALLERS)]
    for took in await asyncio.gather(*tasks):
        row.latencies += took
    row.rates.append(REQUESTS / (time.perf_counter() - start))
    used = sum([await cpu(port) for port in ports]) - sum(before)
    row.cpu.append(used / REQUESTS)


def measure_bare(connection: psycopg.Connection, row: Row) -> None:
    """Add one round of the least that a stored turn could cost."""
    doc, used, start = b"x" * BYTES, time.process_time(), time.perf_counter()
    for number in range(REQUESTS):
        began = time.perf_counter()
        with connection.transaction():
            connection.execute("INSERT INTO bare (doc) VALUES (%s)", (doc,))
            connection.execute("SELECT doc FROM bare WHERE id = %s", (number + 1,), binary=True).fetchone()
        row.latencies.append(time.perf_counter() - began)
    row.rates.append(REQUESTS / (time.perf_counter() - start))
    row.cpu.append((time.process_time() - used) / REQUESTS)


def run() -> None:
    """Measure everything and print the table."""
    rows = {(count, projects, 0): Row() for count in SERVERS for projects in (CALLERS, 1)}
    rows |= {(1, CALLERS, JOURNAL): Row()}
    bare = Row()
    with ExitStack() as stack:
        server = PostgresServer()
        stack.callback(server.close)
        children = {
            0: [Child(MODULE, server.url, "0") for _ in range(max(SERVERS))],
            JOURNAL: [Child(MODULE, server.url, str(JOURNAL))],
        }
        for one in chain.from_iterable(children.values()):
            stack.callback(one.stop)
        connection = stack.enter_context(psycopg.connect(server.url, autocommit=True))
        connection.execute("CREATE TABLE bare (id bigserial PRIMARY KEY, doc bytea NOT NULL)")
        for turn in range(ROUNDS + 1):
            if turn == 1:  # the first round warmed up
                rows, bare = {key: Row() for key in rows}, Row()
            measure_bare(connection, bare)
            for (count, projects, journal), row in rows.items():
                asyncio.run(measure([one.port for one in children[journal][:count]], projects, row))
    print(f"\n{'on one PostgreSQL':<34}{'turns/s':>9}{'p50 ms':>9}{'p99 ms':>9}{'CPU µs':>9}{'ratio':>7}")
    print(f"{BARE:<34}{bare.text(bare)}")
    for (count, projects, journal), row in rows.items():
        what = (
            f"{count} server{'s' * (count > 1)}, {projects} project{'s' * (projects > 1)}{', journal' * (journal > 0)}"
        )
        print(f"{what:<34}{row.text(bare)}")


@pytest.mark.bench
def test_more_servers_answer_more() -> None:
    run()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        child(*sys.argv[1:])
    else:
        run()
