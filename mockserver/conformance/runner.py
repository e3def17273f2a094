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

from mockserver.conformance.connections import connections_of
from mockserver.conformance.drivers import Driver, HTTPDriver
from mockserver.conformance.recorder import Recorder
from mockserver.conformance.registry import CONTROLS, UPSTREAM, Rule
from mockserver.conformance.server_under_test import ServerUnderTest, missing
from mockserver.conformance.terms import CAPABILITIES, DEFAULT, NotObservable, Terms

PASSED, FAILED, NOT_OBSERVABLE = "passed", "failed", "not observable"
DEFAULT_MODEL = "gpt-4.1"


class Verdict(NamedTuple):
    """The outcome of a rule: passed, failed or not observable; the evidence; its duration in seconds.

    `lacks` is the capability that the server lacks, if that is why the rule is not observable.
    """

    id: str
    verdict: str
    evidence: str
    seconds: float = 0.0
    lacks: str | None = None


def judge(rule: Rule, driver: Driver, model: str = DEFAULT_MODEL, terms: Terms = DEFAULT) -> Verdict:
    """Check one rule, in a project of its own where the server has projects; never raises."""
    started = time.perf_counter()
    verdict, evidence, lacks = _run_rule(rule, driver, model, terms)
    return Verdict(rule.id, verdict, evidence, time.perf_counter() - started, lacks)


def judge_all(
    rules: Iterable[Rule], driver: Driver, model: str = DEFAULT_MODEL, terms: Terms = DEFAULT
) -> Iterator[Verdict]:
    """Check rules one after the other; a rule with several ids gives a verdict for each."""
    for rule in rules:
        verdict = judge(rule, driver, model, terms)
        for id in rule.ids:
            yield verdict._replace(id=id)


def _run_rule(rule: Rule, driver: Driver, model: str, terms: Terms) -> tuple[str, str, str | None]:
    opened: list[Driver] = []
    subject = ServerUnderTest(driver, model, terms)
    try:
        _check_needs(rule, driver, terms)
        for name in rule.models:
            if not _offers(driver, name, terms):
                return NOT_OBSERVABLE, f"the server does not offer {name}", None
        # What one rule leaves behind must not reach the next.
        own = driver.new_project(rule.id)
        subject = ServerUnderTest(own, model, terms)
        opened = subject.others = [own]
        if own.controls:
            own.control("POST", "/reset", {})
        if terms.upstream is not None:
            terms.upstream.control("POST", "/reset", {"only": ["scenario", "clock"]})
        rule.check(subject)
    except NotObservable as reason:
        return NOT_OBSERVABLE, str(reason), reason.lacks
    except AssertionError as error:
        return FAILED, str(error) or "an assertion without a message", None
    # Before Exception: the text of a KeyError is the bare member, which says nothing in a report.
    except KeyError as error:
        return FAILED, f"an answer lacks the member {error}", None
    except Exception as error:  # any error is a verdict: the servers are not ours
        return FAILED, f"{type(error).__name__}: {error}", None
    finally:
        subject.clean_up()
        for used in opened:
            if used is not driver and isinstance(used, HTTPDriver):
                used.close()
    return PASSED, "; ".join(subject.claims), None


def _check_needs(rule: Rule, driver: Driver, terms: Terms) -> None:
    """Raise NotObservable where a rule needs what the server does not have."""
    lacking = next((need for need in rule.needs if need in CAPABILITIES and need in terms.lacks), None)
    if lacking is not None:
        raise missing(lacking)
    offered = _list_controls(driver, terms)
    hidden = [CONTROLS[need] for need in rule.needs if need in CONTROLS and need not in offered]
    if hidden:
        raise NotObservable(", ".join(hidden))


def _list_controls(driver: Driver, terms: Terms) -> set[str]:
    """The controls that there are: those of the mock, of the mock behind a server, and a network."""
    offered = set(CONTROLS) - {"network"} if driver.controls else set()
    if terms.upstream is not None:
        offered.update(UPSTREAM)
    connections = connections_of(driver)
    if connections is not None and connections.network:
        offered.add("network")
    return offered


def _offers(driver: Driver, name: str, terms: Terms) -> bool:
    """Whether a server has a model; before an echo model, the model behind it takes any name that it knows.

    The look is no part of the rule, so it is not recorded: scripts tell the calls of the rule alone.
    """
    driver = driver.driver if isinstance(driver, Recorder) else driver
    if driver.call("GET", f"/models/{name}").status == 200:
        return True
    if driver.controls:
        return False
    listed = driver.call("GET", "/models").body
    models = listed.get("data") if isinstance(listed, dict) else None
    return any(isinstance(model, dict) and model.get("id") == name for model in models or ())
