"""openai-agents with its sessions, plainly and streamed, over HTTP and WebSocket, directly and through a proxy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import product
from pathlib import Path

import pytest

from tests.support.serving import Served, serving

PROGRAM = Path(__file__).with_name("agents_sessions.py")
LIMIT_S = 120
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


def run_program(python: Path, base_url: str, control: str, *options: str, key: str) -> list[str]:
    """Run the examples as the project of this key; returns their verdicts, of which none may be bad."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    told = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": key, "UNDERSTUDY_CONTROL": control}
    own = {"OPENAI_AGENTS_DISABLE_TRACING": "1", "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(python), str(PROGRAM), *options],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**inherited, **own, **told},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *verdicts, last = done.stdout.splitlines()
    assert last.startswith(f"{len(verdicts)} of {len(verdicts)} hold with openai-agents 0.24."), last
    return verdicts


def options_of(run: str, transport: str) -> list[str]:
    """Return the options of the program."""
    return ["--streamed"] * (run == "streamed") + ["--websocket"] * (transport == "websocket")


Runs = Mapping[tuple[str, ...], "Future[list[str]]"]


@pytest.fixture(scope="module")
def runs(agents_python: Path, mock: Served, forwarding: Served) -> Iterator[Runs]:
    """All runs, two at once; a key of its own makes each a project of its own."""
    pool = ThreadPoolExecutor(2)

    def start(run: str, transport: str, way: str, *more: str) -> Future[list[str]]:
        base_url = (forwarding if way == "forwarded" else mock).base_url
        told = (*options_of(run, transport), *more)
        key = "-".join(("agents", run, transport, way, *more))
        return pool.submit(run_program, agents_python, base_url, mock.origin, *told, key=key)

    plain = {variant: start(*variant) for variant in VARIANTS}
    yield {**plain, **{(*variant, "--compaction"): start(*variant, "--compaction") for variant in COMPACTIONS}}
    pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("variant", VARIANTS, ids="-".join)
def test_sessions_that_are_conversations(runs: Runs, variant: tuple[str, ...]) -> None:
    assert len(runs[variant].result(LIMIT_S)) == 16


@pytest.mark.parametrize("variant", COMPACTIONS, ids="-".join)
def test_sessions_that_compact(runs: Runs, variant: tuple[str, ...]) -> None:
    assert len(runs[(*variant, "--compaction")].result(LIMIT_S)) == 4
