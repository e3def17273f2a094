"""The parameters of the semantics. Spec: R1.2."""

from __future__ import annotations

from dataclasses import replace

from mockserver.core.semantics import Semantics

RULES = Semantics(count=len, pieces=list, key=b"")


def test_R1_2_thirty_days_to_the_second() -> None:
    assert not RULES.is_expired(100, 100 + 30 * 86_400 - 1)
    assert RULES.is_expired(100, 100 + 30 * 86_400)


def test_R1_2_or_after_the_last_second() -> None:
    rules = replace(RULES, expiry_boundary="exclusive")
    assert not rules.is_expired(100, 100 + 30 * 86_400)
    assert rules.is_expired(100, 100 + 30 * 86_400 + 0.5)


def test_R1_2_zero_days_mean_never() -> None:
    assert not replace(RULES, response_ttl_days=0).is_expired(0, 1e12)
