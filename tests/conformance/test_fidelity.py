"""The table of changed rules: each is known, each has a test, and a test that fails is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockserver.conformance.rule_catalog import specification
from tests import fidelity


@pytest.mark.parametrize(("rule", "change"), fidelity.CHANGED)
def test_a_changed_rule_is_known_and_tested(rule: str, change: str) -> None:
    assert rule in specification(), f"{rule} is no rule"
    assert fidelity.tests_of_rules().get(rule), f"no test cites {rule}: {change}"


def test_a_rule_is_in_the_table_once() -> None:
    rules = [rule for rule, _ in fidelity.CHANGED]
    assert len(rules) == len(set(rules))


@pytest.mark.slow
def test_a_test_is_run_by_the_id_that_pytest_gives_it() -> None:
    """Also one that does not run is told, and not taken for one that passed."""
    here = "tests/conformance/test_fidelity.py"
    known, unknown = f"{here}::test_a_rule_is_in_the_table_once", f"{here}::test_of_nothing"
    assert fidelity.run([known]) == set()
    assert fidelity.run([unknown]) == {unknown}


def test_what_a_report_tells_of_is_not_run_again(tmp_path: Path) -> None:
    """A test of several parameters passes only if each of them does."""
    report, name = tmp_path / "report.xml", "tests.conformance.test_fidelity"
    report.write_text(
        f'<testsuites><testsuite><testcase classname="{name}" name="test_a"/>'
        f'<testcase classname="{name}" name="test_b[1]"/>'
        f'<testcase classname="{name}" name="test_b[2]"><failure/></testcase></testsuite></testsuites>'
    )
    good, bad = (f"tests/conformance/test_fidelity.py::{test}" for test in ("test_a", "test_b"))
    assert fidelity.run([good], report) >= {bad, f"{bad}[2]"} and good not in fidelity.run([good, bad], report)


def test_fixtures_of_errors_and_checks_of_the_kit_count_as_tests() -> None:
    found = fidelity.tests_of_rules()
    assert any(test.startswith(f"{fidelity.ROWS}[E102-") for test in found["E102"])
    assert any(test.startswith(f"{fidelity.CHECKS}[") for test in found["R13.4"])
