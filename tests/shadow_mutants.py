"""How much `verify` and `shadow` notice: an API with one small mistake is recorded, then the mock verifies it.

`python -m tests.shadow_mutants` makes each of the mistakes of `tests.mutants` in an upstream, lets the rules of the
conformance kit, programs of the state machine and the talks of `tests.support.slow_talks` speak to it, and prints what
the drift shows. It fails when a faithful upstream leaves any drift, when a mistake goes unnoticed that is not explained
below, and when an explained one is noticed after all. `--sample` makes twenty of them, each in one program. Mutant and
verifier are processes of their own.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.mutants import PATIENCE_S, ROOT, SURVIVED, Found, _Mutated, mutated
from tests.support.mutations import MUTATIONS

WALKS, STEPS = 4, 25
FAITHFUL = "faithful"  # the name of the upstream without a mistake

# mistakes that no drift shows, each with the reason
_CLOCK = "it shows after thirty days of one response's life, which no program here lives through"
_CACHE = "cached tokens are not compared: which machine still has a prefix is nothing that anybody could know"
_PACE = "how long a turn takes is not compared: it is the service's own, and the mock is paced by what was seen"
_IDS = "what an id holds inside is the service's own: ids are compared one to one"
EXPLAINED: dict[str, str] = {
    "responses live a second too short": _CLOCK,
    "items of a conversation expire with the response that made them": _CLOCK,
    "each response of a chain has a partition of its own": _IDS,
    "a compaction says that it was stored": _IDS,
    "turns end a second early": _PACE,
    "cached tokens are not rounded to blocks": _CACHE,
    "instructions are always part of the cached prefix": _CACHE,
    "an exact cache entry ends a token late": _CACHE,
    "the prompt cache lives for an hour": _CACHE,
    "shorter prompts are cached too": _CACHE,
    "what stands before a compaction item is read": "what a model has read shows in nothing but its words, which are "
    "its own; what is billed for it is another mistake, and noticed",
}

# twenty mistakes of all kinds, each with a program that shows it: a rule of the kit, or a talk
SAMPLE: dict[str, str] = {
    "responses live a second too long": "R1.24",
    "nothing is stored unless asked for": "R1.1",
    "DELETE leaves the response": "R1.12",
    "a parent together with a conversation is let pass": "R1.23",
    "a chain forgets its context": "R1.12",
    "tools are inherited": "R1.22",
    "calls may stay unanswered": "R1.33",
    "an item may come twice in one input": "R1.36",
    "sealed content is not verified": "R1.42",
    "stored responses get sealed reasoning only when it is included": "R1.30",
    "a running turn locks nothing": "talk_meanwhile",
    "incomplete turns write nothing": "cut_in_a_conversation",
    "metadata is merged": "R2.4",
    "has_more on a full last page": "R2.14",
    "input_items: no more pages": "R3.1",
    "a replay begins one event early": "R6.7",
    "a cancelled response keeps its output": "cancel_with_output",
    "completed_at is missing": "R1.1",
    "the total is not the sum": "R1.1",
    "the compaction pass is free": "compact_at_the_threshold",
}


class Job(NamedTuple):
    """An upstream by its mistake, and the programs that speak to it: rules or talks by name, none for all."""

    name: str
    programs: tuple[str, ...] = ()


def record(directory: Path, programs: Iterable[str]) -> None:
    """Let programs talk to the mock as it is in this process, and write a cassette for each."""
    from mockserver.config.pacing import Pacing
    from mockserver.config.settings import Settings
    from mockserver.conformance.drivers import NOON, EngineDriver
    from mockserver.conformance.machine.random_walk import walk
    from mockserver.conformance.registry import fixed_rules
    from mockserver.conformance.runner import judge
    from mockserver.engine.engine import Engine
    from proxy.journal_cassette import write_journal
    from tests.support.slow_talks import TALKS, Caller

    chosen = frozenset(programs)

    class Client(EngineDriver):
        """A client, which can't move the clock of an API."""

        controls = False

    engine = Engine(Settings(clock=NOON, journal=100_000, journal_bytes=1 << 30))
    for rule in fixed_rules():
        if not chosen or rule.id in chosen:
            judge(rule, Client(engine))
    for seed in range(0 if chosen else WALKS):
        try:
            walk(Client(engine, f"walk {seed}"), seed, STEPS)
        except Exception as failure:  # the program has noticed the mistake; what was said until then is recorded
            print(f"walk {seed} ended: {type(failure).__name__}", file=sys.stderr)
    clock = [NOON]
    slow = Engine(Settings(pacing=Pacing(2.0, 4.0), journal=100_000, journal_bytes=1 << 30), wall=lambda: clock[0])

    def wait(seconds: float) -> None:
        clock[0] += seconds

    for talk in TALKS:
        if chosen and talk.__name__ not in chosen:
            continue
        try:
            talk(Caller(Client(slow, talk.__name__), wait))
        except (KeyError, TypeError) as failure:  # as above
            print(f"{talk.__name__} ended: {failure!r}", file=sys.stderr)
    for journal in (engine.journal, slow.journal):
        for project in dict.fromkeys(one.call.project for one in journal.answers(None)):
            path = directory / f"{str(project).replace('/', ' ')}.yaml"
            path.write_bytes(b"".join(write_journal(journal.answers(project))))


