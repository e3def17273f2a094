"""The report for a pull request shows what a foreign server said and runs none of it; the badge has a colour."""

from __future__ import annotations

import json

import pytest

from mockserver.conformance.markdown import as_badge, as_markdown
from mockserver.conformance.report import Row, Target, scoreboard
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED

TARGET = Target("http://s.test/v1", "m", False, "state")
ROWS = [
    Row("R1.1", PASSED, "It is kept.", "claims"),
    Row("R1.24", FAILED, "It goes.", "found <b>|x|</b>\n`y`" + "z" * 900),
    Row("R1.11", NOT_OBSERVABLE, "It is deleted.", "no DELETE", lacks="delete"),
    Row("R1.12", NOT_OBSERVABLE, "It is deleted.", "no DELETE", lacks="delete"),
    Row("R3.1", NOT_OBSERVABLE, "It is paged.", "no input_items", lacks="input items"),
]
LACKS = {"delete": "DELETE /responses/{id} answers 405"}


def test_markdown() -> None:
    text = as_markdown(ROWS, TARGET, LACKS)
    assert "## Conformance: profile state\n" in text
    assert "| storage | 1 | 0 | 2 | 100 % |" in text and "| chains | 0 | 1 | 0 | 0 % |" in text
    assert "| input items | 0 | 0 | 1 | – |" in text
    failed = next(line for line in text.splitlines() if "R1.24" in line)
    assert r"\<b\>\|x\|\</b\> \`y\`" in failed and len(failed) < 700
    assert r"* no DELETE on responses (DELETE /responses/\{id\} answers 405): 2 rules not observable" in text
    assert r"* no input\_items of responses: 1 rule not observable" in text
    assert "* 2 of 5 observable; 2 need nothing that the server lacks" in text


def test_markdown_of_what_is_right_has_topics_only() -> None:
    assert "###" not in as_markdown(ROWS[:1], TARGET, {})


def test_the_end_of_the_table_has_a_line_for_each_capability() -> None:
    lines = scoreboard(ROWS, LACKS)
    assert lines[1].split() == ["storage", "1", "0", "2", "100", "%"]
    assert lines[-3] == "no DELETE on responses (DELETE /responses/{id} answers 405): 2 rules not observable"
    assert lines[-2] == "no input_items of responses: 1 rule not observable"
    assert lines[-1] == "2 of 5 observable; 2 need nothing that the server lacks"


@pytest.mark.parametrize(
    ("passed", "failed", "colour"),
    [(3, 0, "brightgreen"), (9, 1, "green"), (3, 1, "yellow"), (1, 1, "orange"), (1, 9, "red"), (0, 0, "red")],
)
def test_the_badge(passed: int, failed: int, colour: str) -> None:
    rows = [Row("R1.1", PASSED, "", "")] * passed + [Row("R1.2", FAILED, "", "")] * failed
    badge = json.loads(as_badge([*rows, *ROWS[2:]], TARGET))
    message = f"{passed}/{passed + failed}"
    assert badge == {"schemaVersion": 1, "label": "responses state", "message": message, "color": colour}
