"""The proxy's ASGI app: each request is answered by the mock, by the upstream, or by an error that says why not."""

# Guard → decide → the mock's app, or (key check →) a relay, a recorder or a cassette (`modes`). The mock's app knows
# nothing of the proxy: it gets scope, receive and send as they came, so its answer is the same with and without us.
#
# The order matters:
# 1. The guard comes first and for everything: a foreign web page must not spend the user's key, nor read the control
#    API, nor learn from an error which modes exist.
# 2. `decide` sees the head only, so no body is held while it is asked.
# 3. The caller's key is checked only before the relay: --upstream-api-key is money, and others may reach this
#    process. The mock has its own check of --api-key, with the API's error.
#
# Answers made in this process carry X-Understudy-Source: mock, also our own errors; to an upstream's answer nothing is
# added. That is how a client can tell a mocked answer from a real one. Lifespan goes to the mock, which has state to
# save; the upstream's connections are closed after it, whatever happened.
#
# What a cassette has at once is answered within the app's call, as the mock answers (`transport.http`). Around it is
# then nobody who passes messages on, so what they would note is noted here.

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any

from starlette.types import ASGIApp, Receive, Scope, Send

from mockserver.config.settings import Settings
from mockserver.engine.telemetry import log_request
from mockserver.transport.access_log import log_requests
from mockserver.transport.common_headers import CommonHeaders
from mockserver.transport.guard import ErrorApp, Guard
from mockserver.transport.http import BY_NAME, MOST_AWAITED, WHOLE, WhenWhole, Whole, is_short
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.paths import MOCKED
from proxy.headers import first
from proxy.routing import MODE_HEADER, Decision, decide

if TYPE_CHECKING:
    import httpx

    from mockserver.engine.engine import Engine
    from mockserver.journal.answers import KeptAnswer
    from proxy.modes import Answering, Modes
    from proxy.observer import Observer

MODE = MODE_HEADER.lower().encode()
SOURCE = (b"x-understudy-source", b"mock")
_NO_EXTENSIONS: Mapping[str, Any] = {}


