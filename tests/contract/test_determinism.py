"""Same seed, same clock, same requests: the same bytes, whatever the client. Spec: R15.6."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.support.client_programs import run_guide
from tests.support.serving import serving

NOON = "2026-11-20T12:00:00Z"
ID = re.compile(r'"((?:resp|msg|rs|fc|ctc|ctco|conv|call)_[0-9A-Za-z]{24,})"')
MADE_UP = frozenset({"resp_" + "0" * 50})  # an id that the guide itself invents


def exchanges(python: Path, file: Path, *options: str, seed: int) -> list[dict[str, Any]]:
    """Run the guide against a fresh server and return all that was answered."""
    with serving("--clock", NOON, "--seed", str(seed)) as mock:
        done = run_guide(python, mock.base_url, mock.origin, *options, "--dump", str(file), key="same")
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(file.read_text())


def ids(of: list[dict[str, Any]]) -> set[str]:
    """Return all ids in the answers."""
    return {found for one in of for found in ID.findall(one["body"])} - MADE_UP


@pytest.fixture(scope="module")
def recorded(clients: Mapping[int, Path], tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return exchanges(clients[3], tmp_path_factory.mktemp("guide") / "first.json", seed=7)


def test_the_record_is_complete(recorded: list[dict[str, Any]]) -> None:
    assert len(recorded) > 150 and len(ids(recorded)) > 150
    streams = [one["body"] for one in recorded if one["body"].startswith("event: ")]
    assert len(streams) >= 5 and all("event: response.completed\n" in body for body in streams)
    assert {200, 400, 404} == {one["status"] for one in recorded}


@pytest.mark.parametrize(("openai", "options"), [(3, ()), (3, ("--async",)), (2, ("--async", "--strict"))])
def test_same_bytes(
    recorded: list[dict[str, Any]],
    clients: Mapping[int, Path],
    tmp_path: Path,
    openai: int,
    options: tuple[str, ...],
) -> None:
    again = exchanges(clients[openai], tmp_path / "again.json", *options, seed=7)
    for first, second in zip(recorded, again, strict=True):
        assert second == first


def test_another_seed_gives_other_ids(
    recorded: list[dict[str, Any]], clients: Mapping[int, Path], tmp_path: Path
) -> None:
    other = exchanges(clients[3], tmp_path / "other.json", seed=8)
    assert len(other) == len(recorded) and len(ids(other)) == len(ids(recorded))
    assert not ids(other) & ids(recorded)
