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

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import compress, count
from operator import itemgetter
from typing import Any, NamedTuple

import orjson
from pydantic_core import SchemaValidator, core_schema
from starlette.types import Scope

from proxy.cassettes.document import (
    ENDINGS,
    HEADERS,
    PLAIN,
    STREAM,
    escape_unsafe,
    format_opening,
    format_request_head,
    format_status,
    list_request_body,
    list_whole,
)
from proxy.cassettes.interaction import EVENT_STREAM
from proxy.cassettes.redaction import NOTED_REQUEST_HEADERS, UNKEPT_RESPONSE_HEADERS, Redactor, Search
from proxy.tape import Tape
from proxy.tape_interaction import make_request

LONGEST_HEAD = 2048  # bytes of a request's target and headers that are remembered: 256 of them are half a megabyte
MOST_HEADERS = 100  # of a request or an answer whose names are remembered
_PLAIN_HEADER = bytes(byte for byte in range(32, 127) if byte not in b'"\\') + b"\n"
_EVENT_STREAM = EVENT_STREAM.encode()
_BORDER = "\x7f"  # stands between chunks while they are encoded together; of all that JSON leaves as it is, the rarest
_BORDER_BYTE = _BORDER.encode()
_last_two = itemgetter(slice(-2, None))
_ENDINGS = {True: ENDINGS["complete"], False: ENDINGS["cut"]}
_NEXT_LINE = b'"]\n    - [%b, "'
# an empty line inside of a chunk: there is more than one event in it
_holds_two_events = SchemaValidator(
    core_schema.str_schema(pattern=f"\n\n[^{_BORDER}]", regex_engine="rust-regex")
).isinstance_python
# it splits in a third of the time that `bytes.split` takes for two characters
_EMPTY_LINE, _BETWEEN = re.compile(b"\n\n"), b"\n\n" + _BORDER_BYTE
# small letters for the search, and what is not plain made easy to see: one pass over a body, not two (`lower` alone
# takes half of it)
_NOT_PLAIN = "\0"
_IN_LOWER_CASE = bytes(byte if byte in PLAIN or byte >= 0x80 else ord(_NOT_PLAIN) for byte in range(256)).lower()

_name_of = itemgetter(0)

HeaderList = tuple[tuple[bytes, bytes], ...]
Picker = Callable[[Sequence[Any]], tuple[Any, ...]]


def format_plain(tape: Tape, redactor: Redactor) -> bytes | None:
    """The document of a tape in memory with the separator before it, None where it takes more than writing it down."""
    asked = _find_head(tape.scope, redactor)
    names, values = zip(*tape.headers, strict=True) if tape.headers else ((), ())
    layout = _lay_out(tape.status, names) if len(names) <= MOST_HEADERS else None
    if asked.search is None or layout is None:
        return None
    kept = layout.pick(values)
    together = b"\n".join(kept)
    # what may not stand between quotes, or in a header, is none of these bytes
    if together.translate(None, _PLAIN_HEADER) or together.count(b"\n") >= max(1, len(kept)):
        return None
    sent = tape.sent.joined()
    is_stream = layout.kind is not None and values[layout.kind].startswith(_EVENT_STREAM)
    if is_stream:
        looked_at = b"\n".join((together, sent)).lower().decode("latin-1")
    else:
        data = tape.chunks.joined()
        looked_at = b"\n".join((together, sent, data)).translate(_IN_LOWER_CASE).decode("latin-1")
    if asked.search.finds_in_lower_case(looked_at):
        return None
    parts = [format_opening(tape.id, tape.at), asked.text, *list_request_body(sent), layout.text % kept]
    if is_stream:
        return _format_stream(tape, asked.search, parts)
    is_plain = looked_at.isascii() and _NOT_PLAIN not in looked_at
    parts += list_whole(tape.chunks.last_at, data, is_plain=is_plain)
    parts.append(_ENDINGS[tape.complete])
    return b"".join(parts)


class RequestHead(NamedTuple):
    """A request without its body as it is written, and what looks for its secrets."""

    text: bytes
    search: Search | None


def _find_head(scope: Scope, redactor: Redactor) -> RequestHead:
    headers = scope["headers"]
    pick_noted = _pick_noted if len(headers) <= MOST_HEADERS else _pick_noted.__wrapped__
    noted = pick_noted(tuple(map(_name_of, headers)))(headers)
    path, query = scope["raw_path"], scope["query_string"]
    size = len(path) + len(query) + sum([len(value) for _, value in noted])
    format_head = _format_head if size <= LONGEST_HEAD else _format_head.__wrapped__
    return format_head(redactor, scope["method"], path, query, noted)


