"""A user's code for type checkers: what is right, deliberate mistakes with the numbers of their lines, the recipes."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

from tests.docs.pages import EXAMPLES

FOREIGN = {"test_agents.py", "test_pydantic_ai.py", "test_langchain.py"}  # need clients that are not installed here

RIGHT = """
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from unittest.mock import ANY

from mockserver import Mock, Prompt, error, function_call

Mock(seed=7, clock="2026-11-20T12:00:00Z", pacing=(0.3, 60), set={"done_sentinel": "on"}, scenario="a.yaml")
Mock(clock=datetime(2026, 11, 20), scenario=[Path("a.yaml")], api_key=["a", "b"], strict=True, journal=0)
Mock(scenario={"lines": []}, model=lambda prompt: "text", set=["zdr=on"], snapshot=None)


class Model:
    def respond(self, prompt: Prompt) -> list[str]:
        return ["one", prompt.transport]


def use(mock: Mock) -> Iterator[str]:
    mock.reply("text", function_call("f", {}), ["text", function_call("f")], error("rate_limit_exceeded"), {"json": 1})
    mock.script([{"when": {"turn": 1}, "reply": {"text": "a"}}])
    mock.faults.add("cut", at={"bytes": 3}, path="/v1/responses")
    mock.faults.add({"delay": 0.5}, times=1)
    mock.journal.assert_sent(input=re.compile("a"), tools=ANY, store=None)
    mock.allow_default()
    mock.reset("state", "journal")
    if (context := mock.journal.last.context) is not None:
        yield from context.texts
    yield from mock.journal.turns.last.context.texts
    yield from mock.journal.turns.filter(status=200)[0].context.texts


Mock(model=Model())
"""

# each line with its own number
WRONG = """
from mockserver import Mock, message

mock = Mock()
Mock(sed=7)  # 5
Mock(seed="7")  # 6
Mock(port=0)  # 7
mock.faults.add("cutt")  # 8
mock.journal.last.context.texts  # 9
mock.journal[0].context.texts  # 10
mock.journal.turns.last.context.text  # 11
mock.reply(7)  # 12
mock.reply(message(7))  # 13
mock.reset("stat")  # 14
mock.clock.advance(day=1)  # 15
mock.journal.filter(stat=200)  # 16
Mock(model="text")  # 17
mock.play(7)  # 18
"""


def lines_of(lines: Iterable[str], pattern: str) -> list[int]:
    """The numbers of lines that a pattern finds, in order, each once."""
    found = (re.match(pattern, line) for line in lines)
    return sorted({int(match[1]) for match in found if match})


def recipes(place: Path) -> list[str]:
    """Copy the recipes in Python to a directory; returns the names of those that need no other client."""
    files = [path for path in EXAMPLES.rglob("*.py") if path.name not in FOREIGN]
    for path in files:
        shutil.copy(path, place)
    return sorted(path.name for path in files)
