"""The writes that a response becomes: the head goes with the first bytes, and never waits for a later turn."""

from __future__ import annotations

import asyncio
import gc
import json
import re
import weakref
from collections.abc import Awaitable
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from mockserver.transport.common_headers import CommonHeaders
from mockserver.transport.guard import Guard
from mockserver.transport.http import MOST_JOINED, STOPPING, WHOLE, WhenWhole, Whole
from mockserver.transport.http_protocol import MOST_HEAD, HttpProtocol
from mockserver.transport.response_cycle import LazyEvent
from tests.support.driving import NOON

REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Written(asyncio.Transport):
    """A transport that keeps each write."""

    def __init__(self) -> None:
        super().__init__()
        self.writes: list[bytes] = []
        self.closed = False

    def write(self, data: Any) -> None:
        self.writes.append(bytes(data))

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def pause_reading(self) -> None: ...
    def resume_reading(self) -> None: ...


def config_of(app: Any) -> uvicorn.Config:
    """A server's configuration, with nobody between it and the app."""
    return uvicorn.Config(app, interface="asgi3", proxy_headers=False, lifespan="off", log_config=None)


def serve(app: Any, *pieces: bytes) -> Written:
    """Return what is written when an app answers a request that comes in these pieces."""
    transport = Written()

    async def run() -> None:
        state = ServerState()
        protocol = HttpProtocol(config_of(app), state, {}, head_timeout_s=30)
        protocol.connection_made(transport)
        for piece in pieces or (REQUEST,):
            if not transport.closed:
                protocol.data_received(piece)
        await asyncio.gather(*state.tasks)
        closed = transport.closed
        protocol.connection_lost(None)
        transport.closed = closed  # by the server, not by the client

    asyncio.run(run())
    return transport


