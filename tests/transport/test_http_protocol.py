"""The writes that a response becomes: the head goes with the first bytes, and never waits for a later turn."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Any

import pytest
import uvicorn
from starlette.types import Message, Receive, Scope, Send
from uvicorn.server import ServerState

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from mockserver.transport.http import STOPPING, WHOLE
from mockserver.transport.http_protocol import MOST_HEAD, HttpProtocol
from mockserver.transport.response_cycle import MOST_JOINED, LazyEvent

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


def serve(app: Any, *pieces: bytes) -> Written:
    """Return what is written when an app answers a request that comes in these pieces."""
    transport = Written()

    async def run() -> None:
        config = uvicorn.Config(app, lifespan="off", log_config=None)
        state = ServerState()
        protocol = HttpProtocol(config, state, {}, head_timeout_s=30)
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
        protocol = HttpProtocol(
            uvicorn.Config(wait, lifespan="off", log_config=None), ServerState(), {}, head_timeout_s=30
        )
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
    """What a protocol asks of a loop for its timer."""

    def __init__(self) -> None:
        self.timers: list[Any] = []

    def call_later(self, delay: float, callback: Any, *args: Any) -> Any:
        timer = asyncio.TimerHandle(delay, callback, args, asyncio.get_running_loop())
        self.timers.append(timer)
        return timer

    @property
    def waiting(self) -> list[float]:
        return [timer.when() for timer in self.timers if not timer.cancelled()]


async def heads_in_time() -> None:
    clock, transport = Clock(), Written()
    config = uvicorn.Config(echo, lifespan="off", log_config=None)
    loop: Any = clock
    protocol = HttpProtocol(config, ServerState(), {}, _loop=loop, head_timeout_s=30)
    clock.create_task = asyncio.get_running_loop().create_task  # type: ignore[attr-defined]
    clock.call_soon = asyncio.get_running_loop().call_soon  # type: ignore[attr-defined]
    protocol.connection_made(transport)
    assert clock.waiting == [30]  # a connection that says nothing
    protocol.data_received(b"GET / HTTP/1.1\r\n")
    assert clock.waiting == [30]  # not longer for saying a little
    protocol.data_received(b"Host: localhost\r\n\r\n")
    assert clock.waiting == []
    await asyncio.gather(*protocol.tasks)
    assert clock.waiting == [config.timeout_keep_alive]
    protocol.data_received(b"GET / HT")  # a second head, half of it
    assert clock.waiting == [30]
    clock.timers[-1]._run()
    assert transport.closed


def test_a_head_has_to_come_in_time() -> None:
    asyncio.run(heads_in_time())


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


@pytest.mark.parametrize(
    "headers",
    [
        [(b"content-type", b"text/plain"), (b"content-length", b"%d")],
        [(b"content-type", b"text/plain"), (b"X-Mixed", b"1")],
        [(b"x-a", b"1"), (b"x-a", b"2")],
        [(b"connection", b"close"), (b"content-length", b"%d")],
        [(b"transfer-encoding", b"chunked")],
        [(b"x-a", b"1\r\nx-b: 2")],
        [(b"content-length", b"1%d")],
        [],
    ],
)
@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("size", [0, 2, MOST_JOINED + 1])
@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1", b"HEAD / HTTP/1.1", b"GET / HTTP/1.0"])
def test_a_whole_response_is_what_its_two_messages_are(
    headers: list[tuple[bytes, bytes]], status: int, size: int, request_line: bytes
) -> None:
    body, sized = b"x" * size, [(name, value.replace(b"%d", b"%d" % size)) for name, value in headers]

    async def at_once(scope: Scope, receive: Receive, send: Send) -> None:
        assert WHOLE in scope["extensions"]
        await send({"type": WHOLE, "status": status, "headers": sized, "body": body})

    async def in_two(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": sized})
        await send({"type": "http.response.body", "body": body})

    request = request_line + b"\r\nHost: localhost\r\n\r\n"
    whole, parts = serve(at_once, request), serve(in_two, request)
    assert (b"".join(whole.writes), whole.closed) == (b"".join(parts.writes), parts.closed)
    if size < MOST_JOINED:
        assert len(whole.writes) == len(parts.writes) <= 1


@pytest.mark.parametrize("between", [False, True])
def test_the_mock_sends_one_message_unless_somebody_else_passes_it_on(between: bool) -> None:
    told: list[str] = []
    mock = MockApp(Engine(Settings()))

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        def passing_on(message: Message) -> Awaitable[None]:
            told.append(message["type"])
            return send(message)

        if not between:
            scope["extensions"][WHOLE] = passing_on
        await mock(scope, receive, passing_on)

    assert b"".join(serve(app, b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n").writes).startswith(
        b"HTTP/1.1 200"
    )
    assert told == (["http.response.start", "http.response.body"] if between else [WHOLE])


def test_messages_in_a_wrong_order_are_refused() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with pytest.raises(RuntimeError, match=r"http\.response\.body"):
            await send({"type": "http.response.body", "body": b"hi"})
        await answering(b"hi", length=2)(scope, receive, send)
        with pytest.raises(RuntimeError, match=r"http\.response\.start"):
            await send({"type": "http.response.start", "status": 200})
        with pytest.raises(RuntimeError, match=WHOLE):
            await send({"type": WHOLE, "status": 200, "headers": [], "body": b"hi"})

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
        config = uvicorn.Config(app, lifespan="off", log_config=None)
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
