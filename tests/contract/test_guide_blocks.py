"""The ten blocks of the guide on conversation state, five in each language, run as users run them.

The conversation that the guide names is there because the server's scenario begins with it. Spec: R15.7.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import Served, serving

CONTRACT = Path(__file__).parent
CONVERSATION = "conv_689667905b048191b4740501625afd940c7533ace33a2dab"
EARLIER = {"role": "user", "content": "Hello."}
GIVEN = {"given": {"conversations": [{"id": CONVERSATION, "items": [EARLIER]}]}, "lines": []}
LIMIT_S = 600
DODGEBALL = "What are the 5 Ds of dodgeball?"
PRINTED = [
    "Mock reply to: Orange. [3 items in context]",
    "Mock reply to: tell me a joke [1 items in context]",
    "Mock reply to: tell me another [3 items in context]",
    "conv_",
    f"Mock reply to: {DODGEBALL} [2 items in context]",
    "Mock reply to: tell me a joke [1 items in context]",
    "Mock reply to: explain why this is funny. [3 items in context]",
]
SEEN = [
    ["knock knock.", "Who's there?", "Orange."],
    ["tell me a joke"],
    ["tell me a joke", PRINTED[1], "tell me another"],
    ["Hello.", DODGEBALL],
    ["tell me a joke"],
    ["tell me a joke", PRINTED[5], "explain why this is funny."],
]


@pytest.fixture(scope="module")
def mock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A mock in which every project has the guide's conversation."""
    scenario = tmp_path_factory.mktemp("guide") / "guide.json"
    scenario.write_text(json.dumps(GIVEN))
    with serving("--scenario", str(scenario)) as served:
        yield served


@pytest.mark.newest
@pytest.mark.parametrize("client", ["openai 3", "openai 2", "node"])
def test_the_blocks_run_as_written(client: str, mock: Served, clients: Mapping[int, Path], node_client: Path) -> None:
    program = {
        "openai 3": [str(clients[3]), str(CONTRACT / "guide_blocks.py")],
        "openai 2": [str(clients[2]), str(CONTRACT / "guide_blocks.py")],
        "node": ["node", str(CONTRACT / "node" / "guide_blocks.mjs"), str(node_client)],
    }[client]
    key = f"blocks-{client}"
    printed = run(program, mock, key)
    assert [line.startswith(wanted) for line, wanted in zip(printed, PRINTED, strict=True)] == [True] * len(PRINTED)
    turns = mock.control("GET", "/journal?path=/v1/responses&context=full", key=key)["data"]
    assert [[text_of(item) for item in turn["context"]["items"]] for turn in turns] == SEEN
    stored = mock.control("GET", "/responses", key=key)["data"]
    assert len(stored) == 4, "two of the six turns were not to be stored"
    items = mock.request("GET", f"/v1/conversations/{CONVERSATION}/items?order=asc", key=key).json["data"]
    assert [text_of(item) for item in items] == ["Hello.", DODGEBALL, PRINTED[4]]


def text_of(item: Mapping[str, Any]) -> str:
    return "".join(part["text"] for part in item["content"])


def run(program: list[str], mock: Served, key: str) -> list[str]:
    """Run a program to its end as the project of a key; returns the lines that it printed."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    told = {"OPENAI_BASE_URL": mock.base_url, "OPENAI_API_KEY": key, "NO_PROXY": "127.0.0.1"}
    environment = {**inherited, **told, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(program, capture_output=True, text=True, timeout=LIMIT_S, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()
