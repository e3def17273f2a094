"""Summaries of contexts. Spec: R1.20, R1.29, T7."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from mockserver.core import context
from mockserver.core.semantics import Semantics
from mockserver.core.state import Summary
from mockserver.wire import catalog
from mockserver.wire.tokens import context as context_tokens
from tests.support.driving import Driver, refused, text_of

RULES = Semantics(count=lambda text: len(text.split()), pieces=str.split, key=b"k" * 32)
ITEMS = st.sampled_from(
    [
        {"type": "message", "id": "m", "role": "user", "content": [{"type": "input_text", "text": "a b"}]},
        {"type": "message", "id": "m", "role": "assistant", "content": [{"type": "output_text", "text": "c"}]},
        {"type": "function_call", "id": "f", "call_id": "c", "name": "n", "arguments": "{}"},
        {"type": "function_call_output", "id": "o", "call_id": "c", "output": "x y"},
        {"type": "reasoning", "id": "r", "summary": []},
    ]
)
CHAT = catalog.resolve("gpt-4.1")
assert CHAT is not None
START = Summary(cost_class=context_tokens.cost_class(CHAT), tally=context_tokens.Tally())


@given(st.lists(ITEMS, max_size=8), st.integers(0, 8))
def test_extending_at_once_or_step_by_step_is_the_same(items: list[dict[str, object]], cut: int) -> None:
    assert CHAT is not None
    whole = context.add_turn(START, [], context_tokens.Tally(), items, CHAT, RULES)
    first = context.add_turn(START, [], context_tokens.Tally(), items[:cut], CHAT, RULES)
    assert first.tally is not None
    steps = context.add_turn(first, [], first.tally, items[cut:], CHAT, RULES)
    assert steps._replace(turn=1) == whole
    assert whole.count == len(items)
    assert whole.reasoned == any(item["type"] == "reasoning" for item in items)


def test_grown_leaves_the_tokens_to_be_counted() -> None:
    grown = context.extend_summary(START, [], turns=1)
    assert (grown.turn, grown.cost_class, grown.tally) == (1, "", None)


def test_T7_a_call_replayed_without_id_costs_three_less() -> None:
    call = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}
    output = {"type": "function_call_output", "call_id": "call_1", "output": "x"}
    drive = Driver()
    id = drive.conversation(items=[call])["id"]
    known = drive.create([output], conversation=id)["usage"]["input_tokens"]
    assert known - drive.create([call, output])["usage"]["input_tokens"] == 3


def test_R12_5_the_last_update_of_a_setting_counts_and_others_stay() -> None:
    low = {"type": "configuration_update", "reasoning": {"effort": "low"}}
    high = {
        "type": "configuration_update",
        "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_object"}},
    }
    assert context.apply_configuration(None, [low, {"type": "message"}, high, {"type": "message"}]) == {
        "reasoning": {"effort": "high"},
        "text": {"format": {"type": "json_object"}},
    }
    assert context.apply_configuration({"text": {"format": {"type": "text"}}}, [low]) == {
        "text": {"format": {"type": "text"}},
        "reasoning": {"effort": "low"},
    }
    assert context.apply_configuration(None, [{"type": "message"}]) is None


def test_R12_5_an_update_reaches_the_model_and_not_the_echo() -> None:
    drive = Driver()
    schema = {"type": "object", "properties": {}, "required": [], "additionalProperties": False}
    shaped = {"type": "json_schema", "name": "n", "schema": schema}
    update = {"type": "configuration_update", "text": {"format": shaped}}
    ask = {"model": "gpt-6-astra", "reasoning": {"effort": "low"}}
    first = drive.create([{"role": "user", "content": "as json"}, update], **ask)
    assert json.loads(text_of(first["output"][-1])) == {} and first["text"]["format"] == {"type": "text"}
    later = drive.create("again", previous_response_id=first["id"], **ask)
    assert json.loads(text_of(later["output"][-1])) == {}
    twice = refused(drive.create, [update, update, {"role": "user", "content": "x"}], **ask)
    assert (twice.status, twice.param) == (400, "input[1]")
