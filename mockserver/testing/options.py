"""The options of `Mock(…)` for a type checker: a misspelt one is an error before the test runs.

A type checker can't read the table in `mockserver.config.settings`, so the rows that a `Mock` takes are repeated here;
a test compares them. `scenario` is a parameter of its own, since it may also be the contents of a file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from os import PathLike
from typing import Any, Literal, Protocol, TypedDict

from mockserver.config.pacing import Pacing
from mockserver.model.prompt import Prompt


class ScriptedRespondent(Protocol):
    """A model of a test: what it returns is what `Mock.reply` takes, or a `Reply`."""

    def respond(self, prompt: Prompt, /) -> Any:
        """The reply to a prompt."""
        ...


ModelSource = Callable[[Prompt], Any] | ScriptedRespondent
Part = Literal["state", "scenario", "faults", "journal", "clock"]
File = str | PathLike[str]
ScenarioSource = File | Sequence[File] | Mapping[str, Any]
SwitchValue = str | int | float | Sequence[str]


class MockOptions(TypedDict, total=False):
    """Options of a `Mock` besides `model` and `scenario`, as on the command line but as Python values."""

    store: str | None
    snapshot: File | None
    strict: bool | None
    seed: int | None
    clock: float | str | datetime | None
    api_key: str | Iterable[str] | None
    allow_host: str | Iterable[str] | None
    pacing: float | tuple[float, float] | str | Pacing | None
    set: Mapping[str, SwitchValue] | Iterable[str] | None
    journal: int | None
    journal_bytes: int | None
    max_body_bytes: int | None
