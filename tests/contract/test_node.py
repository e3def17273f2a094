"""OpenAI's client for node takes in every body and every stream: nothing throws, all ways end in the same output."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.environments import OPENAI_NODE
from tests.support.scripted_items import INCLUDE, REPLIES
from tests.support.serving import KEY, serving

JUDGE = Path(__file__).with_name("node") / "judge.mjs"
LIMIT_S = 600


@pytest.mark.newest
def test_the_client_for_node_takes_in_everything(node_client: Path) -> None:
    scripts = {
        name: reply for name, reply in REPLIES.items() if "failed" not in reply
    }  # its streams throw, as they must
    question = {"scripts": scripts, "model": "gpt-5.6-terra", "include": list(INCLUDE)}
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    with serving("--seed", "7") as mock:
        told = {"OPENAI_BASE_URL": mock.base_url, "OPENAI_API_KEY": KEY, "UNDERSTUDY_CONTROL": mock.origin}
        done = subprocess.run(
            ["node", str(JUDGE), str(node_client)],
            input=json.dumps(question),
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            env={**inherited, "NO_PROXY": "127.0.0.1", **told},
        )
    assert done.returncode == 0, done.stdout + done.stderr
    *complaints, last = done.stdout.splitlines()
    assert complaints == []
    assert last.startswith(f"judged {len(scripts)} scripts, ")
    assert last.endswith(f" openai-node {OPENAI_NODE.version}")
    print(last)
