"""The mock's journal as a cassette: what it answered, to be replayed, verified, or attached to a bug report."""

# The mock keeps its newest answers as values (`journal.answers`); here they become what a recorder would have noted in
# front of it, redacted by the same rules. Times are the project's: so a cassette of a test that moved the clock by a
# month says that a month passed, and `verify` moves its own clock as far.

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from urllib.parse import quote, urlencode

from mockserver.delivery.events import Body, Cut, Emit, Malformed, Partial, Step, Wait
from mockserver.delivery.fault_effects import truncate_json
from mockserver.journal.answers import KeptAnswer
from mockserver.wire.requests import frames
from mockserver.wire.responses.event_list import sse
from mockserver.wire.responses.events import Event
from proxy.cassettes.content import header
from proxy.cassettes.document import format_head, format_interaction
from proxy.cassettes.interaction import Closing, Ending, Head, Interaction, Piece, Request, Response
from proxy.cassettes.redaction import Redactor, Secrets
from proxy.tape_interaction import redact_pieces


def write_journal(answers: Sequence[KeptAnswer], redact: Iterable[str] = ()) -> Iterator[bytes]:
    """Yield a cassette of these answers, document by document; raises SettingError for a bad pattern."""
    redactor = Redactor(redact)  # now: a wrong pattern is an error, not half a file
    return _write(answers, redactor)


def _write(answers: Sequence[KeptAnswer], redactor: Redactor) -> Iterator[bytes]:
    began = min((at for one in answers if (at := one.exchange.at) is not None), default=0.0)
    recorded = datetime.fromtimestamp(int(began), UTC).isoformat().replace("+00:00", "Z") if answers else None
    yield format_head(Head(None, recorded)).encode()
    sockets: dict[object, int] = {}
    for number, answer in enumerate(answers, 1):
        interaction = interaction_of(number, answer, int(began), redactor)
        if answer.socket is not None:
            interaction = replace(interaction, connection=sockets.setdefault(answer.socket, number))
        yield format_interaction(interaction).encode()


def interaction_of(number: int, answer: KeptAnswer, began: int, redactor: Redactor) -> Interaction:
    """The interaction that an answer and its call are; `began` is unix seconds."""
    call = answer.call
    secrets = redactor.secrets_of(header(call.headers.items(), b"authorization"), call.body)
    socket = answer.stream == "websocket"
    request = Request(
        method="GET" if socket else call.method,
        path=redactor.redact_text(quote(call.path, safe="/:@!$&'()*+,;=~"), secrets),
        query=redactor.redact_query(urlencode(list(call.query)), secrets),
        headers=redactor.request_headers(call.headers.items()),
        body=redactor.redact_bytes(call.body, secrets),
        socket=socket,
    )
    at = 0.0 if answer.exchange.at is None else max(0.0, round(answer.exchange.at - began, 3))
    return Interaction(number, at, request, _response_of(answer, redactor, secrets), lane=answer.lane)


def _response_of(answer: KeptAnswer, redactor: Redactor, secrets: Secrets) -> Response:
    pieces, cut = _pieces_of(answer)
    ended: Ending = "complete" if cut is None else "cut"
    if answer.stream == "websocket":
        closing = None if cut is None else Closing(cut.code)
        return Response(101, (), redact_each(pieces, redactor, secrets), streamed=True, ended=ended, closing=closing)
    raw = ((b"content-type", answer.content_type), *answer.headers) if answer.content_type else answer.headers
    headers = redactor.response_headers(raw, secrets)
    if answer.stream:
        return Response(answer.status, headers, redact_pieces(pieces, redactor, secrets), streamed=True, ended=ended)
    at = pieces[-1].at if pieces else 0.0
    body = redactor.redact_bytes(b"".join([piece.data for piece in pieces]), secrets)
    return Response(answer.status, headers, (Piece(at, body),) if body or at else (), ended=ended)


def redact_each(pieces: tuple[Piece, ...], redactor: Redactor, secrets: Secrets) -> tuple[Piece, ...]:
    """The frames of a socket without secrets."""
    return tuple([piece._replace(data=redactor.redact_bytes(piece.data, secrets)) for piece in pieces])


def _pieces_of(answer: KeptAnswer) -> tuple[tuple[Piece, ...], Cut | None]:
    """What leaves and when, event by event, and how it breaks off, if it does."""
    steps = answer.laid_out()
    if not steps:
        return ((Piece(0.0, answer.body),) if answer.body else ()), None
    pieces: list[Piece] = []
    at, cut = 0.0, None
    sent = dict[int, list[bytes]]()
    for place, frame in answer.sent:
        sent.setdefault(place, []).append(frame)
    for number, step in enumerate(steps):
        pieces += [Piece(at, frame, sent=True) for frame in sent.get(number, ())]
        if isinstance(step, Wait):
            at = round(at + step.seconds, 3)
        elif isinstance(step, Cut):
            cut = step
            break
        else:
            pieces += [Piece(at, data) for data in _written(answer, step)]
    if answer.tail and cut is None:
        pieces.append(Piece(at, answer.tail))
    return tuple(pieces), cut


def _written(answer: KeptAnswer, step: Step) -> list[bytes]:
    match step:
        case Body(data):
            return [data]
        case Partial(data):
            return [] if answer.stream == "websocket" else [data]
        case Malformed(event):
            whole = _encode(answer, event)
            return [truncate_json(whole) if answer.stream == "websocket" else truncate_json(whole[:-2]) + b"\n\n"]
        case Emit(events):
            return [_encode(answer, event) for event in events]
    return []


def _encode(answer: KeptAnswer, event: Event) -> bytes:
    if answer.stream != "websocket":
        return sse([event])
    return frames.text(frames.with_lane(event, answer.lane)).encode()
