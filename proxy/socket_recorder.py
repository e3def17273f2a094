"""Recording a WebSocket: its frames sorted into turns, each an interaction as soon as it ends."""

# A socket has lanes, a lane has one turn at a time, in the order of its `response.create` frames (Spec: R4.9). So a
# frame of the server belongs to the oldest open turn of its lane; one with a terminal event or an error ends it.
#
# Steering (Spec: R4.16) makes one interaction of several responses: the submission stands among the frames, and the
# turn is over when the server owes no answer to a submission: after the successor's end, or after `steer.pending` or
# `steer.failed`. An error inside a stream may be all, or the turn's failure follows it (switch `stream_overflow`): that
# is known when the lane goes on, or when the socket ends.
#
# A socket that the upstream closes while no turn is under way is an interaction without a body: clients open another
# one then, and a replay has to make them do so. One that the client closes needs no word, the client will do so again.

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from time import monotonic
from typing import Any

from starlette.types import Message, Receive, Scope, Send

from mockserver.transport.abort import Abort
from mockserver.wire.errors.api import MockError
from proxy.cassettes.interaction import TERMINAL_EVENTS, Closing, Ending, Interaction, Piece, Response, parse_json
from proxy.cassettes.redaction import Secrets
from proxy.recorder import Recorder, Relaying
from proxy.tape_interaction import make_request

CREATE = "response.create"
_STEER_OVER = frozenset(("response.steer.failed", "response.steer.pending"))


@dataclass
class OpenTurn:
    """A turn under way. `owed` counts submissions that the server has not dealt with, `over` says its end has come."""

    id: int
    at: float
    started: float
    frame: bytes
    lane: str | None
    pieces: list[Piece] = field(default_factory=list)
    responses: set[str] = field(default_factory=set)
    owed: int = 0
    over: bool = False

    @property
    def failed(self) -> bool:
        """Whether an error in its stream was the last that came."""
        event = parse_json(self.pieces[-1].data) if self.over and self.pieces else None
        return isinstance(event, dict) and event.get("type") == "error"


