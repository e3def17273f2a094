"""The README's chapter on tests does what it says: every block of it is run here."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import mockserver
from mockserver import Mock
from mockserver.testing import items

pytest_plugins = ["pytester"]

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CHAPTER = README.partition("\n## In your tests\n")[2].partition("\n## ")[0]
BLOCKS = re.findall(r"```python\n(.*?)```", CHAPTER, re.S)
PROGRAMS = [block for block in BLOCKS if "def test_" not in block]
FILES = [block for block in BLOCKS if "def test_" in block]
SCENARIO = """
lines:
  - when: {last_item: function_call_output}
    reply: {text: 18 degrees in Paris.}
  - reply: {output: [{type: function_call, name: get_weather, arguments: {city: Paris}}]}
"""


def test_there_are_no_other_blocks() -> None:
    assert (len(PROGRAMS), len(FILES)) == (3, 1)
    assert set(re.findall(r"^```(\w+)$", CHAPTER, re.M)) == {"python"}


@pytest.mark.parametrize("program", PROGRAMS, ids=["server", "items", "transports"])
def test_programs_print_what_they_say(program: str) -> None:
    command = [sys.executable, "-W", "error", "-W", "ignore::ResourceWarning", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == re.findall(r"^ *print\(.*\)  # (.*)$", program, re.M)


def test_test_files_pass(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(FILES[0])
    pytester.makefile(".yaml", weather=SCENARIO)
    found = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=60)
    found.assert_outcomes(passed=2)


def test_every_name_is_there() -> None:
    said = set(re.findall(r"`(\w+)(?:\(|`)", CHAPTER))
    assert {name for name in mockserver.__all__ if hasattr(items, name) and name[0].islower()} <= said
    members = {name for name in dir(Mock) if name[0] != "_"} - {"close", "tenant"}
    assert members <= said
