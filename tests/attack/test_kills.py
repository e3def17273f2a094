"""A server that is killed while it writes: what it has acknowledged is there, and no id twice. Spec: R1.1."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

from tests.support.serving import FROZEN, serving
from tests.support.writers import Writer

CYCLES = 12
WRITERS = 4
MOST = 120  # acknowledged writes of a cycle before the kill


def test_nothing_acknowledged_is_lost(tmp_path: Path, times: int) -> None:
    store, random = f"sqlite:///{tmp_path / 'state.db'}", Random(1)
    everything: list[dict[str, Any]] = []
    for cycle in range(CYCLES * times):
        writers = [Writer(number, cycle) for number in range(WRITERS)]
        with serving(*FROZEN, "--store", store) as served, ThreadPoolExecutor(WRITERS) as pool:
            enough, most = Event(), random.randrange(5, MOST // WRITERS)
            done = [pool.submit(one.write, served, enough, most + one.number * 10) for one in writers]
            enough.wait(60)
            served.kill()  # the first writer is through, the others are in the middle
            for future in done:
                future.result()
        written = [response for writer in writers for response in writer.acknowledged]
        everything += written
        with serving(*FROZEN, "--store", store) as served:
            for response in written:
                reply = served.request("GET", f"/v1/responses/{response['id']}")
                assert reply.status == 200 and reply.json == response, (cycle, response["id"], reply.body)
            served.kill()
    ids = [response["id"] for response in everything]
    assert len(set(ids)) == len(ids)
    print(f"\n{CYCLES * times} kills, {len(ids)} acknowledged writes, all there")
