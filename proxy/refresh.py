"""Recording a cassette anew: its requests go to a live API in their order, with the ids that it gives this time."""

# A request is sent when all that it may depend on was answered: one at a time, in the order in which they once began.
# Ids, and encrypted content, are learnt pair by pair from the answers and exchanged in what is sent next. Who waited
# for a turn in the background polled until it was over; so does this, however often that takes now.
#
# What must stay true:
# * The old file is untouched until the last answer is there: what is recorded goes to a file beside it.
# * What an upstream refuses because of us (no answer, a key that it does not know) ends the work. Any other refusal is
#   an answer, to be recorded.

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from starlette.types import Message, Scope

from mockserver.config.settings import Settings
from mockserver.transport.abort import Abort
from proxy.cassettes.canonical import BLOB
from proxy.cassettes.changes import find_changes
from proxy.cassettes.drift import Drift, pair_ids
from proxy.cassettes.file import Appender
from proxy.cassettes.interaction import Cassette, Interaction, parse_json
from proxy.cassettes.redaction import Redactor
from proxy.recorder import Recorder
from proxy.relay import Relay
from proxy.relay_websocket import WebSocketRelay
from proxy.socket_recorder import RecordingWebSocketRelay
from proxy.target import Target
from proxy.upstream import Upstream
from proxy.verify import endpoint_of

_ID = re.compile(rb"[A-Za-z]+_[A-Za-z0-9]{8,}")
_HIDDEN = re.compile(rb"<redacted(:[0-9a-f]{6})?>")
_OPEN = ("queued", "in_progress")
_WITH_BODY = frozenset(("POST", "PUT", "PATCH"))
POLL_S = 1.0


class RefreshError(Exception):
    """The cassette can't be recorded anew; the message says why."""


@dataclass(frozen=True)
class Refreshed:
    """What became of a cassette: how many interactions it has now, what the API changed, and what to look at."""

    count: int
    changes: Drift
    warnings: list[str]


class Refresher:
    """Records a cassette anew from the upstream of `settings`, with its key. Raises RefreshError and CassetteError."""

    def __init__(self, settings: Settings, poll_s: float = POLL_S) -> None:
        self._settings, self._poll_s = settings, poll_s
        self._ids: dict[str, str] = {}
        self._blobs: dict[str, str] = {}
        self.changes = Drift()
        self.warnings: list[str] = []

    def refresh(self, cassette: Cassette, output: str, progress: Callable[[], None] = lambda: None) -> Refreshed:
        """Record a cassette's requests to `output`, in one step at the end; `progress` is called for each."""
        beside = f"{output}.{os.getpid()}.new"
        try:
            appender = Appender(beside, self._settings.upstream, time.time())
            recorder = Recorder(appender, Redactor(self._settings.redact))
            try:
                asyncio.run(self._run(cassette, recorder, progress))
            finally:
                recorder.close()
            if recorder.failures:
                raise RefreshError(f"{output} can't be written: {recorder.last_failure}")
            os.replace(beside, output)
        except OSError as error:
            raise RefreshError(f"{output} can't be written: {error.strerror}") from None
        finally:
            with contextlib.suppress(OSError):
                os.unlink(beside)
        return Refreshed(recorder.recorded, self.changes, self.warnings)

    async def _run(self, cassette: Cassette, recorder: Recorder, progress: Callable[[], None]) -> None:
        caller = Caller(self._settings, recorder)
        try:
            for old in sorted(cassette.interactions, key=lambda one: one.id):
                if old.closes:
                    await caller.hang_up(old.connection)
                    continue
                await self._repeat(caller, old)
                progress()
        finally:
            await caller.close()

    async def _repeat(self, caller: Caller, old: Interaction) -> None:
        if _HIDDEN.search(old.request.body) or _HIDDEN.search(old.request.query.encode()):
            self.warnings.append(f"interaction {old.id}: it holds a redacted value, which was sent as it stands there")
        until = time.monotonic() + self._settings.upstream_timeout
        while True:
            new = await self._ask(caller, old)
            if not _waits_for_an_end(old) or _status(new) not in _OPEN or time.monotonic() > until:
                break
            await asyncio.sleep(self._poll_s)
        if new.response.status == 401 != old.response.status:
            raise RefreshError("the upstream refused the key (401); put one that it knows into OPENAI_API_KEY")
        self._learn(old, new)
        for finding in find_changes(endpoint_of(old), old, new, self._ids):
            self.changes.add(finding, old.id)

    async def _ask(self, caller: Caller, old: Interaction) -> Interaction:
        body = self.exchange(old.request.body)
        if old.request.socket and old.request.body:
            return await caller.say(old, body, self)
        path, query = self.exchange(old.request.path.encode()), self.exchange(old.request.query.encode())
        return await caller.ask(old, path, query, body)

    # --- ids -----------------------------------------------------------------------------------------------------

    def exchange(self, text: bytes) -> bytes:
        """A text with the ids, and the encrypted content, of this time."""
        if not self._ids or not text:
            return text
        for old, new in self._blobs.items():
            text = text.replace(old.encode(), new.encode())
        return _ID.sub(lambda found: self._ids.get(found[0].decode(), found[0].decode()).encode(), text)

    def _learn(self, old: Interaction, new: Interaction) -> None:
        self.learn(old.resource, new.resource)
        for one, other in zip(old.events[:1], new.events[:1], strict=True) if old.events and new.events else ():
            self.learn(one, other)

    def learn(self, old: Any, new: Any) -> None:
        """Learn the ids of two answers to one request; items correspond by their type, for a model may say more."""
        for one, other in _paired(old, new):
            for was, now in pair_ids(one, other):
                self._ids.setdefault(was, now)
            if isinstance(one, dict) and isinstance(other, dict) and isinstance(one.get(BLOB), str):
                self._blobs.setdefault(one[BLOB], str(other.get(BLOB) or one[BLOB]))


