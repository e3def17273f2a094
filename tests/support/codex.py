"""Codex, run to its end in a home and a working directory of its own, in the ways of being configured."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.docs.pages import EXAMPLES
from tests.support.serving import Served

LIMIT_S = 600
INSTRUCTED = "gpt-5.5"  # a model that Codex sends `instructions` and `tools`; its own default gets "responses lite"
FLAGS = ("--skip-git-repo-check", "--dangerously-bypass-approvals-and-sandbox", "--json")
NOWHERE = "http://127.0.0.1:9"  # nothing listens there, so that nothing can be asked for outside
COMMON = f"""
model = "{INSTRUCTED}"
check_for_update_on_startup = false
"""
OWN = """
model_provider = "mock"
[analytics]
enabled = false
[model_providers.mock]
name = "mock"
base_url = "{base_url}"
env_key = "MOCK_KEY"
wire_api = "responses"
supports_websockets = """
PAGE = (EXAMPLES / "codex.toml").read_text(encoding="utf-8")
BUILT_IN = (
    PAGE.replace("http://127.0.0.1:4010/v1", "{base_url}")
    + """
[analytics]
enabled = false
"""
)
CONFIGURATION = {
    "own, HTTP": COMMON + OWN + "false\n",
    "own, WebSocket": COMMON + OWN + "true\n",
    "built-in": COMMON + BUILT_IN,
    "recipe": PAGE.replace("http://127.0.0.1:4010/v1", "{base_url}"),  # nothing but the recipe: Codex chooses the model
}


@dataclass(frozen=True)
class Ran:
    """What a run of Codex printed."""

    status: int
    last: str
    events: list[dict[str, Any]]
    errors: str

    def all(self, kind: str) -> list[dict[str, Any]]:
        """Return the items of a type that were completed."""
        done = [event["item"] for event in self.events if event["type"] == "item.completed"]
        return [item for item in done if item["type"] == kind]


class Codex:
    """Codex with a home and a working directory of its own."""

    def __init__(self, program: Path, place: Path, key: str) -> None:
        self.program = program
        self.home = place / "home"
        self.work = place / "work"
        self.key = key
        self.home.mkdir()
        self.work.mkdir()

    def configure(self, base_url: str, way: str, **more: Any) -> None:
        """Write the configuration, one of `CONFIGURATION`."""
        told = CONFIGURATION[way].format(base_url=base_url)
        told = "".join(f"{name} = {json.dumps(value)}\n" for name, value in more.items()) + told
        (self.home / "config.toml").write_text(told)

    def __call__(self, *words: str) -> Ran:
        """Run it to its end."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "CODEX_"))}
        own = {"CODEX_HOME": str(self.home), "HOME": str(self.home), "MOCK_KEY": self.key, "CODEX_API_KEY": self.key}
        outside = {"HTTPS_PROXY": NOWHERE, "HTTP_PROXY": NOWHERE, "NO_PROXY": "127.0.0.1"}
        last = self.home / "last.txt"
        last.unlink(missing_ok=True)
        done = subprocess.run(
            [str(self.program), "exec", *words[:-1], *FLAGS, "--output-last-message", str(last), words[-1]],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd=self.work,
            timeout=LIMIT_S,
            env={**inherited, **own, **outside},
        )
        events = [json.loads(line) for line in done.stdout.splitlines()]
        return Ran(done.returncode, last.read_text() if last.exists() else "", events, done.stderr)


def script(mock: Served, codex: Codex, *lines: Any) -> int:
    """Queue lines for this run; returns how many wait."""
    return int(mock.control("POST", "/script", {"lines": list(lines)}, key=codex.key)["queued"])


def kinds(items: list[dict[str, Any]]) -> list[str]:
    """Return the types of items; a message's is its role."""
    return [item["role"] if item["type"] == "message" else item["type"] for item in items]
