"""What the mock does not answer, told to its journal: forwarded, recorded and replayed calls, errors of the proxy."""

# It stands around a relay, a recorder or a cassette as the recorder stands around the relay: each message is passed on
# first and noted then, by reference. Nothing is parsed here but the frames that begin or end a turn of a socket; what
# an answer says is read when somebody looks at the journal or listens.
#
# To stand around costs a forwarded request a tenth of its time, to hold a thousand of them another fifth, for then each
# finds its memory out of the processor's cache. So what goes upstream while nobody listens is not noted at all: the
# relay tells its status when it has ended (`count`), and that is only counted, many at once. What a cassette answers is
# always noted: a miss is looked for after the test has failed.
#
# What must stay true:
# * No byte and no order depends on it, and nothing that fails here reaches a client (`JournalStore.note` never raises).
# * Each call is counted once: what is noted has `OBSERVED` in its scope, and the relay's word for it is not heard.
# * A turn of a socket is an exchange of its own, as at the mock. Its answer is its last frame.

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache, partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mockserver.delivery.player import CUT, DELIVERED, DISCONNECTED
from mockserver.engine.engine import Engine
from mockserver.journal.exchange import Call, Exchange
from mockserver.journal.relayed import RelayedAnswer
from mockserver.transport.abort import Abort
from mockserver.transport.http import BY_NAME, query_pairs
from mockserver.wire.errors.api import APIError
from proxy.cassettes.interaction import parse_json
from proxy.cassettes.matching import Miss, Recorded

if TYPE_CHECKING:
    from proxy.recorded_answer import ReadyAnswer
    from proxy.relay import Client

OBSERVED = "understudy.observed"  # in the scope of a request: what its recording is noted in
CREATE = "response.create"
UPSTREAM = frozenset(("upstream", "recorder", "shadow"))
BATCH = 256  # calls that are counted at once: one by one they would cost twice as much
_ENDS = re.compile(r'"type"\s*:\s*"(?:response\.(?:completed|failed|incomplete)|error)"')
_NEAR = 200  # characters at either end of a frame in which its type stands


def note_recording(scope: Scope, found: Recorded | Miss, lane: str | None = None) -> None:
    """Note what a cassette answers a request with, or the oldest turn of a socket's lane."""
    observed = scope.get(OBSERVED)
    if observed is not None:
        number = None if isinstance(found, Miss) else found.interaction.id
        (observed if isinstance(observed, RelayedAnswer) else observed.answer_on(lane)).note_recording(number)


class Passing:
    """A call in progress: its exchange, and its answer as far as it has passed."""

    __slots__ = ("answer", "events", "exchange")

    def __init__(self, exchange: Exchange, answer: RelayedAnswer) -> None:
        self.exchange, self.answer, self.events = exchange, answer, 0


