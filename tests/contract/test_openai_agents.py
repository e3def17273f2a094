"""openai-agents with its sessions, plainly and streamed, directly and through a forwarding instance."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.serving import Served, serving

PROGRAM = Path(__file__).with_name("agents_sessions.py")
LIMIT_S = 120
VARIANTS = {
    "plain-direct": (),
    "streamed-direct": ("--streamed",),
    "plain-forwarded": (),
    "streamed-forwarded": ("--streamed",),
}


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


@pytest.mark.parametrize("variant", VARIANTS)
def test_conversations_sessions(agents_python: Path, mock: Served, forwarding: Served, variant: str) -> None:
    base_url = (forwarding if variant.endswith("forwarded") else mock).base_url
    verdicts = run_program(agents_python, base_url, mock.origin, *VARIANTS[variant], key=f"agents-{variant}")
    assert len(verdicts) == 15
