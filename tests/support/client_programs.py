"""Programs of `tests/contract`, run by the interpreter of another environment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import AGENTS
from tests.support.serving import ROOT

CONTRACT = ROOT / "tests" / "contract"
LIMIT_S = 600


def run_guide(python: Path, base_url: str, control: str, *options: str, key: str) -> subprocess.CompletedProcess[str]:
    """Run the guide to its end, as the project of this key."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    told = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": key, "UNDERSTUDY_CONTROL": control}
    return subprocess.run(
        [str(python), str(CONTRACT / "guide.py"), *options],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**inherited, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1", **told},
    )


def run_agents(python: Path, base_url: str, control: str, *options: str, key: str) -> list[str]:
    """Run the examples as the project of this key; returns their verdicts, of which none may be bad."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    told = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": key, "UNDERSTUDY_CONTROL": control}
    own = {"OPENAI_AGENTS_DISABLE_TRACING": "1", "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        [str(python), str(CONTRACT / "agents_sessions.py"), *options],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**inherited, **own, **told},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    *verdicts, last = done.stdout.splitlines()
    assert last.startswith(f"{len(verdicts)} of {len(verdicts)} hold with openai-agents {AGENTS.version}"), last
    return verdicts


def agents_options(run: str, transport: str) -> list[str]:
    """Return the options of the program."""
    return ["--streamed"] * (run == "streamed") + ["--websocket"] * (transport == "websocket")


def chosen_variants(request: pytest.FixtureRequest) -> Iterator[Any]:
    """Yield the `variant` of each chosen test of this module, so that a fixture starts no run that nobody reads."""
    for item in request.session.items:
        if item.path == request.path and isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            yield item.callspec.params["variant"]
