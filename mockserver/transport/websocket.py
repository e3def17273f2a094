"""A WebSocket served: frames from the socket to the session, turns played in time. Spec: R4.1 to R4.18."""

# How it works. One task reads frames and plays what takes no time; a turn with waits in it has a task of its own, so
# that lanes go on beside each other; one more task watches the connection's age. What a frame or a turn means is the
# session's business: nothing here parses.
#
# Nearly every frame comes while nothing is going on, and its turn takes no time and leaves in one write. A server that
# has `FRAMES` calls `answer_now` with such a frame, and neither the task is woken nor a message passed on: that is a
# tenth of a short turn.
#
# What must stay true:
# * The events of one step leave together, under one lock. `send` waits while the client does not read, and without the
#   lock another lane would come in between.
# * Nothing is queued between a turn and the socket. A slow reader stops `send`, that stops the turns, `is_congested`
#   stops the reading, and TCP stops the client. (uvicorn before 0.53 wrote without waiting.)
# * Every task is cancelled before the session is left, and the session is left once, however the socket ended:
#   otherwise a turn could be written after its client was gone.
# * A cut has no close frame: the client sees 1006 (RFC 6455 §7.1.5), like after a crash. `Abort` makes the server drop
#   the connection. A close by a fault, or at the age limit, is a close frame with its code. Spec: R4.12, R4.19.
# * What may take long is done in a thread, and until it is done nothing else of the session is called: a session is
#   used by one thread at a time, and is not left before.
# * Real time is only slept here. How long, and what the time is, say the turn and the project's clock.

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Coroutine, Hashable, Iterable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, NoReturn, TypeVar, cast

from starlette.types import Message, Receive, Send

from mockserver.delivery.events import Cut, Emit, Malformed, Step, Wait
from mockserver.delivery.fault_effects import truncate_json
from mockserver.transport.abort import Abort
from mockserver.transport.http import FRAMES, Runner
from mockserver.transport.threads import Kind, Threads
from mockserver.websocket.playback import Out, Playback, SendFrames
from mockserver.websocket.session import WebSocketSession
from mockserver.wire.requests import frames
from mockserver.wire.requests.bodies import HEAVY, takes_long
from mockserver.wire.responses import event_list
from mockserver.wire.responses.event_list import AT_ONCE, LINES, split_lines, write_in_pieces, write_texts
from mockserver.wire.responses.events import Event

T = TypeVar("T")

log = logging.getLogger("understudy")

ANSWER = "understudy.answer"  # in the message that accepts: what texts are answered by that may be answered at once
OUTS = "understudy.outs"  # in a message that is received: what is still to be done for a frame
NORMAL = 1000


