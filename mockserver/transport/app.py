"""The mock's ASGI app: one call of the engine per request, errors as the API sends them, headers of every answer."""

# How it works. One raw ASGI endpoint reads a request into a `Call`, has it answered by one synchronous call, and sends
# the answer. `answer()` needs no socket: the in-process transport and the drivers call it too, from any thread.
#
# Why not Starlette's router: in CPU per request, on one machine, its `Router` costs 2.1 µs for the first route and
# 6.9 µs for the ninth, since it tries one regular expression after another; the look-up of a literal path in our table
# costs 0.3 µs. Two things weigh more. The order of our rows decides, as at the service (Spec: P21). And callers in the
# process need the look-up without a socket. The control API uses the same table for the same reasons: `Mock` calls it
# without a socket too.
#
# What must stay true:
# * Nothing raises out of `answer()`. A fault of the mock is a 500 that says so, and the log has the traceback: a caller
#   must not take it for a fault of the API.
# * Every answer of the public API has the same set of headers, errors included (Spec: W15, W16); those of the control
#   API have none of them, so that nobody takes it for the service.
# * Request ids are counted, not drawn: the same requests get the same ids on every run.

from __future__ import annotations

import asyncio
import logging
import math
import os
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cached_property, lru_cache, partial
from hashlib import blake2b
from itertools import count
from threading import Thread
from typing import TYPE_CHECKING, Any

from starlette.types import Receive, Scope, Send

from mockserver.config.settings import SettingError, Settings
from mockserver.delivery.answer import Answer, error_answer
from mockserver.delivery.player import DELIVERED, Pieces
from mockserver.engine import telemetry
from mockserver.engine.endpoints import unknown_path
from mockserver.engine.engine import Engine
from mockserver.engine.event_hub import EventStream
from mockserver.engine.journal_store import ExchangeRecorder
from mockserver.journal.exchange import Call
from mockserver.model.prompt import Answering
from mockserver.store.failures import StoreError, StoreUnavailable
from mockserver.transport import http, rate_limit_headers
from mockserver.transport.guard import ErrorApp
from mockserver.transport.heap import trim_heap
from mockserver.transport.http import (
    BY_NAME,
    FRAMES,
    PROJECT_HEADER,
    STOPPING,
    WHOLE,
    WORKERS,
    Disconnected,
    Headers,
    Runner,
    WhenWhole,
    Whole,
    all_headers,
    read_body,
    read_call,
    send_answer,
    whole_body,
)
from mockserver.transport.threads import Kind, Threads
from mockserver.transport.welcome import PATHS, asks_for_page, welcome
from mockserver.wire.catalog import LONGEST_NAME
from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests import frames
from mockserver.wire.requests.bodies import takes_long
from mockserver.wire.responses.event_list import AT_ONCE
from mockserver.wire.tokens import tokenizer

if TYPE_CHECKING:
    from mockserver.transport.store_links import StoreLinks
    from mockserver.transport.viewer import Viewer
    from mockserver.transport.waiting import WaitingThreads
    from mockserver.transport.websocket import Socket
    from mockserver.transport.worker_links import WorkerLinks
    from mockserver.websocket.session import WebSocketSession

log = logging.getLogger("understudy")

CONTROL_PREFIX = "/_mock/"
SOCKETS = "/v1/responses"
LOAD_AFTER_S = 0.05  # indexing the tokens holds the interpreter's lock: let a client that waits have its answer first
POLL_S = 1.0  # how often a socket looks at a clock that another worker may have moved
TOLD_S = 15.0  # and where processes tell each other, unless they can't
TRIM_AFTER_S, LATEST_TRIM_S = 1.0, 15.0  # after the last and after the first reset, for they often come in a row


_NO_EXTENSIONS: Mapping[str, Any] = {}


