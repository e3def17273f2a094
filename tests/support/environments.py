"""Environments of their own for the clients, made once and kept under `.venvs`.

Each client has a pin, the version that its tests were written with. `UNDERSTUDY_CLIENTS=newest` asks the client's
registry for its newest version instead. A newest version that is the pin shares the pin's environment, so that it costs
nothing. `tests/contract/conftest.py` names the client and its version where a test fails.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.serving import ROOT

HOME = ROOT / ".venvs"
SWITCH = "UNDERSTUDY_CLIENTS"
PINNED, NEWEST = "pinned", "newest"
PYRIGHT = "pyright@^1.1.400"
QUIET = ("--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")


@dataclass(frozen=True)
class Client:
    """A package that users call the server with; npm's names have no `extra`."""

    name: str
    pin: str
    npm: bool = False
    extra: str = ""
    below: str = ""  # the major version that the newest stays below, for a generation that is kept beside its successor

    @property
    def version(self) -> str:
        """The version that is tested; asks the registry when it is the newest."""
        return _newest_version(self) if chosen_versions() == NEWEST else self.pin

    @property
    def requirement(self) -> str:
        """What its installer is asked for."""
        return f"{self.name}@{self.version}" if self.npm else f"{self.name}{self.extra}=={self.version}"

    def __str__(self) -> str:
        name = f"{self.name} of npm" if self.npm else self.name
        if chosen_versions() == PINNED:
            return f"{name} {self.pin}"
        return f"{name} {_newest.get(self, 'unknown')} (newest; the pin is {self.pin})"


OPENAI: Mapping[int, Client] = {
    2: Client("openai", "2.54.0", extra="[realtime]", below="3"),
    3: Client("openai", "3.57.0", extra="[realtime]"),
}
AGENTS = Client("openai-agents", "0.24.0")
PYDANTIC_AI = Client("pydantic-ai-slim", "2.68.0", extra="[openai]")
LANGCHAIN = Client("langchain-openai", "1.7.4")
OPENAI_NODE = Client("openai", "7.59.0", npm=True)
AGENTS_JS = Client("@openai/agents", "0.20.0", npm=True)
AI_SDK = (Client("ai", "7.0.173", npm=True), Client("@ai-sdk/openai", "4.0.118", npm=True))
CODEX = Client("@openai/codex", "0.171.0", npm=True)
VCRPY = Client("vcrpy", "9.4.2")
PYTEST_RECORDING = Client("pytest-recording", "0.14.1")
MITMPROXY = Client("mitmproxy", "11.0.2")
FIXTURES: Mapping[str, tuple[Client, ...]] = {  # what the tests of each fixture run
    "agents_js": (AGENTS_JS,),
    "agents_python": (AGENTS,),
    "ai_sdk": AI_SDK,
    "clients": (*OPENAI.values(),),
    "codex_program": (CODEX,),
    "frameworks": (AGENTS, PYDANTIC_AI, LANGCHAIN),
    "inprocess_python": (OPENAI[2],),
    "mitmdump": (MITMPROXY,),
    "node_client": (OPENAI_NODE,),
    "pyright": (),
    "typescript_client": (OPENAI_NODE,),
    "vcr_pythons": (*OPENAI.values(), VCRPY, PYTEST_RECORDING),
    "xdist_python": (OPENAI[3],),
}


def chosen_versions() -> str:
    """Return which versions of the clients the tests run: `pinned` or `newest`."""
    chosen = os.environ.get(SWITCH, PINNED)
    if chosen not in (PINNED, NEWEST):
        raise pytest.UsageError(f"{SWITCH} is {chosen!r}; it can be {PINNED!r} or {NEWEST!r}")
    return chosen


@pytest.fixture(scope="session")
def clients() -> Mapping[int, Path]:
    """The Python interpreters that have OpenAI's client, by its major version."""
    return {major: interpreter(f"openai-{major}-realtime", client) for major, client in OPENAI.items()}


@pytest.fixture(scope="session")
def agents_python() -> Path:
    """The Python interpreter that has openai-agents."""
    return interpreter("openai-agents", AGENTS)


@pytest.fixture(scope="session")
def frameworks() -> Path:
    """The interpreter of an environment with this product, pytest and the frameworks."""
    return interpreter("recipes", "pytest>=8.3", AGENTS, PYDANTIC_AI, LANGCHAIN, *_product())


@pytest.fixture(scope="session")
def inprocess_python() -> Path:
    """The interpreter of an environment with this product, respx and the older generation of OpenAI's client."""
    return interpreter("inprocess", OPENAI[2], "respx>=0.22", *_product())


@pytest.fixture(scope="session")
def xdist_python() -> Path:
    """The interpreter of an environment with this product, pytest 8, pytest-xdist and OpenAI's client."""
    return interpreter("xdist", "pytest>=8,<9", "pytest-xdist>=3.6,<4", OPENAI[3], *_product())


@pytest.fixture(scope="session")
def vcr_pythons() -> Mapping[int, Path]:
    """The interpreters that have vcrpy, pytest-recording and OpenAI's client, by the client's major version."""
    return {major: interpreter(f"vcr-{major}", VCRPY, PYTEST_RECORDING, client) for major, client in OPENAI.items()}


