"""Mistakes of a test's author are shown at the author's line, without the frames of this package."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from mockserver.config.settings import SettingError, UnknownOption
from mockserver.wire.errors.api import APIError, MockError

P = ParamSpec("P")
T = TypeVar("T")


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
