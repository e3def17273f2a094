"""One line of the log for each request: method, path, model, status, milliseconds, who answered.

A served process has it at `--log-level info`, the default; a mock inside a test has none. Control calls have no line.
"""

# The mock's lines are written when the journal learns that an exchange has ended, for only there it is known which line
# of a script answered, and turns of a WebSocket end there too. What the mock does not answer has a line of the relay's.
#
# What must stay true: neither query nor header nor body gets into a line, for all may hold secrets; and a line is one
# line, whatever a client puts into a path.

from __future__ import annotations

import logging
from collections.abc import Awaitable
from time import perf_counter
from typing import NamedTuple
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mockserver.config.settings import Settings
from mockserver.journal.exchange import Exchange
from mockserver.journal.summary import describe_source

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


def is_on(settings: Settings) -> bool:
    """Whether a served process tells its requests."""
    return settings.log_level in LEVELS


def log_exchange(exchange: Exchange) -> None:
    """Tell a request that the mock has answered."""
    call, turn = exchange.call, exchange.turn
    model = NOBODY if turn is None else turn.final["model"]
    ms = round(exchange.seconds * 1000, 1)
    _tell(AccessLine(call.method, _one_line(call.path), _one_line(model), exchange.status, ms, _source(exchange)))


def _tell(line: AccessLine) -> None:
    # without `log.info`, which looks for the place in the code that calls it: a third of what a line costs
    if log.isEnabledFor(logging.INFO):
        log.handle(logging.LogRecord(log.name, logging.INFO, __file__, 0, line, None, None))


def _source(exchange: Exchange) -> str:
    return describe_source(exchange.line, exchange.faults, is_turn=exchange.turn is not None) or NOBODY


def _one_line(text: str) -> str:
    return text if text.isprintable() and " " not in text else quote(text)


def log_requests(app: ASGIApp, source: str) -> ASGIApp:
    """An app whose requests and sockets are told when they have ended, as answered by `source`."""

    def logged(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return _serve(app, source, scope, receive, send)

    return logged


async def _serve(app: ASGIApp, source: str, scope: Scope, receive: Receive, send: Send) -> None:
    began, status = perf_counter(), 0

    async def watch(message: Message) -> None:
        nonlocal status
        status = status or message.get("status", 101 if message["type"] == "websocket.accept" else 0)
        await send(message)

    try:
        await app(scope, receive, watch)
    finally:
        ms = round((perf_counter() - began) * 1000, 1)
        _tell(AccessLine(scope.get("method", "GET"), _one_line(scope["path"]), NOBODY, status, ms, source))
