"""The document of an exchange in which nothing is to be hidden, straight from its tape: what recording costs."""

# Nearly every exchange is ordinary: no secret in its bodies, no content coding, chunks of whole events. The way through
# `Interaction` (redact each part, cut the stream, make three values, write each piece) takes 44 µs for a JSON answer of
# 3 kB and 150 µs for 58 events; this one 22 and 90 (CPU in a loop, 2026-11-30; in a busy proxy, with cold caches, both
# take 2.5 times as long). So all texts of one kind are looked at together, a stream is encoded in one call, and what is
# the same in each request is remembered.
#
# What must stay true:
# * A document from here is, byte for byte, the one that `format_interaction` writes (a property test compares them).
# * Whatever is not ordinary (a word that may stand beside a secret, the user's patterns, a content coding, half an
#   event in a chunk) gives None, and the caller takes the long way. To give None is never wrong.

from __future__ import annotations

from functools import lru_cache

import orjson
from pydantic_core import SchemaValidator, core_schema

from proxy.cassettes.document import (
    HEADERS,
    STREAM,
    escape_unsafe,
    format_ending,
    format_opening,
    format_request_body,
    format_request_head,
    format_seconds,
    format_status,
    format_whole,
)
from proxy.cassettes.interaction import EVENT_STREAM, split_events
from proxy.cassettes.redaction import NOTED_REQUEST_HEADERS, UNKEPT_RESPONSE_HEADERS, Redactor, Secrets
from proxy.tape import Tape
from proxy.tape_interaction import make_request

LONGEST_HEAD = 2048  # bytes of a request's target and headers that are remembered: 256 of them are half a megabyte
_PLAIN_HEADER = bytes(byte for byte in range(32, 127) if byte not in b'"\\') + b"\n"
_EVENT_STREAM = EVENT_STREAM.encode()
_BORDER = "\x7f"  # stands between chunks while they are encoded together; of all that JSON leaves as it is, the rarest
# an empty line inside of a chunk: there is more than one event in it
_holds_two_events = SchemaValidator(
    core_schema.str_schema(pattern=f"\n\n[^{_BORDER}]", regex_engine="rust-regex")
).isinstance_python

HeaderList = tuple[tuple[bytes, bytes], ...]


def format_plain(tape: Tape, redactor: Redactor) -> str | None:
    """The document of a tape in memory with the separator before it, None where it takes more than writing it down."""
    scope, sent = tape.scope, tape.sent.joined()
    noted = tuple([pair for pair in scope["headers"] if pair[0].lower() in NOTED_REQUEST_HEADERS])
    target = scope["method"], scope["raw_path"], scope["query_string"]
    size = len(target[1]) + len(target[2]) + sum([len(value) for _, value in noted])
    format_head = _format_head if size <= LONGEST_HEAD else _format_head.__wrapped__
    head, secrets = format_head(redactor, *target, noted)
    answer = _format_answer(tape, redactor, secrets) if redactor.is_clean(sent, secrets) else None
    if answer is None:
        return None
    return f"{format_opening(tape.id, tape.at)}{head}{format_request_body(sent)}{format_status(tape.status)}{answer}"


@lru_cache(maxsize=256)
def _format_head(
    redactor: Redactor, method: str, path: bytes, query: bytes, headers: HeaderList
) -> tuple[str, Secrets]:
    """A request without its body, and the secrets in it."""
    scope = {"type": "http", "method": method, "raw_path": path, "query_string": query, "headers": headers}
    request, secrets = make_request(scope, b"", redactor)
    return format_request_head(request), secrets


def _format_answer(tape: Tape, redactor: Redactor, secrets: Secrets) -> str | None:
    headers: list[tuple[bytes, bytes]] = []
    kind = b""
    for pair in tape.headers:
        name = pair[0].lower()
        if name == b"content-encoding":
            return None
        if name == b"content-type":
            kind = kind or pair[1]
        if name not in UNKEPT_RESPONSE_HEADERS:
            headers.append(pair)
    # names and values on a line each: what may not stand between quotes, or in a header, is none of these bytes
    together = b"\n".join([text for pair in headers for text in pair])
    if together.translate(None, _PLAIN_HEADER) or together.count(b"\n") != max(0, 2 * len(headers) - 1):
        return None
    streamed = kind.startswith(_EVENT_STREAM)
    data = tape.chunks.joined(_BORDER.encode() if streamed else b"")
    values = b"\n".join([value for _, value in headers])
    if not redactor.is_clean(values, secrets) or not redactor.is_clean(data, secrets):
        return None
    body = _format_stream(tape, data) if streamed else _format_whole(tape, data)
    if body is None:
        return None
    texts = iter(together.decode().split("\n"))
    lines = [f'    - ["{name}", "{value}"]\n' for name, value in zip(texts, texts, strict=True)] if headers else ()
    return f"{HEADERS if lines else ''}{''.join(lines)}{body}{format_ending('complete' if tape.complete else 'cut')}"


def _format_whole(tape: Tape, data: bytes) -> str:
    return format_whole(round(tape.chunks.last_at, 3), data)


def _format_stream(tape: Tape, data: bytes) -> str | None:
    chunks = [*tape.chunks]
    if not tape.complete or not chunks or not all(chunk[-2:] == b"\n\n" for _, chunk in chunks):
        return None
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    if _holds_two_events(text):  # on a busy machine they come together
        chunks = [(at, event) for at, chunk in chunks for event in split_events(chunk)]
        text = _BORDER.join([event.decode() for _, event in chunks])
    events = orjson.dumps(text).decode()[1:-1].split(_BORDER)
    if len(events) != len(chunks):  # what stands between chunks stands in one of them too
        return None
    if not data.isascii():
        events = [escape_unsafe(event) for event in events]
    lines = [f'    - [{format_seconds(at)}, "{event}"]\n' for (at, _), event in zip(chunks, events, strict=True)]
    return STREAM + "".join(lines)
