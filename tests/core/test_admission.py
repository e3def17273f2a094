"""The order in which a request meets state, and what refusals leave behind. Spec: errors §3 steps 6–9, R8.2."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.driving import Driver, refused, summary

E13 = (
    400,
    "One of \"input\" or \"previous_response_id\" or 'prompt' or 'conversation' must be provided.",
    None,
    "missing_required_parameter",
)
CALL = {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{}"}


@pytest.mark.parametrize("empty", [[], ""])
def test_E13_no_input_and_no_state(empty: Any) -> None:
    assert summary(refused(Driver().create, empty)) == E13


def test_an_empty_input_with_state_is_fine() -> None:
    drive = Driver()
    first = drive.create()
    assert drive.create([], previous_response_id=first["id"])["status"] == "completed"
    assert drive.create("", conversation=drive.conversation()["id"])["status"] == "completed"


def test_E11_unknown_model() -> None:
    error = refused(Driver().create, model="gpt-5.2-proo")
    assert summary(error) == (400, "The requested model 'gpt-5.2-proo' does not exist.", "model", "model_not_found")


@pytest.mark.parametrize(("model", "most"), [("gpt-5-mini", 272_000), ("gpt-4", 8_192)])
def test_R7_2_R7_4_the_largest_input_counts_as_well_as_the_window(model: str, most: int) -> None:
    """gpt-5-mini has a window of 400,000 and takes 272,000 of input (W12); gpt-4 takes its window."""
    drive, frame = Driver(), 7 if model == "gpt-4" else 6
    half = {"role": "user", "content": " word" * (most // 2 - frame)}
    rest = {"role": "user", "content": " word" * (most - most // 2 - 4)}
    assert drive.create([half, rest], model=model)["usage"]["input_tokens"] == most
    more = [half, {"role": "user", "content": rest["content"] + " word"}]
    assert refused(drive.create, more, model=model).code == "context_length_exceeded"
    cut = drive.create(more, model=model, truncation="auto")
    assert cut["usage"]["input_tokens"] == most - most // 2 + 1 - 4 + frame


# pairs of faults: the first is complained about
ORDER: list[tuple[str, dict[str, Any]]] = [
    ("Mutually exclusive", {"previous_response_id": "resp_1", "conversation": "conv_1", "model": "nope"}),
    ("Conversation with id", {"conversation": "conv_1", "prompt": {"id": "pmpt_1"}}),
    ("Prompt with id", {"prompt": {"id": "pmpt_1"}, "previous_response_id": "resp_1"}),
    ("Previous response", {"previous_response_id": "resp_1", "input": []}),
    ("One of", {"input": [], "model": "nope"}),
    ("The requested model", {"model": "nope", "input": [{"type": "item_reference", "id": "msg_1"}]}),
    ("Unsupported parameter: 'temperature'", {"model": "gpt-5", "temperature": 0.5, "input": [CALL]}),
    ("Item with id", {"input": [CALL, {"type": "item_reference", "id": "msg_1"}]}),
    ("No tool output", {"input": [CALL, {"role": "user", "content": "x" * 10}], "truncation": "disabled"}),
]


@pytest.mark.parametrize(("start", "fields"), ORDER, ids=[start for start, _ in ORDER])
def test_order_of_judgement(start: str, fields: dict[str, Any]) -> None:
    assert refused(Driver().create, **{"input": "x", **fields}).message.startswith(start)


def test_E51_the_word_json_must_be_in_the_messages() -> None:
    fields: dict[str, Any] = {"text": {"format": {"type": "json_object"}}}
    drive = Driver()
    message = (
        "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'."
    )
    assert refused(drive.create, "hello", instructions="answer in JSON", **fields).message == message
    assert drive.create("hello, as JSON", **fields)["status"] == "completed"


def test_E54_input_over_the_window() -> None:
    error = refused(Driver().create, "word " * 130_000, model="gpt-4o")
    text = "Your input exceeds the context window of this model. Please adjust your input and try again."
    assert summary(error) == (400, text, "input", "context_length_exceeded")


def test_a_refusal_leaves_no_trace() -> None:
    drive, twin = Driver(), Driver()
    for fields in (
        {"model": "nope"},
        {"previous_response_id": "resp_1"},
        {"input": [CALL]},
        {"conversation": "conv_1"},
    ):
        refused(drive.create, **{"input": "x", **fields})
    assert drive.create() == twin.create()


TOOL = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
REQUESTS: list[dict[str, Any]] = [
    {"input": "hello"},
    {"input": "hello", "instructions": "be brief"},
    {"input": "hello", "tools": [TOOL]},
    {"input": "hello", "tools": [TOOL], "parallel_tool_calls": False},
    {
        "input": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
        ]
    },
    {"input": [CALL, {"type": "function_call_output", "call_id": "call_1", "output": "x"}]},
]


@pytest.mark.parametrize("fields", REQUESTS)
@pytest.mark.parametrize("model", ["gpt-4.1", "gpt-5.2", "gpt-5.6-terra"])
@pytest.mark.parametrize("after", ["nothing", "response", "conversation"])
def test_R8_2_the_count_equals_the_usage(fields: dict[str, Any], model: str, after: str) -> None:
    drive = Driver()
    fields = {**fields, "model": model}
    if after == "response":
        fields["previous_response_id"] = drive.create("before", model=model)["id"]
    elif after == "conversation":
        fields["conversation"] = drive.conversation(items=[{"role": "user", "content": "before"}])["id"]
    counted = drive.count(**fields)
    assert drive.create(**fields)["usage"]["input_tokens"] == counted


def test_R8_1_counting_stores_nothing() -> None:
    drive, twin = Driver(), Driver()
    drive.count(input="hello")
    assert drive.create() == twin.create()


@given(
    st.lists(st.sampled_from(["alpha", "beta gamma", "δ"]), min_size=1, max_size=6),
    st.sampled_from(["gpt-4.1", "gpt-5.4"]),
)
@settings(max_examples=25, deadline=None)
def test_T11_a_chain_costs_what_replaying_its_items_costs(texts: list[str], model: str) -> None:
    drive = Driver()
    parent, history = None, []
    for text in texts:
        chained = drive.create(text, model=model, **({"previous_response_id": parent} if parent else {}))
        history.append({"role": "user", "content": text})
        replayed = drive.create(list(history), model=model)
        assert replayed["usage"]["input_tokens"] == chained["usage"]["input_tokens"]
        history += chained["output"]
        parent = chained["id"]


def test_R1_29_a_model_may_change_along_a_chain_and_the_context_is_counted_anew() -> None:
    drive = Driver()
    first = drive.create("hello", model="gpt-4.1")
    second = drive.create("again", model="gpt-5.2", previous_response_id=first["id"])
    items = [{"role": "user", "content": "hello"}, *first["output"], {"role": "user", "content": "again"}]
    assert second["usage"]["input_tokens"] == drive.create(items, model="gpt-5.2")["usage"]["input_tokens"]
