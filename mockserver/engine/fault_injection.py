"""The faults of every project: set and listed by the test author, struck at the edge and on turns.

A project without faults never gets here; faults that do not act cost one look into the store per call.
"""

from __future__ import annotations

from typing import Any

import orjson

from mockserver.engine.transactions import Recorder, Transactions
from mockserver.faults import apply, spec
from mockserver.faults.apply import FaultOutcome
from mockserver.faults.spec import CallInfo
from mockserver.journal.exchange import Call
from mockserver.wire.errors.scripted import MODEL


class FaultInjector:
    """The faults of one store's projects."""

    def __init__(self, transactions: Transactions) -> None:
        self._calls = transactions

    def list_faults(self, project: str) -> list[dict[str, Any]]:
        """A project's faults, and how often each has struck."""
        return [one.to_json() for one in apply.read_faults(self._calls.view(project))]

    def replace(self, project: str, given: Any) -> None:
        """Put faults in the place of all others; raises MockError, and changes nothing, for a mistake."""
        parsed = spec.parse_faults(given)
        store = self._calls.store
        with store.transaction(project):
            store.apply(project, apply.replace_all(self._calls.view(project), parsed))

    def strike_call(self, recorder: Recorder, project: str, *, named: str | None = None) -> FaultOutcome:
        """Let the faults of the edge strike a call before it is judged; with `named` only those that name this method.

        They are read again inside the transaction: another process may have used one since the call came in.
        """
        calls, call = self._calls, recorder.call
        calls.await_long_work(project)  # which counts faults too
        state = calls.view(project)
        with calls.store.transaction(project):
            now = calls.project(project, state).clock.reading(calls.wall())
            kept = [one for one in apply.read_faults(state) if named in (None, one.fault.method)]
            struck = apply.apply(kept, call_info(call), state, calls.seed, now)
            calls.store.apply(project, struck.changes)
        return struck


def call_info(call: Call) -> CallInfo:
    """A call as faults see it, by what its body says before anybody has judged it."""
    body = _object(call.body)
    model = body.get("model")
    transport = "http"
    if call.method != "POST":
        transport = "sse" if ("stream", "true") in call.query else "http"
    elif call.transport == "websocket":
        transport = "websocket"
    elif body.get("stream") is True:
        transport = "sse"
    return CallInfo(call.method, call.path, transport, len(call.body), model if isinstance(model, str) else MODEL)


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return value if isinstance(value, dict) else {}