def test_an_answer_in_progress_is_told_that_its_server_ends() -> None:
    scopes: list[Any] = []

    async def run() -> None:
        protocol = HttpProtocol(config_of(wait), ServerState(), {}, head_timeout_s=30)
        protocol.connection_made(Written())
        protocol.shutdown()  # between two requests: there is nobody to tell
        protocol.data_received(REQUEST)
        await asyncio.sleep(0)
        assert STOPPING not in scopes[0]
        protocol.shutdown()
        assert scopes[0][STOPPING]
        protocol.connection_lost(None)

    async def wait(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await receive()

    asyncio.run(run())


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """An app that answers with the method, the path, the headers' names and the body."""
    body, more = b"", True
    while more:
        message = await receive()
        body, more = body + message.get("body", b""), message.get("more_body", False)
    names = ",".join(name.decode() for name, _ in scope["headers"])
    told = f"{scope['method']} {scope['path']} {names} ".encode() + body
    await answering(told, length=len(told))(scope, receive, send)


def body_of(transport: Written) -> bytes:
    """What was answered, without its head."""
    return b"".join(transport.writes).partition(b"\r\n\r\n")[2]


def answering(*pieces: bytes, length: int | None = None, between: Any = None) -> Any:
    """An app that sends a head and these pieces; `between` is awaited after the head."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [] if length is None else [(b"content-length", b"%d" % length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if between is not None:
            await between()
        for number, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": number < len(pieces)})

    return app


def test_a_head_and_a_body_are_one_write() -> None:
    (whole,) = serve(answering(b"hello", length=5)).writes
    assert whole == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


def test_a_head_waits_for_no_body_that_is_still_to_come() -> None:
    async def let_the_loop_come_round() -> None:
        await asyncio.sleep(0)

    head, body = serve(answering(b"hello", length=5, between=let_the_loop_come_round)).writes
    assert head == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    assert body == b"hello"


def test_pieces_after_the_first_are_written_as_they_come() -> None:
    first, second, end = serve(answering(b"a", b"b", b"")).writes
    assert first == b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n"
    assert (second, end) == (b"1\r\nb\r\n", b"0\r\n\r\n")


def test_a_large_body_is_not_copied_behind_its_head() -> None:
    large = b"x" * (MOST_JOINED + 1)
    head, body = serve(answering(large, length=len(large))).writes
    assert head.endswith(b"\r\n\r\n")
    assert body == large


def test_a_head_is_written_before_an_app_that_fails_closes_the_connection() -> None:
    async def fail() -> None:
        raise OSError("broken")

    transport = serve(answering(length=5, between=fail))
    assert transport.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"]
    assert transport.closed


@pytest.mark.parametrize("expected", [b"100-continue", b"100-Continue"])
def test_a_client_that_waits_for_a_go_ahead_gets_it_at_once(expected: bytes) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await answering(b"hello", length=5)(scope, receive, send)

    request = b"POST / HTTP/1.1\r\nHost: localhost\r\nExpect: %b\r\nContent-Length: 2\r\n\r\nhi" % expected
    go_ahead, *answer = serve(app, request).writes
    assert go_ahead == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert b"".join(answer) == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"


WISH = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n"


@pytest.mark.parametrize(
    "wish", [WISH, b"Connection: upgrade\r\nUpgrade: websocket\r\n", b"connection: Upgrade\r\nupgrade: TLS/1.2\r\n"]
)
@pytest.mark.parametrize("size", [1, 7, 4096])
def test_a_wish_for_an_unknown_upgrade_is_ignored_and_the_request_served(wish: bytes, size: int) -> None:
    """RFC 9110 §7.8: Java's HttpClient asks for h2c with every first POST."""
    request = b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: 5\r\n\r\nhello" % wish
    pieces = [request[at : at + size] for at in range(0, len(request), size)]
    assert body_of(serve(echo, *pieces)) == b"POST /v1/x host,content-length hello"


def test_a_wish_in_a_chunked_request_is_ignored_and_what_follows_is_read_too() -> None:
    head = b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\n%bTransfer-Encoding: chunked\r\n\r\n" % WISH
    transport = serve(echo, head + b"2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
    assert body_of(transport) == b"POST /v1/x host,transfer-encoding hello"
    assert not transport.closed


def test_what_else_a_connection_was_asked_for_is_still_heard() -> None:
    wish = b"Connection: close, Upgrade\r\nUpgrade: h2c\r\n"
    transport = serve(echo, b"POST /v1/x HTTP/1.1\r\nHost: localhost\r\n%bContent-Length: 2\r\n\r\nhi" % wish)
    assert body_of(transport) == b"POST /v1/x host,content-length,connection hi"
    assert b"connection: close" in transport.writes[0]
    assert transport.closed


@pytest.mark.parametrize("piece", [b"x" * 70_000, b"X-More: %b\r\n" % (b"x" * 1000) * 70])
@pytest.mark.parametrize("size", [1000, 100_000])
def test_a_head_without_end_is_refused_while_it_comes(piece: bytes, size: int) -> None:
    request = b"GET /%b HTTP/1.1\r\n" % piece if piece[:1] == b"x" else b"GET / HTTP/1.1\r\n%b" % piece
    transport = serve(echo, *[request[at : at + size] for at in range(0, len(request), size)])
    (refused,) = transport.writes
    assert refused.startswith(b"HTTP/1.1 431 ")
    assert refused.endswith(b"The head of a request may have 65536 bytes.")
    assert transport.closed


class Clock:
    """What a protocol asks of a loop for its timers; its time is what a test says it is."""

    def __init__(self) -> None:
        self.timers: list[Any] = []
        self.now = 0.0
        loop = asyncio.get_running_loop()
        self.create_task, self.call_soon = loop.create_task, loop.call_soon

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Any, *args: Any) -> Any:
        timer = asyncio.TimerHandle(delay, callback, args, asyncio.get_running_loop())
        self.timers.append(timer)
        return timer

    @property
    def waiting(self) -> list[float]:
        return [timer.when() for timer in self.timers if not timer.cancelled()]

    def come_due(self) -> None:
        """Run the newest timer, which then waits no more."""
        timer = self.timers.pop()
        timer._run()


def connect(clock: Any) -> tuple[HttpProtocol, Written, float]:
    """A connection by a clock, what it is written to, and how long it may be idle."""
    transport, config = Written(), config_of(echo)
    protocol = HttpProtocol(config, ServerState(), {}, _loop=clock, head_timeout_s=30)
    protocol.connection_made(transport)
    return protocol, transport, config.timeout_keep_alive


async def ask(protocol: HttpProtocol) -> None:
    """Have a request answered."""
    protocol.data_received(REQUEST)
    await asyncio.gather(*protocol.tasks)


async def heads_in_time() -> None:
    clock = Clock()
    protocol, transport, allowed = connect(clock)
    assert clock.waiting == [30]  # a connection that says nothing
    protocol.data_received(b"GET / HTTP/1.1\r\n")
    assert clock.waiting == [30]  # not longer for saying a little
    protocol.data_received(b"Host: localhost\r\n\r\n")
    assert clock.waiting == []
    await asyncio.gather(*protocol.tasks)
    assert clock.waiting == [allowed]
    protocol.data_received(b"GET / HT")  # a second head, half of it
    assert clock.waiting == [allowed, 30]
    clock.come_due()
    assert transport.closed


def test_a_head_has_to_come_in_time() -> None:
    asyncio.run(heads_in_time())


async def idle_for_so_long() -> None:
    clock = Clock()
    protocol, transport, allowed = connect(clock)
    for now in (0, allowed - 1):  # the second just in time
        clock.now = now
        await ask(protocol)
        assert clock.waiting == [allowed]
    clock.now = allowed
    clock.come_due()  # of the first answer, but the second was a second ago
    assert (transport.closed, clock.waiting) == (False, [allowed - 1])
    clock.now = 2 * allowed - 1
    clock.come_due()
    assert transport.closed


def test_a_connection_ends_when_nothing_was_asked_for_so_long() -> None:
    asyncio.run(idle_for_so_long())


async def no_end_within_a_request(rest: bytes, *pieces: bytes) -> None:
    clock = Clock()
    protocol, transport, allowed = connect(clock)
    await ask(protocol)
    for piece in pieces:
        protocol.data_received(piece)
    idle, *_ = [timer for timer in clock.timers if not timer.cancelled()]
    clock.timers.remove(idle)
    clock.now = allowed
    idle._run()  # comes due while the second request is on its way
    assert not transport.closed
    protocol.data_received(rest)
    await asyncio.gather(*protocol.tasks)
    assert not transport.closed and len(b"".join(transport.writes).split(b"HTTP/1.1 200")) == 3
    assert clock.waiting == [allowed]  # armed again by the second answer


@pytest.mark.parametrize(
    ("pieces", "rest"),
    [
        ((b"POST / HTTP/1.1\r\nHost: lo",), b"calhost\r\nContent-Length: 2\r\n\r\nab"),
        ((b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n",), b"ab"),
        ((b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\nab",), b""),  # no answer yet
    ],
    ids=["head", "body", "answer"],
)
def test_a_request_on_its_way_is_not_ended_for_the_one_before(pieces: tuple[bytes, ...], rest: bytes) -> None:
    asyncio.run(no_end_within_a_request(rest, *pieces))


class Upgraded(asyncio.Protocol):
    """What a connection is left to that has become a WebSocket."""

    def __init__(self, **given: Any) -> None: ...


def test_a_websocket_is_not_ended_for_the_request_before() -> None:
    """RFC 6455 §4.1: a client may ask for the upgrade on a connection that has served a request."""
    wish = b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"

    async def run() -> None:
        clock = Clock()
        protocol, transport, _ = connect(clock)
        protocol.ws_protocol_class = Upgraded
        transport.set_protocol = lambda protocol: None  # type: ignore[method-assign]
        await ask(protocol)
        assert clock.waiting
        protocol.data_received(wish)
        assert clock.waiting == [] and not transport.closed

    asyncio.run(run())


def test_a_connection_that_is_gone_leaves_no_timer() -> None:
    """A timer holds its protocol for more than a minute."""

    async def run() -> None:
        clock = Clock()
        for error in (None, ConnectionResetError()):
            protocol, _, _ = connect(clock)
            await ask(protocol)
            assert clock.waiting
            protocol.connection_lost(error)
            assert clock.waiting == []

    asyncio.run(run())


@pytest.mark.parametrize("method", ["CONNECT", "PRI"])
def test_a_method_after_which_no_http_follows_is_answered_once(method: str) -> None:
    """A parser stops after them as after an upgrade; read again, they would be read for ever."""
    transport = serve(echo, f"{method} * HTTP/1.1\r\nHost: localhost\r\n\r\nno http".encode())
    assert transport.closed
    assert len(transport.writes) <= 1


@pytest.mark.parametrize("split", range(1, 40, 3))
def test_a_head_that_begins_behind_a_large_body_is_not_charged_with_it(split: int) -> None:
    """A client may send its next request at once: the body before it is no part of that one's head."""
    body = b"x" * (MOST_HEAD + 1)
    first = b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
    second = b"GET /second HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    transport = serve(echo, first + second[:split], second[split:])
    assert b"GET /second host,connection " in b"".join(transport.writes)


@pytest.mark.parametrize("size", [1000, 30_000, 100_000])
def test_a_single_header_without_end_is_refused_while_it_comes(size: int) -> None:
    request = b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + b"x" * 90_000
    transport = serve(echo, *[request[at : at + size] for at in range(0, len(request), size)])
    assert b"".join(transport.writes).startswith(b"HTTP/1.1 431 ")
    assert transport.closed


@pytest.mark.parametrize(
    "header", [(b"x-a", b"1\r\nx-b: 2"), (b"x-a", b"\0"), (b"x a", b"1"), (b"x-a\r\n", b"1"), (b"x:a", b"1")]
)
def test_a_header_that_could_end_itself_is_never_written(header: tuple[bytes, bytes]) -> None:
    """RFC 9110 §5.5: what a script or an upstream says can't begin a header, or a response, of its own."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [header]})

    transport = serve(app)
    assert transport.writes == [] and transport.closed


CHUNKED = b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    ("headers", "framing"),
    [
        (
            [(b"Content-Length", b"2"), (b"X-A", b"1"), (b"X-A", b"2")],
            b"Content-Length: 2\r\nX-A: 1\r\nX-A: 2\r\n\r\nhi",
        ),
        ([(b"Transfer-Encoding", b"Chunked")], b"Transfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
        (
            [(b"connection", b"x, Close")],
            b"connection: x, Close\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
        ),
        ([], b"transfer-encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"),
    ],
)
def test_a_head_is_written_as_it_was_given_and_framed_as_it_says(
    headers: list[tuple[bytes, bytes]], framing: bytes
) -> None:
    """RFC 9112 §6: names keep their case and order; without a length the body is chunked."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": b"hi"})

    transport = serve(app)
    assert transport.writes == [b"HTTP/1.1 200 OK\r\n" + framing]
    assert transport.closed == (headers[:1] == [(b"connection", b"x, Close")])


@pytest.mark.parametrize("pieces", [(b"hello!",), (b"hi",), (b"hello", b"!")])
def test_a_body_of_another_length_than_its_head_says_breaks_the_connection_off(pieces: tuple[bytes, ...]) -> None:
    """RFC 9112 §6.3: what follows would be read as another response."""
    transport = serve(answering(*pieces, length=5))
    assert transport.closed


@pytest.mark.parametrize("status", [204, 304])
def test_a_response_without_a_body_is_not_chunked(status: int) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status})
        await send({"type": "http.response.body"})

    (head,) = serve(app).writes
    assert head.endswith(b"\r\n\r\n") and b"transfer-encoding" not in head


def test_the_answer_to_head_has_a_length_and_no_body() -> None:
    """RFC 9110 §9.3.2."""
    (head,) = serve(answering(b"hello", length=5), b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n").writes
    assert head == b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"


def test_an_app_that_answers_nothing_is_a_500_and_one_that_stops_breaks_off() -> None:
    async def silent(scope: Scope, receive: Receive, send: Send) -> None: ...

    assert serve(silent).writes[0].startswith(b"HTTP/1.1 500 ")

    async def begun(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"5")]})

    transport = serve(begun)
    assert transport.writes == [b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"] and transport.closed


def answer_within_the_call(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
    """An app that answers with the request's body, within a call where it may; the other way it says so."""
    whole = scope.get("extensions", {}).get(WHOLE)
    if whole is None or whole.ways != (receive, send):
        return answering(b"no offer")(scope, receive, send)

    def answer(body: bytes, *given: Any) -> None:
        is_sized = body.startswith(b"sized")
        whole.respond(200, b"content-length: %d\r\n" % len(body) if is_sized else b"", body or b"-", is_sized)

    return WhenWhole(answer, answering(b"not in the call"), whole, (scope, receive, send))


POST = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"sized hello", b"content-length: 11\r\n\r\nsized hello"),
        (b"hello", b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"),
    ],
)
def test_an_app_may_answer_within_its_call(body: bytes, told: bytes) -> None:
    transport = serve(answer_within_the_call, *[POST % (len(body), body)] * 2)
    assert transport.writes == [b"HTTP/1.1 200 OK\r\n" + told] * 2
    assert not transport.closed


