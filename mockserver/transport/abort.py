"""Breaking a connection off on purpose: a client must never take a torn response for a complete one (Spec: S10)."""

# A body that ends early has to look unfinished. With chunked coding that is a missing last chunk, with `content-length`
# too few bytes (RFC 9112 §8). ASGI has no message that says so, and an app that returns early gets a proper last chunk
# from some servers. An exception out of the app is what makes uvicorn close the connection instead. It also logs a
# traceback, which is noise for a cut that a scenario asked for; therefore the filter below.

from __future__ import annotations

import logging
from asyncio import CancelledError


class Abort(Exception):
    """Raised by an ASGI app after the head of a response: the server closes the connection without ending the body.

    uvicorn sends no last chunk then, and leaves a `content-length` unfulfilled. Whoever raises it logs why.
    """


# what uvicorn says of a WebSocket that was refused with an HTTP answer, and of streams that are open when it ends
EXPECTED = (
    "ASGI callable returned without completing handshake.",
    "Cancel %s running task(s), timeout graceful shutdown exceeded",
)


class AbortFilter(logging.Filter):
    """Keeps out of the log what the server reports about aborts, refused sockets and requests cancelled at exit.

    Whoever presses Ctrl-C while a stream is open has done nothing wrong.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is shown."""
        error = record.exc_info[1] if record.exc_info else None
        return not isinstance(error, Abort | CancelledError) and record.msg not in EXPECTED
