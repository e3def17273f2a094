"""A turn on its way over its lane: its numbers, its owner, and how a delivery is cut."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.delivery.events import FOREVER, Emit, Step, Wait
from mockserver.engine.engine import Engine
from mockserver.websocket.playback import Playback, take_events, to_error
from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import MockError
from tests.support.driving import NOON
from tests.support.sockets import Frames

ONE, TWO, THREE = ({"type": "x", "sequence_number": number} for number in range(3))


@pytest.mark.parametrize(
    ("count", "beginning"),
    [
        (0, []),
        (1, [Wait(1.0), Emit([ONE])]),
        (2, [Wait(1.0), Emit([ONE, TWO])]),
        (3, [Wait(1.0), Emit([ONE, TWO]), FOREVER, Emit([THREE])]),
    ],
)
def test_the_beginning_of_a_delivery_has_its_waits_but_none_after_its_last_event(
    count: int, beginning: list[Step]
) -> None:
    assert take_events([Wait(1.0), Emit([ONE, TWO]), FOREVER, Emit([THREE]), Wait(2.0)], count) == beginning


def test_all_of_a_delivery_keeps_what_waits_at_its_end() -> None:
    assert take_events([Emit([ONE]), Wait(2.0)], 2) == [Emit([ONE]), Wait(2.0)]


def test_an_error_of_the_api_answers_as_it_is_and_one_of_the_mock_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    refused, own = errors.missing_parameter("x"), MockError("no", status=501)
    assert (to_error(refused), to_error(own)) == (refused, own)
    assert not caplog.records
    with caplog.at_level(logging.ERROR, "understudy"):
        fault = to_error(ZeroDivisionError("deliberate"))
    assert isinstance(fault, MockError)
    assert (fault.status, "deliberate" in fault.message) == (500, False)
    assert "deliberate" in caplog.text


class Owner:
    """A connection that keeps what its turns tell it."""

    def __init__(self) -> None:
        self.calls: list[Any] = []

    def commit(self, playback: Playback) -> None:
        self.calls.append("commit")

    def abandon(self, playback: Playback) -> None:
        self.calls.append("abandon")

    def remember(self, playback: Playback) -> None:
        self.calls.append("remember")

    def interruption(self, playback: Playback, number: int) -> None:
        self.calls.append(number)


def owned(owner: Owner) -> Playback:
    """Return a paced turn that another connection would play."""
    frames = Frames(Engine(Settings(clock=NOON)))
    frames.script({"reply": {"text": "one two"}, "pacing": {"first_token": 1, "tokens_per_second": 1}})
    frames.send()
    (playback,) = frames.playing
    delivery: Any = type("Delivery", (), {"turn": playback.turn, "running": True, "steps": playback.player.steps})
    return Playback(owner, "a", playback.request, delivery, playback.recorder)


def test_a_turn_is_committed_before_it_is_remembered() -> None:
    owner = Owner()
    playback = owned(owner)
    while playback.player.next() is not None:
        pass
    assert owner.calls[-2:] == ["commit", "remember"]
    numbers = owner.calls[:-2]
    assert numbers == sorted(numbers) and set(numbers) <= set(range(playback.number))
    assert playback.recorder.exchange.ended == "delivered"
    playback.player.leave()
    assert owner.calls[-1] == "remember", "what has ended is not abandoned"


def test_who_leaves_abandons_the_turn() -> None:
    owner = Owner()
    playback = owned(owner)
    playback.player.next()
    playback.player.leave()
    assert owner.calls == ["abandon"]
    assert playback.recorder.exchange.ended == "disconnected"


def test_X6_events_about_steering_take_numbers_of_the_turn() -> None:
    playback = owned(Owner())
    playback.player.next()
    assert (playback.number, playback.take_number(), playback.take_number(), playback.number) == (2, 2, 3, 4)
