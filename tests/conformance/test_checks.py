"""The fixed rules as tests: each holds on an engine."""

from __future__ import annotations

import pytest

from mockserver.conformance.drivers import EngineDriver
from mockserver.conformance.registry import Rule, fixed_rules
from mockserver.conformance.runner import PASSED, judge


@pytest.mark.parametrize("rule", fixed_rules(), ids=lambda rule: rule.id)
def test_rule(rule: Rule) -> None:
    engine = EngineDriver()
    verdict = judge(rule, engine)
    engine.close()
    assert verdict.verdict == PASSED, f"{rule.id}: {verdict.evidence}"
