"""The journal of every project: what calls leave behind, and how it is read.

An `ExchangeRecorder` fills in the entry of one call. A store in memory keeps the entries in this process
(`journal_ring`), any other in pages beside the records (`journal_pages`).
"""

# What must stay true:
# * No failure of the journal ever touches an answer: `note` raises nothing. What can't be written now is written
#   later, and the log says so once.
# * A `Turn` is large: once an exchange has ended, only what its document will say is held (`release_turn`).
# * Whoever reads writes first, so a reader never misses a call that this process has answered.

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from threading import RLock
from time import perf_counter
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from mockserver.core.records import Change, _new
from mockserver.core.turn import AnyTurn, Turn
from mockserver.delivery.answer import JSON
from mockserver.delivery.fault_effects import Effect
from mockserver.engine.event_hub import EventHub
from mockserver.engine.journal_ring import JournalRing
from mockserver.engine.telemetry import Metrics, log_exchange
from mockserver.engine.transactions import Transactions
from mockserver.faults.apply import FaultOutcome
from mockserver.faults.rate_limits import Buckets
from mockserver.journal.answers import LIGHTEST, RESPONSE, KeptAnswer, KeptAnswers
from mockserver.journal.exchange import Call, Entry, Exchange, changes_of, head_size_of
from mockserver.journal.summary import outline, summarize
from mockserver.model.prompt import Prompt, Reply
from mockserver.scenarios.conditions import Gate
from mockserver.wire.errors.api import APIError, MockError

if TYPE_CHECKING:
    from mockserver.engine.journal_pages import JournalPages
    from mockserver.journal.history import History

log = logging.getLogger("understudy")

MOST_ACTIVE = 10_000  # projects of which it is known when they were last called


