"""openai-agents with its sessions, plainly and streamed, over HTTP and WebSocket, directly and through a proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests.support.client_programs import LIMIT_S, agents_options, chosen_variants, run_agents
from tests.support.serving import Served, serving

RUNS = ("plain", "streamed")
TRANSPORTS = ("http", "websocket")
WAYS = ("direct", "forwarded")
VARIANTS = [*product(RUNS, TRANSPORTS, WAYS)]
COMPACTIONS = [
    ("plain", "http", "direct", "--compaction"),
    ("streamed", "http", "forwarded", "--compaction"),
    ("plain", "websocket", "forwarded", "--compaction"),
    ("streamed", "websocket", "direct", "--compaction"),
]


def mark_newest(variant: tuple[str, ...]) -> Any:
    """Two variants are enough to see what a new release breaks."""
    chosen = variant in (("plain", "http", "direct"), ("streamed", "websocket", "direct"))
    return pytest.param(variant, marks=[pytest.mark.newest] * chosen)


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
def runs(agents_python: Path, mock: Served, forwarding: Served, request: pytest.FixtureRequest) -> Iterator[Runs]:
    """All runs that were chosen, two at once; a key of its own makes each a project of its own."""
    pool = ThreadPoolExecutor(2)

    def start(run: str, transport: str, way: str, *more: str) -> Future[list[str]]:
        base_url = (forwarding if way == "forwarded" else mock).base_url
        told = (*agents_options(run, transport), *more)
        key = "-".join(("agents", run, transport, way, *more))
        return pool.submit(run_agents, agents_python, base_url, mock.origin, *told, key=key)

    yield {variant: start(*variant) for variant in chosen_variants(request)}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("variant", [mark_newest(variant) for variant in VARIANTS], ids="-".join)
def test_sessions_that_are_conversations(runs: Runs, variant: tuple[str, ...]) -> None:
    assert len(runs[variant].result(LIMIT_S)) == 16


@pytest.mark.parametrize("variant", COMPACTIONS, ids="-".join)
def test_sessions_that_compact(runs: Runs, variant: tuple[str, ...]) -> None:
    assert len(runs[variant].result(LIMIT_S)) == 4
