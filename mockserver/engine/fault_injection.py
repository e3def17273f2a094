"""The faults of every project: set and listed by the test author, struck at the edge and on turns.

A project without faults never gets here; faults that do not act cost one look into the store per call.
"""

from __future__ import annotations

from typing import Any

import orjson

from mockserver.engine.transactions import Recorder, Transactions, UnitOfWork
from mockserver.faults import apply, spec
from mockserver.faults.apply import FaultOutcome
from mockserver.faults.spec import CallInfo
from mockserver.journal.exchange import Call
from mockserver.model.prompt import Prompt
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

    def strike_call(self, recorder: Recorder, project: str, *, named: str | None = None) -> FaultOutcome | None:
        """Let the faults of the edge strike a call before it is judged; None where nothing can strike.

        With `named` only those do that name this method. The faults of turns, found with the same look, are left with
        the recorder.
        """
        calls, call = self._calls, recorder.call
        state = calls.view(project)
        on_call, recorder.turn_faults = apply.ready_faults(state, call.method, call.path)
        # A transaction is opened, and the body read, only where a fault may act: most faults do not, on most calls.
        if not on_call:
            return None
        with calls.store.transaction(project):
            now = calls.project(project, state).clock.reading(calls.wall())
            kept = [one for one in apply.read_faults(state) if named in (None, one.fault.method)]
            struck = apply.apply(kept, call_info(call), state, calls.seed, now)
            calls.store.apply(project, struck.changes)
        return struck

    def strike_turn(self, at: UnitOfWork, prompt: Prompt) -> FaultOutcome | None:
        """Let the other faults strike a turn that was admitted; None where none may act. Spec: R15.7."""
        call, ready = at.recorder.call, at.recorder.turn_faults
        if ready is None:  # a turn that no call of its own began
            ready = apply.ready_faults(at.state, call.method, call.path).on_turn
        if not apply.may_act_on_turn(ready, prompt):
            return None
        model = prompt.request.get("model") or prompt.model.id
        info = CallInfo("POST", call.path, prompt.transport, len(call.body), model)
        # read again: another process may have used one since the call came in
        return apply.apply(apply.read_faults(at.state), info, at.state, self._calls.seed, at.now, prompt)


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
