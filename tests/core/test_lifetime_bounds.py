"""How long a response lives. Spec: R1.2."""

from __future__ import annotations

from dataclasses import replace

from mockserver.core.lineage import has_lived
from mockserver.core.semantics import Semantics

RULES = Semantics(count=len, pieces=list, key=b"")


def test_R1_2_thirty_days_to_the_second() -> None:
    assert not has_lived(100, RULES, 100 + 30 * 86_400 - 1)
    assert has_lived(100, RULES, 100 + 30 * 86_400)


def test_R1_2_or_after_the_last_second() -> None:
    rules = replace(RULES, expiry_boundary="exclusive")
    assert not has_lived(100, rules, 100 + 30 * 86_400)
    assert has_lived(100, rules, 100 + 30 * 86_400 + 0.5)


def test_R1_2_zero_days_mean_never() -> None:
    assert not has_lived(0, replace(RULES, response_ttl_days=0), 1e12)