def _paired(old: Any, new: Any) -> Iterator[tuple[Any, Any]]:
    """Yield what corresponds in two answers: the objects without their items, then item by item."""
    if not isinstance(old, dict) or not isinstance(new, dict):
        return
    listed = [
        name for name in ("output", "data") if isinstance(old.get(name), list) and isinstance(new.get(name), list)
    ]
    yield ({name: old[name] for name in old if name not in listed}, new)
    for name in listed:
        left: defaultdict[Any, list[Any]] = defaultdict(list)
        for item in new[name]:
            left[_kind(item)].append(item)
        for item in old[name]:
            if left[_kind(item)]:
                yield item, left[_kind(item)].pop(0)


def _kind(item: Any) -> Any:
    return (item.get("type"), item.get("role")) if isinstance(item, dict) else None


def _waits_for_an_end(old: Interaction) -> bool:
    """Whether a recorded request was the last look at a turn in the background."""
    return old.request.method == "GET" and not old.response.streamed and _is_ended(old.resource)


def _is_ended(resource: Any) -> bool:
    return isinstance(resource, dict) and resource.get("object") == "response" and resource.get("status") not in _OPEN


def _status(interaction: Interaction) -> Any:
    resource = interaction.resource
    return resource.get("status") if isinstance(resource, dict) else None


# --- the client's side -----------------------------------------------------------------------------------------------


