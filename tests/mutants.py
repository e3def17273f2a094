"""How much the conformance kit notices: one small mistake at a time is made in the mock, then the kit judges it.

`python -m tests.mutants` prints each mistake with what caught it, and fails when too few were caught. Each mutant runs
in a process of its own, whose import of the one module reads the changed source; nothing on disk is touched.
"""

from __future__ import annotations

import argparse
import importlib.abc
import importlib.machinery
import importlib.util
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from tests.support.mutations import MUTATIONS, Mutation

ROOT = Path(__file__).resolve().parents[1]
SHARES = {"contract": 0.95, "state": 0.85}  # of the mutants, what each profile has to catch
PATIENCE_S = 240
EXAMPLES, STEPS = 150, 30
SURVIVED = "survived"

# mistakes that the kit can't notice, each with the reason
EXPLAINED: dict[str, str] = {}


class Found(NamedTuple):
    """What became of a mutant: `survived`, or the rule or machine that caught it."""

    name: str
    by: str


class _Mutated(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Imports one module from a changed source."""

    def __init__(self, mutation: Mutation) -> None:
        self._path = ROOT / "mockserver" / mutation.file
        self._module = "mockserver." + mutation.file.removesuffix(".py").replace("/", ".")
        self._source = mutated(mutation)

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname != self._module:
            return None
        return importlib.util.spec_from_loader(fullname, self, origin=str(self._path))

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._source, str(self._path), "exec"), vars(module))


def mutated(mutation: Mutation) -> str:
    """Return a source with the mistake in it; raises ValueError unless its place is found exactly once."""
    source = (ROOT / "mockserver" / mutation.file).read_text()
    if source.count(mutation.old) != 1:
        raise ValueError(f"{mutation.name}: its place stands {source.count(mutation.old)} times in {mutation.file}")
    return source.replace(mutation.old, mutation.new)


def judged(profile: str) -> str:
    """Let the kit judge the mock as it is in this process; returns what failed first, or `survived`."""
    from mockserver.conformance.drivers import EngineDriver
    from mockserver.conformance.machine.hypothesis_machine import run_machine
    from mockserver.conformance.registry import fixed_rules
    from mockserver.conformance.runner import FAILED, judge
    from mockserver.conformance.terms import CONTRACT, Terms

    driver = EngineDriver()
    terms = Terms(profile)
    for rule in fixed_rules():
        if profile not in (CONTRACT, rule.profile):
            continue
        verdict = judge(rule, driver, terms=terms)
        if verdict.verdict == FAILED:
            return f"{rule.id}: {verdict.evidence}"
    try:
        run_machine(EngineDriver(), examples=EXAMPLES, steps=STEPS, terms=terms)
    except Exception as error:  # whatever a machine stumbles over, it noticed
        return f"machine: {type(error).__name__}: {error}"
    return SURVIVED


def run_one(name: str, profile: str) -> str:
    """Judge a mutant in this process, in which nothing of the mock was imported yet."""
    mutation = next(one for one in MUTATIONS if one.name == name)
    sys.meta_path.insert(0, _Mutated(mutation))
    try:
        return judged(profile)
    except Exception as error:  # a mutant that can't even be started is noticed by everybody
        return f"start: {type(error).__name__}: {error}"


def run_apart(mutation: Mutation, profile: str = "contract") -> Found:
    """Judge a mutant in a process of its own; one that never ends is noticed too."""
    command = [sys.executable, "-m", "tests.mutants", "--profile", profile, "--one", mutation.name]
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        return Found(mutation.name, f"time: no end within {PATIENCE_S} s")
    lines = done.stdout.strip().splitlines()
    return Found(mutation.name, lines[0] if done.returncode == 0 and lines else f"start: {done.stderr[-200:]}")


def main(argv: Sequence[str] | None = None) -> int:
    """Run mutants, print what became of them; returns 1 if too few were caught or a survivor of all is unexplained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--one", help="judge one mutant in this process (used for each of them)")
    parser.add_argument("--profile", choices=list(SHARES), default="contract", help="judge by this profile of the kit")
    parser.add_argument("names", nargs="*", help="only the mutants whose name holds one of these texts")
    asked = parser.parse_args(argv)
    if asked.one is not None:
        print(run_one(asked.one, asked.profile))
        return 0
    for one in MUTATIONS:
        mutated(one)  # a mistake that can't be made any more would be counted as caught
    chosen = [one for one in MUTATIONS if not asked.names or any(text in one.name for text in asked.names)]
    results = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(partial(run_apart, profile=asked.profile), chosen):
            results.append(found)
            print(f"{found.name:72} {found.by[:110]}", flush=True)
    caught = [one for one in results if one.by != SURVIVED]
    survivors = [one.name for one in results if one.by == SURVIVED]
    for name in survivors:
        print(f"survived: {name}: {EXPLAINED.get(name, 'NOT EXPLAINED')}")
    print(f"{len(caught)} of {len(results)} caught, {len(caught) / len(results):.0%}")
    explained = asked.profile != "contract" or set(survivors) <= set(EXPLAINED)
    return 0 if len(caught) >= SHARES[asked.profile] * len(results) and explained else 1


if __name__ == "__main__":
    sys.exit(main())
