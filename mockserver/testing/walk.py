"""The verbs walked at random, without a framework: many steps per second, no shrinking.

For long runs and for servers that are slow to start; what it finds is made small by the state machine.
"""

from __future__ import annotations

from random import Random
from typing import Any

from mockserver.testing.driver import Driver
from mockserver.testing.table import BUNDLES, VERBS, Of, Verb
from mockserver.testing.verbs import Verbs

PROGRAM = 60  # steps before everything is looked at and forgotten
RECENT = 8  # ids among which half of the choices fall, so that chains go on


def walk(driver: Driver, seed: int, steps: int, *, model: str | None = None, program: int = PROGRAM) -> None:
    """Take so many steps, the same for the same seed; raises AssertionError with the program that went wrong."""
    random = Random(seed)
    for first in range(0, steps, program):
        told: list[str] = []
        try:
            _program(driver, random, min(program, steps - first), model, told)
        except Exception as error:
            raise AssertionError("\n".join([f"{error!r} after:", *told])) from error


def _program(driver: Driver, random: Random, steps: int, model: str | None, told: list[str]) -> None:
    verbs = Verbs(driver, model)
    left: dict[str, list[str]] = {name: [] for name in BUNDLES}
    table = [verb for verb in VERBS if verbs.controls or not verb.needs_controls]
    for _ in range(steps):
        verb = random.choice(table)
        while not all(left[needed] for needed in bundles_of(verb)):
            verb = random.choice(table)
        arguments = {name: _drawn(random, one, left) for name, one in verb.arguments.items()}
        told.append(f"{verb.name}({', '.join(f'{name}={value!r}' for name, value in arguments.items())})")
        made = getattr(verbs, verb.name)(**arguments)
        for name in verb.into:
            left[name] += [made] if isinstance(made, str) else made or []
    verbs.audit()
    verbs.close()


def bundles_of(verb: Verb) -> list[str]:
    """Return the bundles that a verb takes ids from."""
    return [one.bundle for one in verb.arguments.values() if isinstance(one, Of)]


def _drawn(random: Random, choices: Any, left: dict[str, list[str]]) -> Any:
    if isinstance(choices, Of):
        ids = left[choices.bundle]
        id = random.choice(ids[-RECENT:] if random.random() < 0.5 else ids)
        if choices.consumed:
            ids.remove(id)
        return id
    return random.choice(choices)
