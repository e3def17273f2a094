"""Requests in, answers out: body limits, steps in time, clients that leave."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mockserver.delivery.answer import SSE, Answer, error_answer
from mockserver.delivery.events import FOREVER, Body, Cut, Emit, Malformed, Partial, Step, Wait
from mockserver.delivery.player import CUT, DELIVERED, DISCONNECTED, Player
from mockserver.transport import http
from mockserver.transport.abort import Abort
from mockserver.transport.http import Chunk
from mockserver.wire.errors.api import APIError, MockError


def receiver(*messages: dict[str, Any]) -> Any:
    left = list(messages)

    async def receive() -> dict[str, Any]:
        if not left:
            await asyncio.Event().wait()
        return left.pop(0)

    return receive


def chunk(body: bytes, *, more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": body, "more_body": more}


def read(*messages: dict[str, Any], limit: int = 10, **headers: bytes) -> bytes:
    named = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    return asyncio.run(http.read_body(receiver(*messages), named, limit))


def deliver(answer: Answer, *messages: dict[str, Any], head: bool = False) -> list[dict[str, Any]]:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = http.all_headers(answer, [(b"x-common", b"1")])
    asyncio.run(http.send_answer(answer, headers, receiver(*messages), send, head=head))
    return sent


def test_bodies_are_read_whole() -> None:
    assert read(chunk(b"abc")) == b"abc"
    assert read(chunk(b"abc", more=True), chunk(b"", more=True), chunk(b"de")) == b"abcde"
    assert read(chunk(b"")) == b""


@pytest.mark.parametrize(
    ("messages", "headers"),
    [
        ([chunk(b"x" * 11)], {}),
        ([chunk(b"x" * 6, more=True), chunk(b"x" * 5)], {}),
        ([], {"content_length": b"11"}),
    ],
)
def test_a_body_over_the_limit_is_413(messages: list[Any], headers: dict[str, bytes]) -> None:
    with pytest.raises(APIError) as caught:
        read(*messages, **headers)
    assert caught.value.status == 413


def test_a_client_that_leaves_while_sending() -> None:
    with pytest.raises(http.Disconnected):
        read(chunk(b"a", more=True), {"type": "http.disconnect"})


def test_a_body_goes_out_with_its_length() -> None:
    start, body = deliver(Answer(b"hello", 201))
    assert start["status"] == 201
    assert start["headers"] == [(b"content-type", b"application/json"), (b"x-common", b"1"), (b"content-length", b"5")]
    assert body == {"type": "http.response.body", "body": b"hello"}
    assert deliver(Answer(b"hello"), head=True)[1]["body"] == b""


@pytest.mark.parametrize(
    "header",
    [
        (b"x-a", b"1\r\nx-b: 2"),
        (b"x-a", b"\0"),
        (b"x a", b"1"),
        (b"x-a\r\n", b"1"),
        (b"x:a", b"1"),
        (b"X-A", b"1"),
        (b"", b""),
    ],
)
def test_lines_of_headers_that_could_end_themselves_are_never_written(header: tuple[bytes, bytes]) -> None:
    assert http.write_lines([(b"x-a", b"1"), (b"x-b", b"")]) == b"x-a: 1\r\nx-b: \r\n"
    with pytest.raises(ValueError, match="not headers"):
        http.write_lines([(b"x-a", b"1"), header])


@pytest.mark.parametrize(
    ("headers", "short"),
    [
        ({}, True),
        ({b"content-length": b"10"}, True),
        ({b"content-length": b"11"}, False),
        ({b"content-length": b"1" * 5000}, False),
        ({b"content-length": b"-1"}, False),
        ({b"transfer-encoding": b"chunked"}, False),
    ],
)
def test_only_a_short_body_is_awaited(headers: dict[bytes, bytes], short: bool) -> None:
    """Of a larger one its client is told before it is sent, and what has no length may never end."""
    assert http.is_short(headers, 10) is short


def test_errors_are_answers() -> None:
    answer = error_answer(MockError("no", status=501))
    assert (answer.status, answer.headers) == (501, ((b"x-should-retry", b"false"),))


EVENT = {"type": "a", "sequence_number": 0}
WHOLE = b'event: a\ndata: {"type":"a","sequence_number":0}\n\n'


class Silent:
    """A listener that keeps how the delivery ended."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def emit(self, events: int) -> None: ...
    def finish_turn(self) -> None: ...

    def end(self, how: str) -> None:
        self.told.append(how)

    def interruption(self, number: int) -> None: ...


def streamed(*steps: Step, tail: bytes = b"", log: Silent | None = None) -> Answer:
    return Answer(content_type=SSE, streamed=True, tail=tail, player=Player(steps, log or Silent()))


def test_a_stream_that_leaves_at_once_is_one_body() -> None:
    start, body = deliver(Answer(content_type=SSE, streamed=True, events=[EVENT, EVENT], tail=b"end"))
    assert (b"content-type", b"text/event-stream; charset=utf-8") in start["headers"]
    assert b"content-length" not in dict(start["headers"])
    assert body == {"type": "http.response.body", "body": WHOLE * 2 + b"end"}


def test_steps_are_taken_in_order_and_the_last_one_ends_the_body() -> None:
    log = Silent()
    start, *parts = deliver(streamed(Emit([EVENT]), Wait(0.001), Emit([EVENT]), tail=b"end", log=log))
    assert start["status"] == 200
    assert [(part["body"], part["more_body"]) for part in parts] == [(WHOLE, True), (WHOLE + b"end", False)]
    assert log.told == [DELIVERED]


