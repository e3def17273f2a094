"""Mode `auto`: the cassette where it has the answer, else the upstream, recorded as it passes."""

# A request is keyed first, so its body is read whole. What the cassette does not answer goes upstream as it came, byte
# for byte; only if the upstream answers that it does not know the parent, and the cassette does, is the turn sent again
# with the parent's items (`rehydration`). Refused turns cost nothing, and nobody else can tell what an upstream knows.
#
# What is recorded is what the client asked and saw. So a rehydrated turn is found again by the same request.

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import orjson
from starlette.types import Message, Receive, Scope, Send

from mockserver.config.settings import Settings
from mockserver.transport.http import Disconnected, read_body
from mockserver.wire.errors.api import APIError, MockError
from proxy.cassettes.interaction import Interaction, parse_json
from proxy.cassettes.ledger import CONVERSATIONS, conversation_of
from proxy.cassettes.matching import Miss, Session
from proxy.observer import note_recording
from proxy.recorded_answer import send_recorded
from proxy.recorder import Recorder, Relaying
from proxy.rehydration import is_forgotten, items_of, with_items
from proxy.replayer import Sessions, SocketReplay
from proxy.socket_recorder import SocketTape
from proxy.tape import Tape
from proxy.tape_interaction import interaction_of, make_request

JUST_NOW = "recorded just now"
MOST_ITEMS = 20  # of a conversation that is created. Spec: P9


class AutoReplayer:
    """Answers HTTP requests from a library, else from the upstream."""

    def __init__(self, sessions: Sessions, recorder: Recorder, relay: Relaying, settings: Settings) -> None:
        self._sessions, self._recorder, self._relay = sessions, recorder, relay
        self._speed, self._limit = settings.replay_speed, settings.max_body_bytes
        self._renamed: dict[bytes, bytes] = {}  # conversations: the id that clients know → the one that upstream knows

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> MockError | APIError | None:
        """Answer one request; returns the error to answer with when the upstream gave no answer."""
        try:
            body = await read_body(receive, dict(scope["headers"]), self._limit)
        except Disconnected:
            return None
        except APIError as error:
            return error
        session = self._sessions.of(scope)
        found = session.find(self._sessions.read(scope, body))
        note_recording(scope, found)
        if not isinstance(found, Miss):
            await send_recorded(found.interaction, self._speed, scope, send)
            return None
        return await self._ask_upstream(scope, body, session, receive, send)

    async def _ask_upstream(
        self, scope: Scope, body: bytes, session: Session, receive: Receive, send: Send
    ) -> MockError | None:
        tape = self._recorder.begin(scope)
        tape.sent.add(tape.started, body)
        hold = Holding(send, tape, body, session, back={new: old for old, new in self._renamed.items()})
        rehydrated = False
        try:
            error: MockError | None = await self._relay(*self._rewritten(scope, body, receive), hold)
            if hold.forgotten:
                again = await self._rehydrated(scope, body, session)
                rehydrated = again is not None
                hold.release()
                hold.back = {new: old for old, new in self._renamed.items()}
                if again is None:
                    await hold.send_held()
                else:
                    error = await self._relay(*self._rewritten(scope, again, receive), hold)
            return error
        finally:
            self._keep(tape, session, rehydrated=rehydrated)

    def _keep(self, tape: Tape, session: Session, *, rehydrated: bool) -> None:
        if not tape.status:
            tape.close()
        elif tape.chunks.spilled:  # too large to be looked at here: it is only recorded
            self._recorder.keep_tapes((tape,))
        else:
            try:
                interaction = replace(interaction_of(tape, self._recorder.redactor), rehydrated=rehydrated)
                session.adopt(interaction, f"interaction {interaction.id} ({JUST_NOW})")
                self._recorder.keep(interaction)
            except Exception as failure:  # whatever it is, the answer has been given
                self._recorder.fail(failure)

    def _rewritten(self, scope: Scope, body: bytes, receive: Receive) -> tuple[Scope, Receive]:
        """The request for the upstream: its ids of conversations, its length."""
        path = scope["raw_path"]
        for old, new in self._renamed.items():
            path, body = path.replace(old, new), body.replace(old, new)
        # a body that came in chunks has a length now
        framing = (b"content-length", b"transfer-encoding")
        headers = [pair for pair in scope["headers"] if pair[0] not in framing]
        if body or any(name in framing for name, _ in scope["headers"]):
            place = next((at for at, pair in enumerate(scope["headers"]) if pair[0] in framing), len(headers))
            headers.insert(place, (b"content-length", b"%d" % len(body)))
        message: Message | None = {"type": "http.request", "body": body, "more_body": False}

        async def receive_body() -> Message:
            nonlocal message
            given, message = message, None
            return given if given is not None else await receive()

        return {**scope, "raw_path": path, "headers": headers}, receive_body

    async def _rehydrated(self, scope: Scope, body: bytes, session: Session) -> bytes | None:
        """The body that asks the same of an upstream that knows nothing; None where the cassette does not know it."""
        value = parse_json(body)
        if not isinstance(value, dict):
            return None
        if value.get("previous_response_id") is not None:
            filled = with_items(value, session.ledger)
            return None if filled is None else orjson.dumps(filled)
        conversation = conversation_of(value)
        context = session.ledger.find_conversation(conversation) if conversation else None
        if context is None or conversation is None:
            return None
        new = await self._create_conversation(scope, items_of(context))
        if new is None:
            return None
        self._renamed[conversation.encode()] = new.encode()
        return body

    async def _create_conversation(self, scope: Scope, items: list[Any]) -> str | None:
        """A new conversation upstream with these items; None when the upstream refuses."""
        created = await self._post(scope, CONVERSATIONS, {"items": items[:MOST_ITEMS]})
        id = created.get("id") if isinstance(created, dict) else None
        for start in range(MOST_ITEMS, len(items), MOST_ITEMS):
            await self._post(scope, f"{CONVERSATIONS}/{id}/items", {"items": items[start : start + MOST_ITEMS]})
        return id if isinstance(id, str) else None

    async def _post(self, scope: Scope, path: str, value: Any) -> Any:
        """What the upstream answers to a request of ours, with the caller's key; None for a refusal."""
        body = orjson.dumps(value)
        names = (b"authorization", b"openai-project", b"openai-organization", b"host")
        headers = [pair for pair in scope["headers"] if pair[0] in names]
        headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        asked = {**scope, "method": "POST", "raw_path": path.encode(), "path": path, "query_string": b""}
        messages = [{"type": "http.request", "body": body, "more_body": False}]
        answer = Tape(asked, 0, 0.0)
        silence = asyncio.get_running_loop().create_future()

        async def receive() -> Message:
            return messages.pop() if messages else await silence

        async def note(message: Message) -> None:
            answer.note_response(message)

        await self._relay({**asked, "headers": headers}, receive, note)
        return parse_json(answer.chunks.joined()) if answer.status == 200 else None


