"""The interaction that a tape holds: decoded, redacted, in the form in which it is written and compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import cast

from starlette.types import Scope

from proxy.cassettes.content import decoded, has_ended, header, is_event_stream, pieces_of
from proxy.cassettes.interaction import Ending, Interaction, Piece, Request, Response
from proxy.cassettes.redaction import Redactor, Secrets
from proxy.tape import Tape

LINE = 1 << 16  # of a body that is redacted piece by piece: how long a line may be held back


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


def spilled_interaction(tape: Tape, redactor: Redactor) -> Interaction:
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
