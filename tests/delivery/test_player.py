"""The player of deliveries: what it hands out and when, whom it tells, how it ends."""

from __future__ import annotations

import math
from typing import Any

from mockserver.delivery.events import FOREVER, Body, Cut, Emit, Malformed, Partial, Step, Wait
from mockserver.delivery.player import CLOSED, CUT, DELIVERED, DISCONNECTED, KEEP_ALIVE, POLL_S, Player

A, B = ({"type": kind, "sequence_number": number} for number, kind in enumerate("ab"))


class Log:
    """A listener that writes down what it is told; `answers` are what it says of interruptions, None at the end."""

    def __init__(self, *answers: Any) -> None:
        self.told: list[Any] = []
        self.asked: list[int] = []
        self._answers = list(answers)

    def emit(self, events: int) -> None:
        self.told.append(events)

    def finish_turn(self) -> None:
        self.told.append("turn")

    def end(self, how: str) -> None:
        self.told.append(how)

    def interruption(self, number: int) -> Any:
        self.asked.append(number)
        return self._answers.pop(0) if self._answers else None


def play(steps: list[Step], log: Log | None = None, **how: float) -> list[Any]:
    player = Player(steps, log or Log(), **how)
    found = []
    while (step := player.next()) is not None:
        found.append(step)
    assert player.ended
    return found


def test_the_turn_is_over_before_its_last_events_are_handed_out() -> None:
    log = Log()
    player = Player([Emit([A]), Wait(1), Emit([B])], log)
    assert player.next() == Emit([A]) and log.told == [1]
    assert player.next() == Wait(1) and not player.ended
    assert player.next() == Emit([B]) and log.told == [1, 1, "turn", DELIVERED] and player.ended
    assert player.next() is None and player.next() is None
    assert log.told[-1] == DELIVERED and log.told.count("turn") == 1


def test_a_turn_whose_last_events_a_fault_took_ends_all_the_same() -> None:
    log = Log()
    assert play([Emit([A]), Wait(1)], log) == [Emit([A]), Wait(1)]
    assert log.told == [1, "turn", DELIVERED]
    log = Log()
    assert play([], log) == [] and log.told == ["turn", DELIVERED]


def test_how_deliveries_break_off() -> None:
    for cut, how in ((Cut(), CUT), (Cut(4001), CLOSED)):
        log = Log()
        assert play([Emit([A]), Malformed(B), Partial(b"x"), cut], log)[-1] == cut
        assert log.told == [1, 1, how]
    log = Log()
    player = Player([Emit([A]), FOREVER], log)
    assert (player.next(), player.next()) == (Emit([A]), FOREVER)
    player.leave()
    player.leave()
    assert log.told == [1, DISCONNECTED]


def test_a_body_is_the_end_of_its_turn_also_where_it_is_cut() -> None:
    log = Log()
    assert play([Wait(2), Body(b"{"), Cut()], log) == [Wait(2), Body(b"{"), Cut()]
    assert log.told == ["turn", CUT]
    log = Log()
    assert play([Body(b"{}")], log) == [Body(b"{}")]
    assert log.told == ["turn", DELIVERED]


def test_S4_comments_come_in_the_silence_of_a_stream_that_has_begun() -> None:
    def parts(*steps: Step) -> list[Any]:
        return play(list(steps), keep_alive_s=1.0)

    assert parts(Emit([A]), Wait(2.5), Emit([B])) == [
        Emit([A]), Wait(1.0), KEEP_ALIVE, Wait(1.0), KEEP_ALIVE, Wait(0.5), Emit([B]),
    ]  # fmt: skip
    assert parts(Wait(2.5), Emit([B])) == [Wait(2.5), Emit([B])]
    assert parts(Emit([A]), Wait(1.0), Emit([B])) == [Emit([A]), Wait(1.0), Emit([B])]


def test_S4_comments_come_as_often_when_a_stream_looks_in_between() -> None:
    found = play([Emit([A]), Wait(2.5), Emit([B])], keep_alive_s=1.0, poll_s=POLL_S)
    assert sum(step.seconds for step in found if isinstance(step, Wait)) == 2.5
    assert [at for at, step in enumerate(found) if step == KEEP_ALIVE] == [5, 10]


def test_S12_5_a_stream_that_waits_looks_whether_it_was_interrupted() -> None:
    log = Log(None, None, [B])
    found = play([Emit([A]), Wait(8.0), Emit([A, A]), Wait(1), Emit([A])], log, poll_s=POLL_S)
    assert found == [Emit([A]), *[Wait(POLL_S)] * 3, Emit([B])]
    assert log.asked == [1] * 3 and log.told == [1, 1, "turn", DELIVERED]


def test_a_turn_that_the_clock_has_ended_waits_no_more_but_a_stall_stays() -> None:
    found = play([Emit([A]), Wait(8), Emit([B]), Wait(8), Emit([A])], Log([]))
    assert found == [Emit([A]), Wait(8), Emit([B]), Emit([A])]
    player = Player([Emit([A]), Wait(8), Wait(9), FOREVER], Log([]))
    assert [player.next() for _ in range(3)] == [Emit([A]), Wait(8), FOREVER]
    assert player.next() is None


def test_the_rest_can_be_replaced_while_it_waits() -> None:
    player = Player([Emit([A]), Wait(8), Emit([A])], Log(), poll_s=1.0)
    assert (player.next(), player.next()) == (Emit([A]), Wait(1.0))
    player.replace_rest([Emit([B])])
    assert [player.next() for _ in range(8)][-1] == Emit([B])
    player = Player([Emit([A]), Wait(8), Emit([A])], Log())
    assert (player.next(), player.next()) == (Emit([A]), Wait(8))
    player.replace_rest([Emit([B])], at_once=True)
    assert player.next() == Emit([B])


def test_numbers_and_what_takes_no_time() -> None:
    player = Player([Emit([A, B]), Wait(0.0), Emit([])], Log())
    assert player.number == 0 and not player.instant
    assert (player.next(), player.number) == (Emit([A, B]), 2)
    assert (player.next(), player.number, player.instant) == (Emit([]), 2, True)
    assert Player([Malformed(B)], Log()).instant
    assert not Player([Wait(math.inf)], Log()).instant