class Holding:
    """A `send` that holds an answer back while it may be one that says that a parent is not there."""

    def __init__(self, send: Send, tape: Tape, body: bytes, session: Session, back: dict[bytes, bytes]) -> None:
        self._send, self._tape = send, tape
        value = parse_json(body)
        self._request: dict[str, Any] = value if isinstance(value, dict) else {}
        parents = (self._request.get("previous_response_id"), conversation_of(self._request))
        self._may_be_forgotten = any(parents)
        self._held: list[Message] = []
        self.back = back
        self.forgotten = False

    async def __call__(self, message: Message) -> None:
        """Pass a message on, or hold it."""
        if message["type"] == "http.response.start" and self._may_be_forgotten and message["status"] in (400, 404):
            self._held = [message]
        elif self._held:
            self._held.append(message)
            if not message.get("more_body", False):
                body = b"".join(part.get("body", b"") for part in self._held[1:])
                self.forgotten = is_forgotten(self._held[0]["status"], body, self._request)
                if not self.forgotten:
                    await self.send_held()
        else:
            await self._pass_on(message)

    def release(self) -> None:
        """Hold nothing from now on."""
        self._may_be_forgotten = False
        self._spare, self._held = self._held, []

    async def send_held(self) -> None:
        """Send what was held."""
        held = self._held or self._spare
        self._held, self._may_be_forgotten = [], False
        for message in held:
            await self._pass_on(message)

    async def _pass_on(self, message: Message) -> None:
        if self.back:
            message = self._with_known_ids(message)
        await self._send(message)
        self._tape.note_response(message)

    def _with_known_ids(self, message: Message) -> Message:
        """A message with the ids that the client knows; a length is no longer known then."""
        if message["type"] == "http.response.start":
            return {**message, "headers": [pair for pair in message["headers"] if pair[0].lower() != b"content-length"]}
        body = message.get("body", b"")
        for new, old in self.back.items():
            body = body.replace(new, old)
        return {**message, "body": body}


