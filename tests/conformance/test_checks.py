"""The fixed rules as tests: each holds on an engine, those about bytes and headers on a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mockserver.conformance.drivers import EngineDriver, HTTPDriver
from mockserver.conformance.registry import Rule, fixed_rules
from mockserver.conformance.runner import PASSED, judge
from tests.support.serving import serving

NETWORK = [rule for rule in fixed_rules() if "network" in rule.needs]
OTHERS = [rule for rule in fixed_rules() if rule not in NETWORK]
CONNECTED = [rule for rule in OTHERS if {"websocket", "model clock"} & {*rule.needs}]


@pytest.fixture(scope="module")
def served() -> Iterator[HTTPDriver]:
    with serving() as running:
        driver = HTTPDriver(running.base_url)
        yield driver
        driver.close()


@pytest.mark.parametrize("rule", OTHERS, ids=lambda rule: rule.id)
def test_rule(rule: Rule) -> None:
    engine = EngineDriver()
    verdict = judge(rule, engine)
    engine.close()
    assert verdict.verdict == PASSED, f"{rule.id}: {verdict.evidence}"


@pytest.mark.parametrize("rule", [*NETWORK, *CONNECTED], ids=lambda rule: rule.id)
def test_rule_over_a_network(rule: Rule, served: HTTPDriver) -> None:
    verdict = judge(rule, served)
    assert verdict.verdict == PASSED, f"{rule.id}: {verdict.evidence}"
