"""An exchange in a line: what a list of exchanges shows of it, and what listeners are told when it has ended.

It is made from the exchange itself, or from its document when somebody reads the journal; both say the same.
"""

from __future__ import annotations

from typing import Any

import orjson

from mockserver.journal.exchange import (
    Exchange,
    describe_source,
    list_seen,
    parse_body,
    read_relayed,
    release_turn,
)

LONGEST_PARSED = 65_536  # bytes of a refused request in which it is looked for what it was to continue
_MEMBERS = (
    "method", "path", "at", "transport", "status", "error", "duration_ms", "line", "faults", "response_id", "events",
    "ended", "outcome", "answered_by",
)  # fmt: skip
_OF_TURN = (
    "model", "input_tokens", "cached_tokens", "output_tokens", "status", "previous_response_id", "conversation",
    "store",
)  # fmt: skip


def summarize(exchange: Exchange) -> dict[str, Any]:
    """The summary of an exchange that has ended; its turn is released."""
    if exchange.turn is not None:
        release_turn(exchange)
    if exchange.relayed is not None:
        read_relayed(exchange)
    return _write(_members_of(exchange), exchange.number, exchange.call.body, list_seen(exchange))


def outline(exchange: Exchange) -> dict[str, Any]:
    """The summary of an exchange without what it was about, where that can't be read."""
    return _write(_members_of(exchange), exchange.number, b"", None)


def _members_of(exchange: Exchange) -> tuple[Any, ...]:
    """Those of a document that a summary needs, in the order of `_MEMBERS`: no dictionary, for every turn makes it."""
    call, relayed = exchange.call, exchange.relayed
    return (
        call.method,
        call.path,
        exchange.at,
        exchange.transport,
        exchange.status,
        exchange.error,
        round(exchange.seconds * 1000, 3),
        exchange.line,
        exchange.faults,
        exchange.response_id,
        exchange.events,
        exchange.ended,
        exchange.outcome,
        relayed and relayed.answered_by,
    )


def summarize_document(number: int, doc: bytes) -> dict[str, Any]:
    """The same from an exchange's document."""
    document = orjson.loads(doc)
    return _write(tuple(map(document.get, _MEMBERS)), number, document["body"].encode(), document["saw"])


def _write(members: tuple[Any, ...], number: int | None, body: bytes, saw: dict[str, Any] | None) -> dict[str, Any]:
    method, path, at, transport, status, error, duration_ms, line, faults, id, events, ended, outcome, source = members
    turn = saw or outcome or _read_request(method, path, body)
    model, read, cached, written, state, previous, conversation, store = map(turn.get, _OF_TURN)
    return {
        "id": number,
        "at": at,
        "transport": transport,
        "method": method,
        "path": path,
        "model": model,
        "status": status,
        "error_code": error and (error["code"] or error["type"]),
        "input_tokens": read,
        "cached_tokens": cached,
        "output_tokens": written,
        "duration_ms": duration_ms,
        "answered_by": source or describe_source(line, faults, is_turn=saw is not None),
        "faults": [*faults],
        "response_id": id,
        "response_status": state,
        "previous_response_id": previous,
        "conversation": conversation,
        "store": store,
        "events": events,
        "ended": ended,
    }


def _read_request(method: str, path: str, body: bytes) -> dict[str, Any]:
    """What a turn that was refused was to be, as far as its request says so."""
    if (method, path) != ("POST", "/v1/responses") or len(body) > LONGEST_PARSED:
        return {}
    request = parse_body(body.decode(errors="replace"))
    if not isinstance(request, dict):
        return {}
    conversation = request.get("conversation")
    if isinstance(conversation, dict):
        conversation = conversation.get("id")
    named = {"model": request.get("model"), "previous_response_id": request.get("previous_response_id")}
    known = {**named, "conversation": conversation}
    return {name: value for name, value in known.items() if isinstance(value, str)}
