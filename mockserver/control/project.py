"""What a project keeps of itself: its clock, how many calls have written to it, and under which name its ids are drawn.

The name travels with a snapshot, so a fork goes on with the ids that the original would have given.
"""

from __future__ import annotations

from typing import NamedTuple

import orjson

from mockserver.control.clock import Clock
from mockserver.core.state import Put, State
from mockserver.wire.encoding import stored_json


class Project(NamedTuple):
    """A project's own record: `calls` numbers the next call that writes, `mint` names the source of its ids.

    `scenario` says whether it has a scenario of its own in place of the server's.
    """

    clock: Clock
    calls: int
    mint: str
    scenario: bool = False

    def put(self) -> Put:
        """Return the change that stores it."""
        clock = self.clock
        doc = {"ordinal": self.calls, "shift": clock.shift, "frozen": clock.frozen, "mint": self.mint}
        if self.scenario:
            doc["scenario"] = True
        return Put("project", "project", stored_json(doc))


def read_project(state: State, name: str, frozen: float | None) -> Project:
    """Return a project's own record; a new one has its own name and the clock of the settings (`frozen` or not)."""
    doc = state.get("project", "project")
    if doc is None:
        return Project(Clock(frozen=frozen), 0, name)
    values = orjson.loads(doc)
    clock = Clock(values["shift"], values["frozen"])
    return Project(clock, values["ordinal"], values.get("mint", name), "scenario" in values)


def mint_name(name: str, seed: int | None) -> str:
    """Return the name of a source of ids, with a seed of the project's own or without one."""
    own = name.partition("#")[0]
    return own if seed is None else f"{own}#{seed}"
