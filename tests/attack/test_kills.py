"""A server that is killed while it writes: what it has acknowledged is there, and no id twice. Spec: R1.1."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPException
from pathlib import Path
from random import Random
from threading import Event
from typing import Any

from tests.support.serving import FROZEN, Served, serving

CYCLES = 12
WRITERS = 4
MOST = 120  # acknowledged writes of a cycle before the kill


class Writer:
    """A client that writes until the server is gone, and keeps what was acknowledged."""

    def __init__(self, number: int, cycle: int) -> None:
        self.number, self.cycle = number, cycle
        self.acknowledged: list[dict[str, Any]] = []

    def write(self, served: Served, enough: Event, most: int) -> None:
        random, parent, conversation = Random(f"{self.cycle}/{self.number}"), None, None
        try:
            for number in range(most):
                text = f"{self.cycle} {self.number} {number}"
                body = {"model": "gpt-4.1", "input": text, "previous_response_id": parent}
                if random.random() < 0.2 or (conversation is not None and random.random() < 0.5):
                    if conversation is None:
                        made = served.request("POST", "/v1/conversations", {})
                        assert made.status == 200, made.body
                        conversation = made.json["id"]
                    body = {"model": "gpt-4.1", "input": text, "conversation": conversation}
                reply = served.request("POST", "/v1/responses", body)
                assert reply.status == 200, reply.body
                self.acknowledged.append(reply.json)
                parent = reply.json["id"] if random.random() < 0.8 else None
        except (OSError, HTTPException):
            pass  # it was killed
        finally:
            enough.set()


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