class Observer:
    """Tells the journal of an engine what others answer."""

    def __init__(self, engine: Engine) -> None:
        self._engine, self._journal, self._events = engine, engine.journal, engine.events
        self._find_project = lru_cache(maxsize=1024)(self._project_of)
        self._counted: list[tuple[str, str, int, bool, float, float, float]] = []
        # a store that is not in memory would hold up all streams
        waits = engine.settings.store != "memory"
        self._thread = ThreadPoolExecutor(1, "understudy-journal") if waits else None
        engine.control.on_reset(lambda _: self._find_project.cache_clear())
        engine.control.sections["count_forwarded"] = self.count_all

    def _project_of(self, authorization: bytes, openai_project: bytes) -> str:
        """The project of a caller, nobody's for one that the mock would not let in."""
        try:
            return self._engine.project(authorization.decode("latin-1"), openai_project.decode("latin-1"))
        except APIError:
            return ""

    def watch(self, app: ASGIApp, answerer: str, kind: str) -> ASGIApp:
        """The app of one call, whose answer is noted if somebody may want to see it."""
        if kind == "websocket":
            return partial(self._watch_socket, app, answerer)
        if self._events.is_on or answerer not in UPSTREAM:
            return partial(self._watch_http, app, answerer)
        return app

    # --- what is only counted -----------------------------------------------------------------------------------------

    def count(self, scope: Scope, relayed: Client) -> None:
        """Count a request that a relay has forwarded, unless it was watched."""
        if OBSERVED not in scope:
            times = relayed.started, relayed.first_bytes, perf_counter()
            self._counted.append((scope["path"], scope["method"], relayed.status, relayed.streams, *times))
            if len(self._counted) >= BATCH:
                self.count_all()

    def count_refusal(self, scope: Scope, status: int) -> None:
        """Count a request of a caller who is not let in, unless it is watched."""
        if OBSERVED not in scope:
            self._counted.append((scope["path"], scope["method"], status, False, 0.0, 0.0, 0.0))

    def count_all(self) -> None:
        """Count what has ended so far; any thread may call this."""
        counted, self._counted = self._counted, []
        for path, method, status, streams, started, first_bytes, ended in counted:
            labels = method, "sse" if streams else "http", status, "upstream"
            self._journal.metrics.count_forwarded(path, labels, (first_bytes or ended) - started, ended - started)

    # --- what is noted ------------------------------------------------------------------------------------------------

    def begin(self, answerer: str, call: Call, started: float) -> Passing:
        """Note that a call has begun, and tell those who listen."""
        exchange = Exchange.begin(call, started)
        exchange.relayed = answer = RelayedAnswer(answerer, exchange.started)
        if self._events.is_on and call.project:
            self._do(self._journal.announce, call.project, exchange)
        return Passing(exchange, answer)

    def end(self, passing: Passing, how: str) -> None:
        """Enter a call that has ended into the journal."""
        exchange, answer = passing.exchange, passing.answer
        exchange.seconds, exchange.ended = perf_counter() - exchange.started, how
        if answer.sent:
            exchange.call = exchange.call._replace(body=answer.sent_body())
        exchange.status, exchange.events = answer.status, passing.events
        if answer.first_bytes:
            exchange.first_bytes_s = answer.first_bytes - exchange.started
        if exchange.transport == "http" and answer.is_stream:
            exchange.transport = "sse"
        self._do(self._journal.note, exchange.call.project or "", exchange)

    def _do(self, work: Callable[[str, Exchange], None], project: str, exchange: Exchange) -> None:
        if self._thread is None:
            work(project, exchange)
        else:
            self._thread.submit(work, project, exchange)

    def call_of(self, scope: Scope, transport: str, method: str, body: bytes = b"") -> Call:
        """The head of a call, and its body where that has come."""
        headers, query = scope.get(BY_NAME) or dict(scope["headers"]), scope["query_string"]
        project = self._find_project(headers.get(b"authorization", b""), headers.get(b"openai-project", b""))
        return Call(method, scope["path"], body, project, query_pairs(query) if query else (), headers, transport)

    # --- requests ---------------------------------------------------------------------------------------------------

    async def _watch_http(self, app: ASGIApp, answerer: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request by the app; what comes and leaves is noted."""
        passing = self.begin(answerer, self.call_of(scope, "http", scope["method"]), perf_counter())
        answer = scope[OBSERVED] = passing.answer

        async def receive_and_note() -> Message:
            message = await receive()
            if body := message.get("body"):
                answer.add_sent(body)
            return message

        async def send_and_note(message: Message) -> None:
            await send(message)
            if message["type"] == "http.response.body":
                if body := message.get("body"):
                    answer.add(body)
                answer.complete = not message.get("more_body", False)
            elif message["type"] == "http.response.start":
                answer.first_bytes = perf_counter()
                answer.status, answer.headers = message["status"], message["headers"]

        how = DISCONNECTED
        try:
            await app(scope, receive_and_note, send_and_note)
        except Abort:
            how = CUT
            raise
        finally:
            self.end(passing, DELIVERED if answer.complete else how)

    def note_replayed(self, scope: Scope, body: bytes, started: float, ready: ReadyAnswer) -> None:
        """Note a call that a cassette has answered in one write."""
        passing = self.begin("cassette", self.call_of(scope, "http", scope["method"], body), started)
        answer = passing.answer
        answer.note_recording(ready.id)
        answer.add(ready.body)
        answer.status, answer.headers = ready.status, ready.headers
        answer.first_bytes, answer.complete = perf_counter(), True
        self.end(passing, DELIVERED)

    # --- sockets ----------------------------------------------------------------------------------------------------

    async def _watch_socket(self, app: ASGIApp, answerer: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a socket by the app; its turns are noted."""
        socket = scope[OBSERVED] = ObservedSocket(self, scope, answerer)

        async def receive_and_note() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive":
                socket.note_sent(message)
            return message

        async def send_and_note(message: Message) -> None:
            await send(message)
            socket.note_received(message)

        how = DISCONNECTED
        try:
            await app(scope, receive_and_note, send_and_note)
        except Abort:
            how = CUT
            raise
        finally:
            socket.end(how)

    def close(self) -> None:
        """Enter what is left."""
        if self._thread is not None:
            self._thread.shutdown()


class ObservedSocket:
    """One socket: its handshake is an exchange, and so is each turn on it."""

    def __init__(self, observer: Observer, scope: Scope, answerer: str) -> None:
        self._observer, self._scope, self._answerer = observer, scope, answerer
        self._handshake: Passing | None = self._begin("GET")
        self._lanes: dict[str | None, deque[Passing]] = {}

    def _begin(self, method: str) -> Passing:
        call = self._observer.call_of(self._scope, "websocket", method)
        return self._observer.begin(self._answerer, call, perf_counter())

    def answer_on(self, lane: str | None) -> RelayedAnswer:
        """The answer of the oldest turn of a lane; of the handshake, where there is none."""
        turn = self._lanes[lane][0] if lane in self._lanes else self._handshake
        return RelayedAnswer(self._answerer, 0.0) if turn is None else turn.answer

    def note_sent(self, message: Message) -> None:
        """Note a frame of the client's: each that asks for a response begins an exchange."""
        text = _text_of(message)
        frame = parse_json(text.encode()) if CREATE in text else None
        if isinstance(frame, dict) and frame.get("type") == CREATE:
            turn = self._begin("POST")
            turn.answer.add_sent(text.encode())
            self._lanes.setdefault(_lane_of(frame), deque()).append(turn)

    def note_received(self, message: Message) -> None:
        """Note a message of the server's."""
        kind = message["type"]
        if kind == "websocket.send":
            if self._lanes:
                self._note_frame(_text_of(message))
        elif kind == "websocket.accept":
            self._end_handshake(101, DELIVERED)
        elif kind == "websocket.http.response.start":
            self._end_handshake(message["status"], DELIVERED)

    def _end_handshake(self, status: int, how: str) -> None:
        turn, self._handshake = self._handshake, None
        if turn is not None:
            turn.answer.status = status
            self._observer.end(turn, how)

    def _note_frame(self, text: str) -> None:
        """Count a frame for its turn, which it may end."""
        ends = _ENDS.search(text, 0, _NEAR)
        if not ends and not text.startswith('{"type"'):
            ends = _ENDS.search(text, max(0, len(text) - _NEAR))
        frame = parse_json(text.encode()) if ends or len(self._lanes) > 1 else None
        frame = frame if isinstance(frame, dict) else {}
        lane = _lane_of(frame) if len(self._lanes) > 1 else next(iter(self._lanes))
        if lane not in self._lanes:
            return
        turn = self._lanes[lane][0]
        turn.events += 1
        turn.answer.first_bytes = turn.answer.first_bytes or perf_counter()
        if ends:
            self._end_turn(lane, frame, text)

    def _end_turn(self, lane: str | None, frame: dict[str, Any], text: str) -> None:
        turn = self._lanes[lane].popleft()
        if not self._lanes[lane]:
            del self._lanes[lane]
        turn.answer.add(text.encode())
        status = frame.get("status")  # of an error. Spec: R4.13
        turn.answer.status = status if isinstance(status, int) else 200
        self._observer.end(turn, DELIVERED)

    def end(self, how: str) -> None:
        """Note that the socket has ended, and with it all turns in progress."""
        self._end_handshake(0, how)
        lanes, self._lanes = self._lanes, {}
        for turn in [turn for turns in lanes.values() for turn in turns]:
            self._observer.end(turn, how)


def _text_of(message: Message) -> str:
    text = message.get("text")
    return text if isinstance(text, str) else (message.get("bytes") or b"").decode(errors="replace")


def _lane_of(frame: dict[str, Any]) -> str | None:
    lane = frame.get("stream_id")
    return lane if isinstance(lane, str) else None
