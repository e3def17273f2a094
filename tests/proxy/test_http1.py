"""The exchange on a connection, without a socket: however the bytes are cut, the response is the same."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from proxy.http1 import HIGH_WATER, Connection, Exchange, Head
from tests.support import virtual_time


class Wire:
    """A transport that remembers what is done to it."""

    def __init__(self) -> None:
        self.sent = b""
        self.closed = False
        self.paused = False

    def write(self, data: bytes) -> None:
        self.sent += data

    def abort(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


class Bench:
    """A connection over a `Wire`."""

    def __init__(self, method: str = "GET", timeout: float | None = None) -> None:
        self.wire = Wire()
        self.free: list[Connection] = []
        self.connection = Connection(asyncio.get_running_loop(), self.free.append)
        self.connection.connection_made(self.wire)  # type: ignore[arg-type]
        self.exchange: Exchange = self.connection.begin_exchange(method, timeout)

    async def all(self) -> tuple[Head, bytes]:
        """The whole response."""
        head, body = await self.exchange.head, b""
        while data := await self.exchange.read():
            body += data
        return head, body


RESPONSE = (
    b"HTTP/1.1 103 Early Hints\r\nLink: <a>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
    b"HTTP/1.1 200 Fine\r\nX-A: 1\r\nx-a: \xff\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 20, 1000])
def test_response_in_pieces(size: int) -> None:
    async def scene() -> None:
        bench = Bench()
        bench.exchange.send(b"GET / HTTP/1.1\r\n\r\n", b"")
        for start in range(0, len(RESPONSE), size):
            bench.connection.data_received(RESPONSE[start : start + size])
        head, body = await bench.all()
        assert (head.status, head.reason, body) == (200, b"Fine", b"abcde")
        assert head.headers == [(b"X-A", b"1"), (b"x-a", b"\xff"), (b"Transfer-Encoding", b"chunked")]
        assert bench.free == [bench.connection] and not bench.wire.closed

    virtual_time.run(scene())


@pytest.mark.parametrize("at", range(len(RESPONSE)))
def test_cut_anywhere_is_never_complete(at: int) -> None:
    async def scene() -> None:
        bench = Bench()
        bench.connection.data_received(RESPONSE[:at])
        bench.connection.connection_lost(None)
        with pytest.raises(httpx.RemoteProtocolError):
            await bench.all()
        assert bench.free == []

    virtual_time.run(scene())


NO_BODY = [
    ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", True),
    ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", True),
    ("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n", True),
    ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", False),
]


@pytest.mark.parametrize(("method", "response", "kept"), NO_BODY)
def test_no_body(method: str, response: bytes, kept: bool) -> None:
    async def scene() -> None:
        bench = Bench(method)
        bench.connection.data_received(response)
        assert (await bench.all())[1] == b""
        assert bool(bench.free) == kept != bench.wire.closed

    virtual_time.run(scene())


@pytest.mark.parametrize("error", [None, ConnectionResetError("reset")])
def test_body_until_the_end_of_the_connection(error: Exception | None) -> None:
    async def scene() -> None:
        bench = Bench()
        bench.connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nsome")
        bench.connection.connection_lost(error)
        if error is None:
            assert (await bench.all())[1] == b"some"
            return
        await bench.exchange.head
        assert await bench.exchange.read() == b"some"
        with pytest.raises(httpx.ReadError, match="reset"):
            await bench.exchange.read()

    virtual_time.run(scene())


@pytest.mark.parametrize("excess", [b"HTTP/1.1 200 OK\r\n\r\nforged", b"junk", b"\x00"])
def test_excess_makes_the_connection_unusable(excess: bytes) -> None:
    async def scene() -> None:
        bench = Bench()
        bench.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok" + excess)
        assert (await bench.all())[1] == b"ok"
        assert bench.free == [] and bench.wire.closed

    virtual_time.run(scene())


def test_unasked_bytes_close_an_idle_connection() -> None:
    async def scene() -> None:
        bench = Bench()
        bench.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        bench.connection.data_received(b"HTTP/1.1 408 Timeout\r\n\r\n")
        assert bench.wire.closed and bench.connection.lost

    virtual_time.run(scene())


def test_reader_that_is_slow_pauses_the_upstream() -> None:
    async def scene() -> None:
        bench = Bench()
        bench.connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(HIGH_WATER + 1))
        assert bench.wire.paused
        assert len(await bench.exchange.read()) == HIGH_WATER + 1
        assert not bench.wire.paused

    virtual_time.run(scene())


async def parts(*data: bytes) -> AsyncIterator[bytes]:
    """A request's body."""
    for part in data:
        yield part


def test_response_that_is_complete_leaves_its_connection_reading() -> None:
    async def scene() -> None:
        bench = Bench()
        size = HIGH_WATER + 1
        bench.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + bytes(size))
        assert bench.free == [bench.connection] and not bench.wire.paused
        assert len((await bench.all())[1]) == size

    virtual_time.run(scene())


