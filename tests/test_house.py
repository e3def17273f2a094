"""The figures of the house: what counts as a participle, a comment, a climb."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import house

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    "name", ["judged", "_told", "known_line", "made_by_model", "stored_item", "admitted_items", "behind", "_whole"]
)
def test_participles_and_adverbs_are_found(name: str) -> None:
    assert house.is_participle(name)


@pytest.mark.parametrize(
    "name", ["feed", "need", "seed", "read", "cut", "read_stored", "is_stored", "has_ended", "assert_sent", "__enter__"]
)
def test_verbs_and_queries_are_not_counted(name: str) -> None:
    assert not house.is_participle(name)


def test_errors_and_checks_may_be_named_by_what_is_wrong(tmp_path: Path) -> None:
    file = tmp_path / "rules_tokens.py"
    file.write_text(
        "def conversation_locked() -> APIError: ...\n@fixed('R1.1')\ndef _what_is_billed(s): ...\ndef billed(): ...\n"
    )
    assert [node.name for node in house.badly_named(file)] == ["billed"]


def test_length_counts_decorators(tmp_path: Path) -> None:
    file = tmp_path / "a.py"
    file.write_text("@cache\ndef a():\n    # why\n    return 1  # one\n")
    assert [house.length(node) for node in house.functions(file)] == [4]
    assert house.count_comments(file) == 2


def test_every_source_file_is_in_a_known_room() -> None:
    for path in house.sources(ROOT):
        assert house.room_of(path.relative_to(ROOT).as_posix()) in house.LEVELS


@pytest.mark.slow  # five walks through the house, each call of which is noted
def test_the_figures_of_this_tree() -> None:
    command = [sys.executable, "-m", "tests.house", "--json"]
    figures = json.loads(subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE).stdout)
    for name, walk in figures["walks"].items():
        assert walk["calls"] >= walk["files"] > 0, name
    assert figures["functions"] > 1000 and figures["citations"] > 500
    assert house.missed_aims(figures) == []
    assert house.missed_aims({**figures, "comment share": 0.5}) == ["comment share: 0.5, aim ≥ 4"]