UNSIZED = b"POST / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.parametrize(
    "pieces",
    [
        [b"HEAD / HTTP/1.1\r\nHost: localhost\r\n\r\n"],
        [UNSIZED + b"Expect: 100-continue\r\nContent-Length: 2\r\n\r\nhi"],
    ],
)
def test_a_request_that_is_less_usual_is_answered_by_messages(pieces: list[bytes]) -> None:
    written = b"".join(serve(answer_within_the_call, *pieces).writes)
    assert written == b"".join(serve(answering(b"no offer"), *pieces).writes)


@pytest.mark.parametrize("line", [b"GET / HTTP/1.0", b"GET / HTTP/1.1\r\nConnection: close"])
def test_a_connection_that_is_to_be_closed_is_told_so_and_closed(line: bytes) -> None:
    transport = serve(answer_within_the_call, line + b"\r\nHost: localhost\r\n\r\n")
    (written,) = transport.writes
    assert written.endswith(b"\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n1\r\n-\r\n0\r\n\r\n")
    assert transport.closed


@pytest.mark.parametrize("size", [1, 7, 30])
def test_a_short_body_is_awaited_before_the_app_is_called(size: int) -> None:
    """As nearly every client sends it, in a piece after its head; requests may follow each other in one piece."""
    requests = b"".join([POST % (5, b"hello"), POST % (5, b"sized")] * 2)
    pieces = [requests[at : at + size] for at in range(0, len(requests), size)]
    hello = b"transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    told = [b"HTTP/1.1 200 OK\r\n" + rest for rest in (hello, b"content-length: 5\r\n\r\nsized")]
    assert serve(answer_within_the_call, *pieces).writes == told * 2


