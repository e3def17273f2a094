"""Answers as faults leave them."""

from __future__ import annotations

import math

from mockserver.control.effects import At, Cut, Effect
from mockserver.core.turn import Emit
from mockserver.transport.damage import damaged
from mockserver.transport.http import Answer

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