@pytest.fixture(scope="session")
def mitmdump() -> Path:
    """The program mitmdump, which writes down what passes it."""
    return interpreter("mitmproxy", MITMPROXY).with_name("mitmdump")


@pytest.fixture(scope="session")
def node_client() -> Path:
    """The directory from which a program of node finds the client."""
    return node_packages("openai-node-ws", OPENAI_NODE, "ws@^8")


@pytest.fixture(scope="session")
def typescript_client() -> Path:
    """The directory that has the client, the compiler and the types of node."""
    return node_packages("recipes-node", OPENAI_NODE, "typescript@^5.9", "@types/node@^22")


@pytest.fixture(scope="session")
def pyright() -> Path:
    """The type checker pyright, a program of node."""
    return node_packages("pyright", PYRIGHT) / "node_modules" / "pyright" / "index.js"


@pytest.fixture(scope="session")
def codex_program() -> Path:
    """The binary of Codex for this machine, out of the package of its platform."""
    found = node_packages("codex", CODEX).glob("node_modules/@openai/codex-*/vendor/*/bin/codex*")
    programs = [path for path in found if path.stem == "codex"]
    assert len(programs) == 1, f"{CODEX} has no binary for this platform: {programs}"
    return programs[0]


@pytest.fixture(scope="session")
def agents_js() -> tuple[Path, Path]:
    """A node that is new enough for @openai/agents, and the directory from which its programs find the package."""
    return _with_node("agents-js", AGENTS_JS, "zod@^4")


@pytest.fixture(scope="session")
def ai_sdk() -> tuple[Path, Path]:
    """A node that is new enough for the AI SDK, and the directory from which its programs find the packages."""
    return _with_node("ai-sdk", *AI_SDK, "zod@^4")


def interpreter(name: str, *wanted: Client | str) -> Path:
    """Return the interpreter of an environment that has what is wanted."""
    requirements = _requirements(wanted)
    with _alone():
        place = _place(name, wanted)
        python = place / "bin" / "python"
        if not (python.exists() and _has(place, requirements)):
            shutil.rmtree(place, ignore_errors=True)
            _run(sys.executable, "-m", "venv", str(place))
            _run(str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *requirements)
            _mark(place, requirements)
        return python


def node_packages(name: str, *wanted: Client | str) -> Path:
    """Return a directory whose `node_modules` has what is wanted."""
    requirements = _requirements(wanted)
    with _alone():
        place = _place(name, wanted)
        if not _has(place, requirements):
            shutil.rmtree(place, ignore_errors=True)
            place.mkdir()
            _run("npm", "install", "--prefix", str(place), *QUIET, *requirements)
            _mark(place, requirements)
        return place


def _with_node(name: str, *wanted: Client | str) -> tuple[Path, Path]:
    machine = "arm64" if platform.machine() in ("arm64", "aarch64") else "x64"
    node = f"node-{platform.system().lower()}-{machine}"
    place = node_packages(name, *wanted, f"{node}@^26")
    return place / "node_modules" / node / "bin" / "node", place


def _product() -> tuple[str, ...]:
    """What installs this product for tests that run in an environment of their own."""
    needed = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return f"--editable={ROOT}", *needed


def _requirements(wanted: tuple[Client | str, ...]) -> tuple[str, ...]:
    return tuple(one.requirement if isinstance(one, Client) else one for one in wanted)


def _place(name: str, wanted: tuple[Client | str, ...]) -> Path:
    """Where an environment is; one with a version that is not its pin stands beside that of the pins."""
    differs = any(isinstance(one, Client) and one.version != one.pin for one in wanted)
    return HOME / (f"{name}-{NEWEST}" if differs else name)


def _has(place: Path, requirements: tuple[str, ...]) -> bool:
    marker = place / "requirement.txt"
    return marker.exists() and marker.read_text() == "\n".join(requirements)


def _mark(place: Path, requirements: tuple[str, ...]) -> None:
    (place / "requirement.txt").write_text("\n".join(requirements))


_newest: dict[Client, str] = {}  # what the registries said in this run


def _newest_version(client: Client) -> str:
    """Return a client's newest version; its registry is asked once, in the way of its installer."""
    if client not in _newest:
        _newest[client] = _ask_registry(client)
    return _newest[client]


def _ask_registry(client: Client) -> str:
    if client.npm:
        return _run("npm", "view", client.name, "version").strip()
    wanted = f"{client.name}<{client.below}" if client.below else client.name
    pip = (sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    report = _run(*pip, "--dry-run", "--no-deps", "--ignore-installed", "--report", "-", wanted)
    return str(json.loads(report)["install"][0]["metadata"]["version"])


@contextmanager
def _alone() -> Iterator[None]:
    """Keep other test runs in this checkout from making the same environments."""
    HOME.mkdir(exist_ok=True)
    with open(HOME / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    if done.returncode:
        pytest.fail(f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}{done.stderr}", pytrace=False)
    return done.stdout