def test_a_piece_with_the_end_of_a_request_and_the_begin_of_the_next_answers_the_first() -> None:
    first = POST % (5, b"hello")
    assert len(serve(answer_within_the_call, first[:-2], first[-2:] + b"GET / HT").writes) == 1


def test_an_app_is_called_with_the_head_and_may_answer_before_the_body() -> None:
    assert b"at once" in serve(answering(b"at once"), POST % (5, b"")).writes[0]
    assert serve(answer_within_the_call, POST % (5, b"")).writes == []


@pytest.mark.parametrize("change", ["closed", "paused"])
def test_a_connection_that_is_less_usual_when_the_body_comes_is_served_by_messages(change: str) -> None:
    transport, state = Written(), ServerState()

    async def run() -> None:
        protocol = HttpProtocol(config_of(answer_within_the_call), state, {}, head_timeout_s=30)
        protocol.connection_made(transport)
        protocol.data_received(POST % (5, b"hel"))
        if change == "closed":
            transport.closed = True
        else:
            protocol.pause_writing()
        protocol.data_received(b"lo")
        assert len(state.tasks) == 1 and transport.writes == []
        protocol.resume_writing()
        await asyncio.gather(*state.tasks)

    asyncio.run(run())
    assert body_of(transport) == b"f\r\nnot in the call\r\n0\r\n\r\n"


