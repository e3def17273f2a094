"""Fixed rules of `rules_validation`: each holds on an engine."""

from __future__ import annotations

from tests.rule_suite import suite

test_rule = suite("rules_validation")
