"""Mode `record`: what is relayed is also appended to a cassette. The client comes first, the recorder second."""

# A relay that is given a recorder notes on a tape what passes; nothing else is done before the last byte has left. Then
# the tape waits for the next turn of the event loop: what else has come by now is passed on first, and the tapes that
# ended in one turn are written together, which takes two thirds of what one by one takes (the processor's
# caches: 25 µs, not 38, for a JSON answer of 3 kB in a busy proxy, 2026-11-30).
#
# What must stay true:
# * No byte and no order of what is relayed depends on the recorder.
# * What goes wrong here (a full disk) is logged once, counted for `/_mock/health`, and never reaches a client.
# * A secret is redacted before anything is written, also to a file that is spooled.
# * An ordinary interaction is written before a request is looked at that the end of its answer has led to: who kills
#   the process loses only what is under way. One that was too large for memory is written by a thread, and all that
#   end meanwhile wait for it there.

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any

from starlette.types import Receive, Scope, Send

from proxy.cassettes.file import Appender
from proxy.cassettes.interaction import Cassette, Interaction
from proxy.cassettes.redaction import Redactor
from proxy.plain_document import format_plain
from proxy.tape import Tape
from proxy.tape_interaction import interaction_of, spilled_interaction

log = logging.getLogger("understudy.proxy")

Relaying = Callable[[Scope, Receive, Send], Any]
Listener = Callable[[Interaction], None]


class Recorder:
    """Appends interactions to a cassette; `listeners` get each of them afterwards."""

    def __init__(self, appender: Appender | None, redactor: Redactor, *, offset: float = 0.0) -> None:
        self.redactor = redactor
        self.listeners: list[Listener] = []
        self.recorded = self.failures = 0
        self.last_failure: str | None = None
        self._appender = appender
        self._began = monotonic() - offset  # `offset`: how old a cassette is that is recorded to again
        self._count = 0
        self._thread: ThreadPoolExecutor | None = None
        self._queued = 0
        self._ended: list[Tape] = []

    @property
    def earlier(self) -> Cassette:
        """What the cassette held before."""
        return Cassette("") if self._appender is None else self._appender.earlier

    def begin(self, scope: Scope) -> Tape:
        """A tape for a request that comes now."""
        return Tape(scope, self.take_id(), self.seconds(), self.fail)

    def seconds(self) -> float:
        """Seconds since recording began."""
        return monotonic() - self._began

    def take_id(self) -> int:
        """The number of the next interaction."""
        if self._appender is not None:
            return self._appender.take_id()
        self._count += 1
        return self._count

    def keep_soon(self, tape: Tape) -> None:
        """Write what a tape holds once the event loop has done what it has at hand."""
        self._ended.append(tape)
        if len(self._ended) == 1:
            asyncio.get_running_loop().call_soon(self._keep_ended)

    def _keep_ended(self) -> None:
        tapes, self._ended = self._ended, []
        self.keep_tapes(tapes)

    def keep_tapes(self, tapes: Iterable[Tape]) -> None:
        """Write what tapes hold, in their order; a request without an answer leaves nothing."""
        documents: list[bytes] = []
        for tape in tapes:
            if not tape.status:
                tape.close()
                continue
            try:
                document = self._format_plain(tape)
                if document is None:
                    self._append(documents)
                    documents = []
                    self._keep_unusual(tape)
                else:
                    documents.append(document)
            except Exception as failure:  # whatever it is, the answer has been given
                self.fail(failure)
        self._append(documents)

    def _format_plain(self, tape: Tape) -> bytes | None:
        """The document of a tape of which nobody needs an interaction."""
        if self._appender is None or self.listeners or self._queued or tape.is_spilled:
            return None
        return format_plain(tape, self.redactor)

    def _append(self, documents: list[bytes]) -> None:
        if not documents or self._appender is None:
            return
        try:
            self._appender.append_documents(documents)
        except OSError as failure:
            if len(documents) == 1:
                self.fail(failure)
            else:  # as many as the disk takes
                for document in documents:
                    self._append([document])
        else:
            self.recorded += len(documents)

    def _keep_unusual(self, tape: Tape) -> None:
        if tape.is_spilled:
            self._later(lambda: self._keep_spilled(tape))
        else:
            self.keep(interaction_of(tape, self.redactor))

    def keep(self, interaction: Interaction) -> None:
        """Write an interaction that is redacted already."""
        if self._queued:
            self._later(lambda: self._write(interaction))
        else:
            self._write(interaction)

    def _write(self, interaction: Interaction) -> None:
        try:
            if self._appender is not None:
                self._appender.append(interaction)
            self.recorded += 1
        except Exception as failure:
            self.fail(failure)
        for listener in self.listeners:
            try:
                listener(interaction)
            except Exception as failure:
                self.fail(failure)

    def _keep_spilled(self, tape: Tape) -> None:
        try:
            self._write(spilled_interaction(tape, self.redactor))
        finally:
            tape.close()

    def _later(self, write: Callable[[], None]) -> None:
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="understudy-recorder")
        self._queued += 1

        def run() -> None:
            try:
                write()
            except Exception as failure:
                self.fail(failure)
            finally:
                self._queued -= 1

        self._thread.submit(run)

    def fail(self, failure: Exception) -> None:
        """Count a failure; the first one is logged."""
        if not self.failures:
            log.error("the recorder failed, answers are passed on all the same: %s", _describe(failure))
        self.failures += 1
        self.last_failure = _describe(failure)

    def health(self) -> dict[str, Any]:
        """What `/_mock/health` says of the recorder."""
        return {"recorded": self.recorded, "failures": self.failures, "last_failure": self.last_failure}

    def close(self) -> None:
        """Write what is left and let the file go."""
        self._keep_ended()
        if self._thread is not None:
            self._thread.shutdown()
        if self._appender is not None:
            self._appender.close()


def _describe(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}".replace("\n", " ")[:300]
