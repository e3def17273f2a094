"""The command `understudy conform`: it judges any server of the two APIs by the fixed rules and the state machine.

Exit status 0 when nothing failed, 1 when something did, 2 when nothing could be judged.
"""

# What must stay true: a server that is not there, refuses the key, or is given by a wrong base URL is reported
# once, before any rule runs; otherwise each of the 210 rules would fail with the same evidence.

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from mockserver.conformance.drivers import NO_ANSWER, Driver, HTTPDriver
from mockserver.conformance.registry import fixed_rules
from mockserver.conformance.report import Report, Row, Target, as_json, as_junit, summary
from mockserver.conformance.rule_catalog import Entry, catalogue
from mockserver.conformance.runner import DEFAULT_MODEL, FAILED, NOT_OBSERVABLE, PASSED, judge
from mockserver.transport.command_line import INTERRUPTED, run

FINE, DRIFTED = 0, 1
MACHINE = "machine"
PROGRAMS = "Programs of calls that Hypothesis makes up end as the reference model says."
# how many programs of how many steps: much on the mock, little where each turn takes time and money
EFFORTS = {True: (40, 30), False: (5, 12)}


class Unusable(Exception):
    """Why there is nothing to judge."""


@dataclass(frozen=True, slots=True)
class Options:
    """The options of the command."""

    base_url: str | None
    api_key: str | None
    model: str
    only: tuple[str, ...]
    rules: tuple[str, ...]
    json: bool
    junit: str | None
    examples: int | None


def conform(**options: Any) -> int:
    """Judge a server and tell it; returns the exit status."""
    try:
        return _conform(Options(**options))
    except Unusable as reason:
        raise click.UsageError(str(reason)) from None
    except KeyboardInterrupt:
        print("understudy conform: interrupted", file=sys.stderr)
        return INTERRUPTED


command = click.Command(
    "conform",
    callback=conform,
    params=[
        click.Option(
            ["--base-url"], metavar="URL", help="the server, such as http://127.0.0.1:4010/v1 [OPENAI_BASE_URL]"
        ),
        click.Option(["--api-key"], metavar="KEY", help="its key (default: any) [OPENAI_API_KEY]"),
        click.Option(["--model"], metavar="MODEL", default=DEFAULT_MODEL, help=f"(default: {DEFAULT_MODEL})"),
        click.Option(
            ["--only"], metavar="RULE...", multiple=True, help=f"only these: R1.24, all of a section: R1, {MACHINE}"
        ),
        click.Option(["--json"], is_flag=True, help="print one JSON document instead of a table"),
        click.Option(["--junit"], metavar="FILE", help="write JUnit XML as well"),
        click.Option(["--examples"], metavar="N", type=int, help=f"programs that the {MACHINE} makes up; 0 for none"),
        # an option of click takes one value, `--only R1 R2.12` is promised: the further rules are arguments
        click.Argument(["rules"], nargs=-1, metavar=""),
    ],
    help="Judge a server by the rules of the Responses and Conversations APIs.",
    epilog="Exit status: 0 nothing failed, 1 a rule failed, 2 nothing could be judged.",
)


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    return run(command, words, "understudy conform")


def _conform(options: Options) -> int:
    base_url = options.base_url or os.environ.get("OPENAI_BASE_URL")
    if not base_url:
        raise Unusable("--base-url is needed, such as --base-url http://127.0.0.1:4010/v1")
    chosen = _choose((*options.only, *options.rules))
    # Written before the run, so that a path which can't be written is reported now and not after all rules.
    if options.junit:
        _write(options.junit, b"")
    with closing(connect(base_url, options.api_key or os.environ.get("OPENAI_API_KEY") or "any")) as driver:
        rows = []
        with Report(len(chosen), rows_shown=not options.json) as report:
            for row in run_rules(driver, chosen, options.model, options.examples, report.begin):
                rows.append(row)
                report.add(row)
        target = Target(base_url, options.model, driver.controls)
    print(as_json(rows, target).decode() if options.json else f"\n{summary(rows)}")
    if options.junit:
        _write(options.junit, as_junit(rows, target))
    return DRIFTED if any(row.verdict == FAILED for row in rows) else FINE


