"""Bodies as they came: content codings taken off, streams cut into pieces at the ends of events."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Any

from proxy.cassettes.interaction import EVENT_STREAM, TERMINAL_EVENTS, Piece, event_data, parse_json, split_events


def header(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> str | None:
    """The first value of a header; `name` in lower case."""
    return next((value.decode("latin-1") for key, value in headers if key.lower() == name), None)


def decoded(chunks: Iterable[tuple[float, bytes]], coding: str | None) -> Iterator[tuple[float, bytes]]:
    """Chunks without their content coding; raises ValueError for one that can't be taken off. RFC 9110 §8.4.1."""
    coding = (coding or "identity").strip().lower()
    if coding == "identity":
        yield from chunks
        return
    decoder = _decoder(coding)
    raw_deflate = False
    for at, data in chunks:
        try:
            plain = decoder.decompress(data)
        except zlib.error as error:
            if coding != "deflate" or raw_deflate:
                raise ValueError(f"not {coding}: {error}") from None
            # some servers mean deflate without the zlib header
            decoder, raw_deflate = zlib.decompressobj(-zlib.MAX_WBITS), True
            plain = decoder.decompress(data)
        if plain:
            yield at, plain
    if rest := decoder.flush():
        yield at, rest


def _decoder(coding: str) -> Any:
    if coding in ("gzip", "x-gzip"):
        return zlib.decompressobj(zlib.MAX_WBITS | 16)
    if coding == "deflate":
        return zlib.decompressobj()
    raise ValueError(f"no decoder for {coding}")


_new = tuple.__new__  # half of what the class takes to make one


def pieces_of(chunks: Iterable[tuple[float, bytes]]) -> tuple[Piece, ...]:
    """The pieces of a stream: whole events of a chunk apart, what is torn as it came."""
    pieces: list[Piece] = []
    for at, data in chunks:
        at = round(at, 3)
        if data.find(b"\n\n") == len(data) - 2 > 0:  # nearly always
            pieces.append(_new(Piece, (at, data, False)))
        else:
            pieces += [Piece(at, event) for event in split_events(data)]
    return tuple(pieces)


def is_event_stream(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether the body is a stream of events."""
    return (header(headers, b"content-type") or "").startswith(EVENT_STREAM)


def has_ended(pieces: tuple[Piece, ...]) -> bool:
    """Whether a stream's last event is one that ends a turn: who leaves after it has missed nothing."""
    event = parse_json(event_data(pieces[-1].data)) if pieces else None
    return isinstance(event, dict) and event.get("type") in TERMINAL_EVENTS
