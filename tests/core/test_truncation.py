"""What `truncation: auto` leaves out. Spec: R7.4."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.core import truncation
from mockserver.core.semantics import Semantics
from mockserver.core.truncation import fit, units_of
from mockserver.wire import catalog
from mockserver.wire.tokens import context as context_tokens
from tests.support.examples import examples

RULES = Semantics(count=lambda text: len(text.split()), pieces=str.split, key=b"k" * 32)
CHAT = catalog.resolve("gpt-4.1")
assert CHAT is not None
TINY = replace(CHAT, max_input_tokens=60)


def message(number: int, text: str, role: str = "user") -> dict[str, Any]:
    return {"id": f"msg_{number}", "type": "message", "role": role, "content": text}


def call(number: int) -> dict[str, Any]:
    return {"id": f"fc_{number}", "type": "function_call", "call_id": f"c{number}", "name": "f", "arguments": "{}"}


def output(number: int, text: str = "x") -> dict[str, Any]:
    return {"id": f"fco_{number}", "type": "function_call_output", "call_id": f"c{number}", "output": text}


def thought(number: int) -> dict[str, Any]:
    return {"id": f"rs_{number}", "type": "reasoning", "summary": []}


TEN = [message(number, "one two three four five") for number in range(10)]


def test_what_belongs_together_goes_together() -> None:
    items = [message(0, "u"), thought(1), call(2), call(3), output(2), message(4, "u"), output(3), thought(5)]
    assert units_of(items) == [[0], [1, 2, 4], [3, 6], [5], [7]]


def test_an_approval_goes_with_its_request() -> None:
    items = [
        {"id": "mcpr_1", "type": "mcp_approval_request"},
        {"id": "mcpa_1", "type": "mcp_approval_response", "approval_request_id": "mcpr_1"},
    ]
    assert units_of(items) == [[0, 1]]


@pytest.mark.parametrize(("where", "dropped"), [("beginning", {0, 1, 2, 3}), ("middle", {3, 4, 5, 6})])
def test_no_more_goes_than_must(where: str, dropped: set[int]) -> None:
    found = fit(TEN, {}, TINY, replace(RULES, truncation_drop=where))
    assert found is not None
    assert found.dropped == dropped
    assert found.tokens <= TINY.max_input_tokens
    assert found.tokens + 9 > TINY.max_input_tokens


def test_the_last_user_message_and_the_newest_item_stay() -> None:
    items = [message(0, "u " * 20), message(1, "u " * 20), *[one for n in range(5) for one in (call(n), output(n))]]
    found = fit(items, {}, TINY, RULES)
    assert found is not None
    assert 0 in found.dropped
    assert not found.dropped & {1, 10, 11}
    assert fit([message(0, "word " * 70)], {}, TINY, RULES) is None
    assert fit([message(0, "a"), call(1), output(1, "word " * 70)], {}, TINY, RULES) is None


def test_every_order_of_the_switch_is_there() -> None:
    assert set(truncation.DROPPED_FIRST) == {"beginning", "middle"}


KINDS = st.sampled_from(["user", "assistant", "call", "reasoning"])


@given(st.lists(KINDS, max_size=20), st.sampled_from(["beginning", "middle"]), st.integers(20, 200))
@examples(60)
def test_what_is_left_fits_and_is_whole(kinds: list[str], where: str, window: int) -> None:
    items: list[dict[str, Any]] = []
    for number, kind in enumerate(kinds):
        if kind == "call":
            items += [call(number), output(number)]
        else:
            items.append(thought(number) if kind == "reasoning" else message(number, "a b c", kind))
    items.append(message(99, "last"))
    model = replace(TINY, max_input_tokens=window)
    found = fit(items, {}, model, replace(RULES, truncation_drop=where))
    assert found is not None
    kept = [item for at, item in enumerate(items) if at not in found.dropped]
    assert kept[-1]["id"] == "msg_99"
    assert {one["call_id"] for one in kept if one["type"] == "function_call"} == {
        one["call_id"] for one in kept if one["type"] == "function_call_output"
    }
    tally = context_tokens.add(context_tokens.Tally(), kept, model, RULES.count)
    assert found.tokens == context_tokens.input_tokens({}, tally, model, RULES.count) <= window
