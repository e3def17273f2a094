"""@openai/agents with its sessions, plainly and streamed, over HTTP and WebSocket, directly and through a proxy."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

from tests.support.environments import AGENTS_JS
from tests.support.serving import Served, serving

pytestmark = pytest.mark.heavy

PROGRAM = Path(__file__).with_name("node") / "agents.mjs"
LIMIT_S = 600
NEWEST = (("plain", "http", "direct"), ("streamed", "websocket", "direct"))  # enough for what a release breaks


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


VARIANTS = [
    pytest.param(*variant, marks=[pytest.mark.newest] * (variant in NEWEST), id="-".join(variant))
    for variant in product(("plain", "streamed"), ("http", "websocket"), ("direct", "forwarded"))
]


@pytest.mark.parametrize(("run", "transport", "way"), VARIANTS)
def test_sessions(
    agents_js: tuple[Path, Path], mock: Served, forwarding: Served, run: str, transport: str, way: str
) -> None:
    node, place = agents_js
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    base_url = (forwarding if way == "forwarded" else mock).base_url
    told = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": f"js-{run}-{transport}-{way}"}
    own = {"UNDERSTUDY_CONTROL": mock.origin, "OPENAI_AGENTS_DISABLE_TRACING": "1", "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(
        [str(node), str(PROGRAM), str(place), transport, run],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**inherited, **told, **own},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.splitlines()[-1].startswith(f"8 of 8 hold with @openai/agents {AGENTS_JS.version}")
