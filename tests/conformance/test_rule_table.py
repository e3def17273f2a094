"""The table of rules, tests and verdicts: nothing is missing, and reading citations is no guess."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from mockserver.conformance.registry import fixed_rules
from mockserver.conformance.rule_catalog import catalogue
from mockserver.conformance.runner import FAILED, PASSED
from tests import rule_table
from tests.rule_table import UNCHECKED, Line, cited, expanded, named, shown


def test_every_rule_has_a_test_or_a_reason() -> None:
    assert [id for id, entry in catalogue().items() if not cited()[id] and not entry.why] == []


def test_a_reason_that_points_to_other_tests_is_true() -> None:
    promised = [id for id, entry in catalogue().items() if entry.why and "tests" in entry.why]
    assert promised
    assert [id for id in promised if not any(":" in test for test in cited()[id])] == []


def test_tests_cite_only_rules_that_there_are() -> None:
    known = set(catalogue())
    for path in sorted(rule_table.TESTS.glob("**/test_*.py")):
        if path.parent.name not in rule_table.KIT:
            unknown = {id for id, _ in rule_table.citations(path) if id not in known}
            assert not unknown, f"{path.name} cites {unknown}"


@pytest.mark.slow  # each fixed rule is checked once more; `test_checks.py` has checked them
def test_the_verdicts_are_those_of_the_fixed_rules(capsys: pytest.CaptureFixture[str]) -> None:
    lines = {line.id: line for line in rule_table.table()}
    checked = {id for rule in fixed_rules() for id in rule.ids}
    assert {id for id, line in lines.items() if line.verdict == UNCHECKED} == set(catalogue()) - checked
    assert not [id for id, line in lines.items() if line.verdict == FAILED]
    assert lines["R1.24"].verdict == PASSED
    assert lines["R1.24"].tests[0] == "chains: rule[R1.24]"
    assert "core/lineage: R1_24_unknown_parent" in lines["R1.24"].tests
    assert rule_table.main() == 0
    printed = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in printed[1 : len(lines) + 1]] == list(catalogue())
    assert printed[-1].startswith(f"{len(lines)} rules, {len(checked)} checked, ")


@pytest.mark.parametrize(
    ("text", "rules"),
    [
        ("R1.24.", ["R1.24"]),
        ("R3.1–R3.6, R2.14", ["R3.1", "R3.2", "R3.3", "R3.3b", "R3.4", "R3.5", "R3.6", "R2.14"]),
        ("R1.14 – R1.20", ["R1.14", "R1.20"]),
        ("R4.1 (switch), R0.7", ["R4.1", "R0.7"]),
        ("X1, X2, WE4 and E60", ["X1", "X2", "WE4"]),
        ("E60, T4, MAX1, WE", []),
    ],
)
def test_expanding_citations(text: str, rules: list[str]) -> None:
    assert expanded(text) == rules


@pytest.mark.parametrize(
    ("name", "rules"),
    [
        ("test_R1_24_unknown_parent", ["R1.24"]),
        ("test_R1_11_and_12_and_14_deletion", ["R1.11", "R1.12", "R1.14"]),
        ("test_R2_9_and_R2_13_the_lock", ["R2.9", "R2.13"]),
        ("test_S8g_and_R7_6_max_output_tokens", ["R7.6"]),
        ("test_R3_3b_stays", ["R3.3b"]),
        ("test_R1_2", ["R1.2"]),
        ("test_T10_costs", []),
        ("test_HR1_2_x", []),
        ("test_X5_an_orphan", ["X5"]),
        ("test_WE1_WE2_to_the_byte", ["WE1", "WE2"]),
    ],
)
def test_names(name: str, rules: list[str]) -> None:
    assert named(name) == rules


def test_where_a_file_cites(tmp_path: Path) -> None:
    path = tmp_path / "test_x.py"
    path.write_text(
        '"""A file. Spec: R1.1–R1.3,\nR2.1."""\nROWS = ["R2.17-image", "not R2.18"]\n'
        'def test_R3_1_pages():\n    """Spec: R3.2."""\n    assert 1, "R3.5: why"\n'
        'def helper_R3_6():\n    """Spec: R3.6."""\n'
    )
    ast.parse(path.read_text())
    file = f"{tmp_path.name}/x"
    assert set(rule_table.citations(path)) == {
        ("R3.1", f"{file}: R3_1_pages"),
        ("R3.2", f"{file}: R3_1_pages"),
        ("R3.5", f"{file}: R3_1_pages"),
        ("R2.17", f"{file}: a row"),
        *((id, file) for id in ("R1.1", "R1.2", "R1.3", "R2.1")),
    }


def test_lines() -> None:
    tests = tuple(f"x: t{number}" for number in range(6))
    assert shown(Line("R1.1", PASSED, tests, None)) == "R1.1    passed     6  x: t0, x: t1, x: t2, x: t3, …"
    assert shown(Line("R1.10", UNCHECKED, (), "advice")) == "R1.10   –          0  advice"
