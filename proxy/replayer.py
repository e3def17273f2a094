"""Mode `replay`: a cassette answers, with the bytes and in the pieces that were recorded."""

# Each caller's project has a `Session` (see `cassettes.matching`). A body is read whole, for its key is made of all of
# it; then the recorded pieces are sent, at once or with their gaps. A recorded cut is a cut again.
#
# Nearly every answer leaves at once, to a request that has come whole. It is found within the app's call
# (`find_ready`), and leaves as it was made ready once: no task, no messages. All others are sent by `send_found`.
#
# What must stay true: nothing is asked of anybody else here. A request that no recording answers is 501 `mock_error`,
# which no SDK repeats, and its message says what differs.

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from functools import lru_cache, partial

from starlette.types import Message, Receive, Scope, Send

from mockserver.transport.abort import Abort
from mockserver.transport.http import Disconnected, read_body
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests import frames
from proxy.cassettes.interaction import Interaction, Request, parse_json
from proxy.cassettes.matching import Library, Miss, Recorded, Session
from proxy.cassettes.redaction import NOTED_REQUEST_HEADERS, Redactor, Secrets
from proxy.observer import note_recording
from proxy.recorded_answer import SOURCE, ReadyAnswer, prepare, send_recorded
from proxy.tape_interaction import make_request

MOST_MISSES = 1000
MOST_READY = 256  # answers that are kept ready, of at most `MOST_JOINED` bytes each


class Sessions:
    """The sessions of all projects on one library, and the misses of all of them."""

    def __init__(self, library: Library, redactor: Redactor, *, strict: bool = False) -> None:
        self.library, self.redactor = library, redactor
        self.misses: deque[Miss] = deque(maxlen=MOST_MISSES)
        self.missed = 0  # all of them, also those that are remembered no longer
        self._strict = strict
        self._sessions: dict[tuple[bytes | None, bytes | None], Session] = {}
        self._read_head = lru_cache(maxsize=256)(self._make_request)

    def of(self, scope: Scope) -> Session:
        """The session of a caller: of his key and his project."""
        named = dict(reversed(scope["headers"]))  # of a header that is sent twice the first one counts
        caller = named.get(b"authorization"), named.get(b"openai-project")
        session = self._sessions.get(caller)
        if session is None:
            session = self._sessions[caller] = Session(self.library, self._strict)
        return session

    def read(self, scope: Scope, body: bytes) -> Request:
        """A request in the form in which it was recorded."""
        # its head is that of others; secrets that only a body has would have to be looked for in all of it
        noted = tuple([pair for pair in scope["headers"] if pair[0] in NOTED_REQUEST_HEADERS])
        head, secrets = self._read_head(scope["method"], scope["raw_path"], scope["query_string"], noted)
        if not self.redactor.is_clean(body, secrets):
            return make_request(scope, body, self.redactor)[0]
        return Request(head.method, head.path, head.query, head.headers, body)

    def _make_request(
        self, method: str, path: bytes, query: bytes, headers: tuple[tuple[bytes, bytes], ...]
    ) -> tuple[Request, Secrets]:
        """A request without a body, of which only the headers count that a recording depends on; and its secrets."""
        scope = {"type": "http", "method": method, "raw_path": path, "query_string": query, "headers": headers}
        return make_request(scope, b"", self.redactor)

    def find(self, session: Session, request: Request) -> Recorded | Miss:
        """What answers a request; a miss is remembered."""
        found = session.find(request)
        if isinstance(found, Miss):
            self.misses.append(found)
            self.missed += 1
        return found

    def uses(self) -> Counter[int]:
        """How often each recording was the answer, by its place in the library."""
        uses: Counter[int] = Counter()
        for session in list(self._sessions.values()):
            uses.update(dict(session.used))
        return uses

    def unused(self) -> list[Recorded]:
        """The recordings that no session was answered with, in their order."""
        used = self.uses()
        return [recorded for number, recorded in enumerate(self.library.recorded) if number not in used]


class Replayer:
    """Answers HTTP requests from a library; `speed` 0 means at once, 1 with the recorded gaps."""

    def __init__(self, sessions: Sessions, speed: float, max_body_bytes: int) -> None:
        self._sessions, self._speed, self._limit = sessions, speed, max_body_bytes
        self._prepare = lru_cache(maxsize=MOST_READY)(prepare)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> MockError | APIError | None:
        """Answer one request; returns the error to answer with on a miss."""
        try:
            body = await read_body(receive, dict(scope["headers"]), self._limit)
        except Disconnected:
            return None
        except APIError as error:
            return error
        return await self._send(self._find(scope, body), scope, send)

    def find_ready(self, scope: Scope, body: bytes) -> tuple[Recorded | Miss, ReadyAnswer | None]:
        """What answers a request, and the answer if it leaves at once; if it does not, `send_found` answers."""
        found = self._find(scope, body)
        if self._speed or isinstance(found, Miss):
            return found, None
        ready = self._prepare(found)
        return found, ready if ready is not None and ready.suits(scope) else None

    async def send_found(
        self, found: Recorded | Miss, scope: Scope, receive: Receive, send: Send
    ) -> MockError | APIError | None:
        """Answer a request with what was found for it; returns the error to answer with on a miss."""
        await receive()  # what was read already, for whoever notes what passes
        return await self._send(found, scope, send)

    def _find(self, scope: Scope, body: bytes) -> Recorded | Miss:
        return self._sessions.find(self._sessions.of(scope), self._sessions.read(scope, body))

    async def _send(self, found: Recorded | Miss, scope: Scope, send: Send) -> MockError | None:
        note_recording(scope, found)
        if isinstance(found, Miss):
            return miss_error(found)
        await send_recorded(found.interaction, self._speed, scope, send)
        return None