def verify(directory: Path, most: int) -> list[str]:
    """The programs and places where the mock would have answered differently, up to `most`."""
    from proxy.cassettes.file import load
    from proxy.verify import Verifier

    places: list[str] = []
    for path in sorted(directory.iterdir()):
        verifier = Verifier()
        verifier.check_all(load(path))
        program = path.stem.removeprefix("default ")
        groups = [group.first for group in verifier.drift.groups()]
        verifier.close()
        places += [f"{program}: {first.endpoint} {first.path}: {first.kind}" for first in groups]
        if len(places) >= most:
            break
    return places[:most]


def drift_of(job: Job, most: int) -> list[str]:
    """What the drift of an upstream shows; raises ValueError where it can't even be recorded."""
    said = ""
    with tempfile.TemporaryDirectory() as directory:
        for step in (["--record", directory, "--programs", ",".join(job.programs)], ["--verify", directory]):
            command = [sys.executable, "-m", "tests.shadow_mutants", *step, "--most", str(most), job.name]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)
            if done.returncode:
                raise ValueError(f"{step[0]}: {done.stderr[-200:].strip()}")
            said = done.stdout
    places: list[str] = json.loads(said)
    return places


def run_apart(job: Job) -> Found:
    """What the drift of a mutant shows first."""
    try:
        places = drift_of(job, 1)
    except (ValueError, subprocess.TimeoutExpired) as failure:
        return Found(job.name, f"start: {failure}".replace("\n", " "))
    return Found(job.name, places[0] if places else SURVIVED)


def run(jobs: Sequence[Job]) -> int:
    """Run a faithful upstream, then the mutants, and print what became of them; returns the exit status."""
    programs = tuple(dict.fromkeys(program for job in jobs for program in job.programs))
    if places := drift_of(Job(FAITHFUL, programs), 100):
        print("a faithful upstream leaves drift:", *places, sep="\n  ")
        return 1
    results: list[Found] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(run_apart, jobs):
            results.append(found)
            print(f"{found.name:72} {found.by[:110]}", flush=True)
    survivors = [one.name for one in results if one.by == SURVIVED]
    unexplained = [name for name in survivors if name not in EXPLAINED]
    needless = [one.name for one in results if one.by != SURVIVED and one.name in EXPLAINED]
    for name in survivors:
        print(f"survived: {name}: {EXPLAINED.get(name, 'NOT EXPLAINED')}")
    for name in needless:
        print(f"found, so its explanation is wrong: {name}")
    found_count = len(results) - len(survivors)
    print(
        f"{found_count} of {len(results)} found, {found_count / len(results):.0%}; "
        f"{len(survivors) - len(unexplained)} explained, {len(unexplained)} not; a faithful upstream leaves no drift"
    )
    return 1 if unexplained or needless else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run mutants, or a part of the work for one of them; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--record", metavar="DIR", help="record a mutant in this process (used for each of them)")
    parser.add_argument("--verify", metavar="DIR", help="verify what was recorded, in this process")
    parser.add_argument("--programs", default="", help="only these rules and talks, separated by commas")
    parser.add_argument("--most", type=int, default=100, help="how many places to print")
    parser.add_argument("--sample", action="store_true", help="only twenty mutants, each in one program")
    parser.add_argument("names", nargs="*", help="only the mutants whose name holds one of these texts")
    asked = parser.parse_args(argv)
    if asked.record is not None:
        for mutation in MUTATIONS:
            if mutation.name == asked.names[0]:
                sys.meta_path.insert(0, _Mutated(mutation))
        record(Path(asked.record), filter(None, asked.programs.split(",")))
        return 0
    if asked.verify is not None:
        print(json.dumps(verify(Path(asked.verify), asked.most)))
        return 0
    for one in MUTATIONS:
        mutated(one)  # a mistake that can't be made any more would be counted as found
    names = {one.name for one in MUTATIONS}
    if unknown := [name for name in (*EXPLAINED, *SAMPLE) if name not in names]:
        raise ValueError(f"no such mutations: {unknown}")
    if asked.sample:
        return run([Job(name, (program,)) for name, program in SAMPLE.items()])
    chosen = [one.name for one in MUTATIONS if not asked.names or any(text in one.name for text in asked.names)]
    return run([Job(name) for name in chosen])


if __name__ == "__main__":
    sys.exit(main())
