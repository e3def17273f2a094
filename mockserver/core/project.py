"""What a project keeps of itself: its clock, how many calls have written to it, and under which name its ids are drawn.

The name travels with a snapshot, so a fork goes on with the ids that the original would have given.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import orjson

from mockserver.core.records import PROJECT_KEY, Put, _new


class Clock(NamedTuple):
    """Seconds `shift` ahead of the system's clock, or frozen at `frozen` (unix seconds)."""

    shift: float = 0.0
    frozen: float | None = None

    @property
    def mode(self) -> str:
        """`system` for a clock that runs, `manual` for one that stands still."""
        return "system" if self.frozen is None else "manual"

    def reading(self, wall: float) -> float:
        """The time, in unix seconds, when the system's clock says `wall`."""
        return wall + self.shift if self.frozen is None else self.frozen

    def advance(self, seconds: float) -> Clock:
        """The clock moved forward; it goes on running or standing still as before."""
        if self.frozen is None:
            return self._replace(shift=self.shift + seconds)
        return self._replace(frozen=self.frozen + seconds)

    def freeze_at(self, now: float) -> Clock:
        """The clock standing still at a time."""
        return Clock(frozen=now)


class Project(NamedTuple):
    """A project's own record: `calls` numbers the next call that writes, `id_namespace` names the source of its ids.

    `scenario` says whether it has a scenario of its own in place of the server's.
    """

    clock: Clock
    calls: int
    id_namespace: str
    scenario: bool = False

    def put(self) -> Put:
        """The change that stores it."""
        lasting = _lasting_members(self.clock, self.id_namespace, self.scenario)
        return _new(Put, (*PROJECT_KEY, b'{"ordinal":%d,%b' % (self.calls, lasting), "", 0))


class Restored(NamedTuple):
    """What a snapshot becomes: what the project keeps of itself, and its records."""

    project: Project
    records: list[Put]


@lru_cache(maxsize=4096)
def _lasting_members(clock: Clock, id_namespace: str, scenario: bool) -> bytes:
    """The rest of a project's document, which is the same on nearly every call; a running clock has no time."""
    still = "null" if clock.frozen is None else repr(clock.frozen)
    more = ',"scenario":true' if scenario else ""
    name = orjson.dumps(id_namespace).decode()
    return f'"shift":{clock.shift!r},"frozen":{still},"mint":{name}{more}}}'.encode()


forget_documents = _lasting_members.cache_clear


def read_project(doc: bytes | None, name: str, frozen: float | None) -> Project:
    """A project's own record; a new one (None) has its own name and the settings' clock (`frozen` or not)."""
    if doc is None:
        return Project(Clock(frozen=frozen), 0, name)
    values = orjson.loads(doc)
    clock = Clock(values["shift"], values["frozen"])
    return Project(clock, values["ordinal"], values.get("mint", name), "scenario" in values)


def id_namespace(name: str, seed: int | None) -> str:
    """The name of a source of ids, with a seed of the project's own or without one."""
    own = name.partition("#")[0]
    return own if seed is None else f"{own}#{seed}"
