"""One line of the log for each request: method, path, model, status, milliseconds, who answered.

A served process has it at `--log-level info`, the default; a mock inside a test has none. Control calls have no line.
"""

# A line is written when the journal learns that an exchange has ended, for only there it is known which line of a
# script answered, and turns of a WebSocket end there too. What the mock does not answer has a line of the relay's.
#
# What must stay true: neither query nor header nor body gets into a line, for all may hold secrets; and a line is one
# line, whatever a client puts into a path.

from __future__ import annotations

import logging
from time import time
from typing import NamedTuple
from urllib.parse import quote

from mockserver.config.settings import Settings
from mockserver.journal.exchange import Exchange, describe_source

log = logging.getLogger("understudy.access")
LEVELS = ("info", "debug")  # levels of the log at which requests are told
NOBODY = "-"


class AccessLine(NamedTuple):
    """What the log says of a request; as text its parts in this order."""

    method: str
    path: str
    model: str
    status: int
    ms: float
    answered_by: str

    def __str__(self) -> str:
        return f"{self.method} {self.path} {self.model} {self.status} {self.ms:.1f} ms, {self.answered_by}"


# What every line's record says besides the line and its time: every formatter of `logging` finds what it may read.
_SAME = logging.LogRecord("understudy.access", logging.INFO, __file__, 0, "", None, None).__dict__


class AccessRecord(logging.LogRecord):
    """The record of a line, without what `logging` asks the system for each time: thread, process, task, file."""

    def __init__(self, line: AccessLine) -> None:
        created = time()
        self.__dict__ = {**_SAME, "msg": line, "created": created, "msecs": created % 1 * 1000}


def is_on(settings: Settings) -> bool:
    """Whether a served process tells its requests."""
    return settings.log_level in LEVELS


def log_exchange(exchange: Exchange) -> None:
    """Tell a request that the mock has answered."""
    call, turn = exchange.call, exchange.turn
    model = NOBODY if turn is None else turn.final["model"]
    source = describe_source(exchange.line, exchange.faults, is_turn=turn is not None) or NOBODY
    log_request(call.method, call.path, exchange.status, exchange.seconds, source, model=model)


def log_request(method: str, path: str, status: int, seconds: float, source: str, *, model: str = NOBODY) -> None:
    """Tell a request that `source` has answered."""
    tell(AccessLine(method, _write_in_one(path), _write_in_one(model), status, round(seconds * 1000, 1), source))


def tell(line: AccessLine) -> None:
    """Write a line to the log."""
    # without `log.info`, which looks for the place in the code that calls it: a third of what a line costs
    if log.isEnabledFor(logging.INFO):
        log.handle(AccessRecord(line))


def _write_in_one(text: str) -> str:
    return text if text.isprintable() and " " not in text else quote(text)
