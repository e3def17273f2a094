"""A recorded answer on its way to a client: in the pieces that were recorded, and where nothing is to be waited for in
one write.
"""

# What must stay true: both ways give the same bytes. So an answer is only made ready for one write (`prepare`) if its
# head needs no closer look of the server's, and a stream of several pieces leaves in as many chunks.

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from starlette.types import Scope, Send

from mockserver.transport.abort import Abort
from mockserver.transport.http import BY_NAME, MOST_JOINED, Headers, write_lines
from proxy.cassettes.interaction import Interaction, Piece, Response
from proxy.cassettes.matching import Recorded

SOURCE = (b"x-understudy-source", b"cassette")
_NO_BODY = frozenset((204, 304))
_FRAMING = frozenset(("connection", "transfer-encoding", "content-length"))

Steps = list[tuple[float, bytes]]  # how long to wait, and what to write then


async def send_recorded(interaction: Interaction, speed: float, scope: Scope, send: Send) -> None:
    """Send a recorded answer; raises Abort where it was cut."""
    response = interaction.response
    cut = response.ended == "cut"
    steps = list(_list_steps(response.pieces, speed))
    headers = _list_headers(response, is_sized=_is_sized(response, steps))
    await send({"type": "http.response.start", "status": response.status, "headers": headers})
    silent = scope.get("method") == "HEAD"
    for number, (wait, data) in enumerate(steps, 1):
        if wait:
            await asyncio.sleep(wait)
        last = number == len(steps) and not cut
        await send({"type": "http.response.body", "body": b"" if silent else data, "more_body": not last})
    if cut:
        raise Abort
    if not steps:
        await send({"type": "http.response.body", "body": b""})


def _list_steps(pieces: tuple[Piece, ...], speed: float) -> Iterator[tuple[float, bytes]]:
    """Yield how long to wait and what to write then: pieces that arrived together leave together."""
    before = 0.0
    for at, group in groupby(pieces, key=lambda piece: piece.at):
        yield (max(0.0, at - before) / speed if speed else 0.0), b"".join([piece.data for piece in group])
        before = at


def _is_sized(response: Response, steps: Steps) -> bool:
    """Whether the head says how long the body is."""
    whole = len(steps) == 1 and not response.streamed
    return (whole or not steps) and response.ended != "cut" and response.status not in _NO_BODY


def _list_headers(response: Response, *, is_sized: bool) -> Headers:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    if is_sized:
        headers.append((b"content-length", b"%d" % len(response.body)))
    return [*headers, SOURCE]


class ReadyAnswer(NamedTuple):
    """An answer that leaves in one write: its head as headers and as lines, and the `data` that follow on it.

    `id` is that of its interaction, `body` what the data say. Where its own chunks are in the data (`is_chunked`), the
    head is complete: the server must have nothing to add to it.
    """

    id: int
    status: int
    headers: Headers
    lines: bytes
    data: bytes
    body: bytes
    is_sized: bool
    is_chunked: bool

    def suits(self, scope: Scope) -> bool:
        """Whether it answers a request as `send_recorded` would: who ends the connection is told so in the head."""
        if not self.is_chunked:
            return True
        headers = scope[BY_NAME]
        is_open = scope["http_version"] == "1.1" and headers.get(b"connection", b"keep-alive").lower() == b"keep-alive"
        return is_open and len(headers) == len(scope["headers"])


def prepare(recorded: Recorded) -> ReadyAnswer | None:
    """The answer of a recording for one write; None for one that was cut, is long, has no body or an unusual head."""
    interaction = recorded.interaction
    response, steps = interaction.response, list(_list_steps(interaction.response.pieces, 0.0))
    data = body = response.body
    if response.ended == "cut" or response.status in _NO_BODY or not body or len(body) > MOST_JOINED:
        return None
    is_chunked, is_sized = len(steps) > 1, _is_sized(response, steps)
    headers = _list_headers(response, is_sized=is_sized)
    lines = b"" if any(name.lower() in _FRAMING for name, _ in response.headers) else _write_lines(headers)
    if not lines:
        return None
    if is_chunked:
        lines += b"transfer-encoding: chunked\r\n"
        data = b"".join([*(b"%x\r\n%b\r\n" % (len(piece), piece) for _, piece in steps if piece), b"0\r\n\r\n"])
    is_whole = is_sized or is_chunked
    return ReadyAnswer(interaction.id, response.status, headers, lines, data, body, is_whole, is_chunked)


def _write_lines(headers: Headers) -> bytes:
    """The lines of a recorded head, names in their own case; none for one that a server has to refuse."""
    in_lower_case = [(name.lower(), value) for name, value in headers]
    try:
        lines = write_lines(in_lower_case)
    except ValueError:
        return b""
    return lines if in_lower_case == headers else b"\r\n".join([*map(b": ".join, headers), b""])
