"""How much `verify` and `shadow` notice: an API with one small mistake is recorded, then the mock verifies it.

`python -m tests.shadow_mutants` makes each of the mistakes of `tests.mutants` in an upstream, lets the rules of the
conformance kit and programs of the state machine talk to it, and prints what the drift shows. It fails when a mistake
that it can't explain goes unnoticed. Mutant and verifier are processes of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.mutants import PATIENCE_S, ROOT, SURVIVED, Found, _Mutated, mutated
from tests.support.mutations import MUTATIONS, Mutation

WALKS, STEPS = 4, 25
FAITHFUL = "faithful"  # the name of the upstream without a mistake

# mistakes that no drift shows, each with the reason
_CLOCK = "it shows after thirty days, and a client can't move the clock of an API"
EXPLAINED: dict[str, str] = {
    "responses live a second too short": _CLOCK,
    "items of a conversation expire with the response that made them": _CLOCK,
    "a failed parent can be continued": "a client can't make a turn fail",
    "each response of a chain has a partition of its own": "cached tokens are not compared: nobody could know them",
}


def record(directory: Path) -> None:
    """Let rules and programs talk to the mock as it is in this process, and write a cassette for each."""
    from mockserver.config.settings import Settings
    from mockserver.conformance.drivers import NOON, EngineDriver
    from mockserver.conformance.machine.random_walk import walk
    from mockserver.conformance.registry import fixed_rules
    from mockserver.conformance.runner import judge
    from mockserver.engine.engine import Engine
    from proxy.journal_cassette import write_journal

    class Client(EngineDriver):
        """A client, which can't move the clock of an API."""

        controls = False

    engine = Engine(Settings(clock=NOON, journal=100_000, journal_bytes=1 << 30))
    for rule in fixed_rules():
        judge(rule, Client(engine))
    for seed in range(WALKS):
        try:
            walk(Client(engine, f"walk {seed}"), seed, STEPS)
        except Exception as failure:  # the program has noticed the mistake; what was said until then is recorded
            print(f"walk {seed} ended: {type(failure).__name__}", file=sys.stderr)
    for project in dict.fromkeys(one.call.project for one in engine.journal.answers(None)):
        path = directory / f"{str(project).replace('/', ' ')}.yaml"
        path.write_bytes(b"".join(write_journal(engine.journal.answers(project))))


def verify(directory: Path, known: frozenset[str] | None) -> list[str]:
    """The programs and places where the mock would have answered differently; with `known`, the first that is new."""
    from proxy.cassettes.file import load
    from proxy.verify import Verifier

    found: dict[str, None] = {}
    for path in sorted(directory.iterdir()):
        verifier = Verifier()
        verifier.check_all(load(path))
        for group in verifier.drift.groups():
            place = (
                f"{path.stem.removeprefix('default ')}: {group.first.endpoint} {group.first.path}: {group.first.kind}"
            )
            if known is not None and place not in known:
                return [place]
            found[place] = None
        verifier.close()
    return [*found]


def drift_of(name: str, known: frozenset[str] | None = None) -> list[str]:
    """What the drift of an upstream with this mistake shows; raises ValueError where it can't even be recorded."""
    told = json.dumps(None if known is None else sorted(known))
    with tempfile.TemporaryDirectory() as directory:
        said = ""
        for step in ("--record", "--verify"):
            command = [sys.executable, "-m", "tests.shadow_mutants", step, directory, name]
            done = subprocess.run(command, cwd=ROOT, input=told, capture_output=True, text=True, timeout=PATIENCE_S)
            if done.returncode:
                raise ValueError(f"{step}: {done.stderr[-200:].strip()}")
            said = done.stdout
    places: list[str] = json.loads(said)
    return places


def run_apart(mutation: Mutation, known: frozenset[str]) -> Found:
    """What the drift of a mutant shows beyond what that of a faithful upstream does."""
    try:
        new = [place for place in drift_of(mutation.name, known) if place not in known]
    except (ValueError, subprocess.TimeoutExpired) as failure:
        return Found(mutation.name, f"start: {failure}")
    return Found(mutation.name, new[0] if new else SURVIVED)


def main(argv: Sequence[str] | None = None) -> int:
    """Run mutants, print what became of them; returns 1 if one survives unexplained."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", metavar="DIR", help="record a mutant in this process (used for each of them)")
    parser.add_argument("--verify", metavar="DIR", help="verify what was recorded, in this process")
    parser.add_argument("names", nargs="*", help="only the mutants whose name holds one of these texts")
    asked = parser.parse_args(argv)
    if asked.record is not None:
        for mutation in MUTATIONS:
            if mutation.name == asked.names[0]:
                sys.meta_path.insert(0, _Mutated(mutation))
        record(Path(asked.record))
        return 0
    if asked.verify is not None:
        known_places = json.load(sys.stdin)
        print(json.dumps(verify(Path(asked.verify), None if known_places is None else frozenset(known_places))))
        return 0
    for one in MUTATIONS:
        mutated(one)  # a mistake that can't be made any more would be counted as found
    chosen = [one for one in MUTATIONS if not asked.names or any(text in one.name for text in asked.names)]
    known = frozenset(drift_of(FAITHFUL))
    print(f"of a faithful upstream: {len(known)} places, which do not count", flush=True)
    results = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(lambda one: run_apart(one, known), chosen):
            results.append(found)
            print(f"{found.name:72} {found.by[:110]}", flush=True)
    survivors = [one.name for one in results if one.by == SURVIVED]
    for name in survivors:
        print(f"survived: {name}: {EXPLAINED.get(name, 'NOT EXPLAINED')}")
    share = 1 - len(survivors) / len(results)
    print(f"{len(results) - len(survivors)} of {len(results)} found, {share:.0%}")
    return 0 if set(survivors) <= set(EXPLAINED) else 1


if __name__ == "__main__":
    sys.exit(main())