def test_upload_waits_for_the_upstream_and_stops_with_the_response() -> None:
    async def scene() -> None:
        bench = Bench("POST")
        bench.connection.pause_writing()
        bench.exchange.send_stream(b"HEAD\r\n\r\n", parts(b"one", b"", b"two", b"never"), chunked=True)
        await virtual_time.until_idle()
        assert bench.wire.sent == b"HEAD\r\n\r\n3\r\none\r\n"
        bench.connection.data_received(b"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n")
        bench.connection.resume_writing()
        await virtual_time.until_idle()
        assert (await bench.all())[0].status == 413
        assert b"never" not in bench.wire.sent and bench.wire.closed and bench.free == []

    virtual_time.run(scene())


def test_upload_that_fails_fails_the_exchange() -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"one"
        raise LookupError("the client left")

    async def scene() -> None:
        bench = Bench("POST")
        bench.exchange.send_stream(b"HEAD\r\n\r\n", broken(), chunked=False)
        with pytest.raises(LookupError):
            await bench.exchange.head
        assert bench.wire.closed

    virtual_time.run(scene())


def test_a_client_that_is_slow_to_send_is_not_the_upstreams_silence() -> None:
    async def slow_parts() -> AsyncIterator[bytes]:
        for part in (b"one", b"two"):
            await virtual_time.sleep(10)
            yield part

    async def scene() -> None:
        bench = Bench("POST", timeout=0.2)
        bench.exchange.send_stream(b"HEAD\r\n\r\n", slow_parts(), chunked=False)
        await virtual_time.sleep(25)
        assert bench.wire.sent == b"HEAD\r\n\r\nonetwo" and bench.wire.closed
        with pytest.raises(httpx.ReadTimeout):  # when all is sent, it is the upstream's turn
            await bench.exchange.head

    virtual_time.run(scene())


def test_upload_that_is_complete_leaves_the_connection_usable() -> None:
    async def scene() -> None:
        bench = Bench("POST")
        bench.exchange.send_stream(b"HEAD\r\n\r\n", parts(b"one", b"", b"two"), chunked=True)
        await virtual_time.until_idle()
        assert bench.wire.sent == b"HEAD\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
        bench.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert bench.free == [bench.connection]

    virtual_time.run(scene())


def test_upload_stops_when_the_connection_is_lost() -> None:
    async def scene() -> None:
        bench = Bench("POST")
        bench.connection.pause_writing()
        bench.exchange.send_stream(b"HEAD\r\n\r\n", parts(b"one", b"never"), chunked=False)
        await virtual_time.until_idle()
        bench.connection.connection_lost(ConnectionResetError("reset"))
        with pytest.raises(httpx.ReadError, match="reset"):
            await bench.exchange.head
        await virtual_time.until_idle()
        assert bench.wire.sent == b"HEAD\r\n\r\none"

    virtual_time.run(scene())


def test_silence() -> None:
    async def scene() -> None:
        bench = Bench(timeout=5.0)
        with pytest.raises(httpx.ReadTimeout, match="no byte for 5 s"):
            await bench.exchange.head
        assert bench.wire.closed

    virtual_time.run(scene())


def test_silence_begins_with_the_last_byte() -> None:
    async def scene() -> None:
        bench = Bench(timeout=5.0)
        await virtual_time.sleep(3)
        bench.connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
        await virtual_time.sleep(4)
        assert not bench.wire.closed
        await virtual_time.sleep(2)
        assert bench.wire.closed
        assert await bench.exchange.read() == b"abc"
        with pytest.raises(httpx.ReadTimeout):
            await bench.exchange.read()

    virtual_time.run(scene())


def test_upstream_that_takes_no_bytes_is_silent() -> None:
    async def scene() -> None:
        bench = Bench("POST", timeout=5.0)
        bench.connection.pause_writing()
        bench.exchange.send_stream(b"HEAD\r\n\r\n", parts(b"one"), chunked=False)
        with pytest.raises(httpx.WriteTimeout):
            await bench.exchange.head

    virtual_time.run(scene())


def test_a_client_that_does_not_read_on_is_not_the_upstreams_silence() -> None:
    async def scene() -> None:
        bench = Bench(timeout=5.0)
        bench.connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(HIGH_WATER + 1))
        await virtual_time.sleep(25)
        assert bench.wire.paused and not bench.wire.closed
        assert len(await bench.exchange.read()) == HIGH_WATER + 1
        with pytest.raises(httpx.ReadTimeout):  # from here on it is the upstream's turn
            await bench.exchange.read()

    virtual_time.run(scene())


def test_given_up_before_the_response_is_complete() -> None:
    async def scene() -> None:
        bench = Bench()
        bench.exchange.give_up()
        bench.connection.resume_reading()
        with pytest.raises(httpx.ReadError):
            await bench.exchange.head
        assert bench.wire.closed and bench.free == []

    virtual_time.run(scene())


def test_status_101_is_no_answer() -> None:
    async def scene() -> None:
        bench = Bench()
        bench.connection.data_received(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
        with pytest.raises(httpx.RemoteProtocolError, match="invalid response"):
            await bench.exchange.head
        assert bench.wire.closed

    virtual_time.run(scene())