def test_a_json_body_may_take_its_time() -> None:
    start, body = deliver(Answer(b"{}", player=Player([Wait(0.001), Body(b"{}")], Silent())))
    assert (b"content-length", b"2") in start["headers"]
    assert (start["status"], body["body"], body["more_body"]) == (200, b"{}", False)


@pytest.mark.parametrize("first", [True, False])
def test_a_client_that_leaves_while_waiting_ends_the_delivery(first: bool) -> None:
    log = Silent()
    steps: list[Step] = [Wait(3600), Emit([EVENT])]
    sent = deliver(streamed(*([Emit([EVENT]), *steps] if first else steps), log=log), {"type": "http.disconnect"})
    assert len(sent) == (2 if first else 0), "nothing comes before the first step, the head neither"
    assert log.told == [DISCONNECTED]


def test_a_delivery_in_which_the_mock_fails_has_an_end() -> None:
    log = Silent()
    events: list[Any] = [EVENT, {"type": "b", "value": object()}]  # which nothing can encode
    with pytest.raises(TypeError):
        deliver(streamed(Emit(events[:1]), Emit(events[1:]), Emit([EVENT]), log=log))
    assert log.told == [DISCONNECTED]


def test_what_leaves_of_a_struck_stream() -> None:
    log = Silent()
    sent: list[Any] = []
    with pytest.raises(Abort):
        sent.extend(
            http.chunks(streamed(Emit([EVENT]), Malformed(EVENT), Partial(b"event"), Cut(), tail=b"end", log=log))
        )
    steps = http.chunks(streamed(Emit([EVENT]), Malformed(EVENT), Partial(b"event"), FOREVER, tail=b"end"))
    sent = [next(steps) for _ in range(4)]
    assert sent == [
        Chunk(WHOLE, more=True),
        Chunk(WHOLE.replace(b"}", b""), more=True),
        Chunk(b"event", more=True),
        FOREVER,
    ]
    assert log.told == [CUT]


def test_a_stream_whose_last_event_was_dropped_ends_all_the_same() -> None:
    for steps in ([Emit([EVENT]), Wait(0.001)], []):
        assert list(http.chunks(streamed(*steps, tail=b"tail")))[-1] == Chunk(b"tail", more=False)


def test_a_signal_of_life_is_a_comment() -> None:
    answer = Answer(streamed=True, player=Player([Emit([EVENT]), Wait(9), Emit([EVENT])], Silent(), keep_alive_s=5))
    assert [one.data for one in http.chunks(answer) if isinstance(one, Chunk)] == [WHOLE, b": keep-alive\n\n", WHOLE]


@pytest.mark.parametrize("more", [-1, 0, 1, http.MOST_WRITTEN, http.MOST_WRITTEN + 1])
@pytest.mark.parametrize("streamed", [False, True])
def test_a_large_body_arrives_whole_in_pieces(more: int, streamed: bool) -> None:
    size = http.MOST_WRITTEN + more
    event = {**EVENT, "text": "x" * size}
    answer = Answer(content_type=SSE, streamed=True, events=[event]) if streamed else Answer(bytes(range(256)) * size)
    answer = answer if streamed else answer._replace(body=answer.body[:size])
    whole = http.whole_body(answer)
    start, *pieces = deliver(answer)
    assert start["type"] == "http.response.start"
    assert b"".join(piece["body"] for piece in pieces) == whole
    assert max(len(piece["body"]) for piece in pieces) <= http.MOST_WRITTEN
    assert len(pieces) == -(-len(whole) // http.MOST_WRITTEN)
    assert [piece.get("more_body", False) for piece in pieces] == [True] * (len(pieces) - 1) + [False]


def test_HEAD_of_a_large_body_has_its_length_and_no_byte() -> None:
    size = 3 * http.MOST_WRITTEN
    start, *pieces = deliver(Answer(b"x" * size), head=True)
    assert (b"content-length", b"%d" % size) in start["headers"]
    assert pieces == [{"type": "http.response.body", "body": b""}]


def test_others_are_served_between_two_pieces_and_a_slow_reader_holds_them_back() -> None:
    """A piece is handed over when the one before was taken; meanwhile the loop does other things."""
    answer = Answer(b"x" * (4 * http.MOST_WRITTEN))
    order: list[str] = []

    async def both() -> None:
        taken = asyncio.Semaphore(1)

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await taken.acquire()
                order.append("piece")

        async def serve_others() -> None:
            while len(order) < 7:
                if order[-1:] == ["piece"]:
                    order.append("other")
                    taken.release()
                await asyncio.sleep(0)

        headers = http.all_headers(answer, [])
        await asyncio.gather(http.send_answer(answer, headers, receiver(), send, head=False), serve_others())

    asyncio.run(both())
    assert order == ["piece", "other"] * 3 + ["piece"]


def test_a_client_that_leaves_midway_gets_no_further_piece() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)
        if len(sent) == 3:
            raise ConnectionResetError

    answer = Answer(b"x" * (9 * http.MOST_WRITTEN))
    with pytest.raises(ConnectionResetError):
        asyncio.run(http.send_answer(answer, http.all_headers(answer, []), receiver(), send, head=False))
    assert len(sent) == 3
