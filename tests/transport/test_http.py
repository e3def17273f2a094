"""Requests in, answers out: body limits, steps in time, clients that leave."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from mockserver.core.turn import Emit, Wait
from mockserver.transport import http
from mockserver.transport.http import Answer
from mockserver.wire.errors import APIError, MockError
from mockserver.wire.events import Event


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

    asyncio.run(
        http.send_answer(answer, http.all_headers(answer, [(b"x-common", b"1")]), receiver(*messages), send, head=head)
    )
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


def test_errors_are_answers() -> None:
    answer = http.error_answer(MockError("no", status=501))
    assert (answer.status, answer.headers) == (501, ((b"x-should-retry", b"false"),))


EVENT = {"type": "a"}


def test_instant_steps_leave_in_one_write() -> None:
    start, body = deliver(Answer(content_type=http.SSE, steps=[Emit([EVENT, EVENT])], streamed=True))
    assert (b"content-type", b"text/event-stream; charset=utf-8") in start["headers"]
    assert b"content-length" not in dict(start["headers"])
    assert body["body"] == b'event: a\ndata: {"type":"a"}\n\n' * 2
    assert not body["more_body"]


def test_steps_are_taken_in_order_and_the_turn_ends_before_the_last_byte() -> None:
    log: list[str] = []
    steps = [Emit([EVENT]), Wait(0.01), Emit([EVENT])]
    answer = Answer(steps=steps, streamed=True, ended=lambda: log.append("ended"))
    sent = deliver(answer)
    assert [message.get("more_body") for message in sent[1:]] == [True, False]
    assert log == ["ended"]


def test_a_json_body_may_take_its_time() -> None:
    log: list[str] = []
    start, body = deliver(Answer(b"{}", steps=[Wait(0.01)], ended=lambda: log.append("ended")))
    assert (start["status"], body["body"], log) == (200, b"{}", ["ended"])


@pytest.mark.parametrize("streamed", [True, False])
def test_a_client_that_leaves_while_waiting_ends_the_delivery_only(streamed: bool) -> None:
    log: list[str] = []
    answer = Answer(b"{}", steps=[Wait(3600), Emit([EVENT])], streamed=streamed, ended=lambda: log.append("ended"))
    sent = deliver(answer, {"type": "http.disconnect"})
    assert len(sent) == streamed
    assert log == []


def test_S12_5_a_stream_that_waits_looks_whether_it_was_interrupted() -> None:
    asked: list[int] = []

    def interrupted(number: int) -> list[Event] | None:
        asked.append(number)
        return [EVENT] if len(asked) == 3 else None

    answer = Answer(steps=[Emit([EVENT]), Wait(8.0), Emit([EVENT])], streamed=True, interrupted=interrupted)
    found = [*http.pieces(answer)]
    assert found[1:4] == [http.LOOK_S] * 3 and asked == [1] * 3
    assert isinstance(found[-1], http.Piece) and not found[-1].more and len(found) == 5


def test_S4_comments_come_as_often_as_before_when_a_stream_looks_in_between() -> None:
    answer = Answer(steps=[Wait(2.5), Emit([EVENT])], streamed=True, silence=1.0, interrupted=lambda number: None)
    parts = [*http.pieces(answer)]
    assert sum(part for part in parts if not isinstance(part, http.Piece)) == 2.5
    assert [at for at, part in enumerate(parts) if isinstance(part, http.Piece) and part.body == http.COMMENT] == [4, 9]
