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
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import click

from mockserver.conformance.capabilities import terms_of
from mockserver.conformance.comparison import Unreadable, compare, expect, read_expected, read_report
from mockserver.conformance.drivers import NO_ANSWER, Driver, HTTPDriver
from mockserver.conformance.machine.checked_client import stage_of
from mockserver.conformance.machine.random_walk import CounterExample, replay, walk_for
from mockserver.conformance.markdown import as_badge, as_markdown
from mockserver.conformance.recorder import Recorder
from mockserver.conformance.registry import fixed_rules
from mockserver.conformance.report import Report, Row, Target, as_json, as_junit, scoreboard, summary
from mockserver.conformance.rule_catalog import Entry, catalogue
from mockserver.conformance.runner import DEFAULT_MODEL, FAILED, NOT_OBSERVABLE, PASSED, Verdict, judge
from mockserver.conformance.scripts import Story, as_curl, as_python
from mockserver.conformance.terms import CONTRACT, DEFAULT, PROFILES, STATE, Terms
from mockserver.conformance.topics import MACHINE, TOPICS, topic_of
from mockserver.conformance.upstream import Upstream
from mockserver.transport.command_line import INTERRUPTED, run

FINE, DRIFTED = 0, 1
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
    profile: str
    only: tuple[str, ...]
    rules: tuple[str, ...]
    upstream_journal: str | None
    expect: str | None
    json: bool
    junit: str | None
    markdown: str | None
    badge: str | None
    scripts: str | None
    examples: int | None
    machine_seconds: float | None
    compare: tuple[str, str] | None


def conform(**options: Any) -> int:
    """Judge a server and tell it; returns the exit status."""
    try:
        chosen = Options(**options)
        return _compare(*chosen.compare) if chosen.compare else _conform(chosen)
    except Unusable as reason:
        raise click.UsageError(str(reason)) from None
    except KeyboardInterrupt:
        print("understudy conform: interrupted", file=sys.stderr)
        return INTERRUPTED


def _option(name: str, metavar: str, help: str, **more: Any) -> click.Option:
    return click.Option([name], metavar=metavar, help=help, **more)


command = click.Command(
    "conform",
    callback=conform,
    params=[
        _option("--base-url", "URL", "the server, such as http://127.0.0.1:4010/v1 [OPENAI_BASE_URL]"),
        _option("--api-key", "KEY", "its key (default: any) [OPENAI_API_KEY]"),
        _option("--model", "MODEL", f"(default: {DEFAULT_MODEL})", default=DEFAULT_MODEL),
        click.Option(
            ["--profile"],
            type=click.Choice(list(PROFILES)),
            default=CONTRACT,
            help=f"{'; '.join(f'{name}: {what}' for name, what in PROFILES.items())} (default: {CONTRACT})",
        ),
        _option("--only", "RULE...", f"only these: R1.24, all of a section: R1, {MACHINE}", multiple=True),
        _option("--upstream-journal", "URL", "an understudy that is the server's model, as http://KEY@127.0.0.1:4010"),
        _option("--expect", "FILE", "known failures: rules, or a report of --json; only new ones fail"),
        click.Option(["--json"], is_flag=True, help="print one JSON document instead of a table"),
        _option("--junit", "FILE", "write JUnit XML as well"),
        _option("--markdown", "FILE", "write Markdown for a pull request as well"),
        _option("--badge", "FILE", "write the JSON of a badge as well"),
        _option("--scripts", "DIRECTORY", "write each failure as a curl script and as a Python file"),
        _option("--examples", "N", f"programs that the {MACHINE} makes up; 0 for none", type=int),
        _option("--machine-seconds", "N", f"how long the {MACHINE} makes up programs", type=click.FloatRange(0)),
        _option("--compare", "A.json B.json", "print what changed between two reports, and judge nothing", nargs=2),
        # an option of click takes one value, `--only R1 R2.12` is promised: the further rules are arguments
        click.Argument(["rules"], nargs=-1, metavar=""),
    ],
    help="Judge a server by the rules of the Responses and Conversations APIs.",
    epilog="Exit status: 0 nothing failed, 1 a rule failed, 2 nothing could be judged.",
)


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    return run(command, words, "understudy conform")


def _compare(before: str, after: str) -> int:
    reports = [_readable("--compare", path, read_report) for path in (before, after)]
    lines, worse = compare(*reports)
    print("\n".join(lines))
    return DRIFTED if worse else FINE


