"""What `conform` writes: rows, one JSON document, JUnit XML, a bar for terminals only."""

from __future__ import annotations

import io
import json
from xml.etree import ElementTree

from mockserver.testing.catalogue import Source
from mockserver.testing.report import Bar, Row, Target, as_json, as_junit, line, summary
from mockserver.testing.verdicts import FAILED, NOT_OBSERVABLE, PASSED

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
    }


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
    def isatty(self) -> bool:
        return True


def test_the_bar() -> None:
    quiet, shown = io.StringIO(), Terminal()
    for stream in (quiet, shown):
        bar = Bar(stream, 2)
        bar.show("R1.1")
        bar.clear()
        bar.show("R1.2")
    assert quiet.getvalue() == ""
    assert shown.getvalue() == "\r\x1b[K" + "·" * 30 + " 0/2 R1.1\r\x1b[K\r\x1b[K" + "█" * 15 + "·" * 15 + " 1/2 R1.2"
