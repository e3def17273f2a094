"""The rules that changed on 2026-11-29, each with its tests and their verdict: `python -m tests.fidelity`.

The service moves, and the specification with it. `CHANGED` says what is different since the text before, one row per
rule. Nothing else here is kept by hand: the tests of a rule are those whose name, docstring, comment or data cites it,
the fixtures of its row of errors, and its check of the conformance kit. They are run now, and a rule whose tests fail,
or that no test cites, fails the table.
"""

from __future__ import annotations

import argparse
import ast
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from mockserver.conformance.registry import fixed_rules
from tests.error_rows import cases
from tests.support.citations import ROOT, cited

CHANGED: tuple[tuple[str, str], ...] = (
    ("P18", "shutdown_date is always there: a date, or null"),
    ("P24", "neighbouring routes are 501 mock_error, and in the journal"),
    ("F1", "background_options is accepted and not echoed; service_tier default is default from the first event"),
    ("F3", "encrypted reasoning is also there unasked"),
    ("F5", "$schema of a json_schema is left out of the echo"),
    ("F7", "the echo of tools: empty descriptions, defaults of web search, order, loaded tools"),
    ("F8.9", "calls of a tool with async true carry async true, no others do"),
    ("F10", "instructions of a compact call are still accepted"),
    ("O1", "input_transformations says which items were withheld, and why"),
    ("I1", "a web search's sources may be of type api, with a name"),
    ("I3", "an image_generation_call needs only its id"),
    ("I4", "calls of a running program are in_progress, also in terminal responses"),
    ("E11", "also a model that was shut down, by a switch"),
    ("E40", "sampling is refused only where the effort in effect is not none"),
    ("E44", "so are log probabilities"),
    ("E46", "gpt-5.5 keeps its cache for 24 hours only"),
    ("E71", "not for calls of an async tool"),
    ("E72", "a client's tool_search_call counts as the call"),
    ("E84", "only by a switch"),
    ("E99", "only below the API's own paths"),
    ("E102", "a completion_window in the wrong place"),
    ("E103", "configuration_update in pro mode, or before gpt-6"),
    ("R1.4", "does not hold for background requests"),
    ("R1.7", "zero data retention runs background turns without storing them"),
    ("R1.21", "the place of the instructions depends on the model"),
    ("R1.33", "calls of an async tool may wait"),
    ("R1.34", "a function_call_output may answer a client's tool_search_call"),
    ("R1.41", "encrypted_content is always there"),
    ("R1.42", "every blob that was handed out is accepted back"),
    ("R1.46", "gpt-6.2 withholds reasoning after an edited prefix"),
    ("R1.47", "gpt-6.2 renders instructions behind the input"),
    ("R1.54", "temperature and top_p are echoed as sent where they are accepted"),
    ("R1.55", "configuration_update on gpt-6 models"),
    ("R5.9", "configuration_update no longer forbids compaction"),
    ("R6.6", "background with store false runs, and is gone ten minutes after its end"),
    ("R6.13", "what background_options mean"),
    ("R7.2", "the largest input counts as well as the window"),
    ("R7.4", "so it does for truncation"),
    ("R7.6", "the item that was cut is incomplete, a function_call too"),
    ("R11.7", "tools that a model echoes plainly are called plainly"),
    ("R11.11", "a forced tool is never answered silently with a message"),
    ("R12.5", "configuration_update on gpt-6 models, refused elsewhere"),
    ("R13.4", "unknown models and routes, models that were shut down"),
    ("R15.3", "no flex on gpt-6.2"),
    ("R15.7", "objects with chosen ids"),
    ("S6.1", "log probabilities: full in events, rounded in items, none in content_part.done"),
    ("S8 a", "an annotation follows the delta that reaches its index"),
    ("S8 c", "a program's calls are done in_progress"),
    ("S8 g", "a function call may be cut, with its partial arguments"),
    ("R4.2", "background_options in a frame: only soonest"),
    ("T2", "gpt-4 and gpt-3.5 are of family C"),
    ("T4", "how tools are written: comments, commas, arrays"),
    ("T5", "tool_choice costs on family C"),
    ("T6", "what a json_schema costs on each family"),
    ("T7", "parallel calls in a context of family C"),
    ("T8", "output of several calls, json_schema, refusals, cut answers"),
    ("T13", "gpt-6.2's instructions are never in the cached prefix"),
    ("W7", "places of async and input_transformations"),
    ("W8", "key order of a json_schema and of a custom tool's format"),
    ("W9", "places of new members in a Response"),
    ("W12", "one catalogue of models"),
    ("W14", "aliases, and fine-tuned names"),
    ("W21", "unknown names by family"),
)

