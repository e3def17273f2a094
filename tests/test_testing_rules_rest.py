"""Fixed rules of `rules_rest`: each holds on an engine."""

from __future__ import annotations

from tests.rule_suite import suite

test_rule = suite("rules_rest")