def test_of_requests_that_come_together_the_first_is_answered_at_once_and_the_rest_let_others_pass() -> None:
    transport, state = Written(), ServerState()

    async def run() -> None:
        config = config_of(answer_within_the_call)
        protocol = HttpProtocol(config, state, {}, head_timeout_s=30)
        protocol.connection_made(transport)
        protocol.data_received(b"".join([POST % (1, b"%d" % number) for number in range(3)]))
        assert body_of(transport) == b"1\r\n0\r\n0\r\n\r\n"
        while state.tasks:
            await asyncio.gather(*state.tasks)
        protocol.connection_lost(None)

    asyncio.run(run())
    assert len(transport.writes) == 3 and all(b"no offer" in write for write in transport.writes[1:])


@pytest.mark.parametrize("rest", [b"", b"lo"])
def test_nothing_of_a_request_is_left_when_its_connection_is_lost(rest: bytes) -> None:
    """Half a body of a client that has left must not wait for the collector."""
    cycles: list[Any] = []

    async def run() -> None:
        protocol = HttpProtocol(config_of(answer_within_the_call), ServerState(), {}, head_timeout_s=30)
        protocol.connection_made(Written())
        protocol.data_received(POST % (5, b"hel"))
        if rest:
            protocol.data_received(rest)
        cycles.append(weakref.ref(protocol.cycle))
        protocol.connection_lost(None)

    gc.disable()
    try:
        asyncio.run(run())
        assert cycles[0]() is None
    finally:
        gc.enable()


