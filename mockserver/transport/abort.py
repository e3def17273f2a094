"""Breaking a connection off on purpose: a client must never take a torn response for a complete one (Spec: S10)."""

from __future__ import annotations

import logging
from asyncio import CancelledError


class Abort(Exception):
    """Raised by an ASGI app after the head of a response: the server closes the connection without ending the body.

    uvicorn sends no last chunk then, and leaves a `content-length` unfulfilled. Whoever raises it logs why.
    """


# what uvicorn says of a WebSocket that was refused with an HTTP answer
REFUSED = "ASGI callable returned without completing handshake."


class AbortFilter(logging.Filter):
    """Keeps out of the log what the server reports about aborts, refused sockets and requests cancelled at exit."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is shown."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, Abort | CancelledError) and record.msg != REFUSED
