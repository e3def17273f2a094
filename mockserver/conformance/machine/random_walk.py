"""A random walk over the operations, without a framework: as many steps per second as the server allows.

A failing program is shrunk by leaving out steps, and printed as a program of the state machine.
"""

# How it works. A walk draws an operation whose ids exist, draws its arguments, performs it and notes the ids
# that it left. Every `LENGTH` steps everything is compared and forgotten, and a new program begins. A program
# that fails is shrunk by leaving out ever smaller runs of steps (delta debugging), then by taking the first,
# plainest choice for each argument.
#
# What must stay true:
# * A program names ids by the step that made them (`Id`), never by value: on replay the server hands out
#   others.
# * The same seed gives the same steps. All chance comes from one `Random(seed)`; half of the draws of ids fall
#   among the `RECENT` ones, so that chains get long.
# * A shorter program that fails in another way counts too: any failure is worth showing.

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from random import Random
from time import monotonic
from typing import Any, NamedTuple

from mockserver.conformance.drivers import Driver
from mockserver.conformance.machine.checked_client import ProjectSet, stage_of
from mockserver.conformance.machine.operation_table import BUNDLES, OPERATIONS, IdFrom, Operation
from mockserver.conformance.machine.operations import Operations

LENGTH = 60  # steps of a program; then everything is checked and deleted
PATIENCE_S = 30.0  # how long a program is shrunk
RECENT = 8  # ids among which half of the choices fall, so that chains go on
_TABLE: Mapping[str, Operation] = {verb.name: verb for verb in OPERATIONS}


class CounterExample(AssertionError):
    """A failure, with the shortest program found that leads to it."""

    def __init__(self, wrong: Exception, program: Sequence[Step]) -> None:
        super().__init__(f"{str(wrong) or repr(wrong)}\n\n{to_python(program)}")
        self.program = list(program)


class Id(NamedTuple):
    """Reference to the n-th id that an earlier step produced."""

    step: int
    place: int


class Step(NamedTuple):
    """One operation of a program: its number, its name, its arguments."""

    number: int
    verb: str
    arguments: dict[str, Any]


def walk(server: Driver | ProjectSet, seed: int, steps: int, *, model: str | None = None, length: int = LENGTH) -> None:
    """Take a number of steps, the same for the same seed; raises AssertionError with the shortest failing program
    found.
    """
    stage = server if isinstance(server, ProjectSet) else stage_of(server)
    random = Random(seed)
    for first in range(0, steps, length):
        program: list[Step] = []
        wrong = _explore(stage, random, min(length, steps - first), model, program)
        if wrong is not None:
            program, wrong = shrink(stage, program, wrong, model)
            raise CounterExample(wrong, program) from wrong


def walk_for(server: Driver | ProjectSet, seconds: float, model: str | None = None) -> int:
    """Take programs of another seed each until the time is over; returns how many. Raises as `walk`."""
    until, seed = monotonic() + seconds, 0
    while monotonic() < until:
        walk(server, seed, LENGTH, model=model)
        seed += 1
    return seed


def _explore(stage: ProjectSet, random: Random, steps: int, model: str | None, program: list[Step]) -> Exception | None:
    """Draw a program while performing it; returns the failure, if any."""
    left: dict[str, list[Id]] = {name: [] for name in BUNDLES}
    values: dict[Id, str] = {}
    verbs = Operations(stage, model)
    try:
        table = [verb for verb in OPERATIONS if verbs.offers(verb)]
        for number in range(steps):
            verb = random.choice(table)
            while not all(left[name] for name in bundles_of(verb)):
                verb = random.choice(table)
            arguments = {name: _draw(random, choices, left) for name, choices in verb.arguments.items()}
            program.append(Step(number, verb.name, arguments))
            ids = _perform(verbs, program[-1], values)
            for name in verb.into:
                left[name] += ids
        verbs.audit()
    except Exception as error:
        return error
    finally:
        verbs.close()
    return None


