"""Each client is recorded once through the proxy and replayed with its upstream gone, by the same program.

Then the program runs with other ids, users, metadata and another key, and hears the same. Then it asks about another
city: that is a miss, and the message names what differs.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mockserver import Mock
from proxy import Proxy
from tests.support.codex import Codex

TALKS = Path(__file__).with_name("talks")
LIMIT_S = 120
CALL = {"type": "function_call", "name": "get_weather", "arguments": {"city": "Paris"}}
SHELL = 'const done = await tools.exec_command({cmd: "echo from-the-shell > made.txt"});\ntext("made");'
LOOK = {"last_item": "message", "input_contains": "weather"}
SCENARIO: dict[str, Any] = {
    "lines": [
        {"when": {"last_item": "message", "input_contains": "Say that again."}, "reply": {"text": "As I said."}},
        {"when": {"last_item": "custom_tool_call_output"}, "reply": {"text": "It is mild."}},
        {"when": {"last_item": "function_call_output"}, "reply": {"text": "It is mild: {{ tool_output }}."}},
        {"when": {**LOOK, "has_tool": "get_weather"}, "reply": {"reasoning": "A look outside.", "output": [CALL]}},
        {
            "when": {**LOOK, "has_tool": "exec"},
            "reply": {
                "reasoning": "A shell first.",
                "output": [{"type": "custom_tool_call", "namespace": "functions", "name": "exec", "input": SHELL}],
            },
        },
    ]
}
PROGRAMS = {
    "openai3": ("clients", "openai_talk.py"),
    "openai3-async": ("clients", "openai_talk.py", "--async"),
    "openai2": ("clients", "openai_talk.py"),
    "openai2-async": ("clients", "openai_talk.py", "--async"),
    "openai-node": ("node_client", "openai_talk.mjs"),
    "openai-agents": ("agents_python", "agents_talk.py"),
    "pydantic-ai": ("frameworks", "pydantic_ai_talk.py"),
}
HEAVY = ("pydantic-ai",)
PROMPTS = 'recorded "What is the weather in Paris?", sent "What is the weather in Oslo?"'


def mark(name: str) -> Any:
    """One run of each client is enough to see what a new release breaks."""
    marks = [pytest.mark.heavy] * (name in HEAVY) + [pytest.mark.newest] * ("async" not in name)
    return pytest.param(name, marks=marks)


@pytest.fixture
def command(request: pytest.FixtureRequest) -> list[str]:
    """How the program of this test's client is run; its environment is made where it is not there yet."""
    name = request.node.callspec.params["name"]
    fixture, program, *options = PROGRAMS[name]
    value = request.getfixturevalue(fixture)
    if program.endswith(".mjs"):
        return ["node", str(TALKS / program), str(value)]
    python = value[3 if name.startswith("openai3") else 2] if fixture == "clients" else value
    return [str(python), str(TALKS / program), *options]


def run(command: list[str], base_url: str, *, city: str = "Paris", number: int = 1) -> str:
    """Run a talk; returns what it heard, which is nothing where it failed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    told = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": f"sk-somebody-{number}", "NO_PROXY": "127.0.0.1"}
    own = {"CITY": city, "RUN": f"run-{number}", "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, env={**inherited, **told, **own})
    assert (done.returncode == 0) == (city == "Paris"), done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", [mark(name) for name in PROGRAMS])
def test_a_client_is_recorded_once(command: list[str], tmp_path: Path, name: str) -> None:
    assert_replays(tmp_path, lambda base_url, city, number: run(command, base_url, city=city, number=number))


def assert_replays(place: Path, talk: Callable[[str, str, int], str], *match: str, **switches: str) -> list[Any]:
    """Record a talk, replay it twice, change its prompt; returns what it heard."""
    cassette = place / "talk.yaml"
    with (
        Mock(scenario=SCENARIO, set=switches) as api,
        Proxy(mode="record", upstream=api.base_url, cassette=cassette) as proxy,
    ):
        heard = talk(proxy.base_url, "Paris", 1)
    assert json.loads(heard)
    for number in (1, 2):
        with Proxy(cassette=cassette, match=match) as proxy:
            again = talk(proxy.base_url, "Paris", number)
            assert (again, [miss.message for miss in proxy.misses], proxy.unused) == (heard, [], [])
    with Proxy(cassette=cassette, match=match) as proxy:
        talk(proxy.base_url, "Oslo", 2)
        first = proxy.misses[0].message
    assert "no recording asks this. Nearest: interaction " in first and PROMPTS in first, first
    assert "sk-somebody" not in cassette.read_text()
    return list(json.loads(heard))


# --- Codex ------------------------------------------------------------------------------------------------------------

# what Codex tells of itself: how long a tool took, and in which directory, on which day it runs
TIMES = r"-/Wall time [\d.]+ seconds/"
PLACE = r"-/<(cwd|root|current_date|timezone)>[^<]*/"


@pytest.mark.heavy
@pytest.mark.newest
@pytest.mark.parametrize("websocket", ["on", "off"])
def test_codex_is_recorded_once(codex_program: Path, tmp_path: Path, websocket: str) -> None:
    def talk(base_url: str, city: str, number: int) -> str:
        place = tmp_path / "codex"  # a new home in the same place, for Codex names files in there
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        codex = Codex(codex_program, place, f"sk-somebody-{number}")
        codex.work = codex.work.rename(place / f"work-{number}")
        codex.configure(base_url, "recipe")
        ran = [codex(f"What is the weather in {city}?")]
        if ran[0].status == 0:
            ran.append(codex("resume", "--last", "Say that again."))
        return json.dumps([[one.last, [item["text"] for item in one.all("reasoning")]] for one in ran])

    heard = assert_replays(tmp_path, talk, TIMES, PLACE, websocket=websocket)
    assert heard == [["It is mild.", ["A shell first."]], ["As I said.", []]]