def miss_error(miss: Miss) -> MockError:
    """The error that answers a miss."""
    return MockError(miss.message, status=501)


# --- sockets ---------------------------------------------------------------------------------------------------------


class WebSocketReplayer:
    """Answers WebSockets from a library: each `response.create` gets the frames that were recorded for its like."""

    def __init__(self, sessions: Sessions, speed: float) -> None:
        self._sessions, self._speed = sessions, speed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> MockError | None:
        """Answer one socket; raises Abort where the recorded one was lost."""
        await receive()  # websocket.connect
        session = self._sessions.of(scope)
        handshake, _ = make_request(scope, b"", self._sessions.redactor)
        refusal = session.find_unused(handshake)
        if refusal is not None and not refusal.interaction.closes:
            await _send_refusal(refusal.interaction, send)
            return None
        await send({"type": "websocket.accept", "headers": [SOURCE]})
        replay = SocketReplay(self._sessions, session, handshake, self._speed, send, partial(note_recording, scope))
        if refusal is not None:  # one that was closed before anything was asked
            await replay.close(refusal.interaction)
        await replay.serve(receive)
        return None


class SocketReplay:
    """One socket that is replayed: turns of a lane one after the other, lanes side by side."""

    def __init__(
        self,
        sessions: Sessions,
        session: Session,
        handshake: Request,
        speed: float,
        send: Send,
        note: Callable[[Recorded | Miss, str | None], None],
        ask_upstream: Callable[[bytes], None] | None = None,
    ) -> None:
        self._note, self._ask_upstream = note, ask_upstream
        self._sessions, self._session, self._handshake = sessions, session, handshake
        self._speed, self._send = speed, send
        self._lanes: dict[str | None, asyncio.Lock] = {}
        self._waiting: deque[asyncio.Event] = deque()  # turns that go on when the client sends what was sent then
        self._tasks: set[asyncio.Task[None]] = set()
        self._lost = asyncio.Event()

    async def serve(self, receive: Receive) -> None:
        """Answer frames until one side ends. Raises Abort."""
        lost = asyncio.ensure_future(self._lost.wait())
        try:
            while True:
                reading = asyncio.ensure_future(_receive(receive))
                await asyncio.wait((reading, lost), return_when=asyncio.FIRST_COMPLETED)
                if lost.done():
                    reading.cancel()
                    raise Abort
                message = reading.result()
                if message["type"] == "websocket.disconnect":
                    return
                self._take(message)
        finally:
            lost.cancel()
            for task in self._tasks:
                task.cancel()

    def _take(self, message: Message) -> None:
        data = message["text"].encode() if message.get("text") is not None else message.get("bytes") or b""
        frame = parse_json(data)
        create = isinstance(frame, dict) and frame.get("type") == "response.create"
        if not create and self._waiting:
            self._waiting.popleft().set()
            return
        lane = frame.get("stream_id") if isinstance(frame, dict) else None
        task = asyncio.ensure_future(self._answer(data, lane if isinstance(lane, str) else None))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, data: bytes, lane: str | None) -> None:
        async with self._lanes.setdefault(lane, asyncio.Lock()):
            body = self._sessions.redactor.redact_bytes(data, self._sessions.redactor.secrets_of(None, data))
            request = _frame_request(self._handshake, body)
            if self._ask_upstream is not None:
                found = self._session.find(request)
                self._note(found, lane)
                if isinstance(found, Miss):
                    self._ask_upstream(data)
                    return
            else:
                found = self._sessions.find(self._session, request)
                self._note(found, lane)
            if isinstance(found, Miss):
                await self._send_text(frames.text(frames.error_frame(miss_error(found), lane)))
                return
            await self._play(found.interaction)
            closing = self._session.find_closing(found)
            if closing is not None:
                gap = closing.at - found.interaction.at - found.interaction.response.seconds
                if self._speed and gap > 0:
                    await asyncio.sleep(gap / self._speed)
                await self.close(closing)

    async def _play(self, interaction: Interaction) -> None:
        before = 0.0
        for at, data, sent in interaction.response.pieces:
            if sent:
                event = asyncio.Event()
                self._waiting.append(event)
                await event.wait()
            elif self._speed and at > before:
                await asyncio.sleep((at - before) / self._speed)
            if not sent:
                await self._send_text(data.decode())
            before = at
        if interaction.response.ended == "cut":
            await self.close(interaction)

    async def close(self, interaction: Interaction) -> None:
        """End the socket as the recorded one ended."""
        closing = interaction.response.closing
        if closing is None:
            return
        if closing.code is None:
            self._lost.set()
        else:
            await self._send({"type": "websocket.close", "code": closing.code, "reason": closing.reason})

    async def _send_text(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})


def _frame_request(handshake: Request, body: bytes) -> Request:
    return Request(handshake.method, handshake.path, handshake.query, handshake.headers, body, socket=True)


async def _receive(receive: Receive) -> Message:
    return await receive()  # a task needs a coroutine; `receive` may return any awaitable


async def _send_refusal(interaction: Interaction, send: Send) -> None:
    response = interaction.response
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in response.headers]
    start = {"type": "websocket.http.response.start", "status": response.status, "headers": [*headers, SOURCE]}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": response.body})
