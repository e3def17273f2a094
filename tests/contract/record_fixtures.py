"""Record the talks of real clients into `fixtures/recordings/`: `python -m tests.contract.record_fixtures`.

The API is a mock with a clock and a seed of its own, so that only times and ports differ from run to run.
"""

from __future__ import annotations

from pathlib import Path

from mockserver import Mock
from proxy import Proxy
from tests.support import environments
from tests.support.environments import AGENTS, LANGCHAIN, OPENAI, PYDANTIC_AI, interpreter
from tests.support.serving import ROOT
from tests.support.talks import SCENARIO, command_of, run_talk

RECORDINGS = ROOT / "fixtures" / "recordings"
FRAMEWORKS = ("pytest>=8.3", AGENTS, PYDANTIC_AI, LANGCHAIN, *environments._product())


def main() -> None:
    """Record all of them anew."""
    RECORDINGS.mkdir(exist_ok=True)
    record("openai3", interpreter("openai-3-realtime", OPENAI[3]))
    record("openai-agents", interpreter("openai-agents", AGENTS))
    record("pydantic-ai", interpreter("recipes", *FRAMEWORKS))


def record(name: str, python: Path) -> None:
    """Record the talk of one client."""
    file = RECORDINGS / f"{name}.yaml"
    file.unlink(missing_ok=True)
    with (
        Mock(scenario=SCENARIO, seed=7, clock="2026-11-20T12:00:00Z") as api,
        Proxy(mode="record", upstream=api.base_url, cassette=file) as proxy,
    ):
        run_talk(command_of(name, python), proxy.base_url)


if __name__ == "__main__":
    main()
