"""Background responses: what a poll, a stream or a cancel finds of a turn in progress. Spec: R6.1–R6.10, S8 i, S11.

Progress is a function of the clock: the turn's delivery is split at the time that has passed, nothing runs meanwhile.
"""

# How it works. A background turn is laid out in time when it begins. A poll splits the layout at the seconds that
# have passed since: what lies before has happened, and the fold of it is the answer. A stream sends it and waits
# for the rest.
#
# What must stay true:
# * Two polls at the same time give the same bytes, and so do a poll in this process and one in another.
# * An item is in a poll's output when it is done, not when it has begun (R6.2). That is the one way in which this
#   fold differs from that of a stream.
# * Cancelling is judged by the status that a poll would show at that moment, queued and in progress included.

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson

from mockserver.core import lifecycle
from mockserver.core.lifecycle import Running, read_running
from mockserver.core.lineage import live_response, missing
from mockserver.core.records import Change, Put, State
from mockserver.core.semantics import Semantics
from mockserver.core.state import Node, decode_node
from mockserver.core.transitions import ABSENT, BACKGROUND, MODES, transition
from mockserver.core.turn import public_events
from mockserver.delivery.events import Emit, TimedStep, Wait, deliver, fold
from mockserver.delivery.item_events import Cues
from mockserver.wire.errors import api as errors
from mockserver.wire.requests.query import RetrieveQuery
from mockserver.wire.responses import events, response_object
from mockserver.wire.responses.encoding import json_body
from mockserver.wire.responses.events import Event


def steps_of(running: Running, rules: Semantics) -> Sequence[TimedStep]:
    """The delivery of a turn in progress, from its beginning."""
    final = orjson.loads(running.body or "{}")
    return deliver(public_events(final, decode_node(running.node).cues, rules), *running.pacing)


def refuse_replay(final: dict[str, Any], node: Node) -> None:
    """Refuse to send the events of a finished response again, but for a stream in the background. Spec: R6.8."""
    if not final["background"]:
        raise errors.stream_without_background()
    if not node.streamed:
        raise errors.stream_without_stream()


def queue_view(final: dict[str, Any], cues: Cues) -> dict[str, Any]:
    """The Response as it is answered at once: queued, without output, usage or billing. Spec: R6.1, W9."""
    return {**response_object.in_progress_view(final, cues), "status": transition(BACKGROUND, ABSENT, "create")}


def split(steps: Sequence[TimedStep], elapsed: float) -> tuple[list[Event], list[TimedStep]]:
    """The events that have happened after so many seconds, and the steps that are left."""
    past: list[Event] = []
    for at, step in enumerate(steps):
        if isinstance(step, Emit):
            past += step.events
        elif step.seconds > elapsed:
            return past, [Wait(step.seconds - elapsed), *steps[at + 1 :]]
        else:
            elapsed -= step.seconds
    return past, []


def partial_view(past: list[Event]) -> dict[str, Any]:
    """The Response as a poll finds it: the last status, and the items that are done. Spec: R6.2, O1."""
    return fold(past, begun=False)


def drop_until(steps: list[TimedStep], number: int) -> list[TimedStep]:
    """A delivery without the events up to a sequence number. Spec: S11.1."""
    return [
        Emit([event for event in step.events if event["sequence_number"] > number]) if isinstance(step, Emit) else step
        for step in steps
    ]


def read_running_turn(
    state: State, id: str, rules: Semantics, query: RetrieveQuery, now: float
) -> bytes | list[TimedStep] | None:
    """Return what is to be seen of a background turn by now, or the delivery of its events; None when none runs.

    Spec: R6.2, R6.8, S11.
    """
    running = read_running(state, id)
    if running is None or not running.background:
        return None
    past, rest = split(steps_of(running, rules), now - running.started_at)
    if not query.stream:
        return json_body(partial_view(past))
    if not decode_node(running.node).streamed:
        raise errors.stream_without_stream()
    return drop_until([Emit(past), *rest], -1 if query.starting_after is None else query.starting_after)


def running_now(state: State, rules: Semantics, now: float) -> list[tuple[int, dict[str, Any]]]:
    """The background responses in progress as a poll finds them, each with its place among the project's turns."""
    found = [Running(**orjson.loads(record.doc)) for record in state.scan("running")]
    return [
        (one.order, partial_view(split(steps_of(one, rules), now - one.started_at)[0]))
        for one in found
        if one.background
    ]


def visible_node(state: State, id: str, rules: Semantics, now: float) -> Node | None:
    """The node of a response that can be retrieved, be it stored or in progress in the background; else None."""
    node = live_response(state, id, rules, now)
    if node is not None and state.get("response", id) is not None:
        return node
    running = read_running(state, id)
    return decode_node(running.node) if running is not None and running.background else None


def cancel(state: State, id: str, rules: Semantics, now: float) -> tuple[bytes, list[Change]]:
    """Cancel a response in the background; raises E75, E76, E77, a cancelled one stays as it is.

    Spec: O6, R6.3–R6.5.
    """
    running = read_running(state, id)
    if running is not None and running.background:
        past, _ = split(steps_of(running, rules), now - running.started_at)
        found = partial_view(past)
        transition(BACKGROUND, found["status"], "cancel", id=id)
        kept = found["output"] if rules.cancelled_output == "kept" else []
        changes = lifecycle.cancel(state, replace(running, ends_at=now), rules, [item["id"] for item in kept])
        written = next(change.doc for change in changes if isinstance(change, Put) and change.kind == "response")
        return written, changes
    body, node = state.get("response", id), live_response(state, id, rules, now)
    if body is None or node is None:
        raise missing(state, id, rules, now)
    transition(MODES[orjson.loads(body)["background"]], node.status, "cancel", id=id)
    return body, []


def interruption(state: State, id: str, number: int) -> list[Event] | None:
    """Return how a stream goes on: None as it does, else with these events (from `number`) and without waiting.

    A turn that the clock has ended has no reason to wait; one that was cancelled ends at once. Spec: S12.5.
    """
    body = state.get("response", id)
    if body is None or state.get("running", id) is not None:
        return None
    final = response_object.without_billing(orjson.loads(body))
    return [events.lifecycle("response.failed", final, number)] if final["status"] == "cancelled" else []
