"""A WebSocket of the server under test as the rules see it: turns that must end, expected refusals."""

# How it works. `turn` sends a `response.create` and reads its frames to their end: a terminal event, or an error frame
# at the beginning. An error frame in the middle is followed by the end of its turn (Spec: S12); a server that does not
# send one is waited for `GRACE_S` seconds.

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from mockserver.conformance.capabilities import needed
from mockserver.conformance.connections import CREATE, Refused, read_until
from mockserver.conformance.drivers import Answer
from mockserver.conformance.expected_errors import ExpectedError
from mockserver.conformance.leniency import tolerate
from mockserver.conformance.server_under_test import Item, ServerUnderTest, missing, short

TERMINAL = ("response.completed", "response.incomplete", "response.failed")
ERROR = "error"
GRACE_S = 5.0


class SocketUnderTest:
    """A connection, and the server whose claims it adds to; `options` are those of the handshake."""

    def __init__(self, s: ServerUnderTest, **options: Any) -> None:
        self._s = s
        try:
            self.wire = s.connections.open_socket(**options)
        except Refused as reason:
            raise AssertionError(str(reason)) from None
        s.opened.append(self.wire.close)

    def send(self, input: Any = "ping", **fields: Any) -> None:
        """Send a `response.create`."""
        body = {"model": self._s.model, "input": input, **fields}
        lacking = needed("POST", "/responses", body)
        if lacking is not None and not self._s.has(lacking):
            raise missing(lacking)
        self.wire.send({"type": CREATE, **body})

    def read_until(self, done: Callable[[list[Item]], object]) -> list[Item]:
        """Read frames until a test of them holds."""
        return read_until(self.wire.receive, done)

    def read_turn(self) -> list[Item]:
        """The frames of one turn, or the one frame that refuses it."""
        frames = self.read_until(lambda found: found[-1].get("type") in (*TERMINAL, ERROR))
        if len(frames) > 1 and frames[-1]["type"] == ERROR:
            with suppress(AssertionError):  # the turn may have ended with its error
                frames.append(self.wire.receive(GRACE_S))
        return frames

    def turn(self, input: Any = "ping", **fields: Any) -> list[Item]:
        """The frames of a turn that completes."""
        self.send(input, **fields)
        frames = self.read_turn()
        if frames[-1]["type"] != "response.completed":
            raise AssertionError(f"response.create {short(fields)}: expected a response, found {short(frames[-1])}")
        self.remember(frames)
        return frames

    def remember(self, frames: list[Item]) -> None:
        """Note what the model saw in a turn."""
        if not self._s.mock:
            self._s.remember("POST", "/responses", Answer(200, None, frames))

    def create(self, input: Any = "ping", **fields: Any) -> Item:
        """Create a response, claiming that it completes."""
        response = self.turn(input, **fields)[-1]["response"]
        return dict(tolerate(Answer(200, response)).body) if self._s.lenient else dict(response)

    def chain(self, parent: Item, input: Any = "and then?", **fields: Any) -> Item:
        """Continue a response."""
        return self.create(input, previous_response_id=parent["id"], **fields)

    def check_refused(self, error: ExpectedError, input: Any = "ping", **fields: Any) -> Item:
        """Claim that a `response.create` is answered with an error frame; returns it."""
        self.send(input, **fields)
        return self.check_error_frame(error, f"response.create {short(fields)}")

    def check_error_frame(self, error: ExpectedError, name: str) -> Item:
        """Claim that the next frame is an error."""
        frames = self.read_turn()
        frame = frames[0]
        refusal = Answer(int(frame.get("status") or 0), frame) if frame["type"] == ERROR else Answer(200, None, frames)
        if self._s.lenient:
            refusal = Answer(200, None, frames)
        self._s.check_refusal(name, error, refusal)
        return frame


def open_socket(s: ServerUnderTest, **options: Any) -> SocketUnderTest:
    """Open a WebSocket on a server, which is closed at the end of the rule."""
    return SocketUnderTest(s, **options)
