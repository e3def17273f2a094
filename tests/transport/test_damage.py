"""Answers as faults leave them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from mockserver.control.effects import Act, At, Cut, Effect, Garble, Part
from mockserver.core.turn import Emit, Wait
from mockserver.transport.abort import Abort
from mockserver.transport.damage import damaged
from mockserver.transport.http import Answer, Piece, pieces

EVENT = {"type": "a", "sequence_number": 0}


def test_without_faults_an_answer_stays_as_it_is() -> None:
    answer = Answer(b"{}")
    assert damaged(answer, []) is answer


def test_whole_bodies() -> None:
    answer = damaged(Answer(b"{}"), [Effect("delay", 2), Effect("cut", None, At(bytes=1)), Effect("malformed")])
    assert (answer.body, answer.delay, answer.after, answer.stalls) == (b"{", 2, 1, False)
    assert damaged(Answer(b"{}"), [Effect("stall")]).delay == math.inf


def test_streams() -> None:
    answer = damaged(Answer(steps=[Emit([EVENT])], streamed=True), [Effect("delay", 2), Effect("cut", None, At("a"))])
    assert answer.delay == 2 and answer.steps == [Emit([EVENT]), Cut()]


def test_what_leaves_of_a_struck_stream() -> None:
    stream: list[Act] = [Emit([EVENT]), Garble(EVENT), Part(b"event"), Cut()]
    ends: list[str] = []
    answer = Answer(steps=stream, streamed=True, left=lambda: ends.append("left"), ended=lambda: ends.append("ended"))
    with pytest.raises(Abort):
        list(pieces(answer))
    sent = list(_until_abort(answer))
    whole = b'event: a\ndata: {"type":"a","sequence_number":0}\n\n'
    assert [piece.body for piece in sent] == [whole, whole.replace(b"}", b""), b"event"]
    assert set(ends) == {"left"}


def test_a_stream_whose_last_event_was_dropped_ends_all_the_same() -> None:
    ends: list[str] = []
    for steps in ([Emit([EVENT]), Wait(0)], []):
        answer = Answer(steps=steps, streamed=True, tail=b"tail", ended=lambda: ends.append("ended"))
        assert list(pieces(answer))[-1] == Piece(b"tail", more=False)
    assert len(ends) == 2


def test_a_body_that_is_cut_or_stalls() -> None:
    assert list(_until_abort(Answer(b"{}", after=1))) == [Piece(b"{", more=True)]
    assert list(_until_abort(Answer(b"{}", after=1, stalls=True))) == [Piece(b"{", more=True), math.inf]


def _until_abort(answer: Answer) -> Iterator[Any]:
    with suppress(Abort):
        yield from pieces(answer)
