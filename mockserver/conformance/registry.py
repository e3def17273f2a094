"""The fixed rules: one check per rule of the catalogue that can be observed from outside, collected from modules.

A check takes a `ServerUnderTest` and raises AssertionError; its decorator says what it needs besides the API.
"""

# Why a decorator and not a list: a check and its rule's ids stand together, and a test compares what is
# registered with `rules.json`, where each rule either has a check or says why it has none. Modules are imported
# on the first use, so that importing this file costs nothing.

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import NamedTuple

from mockserver.conformance.rule_catalog import specification
from mockserver.conformance.server_under_test import ServerUnderTest
from mockserver.conformance.terms import CAPABILITIES

Check = Callable[[ServerUnderTest], None]

MODULES = (
    "storage",
    "chains",
    "items",
    "validation",
    "conversations",
    "turns",
    "input_items",
    "compaction",
    "background",
    "window",
    "tokens",
    "streams",
    "formats",
    "tools",
    "reasoning",
    "http",
    "connections",
    "websocket",
    "lanes",
)
# what only the mock has; those of `UPSTREAM` may also be those of the mock behind a server
UPSTREAM = ("script", "model clock")
CONTROLS = {
    "clock": "needs a clock that can be moved",
    "script": "needs replies that can be scripted",
    "model clock": "needs a model whose clock can be stopped",
    "network": "needs a connection over a network",
    "context": "needs to see the context that the model saw",
    "mock": "is about the mock itself",
}
NEEDS = {**CONTROLS, **CAPABILITIES}


class Rule(NamedTuple):
    """A rule with a check: its ids (several where they say the same), the check, and what it needs.

    `models` are the names of models that the server must offer.
    """

    ids: tuple[str, ...]
    check: Check
    needs: tuple[str, ...] = ()
    models: tuple[str, ...] = ()

    @property
    def id(self) -> str:
        """The first id, under which it is reported."""
        return self.ids[0]

    @property
    def profile(self) -> str:
        """Whether it is about `state` or about what is on the `wire`; the catalogue says it."""
        return specification()[self.id].profile


def rule(*ids: str, needs: tuple[str, ...] = (), models: tuple[str, ...] = ()) -> Callable[[Check], Check]:
    """Register a function as the check of a rule; raises ValueError for an unknown need."""
    for need in needs:
        if need not in NEEDS:
            raise ValueError(f"{ids[0]}: unknown need {need!r}; known are {', '.join(NEEDS)}")

    def register(check: Check) -> Check:
        vars(check)["rule"] = Rule(ids, check, needs, models)
        return check

    return register


def rules_of(module: ModuleType) -> list[Rule]:
    """The rules that a module declares, in its order."""
    declared = (
        vars(value).get("rule") for value in vars(module).values() if callable(value) and hasattr(value, "__dict__")
    )
    return [entry for entry in declared if isinstance(entry, Rule) and entry.check.__module__ == module.__name__]


@cache
def fixed_rules() -> tuple[Rule, ...]:
    """Every rule that has a check; raises ValueError when two claim one id."""
    modules = [import_module(f"mockserver.conformance.checks.{name}") for name in MODULES]
    rules = [entry for module in modules for entry in rules_of(module)]
    ids = [id for entry in rules for id in entry.ids]
    for id in ids:
        # Two checks of one id would give it two verdicts.
        if ids.count(id) > 1:
            raise ValueError(f"{id} is declared twice")
    return tuple(rules)
