"""What `conform` writes: rows, one JSON document, JUnit XML, progress for terminals only."""

from __future__ import annotations

import io
import json
import re
import sys
from xml.etree import ElementTree

import pytest

from mockserver.conformance.report import Report, Row, Target, as_json, as_junit, line, summary
from mockserver.conformance.rule_catalog import Source
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED

ROWS = [
    Row("R1.1", PASSED, "It is kept.", "claim " * 50, 0.25, (Source("a guide", "https://x.test"),), "B"),
    Row("R1.2", FAILED, "It goes <away>.", "expected 404,\nfound \x00200 " + "x" * 300, 0.5),
    Row("R2.1", NOT_OBSERVABLE, "It is dark.", "needs light"),
]
TARGET = Target("http://s.test/v1", "m", False)


def test_the_table() -> None:
    assert line(ROWS[2]) == "R2.1     not observable  It is dark.\n                         needs light"
    passed, failed = line(ROWS[0]), line(ROWS[1])
    assert passed.startswith("R1.1     passed          It is kept.\n") and passed.endswith("…")
    assert failed.endswith("x" * 300), "what failed is shown whole"
    assert failed.count("\n") == 2
    assert summary(ROWS) == "1 passed, 1 failed, 1 not observable"


def test_json() -> None:
    told = json.loads(as_json(ROWS, TARGET))
    assert told["summary"] == {"passed": 1, "failed": 1, "not observable": 1}
    assert (told["base_url"], told["model"], told["server"]) == ("http://s.test/v1", "m", "other")
    assert told["rules"][0] == {
        "id": "R1.1",
        "verdict": "passed",
        "sentence": "It is kept.",
        "evidence": "claim " * 50,
        "seconds": 0.25,
        "sources": [{"name": "a guide", "url": "https://x.test"}],
        "confidence": "B",
        "profile": None,
        "lacks": None,
        "topic": "storage",
    }
    assert told["topics"]["storage"] == {"passed": 1, "failed": 1, "hidden": 0}


def test_junit() -> None:
    suite = ElementTree.fromstring(as_junit(ROWS, TARGET))
    counted = [suite.get(name) for name in ("tests", "failures", "errors", "skipped")]
    assert counted == ["3", "1", "0", "1"]
    cases = suite.findall("testcase")
    assert [case.get("classname") for case in cases] == ["conform.R1", "conform.R1", "conform.R2"]
    assert cases[1].get("name") == "R1.2 It goes <away>."
    failure, skipped = cases[1].find("failure"), cases[2].find("skipped")
    assert failure is not None and failure.get("message") == "expected 404,"
    assert skipped is not None and skipped.get("message") == "needs light"


class Terminal(io.StringIO):
    """A stream that says it is a terminal, 60 columns wide."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def streams(monkeypatch: pytest.MonkeyPatch) -> dict[str, io.StringIO]:
    """Both streams of the process, by name; a test puts terminals in their place."""
    for name, value in (("COLUMNS", "60"), ("TERM", "xterm"), ("FORCE_COLOR", "1")):
        monkeypatch.setenv(name, value)
    for name in ("NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    return {"stdout": io.StringIO(), "stderr": io.StringIO()}


def write_rows(monkeypatch: pytest.MonkeyPatch, streams: dict[str, io.StringIO], *, rows_shown: bool = True) -> None:
    """Report all rows to these streams."""
    for name, stream in streams.items():
        monkeypatch.setattr(sys, name, stream)
    with Report(len(ROWS), rows_shown=rows_shown) as report:
        for row in ROWS:
            report.begin(row.id)
            report.add(row)


def test_a_pipe_gets_plain_lines_and_no_progress(
    monkeypatch: pytest.MonkeyPatch, streams: dict[str, io.StringIO]
) -> None:
    write_rows(monkeypatch, streams)
    assert streams["stdout"].getvalue() == "".join(f"{line(row)}\n" for row in ROWS)
    assert streams["stderr"].getvalue() == ""


def test_a_terminal_gets_colours_its_own_width_and_progress(
    monkeypatch: pytest.MonkeyPatch, streams: dict[str, io.StringIO]
) -> None:
    streams["stdout"] = Terminal()
    write_rows(monkeypatch, streams)
    written = streams["stdout"].getvalue()
    assert "\x1b[1;31mfailed" in written and "\x1b[32mpassed" in written
    assert "3/3" in written, "the progress"
    assert streams["stderr"].getvalue() == ""
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written)
    assert max(len(part) for part in re.split(r"[\r\n]", plain)) <= 60


def test_rows_for_a_file_leave_the_progress_to_the_terminal(
    monkeypatch: pytest.MonkeyPatch, streams: dict[str, io.StringIO]
) -> None:
    streams["stderr"] = Terminal()
    write_rows(monkeypatch, streams)
    assert streams["stdout"].getvalue() == "".join(f"{line(row)}\n" for row in ROWS)
    assert "3/3" in streams["stderr"].getvalue()


def test_json_has_no_rows_before_it(monkeypatch: pytest.MonkeyPatch, streams: dict[str, io.StringIO]) -> None:
    streams["stdout"] = Terminal()
    write_rows(monkeypatch, streams, rows_shown=False)
    assert streams["stdout"].getvalue() == ""