def _choose(only: Sequence[str]) -> list[str]:
    """Select the rules to judge, in the catalogue's order; raises Unusable for an unknown name."""
    known = [*catalogue(), MACHINE]
    if not only:
        return known
    for name in only:
        if not any(_matches(id, name) for id in known):
            raise Unusable(f"--only {name}: there is no such rule; they are {known[0]} to {known[-2]}, and {MACHINE}")
    return [id for id in known if any(_matches(id, name) for name in only)]


def _matches(id: str, name: str) -> bool:
    return id == name or id.partition(".")[0] == name


def _write(path: str, content: bytes) -> None:
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise Unusable(f"--junit {path}: {error.strerror}") from None


def connect(base_url: str, api_key: str) -> HTTPDriver:
    """Open a driver for a server; raises Unusable if it does not answer or refuses the key."""
    driver = HTTPDriver(base_url, api_key, project="conform")
    reason = _unusable(driver, base_url)
    if reason is not None:
        driver.close()
        raise Unusable(reason)
    return driver


def _unusable(driver: HTTPDriver, base_url: str) -> str | None:
    answer = driver.call("GET", "/models")
    if answer.status == NO_ANSWER:
        return f"no answer from {base_url}: {answer.body}"
    if answer.status in (401, 403):
        return f"{base_url} refuses the key: {answer.error.get('message', answer.status)}"
    if answer.status in (404, 501) and driver.call("GET", "/v1/models").status == 200:
        return f"{base_url} is not where the API begins; {driver.base_url}/v1 is"
    return None


def run_rules(
    driver: Driver,
    chosen: Sequence[str],
    model: str,
    examples: int | None = None,
    begin: Callable[[str], None] = lambda id: None,
) -> Iterator[Row]:
    """Judge a server by the chosen rules, one after the other; each rule gives a row, whatever the server does.

    `begin` is called with each rule's id before the rule is judged.
    """
    rules = {id: rule for rule in fixed_rules() for id in rule.ids}
    known: dict[str, tuple[str, str, float]] = {}
    for id in chosen:
        begin(id)
        if id == MACHINE:
            yield _machine(driver, model, examples)
            continue
        entry, rule = catalogue()[id], rules.get(id)
        if rule is None:
            yield _row(entry, NOT_OBSERVABLE, entry.why or "there is no check for it")
            continue
        # Several ids may share one check; it runs once, and each id gets its verdict.
        if rule.id not in known:
            verdict = judge(rule, driver, model)
            known[rule.id] = (verdict.verdict, verdict.evidence, verdict.seconds)
        yield _row(entry, *known[rule.id])


def _row(entry: Entry, verdict: str, evidence: str, seconds: float = 0.0) -> Row:
    return Row(entry.id, verdict, entry.sentence, evidence, seconds, entry.sources, entry.confidence)


def _machine(driver: Driver, model: str, examples: int | None) -> Row:
    """Run the state machine, where Hypothesis is installed."""
    row = partial(Row, MACHINE, sentence=PROGRAMS)
    programs, steps = EFFORTS[driver.controls]
    programs = programs if examples is None else examples
    if not programs:
        return row(verdict=NOT_OBSERVABLE, evidence="not run: --examples 0")
    if find_spec("hypothesis") is None:
        return row(verdict=NOT_OBSERVABLE, evidence="not run: Hypothesis is not installed (the extra `test` has it)")
    # Imported here, because Hypothesis is an optional extra.
    from mockserver.conformance.machine.hypothesis_machine import run_machine

    started = time.perf_counter()
    own = driver.new_project(MACHINE)
    try:
        run_machine(own, examples=programs, steps=steps, model=model)
    except Exception as error:  # a server that is not ours may make anything happen
        evidence = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
        return row(verdict=FAILED, evidence=evidence, seconds=time.perf_counter() - started)
    finally:
        if own is not driver and isinstance(own, HTTPDriver):
            own.close()
    summary_text = f"{programs} programs of up to {steps} steps"
    return row(verdict=PASSED, evidence=summary_text, seconds=time.perf_counter() - started)
