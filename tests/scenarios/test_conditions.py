"""What `when` may ask, key by key."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.model.prompt import input_text
from mockserver.scenarios.conditions import CONDITIONS, any_hold, compile_gate, compile_when, hold, rules_out
from mockserver.scenarios.schema import When
from mockserver.scenarios.validation import DocumentValidator
from mockserver.wire.errors.api import MockError
from tests.support.prompts import ASKED, prompt, user

JUDGE: DocumentValidator[When] = DocumentValidator(lambda: When)


def holds(when: dict, *items: dict, **request: Any) -> bool:
    JUDGE.validate(when, "when")
    return hold(compile_when(when), prompt(*items, **request), {})


TOOLS = [{"type": "function", "name": "get_weather"}, {"type": "web_search"},
         {"type": "namespace", "name": "crm", "tools": [{"type": "function", "name": "find"}]}]  # fmt: skip


@pytest.mark.parametrize(
    ("when", "holding", "not_holding"),
    [
        ({"model": "gpt-4.1"}, {}, {"model": "gpt-5"}),
        ({"model": "gpt-4.1-2025-04-14"}, {}, {"model": "gpt-5"}),
        ({"instructions_contains": "brief"}, {"instructions": "Be brief."}, {}),
        ({"has_tool": "get_weather"}, {"tools": TOOLS}, {}),
        ({"has_tool": "web_search"}, {"tools": TOOLS}, {}),
        ({"has_tool": "find"}, {"tools": TOOLS}, {}),
        ({"turn": 3}, {"turn": 3}, {"turn": 2}),
        ({"previous_response_id": True}, {"previous_response_id": "resp_1"}, {}),
        ({"previous_response_id": False}, {}, {"previous_response_id": "resp_1"}),
        ({"previous_response_id": "resp_1"}, {"previous_response_id": "resp_1"}, {"previous_response_id": "resp_2"}),
        ({"conversation": "conv_1"}, {"conversation": {"id": "conv_1"}}, {"conversation": "conv_2"}),
        ({"conversation": False}, {}, {"conversation": "conv_2"}),
        ({"prompt": "pmpt_1"}, {"prompt": {"id": "pmpt_1", "version": "2"}}, {"prompt": {"id": "pmpt_2"}}),
        ({"prompt": True}, {"prompt": {"id": "pmpt_1"}}, {}),
        ({"store": True}, {}, {"store": False}),
        ({"stream": True}, {"stream": True}, {}),
        ({"transport": "http"}, {}, None),
        ({"format": "text"}, {}, {"text": {"format": {"type": "json_object"}}}),
        ({"metadata": {"a": "1"}}, {"metadata": {"a": "1", "b": "2"}}, {"metadata": {"b": "2"}}),
        ({}, {}, None),
    ],
)
def test_conditions_on_the_request(when: dict, holding: dict, not_holding: dict | None) -> None:
    assert holds(when, user("hi"), **holding)
    if not_holding is not None:
        assert not holds(when, user("hi"), **not_holding)


def test_conditions_on_the_input() -> None:
    assert holds({"input_contains": "hi"}, user("say hi"))
    assert holds({"input_matches": "^s.*i$"}, user("say hi"))
    assert holds({"input_equals": "say hi"}, user("say hi")) and not holds({"input_equals": "hi"}, user("say hi"))
    assert holds({"input_contains": "hi", "turn": 1}, user("hi")) and not holds({"turn": 2, "input_contains": "hi"})


def test_input_is_what_was_said_since_the_model_spoke() -> None:
    """So that a line for the question does not answer the tool's output too, chained or replayed."""
    assert not holds({"input_contains": "weather"}, *ASKED)
    assert holds({"context_contains": "weather"}, *ASKED) and holds({"context_contains": "18 deg"}, *ASKED)


def test_conditions_on_tool_outputs() -> None:
    assert holds({"last_item": "function_call_output"}, *ASKED) and not holds({"last_item": "message"}, *ASKED)
    assert holds({"tool_output": {"name": "get_weather", "contains": "18"}}, *ASKED)
    assert not holds({"tool_output": {"name": "other"}}, *ASKED)
    assert not holds({"tool_output": {"contains": "19"}}, *ASKED)


def test_an_unknown_key_lists_the_known_ones() -> None:
    with pytest.raises(MockError) as caught:
        JUDGE.validate({"zzz": 1}, "when")
    assert caught.value.param == "when.zzz" and all(key in caught.value.message for key in CONDITIONS)


def test_what_many_conditions_look_at_is_worked_out_once() -> None:
    walks = []

    def newest_first() -> list[dict[str, Any]]:
        walks.append(1)
        return [user("say hi")]

    asked, seen = replace(prompt(user("say hi")), newest_first=newest_first), dict[Any, Any]()
    assert not hold(compile_when({"context_contains": "bye"}), asked, seen)
    assert hold(compile_when({"context_contains": "hi", "input_contains": "say"}), asked, seen)
    assert len(walks) == 1


WHENS = st.fixed_dictionaries(
    {},
    optional={
        "input_contains": st.sampled_from(("hi", "ho")),
        "model": st.sampled_from(("gpt-4.1", "gpt-5")),
        "turn": st.integers(1, 2),
        "store": st.booleans(),
    },
).flatmap(lambda when: st.permutations(list(when.items())).map(dict))  # the order decides what is asked first


@given(st.lists(WHENS, max_size=4), st.sampled_from(("hi", "ho", "hi ho", "")), st.integers(1, 2), st.booleans())
def test_what_is_asked_first_of_many_choices_hides_none_that_holds(
    whens: list[dict], text: str, turn: int, store: bool
) -> None:
    asked = prompt(user(text), turn=turn, store=store)
    gate = compile_gate(map(compile_when, whens))
    one_holds = any(holds(when, user(text), turn=turn, store=store) for when in whens)
    assert any_hold(gate, asked) == one_holds
    assert not (rules_out(gate, {input_text: text}) and one_holds)
    if all(next(iter(when), "") == "input_contains" for when in whens):
        wanted = [when["input_contains"] for when in whens]
        assert rules_out(gate, {input_text: text}) == (not any(each in text for each in wanted)), "no prompt is needed"