def bundles_of(verb: Operation) -> list[str]:
    """The bundles that an operation takes ids from."""
    return [argument.bundle for argument in verb.arguments.values() if isinstance(argument, IdFrom)]


def _draw(random: Random, choices: Sequence[Any] | IdFrom, left: dict[str, list[Id]]) -> Any:
    if not isinstance(choices, IdFrom):
        return random.choice(choices)
    ids = left[choices.bundle]
    id = random.choice(ids[-RECENT:] if random.random() < 0.5 else ids)
    if choices.consumed:
        ids.remove(id)
    return id


def _perform(verbs: Operations, step: Step, values: dict[Id, str]) -> list[Id]:
    """Perform a step; returns references to the ids that it produced."""
    arguments = {name: values[value] if isinstance(value, Id) else value for name, value in step.arguments.items()}
    result = getattr(verbs, step.verb)(**arguments)
    ids = [result] if isinstance(result, str) else list(result or ())
    new = {Id(step.number, place): id for place, id in enumerate(ids)}
    values |= new
    return list(new)


def replay(stage: ProjectSet, program: Iterable[Step], model: str | None = None) -> Exception | None:
    """Perform a program again, without the steps whose ids are missing; returns the failure, if any."""
    values: dict[Id, str] = {}
    verbs = Operations(stage, model)
    try:
        for step in program:
            if all(value in values for value in step.arguments.values() if isinstance(value, Id)):
                _perform(verbs, step, values)
        verbs.audit()
    except Exception as error:
        return error
    finally:
        verbs.close()
    return None


def shrink(
    stage: ProjectSet, program: list[Step], wrong: Exception, model: str | None = None
) -> tuple[list[Step], Exception]:
    """Shorten a failing program until no step can be left out, with plain arguments where it still fails.

    It stops after `PATIENCE_S` seconds with the shortest program found so far.
    """
    until = monotonic() + PATIENCE_S
    # Large runs first: most steps of a random program have nothing to do with its failure.
    size = (len(program) + 1) // 2
    while size and monotonic() < until:
        index = 0
        while index < len(program) and monotonic() < until:
            fewer = program[:index] + program[index + size :]
            error = replay(stage, fewer, model)
            if error is None:
                index += size
            else:
                program, wrong = fewer, error
        size //= 2
    # Arguments come last, when few steps are left: each try replays the whole program.
    for index, step in enumerate(program):
        for name, value in step.arguments.items():
            choices = _TABLE[step.verb].arguments[name]
            if isinstance(choices, IdFrom) or value == choices[0] or monotonic() > until:
                continue
            plainer = step._replace(arguments={**program[index].arguments, name: choices[0]})
            changed = [*program[:index], plainer, *program[index + 1 :]]
            error = replay(stage, changed, model)
            if error is not None:
                program, wrong = changed, error
    return program, wrong


def to_python(program: Sequence[Step]) -> str:
    """The program as Python, in the state machine's words."""
    names: dict[Id, str] = {}
    lines = ["state = ResponsesMachine()"]
    used = {one for step in program for one in step.arguments.values() if isinstance(one, Id)}
    for step in program:
        shown = {
            name: names.get(one, "missing") if isinstance(one, Id) else repr(one)
            for name, one in step.arguments.items()
        }
        produced = [id for id in sorted(used) if id.step == step.number]
        for id in produced:
            names[id] = f"{_TABLE[step.verb].into[0]}_{len(names)}"
        # a step may produce more ids than later steps use
        wanted = (
            ", ".join([names.get(Id(step.number, place), "_") for place in range(produced[-1].place + 1)])
            if produced
            else ""
        )
        starred = ", *_" if _TABLE[step.verb].several else ""
        call = f"state.{step.verb}({', '.join(f'{name}={value}' for name, value in shown.items())})"
        lines.append(f"{wanted}{starred} = {call}" if produced else call)
    return "\n".join([*lines, "state.teardown()"])
