"""Judge a server by the fixed rules: every rule gives a verdict with evidence, whatever the server does."""

# What must stay true:
# * A rule never raises and never stops the others: whatever a foreign server does becomes a verdict with
#   evidence.
# * `not observable` is no failure. It says that this server can't show the rule (no clock, no script, no such
#   model), and the exit status does not count it.
# * Each rule has a project of its own, so that rules can't disturb each other, and any one of them can be run
#   alone.

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mockserver.conformance.drivers import Driver, HTTPDriver
from mockserver.conformance.registry import NEEDS, Rule
from mockserver.conformance.server_under_test import NotObservable, ServerUnderTest

PASSED, FAILED, NOT_OBSERVABLE = "passed", "failed", "not observable"
DEFAULT_MODEL = "gpt-4.1"


class Verdict(NamedTuple):
    """The outcome of a rule: passed, failed or not observable; the evidence; its duration in seconds."""

    id: str
    verdict: str
    evidence: str
    seconds: float = 0.0


def judge(rule: Rule, driver: Driver, model: str = DEFAULT_MODEL) -> Verdict:
    """Check one rule, in a project of its own where the server has projects; never raises."""
    started = time.perf_counter()
    verdict, evidence = _run_rule(rule, driver, model)
    return Verdict(rule.id, verdict, evidence, time.perf_counter() - started)


def judge_all(rules: Iterable[Rule], driver: Driver, model: str = DEFAULT_MODEL) -> Iterator[Verdict]:
    """Check rules one after the other; a rule with several ids gives a verdict for each."""
    for rule in rules:
        verdict = judge(rule, driver, model)
        for id in rule.ids:
            yield verdict._replace(id=id)


def _run_rule(rule: Rule, driver: Driver, model: str) -> tuple[str, str]:
    hidden = [NEEDS[need] for need in rule.needs if not driver.controls]
    if hidden:
        return NOT_OBSERVABLE, ", ".join(hidden)
    opened: list[Driver] = []
    try:
        for name in rule.models:
            if driver.call("GET", f"/models/{name}").status != 200:
                return NOT_OBSERVABLE, f"the server does not offer {name}"
        # What one rule leaves behind must not reach the next.
        own = driver.new_project(rule.id)
        subject = ServerUnderTest(own, model)
        opened = subject.others = [own]
        if own.controls:
            own.control("POST", "/reset", {})
        rule.check(subject)
    except NotObservable as reason:
        return NOT_OBSERVABLE, str(reason)
    except AssertionError as error:
        return FAILED, str(error) or "an assertion without a message"
    # Before Exception: the text of a KeyError is the bare member, which says nothing in a report.
    except KeyError as error:
        return FAILED, f"an answer lacks the member {error}"
    except Exception as error:  # any error is a verdict: the servers are not ours
        return FAILED, f"{type(error).__name__}: {error}"
    finally:
        for used in opened:
            if used is not driver and isinstance(used, HTTPDriver):
                used.close()
    return PASSED, "; ".join(subject.claims)