TESTS = ROOT / "tests"
ROWS, CHECKS = "tests/wire/test_error_rows.py::test_row", "tests/conformance/test_checks.py::test_rule"
FEW = 10
SHOWN = 3  # tests named per rule
PASSED, FAILED, BARE = "passed", "FAILED", "NO TEST"


class Line(NamedTuple):
    """A changed rule, what changed, its tests by pytest's ids, and the verdict.

    An id without parameters means the test with all of them.
    """

    rule: str
    change: str
    tests: tuple[str, ...]
    verdict: str


@cache
def tests_of_rules() -> dict[str, tuple[str, ...]]:
    """Return the tests that cite each rule."""
    found: dict[str, dict[str, None]] = {}
    for path in sorted(TESTS.rglob("test_*.py")):
        for test, text in _tests_in(path):
            for name in {name for line in text.splitlines() for _, names in cited(line) for name in names}:
                found.setdefault(name, {})[test] = None
    for case in cases():
        found.setdefault(case.row, {})[f"{ROWS}[{case.id}]"] = None
    for rule in fixed_rules():
        for name in rule.ids:
            found.setdefault(name, {})[f"{CHECKS}[{rule.id}]"] = None
    return {rule: tuple(tests) for rule, tests in found.items()}


def _tests_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield a file's tests by their ids, with their source."""
    source = path.read_text(encoding="utf-8")
    lines = source.splitlines()
    file = path.relative_to(ROOT).as_posix()
    places = [(file, ast.parse(source).body)]
    for prefix, body in places:
        for node in body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                places.append((f"{prefix}::{node.name}", node.body))
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_"):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                yield f"{prefix}::{node.name}", "\n".join(lines[first - 1 : node.end_lineno])


def run(tests: list[str], report: Path | None = None) -> set[str]:
    """Run tests; returns the ids of those that did not pass or did not run, without parameters too.

    What the `report` of an earlier run tells of is not run again.
    """
    passed, failed = read_report(report) if report else (set[str](), set[str]())
    if missing := [test for test in tests if test not in passed | failed]:
        more = _run(missing)
        passed, failed = passed | more[0], failed | more[1]
    return failed | (set(tests) - passed)


def _run(tests: list[str]) -> tuple[set[str], set[str]]:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        options = ["-q", "-m", "not clients and not heavy and not bench", f"--junitxml={report}"]
        options += ["-n", "0"] if len(tests) < FEW else []  # workers take longer to start than few tests to run
        subprocess.run(
            [sys.executable, "-m", "pytest", *options, *tests], cwd=ROOT, check=False, stdout=subprocess.DEVNULL
        )
        return read_report(report)


def read_report(report: Path) -> tuple[set[str], set[str]]:
    """Return the ids of the tests that passed, and of those that did not, as JUnit's XML tells of them."""
    passed, failed = set[str](), set[str]()
    for case in ElementTree.parse(report).getroot().iter("testcase"):
        whole = _id_of(case)
        (passed if len(case) == 0 else failed).update((whole, whole.partition("[")[0]))
    return passed, failed


def _id_of(case: ElementTree.Element) -> str:
    module, name = case.get("classname", ""), case.get("name", "")
    parts = module.split(".")
    split = next(at for at in range(len(parts), 0, -1) if (ROOT / Path(*parts[:at])).with_suffix(".py").is_file())
    return "::".join(["/".join(parts[:split]) + ".py", *parts[split:], name])


def table(report: Path | None = None) -> list[Line]:
    """Return a line per changed rule; their tests are run, if no report tells of them."""
    cited_by = tests_of_rules()
    wanted = sorted({test for rule, _ in CHANGED for test in cited_by.get(rule, ())})
    bad = run(wanted, report)
    lines = []
    for rule, change in CHANGED:
        tests = cited_by.get(rule, ())
        verdict = BARE if not tests else FAILED if bad.intersection(tests) else PASSED
        lines.append(Line(rule, change, tests, verdict))
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table; returns 1 when a test fails, or a changed rule has none."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--report", type=Path, help="JUnit's XML of a run of the tests, which need not run again")
    lines = table(parser.parse_args(argv).report)
    for line in lines:
        names = [test.rpartition("::")[2].removeprefix("test_") for test in line.tests]
        shown = ", ".join(names[:SHOWN]) + (f", {len(names) - SHOWN} more" if len(names) > SHOWN else "")
        print(f"{line.rule:<7} {line.verdict:<7} {line.change}\n{'':<16}{shown}")
    passed = sum(line.verdict == PASSED for line in lines)
    tests = len({test for line in lines for test in line.tests})
    print(f"\n{len(lines)} changed rules, {passed} passed, by {tests} tests")
    return 0 if passed == len(lines) else 1


if __name__ == "__main__":
    sys.exit(main())
