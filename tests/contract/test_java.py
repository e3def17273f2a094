"""Java's HTTP client, and so Spring's, asks for an upgrade to h2c, and is served all the same (RFC 9110 §7.8)."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.raw_http import exchange, request
from tests.support.serving import FROZEN, Served, serving

SOURCE = Path(__file__).with_name("java") / "Turns.java"
LIMIT_S = 600
TURNS = ({"model": "gpt-4.1", "input": "one"}, {"model": "gpt-4.1", "input": "two " * 5000}, {"input": 1})
UPGRADE = ("connection: upgrade, http2-settings, close", "upgrade: h2c", "http2-settings: AAMAAABkAAQAoAAA")


@pytest.fixture(scope="module")
def mock_and_proxy() -> Iterator[tuple[Served, Served]]:
    with serving(*FROZEN) as mock, serving("--mode", "forward", "--upstream", mock.base_url) as proxy:
        yield mock, proxy


@pytest.mark.heavy
@pytest.mark.parametrize("forwarded", [False, True], ids=["here", "forwarded"])
def test_turns_of_javas_client(forwarded: bool) -> None:
    java = shutil.which("java")
    assert java, "this test needs a JDK, such as Debian's default-jdk-headless"
    bodies = "\n".join(map(json.dumps, TURNS))
    with serving(*FROZEN) as mock:
        options = ("--mode", "forward", "--upstream", mock.base_url) if forwarded else FROZEN
        with serving(*options) as served:
            done = subprocess.run(
                [java, str(SOURCE), f"{served.base_url}/responses", bodies],
                capture_output=True,
                text=True,
                timeout=LIMIT_S,
            )
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first.startswith("200 HTTP_1_1 ") and "Mock reply to: one" in first
    assert second.startswith("200 HTTP_1_1 ") and "Mock reply to: two" in second
    assert third.startswith("400 HTTP_1_1 ")


@pytest.mark.parametrize("forwarded", [False, True], ids=["here", "forwarded"])
@pytest.mark.parametrize(
    "wish", [UPGRADE, ("connection: upgrade, close", "upgrade: websocket")], ids=["h2c", "websocket"]
)
def test_a_post_that_asks_for_an_upgrade_is_served(
    mock_and_proxy: tuple[Served, Served], forwarded: bool, wish: tuple[str, ...]
) -> None:
    answer = exchange(mock_and_proxy[forwarded].port, request("POST", "/v1/responses", TURNS[0], *wish))
    assert answer.status == 200
    assert answer.json["output"][0]["content"][0]["text"].startswith("Mock reply to: one")
