"""Deliberate aborts stay out of the log, everything else stays in."""

from __future__ import annotations

import asyncio
import logging

import pytest
from starlette.types import Receive, Scope, Send
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from mockserver.transport.abort import Abort, AbortFilter
from mockserver.transport.guard import ErrorApp
from mockserver.wire.errors.api import MockError
from tests.support.raw_upstream import serving


async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that lets nobody in."""
    if scope["type"] == "lifespan":
        for kind in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{kind}.complete"})
    else:
        await ErrorApp(MockError("no", status=401))(scope, receive, send)


def shown(error: BaseException | None) -> bool:
    """Whether a record about this error is shown."""
    info = None if error is None else (type(error), error, None)
    return AbortFilter().filter(logging.LogRecord("uvicorn.error", logging.ERROR, "", 1, "x", (), info))


def test_filter() -> None:
    assert not shown(Abort()) and not shown(asyncio.CancelledError())
    assert shown(ValueError()) and shown(None)
    open_at_exit = "Cancel %s running task(s), timeout graceful shutdown exceeded"  # uvicorn's words
    assert not AbortFilter().filter(logging.LogRecord("uvicorn.error", logging.ERROR, "", 1, open_at_exit, (2,), None))


def test_a_refused_socket_is_no_error(capfd: pytest.CaptureFixture[str]) -> None:
    with serving(refusing) as port, pytest.raises(InvalidStatus):
        connect(f"ws://127.0.0.1:{port}/", proxy=None).__enter__()
    assert capfd.readouterr().err == ""
