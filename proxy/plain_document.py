"""The document of an exchange in which nothing is to be hidden, straight from its tape: what recording costs."""

# Nearly every exchange is ordinary: no secret in its bodies, no content coding, chunks of whole events. The way through
# `Interaction` (redact each part, cut the stream, make three values, write each piece) takes several times as long. So
# an exchange is looked at once, all texts of it together; a stream is encoded in one call, and its times are put in by
# another; and what is the same in each request, or in each answer of a server, is remembered.
#
# What must stay true:
# * A document from here is, byte for byte, the one that `format_interaction` writes (a property test compares them).
# * Whatever is not ordinary (a word that may stand beside a secret, the user's patterns, a content coding, half an
#   event in a chunk) gives None, and the caller takes the long way. To give None is never wrong.

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from pydantic_core import SchemaValidator, core_schema

from proxy.cassettes.document import (
    ENDINGS,
    HEADERS,
    PLAIN,
    STREAM,
    escape_unsafe,
    format_opening,
    format_request_body,
    format_request_head,
    format_status,
    format_whole,
)
from proxy.cassettes.interaction import EVENT_STREAM, split_events
from proxy.cassettes.redaction import NOTED_REQUEST_HEADERS, UNKEPT_RESPONSE_HEADERS, Redactor, Secrets
from proxy.tape import Tape
from proxy.tape_interaction import make_request

LONGEST_HEAD = 2048  # bytes of a request's target and headers that are remembered: 256 of them are half a megabyte
MOST_HEADERS = 100  # of an answer whose names are remembered
_PLAIN_HEADER = bytes(byte for byte in range(32, 127) if byte not in b'"\\') + b"\n"
_EVENT_STREAM = EVENT_STREAM.encode()
_BORDER = b"\x7f"  # stands between chunks while they are encoded together; of all that JSON leaves as it is, the rarest
_NEXT_LINE = b'"]\n    - [%b, "'
# an empty line inside of a chunk: there is more than one event in it
_holds_two_events = SchemaValidator(
    core_schema.str_schema(pattern=f"\n\n[^{_BORDER.decode()}]", regex_engine="rust-regex")
).isinstance_python
# small letters for the search, and what is not plain made easy to see: one pass over a body, not two (`lower` alone
# takes half of it)
_NOT_PLAIN = b"\0"
_IN_LOWER_CASE = bytes(byte if byte in PLAIN or byte >= 0x80 else 0 for byte in range(256)).lower()

HeaderList = tuple[tuple[bytes, bytes], ...]


def format_plain(tape: Tape, redactor: Redactor) -> bytes | None:
    """The document of a tape in memory with the separator before it, None where it takes more than writing it down."""
    scope = tape.scope
    noted = tuple([pair for pair in scope["headers"] if pair[0].lower() in NOTED_REQUEST_HEADERS])
    target = scope["method"], scope["raw_path"], scope["query_string"]
    size = len(target[1]) + len(target[2]) + sum([len(value) for _, value in noted])
    format_head = _format_head if size <= LONGEST_HEAD else _format_head.__wrapped__
    head, secrets = format_head(redactor, *target, noted)
    sent = tape.sent.joined()
    answer = _format_answer(tape, redactor, secrets, sent)
    if answer is None:
        return None
    opening, status = format_opening(tape.id, tape.at), format_status(tape.status)
    return b"".join((opening, head, format_request_body(sent), status, *answer))


@lru_cache(maxsize=256)
def _format_head(
    redactor: Redactor, method: str, path: bytes, query: bytes, headers: HeaderList
) -> tuple[bytes, Secrets]:
    """A request without its body, and the secrets in it."""
    scope = {"type": "http", "method": method, "raw_path": path, "query_string": query, "headers": headers}
    request, secrets = make_request(scope, b"", redactor)
    return format_request_head(request), secrets


def _format_answer(tape: Tape, redactor: Redactor, secrets: Secrets, sent: bytes) -> tuple[bytes, ...] | None:
    """A response in parts, where nothing is to be hidden in it nor in what was sent."""
    names, values = zip(*tape.headers, strict=True) if tape.headers else ((), ())
    layout = _lay_out(names) if len(names) <= MOST_HEADERS else None
    if layout is None:
        return None
    kept = layout.pick(values)
    together = b"\n".join(kept)
    # what may not stand between quotes, or in a header, is none of these bytes
    if together.translate(None, _PLAIN_HEADER) or together.count(b"\n") >= max(1, len(kept)):
        return None
    streamed = layout.kind is not None and values[layout.kind].startswith(_EVENT_STREAM)
    data = tape.chunks.joined(_BORDER if streamed else b"")
    looked_at = b"\n".join((together, sent, data))
    looked_at = looked_at.lower() if streamed else looked_at.translate(_IN_LOWER_CASE)
    if not redactor.is_clean_in_lower_case(looked_at, secrets):
        return None
    if streamed:
        body = _format_stream(tape, data)
    else:
        is_plain = data.isascii() and _NOT_PLAIN not in looked_at
        body = (format_whole(tape.chunks.last_at, data, is_plain=is_plain),)
    ending = ENDINGS["complete" if tape.complete else "cut"]
    return None if body is None else (layout.text % kept, *body, ending)


class Layout(NamedTuple):
    """How headers of these names are written: their lines without values, what picks these, where the kind stands."""

    text: bytes
    pick: Callable[[Sequence[bytes]], tuple[bytes, ...]]
    kind: int | None


@lru_cache(maxsize=64)
def _lay_out(names: tuple[bytes, ...]) -> Layout | None:
    """How headers of these names are written, None where that depends on more than names."""
    lower = [name.lower() for name in names]
    together = b"".join(names)
    if b"content-encoding" in lower or together.translate(None, _PLAIN_HEADER[:-1]):
        return None
    kept = [place for place, name in enumerate(lower) if name not in UNKEPT_RESPONSE_HEADERS]
    lines = [b'    - ["%b", "%%b"]\n' % names[place].replace(b"%", b"%%") for place in kept]
    pick: Any = itemgetter(*kept) if len(kept) > 1 else lambda values: tuple([values[place] for place in kept])
    kind = lower.index(b"content-type") if b"content-type" in lower else None
    return Layout((HEADERS if kept else b"") + b"".join(lines), pick, kind)


def _format_stream(tape: Tape, data: bytes) -> tuple[bytes, ...] | None:
    """A stream in parts."""
    chunks, times = tape.chunks.listed, tape.chunks.times()
    if not tape.complete or not chunks or [chunk[-2:] for chunk in chunks].count(b"\n\n") != len(chunks):
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if _holds_two_events(text):  # on a busy machine they come together
        events = [(at, event) for at, chunk in zip(times, chunks, strict=True) for event in split_events(chunk)]
        times = [at for at, _ in events]
        text = _BORDER.decode().join([event.decode() for _, event in events])
    encoded = orjson.dumps(text).replace(b"%", b"%%")
    lines = encoded.replace(_BORDER, _NEXT_LINE)
    if len(lines) - len(encoded) != (len(times) - 1) * (len(_NEXT_LINE) - 1):
        return None  # what stands between chunks stands in one of them too
    if not data.isascii():
        lines = escape_unsafe(lines)
    first, *rest = _format_times(times)
    return STREAM, b"    - [", first, b", ", lines % tuple(rest), b"]\n"


def _format_times(times: list[float]) -> list[bytes]:
    """Times in seconds as `format_seconds` writes them, in one call."""
    return (orjson.dumps(times)[1:-1] + b",").replace(b".0,", b",")[:-1].split(b",")
