"""How much `verify` and `shadow` notice: an API with one small mistake is recorded, then the mock verifies it.

`python -m tests.shadow_mutants` makes each of the mistakes of `tests.mutants` in an upstream, lets the rules of the
conformance kit, programs of the state machine and the talks of `tests.support.slow_talks` speak to it, and prints what
the drift shows. It fails when a faithful upstream leaves any drift, when a mistake goes unnoticed that is not explained
below, and when an explained one is noticed after all. `--sample` makes twenty of them. Mutant and verifier are
processes of their own.
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
_CACHE = "cached tokens are not compared: which machine still has a prefix is nothing that anybody could know"
_PACE = "how long a turn takes is not compared: it is the service's own, and the mock is paced by what was seen"
_IDS = "what an id holds inside is the service's own: ids are compared one to one"
EXPLAINED: dict[str, str] = {
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

# the program in which each of the others shows: a rule of the kit, a walk, or a talk; it is tried before all of them
WITNESSES: dict[str, str] = {
    "responses live a second too long": "R1.24",
    "responses live a second too short": "live_for_thirty_days",
    "items of a conversation expire with the response that made them": "live_for_thirty_days",
    "a response is still there at exactly 30 days": "R1.24",
    "responses never expire": "R1.24",
    "store: false responses are kept": "R1.24",
    "nothing is stored unless asked for": "R1.1",
    "DELETE leaves the response": "R1.12",
    "a parent together with a conversation is let pass": "R1.23",
    "a deleted parent can be continued": "R1.12",
    "a failed parent can be continued": "fail_in_a_conversation",
    "an incomplete parent can't be continued": "R7.2",
    "a deleted ancestor breaks the chain": "R1.31",
    "a chain skips its parent's turn": "R1.12",
    "a chain forgets its context": "R1.12",
    "chaining onto a conversation's response writes to the conversation": "R1.27",
    "siblings leak into each other": "R1.22",
    "instructions are inherited": "walk 1",
    "tools are inherited": "R1.22",
    "metadata is inherited": "R1.22",
    "unstored ids don't say so": "R1.42",
    "calls may stay unanswered": "R1.33",
    "outputs need no call": "R1.34",
    "an item may come twice in one input": "R1.36",
    "an item may come again behind a chain that holds it": "R1.36",
    "tool outputs are held for duplicates": "R1.36",
    "unknown and unstored items are confused": "R1.37",
    "outputs stand before the input that they answer": "R1.27",
    "sealed content is not verified": "R1.42",
    "a blob of a script is foreign in the next turn": "R1.42",
    "reasoning is read again after any history": "R1.46",
    "stored responses get sealed reasoning only when it is included": "R1.30",
    "reasoning of earlier turns is billed to models that don't read it": "R1.30",
    "unknown conversations are created on the fly": "R1.50",
    "a running turn locks nothing": "talk_meanwhile",
    "the lock is never released": "R1.35",
    "a turn's items are appended when it begins": "talk_meanwhile",
    "failed turns write to their conversation": "fail_in_a_conversation",
    "incomplete turns write nothing": "cut_in_a_conversation",
    "store: false turns write nothing": "R2.18",
    "deleting a conversation deletes its items": "R2.5",
    "a deleted conversation is still there": "R1.14",
    "metadata is merged": "R2.4",
    "a deleted item is still in the context": "R1.35",
    "deleting an item changes what responses saw": "delete_an_item",
    "an id may stand twice in a conversation": "R1.36",
    "items are listed in the wrong order": "R1.27",
    "21 items are taken at once": "R2.2",
    "input_items: the cursor is off by one": "R3.1",
    "conversation items: the cursor is off by one": "R2.14",
    "has_more on a full last page": "R2.14",
    "input_items: no more pages": "R3.1",
    "lists are oldest first": "R2.14",
    "input_items: order is ignored": "R1.41",
    "pages hold ten items": "R2.14",
    "input_items lists own input only": "R1.41",
    "a replay begins one event early": "R6.7",
    "a resumed stream repeats its last event": "resume_while_running",
    "a queued response shows its output": "R6.1",
    "cancelling twice is refused": "cancel_twice",
    "cancelling a completed response is let pass": "cancel_too_late",
    "a cancelled response keeps its output": "cancel_with_output",
    "synchronous responses are refused as if they were over": "R6.4",
    "a response in flight can be deleted": "delete_in_flight",
    "what the background does not store stays": "R6.6",
    "what the background does not store can be continued": "R6.6",
    "turns end a second late": "R6.1",
    "a response that was not created with a stream can be streamed": "stream_without_stream",
    "max_output_tokens is ignored": "cut_in_a_conversation",
    "a message that was cut says completed": "R7.2",
    "completed_at is missing": "R1.1",
    "the total is not the sum": "R1.1",
    "one token too many is billed": "R1.1",
    "input_tokens counts otherwise than a create": "R1.21",
    "instructions cost nothing": "R1.21",
    "the window is twice as large": "R2.20",
    "truncation drops the newest items": "R7.4",
    "truncation happens unasked": "R2.20",
    "an overflow in a stream is a plain error": "R7.3",
    "an input as long as the threshold compacts": "compact_at_the_threshold",
    "what stands before a compaction item is billed": "compact_at_the_threshold",
    "the compaction pass is free": "compact_at_the_threshold",
    "a trigger asks the model as well": "R5.9",
    "a trigger is ignored": "R5.9",
    "a compacted window keeps assistant messages": "R5.6",
    "the compact call costs no frame": "R5.10",
}
# twenty mistakes of all kinds
SAMPLE = (
    "responses live a second too long",
    "nothing is stored unless asked for",
    "DELETE leaves the response",
    "a parent together with a conversation is let pass",
    "a chain forgets its context",
    "tools are inherited",
    "calls may stay unanswered",
    "an item may come twice in one input",
    "sealed content is not verified",
    "stored responses get sealed reasoning only when it is included",
    "a running turn locks nothing",
    "incomplete turns write nothing",
    "metadata is merged",
    "has_more on a full last page",
    "input_items: no more pages",
    "a replay begins one event early",
    "a cancelled response keeps its output",
    "completed_at is missing",
    "the total is not the sum",
    "the compaction pass is free",
)


class Job(NamedTuple):
    """An upstream by its mistake, and the programs that speak to it: rules, walks or talks by name, none for all."""

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
    for seed in range(WALKS):
        if chosen and f"walk {seed}" not in chosen:
            continue
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


def run_apart(name: str) -> Found:
    """What the drift of a mutant shows first: in its witness, else in any program."""
    jobs = [Job(name)] if name not in WITNESSES else [Job(name, (WITNESSES[name],)), Job(name)]
    for job in jobs:
        try:
            places = drift_of(job, 1)
        except (ValueError, subprocess.TimeoutExpired) as failure:
            return Found(name, f"the API breaks down: {failure}".replace("\n", " "))
        if places:
            return Found(name, places[0])
    return Found(name, SURVIVED)


def run(names: Sequence[str], programs: tuple[str, ...] = ()) -> int:
    """Run a faithful upstream, then the mutants, and print what became of them; returns the exit status."""
    if places := drift_of(Job(FAITHFUL, programs), 100):
        print("a faithful upstream leaves drift:", *places, sep="\n  ")
        return 1
    results: list[Found] = []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for found in pool.map(run_apart, names):
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
    if unknown := [name for name in (*EXPLAINED, *WITNESSES, *SAMPLE) if name not in names]:
        raise ValueError(f"no such mutations: {unknown}")
    if asked.sample:
        return run(SAMPLE, tuple(dict.fromkeys(WITNESSES[name] for name in SAMPLE)))
    chosen = [one.name for one in MUTATIONS if not asked.names or any(text in one.name for text in asked.names)]
    return run(chosen)


if __name__ == "__main__":
    sys.exit(main())
