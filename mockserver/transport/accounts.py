"""What a call over HTTP is for the journal and for faults."""

from __future__ import annotations

from typing import Any

import orjson

from mockserver.control.journal import DELIVERED
from mockserver.faults.spec import Called
from mockserver.logbook import Account
from mockserver.transport.http import Answer, Call
from mockserver.wire.named_errors import MODEL


def recorded(answer: Answer, account: Account) -> Answer:
    """Return an answer that tells its account how it ends; one that leaves at once has ended."""
    if answer.streamed:
        account.exchange.transport = "sse"
        account.exchange.events = answer.gather()
    if answer.later:
        answer.account = account
        return answer
    account.exchange.ended = DELIVERED
    return answer


def called(call: Call) -> Called:
    """Return a call as faults see it, by what its body says before anybody has judged it."""
    body = _object(call.body)
    model = body.get("model")
    streamed = body.get("stream") is True if call.method == "POST" else ("stream", "true") in call.query
    return Called(
        call.method,
        call.path,
        "sse" if streamed else "http",
        len(call.body),
        model if isinstance(model, str) else MODEL,
    )


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