class Socket:
    """One accepted WebSocket of a `project`.

    The clock is looked at every `poll_s` seconds, in case another process has moved it. `batches` says that the server
    sends several frames at once, `is_direct` that it may call `answer_now` too: nobody stands between, who would see
    neither a frame nor its answer.
    With `run` the session may wait for a store, and what it does is run by it, one thing at a time.
    """

    _main: asyncio.Task[Any] | None = None
    _work: asyncio.Future[Any] | None = None  # what the session does in a thread
    _is_broken = _is_cut = False
    _is_idle = False  # whether the task that reads frames waits for one

    def __init__(
        self,
        connection: WebSocketSession,
        receive: Receive,
        send: Send,
        threads: Threads | None = None,
        project: Hashable = None,
        *,
        poll_s: float = math.inf,
        batches: bool = False,
        is_direct: bool = False,
        run: Runner | None = None,
    ) -> None:
        self._connection = connection
        self._threads, self._project = threads or Threads(), project
        self._receive, self._send = receive, send
        self._poll_s, self._batches, self._is_direct, self._run = poll_s, batches, is_direct, run
        self._lock = asyncio.Lock()
        self._clock_moved = asyncio.Event()
        self._room = asyncio.Event()
        self._is_gone = False
        self._tasks: set[asyncio.Task[None]] = set()
        self._wakes: dict[Playback, asyncio.Event] = {}

    @property
    def busy_lanes(self) -> int:
        """On how many lanes a turn is played."""
        return self._connection.busy_lanes

    def recheck_clock(self) -> None:
        """Note that somebody moved the project's clock."""
        self._clock_moved.set()

    async def serve(self) -> None:
        """Accept, and serve until one side closes. Raises Abort when a fault breaks the connection off."""
        self._main = asyncio.current_task()
        await self._send({"type": "websocket.accept", **({ANSWER: self.answer_now} if self._is_direct else {})})
        self._keep(self._watch())
        try:
            while (message := await self._next_message())["type"] == "websocket.receive":
                await self._perform(message[OUTS] if OUTS in message else await self._take(_data(message)))
                while self._connection.is_congested and not self._is_gone:
                    self._room.clear()
                    await self._room.wait()
        except (OSError, Broken):
            pass  # the client went away while it was written to, or a fault struck
        except asyncio.CancelledError:
            if not self._is_broken:  # else it was `_break` that cancelled this task, from the task of a turn
                raise
        finally:
            for task in self._tasks:
                task.cancel()
            await self._ask(self._connection.leave)
        if self._is_cut:
            raise Abort

    async def _next_message(self) -> Message:
        self._is_idle = True
        try:
            return await self._receive()
        finally:
            self._is_idle = False

    async def _take(self, data: bytes) -> list[Out]:
        """Have the session take a frame in."""
        if self._may_ask(long := takes_long(data)):
            return self._connection.receive(data)
        return await self._call(self._connection.receive, data, long=long)

    def answer_now(self, data: bytes, write: Callable[[bytes], object]) -> Message | None:
        """Answer a frame within this call; returns what is left for `receive` to give, None for nothing.

        `write` sends frames, and need not wait.
        """
        connection = self._connection
        if not (self._is_quiet and self._may_ask(takes_long(data) or connection.has_long_frames)):
            return {"type": "websocket.receive", "bytes": data}
        outs: Iterable[Out]
        try:
            outs = connection.receive(data)
            written = _write_at_once(outs)
            if written:
                playback = cast(Playback, outs[0])
                connection.advance(playback)
                write(written)
                outs = connection.on_turn_end(playback)
                if not outs:
                    return None
        except Exception as failure:
            outs = _fail(failure)  # in the task, whose end is that of the connection
        return {"type": "websocket.receive", OUTS: outs}

    @property
    def _is_quiet(self) -> bool:
        """Whether nothing could come between a frame and what is done for it: no task but `_watch` goes on."""
        return self._is_idle and len(self._tasks) == 1 and not self._lock.locked()

    def _may_ask(self, long: bool) -> bool:
        """Whether the session can do something here and now, as nearly always: `_call` takes its time to find out."""
        return not long and self._is_free and self._project not in self._threads.in_progress

    @property
    def _is_free(self) -> bool:
        """Whether the session waits for nothing, and nothing waits for it."""
        return self._work is None and self._run is None

    async def _ask(self, do: Callable[..., T], *given: Any) -> T:
        """Return what the session says to something."""
        if self._run is not None:
            return cast(T, await self._run(do, *given))
        if self._work is not None:
            await self._wait_for_work()
        return do(*given)

    def _keep(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self._is_gone = True  # a reader that waits for room would wait for ever
            if not isinstance(failure, OSError | Broken):  # an OSError is what a write raises once the client is gone
                log.error("a fault of the mock: WebSocket", exc_info=failure)
        self._room.set()

    async def _call(self, work: Callable[..., list[Out]], of: Any, *, long: bool) -> list[Out]:
        """Have the session do something: in a thread what may take long, and what meets something long in progress."""
        threads = self._threads
        await self._wait_for_work()
        if self._run is not None or not (long or self._project in threads.in_progress):
            return await self._ask(work, of)
        threads.knows_large = True
        return await self._work_apart(partial(work, of, apart=True), "write" if long else "short")

    async def _work_apart(self, work: Callable[[], T], kind: Kind) -> T:
        """Have the session do something in a thread, and nothing else until it is done."""
        future = asyncio.ensure_future(self._threads.run(work, kind, self._project))
        future.add_done_callback(self._on_work_done)
        self._work = future
        return await asyncio.shield(future)  # whoever cancels this can't end the thread

    def _on_work_done(self, work: asyncio.Future[Any]) -> None:
        self._work = None

    async def _wait_for_work(self) -> None:
        while self._work is not None:
            await asyncio.wait([self._work])

    async def _watch(self) -> None:
        """Close the connection once it has reached its age on the project's clock. Spec: R4.12, WE4."""
        while (left := await self._ask(self._connection.remaining_seconds)) > 0:
            self._clock_moved.clear()
            with suppress(TimeoutError):
                # a manual clock does not move by itself: whoever moves it wakes this, or it is looked at after a while
                await asyncio.wait_for(self._clock_moved.wait(), min(left, self._poll_s))
        for task in self._tasks - {asyncio.current_task()}:  # no event may follow the last frame
            task.cancel()
        await self._send_events([frames.connection_limit_error()])
        await self._send({"type": "websocket.close", "code": NORMAL})

    async def _perform(self, outs: Iterable[Out]) -> None:
        """Send the frames and play the turns, in order; a turn that takes time goes on by itself."""
        todo = deque(outs)
        while todo:
            out = todo.popleft()
            if isinstance(out, SendFrames):
                await self._send_events(out.frames)
                self._wake()  # after the acceptance left: the turn's last event must follow it
            elif out.player.instant:
                todo.extend(await self._play(out))
            else:
                self._keep(self._play_on(out))

    async def _play_on(self, playback: Playback) -> None:
        wake = self._wakes[playback] = asyncio.Event()
        try:
            outs = await self._play(playback, wake)
        finally:
            del self._wakes[playback]
        await self._perform(outs)

    async def _play(self, playback: Playback, wake: asyncio.Event | None = None) -> list[Out]:
        connection, player, apart = self._connection, playback.player, playback.recorder.apart
        while not player.is_over:
            # here and now, as nearly always: to wait for it costs as much as the step
            step = connection.advance(playback) if self._is_free and not apart else await self._advance(playback)
            if step is None:
                break
            if isinstance(step, Emit):
                await self._send_events(step.events, apart=apart)
            elif isinstance(step, Malformed):
                await self._send_bad_json(step.event)
            elif isinstance(step, Cut):
                await self._break(step.code)
            elif isinstance(step, Wait) and wake is not None:
                await _sleep(step.seconds, wake)
        self._room.set()
        long = connection.has_long_frames
        if self._may_ask(long):
            return connection.on_turn_end(playback)
        return await self._call(connection.on_turn_end, playback, long=long)

    async def _advance(self, playback: Playback) -> Step | None:
        if not playback.recorder.apart:
            return await self._ask(self._connection.advance, playback)
        await self._wait_for_work()  # its entry of the journal is written with the last step, and that may take long
        return await self._work_apart(partial(self._connection.advance, playback), "read")

    def _wake(self) -> None:
        """Wake the turns that were told to stop where they are."""
        for playback, wake in self._wakes.items():
            if playback.woken:
                playback.woken = False
                wake.set()

    async def _send_events(self, events: Sequence[Event], *, apart: bool = False) -> None:
        """Send events; those of a long turn leave while others are made, `apart` in a thread: they may be large."""
        if len(events) <= AT_ONCE and not apart:
            async with self._lock:
                await self._send_texts(write_texts(events))
            return
        pieces = write_in_pieces(events, LINES)
        async with self._lock:
            while (
                piece := await self._threads.run(partial(next, pieces, b""), "read", self)
                if apart
                else next(pieces, b"")
            ):
                await self._send_texts(split_lines(piece))

    async def _send_texts(self, texts: list[bytes]) -> None:
        if self._batches and len(texts) > 1:
            await self._send({"type": FRAMES, "texts": texts})
        else:
            for text in texts:
                await self._send({"type": "websocket.send", "text": text.decode()})
        if sum(map(len, texts)) > HEAVY:
            await asyncio.sleep(0)

    async def _send_bad_json(self, event: Event) -> None:
        async with self._lock:
            await self._send({"type": "websocket.send", "text": truncate_json(frames.text(event).encode()).decode()})

    async def _break(self, code: int | None) -> NoReturn:
        """End the connection here: with a close frame of this code, or by dropping it."""
        self._is_broken, self._is_cut, self._is_idle = True, code is None, False
        current = asyncio.current_task()
        for task in self._tasks - {current}:
            task.cancel()
        if code is not None:
            await self._send({"type": "websocket.close", "code": code})
        if self._main is not None and self._main is not current:
            self._main.cancel()
        raise Broken


class Broken(Exception):
    """A fault has ended the connection."""


def _fail(failure: Exception) -> Iterator[Out]:
    raise failure
    yield


def _write_at_once(outs: list[Out]) -> bytes:
    """The frames of a turn of one step that leave in one write, as nearly every answer; of any other, none."""
    if len(outs) != 1 or not isinstance(playback := outs[0], Playback):
        return b""
    steps = playback.player.steps
    if len(steps) != 1 or type(step := steps[0]) is not Emit or len(step.events) > AT_ONCE or not playback.is_plain:
        return b""
    written = event_list.write(step.events, event_list.FRAMES)
    return written if len(written) <= HEAVY else b""


def _data(message: Message) -> bytes:
    """A frame's bytes, text or binary."""
    text = message.get("text")
    return message["bytes"] if text is None else text.encode()


async def _sleep(seconds: float, wake: asyncio.Event) -> None:
    """Wait, unless woken before."""
    wake.clear()
    with suppress(TimeoutError):
        await asyncio.wait_for(wake.wait(), seconds if seconds < math.inf else None)
