"""What no real API sends, and what only looks like it."""

from __future__ import annotations

import pytest

from mockserver.scenarios.lines import find_mistakes
from tests.support.scenario_mistakes import ANSWER, CALL, output, reply
from tests.support.scripted_items import OUTPUT_TYPES, REPLIES


@pytest.mark.parametrize("name", REPLIES)
def test_what_the_api_can_send_is_taken(name: str) -> None:
    assert not list(find_mistakes(reply(**REPLIES[name])))


def test_the_replies_hold_every_type_of_output_item() -> None:
    assert {item["type"] for item in REPLIES["everything"]["output"]} == OUTPUT_TYPES


@pytest.mark.parametrize(
    "value",
    [
        output(CALL, ANSWER),
        output(ANSWER),  # it answers a call of an earlier turn
        output(CALL, {**CALL, "call_id": "{{ metadata.a }}"}, {**CALL, "call_id": "{{ metadata.a }}"}),
        output({"text": "a", "status": "incomplete"}, incomplete="max_output_tokens"),
        output({"type": "reasoning"}, {"text": "a"}, {"type": "reasoning"}),
        output({"type": "tool_search_call", "execution": "client", "call_id": "call_1"}),
        output({"type": "mcp_call", "name": "t", "error": "down"}),
        output({"type": "message", "text": "a", "content": None, "phase": None}),
        reply(failed={}, text="half"),
    ],
)
def test_only_what_is_excluded_is_refused(value: object) -> None:
    assert not list(find_mistakes(value))
