"""What goes back for one call, as a value: status, own headers, and a body that is there or a player that brings it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from mockserver.delivery.player import Pieces, Player
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.responses.events import Event

JSON = b"application/json"
SSE = b"text/event-stream; charset=utf-8"
_NOTHING: Mapping[str, Any] = MappingProxyType({})


class Answer(NamedTuple):
    """An answer over HTTP; without a `player` it leaves at once.

    `events` are those of a stream that leaves in one write; a stream ends in `tail`. `model` and `lead_s`, how long the
    caller waited for the model, and the `buckets` that faults keep go into the common headers, as does `error`.
    """

    body: bytes = b""
    status: int = 200
    content_type: bytes = JSON
    headers: tuple[tuple[bytes, bytes], ...] = ()
    streamed: bool = False
    events: Sequence[Event] | None = None
    tail: bytes = b""
    player: Player | Pieces | None = None
    model: str = ""
    lead_s: float = 0.0
    buckets: Mapping[str, Any] = _NOTHING
    error: APIError | MockError | None = None


def error_answer(error: APIError | MockError) -> Answer:
    """The answer that an error is; it is not raised any more."""
    # Its traceback would hold the frames of all who had the request, and these the answer: a ring that keeps the body
    # until the collector comes by, which 20,000 objects later is after gigabytes of large bodies.
    error.__traceback__ = error.__context__ = None
    headers = tuple((name.encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items())
    return Answer(error.body(), error.status, headers=headers, error=error)
