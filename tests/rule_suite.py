"""The fixed rules as tests: each of a module's rules has to pass on an engine."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import pytest

from mockserver.testing.driver import EngineDriver
from mockserver.testing.rules import Rule, rules_of
from mockserver.testing.verdicts import PASSED, judge


def suite(name: str) -> Callable[[Rule], None]:
    """Return a test with one case per rule of a module."""
    rules = rules_of(import_module(f"mockserver.testing.{name}"))

    @pytest.mark.parametrize("rule", rules, ids=[rule.id for rule in rules])
    def test_rule(rule: Rule) -> None:
        engine = EngineDriver()
        verdict = judge(rule, engine)
        engine.close()
        assert verdict.verdict == PASSED, f"{rule.id}: {verdict.evidence}"

    return test_rule
