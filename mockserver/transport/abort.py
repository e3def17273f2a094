"""Breaking a connection off on purpose: a client must never take a torn response for a complete one (Spec: S10)."""

from __future__ import annotations

import logging
from asyncio import CancelledError


class Abort(Exception):
    """Raised by an ASGI app after the head of a response: the server closes the connection without ending the body.

    uvicorn sends no last chunk then, and leaves a `content-length` unfulfilled. Whoever raises it logs why.
    """


class AbortFilter(logging.Filter):
    """Keeps what the server reports about deliberate aborts, and about requests cancelled at exit, out of the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is shown."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, Abort | CancelledError)