def _conform(options: Options) -> int:
    base_url = options.base_url or os.environ.get("OPENAI_BASE_URL")
    if not base_url:
        raise Unusable("--base-url is needed, such as --base-url http://127.0.0.1:4010/v1")
    chosen = _choose((*options.only, *options.rules), options.profile)
    known = _readable("--expect", options.expect, read_expected) if options.expect else None
    # Written before the run, so that a path which can't be written is reported now and not after all rules.
    for option, path in (("--junit", options.junit), ("--markdown", options.markdown), ("--badge", options.badge)):
        _write(option, path, b"")
    with ExitStack() as stack:
        driver = stack.enter_context(
            closing(connect(base_url, options.api_key or os.environ.get("OPENAI_API_KEY") or "any"))
        )
        recorder = Recorder(driver)
        terms, lacks = _terms(recorder, options, stack)
        judging = Judging(recorder, options.model, terms, options.examples, options.machine_seconds, base_url)
        rows = []
        with Report(len(chosen), rows_shown=not options.json) as report:
            for row in judging.run(chosen, report.begin):
                rows.append(row)
                report.add(row)
                if options.scripts and row.verdict == FAILED and recorder.whole:
                    _write_scripts(options.scripts, row, recorder, base_url)
        target = Target(base_url, options.model, driver.controls, options.profile)
    expectation = expect(((row.id, row.verdict) for row in rows), known or frozenset())
    if options.json:
        print(as_json(rows, target, lacks).decode())
    else:
        told = [*scoreboard(rows, lacks), "", *(expectation.told() if known is not None else ()), summary(rows)]
        print("\n" + "\n".join(told))
    _write("--junit", options.junit, as_junit(rows, target))
    _write("--markdown", options.markdown, as_markdown(rows, target, lacks).encode())
    _write("--badge", options.badge, as_badge(rows, target))
    return DRIFTED if expectation.new else FINE


def _terms(driver: Driver, options: Options, stack: ExitStack) -> tuple[Terms, dict[str, str]]:
    """The terms for the server, once the mock behind it is known to be its model."""
    if options.upstream_journal is None or driver.controls:
        return terms_of(driver, options.model, options.profile)
    upstream = stack.enter_context(closing(Upstream(options.upstream_journal)))
    try:
        upstream.newest_context()
        terms = terms_of(driver, options.model, options.profile, upstream)
        if upstream.newest_context() is None:
            raise Unusable(f"--upstream-journal: no turn of the server arrived there with the key {upstream.key!r}")
    except LookupError as error:
        raise Unusable(f"--upstream-journal: {error}") from None
    return terms


def _choose(only: Sequence[str], profile: str = CONTRACT) -> list[str]:
    """Select the rules to judge, by topics in the catalogue's order; raises Unusable for an unknown name."""
    known = [*catalogue(), MACHINE]
    for name in only:
        if not any(_matches(id, name) for id in known):
            raise Unusable(f"--only {name}: there is no such rule; they are {known[0]} to {known[-2]}, and {MACHINE}")
    named = [id for id in known if not only or any(_matches(id, name) for name in only)]
    wanted = [id for id in named if profile in (CONTRACT, profile_of(id))]
    if not wanted:
        raise Unusable(f"--only {' '.join(only)}: none of it is in the profile {profile}")
    return sorted(wanted, key=lambda id: TOPICS.index(topic_of(id)))


def profile_of(id: str) -> str:
    """The profile of a rule; the machine's is that of state."""
    return STATE if id == MACHINE else catalogue()[id].profile


def _matches(id: str, name: str) -> bool:
    return id == name or id.partition(".")[0] == name


def _readable(option: str, path: str, read: Callable[[str], Any]) -> Any:
    try:
        return read(path)
    except OSError as error:
        raise Unusable(f"{option} {path}: {error.strerror}") from None
    except Unreadable as error:
        raise Unusable(f"{option} {error}") from None


def _write(option: str, path: str | None, content: bytes) -> None:
    if path is None:
        return
    try:
        Path(path).write_bytes(content)
    except OSError as error:
        raise Unusable(f"{option} {path}: {error.strerror}") from None