# --- sockets ---------------------------------------------------------------------------------------------------------


class AutoWebSocketReplayer:
    """Answers WebSockets from a library, else from the upstream, which is connected to by the first such turn."""

    def __init__(self, sessions: Sessions, recorder: Recorder, relay: Relaying, speed: float) -> None:
        self._sessions, self._recorder, self._relay, self._speed = sessions, recorder, relay, speed
        self._live: set[str] = set()  # responses that this process has seen made: the upstream knows them

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> MockError | None:
        """Answer one socket; raises Abort where it was lost."""
        session = self._sessions.of(scope)
        live = LiveSocket(self._relay, self._recorder, scope, send, session, self._live)
        handshake, _ = make_request(scope, b"", self._sessions.redactor)
        note = partial(note_recording, scope)
        replay = SocketReplay(self._sessions, session, handshake, self._speed, send, note, live.ask)
        await receive()  # websocket.connect
        await send({"type": "websocket.accept", "headers": []})
        try:
            await replay.serve(receive)
        finally:
            await live.close()
        return None


class LiveSocket:
    """The upstream's side of a socket whose turns are partly recorded; there is none until it is needed."""

    def __init__(
        self, relay: Relaying, recorder: Recorder, scope: Scope, send: Send, session: Session, live: set[str]
    ) -> None:
        self._relay, self._scope, self._send, self._session, self._live = relay, scope, send, session, live
        self._tape = SocketTape(recorder, scope)
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._task: asyncio.Task[Any] | None = None
        self._asked: dict[int, bool] = {}
        self._tape.keep = self._wrap(recorder.keep)

    def ask(self, data: bytes) -> None:
        """Send a frame of the client's upstream; what comes back goes to the client."""
        if self._task is None:
            self._queue.put_nowait({"type": "websocket.connect"})
            self._task = asyncio.ensure_future(self._run())
        self._tape.note_client({"type": "websocket.receive", "text": data.decode()})
        self._queue.put_nowait({"type": "websocket.receive", "text": self._rehydrated(data).decode()})

    def _rehydrated(self, data: bytes) -> bytes:
        """The frame for an upstream that has not made the parent itself, as far as this process knows."""
        frame = parse_json(data)
        parent = frame.get("previous_response_id") if isinstance(frame, dict) else None
        if parent is None or parent in self._live or frame.get("type") != "response.create":
            return data
        filled = with_items(frame, self._session.ledger)
        if filled is None:
            return data
        self._asked[self._tape.last_id] = True
        return orjson.dumps(filled)

    def _wrap(self, keep: Callable[[Interaction], None]) -> Callable[[Interaction], None]:
        def keep_and_adopt(interaction: Interaction) -> None:
            interaction = replace(interaction, rehydrated=interaction.id in self._asked)
            for event in interaction.events:
                if isinstance(event.get("response"), dict):
                    self._live.add(str(event["response"].get("id")))
            self._session.adopt(interaction, f"interaction {interaction.id} ({JUST_NOW})")
            keep(interaction)

        return keep_and_adopt

    async def _run(self) -> None:
        error = await self._relay(self._scope, self._queue.get, self._pass_on)
        if error is not None:
            await self._send({"type": "websocket.close", "code": 1011, "reason": error.message[:120]})

    async def _pass_on(self, message: Message) -> None:
        """Pass a message of the upstream on; its handshake has been answered already."""
        kind = message["type"]
        if kind == "websocket.http.response.start":
            refused = f"upstream refused: {message['status']}"
            await self._send({"type": "websocket.close", "code": 1011, "reason": refused})
        elif kind in ("websocket.send", "websocket.close"):
            await self._send(message)
            self._tape.note_server(message)

    async def close(self) -> None:
        """Close the upstream's side, as the client did."""
        if self._task is not None:
            self._queue.put_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})
            await asyncio.wait((self._task,), timeout=5.0)
            self._task.cancel()
            self._tape.end(None)
