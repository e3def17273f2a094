"""The faults of every project: set and listed by the test author, struck at the edge and on turns.

An idle project costs one look into the store per call.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mockserver.engine.transactions import Transactions, UnitOfWork
from mockserver.faults import apply, spec
from mockserver.faults.apply import FaultOutcome
from mockserver.faults.spec import CallInfo
from mockserver.journal.exchange import Call
from mockserver.model.prompt import Prompt


class FaultInjector:
    """The faults of one store's projects."""

    def __init__(self, transactions: Transactions) -> None:
        self._calls = transactions

    def list_faults(self, project: str) -> list[dict[str, Any]]:
        """Return a project's faults, and how often each has struck."""
        return [one.to_json() for one in apply.read_faults(self._calls.view(project))]

    def replace(self, project: str, given: Any) -> None:
        """Put faults in the place of all others; raises MockError, and changes nothing, for a mistake."""
        parsed = spec.parse_faults(given)
        store = self._calls.store
        with store.transaction(project):
            store.apply(project, apply.replace_all(self._calls.view(project), parsed))

    def strike_call(
        self, project: str, call: Callable[[], CallInfo], *, named: str | None = None
    ) -> FaultOutcome | None:
        """Let the faults of the edge strike a call before it is judged; None where nothing can strike.

        With `named` only those do that name this method.
        """
        calls = self._calls
        if calls.store.idle(project):
            return None
        state = calls.view(project)
        # A transaction is opened only where a fault may act: most faults do not, on most calls.
        faults = apply.read_faults(state)
        if not faults or not apply.find_active(faults, info := call()):
            return None
        with calls.store.transaction(project):
            now = calls.project(project, state).clock.reading(calls.wall())
            kept = [one for one in apply.read_faults(state) if named in (None, one.fault.method)]
            struck = apply.apply(kept, info, state, calls.seed, now)
            calls.store.apply(project, struck.changes)
        return struck

    def strike_turn(self, at: UnitOfWork, call: Call, prompt: Prompt) -> FaultOutcome | None:
        """Let the other faults strike a turn that was admitted; None where none may act. Spec: R15.7."""
        faults = [one for one in apply.read_faults(at.state) if not one.fault.before_admission]
        if not faults:
            return None
        model = prompt.request.get("model") or prompt.model.id
        called = CallInfo("POST", call.path, prompt.transport, len(call.body), model)
        if not apply.find_active(faults, called, prompt):
            return None
        return apply.apply(faults, called, at.state, self._calls.seed, at.now, prompt)
