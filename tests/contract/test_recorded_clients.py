"""Each client is recorded once through the proxy and replayed with its upstream gone, by the same program.

Then the program runs with other ids, users, metadata and another key, and hears the same. Then it asks about another
city: that is a miss, and the message names what differs.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from mockserver import Mock
from proxy import Proxy
from tests.support.codex import Codex
from tests.support.talks import SCENARIO, command_of, run_talk

PROMPTS = 'recorded "What is the weather in Paris?", sent "What is the weather in Oslo?"'


@pytest.mark.parametrize(
    "name", [pytest.param("openai3", marks=pytest.mark.newest), "openai3-async", "openai2", "openai2-async"]
)
def test_openai_python(clients: Mapping[int, Path], tmp_path: Path, name: str) -> None:
    assert_program_replays(name, clients[int(name[6])], tmp_path)


@pytest.mark.newest
def test_openai_node(node_client: Path, tmp_path: Path) -> None:
    assert_program_replays("openai-node", node_client, tmp_path)


@pytest.mark.newest
def test_openai_agents(agents_python: Path, tmp_path: Path) -> None:
    assert_program_replays("openai-agents", agents_python, tmp_path)


@pytest.mark.heavy
@pytest.mark.newest
def test_pydantic_ai(frameworks: Path, tmp_path: Path) -> None:
    assert_program_replays("pydantic-ai", frameworks, tmp_path)


def assert_program_replays(name: str, found: Path, place: Path) -> None:
    """Check a program; `found` is its interpreter, or the directory of its packages."""
    command = command_of(name, found)
    assert_replays(place, lambda base_url, city, number: run_talk(command, base_url, city=city, number=number))


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
def test_codex(codex_program: Path, tmp_path: Path, websocket: str) -> None:
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
