"""The AI SDK of Vercel over HTTP, plainly and streamed, directly and through a proxy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.environments import AI_SDK
from tests.support.serving import Served, serving

pytestmark = pytest.mark.heavy

PROGRAM = Path(__file__).with_name("node") / "ai_sdk.mjs"
LIMIT_S = 600


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


@pytest.mark.newest
@pytest.mark.parametrize("way", ["direct", "forwarded"])
def test_examples(ai_sdk: tuple[Path, Path], mock: Served, forwarding: Served, way: str) -> None:
    node, place = ai_sdk
    base_url = (forwarding if way == "forwarded" else mock).base_url
    told = {"OPENAI_API_KEY": f"ai-sdk-{way}", "UNDERSTUDY_CONTROL": mock.origin}
    *verdicts, last = run(base_url, str(node), str(PROGRAM), str(place), **told)
    versions = ", ".join(f"{client.name} {client.version}" for client in AI_SDK)
    assert last == f"{len(verdicts)} of {len(verdicts)} hold with {versions}"


def run(base_url: str, *command: str, **told: str) -> list[str]:
    """Run a program of node to its end, which must be good; returns the lines that it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    environment = {**inherited, "NO_PROXY": "127.0.0.1", "OPENAI_BASE_URL": base_url, **told}
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
