"""Mode `record`: what is relayed is also appended to a cassette. The client comes first, the recorder second."""

# The recorder stands around the relay, not in it: it wraps `receive` and `send`, passes each message on and only then
# notes it. The relay does not know; without a cassette nothing of this file is on the way.
#
# What must stay true:
# * No byte and no order of what is relayed depends on the recorder.
# * What goes wrong here (a full disk) is logged once, counted for `/_mock/health`, and never reaches a client.
# * A secret is redacted before anything is written, also to a file that is spooled.
# * An ordinary interaction is written before the next request can begin: who kills the process loses only what is
#   under way. One that was too large for memory is written by a thread, and all that end meanwhile wait for it there.

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from time import monotonic
from typing import Any, cast

from starlette.types import Message, Receive, Scope, Send

from mockserver.wire.errors.api import MockError
from proxy.cassettes.content import decoded, has_ended, header, is_event_stream, pieces_of
from proxy.cassettes.file import Appender
from proxy.cassettes.interaction import Cassette, Ending, Interaction, Piece, Request, Response
from proxy.cassettes.redaction import Redactor, Secrets
from proxy.tape import Tape

log = logging.getLogger("understudy.proxy")

Relaying = Callable[[Scope, Receive, Send], Any]
Listener = Callable[[Interaction], None]
LINE = 1 << 16  # of a body that is redacted piece by piece: how long a line may be held back


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

    @property
    def earlier(self) -> Cassette:
        """What the cassette held before."""
        return Cassette("") if self._appender is None else self._appender.earlier

    def begin(self, scope: Scope) -> Tape:
        """A tape for a request that comes now."""
        return Tape(scope, self.take_id(), self.seconds())

    def seconds(self) -> float:
        """Seconds since recording began."""
        return monotonic() - self._began

    def take_id(self) -> int:
        """The number of the next interaction."""
        if self._appender is not None:
            return self._appender.take_id()
        self._count += 1
        return self._count

    def keep_tape(self, tape: Tape) -> None:
        """Write what a tape holds; a request without an answer leaves nothing."""
        if not tape.status:
            tape.close()
            return
        try:
            if tape.chunks.spilled or tape.sent.spilled:
                self._later(lambda: self._keep_spilled(tape))
            else:
                self.keep(interaction_of(tape, self.redactor))
        except Exception as failure:  # whatever it is, the answer has been given
            self.fail(failure)

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
            self._write(_spilled_interaction(tape, self.redactor))
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
        if self._thread is not None:
            self._thread.shutdown()
        if self._appender is not None:
            self._appender.close()


def _describe(failure: Exception) -> str:
    return f"{type(failure).__name__}: {failure}".replace("\n", " ")[:300]


class RecordingRelay:
    """A relay of HTTP requests whose exchanges a recorder keeps."""

    def __init__(self, relay: Relaying, recorder: Recorder) -> None:
        self._relay = relay
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> MockError | None:
        """Relay one request as the relay does."""
        tape = self._recorder.begin(scope)

        async def receive_and_note() -> Message:
            message = await receive()
            _note(tape.note_request, message, self._recorder)
            return message

        async def send_and_note(message: Message) -> None:
            await send(message)
            _note(tape.note_response, message, self._recorder)

        try:
            error: MockError | None = await self._relay(scope, receive_and_note, send_and_note)
            return error
        finally:
            self._recorder.keep_tape(tape)


def _note(note: Callable[[Message], None], message: Message, recorder: Recorder) -> None:
    try:
        note(message)
    except OSError as failure:
        recorder.fail(failure)


# --- from a tape to an interaction -----------------------------------------------------------------------------------


def make_request(scope: Scope, body: bytes, redactor: Redactor) -> tuple[Request, Secrets]:
    """A request in the form in which it is written and compared, and the secrets that it named."""
    headers = scope["headers"]
    secrets = redactor.secrets_of(header(headers, b"authorization"), body)
    request = Request(
        method=scope.get("method", "GET"),
        path=redactor.redact_text(scope["raw_path"].decode("latin-1"), secrets),
        query=redactor.redact_query(scope["query_string"].decode("latin-1"), secrets),
        headers=redactor.request_headers(headers),
        body=redactor.redact_bytes(body, secrets),
        socket=scope["type"] == "websocket",
    )
    return request, secrets


