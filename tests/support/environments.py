"""Environments of their own for the generations of OpenAI's clients, made once and kept under `.venvs`."""

from __future__ import annotations

import fcntl
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.serving import ROOT

HOME = ROOT / ".venvs"
REQUIREMENTS: Mapping[int, str] = {2: "openai[realtime]>=2,<3", 3: "openai[realtime]>=3,<4"}  # with WebSockets
AGENTS = "openai-agents>=0.24,<0.25"
AGENTS_JS = ("@openai/agents@^0.20", "zod@^4")
PYRIGHT = "pyright@^1.1.400"
CODEX = "@openai/codex@0.169.0"
QUIET = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")


@pytest.fixture(scope="session")
def clients() -> Mapping[int, Path]:
    """The Python interpreters that have the client, by its major version."""
    return {major: interpreter(f"openai-{major}-realtime", wanted) for major, wanted in REQUIREMENTS.items()}


@pytest.fixture(scope="session")
def agents_python() -> Path:
    """The Python interpreter that has openai-agents."""
    return interpreter("openai-agents", AGENTS)


@pytest.fixture(scope="session")
def node_client() -> Path:
    """The directory from which a program of node finds the client."""
    return node_packages("openai-node-ws", "openai@^7", "ws@^8")


@pytest.fixture(scope="session")
def pyright() -> Path:
    """The type checker pyright, a program of node."""
    return node_packages("pyright", PYRIGHT) / "node_modules" / "pyright" / "index.js"


@pytest.fixture(scope="session")
def codex_program() -> Path:
    """The binary of Codex for this machine, out of the package of its platform."""
    found = node_packages("codex", CODEX).glob("node_modules/@openai/codex-*/vendor/*/bin/codex*")
    programs = [one for one in found if one.stem == "codex"]
    assert len(programs) == 1, f"{CODEX} has no binary for this platform: {programs}"
    return programs[0]


@pytest.fixture(scope="session")
def agents_js() -> tuple[Path, Path]:
    """A node that is new enough for @openai/agents, and the directory from which its programs find the package."""
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x64"
    name = f"node-{platform.system().lower()}-{machine}"
    place = node_packages("agents-js", *AGENTS_JS, f"{name}@^26")
    return place / "node_modules" / name / "bin" / "node", place


def interpreter(name: str, *wanted: str) -> Path:
    """Return the interpreter of an environment that has what is wanted."""
    with _alone():
        return _interpreter(HOME / name, *wanted)


def node_packages(name: str, *wanted: str) -> Path:
    """Return a directory whose `node_modules` has what is wanted."""
    with _alone():
        place = HOME / name
        marker = place / "requirement.txt"
        requirement = "\n".join(wanted)
        if not (marker.exists() and marker.read_text() == requirement):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            _run("npm", "install", "--prefix", str(place), *QUIET, *wanted)
            marker.write_text(requirement)
        return place


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other test runs in this checkout from making the same environments."""
    HOME.mkdir(exist_ok=True)
    with open(HOME / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _interpreter(place: Path, *wanted: str) -> Path:
    """Return the interpreter of an environment, which is made anew when its marker doesn't say what is wanted."""
    marker = place / "requirement.txt"
    python = place / "bin" / "python"
    requirement = "\n".join(wanted)
    if python.exists() and marker.exists() and marker.read_text() == requirement:
        return python
    shutil.rmtree(place, ignore_errors=True)
    _run(sys.executable, "-m", "venv", str(place))
    _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *wanted)
    marker.write_text(requirement)
    return python


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.fail(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False)
