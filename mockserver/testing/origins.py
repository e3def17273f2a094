"""The lines of a test that speak to a mock: reports name where a scripted line was set, and errors come from there.

A place is written as `test_weather.py:31` or `weather.yaml:7`.
"""

# How it works. The engine knows lines by their content alone, since they may come by HTTP and are the same on every
# machine. A `Mock` notes beside it from which line of the test each was queued. The same line queued twice has two
# origins, in the order of their use.

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from mockserver.config.settings import SettingError, UnknownOption
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.responses.encoding import encode_compact

P = ParamSpec("P")
T = TypeVar("T")

OURS = re.compile(r"mockserver(\.|$)")


class Origins:
    """The places at which the lines of one mock were set."""

    def __init__(self) -> None:
        self._queued: dict[bytes, list[str]] = {}
        self._played: list[Any] = []
        self._places: list[str] = []

    def note_queued(self, lines: Sequence[Any]) -> None:
        """Note that the line of the test that runs now queues these lines."""
        place = find_caller()
        for line in lines:
            self._queued.setdefault(encode_compact(line), []).append(place)

    def note_played(self, document: Mapping[str, Any], places: Sequence[str] | None) -> None:
        """Note the lines of a scenario with their places; without any, the line of the test that sets it."""
        self._played = list(document["lines"])
        caller = "" if places else find_caller()
        self._places = list(places or [f"lines[{number}], {caller}" for number in range(len(self._played))])

    def queued_at(self, line: bytes, number: int) -> str | None:
        """The place where a line was queued for the n-th time (from 0), None if it was not queued here."""
        places = self._queued.get(line, [])
        return places[number] if number < len(places) else None

    def played_at(self, place: str, lines: Sequence[Any]) -> str:
        """The place of a scenario's line, such as `lines[2]`, in the file that was played, if it still plays."""
        number = re.fullmatch(r"lines\[(\d+)\]", place)
        if number is None or list(lines) != self._played:
            return place
        return self._places[int(number[1])]

    def forget(self) -> None:
        """Forget all places."""
        self.__init__()  # type: ignore[misc]


def find_caller() -> str:
    """The file and line, outside this package, that runs now."""
    frame = sys._getframe(1)
    while frame.f_back is not None and OURS.match(frame.f_globals.get("__name__", "")):
        frame = frame.f_back
    return f"{shorten_path(frame.f_code.co_filename)}:{frame.f_lineno}"


def shorten_path(file: str) -> str:
    """A file's path from the working directory, where it is below that."""
    try:
        return str(Path(file).relative_to(Path.cwd()))
    except (ValueError, OSError):
        return file


def at_caller(call: Callable[P, T]) -> Callable[P, T]:
    """Let the errors by which a call refuses its arguments come from the line that made the call.

    Their own traceback is dropped, and pytest hides this frame: what is left is the test. Other errors, which are
    faults of the mock, keep theirs.
    """

    @wraps(call)
    def checked(*args: P.args, **kwargs: P.kwargs) -> T:
        __tracebackhide__ = True
        try:
            return call(*args, **kwargs)
        except (MockError, APIError, SettingError, UnknownOption) as error:
            refused = error
        raise refused.with_traceback(None) from None

    return checked
