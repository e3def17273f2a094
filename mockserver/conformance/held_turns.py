"""Turns that a rule holds: a stream whose model does not go on before it is told to, or whose client leaves.

The clock of whoever plays the model stands still meanwhile, so that no time of the test's own is waited for.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from mockserver.conformance.connections import read_until
from mockserver.conformance.drivers import Answer
from mockserver.conformance.server_under_test import Item, ServerUnderTest

TOKEN_S = 600.0  # seconds of the model's clock between two tokens: what a held turn has at most, if nobody lets it go
MANY_TOKENS = 100
# some servers send nothing before their model's first token
PACING = {"first_token": 0, "tokens_per_second": 1 / TOKEN_S}
PATIENCE_S = 30.0  # how long a foreign server may take to finish what its model has ended


class HeldTurn:
    """A stream that was read up to `response.in_progress`; the model waits for `let_go` or `finish`.

    `events` are those that were read, `response` is that of the last.
    """

    def __init__(self, s: ServerUnderTest, input: Any = "ping", *, text: str = "one two three", **fields: Any) -> None:
        self._s = s
        s.freeze()
        s.script({"text": text}, pacing=PACING)
        self._stream = s.connections.open_stream({"model": s.model, "input": input, "stream": True, **fields})
        s.opened.append(self._stream.drop)
        self.events = read_until(self._stream.read, lambda found: found[-1]["type"] == "response.in_progress")
        self.response: Item = self.events[-1]["response"]

    def let_go(self) -> None:
        """Let the model go on."""
        self._s.advance(MANY_TOKENS * TOKEN_S)

    def drop(self) -> None:
        """Leave, as a client does that breaks off."""
        self._stream.drop()

    def finish(self) -> Item:
        """Let the model go on; returns the response with which the stream ends."""
        self.let_go()
        while (event := self._stream.read()) is not None:
            self.events.append(event)
        self._s.remember("POST", "/responses", Answer(200, None, self.events))
        return dict(self.events[-1]["response"])


def poll(what: str, look: Callable[[], bool]) -> None:
    """Wait until something holds; raises AssertionError after `PATIENCE_S` seconds."""
    deadline = time.monotonic() + PATIENCE_S
    while not look():
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {PATIENCE_S:g} seconds: {what}")
        time.sleep(0.05)