@lru_cache(maxsize=64)
def _pick_noted(names: tuple[bytes, ...]) -> Picker:
    """What picks the headers of a request that its recording depends on, from headers of these names."""
    return _make_picker([place for place, name in enumerate(names) if name.lower() in NOTED_REQUEST_HEADERS])


def _make_picker(places: list[int]) -> Picker:
    if len(places) > 1:
        return itemgetter(*places)
    return lambda values: tuple([values[place] for place in places])


@lru_cache(maxsize=256)
def _format_head(redactor: Redactor, method: str, path: bytes, query: bytes, headers: HeaderList) -> RequestHead:
    scope = {"type": "http", "method": method, "raw_path": path, "query_string": query, "headers": headers}
    request, secrets = make_request(scope, b"", redactor)
    return RequestHead(format_request_head(request), redactor.search(secrets))


class Layout(NamedTuple):
    """How an answer of these names begins: its lines without values, what picks these, where the kind stands."""

    text: bytes
    pick: Picker
    kind: int | None


@lru_cache(maxsize=64)
def _lay_out(status: int, names: tuple[bytes, ...]) -> Layout | None:
    """How an answer with headers of these names begins, None where that depends on more than names."""
    lower = [name.lower() for name in names]
    together = b"".join(names)
    if b"content-encoding" in lower or together.translate(None, _PLAIN_HEADER[:-1]):
        return None
    kept = [place for place, name in enumerate(lower) if name not in UNKEPT_RESPONSE_HEADERS]
    lines = [b'    - ["%b", "%%b"]\n' % names[place].replace(b"%", b"%%") for place in kept]
    kind = lower.index(b"content-type") if b"content-type" in lower else None
    return Layout(b"".join((format_status(status), HEADERS if kept else b"", *lines)), _make_picker(kept), kind)


def _format_stream(tape: Tape, search: Search, parts: list[bytes]) -> bytes | None:
    """A document of a stream after these parts, where nothing is to be hidden and no chunk holds a part of an event."""
    chunks = tape.chunks.listed
    if not tape.complete or not chunks or list(map(_last_two, chunks)).count(b"\n\n") != len(chunks):
        return None
    try:
        # each step's text is let go as soon as the next one has it, so that its memory serves the step after that
        text = tape.chunks.joined(_BORDER_BYTE).decode()
    except UnicodeDecodeError:
        return None
    if search.finds_in_text(text):
        return None
    times = tape.chunks.times()
    if _holds_two_events(text):  # on a busy machine they come together
        split = _split_chunks(chunks, times)
        if split is None or "\r" in text:  # an empty line of the other kind
            return None
        text, times = split
    is_ascii = text.isascii()
    encoded = orjson.dumps(text).replace(b"%", b"%%")
    del text
    lines = encoded.replace(_BORDER_BYTE, _NEXT_LINE)
    if len(lines) - len(encoded) != (len(times) - 1) * (len(_NEXT_LINE) - 1):
        return None  # what stands between events stands in one of them too
    del encoded
    if not is_ascii:
        lines = escape_unsafe(lines)
    seconds = _format_times(times)
    lines %= seconds[1:]
    return b"".join((*parts, STREAM, b"    - [", seconds[0], b", ", lines, b"]\n", _ENDINGS[True]))


def _split_chunks(chunks: list[bytes], times: list[float]) -> tuple[str, list[float]] | None:
    """The text of chunks with a border between two events, not two chunks, and the times of the events."""
    several = list(compress(count(), map(_holds_two_events, chunks)))
    chunks, times = chunks.copy(), times.copy()
    for place in reversed(several):
        *events, rest = _EMPTY_LINE.split(chunks[place])
        if rest:  # a third line break
            return None
        chunks[place] = _BETWEEN.join(events) + b"\n\n"
        times[place:place] = times[place : place + 1] * (len(events) - 1)
    return _BORDER_BYTE.join(chunks).decode(), times


def _format_times(times: list[float]) -> tuple[bytes, ...]:
    """Times in seconds as `format_seconds` writes them, in one call."""
    return tuple((orjson.dumps(times)[1:-1] + b",").replace(b".0,", b",")[:-1].split(b","))
