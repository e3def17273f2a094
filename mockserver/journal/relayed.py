"""What another than the mock has answered: an upstream, a cassette, the proxy itself; noted as it passes.

Pieces are kept by reference, and read only when somebody looks: forwarding costs no parsing.
"""

# What must stay true: memory is bounded. Of a request its first `MOST_BYTES` are kept. Of an answer its last ones, for
# the end of a stream says how it came out; a body that lost its beginning is not read as JSON any more.

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

MOST_BYTES = 256 * 1024
MOST_EVENTS = 8  # at the end of a stream, among which the one is looked for that has the whole Response
TURNS = ("POST", "/v1/responses")
_ANSWERED_BY = {"recorder": "upstream, recorded", "shadow": "upstream, compared"}


class RelayedAnswer:
    """An answer as it passes. `answerer` is `upstream`, `recorder`, `shadow`, `cassette`, `auto` or `proxy`.

    `recording` is what a cassette answered with: `#` and the number of an interaction, or `miss`. `started` and
    `first_bytes` are times of the process's own clock, 0.0 where that has not come.
    """

    __slots__ = (
        "answerer",
        "complete",
        "first_bytes",
        "headers",
        "is_whole",
        "pieces",
        "recording",
        "sent",
        "sent_size",
        "size",
        "started",
        "status",
    )

    def __init__(self, answerer: str, started: float) -> None:
        self.answerer, self.started = answerer, started
        self.recording = ""
        self.first_bytes = 0.0
        self.status = self.size = self.sent_size = 0
        self.headers: Iterable[tuple[bytes, bytes]] = ()
        self.sent: list[bytes] = []
        self.pieces: list[bytes] = []
        self.complete, self.is_whole = False, True

    @property
    def answered_by(self) -> str:
        """Who answered, as people read it: `upstream`, `cassette #3`, `cassette miss`."""
        return _ANSWERED_BY.get(self.answerer) or f"{self.answerer} {self.recording}".rstrip()

    # --- as it passes -----------------------------------------------------------------------------------------------

    def note_recording(self, number: int | None) -> None:
        """Note which interaction of a cassette answers; None for a miss, after which `auto` asks the upstream."""
        if self.answerer == "auto":
            self.answerer = "recorder" if number is None else "cassette"
        if self.answerer == "cassette":
            self.recording = "miss" if number is None else f"#{number}"

    def add_sent(self, piece: bytes) -> None:
        """Note a piece of the request's body."""
        if self.sent_size < MOST_BYTES:
            self.sent.append(piece)
        self.sent_size += len(piece)

    def add(self, piece: bytes) -> None:
        """Note a piece of the answer's body."""
        pieces = self.pieces
        pieces.append(piece)
        self.size += len(piece)
        if self.size > MOST_BYTES and len(pieces) > 1:
            self._drop_beginning()

    def _drop_beginning(self) -> None:
        """Let half of it go, not each piece by itself: to move up the others takes long."""
        dropped = 0
        while self.size > MOST_BYTES // 2 and dropped < len(self.pieces) - 1:
            self.size -= len(self.pieces[dropped])
            dropped += 1
        del self.pieces[:dropped]
        self.is_whole = False

    # --- when somebody looks ----------------------------------------------------------------------------------------

    def sent_body(self) -> bytes:
        """The request's body; of a long one its beginning, and how long it was."""
        body = self.sent[0] if len(self.sent) == 1 else b"".join(self.sent)
        if self.sent_size <= MOST_BYTES:
            return body
        mark = f"… [cut, {self.sent_size} bytes in all]".encode()
        return body[: MOST_BYTES - len(mark)] + mark

    @property
    def is_stream(self) -> bool:
        """Whether the body is a stream of server-sent events."""
        return self._header(b"content-type").startswith(b"text/event-stream")

    def _header(self, name: bytes) -> bytes:
        return next((value for key, value in self.headers if key.lower() == name), b"")

    def read_body(self) -> bytes:
        """The kept part of the body without its content coding, empty where that can't be taken off."""
        body = b"".join(self.pieces)
        coding = self._header(b"content-encoding").strip().lower()
        if coding in (b"", b"identity"):
            return body
        if coding not in (b"gzip", b"x-gzip", b"deflate") or not self.is_whole:
            return b""
        try:
            return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(body, 4 * MOST_BYTES)
        except zlib.error:
            return b""

    def read_resource(self) -> dict[str, Any]:
        """The object that the body is, or that the last events of a stream show; empty where there is none."""
        body = self.read_body()
        if not self.is_stream:
            value = _parse(body)
            response = value.get("response") if "type" in value else None  # the last frame of a socket's turn
            return response if isinstance(response, dict) else value
        events = [_parse(data) for data in _last_events(body)]
        return next((event["response"] for event in events if isinstance(event.get("response"), dict)), {})


def _last_events(body: bytes) -> Iterator[bytes]:
    """Yield the data of a stream's last events, the last one first."""
    for block in reversed(body.replace(b"\r\n", b"\n").rsplit(b"\n\n", MOST_EVENTS)):
        yield b"".join([line[5:] for line in block.split(b"\n") if line.startswith(b"data:")])


def _parse(text: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def error_in(resource: dict[str, Any]) -> dict[str, Any] | None:
    """The error that a body tells, with the members of the API's; None where it tells none."""
    error = resource.get("error")
    if not isinstance(error, dict):
        return None
    return {name: error.get(name) for name in ("message", "type", "param", "code")}


def outcome_of(resource: dict[str, Any]) -> dict[str, Any]:
    """What a Response says that a summary shows, with the members that a journal has of what a model saw."""
    if resource.get("object") != "response":
        return {}
    usage = resource.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    details, conversation = usage.get("input_tokens_details"), resource.get("conversation")
    return {
        "id": _text(resource.get("id")),
        "model": _text(resource.get("model")),
        "status": _text(resource.get("status")),
        "previous_response_id": _text(resource.get("previous_response_id")),
        "conversation": _text(conversation.get("id") if isinstance(conversation, dict) else conversation),
        "store": resource.get("store") is not False,
        "input_tokens": _count(usage.get("input_tokens")),
        "cached_tokens": _count(details.get("cached_tokens") if isinstance(details, dict) else None),
        "output_tokens": _count(usage.get("output_tokens")),
    }


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None