def _write_scripts(directory: str, row: Row, recorder: Recorder, base_url: str) -> None:
    """Write a failure as a curl script and as a Python file."""
    place = Path(directory)
    story = Story(row.id, row.sentence, row.evidence, tuple(recorder.calls))
    try:
        place.mkdir(parents=True, exist_ok=True)
        (place / f"{row.id}.sh").write_text(as_curl(story, base_url))
        (place / f"{row.id}.py").write_text(as_python(story, base_url))
    except OSError as error:
        raise Unusable(f"--scripts {directory}: {error.strerror}") from None


def connect(base_url: str, api_key: str) -> HTTPDriver:
    """Open a driver for a server; raises Unusable if it does not answer or refuses the key."""
    driver = HTTPDriver(base_url, api_key, project="conform")
    if not driver.controls:
        driver.project = ""  # a gateway may pass it on with some calls and not with others
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


@dataclass(frozen=True, slots=True)
class Judging:
    """A server and the terms on which it is judged."""

    driver: Driver
    model: str
    terms: Terms = DEFAULT
    examples: int | None = None
    seconds: float | None = None
    base_url: str = ""

    def run(self, chosen: Sequence[str], begin: Callable[[str], None] = lambda id: None) -> Iterator[Row]:
        """Judge by the chosen rules, one after the other; each rule gives a row, whatever the server does.

        `begin` is called with each rule's id before the rule is judged.
        """
        rules = {id: rule for rule in fixed_rules() for id in rule.ids}
        known: dict[str, Verdict] = {}
        for id in chosen:
            begin(id)
            if id == MACHINE:
                yield self._machine()
                continue
            entry, rule = catalogue()[id], rules.get(id)
            if rule is None:
                yield _row(entry, Verdict(id, NOT_OBSERVABLE, entry.why or "there is no check for it"))
                continue
            # Several ids may share one check; it runs once, and each id gets its verdict.
            if rule.id not in known:
                if isinstance(self.driver, Recorder):
                    self.driver.begin()
                known[rule.id] = judge(rule, self.driver, self.model, self.terms)
            yield _row(entry, known[rule.id])

    def _machine(self) -> Row:
        """Run the state machine, where Hypothesis is installed."""
        row = partial(Row, MACHINE, sentence=PROGRAMS, profile=STATE)
        programs, steps = EFFORTS[self.driver.controls]
        programs = programs if self.examples is None else self.examples
        if not programs:
            return row(verdict=NOT_OBSERVABLE, evidence="not run: --examples 0")
        if find_spec("hypothesis") is None:
            return row(
                verdict=NOT_OBSERVABLE, evidence="not run: Hypothesis is not installed (the extra `test` has it)"
            )
        # Imported here, because Hypothesis is an optional extra.
        from mockserver.conformance.machine.hypothesis_machine import run_machine

        started = time.perf_counter()
        own = self.driver.new_project(MACHINE)
        effort = f"{programs} programs of up to {steps} steps"
        try:
            if self.seconds is not None:
                effort = f"{walk_for(stage_of(own, self.terms), self.seconds, self.model)} programs"
            else:
                run_machine(own, examples=programs, steps=steps, model=self.model, terms=self.terms)
        except Exception as error:  # a server that is not ours may make anything happen
            evidence = str(error) if isinstance(error, AssertionError) else f"{type(error).__name__}: {error}"
            self._tell_program(own, error)
            if isinstance(self.driver, Recorder) and not self.driver.controls and self.driver.calls:
                story = Story(MACHINE, PROGRAMS, str(error).partition("\n\n")[0], tuple(self.driver.calls))
                evidence += f"\n\nAs a Python file:\n\n{as_python(story, self.base_url)}"
                evidence += f"\nAs a script of bash, curl and jq:\n\n{as_curl(story, self.base_url)}"
            return row(verdict=FAILED, evidence=evidence, seconds=time.perf_counter() - started)
        finally:
            if own is not self.driver and isinstance(own, HTTPDriver):
                own.close()
        return row(verdict=PASSED, evidence=effort, seconds=time.perf_counter() - started)

    def _tell_program(self, own: Driver, error: Exception) -> None:
        """Run the shortest failing program once more, so that its calls are those that the scripts tell."""
        if isinstance(self.driver, Recorder) and isinstance(error, CounterExample):
            self.driver.begin()
            replay(stage_of(own, self.terms), error.program, self.model)


def _row(entry: Entry, verdict: Verdict) -> Row:
    known = (entry.sources, entry.confidence, entry.profile, verdict.lacks)
    return Row(entry.id, verdict.verdict, entry.sentence, verdict.evidence, verdict.seconds, *known)
