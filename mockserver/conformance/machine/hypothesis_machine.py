"""The state machine: Hypothesis searches for a program of API calls after which a server breaks the rules.

Users point `ResponsesMachine` at their server, or subclass it and add rules for what talks to that server::

    class AgentMachine(ResponsesMachine):
        driver = HTTPDriver("http://127.0.0.1:4010/v1")

        @rule(target=ResponsesMachine.responses, parent=ResponsesMachine.responses)
        def step(self, parent):
            return self.verbs.adopt(my_agent(parent))  # the id of the response that the agent made

    TestAgent = AgentMachine.TestCase

Needs Hypothesis, which is in the `test` extra.

Assertion rewriting is off, so failures show only the messages written here: PYTEST_DONT_REWRITE.
"""

# How it works. Each row of `OPERATIONS` becomes a rule, whose arguments are drawn from bundles or choices.
# Beside running, a rule appends its step to `program`, with ids named by the step that made them; so a failure
# of Hypothesis is shrunk and printed by the random walk. Hypothesis's own shrinking is off in `run_machine`:
# the walk shrinks the same program in far less time.
#
# What must stay true: `derandomize` and no database, so that the same server gets the same programs in every
# run, in CI too.

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, ClassVar

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import HypothesisException
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from mockserver.conformance.drivers import Driver, EngineDriver
from mockserver.conformance.machine.checked_client import ProjectSet, stage_of
from mockserver.conformance.machine.operation_table import OPERATIONS, IdFrom, Operation
from mockserver.conformance.machine.operations import Operations
from mockserver.conformance.machine.random_walk import CounterExample, Id, Step, shrink, walk
from mockserver.conformance.terms import DEFAULT, Terms

EXAMPLES, STEPS = 100, 40
ELSEWHERE = Id(-1, 0)  # stands for the id of a user's own rule


class ResponsesMachine(RuleBasedStateMachine):
    """Programs over one project of a server; after each, all of it is compared with the reference.

    Its rules are the rows of `OPERATIONS`; `verbs` performs them, `verbs.reference` is the expected state. `driver` is
    the server, a new engine if None; `model` is the only model to request, the mock's models if None.
    """

    driver: ClassVar[Driver | None] = None
    model: ClassVar[str | None] = None
    stage: ClassVar[ProjectSet | None] = None
    latest: ClassVar[ResponsesMachine | None] = None

    responses: Bundle[str] = Bundle("responses")
    conversations: Bundle[str] = Bundle("conversations")
    items: Bundle[str] = Bundle("items")
    calls: Bundle[str] = Bundle("calls")

    def __init__(self) -> None:
        super().__init__()
        self.own = EngineDriver() if self.driver is None else None
        self.program: list[Step] = []
        self.made: dict[str, Id] = {}
        type(self).latest = self
        self.verbs = Operations(stage_of(self.own) if self.own else self._stage(), self.model)

    @classmethod
    def _stage(cls) -> ProjectSet:
        """The server's projects, which all programs of a machine use, one after the other."""
        if cls.stage is None and cls.driver is not None:
            cls.stage = stage_of(cls.driver)
        assert cls.stage is not None, "a machine needs a driver"
        return cls.stage

    def teardown(self) -> None:
        """Compare everything, unless the program has failed already, and delete what it created."""
        try:
            if sys.exc_info()[0] is None:
                self.verbs.audit()
        finally:
            self.verbs.close()
            if self.own is not None:
                self.own.close()


def _rule(verb: Operation) -> Callable[..., Any]:
    """Make a row of the table a rule of the machine."""
    bundles = vars(ResponsesMachine)

    def run(self: ResponsesMachine, **arguments: Any) -> Any:
        drawn = {name for name, value in verb.arguments.items() if isinstance(value, IdFrom)}
        named = {name: self.made.get(value, ELSEWHERE) if name in drawn else value for name, value in arguments.items()}
        self.program.append(Step(len(self.program), verb.name, named))
        result = getattr(self.verbs, verb.name)(**arguments)
        if not verb.into:
            return None
        ids = [result] if isinstance(result, str) else result or []
        for place, id in enumerate(ids):
            # An operation may return an id that an earlier one produced; a replay needs the step that
            # produced it.
            self.made.setdefault(id, Id(len(self.program) - 1, place))
        return result if isinstance(result, str) else multiple(*ids)

    run.__name__, run.__doc__ = verb.name, getattr(Operations, verb.name).__doc__
    strategies: dict[str, Any] = {
        name: _ids(choices, bundles[choices.bundle]) if isinstance(choices, IdFrom) else st.sampled_from(choices)
        for name, choices in verb.arguments.items()
    }
    built = rule(targets=[bundles[name] for name in verb.into], **strategies)(run)
    needy = verb.needs_controls or verb.needs or not verb.lenient
    return precondition(lambda self: self.verbs.offers(verb))(built) if needy else built


def _ids(of: IdFrom, bundle: Bundle[str]) -> Any:
    return consumes(bundle) if of.consumed else bundle


for _verb in OPERATIONS:
    setattr(ResponsesMachine, _verb.name, _rule(_verb))


def run_machine(
    driver: Driver,
    *,
    examples: int = EXAMPLES,
    steps: int = STEPS,
    model: str | None = None,
    terms: Terms = DEFAULT,
) -> None:
    """Run the machine against a server, the same programs every time; raises AssertionError with the shortest
    failing program found, as Python.

    Hypothesis searches first; then, on the mock, a random walk takes as many steps: it is faster and gets deeper.
    """
    stage = stage_of(driver, terms)
    machine: Any = type("ResponsesMachine", (ResponsesMachine,), {"driver": driver, "model": model, "stage": stage})
    plan = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.generate],  # the random walk shrinks a failure, and is done in no time
        print_blob=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    try:
        run_state_machine_as_test(machine, settings=plan)
    except (Exception, HypothesisException) as error:
        latest = machine.latest
        program, wrong = shrink(stage, latest.program if latest else [], error, model)
        raise CounterExample(wrong, program) from error
    # Only the mock: a foreign server may bill each step.
    if driver.controls:
        walk(stage, 0, examples * steps, model=model)
