"""Deliberate aborts stay out of the log, everything else stays in."""

from __future__ import annotations

import asyncio
import logging

from mockserver.transport.abort import Abort, AbortFilter


def shown(error: BaseException | None) -> bool:
    """Whether a record about this error is shown."""
    info = None if error is None else (type(error), error, None)
    return AbortFilter().filter(logging.LogRecord("uvicorn.error", logging.ERROR, "", 1, "x", (), info))


def test_filter() -> None:
    assert not shown(Abort()) and not shown(asyncio.CancelledError())
    assert shown(ValueError()) and shown(None)
