"""Every rule of the catalogue with its verdict and its tests: `python -m tests.rule_table`.

Nothing here is kept by hand. The verdict is that of the fixed rule, checked now on an engine. The tests are those that
cite the rule: in their name (`test_R1_24_unknown_parent`), in their docstring (`Spec: R1.1–R1.4`), or in a string that
begins with it (`"R2.17-image"`, `"R1.14: …"`); a docstring of a whole file counts where no test is more precise.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

from mockserver.conformance.drivers import EngineDriver
from mockserver.conformance.registry import fixed_rules
from mockserver.conformance.rule_catalog import catalogue
from mockserver.conformance.runner import FAILED, judge

TESTS = Path(__file__).resolve().parent
KIT = ("conformance", "testing")  # rooms whose tests speak of rules without testing them
SHOWN = 4  # tests named per rule
UNCHECKED = "–"
_RULE = r"(?<![A-Za-z0-9])(?:R\d+\.\d+b?|X\d+|WE\d+)(?![0-9])"
_RANGE = re.compile(rf"({_RULE})(?:\s*[–-]\s*({_RULE}))?")
_NAMED = re.compile(r"(?<![A-Za-z0-9])R(\d+)_(\d+b?)((?:_and_(?:R\d+_)?\d+b?)*)(?![0-9a-z])")
_PLAIN = re.compile(r"(?<![A-Za-z0-9])(?:X|WE)\d+(?![0-9a-z])")
_MORE = re.compile(r"_and_(?:R(\d+)_)?(\d+b?)")


class Line(NamedTuple):
    """A rule, the verdict of its fixed rule (– for none), the tests that cite it, and why it has no fixed rule."""

    id: str
    verdict: str
    tests: tuple[str, ...]
    why: str | None


def expanded(text: str) -> list[str]:
    """Return the rules that a text cites, ranges written out in the catalogue's order."""
    known = list(catalogue())
    found: list[str] = []
    for first, last in _RANGE.findall(text):
        if last and first in known and last in known:
            found += known[known.index(first) : known.index(last) + 1]
        else:
            found.append(first)
    return found


def named(name: str) -> list[str]:
    """Return the rules that the name of a test cites."""
    found = []
    for section, number, more in _NAMED.findall(name):
        found.append(f"R{section}.{number}")
        found += [f"R{other or section}.{one}" for other, one in _MORE.findall(more)]
    return found + _PLAIN.findall(name)


@cache
def citations(path: Path) -> tuple[tuple[str, str], ...]:
    """Return the rules that a file's tests cite, each with the test; the file's own docstring last, as the file."""
    return tuple(_citations(path))


def _citations(path: Path) -> Iterator[tuple[str, str]]:
    tree = ast.parse(path.read_text())
    file = f"{path.parent.name}/{path.stem.removeprefix('test_')}"
    rows = path.parent.name not in KIT
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name.lower().startswith("test"):
            test = f"{file}: {node.name.removeprefix('test_')}"
            for id in [*named(node.name), *_of_docstring(node), *(_of_strings(node) if rows else ())]:
                yield id, test
    for statement in tree.body:
        if rows and isinstance(statement, ast.Assign | ast.AnnAssign):
            for id in _of_strings(statement):
                yield id, f"{file}: a row"
    for id in _of_docstring(tree):
        yield id, file


def _of_docstring(node: ast.Module | ast.ClassDef | ast.FunctionDef) -> list[str]:
    text = ast.get_docstring(node) or ""
    return [id for cited in re.findall(r"Spec: ([^\n]+(?:\n[^\n]+)*)", text) for id in expanded(cited)]


def _of_strings(node: ast.AST) -> Iterator[str]:
    for one in ast.walk(node):
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            match = re.match(_RULE, one.value)
            if match:
                yield match[0]


@cache
def cited() -> dict[str, list[str]]:
    """Return the tests that cite each rule, those of the fixed rules first, whole files only where no test does."""
    found: dict[str, list[str]] = {id: [] for id in catalogue()}
    for rule in fixed_rules():
        module = rule.check.__module__.rpartition(".")[2]
        for id in rule.ids:
            found[id].append(f"{module}: rule[{rule.id}]")
    whole: dict[str, list[str]] = {}
    for path in sorted(TESTS.glob("**/test_*.py")):
        if path.stem in ("test_checks", "test_registry", "test_rule_table"):
            continue
        for id, test in citations(path):
            into = found if ":" in test else whole
            if test not in into.setdefault(id, []):
                into[id].append(test)
    return {id: tests or whole.get(id, []) for id, tests in found.items()}


@cache
def table() -> tuple[Line, ...]:
    """Return a line per rule of the catalogue; every fixed rule is checked for it."""
    engine = EngineDriver()
    verdicts = {id: judge(rule, engine).verdict for rule in fixed_rules() for id in rule.ids}
    engine.close()
    return tuple(
        Line(id, verdicts.get(id, UNCHECKED), tuple(cited()[id]), entry.why) for id, entry in catalogue().items()
    )


def shown(line: Line) -> str:
    """Return a line as it is printed."""
    tests = ", ".join(line.tests[:SHOWN]) + (", …" if len(line.tests) > SHOWN else "")
    told = tests if line.why is None else f"{tests}{' – ' if tests else ''}{line.why}"
    return f"{line.id:<7} {line.verdict:<8} {len(line.tests):>3}  {told}"


def main() -> int:
    """Print the table; returns 1 when a fixed rule fails or a rule has neither a test nor a reason."""
    lines = table()
    print("rule    verdict  tests")
    for line in lines:
        print(shown(line))
    bare = [line.id for line in lines if not line.tests and line.why is None]
    failed = [line.id for line in lines if line.verdict == FAILED]
    checked = sum(line.verdict != UNCHECKED for line in lines)
    print(f"\n{len(lines)} rules, {checked} checked, {len(failed)} failed, {len(bare)} with neither test nor reason")
    return 1 if failed or bare else 0


if __name__ == "__main__":
    sys.exit(main())
