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


def summarize(exchange: Exchange) -> dict[str, Any]:
    """The summary of an exchange that has ended; its turn is released."""
    release_turn(exchange)
    read_relayed(exchange)
    return _write(_members_of(exchange), exchange.number, exchange.call.body)


def outline(exchange: Exchange) -> dict[str, Any]:
    """The summary of an exchange without what it was about, where that can't be read."""
    return _write({**_members_of(exchange), "saw": None}, exchange.number, b"")


def _members_of(exchange: Exchange) -> dict[str, Any]:
    call, relayed = exchange.call, exchange.relayed
    return {
        "at": exchange.at,
        "transport": exchange.transport,
        "method": call.method,
        "path": call.path,
        "status": exchange.status,
        "error": exchange.error,
        "duration_ms": round(exchange.seconds * 1000, 3),
        "line": exchange.line,
        "faults": exchange.faults,
        "response_id": exchange.response_id,
        "saw": list_seen(exchange),
        "events": exchange.events,
        "ended": exchange.ended,
        "answered_by": relayed and relayed.answered_by,
        "outcome": exchange.outcome,
    }


def summarize_document(number: int, doc: bytes) -> dict[str, Any]:
    """The same from an exchange's document."""
    document = orjson.loads(doc)
    return _write(document, number, document["body"].encode())


def _write(document: dict[str, Any], number: int | None, body: bytes) -> dict[str, Any]:
    saw, error = document["saw"], document["error"]
    turn = saw or document.get("outcome") or _read_request(document["method"], document["path"], body)
    answered_by = document.get("answered_by")
    return {
        "id": number,
        "at": document["at"],
        "transport": document["transport"],
        "method": document["method"],
        "path": document["path"],
        "model": turn.get("model"),
        "status": document["status"],
        "error_code": error and (error["code"] or error["type"]),
        "input_tokens": turn.get("input_tokens"),
        "cached_tokens": turn.get("cached_tokens"),
        "output_tokens": turn.get("output_tokens"),
        "duration_ms": document["duration_ms"],
        "answered_by": answered_by or describe_source(document["line"], document["faults"], is_turn=saw is not None),
        "faults": [*document["faults"]],
        "response_id": document["response_id"],
        "response_status": turn.get("status"),
        "previous_response_id": turn.get("previous_response_id"),
        "conversation": turn.get("conversation"),
        "store": turn.get("store"),
        "events": document["events"],
        "ended": document["ended"],
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
