"""openai-agents with its sessions, plainly and streamed, over HTTP and WebSocket, directly and through a proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest

from tests.support.client_programs import LIMIT_S, agents_options, run_agents
from tests.support.serving import Served, serving

RUNS = ("plain", "streamed")
TRANSPORTS = ("http", "websocket")
WAYS = ("direct", "forwarded")
VARIANTS = [*product(RUNS, TRANSPORTS, WAYS)]
COMPACTIONS = [
    ("plain", "http", "direct"),
    ("streamed", "http", "forwarded"),
    ("plain", "websocket", "forwarded"),
    ("streamed", "websocket", "direct"),
]


@pytest.fixture(scope="module")
def mock() -> Iterator[Served]:
    """A mock for all of them."""
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def forwarding(mock: Served) -> Iterator[Served]:
    """The proxy before it."""
    with serving("--upstream", mock.base_url) as served:
        yield served


Runs = Mapping[tuple[str, ...], "Future[list[str]]"]


@pytest.fixture(scope="module")
def runs(agents_python: Path, mock: Served, forwarding: Served) -> Iterator[Runs]:
    """All runs, two at once; a key of its own makes each a project of its own."""
    pool = ThreadPoolExecutor(2)

    def start(run: str, transport: str, way: str, *more: str) -> Future[list[str]]:
        base_url = (forwarding if way == "forwarded" else mock).base_url
        told = (*agents_options(run, transport), *more)
        key = "-".join(("agents", run, transport, way, *more))
        return pool.submit(run_agents, agents_python, base_url, mock.origin, *told, key=key)

    plain = {variant: start(*variant) for variant in VARIANTS}
    yield {**plain, **{(*variant, "--compaction"): start(*variant, "--compaction") for variant in COMPACTIONS}}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("variant", VARIANTS, ids="-".join)
def test_sessions_that_are_conversations(runs: Runs, variant: tuple[str, ...]) -> None:
    assert len(runs[variant].result(LIMIT_S)) == 16


@pytest.mark.parametrize("variant", COMPACTIONS, ids="-".join)
def test_sessions_that_compact(runs: Runs, variant: tuple[str, ...]) -> None:
    assert len(runs[(*variant, "--compaction")].result(LIMIT_S)) == 4