class ProxyApp:
    """An ASGI app that hands requests to the mock's app or relays them; `transport` is the way to the upstream.

    Raises SettingError for a cassette that can't be used.
    """

    def __init__(self, mock: ASGIApp, settings: Settings, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._settings = settings
        self._usual = {path: decide(path, None, settings) for path in MOCKED}  # nearly all requests
        self.modes: Modes | None = None
        self._observer: Observer | None = None
        if (engine := getattr(mock, "engine", None)) is not None:
            engine.control.sections["cassette"] = partial(_write_journal, settings)
        if settings.upstream or settings.cassette:
            # any app may stand in the mock's place; the mock itself tells of this proxy where it tells of itself
            self._observer = None if engine is None else _make_observer(engine)
            self.modes = _open_modes(settings, transport, self._observer)
            if engine is not None:
                engine.control.sections.update(self.modes.sections())
        self._keys = tuple(b"Bearer " + key.encode() for key in settings.api_key)
        self._has_script_for: Callable[[Scope], Awaitable[bool]] = getattr(mock, "has_script_for", _has_none)
        self._mock = CommonHeaders(mock, [SOURCE])
        self.logs_requests = False  # a served process tells what the mock does not answer; the mock tells the rest
        self._guarded = Guard(self._route, settings, _refusal)
        self._most_awaited = min(settings.max_body_bytes, MOST_AWAITED)

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Serve one request, one WebSocket, or the life of the process."""
        if scope["type"] == "lifespan":
            return self._run_lifespan(scope, receive, send)
        return self._guarded(scope, receive, send)

    async def _run_lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._mock(scope, receive, send)
        finally:
            await self.close()

    async def close(self) -> None:
        """Let cassettes and connections go."""
        if self.modes is not None:
            await self.modes.close()
        if self._observer is not None:
            self._observer.close()

    def _route(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        decision = self._decide(scope)
        if decision.answerer == "mock":
            return self._mock(scope, receive, send)
        if decision.unless_scripted:
            return self._route_unless_scripted(decision, scope, receive, send)
        return self._route_out(decision, scope, receive, send)

    async def _route_unless_scripted(self, decision: Decision, scope: Scope, receive: Receive, send: Send) -> None:
        """Have the mock answer what a line of its script is for; it may have to ask another machine for the script."""
        try:
            is_scripted = await self._has_script_for(scope)
        except MockError as error:  # the mock's store can't be asked now
            await _refusal(error)(scope, receive, send)
            return
        answer = self._mock(scope, receive, send) if is_scripted else self._route_out(decision, scope, receive, send)
        await answer

    def _route_out(self, decision: Decision, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Answer what the mock does not."""
        whole = scope.get("extensions", _NO_EXTENSIONS).get(WHOLE)
        if whole is not None and whole.ways == (receive, send) and self._may_replay_in_one_call(decision, scope):
            return WhenWhole(self._replay_now, partial(self._serve_out, decision), whole, (scope, receive, send))
        return self._serve_out(decision, scope, receive, send)

    def _serve_out(self, decision: Decision, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        source = decision.answerer or "-"
        app: ASGIApp = partial(self._answer, source)
        if decision.error is not None:
            app = _refusal(decision.error)
        return self._watch(app, decision.answerer, scope["type"])(scope, receive, send)

    def _watch(self, app: ASGIApp, answerer: str | None, kind: str) -> ASGIApp:
        """An app whose answers are noted: in the journal, and in the log."""
        if self._observer is not None:
            app = self._observer.watch(app, answerer or "proxy", kind)
        return log_requests(app, answerer or "-") if self.logs_requests else app

    async def _answer(self, answerer: str, scope: Scope, receive: Receive, send: Send) -> None:
        """Have a relay, a recorder or a cassette answer, if the caller is let in."""
        assert self.modes is not None
        error: MockError | APIError | None = self._check_key(scope)
        if error is None:
            try:
                answering = self.modes.find(answerer, scope["type"])
            except MockError as problem:
                error = problem
            else:
                await _answer_by(answering, scope, receive, send)
                return
        elif self._observer is not None:
            self._observer.count_refusal(scope, error.status)
        await _refusal(error)(scope, receive, send)

    # --- within the app's call ----------------------------------------------------------------------------------------

    def _may_replay_in_one_call(self, decision: Decision, scope: Scope) -> bool:
        """Whether a cassette that is there answers a request, as far as its head tells."""
        if decision.answerer != "cassette" or self.modes is None or self.modes.replayer is None:
            return False
        return is_short(scope[BY_NAME], self._most_awaited) and self._check_key(scope) is None

    def _replay_now(
        self, body: bytes, whole: Whole, scope: Scope, receive: Receive, send: Send
    ) -> Awaitable[None] | None:
        """Answer a request that has come whole from a cassette, within this call if the answer leaves at once."""
        assert self.modes is not None and self.modes.replayer is not None
        started, replayer = perf_counter(), self.modes.replayer
        found, ready = replayer.find_ready(scope, body)
        if ready is None:
            answer = partial(_answer_by, partial(replayer.send_found, found))
            return self._watch(answer, "cassette", "http")(scope, receive, send)
        whole.respond(ready.status, ready.lines, ready.data, ready.is_sized)
        if self._observer is not None:
            self._observer.note_replayed(scope, body, started, ready)
        if self.logs_requests:
            log_request(scope["method"], scope["path"], ready.status, perf_counter() - started, "cassette")
        return None

    # --- what is decided by the head -------------------------------------------------------------------------------

    def _decide(self, scope: Scope) -> Decision:
        headers, mode = scope["headers"], None
        if MODE not in (scope.get(BY_NAME) or dict(headers)):
            usual = self._usual.get(scope["path"])
            if usual is not None:
                return usual
        else:
            # repeated headers are one list (RFC 9110 §5.3), which `decide` refuses: the first would hide the second
            mode = b", ".join([value for name, value in headers if name == MODE]).decode("latin-1")
        return decide(scope["path"], mode, self._settings)

    def _check_key(self, scope: Scope) -> MockError | None:
        """The error of a caller without one of the `--api-key`s: the upstream is not everybody's to use."""
        given = first(scope["headers"], b"authorization") or b""
        # compare_digest: the time that `==` takes tells how much of a key was right
        if not self._keys or any(hmac.compare_digest(given, key) for key in self._keys):
            return None
        return MockError("This server lets in only the keys that it was given with --api-key.", status=401)


async def _answer_by(answering: Answering, scope: Scope, receive: Receive, send: Send) -> None:
    """Have a relay, a recorder or a cassette answer; what they return is the error to answer with."""
    error = await answering(scope, receive, send)
    if error is not None:
        await _refusal(error)(scope, receive, send)


async def _has_none(scope: Scope) -> bool:
    """Whether an app without scripts has a line for a request."""
    return False


def _open_modes(settings: Settings, transport: httpx.AsyncBaseTransport | None, observer: Observer | None) -> Modes:
    """What answers besides the mock; raises SettingError.

    It is imported now: httpx and the client of websockets are a sixth of the start of a server without upstream.
    """
    from proxy.modes import Modes

    modes = Modes(settings, transport, None if observer is None else observer.count)
    modes.open()
    return modes


def _make_observer(engine: Engine) -> Observer:
    """What tells the journal of what the mock does not answer."""
    from proxy.observer import Observer

    return Observer(engine)


def _write_journal(settings: Settings, answers: Sequence[KeptAnswer]) -> Iterator[bytes]:
    """The mock's answers as a cassette."""
    from proxy.journal_cassette import write_journal

    return write_journal(answers, settings.redact)


def _refusal(error: MockError | APIError) -> ASGIApp:
    return CommonHeaders(ErrorApp(error), [SOURCE])