class SocketTape:
    """The frames of one socket, sorted into turns; `keep` gets each turn that has ended."""

    def __init__(self, recorder: Recorder, scope: Scope) -> None:
        self._recorder, self._scope = recorder, scope
        self.keep: Callable[[Interaction], None] = recorder.keep
        self.last_id = 0  # of the turn that began last
        self._request, self._secrets = make_request(scope, b"", recorder.redactor)
        self._turns: list[OpenTurn] = []
        self._refusal: dict[str, Any] = {}
        self._headers: tuple[tuple[str, str], ...] = ()
        self._connection: int | None = None
        self._ended = False
        self._opened = monotonic()
        self._at = recorder.seconds()

    # --- what comes ----------------------------------------------------------------------------------------------

    def note_client(self, message: Message) -> None:
        """Note a message of the client's."""
        if message["type"] == "websocket.receive":
            self._note_sent(_data(message))
        elif message["type"] == "websocket.disconnect":
            self.end(None)

    def note_server(self, message: Message) -> None:
        """Note a message that has been sent to the client."""
        match message["type"]:
            case "websocket.send":
                self._note_received(_data(message))
            case "websocket.accept":
                kept = self._recorder.redactor.response_headers(message.get("headers", ()), self._secrets)
                self._headers = kept
            case "websocket.close":
                self.end(Closing(message.get("code"), message.get("reason") or ""), by_upstream=True)
            case "websocket.http.response.start":
                self._refusal = {"status": message["status"], "headers": message["headers"], "body": b""}
            case "websocket.http.response.body":
                self._refusal["body"] += message.get("body", b"")
                if not message.get("more_body", False):
                    self._keep_refusal()

    def _note_sent(self, data: bytes) -> None:
        frame, now = parse_json(data), monotonic()
        if isinstance(frame, dict) and frame.get("type") == CREATE:
            lane = frame.get("stream_id")
            lane = lane if isinstance(lane, str) else None
            self.last_id = self._take_id()
            self._turns.append(OpenTurn(self.last_id, self._recorder.seconds(), now, data, lane))
            return
        target = frame.get("previous_response_id") or frame.get("response_id") if isinstance(frame, dict) else None
        turn = next((turn for turn in self._turns if target in turn.responses), None)
        if turn is None:
            # an answer will come, and nothing else: a turn of its own
            turn = OpenTurn(self._take_id(), self._recorder.seconds(), now, data, None, owed=1, over=True)
            self._turns.append(turn)
            return
        turn.pieces.append(Piece(now - turn.started, data, sent=True))
        turn.owed += 1

    def _take_id(self) -> int:
        """The number of the next interaction on this socket; the first one's is the socket's."""
        number = self._recorder.take_id()
        if self._connection is None:
            self._connection = number
        return number

    def _note_received(self, data: bytes) -> None:
        event, now = parse_json(data), monotonic()
        event = event if isinstance(event, dict) else {}
        turn = self._turn_of(event)
        if turn is None:
            return
        turn.pieces.append(Piece(now - turn.started, data))
        kind = event.get("type")
        if kind == "response.created":
            turn.responses.add(_response_id(event))
            if turn.over:  # the successor of a steered turn: it has taken in what was submitted
                turn.over, turn.owed = False, 0
        elif kind in _STEER_OVER:
            turn.owed -= 1
        elif kind in TERMINAL_EVENTS:
            turn.over = True
            if kind == "error":
                turn.owed = 1 if "sequence_number" in event else 0
            elif kind == "response.failed":
                turn.owed = 0
        if turn.over and turn.owed <= 0:
            self._turns.remove(turn)
            self._keep(turn, "complete", None)

    def _turn_of(self, event: dict[str, Any]) -> OpenTurn | None:
        """The turn that a frame of the server belongs to: the oldest of its lane."""
        lane = event.get("stream_id")
        steer = event.get("steer")
        if isinstance(steer, dict):
            target = steer.get("previous_response_id")
            for turn in self._turns:
                if target in turn.responses:
                    return turn
        of_lane = [turn for turn in self._turns if turn.lane == lane]
        if len(of_lane) > 1 and of_lane[0].failed and event.get("type") == "response.created":
            self._turns.remove(of_lane[0])
            self._keep(of_lane.pop(0), "complete", None)
        return of_lane[0] if of_lane else (self._turns[0] if self._turns else None)

    def end(self, closing: Closing | None, *, by_upstream: bool = False) -> None:
        """End every turn that is open: the socket is gone."""
        if by_upstream and not self._turns and not self._ended and not self._refusal:
            self._keep_closing(closing or Closing(None))
        self._ended = True
        turns, self._turns = self._turns, []
        for turn in turns:
            if turn.failed:
                self._keep(turn, "complete", None)
            else:
                self._keep(turn, "cut", closing or Closing(None))

    # --- what is kept ----------------------------------------------------------------------------------------------

    def _keep(self, turn: OpenTurn, ended: Ending, closing: Closing | None) -> None:
        redactor = self._recorder.redactor
        named = redactor.secrets_of(None, turn.frame)
        secrets = Secrets((*self._secrets.values, *named.values))
        pieces = tuple(
            Piece(round(at, 3), redactor.redact_bytes(data, secrets), sent) for at, data, sent in turn.pieces
        )
        request = replace(self._request, body=redactor.redact_bytes(turn.frame, secrets))
        response = Response(101, self._headers, pieces, streamed=True, ended=ended, closing=closing)
        kept = Interaction(turn.id, round(turn.at, 3), request, response, lane=turn.lane, connection=self._connection)
        self.keep(kept)

    def _keep_closing(self, closing: Closing) -> None:
        """Keep how the upstream closed a socket on which nothing was under way."""
        number, at = self._take_id(), round(self._recorder.seconds(), 3)
        reason = self._recorder.redactor.redact_text(closing.reason, self._secrets)
        response = Response(101, self._headers, streamed=True, closing=closing._replace(reason=reason))
        self.keep(Interaction(number, at, self._request, response, connection=self._connection))

    def _keep_refusal(self) -> None:
        redactor, refusal = self._recorder.redactor, self._refusal
        headers = redactor.response_headers(refusal["headers"], self._secrets)
        body = redactor.redact_bytes(refusal["body"], self._secrets)
        pieces = (Piece(0.0, body),) if body else ()
        response = Response(refusal["status"], headers, pieces, streamed=True)
        self.keep(Interaction(self._recorder.take_id(), round(self._at, 3), self._request, response))


def _response_id(event: dict[str, Any]) -> str:
    response = event.get("response")
    return str(response.get("id")) if isinstance(response, dict) else ""


def _data(message: Message) -> bytes:
    text = message.get("text")
    data: bytes = message.get("bytes") or b"" if text is None else text.encode()
    return data


class RecordingWebSocketRelay:
    """A relay of WebSockets whose turns a recorder keeps."""

    def __init__(self, relay: Relaying, recorder: Recorder) -> None:
        self._relay = relay
        self._recorder = recorder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> MockError | None:
        """Relay one WebSocket as the relay does."""
        tape = SocketTape(self._recorder, scope)
        recorder = self._recorder

        async def receive_and_note() -> Message:
            message = await receive()
            _note(tape.note_client, message, recorder)
            return message

        async def send_and_note(message: Message) -> None:
            await send(message)
            _note(tape.note_server, message, recorder)

        try:
            error: MockError | None = await self._relay(scope, receive_and_note, send_and_note)
            return error
        except Abort:  # the upstream's side was lost, unless the client's has ended before
            _note(lambda _: tape.end(None, by_upstream=True), {}, recorder)
            raise
        finally:
            _note(lambda _: tape.end(None), {}, recorder)


def _note(note: Callable[[Any], None], message: Any, recorder: Recorder) -> None:
    try:
        note(message)
    except Exception as failure:  # whatever it is, the message has been passed on
        recorder.fail(failure)
