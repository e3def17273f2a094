"""Servers and the PostgreSQL behind them, killed while they write: what was acknowledged is there, locks are free."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from random import Random
from threading import Event
from typing import Any

import psycopg

from tests.support.patience import until
from tests.support.postgres import PostgresServer, server, url
from tests.support.serving import FROZEN, Served, serving
from tests.support.writers import Writer

__all__ = ["server", "url"]

CYCLES = 8
WRITERS = 4
MOST = 60  # acknowledged writes of a cycle before the kill
# acknowledged or not: a response and its step in the context are there both, or neither
HALF_WRITTEN = """
SELECT count(*) FROM (SELECT project, id, kind FROM understudy_records WHERE kind IN ('response', 'node')) AS mine
WHERE NOT EXISTS (
  SELECT FROM understudy_records AS other WHERE other.project = mine.project AND other.id = mine.id
  AND other.kind IN ('response', 'node') AND other.kind <> mine.kind
)
"""


def is_up(served: Served) -> bool:
    """Whether a server answers, and its database too."""
    return served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "up?", "store": False}).status == 200


def test_nothing_acknowledged_is_lost(server: PostgresServer, url: str, times: int) -> None:
    random, everything = Random(2), list[dict[str, Any]]()
    killed = dict.fromkeys(("server", "postgres"), 0)
    with ExitStack() as stack:
        other = stack.enter_context(serving(*FROZEN, "--store", url))
        for cycle in range(CYCLES * times):
            what = ("server", "postgres")[cycle % 2]
            writers = [Writer(number, cycle) for number in range(WRITERS)]
            with serving(*FROZEN, "--store", url) as served, ThreadPoolExecutor(WRITERS) as pool:
                enough, most = Event(), random.randrange(5, MOST // WRITERS)
                done = [
                    pool.submit(one.write, (served, other)[one.number % 2], enough, most + one.number * 10)
                    for one in writers
                ]
                enough.wait(60)
                if what == "server":
                    served.kill()
                else:
                    server.stop("immediate")  # what is written now is refused with 503, which ends its writer
                killed[what] += 1
                for future in done:
                    failure = future.exception()  # of the writers, only the answers of the database may fail
                    assert failure is None or (what == "postgres" and "mock_error" in str(failure)), failure
                if what == "postgres":
                    server.start()
                    assert until(lambda: is_up(other))
            written = [response for writer in writers for response in writer.acknowledged]
            everything += written
            for response in written:
                reply = other.request("GET", f"/v1/responses/{response['id']}")
                assert reply.status == 200 and reply.json == response, (cycle, what, response["id"], reply.body)
            assert is_up(other), "the lock of the project is free"
    ids = [response["id"] for response in everything]
    assert len(set(ids)) == len(ids)
    with psycopg.connect(url) as connection:
        (held,) = connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'").fetchone() or (None,)
        (half,) = connection.execute(HALF_WRITTEN).fetchone() or (None,)
    assert held == 0 and half == 0
    print(
        f"\n{killed['server']} servers, {killed['postgres']} databases killed, {len(ids)} acknowledged writes,"
        f" 0 lost, {half} half-written, {held} locks held"
    )
