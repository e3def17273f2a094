"""Known failures and two reports: what is new is told apart from what is mended."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mockserver.conformance.comparison import Unreadable, compare, expect, read_expected, read_report
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED


def report(path: Path, **verdicts: str) -> str:
    rules = [{"id": id.replace("_", "."), "verdict": verdict} for id, verdict in verdicts.items()]
    path.write_text(json.dumps({"rules": rules}))
    return str(path)


def test_a_list_of_known_failures_has_remarks(tmp_path: Path) -> None:
    listed = tmp_path / "known.txt"
    listed.write_text("R1.1\n# of last week\nR2.3 R2.4  # two\n\n")
    assert read_expected(str(listed)) == {"R1.1", "R2.3", "R2.4"}


def test_a_report_is_a_list_of_its_failures(tmp_path: Path) -> None:
    assert read_expected(report(tmp_path / "a.json", R1_1=FAILED, R1_2=PASSED, R1_3=NOT_OBSERVABLE)) == {"R1.1"}


@pytest.mark.parametrize("content", ['{"rules": 1}', "{", '{"rules": [{"id": "R1.1"}]}'])
def test_what_is_no_report_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "x.json"
    path.write_text(content)
    for read in (read_expected, read_report):
        with pytest.raises(Unreadable, match="no report"):
            read(str(path))


def test_new_and_mended_are_told_apart() -> None:
    verdicts = [("R1.1", FAILED), ("R1.2", FAILED), ("R1.3", PASSED), ("R1.4", NOT_OBSERVABLE), ("R1.5", PASSED)]
    found = expect(verdicts, frozenset({"R1.2", "R1.3", "R1.4", "R9.9"}))
    assert found == (("R1.1",), ("R1.3",))
    assert found.told() == ["new: R1.1", "mended, no longer to be expected: R1.3"]
    assert expect([("R1.2", FAILED)], frozenset({"R1.2"})).told() == []


def test_two_reports_side_by_side(tmp_path: Path) -> None:
    before = read_report(
        report(tmp_path / "a.json", R1_1=FAILED, R1_2=PASSED, R1_3=PASSED, R1_4=NOT_OBSERVABLE, R2_1=PASSED)
    )
    after = read_report(
        report(
            tmp_path / "b.json", R1_1=PASSED, R1_2=FAILED, R1_3=NOT_OBSERVABLE, R1_4=PASSED, R2_1=PASSED, R3_1=FAILED
        )
    )
    lines, worse = compare(before, after)
    assert worse
    assert lines == [
        "input items    0/0 -> 0/1",
        "fails now: R1.2 R3.1",
        "mended: R1.1",
        "observable now: R1.4",
        "no longer observable: R1.3",
    ]
    assert compare(before, before) == (["no difference"], False)