def interaction_of(tape: Tape, redactor: Redactor) -> Interaction:
    """The interaction that a tape in memory holds, redacted."""
    request, secrets = make_request(tape.scope, tape.sent.joined(), redactor)
    return Interaction(tape.id, round(tape.at, 3), request, response_of(tape, redactor, secrets))


def response_of(tape: Tape, redactor: Redactor, secrets: Secrets) -> Response:
    """The answer on a tape, decoded and redacted."""
    coding = header(tape.headers, b"content-encoding")
    headers = redactor.response_headers(tape.headers, secrets)
    chunks: Iterable[tuple[float, bytes]] = tape.chunks
    if coding is not None:
        try:
            chunks = list(decoded(tape.chunks, coding))
            headers = tuple(pair for pair in headers if pair[0].lower() != "content-encoding")
        except ValueError:
            pass  # kept as it came, with the header that says so
    ended: Ending = "complete" if tape.complete else "cut"
    if not is_event_stream(tape.headers):
        joined = [*chunks]
        at = round(joined[-1][0], 3) if joined else 0.0
        body = redactor.redact_bytes(b"".join([data for _, data in joined]), secrets)
        return Response(tape.status, headers, (Piece(at, body),) if joined else (), ended=ended)
    pieces = redact_pieces(pieces_of(chunks), redactor, secrets)
    if ended == "cut" and has_ended(pieces):
        ended = "complete"
    return Response(tape.status, headers, pieces, streamed=True, ended=ended)


def redact_pieces(pieces: tuple[Piece, ...], redactor: Redactor, secrets: Secrets) -> tuple[Piece, ...]:
    """The pieces of a stream without secrets, also where one lies across two pieces."""
    whole = b"".join([piece.data for piece in pieces])
    if redactor.redact_bytes(whole, secrets) is whole:  # nearly always
        return pieces
    clean: list[Piece] = []
    pending = b""
    for piece in pieces:
        pending += piece.data
        if pending.endswith((b"\n\n", b"\r\n\r\n")):
            clean.append(Piece(piece.at, redactor.redact_bytes(pending, secrets)))
            pending = b""
    if pending:
        clean.append(Piece(pieces[-1].at, redactor.redact_bytes(pending, secrets)))
    return tuple(clean)


def _spilled_interaction(tape: Tape, redactor: Redactor) -> Interaction:
    """The interaction of a tape on disk: its pieces are read as they are written."""
    body = tape.sent.joined() if not tape.sent.spilled else b"".join(data for _, data in tape.sent)
    request, secrets = make_request(tape.scope, body, redactor)
    ended: Ending = "complete" if tape.complete else "cut"
    coding = header(tape.headers, b"content-encoding")
    headers = redactor.response_headers(tape.headers, secrets)
    if coding in ("gzip", "x-gzip", "deflate"):
        headers = tuple(pair for pair in headers if pair[0].lower() != "content-encoding")
    else:
        coding = None
    pieces = cast(tuple[Piece, ...], _SpilledPieces(tape, coding, redactor, secrets))
    return Interaction(
        tape.id, round(tape.at, 3), request, Response(tape.status, headers, pieces, streamed=True, ended=ended)
    )


class _SpilledPieces:
    """The pieces of a tape on disk, redacted line by line: a secret is never cut by the border of two chunks."""

    def __init__(self, tape: Tape, coding: str | None, redactor: Redactor, secrets: Secrets) -> None:
        self._tape, self._coding, self._redactor, self._secrets = tape, coding, redactor, secrets

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Piece]:
        pending, at = b"", 0.0
        for at, data in decoded(self._tape.chunks, self._coding):
            pending += data
            end = pending.rfind(b"\n") + 1
            if not end and len(pending) > LINE:
                end = len(pending)
            if end:
                yield Piece(round(at, 3), self._redactor.redact_bytes(pending[:end], self._secrets))
                pending = pending[end:]
        if pending:
            yield Piece(round(at, 3), self._redactor.redact_bytes(pending, self._secrets))
