"""Verdicts: what becomes of a check that passes, fails, breaks, or can't see."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from mockserver.conformance.drivers import EngineDriver
from mockserver.conformance.registry import Rule
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED, judge, judge_all
from mockserver.conformance.server_under_test import NotObservable, ServerUnderTest


def passes(s: ServerUnderTest) -> None:
    s.check_equal("two and two", 2 + 2, 4)
    s.check("the sky is blue", True)


def fails(s: ServerUnderTest) -> None:
    s.check_equal("two and two", 2 + 2, 5)


def breaks(s: ServerUnderTest) -> None:
    raise ZeroDivisionError("by nothing")


def lacks(s: ServerUnderTest) -> None:
    s.create()["usage"]["nothing"]


def blind(s: ServerUnderTest) -> None:
    raise NotObservable("it is dark")


@pytest.mark.parametrize(
    ("check", "verdict", "evidence"),
    [
        (passes, PASSED, "two and two: 4; the sky is blue"),
        (fails, FAILED, "two and two: expected 5, found 4"),
        (breaks, FAILED, "ZeroDivisionError: by nothing"),
        (lacks, FAILED, "an answer lacks the member 'nothing'"),
        (blind, NOT_OBSERVABLE, "it is dark"),
    ],
)
def test_verdicts(check: Callable[[ServerUnderTest], None], verdict: str, evidence: str) -> None:
    found = judge(Rule(("R0.1",), check), EngineDriver())
    assert (found.id, found.verdict, found.evidence) == ("R0.1", verdict, evidence)
    assert found.seconds >= 0


def test_a_rule_of_several_ids_is_checked_once_and_reported_for_each() -> None:
    called: list[str] = []

    def check(s: ServerUnderTest) -> None:
        called.append(s.model)

    found = list(judge_all([Rule(("R0.1", "R0.2"), check)], EngineDriver(), "m"))
    assert ([one.id for one in found], called) == (["R0.1", "R0.2"], ["m"])
