"""Faults on their way out: an answer that is delayed, cut, stalled, garbled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mockserver.control import effects
from mockserver.control.effects import Effect
from mockserver.core.turn import Emit, Wait
from mockserver.transport.http import Answer
from mockserver.wire.events import sse


def damaged(answer: Answer, struck: Sequence[Effect]) -> Answer:
    """Return an answer as faults leave it."""
    if not struck:
        return answer
    delay = effects.delay(struck)
    if answer.streamed:
        steps = [step for step in answer.steps or () if isinstance(step, Emit | Wait)]
        return replace(answer, delay=delay, steps=effects.on_steps(steps, struck, lambda event: sse([event])))
    body, after, stalls = effects.on_body(answer.body, struck)
    return replace(answer, delay=delay, body=body, after=after, stalls=stalls)
