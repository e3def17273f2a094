"""Programs of the state machine that do nothing wrong hear no verdict; those that do wrong break nothing."""

from __future__ import annotations

from contextlib import closing
from random import Random
from typing import Any

import pytest

from mockserver import Mock
from mockserver.conformance.drivers import HTTPDriver
from mockserver.conformance.machine.checked_client import stage_of
from mockserver.conformance.machine.operation_table import BUNDLES, OPERATIONS, IdFrom
from mockserver.conformance.machine.operations import Operations
from mockserver.conformance.machine.random_walk import walk
from mockserver.conformance.machine.requests import ASKS, RequestCase
from tests.support.examples import first_of, part_of
from tests.support.serving import FROZEN, serving

# what a client does on purpose that it should not do, or what leads there
WRONG = frozenset(
    "answer_nothing answer_elsewhere refer refer_after refer_in refer_unknown refuse refuse_in take_both lose trespass "
    "trespass_in move background_in delete_item delete delete_conversation outlive add_again".split()
)
# no histories within chains, no ids of one's own for many things, no answers cut short or scripted errors
GOOD_ASKS = [ask for ask in ASKS if ask.form not in ("history", "named", "nothing") and ask.outcome == "completed"]


class RightClient(Operations):
    """Does what is right alone: a turn that would be refused is not asked for."""

    def turn(self, ask: RequestCase, **how: Any) -> str | None:
        """Ask for a turn that has to be answered."""
        own = how["input"][1] if how.get("input") else ask.input_and_items()[1]
        place = {name: how.get(name) for name in ("parent", "conversation")}
        reasons = self.reads_reasoning(ask)
        if self.reference.judge(own, store=ask.store, reasons=reasons, **place):
            return None
        answered = [item.call_id for item in own if item.type == "function_call_output"]
        context = self.reference.context(place["parent"], place["conversation"])
        if any(self.reference.items[id].call_id in answered for id in context if self.outputs_of(id)):
            return None  # an output that is there already
        return super().turn(ask, **how)

    def outputs_of(self, id: str) -> bool:
        """Whether an item is a tool's output."""
        return self.reference.items[id].type == "function_call_output"


def program(verbs: Operations, random: Random, steps: int) -> None:
    """Do verbs at random."""
    left: dict[str, list[str]] = {name: [] for name in BUNDLES}
    table = [verb for verb in OPERATIONS if verb.name not in WRONG]
    for _ in range(steps):
        verb = random.choice(table)
        bundles = [one.bundle for one in verb.arguments.values() if isinstance(one, IdFrom)]
        if not all(left[name] for name in bundles):
            continue
        arguments = {name: drawn(random, one, left, name) for name, one in verb.arguments.items()}
        made = getattr(verbs, verb.name)(**arguments)
        ids = [made] if isinstance(made, str) else list(made or ())
        for name in verb.into:
            left[name] += ids


def drawn(random: Random, choices: Any, left: dict[str, list[str]], name: str) -> Any:
    """Draw an argument; conversations begin and are added to by users alone, whose messages may come twice."""
    if isinstance(choices, IdFrom):
        return random.choice(left[choices.bundle])
    if name == "items":
        return ("user",)
    return random.choice(GOOD_ASKS if name == "ask" else choices)


@pytest.mark.parametrize("seed", first_of(range(4), 2))
def test_right_programs_hear_nothing(seed: int) -> None:
    with Mock(journal=5000) as mock:
        with closing(HTTPDriver(mock.base_url)) as driver:
            program(RightClient(stage_of(driver)), Random(seed), 250)
        assert len(mock.journal.turns) > 40
        assert mock.verdict() == []


def test_any_program_is_judged() -> None:
    with serving(*FROZEN) as served, closing(HTTPDriver(served.base_url, "verdict")) as driver:
        walk(driver, 5, max(80, part_of(240)), length=120)
        for place in stage_of(driver)[:3]:
            assert isinstance(place.control("GET", "/verdict")["findings"], list)