class MockApp:
    """An ASGI app over an engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._served = count(1)
        self._threads = Threads()
        self._trims = False  # whether memory will be given back soon
        self._last_reset = 0.0
        self._waiting: WaitingThreads | None = None
        if engine.waits:
            from mockserver.transport.waiting import WaitingThreads

            self._waiting = WaitingThreads()
        self._poll_s = TOLD_S if engine.waits else POLL_S if engine.settings.workers > 1 else math.inf
        engine.control.on_clock_moved(self.wake_sockets)
        engine.control.sections["sockets"] = self._count_sockets
        self._loop: asyncio.AbstractEventLoop
        self._sockets: dict[str, set[Socket]] = {}
        # workers number their requests apart: two of them would else give the same id to different requests
        names = f"{engine.settings.seed}/{os.getpid() if engine.settings.workers > 1 else 0}/"
        self._names = blake2b(names.encode(), digest_size=16)
        self._most_awaited = min(engine.settings.max_body_bytes, http.MOST_AWAITED)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, one WebSocket, or the life of the process."""
        if scope["type"] == "http":
            # two comparisons for a turn: `/v1/…` is neither
            if (scope["path"].startswith("/_mock") or scope["path"] == "/") and self._viewer.covers(scope):
                return self._viewer(scope, receive, send)
            whole = scope.get("extensions", _NO_EXTENSIONS).get(WHOLE)
            if whole is not None and whole.ways == (receive, send) and self._may_answer_in_one_call(scope):
                return WhenWhole(self._answer_now, self._serve, whole, (scope, receive, send))
            return self._serve(scope, receive, send)
        if scope["type"] == "lifespan":
            return self._live(scope, receive, send)
        return self._connect(scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # lifespan.startup
        self._threads.share_fairly()
        links = [*open_links(self.engine, scope, self.wake_sockets)]
        tokenizer.prepare()
        await send({"type": "lifespan.startup.complete"})
        self._loop = asyncio.get_running_loop()
        self._loop.call_later(LOAD_AFTER_S, Thread(target=tokenizer.load, daemon=True).start)
        self.engine.control.on_reset(self._trim_soon)
        await receive()
        for link in links:
            link.close()
        self.engine.close()
        await send({"type": "lifespan.shutdown.complete"})

    def _trim_soon(self, project: str) -> None:
        """Give memory back once the resets are over; any thread may call this."""
        self._last_reset = now = self._loop.time()
        if not self._trims:
            self._trims = True
            self._loop.call_soon_threadsafe(self._loop.call_later, TRIM_AFTER_S, self._trim, now + LATEST_TRIM_S)

    def _trim(self, latest: float) -> None:
        now = self._loop.time()
        left = min(self._last_reset + TRIM_AFTER_S, latest) - now
        if left > 0:  # it takes as long as a hundred turns, with the interpreter's lock
            self._loop.call_later(left, self._trim, latest)
            return
        self._trims = False
        self._threads.submit(trim_heap)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a WebSocket in, or answer the upgrade with an error over HTTP. Spec: R4.1, X1, X2."""
        from mockserver.transport.websocket import Socket  # as the protocol, with the first one

        engine, call = self.engine, Call("GET", scope["path"], headers=dict(scope["headers"]), transport="websocket")
        recorder = engine.journal.record(call)
        recorder.exchange.ended = DELIVERED
        await receive()  # websocket.connect, which a server sends first
        run = None if self._waiting is None else partial(self._waiting.run, _caller_of(call.headers))
        session = self._try_open(call, recorder) if run is None else await run(self._try_open, call, recorder)
        if isinstance(session, APIError | MockError):
            headers = self._headers(error_answer(session)._replace(buckets=recorder.buckets), 0)
            await ErrorApp(session, headers)(scope, receive, send)
            return
        self._loop = asyncio.get_running_loop()
        ways = scope.get("extensions", _NO_EXTENSIONS).get(FRAMES)
        socket = Socket(
            session, receive, send, self._threads, recorder.project, poll_s=self._poll_s, run=run,
            batches=ways is not None, is_direct=ways == (receive, send),
        )  # fmt: skip
        mine = self._sockets.setdefault(recorder.project, set())
        mine.add(socket)
        try:
            await socket.serve()
        finally:
            mine.discard(socket)
            if not mine:
                self._sockets.pop(recorder.project, None)

    def _try_open(self, call: Call, recorder: ExchangeRecorder) -> WebSocketSession | APIError | MockError:
        try:
            session = self._open(call, recorder)
            recorder.answer(101)
        except (APIError, MockError) as error:
            recorder.answer(error.status, error)
            return error
        return session

    def _open(self, call: Call, recorder: ExchangeRecorder) -> WebSocketSession:
        """The session of a socket that is let in; raises what the upgrade is refused with."""
        from mockserver.websocket.session import WebSocketSession

        engine = self.engine
        if call.path != SOCKETS:
            if call.path == SOCKETS.removeprefix("/v1"):
                raise errors.invalid_url(call.method, call.path, call.header(b"host"))
            raise unknown_path(call.method, call.path)
        if engine.rules.websocket == "off":
            raise frames.switched_off()
        recorder.project = engine.project(call.header(b"authorization"), call.header(b"openai-project"))
        engine.strike(recorder, named="GET")
        return WebSocketSession(engine, recorder.project, call.headers)

    def _may_answer_in_one_call(self, scope: Scope) -> bool:
        """Whether a request is one to the public API that keeps nobody waiting, as far as its head tells."""
        path = scope["path"]
        if self._waiting is not None or path in PATHS or path.startswith(CONTROL_PREFIX):
            return False
        return http.is_short(scope[BY_NAME], self._most_awaited)

    def _answer_now(
        self, body: bytes, whole: Whole, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None] | None:
        """Answer a request that has come whole within this call, if that keeps nobody waiting; else as any other."""
        call = read_call(scope, scope[BY_NAME], body)
        kind, project = self._kind_of(call)
        if kind != "short" or project in self._threads.in_progress:
            return self._serve(scope, receive, send)
        answer, size = self._handle(call), len(call.body)
        body = http.body_at_once(answer)
        if body and http.is_usual(answer):
            lines = http.usual_lines(answer, body, self._next_id(), _common_lines(answer.model, size))
            return whole.respond(answer.status, lines, body, not answer.streamed)
        answer, headers = self._add_headers(answer, size)
        if body and (lines := http.own_lines(answer, headers)):
            return whole.respond(answer.status, lines, whole_body(answer), not answer.streamed)
        run = self._run if isinstance(answer.player, Pieces) else None
        return self._deliver(answer, headers, run, scope, receive, send)

    async def _serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        refused: APIError | None = None
        body, headers = b"", scope.get(BY_NAME) or dict(scope["headers"])
        try:
            body = await read_body(receive, headers, self.engine.settings.max_body_bytes)
        except Disconnected:
            return
        except APIError as error:
            refused = error
        run: Runner | None = None
        call = read_call(scope, headers, body)
        if self._waiting is None:
            answer, answer_headers, run = await self._answer_in_place(call, refused)
        elif call.path.startswith(CONTROL_PREFIX):
            answer, answer_headers = await self._waiting.look(self.answer, call, refused)
        else:
            run = partial(self._waiting.run, _caller_of(headers))
            answer, answer_headers = await run(self._answer_waiting, call, refused)
        await self._deliver(answer, answer_headers, run, scope, receive, send)

    async def _deliver(
        self, answer: Answer, headers: Headers, run: Runner | None, scope: Scope, receive: Receive, send: Send
    ) -> None:
        if isinstance(answer.player, EventStream):
            answer.player.is_stopping, run = partial(scope.get, STOPPING), None
        await send_answer(answer, headers, receive, send, head=scope["method"] == "HEAD", run=run)

    def _answer_waiting(self, call: Call, refused: APIError | None) -> tuple[Answer, Headers]:
        """Answer a call in a thread in which it may wait for the store; what it is sure to need is read in one go."""
        project = "" if refused is not None else self._project_of(call)
        if project:
            try:
                with self.engine.store.open_call(project, writes=_is_sure_to_write(call)):
                    return self.answer(call, refused, apart=True)
            except StoreUnavailable as error:
                return self.answer(call, error, apart=True)
        return self.answer(call, refused, apart=True)

    async def _answer_in_place(self, call: Call, refused: APIError | None) -> tuple[Answer, Headers, Runner | None]:
        """Answer a call where it keeps nobody waiting, and say what runs the steps of its delivery."""
        kind, project = self._kind_of(call)
        if kind != "short" or project in self._threads.in_progress:
            answer, headers = await self._answer_apart(call, refused, kind, project)
        else:
            answer, headers = self.answer(call, refused)
        return answer, headers, self._run if kind != "short" or isinstance(answer.player, Pieces) else None

    def _kind_of(self, call: Call) -> tuple[Kind, str]:
        """How long a call may take, and its project where that has a say."""
        threads, is_large = self._threads, takes_long(call.body)
        if not (is_large or threads.knows_large):
            return "short", ""
        threads.knows_large = True
        kind: Kind = "write" if is_large else "read" if _reads_much(call) else "short"
        return kind, self._project_of(call)

    async def _answer_apart(
        self, call: Call, refused: APIError | None, kind: Kind, project: str
    ) -> tuple[Answer, Headers]:
        """Answer in a thread a call that may take long, and while there is one in progress any other of its project.

        What a large body has left behind is read by small calls too: by listings, and by turns that go on from it.
        """

        def work() -> tuple[Answer, Headers]:
            answer, headers = self.answer(call, refused, apart=True)
            # encoded here, for it may be large; what is long is encoded while it leaves
            if answer.player is None and answer.events is not None and len(answer.events) <= AT_ONCE:
                answer = answer._replace(body=whole_body(answer), events=None, tail=b"")
            return answer, headers

        return await self._threads.run(work, kind, project)

    def _project_of(self, call: Call) -> str:
        """The project of a call, nobody's for one that is not let in."""
        named = call.header(PROJECT_HEADER)
        if named is not None and call.path.startswith(CONTROL_PREFIX):
            return named
        try:
            return self.engine.project(call.header(b"authorization"), call.header(b"openai-project"))
        except APIError:
            return ""

    async def _run(self, work: Callable[..., Any], *given: Any) -> Any:
        """Have the next part of a long answer made in a thread."""
        return await self._threads.run(partial(work, *given), "read", self)

    def answer(
        self, call: Call, refused: APIError | MockError | None = None, *, apart: bool = False
    ) -> tuple[Answer, Headers]:
        """The answer to a call, or to one that was refused before it was read, and all headers of it.

        Nothing raises: what goes wrong is an answer. Any thread may call this; `apart` says that others do so too.
        """
        if call.path.startswith(CONTROL_PREFIX):
            answer = self._control(call, refused)
            return answer, all_headers(answer, [])
        if call.path in PATHS and asks_for_page(call):
            answer = self._welcome(call)
            return answer, all_headers(answer, [])
        return self._add_headers(self._handle(call, refused, apart=apart), len(call.body))

    def _handle(self, call: Call, refused: APIError | MockError | None = None, *, apart: bool = False) -> Answer:
        try:
            return self.engine.handle(call, refused, apart=apart)
        except Exception:
            return error_answer(_failure(call))  # the engine has recorded it

    def _add_headers(self, answer: Answer, size: int) -> tuple[Answer, Headers]:
        """An answer of the public API to a request of so many bytes, and all headers of it."""
        headers = self._headers(answer, size)
        # some sentences of the service name the request, whose id is not known where the error is made
        if answer.error is not None and UNKNOWN in answer.body:
            answer = answer._replace(body=answer.body.replace(UNKNOWN, headers[0][1]))
        return answer, all_headers(answer, headers)

    async def has_script_for(self, scope: Scope) -> bool:
        """The same as `is_scripted`, but asked where it may wait; raises MockError when the store can't be read."""
        if self._waiting is None:
            return self.is_scripted(scope)
        return await self._waiting.run(_caller_of(dict(scope["headers"])), self.is_scripted, scope)

    def is_scripted(self, scope: Scope) -> bool:
        """Whether a line of the caller's project answers a request to a path that the mock does not cover."""
        headers = dict(scope["headers"])
        names = (headers.get(name, b"").decode("latin-1") for name in (b"authorization", b"openai-project"))
        try:
            project = self.engine.project(*names)
        except APIError:  # whoever is not let in has no project; the way upstream has a check of its own
            return False
        return scope["type"] == "http" and self.engine.is_scripted(project, scope["method"], scope["path"])

    @cached_property
    def _viewer(self) -> Viewer:
        from mockserver.transport.viewer import Viewer

        return Viewer()

    def _welcome(self, call: Call) -> Answer:
        from mockserver.transport.control_api import CONTROL_CALLS

        return welcome(call, self.engine.settings, CONTROL_CALLS)

    def _control(self, call: Call, refused: APIError | MockError | None) -> Answer:
        if asks_for_page(call):
            return self._welcome(call)
        from mockserver.transport.control_api import control_answer  # with the first control call, as the viewer

        try:
            project = self.engine.project(call.header(b"authorization"), call.header(b"openai-project"))
            if refused is not None:
                raise refused
            named = call.header(PROJECT_HEADER)
            if named is not None:
                project = self.engine.control.check_project(named)
            return control_answer(self.engine, project, call)
        except (APIError, MockError) as error:
            return error_answer(error)
        except Exception:
            return error_answer(_failure(call))

    def _count_sockets(self) -> dict[str, int]:
        """How many sockets are open, and on how many of their lanes a turn is played."""
        sockets = [socket for mine in list(self._sockets.values()) for socket in list(mine)]
        return {"open": len(sockets), "lanes": sum([socket.busy_lanes for socket in sockets])}

    def wake_sockets(self, project: str | None) -> None:
        """Have the sockets of a project, or of all (None), look at its clock again; any thread may call this."""
        theirs = [*self._sockets.values()] if project is None else [self._sockets.get(project, set())]
        for socket in [socket for mine in theirs for socket in tuple(mine)]:
            # the clock may be moved from a test's thread, in which asyncio's events must not be touched
            self._loop.call_soon_threadsafe(socket.recheck_clock)

    def _headers(self, answer: Answer, size: int) -> Headers:
        """The headers of every answer of the public API; `size` is that of the request. Spec: W15, W16."""
        error = answer.error
        if error is None:
            of_request, is_long = rate_limit_headers.of_request, len(answer.model) > LONGEST_NAME
            limited = (of_request.__wrapped__ if is_long else of_request)(answer.model, size)
        else:
            limited = rate_limit_headers.of_error(error, size)
        if answer.buckets:
            limited = rate_limit_headers.with_buckets(limited, answer.buckets.values())
        took = (b"openai-processing-ms", b"%d" % max(1, round(answer.lead_s * 1000))) if answer.lead_s else _AT_ONCE
        return [(b"x-request-id", self._next_id()), *_CONSTANT, took, *limited]

    def _next_id(self) -> bytes:
        name = self._names.copy()
        name.update(b"%d" % next(self._served))
        return b"req_" + name.hexdigest().encode()


def open_links(engine: Engine, scope: Scope, wake: Callable[[str | None], None]) -> Iterator[WorkerLinks | StoreLinks]:
    """The links of a process to those that share its store: workers of one server, and whoever uses one PostgreSQL.

    `wake` is told of clocks that others have moved.
    """
    if WORKERS in scope:
        from mockserver.transport.worker_links import (
            WorkerLinks,
        )  # with multiprocessing, which one process does not need

        links = WorkerLinks(engine, scope[WORKERS])
        engine.control.sections["worker_samples"] = links.ask_samples
        yield links
    if engine.settings.store.startswith("postgres"):  # after the workers' own: what happens must be told once
        from mockserver.transport.notifications import Notifications
        from mockserver.transport.store_links import StoreLinks

        yield StoreLinks(engine, partial(Notifications, engine.settings.store), wake)


def _failure(call: Call) -> MockError:
    """Return what a caller is told when the mock itself fails; the log has the rest."""
    log.exception("a fault of the mock: %s %s", call.method, call.path)
    return errors.mock_failed()


def _caller_of(headers: Mapping[bytes, bytes]) -> tuple[bytes, bytes]:
    """Return what a caller's project is known by."""
    return headers.get(b"authorization", b""), headers.get(b"openai-project", b"")


def _is_sure_to_write(call: Call) -> bool:
    """Whether a call writes, if it is not refused, and is judged so soon that others may wait for it meanwhile."""
    return call.method in ("POST", "DELETE") and not call.path.endswith("/input_tokens") and not takes_long(call.body)


def _reads_much(call: Call) -> bool:
    """Whether a call reads what other calls have left, more than one response."""
    if call.method == "POST":
        return b'"previous_response_id"' in call.body or b'"conversation"' in call.body
    return call.method == "GET" and ("items" in call.path or call.path.startswith(CONTROL_PREFIX))


UNKNOWN = errors.UNKNOWN_REQUEST.encode()
_AT_ONCE = (b"openai-processing-ms", b"1")
_CONSTANT = ((b"openai-version", b"2020-10-01"), (b"openai-organization", b"understudy"))


@lru_cache(maxsize=4096)
def _common_lines(model: str, size: int) -> bytes:
    """The lines of the headers that usual answers of a model to requests of one size have in common."""
    return http.write_lines([*_CONSTANT, _AT_ONCE, *rate_limit_headers.of_request(model, size)])


def create_app(settings: Settings, model: Answering | None = None) -> MockApp:
    """The mock as an ASGI app of a served process; raises SettingError when the store can't be opened."""
    try:
        engine = Engine(settings, model=model)
    except StoreError as error:
        raise SettingError(f"--store {settings.store.partition(':')[0]}: {error}") from error
    engine.journal.is_logged = telemetry.is_logging(settings)
    return MockApp(engine)
