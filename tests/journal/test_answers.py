"""Kept answers: bounded in bytes, forgotten with their project, and told apart by their exchange."""

from __future__ import annotations

import pytest

from mockserver.config.settings import Settings
from mockserver.delivery.events import Emit, Wait
from mockserver.engine.engine import Engine
from mockserver.journal.answers import EVENT, LIGHTEST, KeptAnswer, KeptAnswers
from mockserver.journal.exchange import Call, Exchange
from mockserver.wire.requests.frames import with_lane
from tests.support.sockets import Frames


def kept(size: int = 0, started: float = 0.0, **more: object) -> KeptAnswer:
    call = Call(body=b"")
    return KeptAnswer(call, Exchange(call, "http", started), b"x" * size, **more)


def test_the_oldest_answers_of_the_oldest_project_go_first() -> None:
    answers = KeptAnswers(4 * LIGHTEST)
    first = [kept() for _ in range(3)]
    for answer in first:
        answers.add("a", answer)
    other = kept(started=1.0)
    answers.add("b", other)
    assert answers.of("a") == first and answers.of(None) == [*first, other]
    answers.add("b", late := kept(started=2.0))
    assert answers.of("a") == first[1:] and answers.of("b") == [other, late]
    answers.add("b", kept(4 * LIGHTEST))  # one that is too large for all
    assert answers.of(None) == []


def test_answers_that_go_on_otherwise_are_dropped() -> None:
    answers = KeptAnswers(4 * LIGHTEST)
    one, other = kept(), kept()
    answers.add("a", one)
    answers.add("a", other)
    answers.drop("a", one.exchange)
    answers.drop("none", one.exchange)
    assert [answer.exchange for answer in answers.of("a")] == [other.exchange]
    answers.forget("a")
    answers.forget("a")
    assert answers.of("a") == []
    for _ in range(4):
        answers.add("a", kept())
    assert len(answers.of("a")) == 4, "what was forgotten weighs nothing"


def test_a_project_whose_last_answer_was_dropped_is_in_nobody_s_way() -> None:
    answers = KeptAnswers(4 * LIGHTEST)
    steered = kept()
    answers.add("a", steered)
    answers.drop("a", steered.exchange)
    for _ in range(6):
        answers.add("b", kept())
    assert len(answers.of("b")) == 4


def test_a_stream_weighs_as_much_as_its_events() -> None:
    steps = (Emit([{"type": "a"}, {"type": "b"}]), Wait(1.0), Emit([{"type": "c"}]))
    assert kept(10, steps=steps).weight == LIGHTEST + 10 + 3 * EVENT


def test_the_events_of_a_stream_are_made_again() -> None:
    engine = Engine(Settings())
    for options in ("", ',"stream_options":{"include_obfuscation":false}'):
        body = b'{"model":"gpt-4.1","input":"x","stream":true%b}' % options.encode()
        answer = engine.handle(Call(body=body, project="a"))
        made = engine.journal.answers("a")[-1]
        assert made.laid_out() == (Emit(answer.events),) and not made.steps
        assert made.weight > len(body) + LIGHTEST
    engine.handle(Call("GET", "/v1/models", project="a"))
    assert engine.journal.answers("a")[-1].laid_out() == ()
    engine.close()


@pytest.mark.parametrize("lane", [None, "a"])
def test_the_frames_of_a_socket_are_made_again_as_they_were_sent(lane: str | None) -> None:
    frames = Frames()
    more = {} if lane is None else {"stream_id": lane}
    for _ in range(3):  # the third is answered by a plan
        sent = frames.send("x", model="gpt-4.1", stream_options={"include_obfuscation": False}, **more)
        kept = frames.engine.journal.answers(frames.project)[-1]
        (step,) = kept.laid_out()
        assert isinstance(step, Emit) and not kept.steps and "obfuscation" in step.events[4]
        assert [with_lane(event, kept.lane) for event in step.events] == sent
