"""What holds for every stream: real ones pass, and whatever is changed in them is noticed."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from mockserver.conformance.drivers import EngineDriver
from mockserver.conformance.machine.requests import CALLING
from mockserver.conformance.stream_invariants import check_stream

Events = list[dict[str, Any]]


def stream(model: str = "gpt-5.6-terra", **fields: Any) -> Events:
    answer = EngineDriver().call("POST", "/responses", {"model": model, "input": "red", "stream": True, **fields})
    assert answer.events is not None
    return answer.events


@pytest.mark.parametrize("fields", [{}, CALLING, {"background": True}, {"reasoning": {"summary": "auto"}}])
def test_our_own_streams_hold(fields: dict[str, Any]) -> None:
    events = stream(**fields)
    assert check_stream(events) == events[-1]["response"]


def _renumbered(events: Events) -> None:
    del events[3]
    for number, event in enumerate(events):
        event["sequence_number"] = number


def _at(kind: str, **changes: Any) -> Callable[[Events], None]:
    def change(events: Events) -> None:
        next(event for event in events if event["type"] == kind).update(changes)

    return change


def _text(events: Events) -> None:
    done = [event for event in events if event["type"] == "response.output_item.done"][-1]
    done["item"]["content"][0]["text"] += "!"
    events[-1]["response"]["output"][-1] = done["item"]


CHANGES: dict[str, Callable[[Events], None]] = {
    "an event is missing": lambda events: events.__delitem__(5),
    "an event is missing, unnoticed by numbers": _renumbered,
    "two are exchanged": lambda events: events.__setitem__(slice(4, 6), events[5:3:-1]),
    "it has no end": lambda events: events.__delitem__(-1),
    "it does not begin": lambda events: events.__delitem__(0),
    "another item's delta": _at("response.output_text.delta", item_id="msg_other"),
    "another place": _at("response.output_text.delta", output_index=7),
    "a delta that is not in the text": _at("response.output_text.delta", delta="?"),
    "a text that is not in the deltas": _text,
    "an output that was not done": lambda events: events[-1]["response"].update(output=[]),
    "another response": lambda events: events[-1]["response"].update(id="resp_other"),
    "usage at the start": lambda events: events[0]["response"].update(usage={}),
    "another status": lambda events: events[-1]["response"].update(status="failed"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changes_are_noticed(change: str) -> None:
    events = deepcopy(stream())
    CHANGES[change](events)
    with pytest.raises((AssertionError, KeyError)):
        check_stream(events)