def test_an_offer_ends_with_the_call() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert not scope["extensions"]
        await answering(b"hi", length=2)(scope, receive, send)

    def call(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        with pytest.raises(RuntimeError, match="has not come whole"):
            scope["extensions"][WHOLE].respond(200, b"", b"early", False)
        return app(scope, receive, send)

    assert body_of(serve(call, POST % (5, b"hel"))) == b"hi"


def test_an_app_that_fails_in_its_call_is_a_500_unless_it_has_answered() -> None:
    def fail(*given: Any) -> Any:
        raise OSError("broken")

    def fail_at_once(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        raise OSError("broken")

    def fail_later(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        return WhenWhole(fail, fail, scope["extensions"][WHOLE], (scope, receive, send))

    def answer_and_fail(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        def answer(body: bytes, whole: Whole, *given: Any) -> None:
            whole.respond(200, b"", b"-", False)
            fail()

        return WhenWhole(answer, fail, scope["extensions"][WHOLE], (scope, receive, send))

    assert serve(fail_at_once).writes[0].startswith(b"HTTP/1.1 500 ")
    assert serve(fail_later).writes[0].startswith(b"HTTP/1.1 500 ")
    transport = serve(answer_and_fail)
    assert transport.writes == [b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\n-\r\n0\r\n\r\n"]
    assert transport.closed


def test_an_app_that_answers_twice_is_refused() -> None:
    def twice(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        def answer(body: bytes, whole: Whole, *given: Any) -> None:
            whole.respond(200, b"", b"-", False)
            with pytest.raises(RuntimeError, match="has begun"):
                whole.respond(200, b"", b"-", False)

        return WhenWhole(answer, answering(b""), scope["extensions"][WHOLE], (scope, receive, send))

    assert body_of(serve(twice)) == b"1\r\n-\r\n0\r\n\r\n"


def ask_mock(requests: list[bytes], *, between: bool) -> tuple[list[bytes], list[bool]]:
    """What a mock writes to these requests, one after the other, and which it answers within its call.

    `between` it and the server stands somebody who passes all on.
    """
    mock = CommonHeaders(Guard(MockApp(Engine(Settings(clock=NOON))), Settings()), [(b"x-source", b"here")])

    async def pass_on(scope: Scope, receive: Receive, send: Send) -> None:
        async def send_on(message: Message) -> None:
            await send(message)

        await mock(scope, receive, send_on)

    transport = Written()

    async def run() -> None:
        state = ServerState()
        config = config_of(pass_on if between else mock)
        protocol = HttpProtocol(config, state, {}, head_timeout_s=30)
        protocol.connection_made(transport)
        for request in requests:
            protocol.data_received(request)
            at_once.append(not state.tasks)
            await asyncio.gather(*state.tasks)
        protocol.connection_lost(None)

    at_once: list[bool] = []
    asyncio.run(run())
    dated = [re.sub(rb"\r\ndate: [^\r]+ GMT\r\n", b"\r\ndate: now\r\n", write) for write in transport.writes]
    return dated, at_once


def ask_turn(**fields: Any) -> bytes:
    body = json.dumps({"model": "gpt-4.1", "input": "ping", **fields}).encode()
    return b"POST /v1/responses HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def ask_script(reply: Any, **more: Any) -> bytes:
    body = json.dumps({"lines": [{"reply": reply, **more}]}).encode()
    return b"POST /_mock/script HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def ask_path(path: bytes, method: bytes = b"GET", host: bytes = b"localhost") -> bytes:
    return b"%b %b HTTP/1.1\r\nHost: %b\r\n\r\n" % (method, path, host)


def test_an_answer_within_the_call_is_byte_for_byte_the_one_of_messages() -> None:
    requests = {
        ask_turn(): True,
        ask_turn(stream=True): True,
        ask_turn(model="gpt-4.1-mini", input="word " * 3000): True,
        ask_turn(input="word " * 30_000): False,
        ask_turn(input="beside something large"): True,
        ask_turn(input="word " * 2_000, stream=True): False,
        ask_turn(model="none"): True,
        ask_turn(background=True): True,
        ask_path(b"/v1/models"): True,
        ask_script({"error": {"code": "server_error", "headers": {"x-lower": "1"}}}): False,
        ask_turn(input="x-lower"): True,
        ask_script({"error": {"code": "server_error", "headers": {"X-Mixed": "1"}}}): False,
        ask_turn(input="X-Mixed"): False,
        ask_script({"error": {"code": "server_error", "headers": {"date": "then"}}}): False,
        ask_turn(input="date"): False,
        ask_script({"text": "paced"}, pacing={"first_token": 0.001}): False,
        ask_turn(input="paced"): False,
        ask_path(b"/v1/models", b"HEAD"): False,
        ask_path(b"/v1/models", host=b"foreign.example"): False,
        ask_path(b"/v1/none"): True,
        ask_path(b"/"): False,
        ask_path(b"/_mock/script"): False,
    }
    (whole, at_once), (parts, none) = ask_mock([*requests], between=False), ask_mock([*requests], between=True)
    assert at_once == [*requests.values()] and not any(none)
    assert whole == parts


def test_messages_in_a_wrong_order_are_refused() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(RuntimeError, match=r"http\.response\.body"):
            await send({"type": "http.response.body", "body": b"hi"})
        await answering(b"hi", length=2)(scope, receive, send)
        with pytest.raises(RuntimeError, match=r"http\.response\.start"):
            await send({"type": "http.response.start", "status": 200})

    assert body_of(serve(app)) == b"hi"


def test_requests_that_come_together_are_answered_in_their_order() -> None:
    whole = b"".join(serve(echo, REQUEST, REQUEST.replace(b"/", b"/b%20c", 1)).writes)
    assert whole.index(b"GET / host ") < whole.index(b"GET /b c host ")


def test_a_client_that_has_left_is_told_of_and_nothing_is_written_to_it() -> None:
    heard: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        heard.append((await receive())["type"])
        heard.append((await receive())["type"])
        await answering(b"late", length=4)(scope, receive, send)

    transport = Written()

    async def run() -> None:
        state = ServerState()
        config = config_of(app)
        protocol = HttpProtocol(config, state, {}, head_timeout_s=30)
        protocol.connection_made(transport)
        protocol.data_received(REQUEST)
        await asyncio.sleep(0)
        protocol.connection_lost(None)
        await asyncio.gather(*state.tasks)

    asyncio.run(run())
    assert heard == ["http.request", "http.disconnect"] and transport.writes == []


async def wait_for(event: LazyEvent) -> list[bool]:
    """Whether those who wait are let go before and after the event is set, and one who comes once it is cleared."""
    waiting = [asyncio.ensure_future(event.wait()) for _ in range(2)]
    await asyncio.sleep(0)
    gone = [one.done() for one in waiting]
    event.set()
    await asyncio.gather(*waiting)
    event.clear()
    late = asyncio.ensure_future(event.wait())
    await asyncio.sleep(0)
    gone.append(late.done() or event.is_set())
    event.set()
    await late
    return gone


@pytest.mark.parametrize("was_set", [False, True])
def test_an_event_that_is_made_late_is_an_event(was_set: bool) -> None:
    event = LazyEvent()
    if was_set:
        event.set()
    assert event.is_set() is was_set
    assert asyncio.run(wait_for(event)) == [was_set, was_set, False]