class Caller:
    """A client of the relays that record: requests, and sockets by the number that they have in the cassette."""

    def __init__(self, settings: Settings, recorder: Recorder) -> None:
        target = Target(settings)
        self._transport = Upstream()
        self._relay = Relay(settings, target, self._transport, recorder=recorder)
        self._socket_relay = RecordingWebSocketRelay(WebSocketRelay(settings, target), recorder)
        self._silence_s = settings.upstream_timeout
        self._kept: asyncio.Queue[Interaction | str] = asyncio.Queue()
        self._lines: dict[int | None, Line] = {}
        self._loop = asyncio.get_running_loop()
        recorder.listeners.append(self._take)

    def _take(self, interaction: Interaction) -> None:
        # one that was too large for memory comes from the recorder's thread, its pieces on a tape that is closed next
        response = replace(interaction.response, pieces=tuple(interaction.response.pieces))
        whole = replace(interaction, response=response)
        self._loop.call_soon_threadsafe(self._kept.put_nowait, whole)

    async def ask(self, old: Interaction, path: bytes, query: bytes, body: bytes) -> Interaction:
        """What the upstream answers to a request, as it was recorded."""
        if old.request.socket:  # a handshake that was refused
            refusal: Interaction = await self._open(old).next(self._silence_s)
            return refusal
        scope = _scope(old, path, query, body)
        messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]
        silence = self._loop.create_future()

        async def receive() -> Message:
            return messages.pop() if messages else await silence

        async def send(message: Message) -> None:
            pass

        with contextlib.suppress(Abort):  # the answer broke off, and is recorded as that
            error = await self._relay(scope, receive, send)
            if error is not None:
                raise RefreshError(error.message)
        kept = await asyncio.wait_for(self._kept.get(), self._silence_s)
        assert isinstance(kept, Interaction)
        return kept

    async def say(self, old: Interaction, frame: bytes, ids: Refresher) -> Interaction:
        """What the upstream answers to a frame on the socket that this was sent over."""
        line = self._lines.get(old.connection)
        if line is None or line.over:
            line = self._open(old)
        line.send(frame)
        count, later = 0, [(place, piece.data) for place, piece in _sent(old)]
        while True:
            heard = await line.next(self._silence_s)
            if isinstance(heard, Interaction):
                if not heard.closes:
                    return heard
                continue
            event = parse_json(heard.encode())
            if count == 0 and old.events:
                ids.learn(old.events[0], event)
            count += 1
            while later and later[0][0] <= count:
                line.send(ids.exchange(later.pop(0)[1]))

    def _open(self, old: Interaction) -> Line:
        line = self._lines[old.connection] = Line(
            self._socket_relay, _scope(old, old.request.path.encode(), b"", b""), self._kept
        )
        return line

    async def hang_up(self, connection: int | None) -> None:
        """Close a socket, if it is open."""
        line = self._lines.pop(connection, None)
        if line is not None:
            await line.close()

    async def close(self) -> None:
        """Close all sockets and connections."""
        for connection in list(self._lines):
            await self.hang_up(connection)
        await self._transport.aclose()


class Line:
    """One socket to the upstream, through a relay that records it."""

    def __init__(self, relay: RecordingWebSocketRelay, scope: Scope, heard: asyncio.Queue[Interaction | str]) -> None:
        self._heard = heard
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
        self._queue.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.ensure_future(self._run(relay, scope))

    async def _run(self, relay: RecordingWebSocketRelay, scope: Scope) -> None:
        async def send(message: Message) -> None:
            if message["type"] == "websocket.send":
                self._heard.put_nowait(message.get("text") or "")

        with contextlib.suppress(Abort):
            error = await relay(scope, self._queue.get, send)
            if error is not None:
                raise RefreshError(error.message)

    @property
    def over(self) -> bool:
        """Whether the upstream has ended it."""
        return self._task.done()

    def send(self, frame: bytes) -> None:
        """Send a frame."""
        self._queue.put_nowait({"type": "websocket.receive", "text": frame.decode()})

    async def next(self, patience_s: float) -> Any:
        """What comes next: the text of a frame, or an interaction that is over; raises RefreshError."""
        hearing = asyncio.ensure_future(self._heard.get())
        await asyncio.wait((hearing, self._task), timeout=patience_s, return_when=asyncio.FIRST_COMPLETED)
        if not hearing.done() and self._task.done():
            self._task.result()
            await asyncio.wait((hearing,), timeout=1.0)  # what is kept at the end of a socket comes a moment later
        if hearing.done():
            return hearing.result()
        hearing.cancel()
        raise RefreshError("the upstream said nothing more on a WebSocket")

    async def close(self) -> None:
        """Close it, as a client does."""
        self._queue.put_nowait({"type": "websocket.disconnect", "code": 1000, "reason": ""})
        with contextlib.suppress(RefreshError):
            await self._task


def _sent(old: Interaction) -> Iterator[tuple[int, Any]]:
    """Yield what the client sent in the middle of a turn, with the number of frames that had come before it."""
    count = 0
    for piece in old.response.pieces:
        if piece.sent:
            yield count, piece
        else:
            count += 1


def _scope(old: Interaction, path: bytes, query: bytes, body: bytes) -> Scope:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in old.request.headers]
    if body or (old.request.method in _WITH_BODY and not old.request.socket):
        headers.append((b"content-length", b"%d" % len(body)))
    return {
        "type": "websocket" if old.request.socket else "http",
        "method": old.request.method,
        "path": path.decode("latin-1"),
        "raw_path": path,
        "query_string": query,
        "headers": headers,
        "subprotocols": [],
    }