class JournalStore:
    """The journals of one store; at most `settings.journal` exchanges are kept per project, none for 0."""

    def __init__(self, transactions: Transactions) -> None:
        self._calls, self.rules = transactions, transactions.rules
        settings = transactions.settings
        self._most = settings.journal if settings.journal_bytes else 0
        self._entries: JournalRing | JournalPages
        if settings.store == "memory":
            self._entries = JournalRing(self._most, settings.journal_bytes)
        else:
            from mockserver.engine.journal_pages import BATCH, JournalPages

            batch = 1 if settings.workers > 1 or transactions.store.waits else BATCH
            self._entries = JournalPages(transactions.store, self._most, settings.journal_bytes, batch)
        self._answers = KeptAnswers(settings.journal_bytes // 16)
        self._complaint = ""
        self._lock = RLock()
        self.is_logged = False  # whether each that the mock has answered, kept or not, has a line in the log
        self.events, self.metrics = EventHub(transactions), Metrics()
        self.active: dict[str, float] = {}  # project → when its latest call began, on the process's own clock

    def record(self, call: Call) -> ExchangeRecorder:
        """Begin to record a call."""
        return ExchangeRecorder(self, call)

    def note(self, project: str, exchange: Exchange) -> None:
        """Add an exchange, or one that has gone on. Never raises: the call was answered, and is not undone."""
        self.metrics.count(exchange)
        if self.is_logged and exchange.ended is not None and exchange.relayed is None:
            log_exchange(exchange)
        if not project:
            return
        self._note_active(project, exchange)
        try:
            if self.events.is_on and exchange.ended is not None:
                self._tell_end(project, exchange)
                return
            if exchange.at is None:
                self._set_time(project, exchange)
            if self._most > 0:
                self._add(project, exchange)
        except Exception as error:
            self._complain(error)

    def announce(self, project: str, exchange: Exchange) -> None:
        """Tell who listens that a call has begun; its project is one from now on, for they may ask for it at once."""
        self._note_active(project, exchange)
        self.events.begin(project, exchange)

    def _note_active(self, project: str, exchange: Exchange) -> None:
        self.active[project] = exchange.started
        if len(self.active) > MOST_ACTIVE:
            self.active.pop(next(iter(self.active)), None)

    def _set_time(self, project: str, exchange: Exchange) -> None:
        """Note when a call was for which nothing was read."""
        calls = self._calls
        exchange.at = calls.project(project, calls.view(project)).clock.reading(calls.wall())

    def abandon(self, project: str, exchange: Exchange, how: str) -> None:
        """Note that a call was never answered: it is no part of the journal, but whoever heard of it hears its end."""
        if self.events.is_on:
            exchange.ended = how
            self.events.end(project, exchange, outline(exchange))

    def _add(self, project: str, exchange: Exchange) -> None:
        document = self._entries.pack(exchange)  # without the lock: a long one takes long
        with self._lock:
            self._entries.add(project, exchange, document)

    def keep_answer(self, project: str, answer: KeptAnswer, weight: int | None = None) -> None:
        """Keep what leaves for a call, as long as there is room; its weight is given where it is known."""
        if self._most > 0 and project:
            with self._lock:
                self._answers.add(project, answer, weight)

    def drop_answer(self, project: str, exchange: Exchange) -> None:
        """Forget an answer that leaves otherwise than it was laid out."""
        with self._lock:
            self._answers.drop(project, exchange)

    def answers(self, project: str | None) -> list[KeptAnswer]:
        """The newest answers of a project, or of all (None), that this process has given, oldest first."""
        with self._lock:
            return self._answers.of(project)

    def _tell_end(self, project: str, exchange: Exchange) -> None:
        """Add an exchange that has ended, and tell the listeners, with the number that it has in the journal.

        They are told whatever happens: they were told that it began.
        """
        summary, is_long = None, True
        try:
            if exchange.at is None:
                self._set_time(project, exchange)
            document = self._entries.pack(exchange) if self._most > 0 else None
            is_long = document is not None or exchange.relayed is not None or self._most <= 0
            if is_long:  # first: what it is made from is let go when the exchange is added, or must not be held
                summary = self._summarize(exchange)
            if self._most > 0:
                with self._lock:
                    self._entries.add(project, exchange, document)
                    if exchange.number is None:
                        self._entries.write(project)
        finally:
            if is_long:
                self.events.end(project, exchange, {**(summary or outline(exchange)), "id": exchange.number or None})
            else:
                self.events.end_later(project, exchange, self._summarize)

    def _summarize(self, exchange: Exchange) -> dict[str, Any]:
        try:
            return summarize(exchange)
        except Exception as error:
            self._complain(error)
            return outline(exchange)

    def _complain(self, error: Exception) -> None:
        """Tell the log that the journal could not be written, once for each reason."""
        reason = f"{type(error).__name__}: {error}"
        if reason != self._complaint:
            self._complaint = reason
            log.warning("the journal can't be written now, its newest entries wait: %s", reason)

    @property
    def bytes(self) -> int:
        """What the journals take in this process, about."""
        return self._entries.bytes

    def forget(self, project: str) -> None:
        """Empty a project's journal; the next exchange is the first again."""
        with self._lock:
            self._answers.forget(project)
            self._entries.forget(project)

    def close(self) -> None:
        """Write all waiting exchanges, as far as they can be written."""
        with self._lock:
            try:
                self._entries.close()
            except Exception as error:
                self._complain(error)

    def read(
        self,
        project: str,
        *,
        limit: int,
        after: int | None,
        path: str | None = None,
        response_id: str | None = None,
        context: str = "reference",
        view: str = "whole",
    ) -> Iterator[dict[str, Any] | None]:
        """Yield exchanges after the number `after`, oldest first, one more than `limit` if there are more.

        None is yielded between two steps of the work, so that others may go on.

        `path` may be a pattern. `context` is `reference`, `full` or `none`: what stands there of what the model saw.
        With `view="summary"` an exchange is its summary.
        """
        from mockserver.engine.journal_reading import list_exchanges  # with the first reader

        with self._lock:
            entries = self._entries.entries(project, after or 0)
        every = self._every_entry(project)
        return list_exchanges(self._calls, project, entries, every, limit, path, response_id, context, view)

    def history(self, project: str) -> Iterator[History | None]:
        """Yield None after each exchange, at the end the journal as the history of a client."""
        from mockserver.engine.journal_reading import read_history

        return read_history(self._calls, project, self._every_entry(project))

    def _every_entry(self, project: str) -> Callable[[], Iterator[Entry]]:
        def read() -> Iterator[Entry]:
            with self._lock:
                return self._entries.entries(project, 0)

        return read


class ExchangeRecorder:
    """Fills in the journal entry of one call, and collects the effects of faults on its answer.

    It travels with the call, so the same is recorded whichever process or thread answers.
    """

    __slots__ = (
        "_logbook", "_struck", "_tells_all", "apart", "asked", "buckets", "call", "effects", "exchange", "fault_gate",
        "project",
    )  # fmt: skip

    def __init__(self, logbook: JournalStore, call: Call) -> None:
        self._logbook, self.call = logbook, call
        self.project = ""  # of a caller who was not let in
        self.exchange = Exchange.begin(call, perf_counter())
        self.effects: Sequence[Effect] = ()
        self.buckets: Mapping[str, Buckets] = _NO_BUCKETS
        self.fault_gate: Gate | None = None
        self.apart = False  # whether other calls are answered at the same time
        self.asked: tuple[Prompt, Reply] | None = None
        self._struck: FaultOutcome | None = None  # by faults of the edge, which strike once
        self._tells_all = False  # whether the turn itself says what the call changes

    def add_reads(self, now: float) -> None:
        """Note the project's time at which something was read."""
        self.exchange.at = now

    def begin_again(self) -> None:
        """Forget which line, turn and faults of turns answer: the work is done again, on a later state."""
        exchange = self.exchange
        exchange.line, exchange.line_size, exchange.turn, exchange.dropped, exchange.misses = None, 0, None, (), ()
        exchange.faults, self.effects, self.buckets, self._tells_all = (), (), _NO_BUCKETS, False
        if self._struck is not None:
            self.add_faults(self._struck)

    def add_line(self, line: dict[str, Any], size: int) -> None:
        """Note the scripted line that answers, its place, and the bytes that it takes."""
        self.exchange.line, self.exchange.line_size = line, size

    def add_misses(self, misses: Sequence[dict[str, Any]]) -> None:
        """Note which lines came nearest where none answers."""
        self.exchange.misses = misses

    def add_writes(self, now: float | None, changes: Sequence[Change]) -> None:
        """Note what else the call changed, and when; the end of a delivery (None) sets no time."""
        exchange = self.exchange
        if now is not None:
            exchange.at = now
        tells_all, self._tells_all = self._tells_all, False
        if tells_all and not exchange.changes:
            exchange.changes = None
        elif exchange.changes == ():
            exchange.changes = changes
        else:
            exchange.changes = [*changes_of(exchange), *changes]

    def add_turn(self, turn: AnyTurn, dropped: Collection[int], *, tells_all: bool = False) -> None:
        """Note the turn that answers, and the places of items dropped from its context.

        `tells_all` says that the call changes nothing that the API shows but what this turn by its documents says.
        """
        self.exchange.turn, self.exchange.dropped, self._tells_all = turn, dropped, tells_all

    def add_call_faults(self, struck: FaultOutcome) -> None:
        """Note which faults of the edge apply, once per call."""
        self._struck = struck
        self.add_faults(struck)

    def add_faults(self, struck: FaultOutcome) -> None:
        """Note which faults apply, their effects on the answer, and the buckets that counted the call."""
        self.exchange.faults = [*self.exchange.faults, *struck.kinds]
        self.effects = [*self.effects, *struck.effects]
        self.buckets = {**self.buckets, **struck.buckets}

    def keep_answer(self, **answer: Any) -> None:
        """Keep what leaves: the members of a `KeptAnswer`, besides the call's."""
        self._logbook.keep_answer(self.project, KeptAnswer(self.call, self.exchange, **answer))

    def keep_events(
        self,
        turn: AnyTurn,
        stream: str,
        *,
        status: int = 200,
        content_type: bytes = JSON,
        tail: bytes = b"",
        lane: str | None = None,
        socket: object = None,
    ) -> None:
        """Keep what the events of a turn are made of, which leaves at once: they are many, and can be made again."""
        rules = self._logbook.rules
        if isinstance(turn, Turn):  # which is large
            again: tuple[Any, ...] = (turn.final, turn.node.cues, turn.figures, rules)
        else:
            again = (turn.body, None, turn.figures, rules)
        call, figures = self.call, turn.figures
        whole = (
            call, self.exchange, b"", status, content_type, (), (), stream, tail, lane, again, socket, (),
        )  # fmt: skip
        weight = None
        if figures is not None:
            weight = LIGHTEST + head_size_of(self.exchange) + len(call.body) + RESPONSE + 6 * figures[2]
        self._logbook.keep_answer(self.project, _new(KeptAnswer, whole), weight)

    def keep_body(self, body: bytes) -> None:
        """Keep the body that a turn leaves as, as nearly every one does."""
        # by place, for so it costs half
        call = self.call
        answer = _new(KeptAnswer, (call, self.exchange, body, *_JSON_BODY))
        weight = LIGHTEST + head_size_of(self.exchange) + len(call.body) + len(body)
        self._logbook.keep_answer(self.project, answer, weight)

    def drop_answer(self) -> None:
        """Forget what was kept: the turn goes on otherwise."""
        self._logbook.drop_answer(self.project, self.exchange)

    def abandon(self, how: str) -> None:
        """Note that the call is never answered, and how it ended."""
        self._logbook.abandon(self.project, self.exchange, how)

    def answer(self, status: int, error: APIError | MockError | None = None) -> None:
        """Note the status and error of the answer, which may still be in progress."""
        exchange = self.exchange
        exchange.seconds = perf_counter() - exchange.started
        exchange.status = status
        if isinstance(error, APIError):
            body = {"message": error.message, "type": error.type, "param": error.param, "code": error.code}
            exchange.error = body
        elif error is not None:
            exchange.error = {"message": error.message, "type": "mock_error", "param": error.param, "code": None}
        self._logbook.note(self.project, exchange)

    def end(self, how: str) -> None:
        """Note how the delivery ended."""
        self.exchange.ended = how
        self.exchange.seconds = perf_counter() - self.exchange.started
        self._logbook.note(self.project, self.exchange)


_JSON_BODY = KeptAnswer(Call(), Exchange(Call(), "http"))[3:]
_NO_BUCKETS: Mapping[str, Buckets] = MappingProxyType({})
