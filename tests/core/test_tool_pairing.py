"""Calls and outputs. Spec: R1.33, R1.34, R11.4, E71, E72."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.core import tool_pairing
from mockserver.wire.errors.api import APIError
from tests.support.driving import refused, summary

CALL = {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"}
OUTPUT = {"type": "function_call_output", "call_id": "call_1", "output": "x"}


def test_a_call_without_output_is_E71() -> None:
    error = refused(tool_pairing.check, {}, [CALL], [])
    assert summary(error) == (400, "No tool output found for function call call_1.", "input", None)


def test_an_output_without_call_is_E72() -> None:
    error = refused(tool_pairing.check, {}, [OUTPUT], [])
    message = "No tool call found for function call output with call_id call_1."
    assert summary(error) == (400, message, "input", None)


def test_pending_outputs_are_owed_until_given() -> None:
    pending = tool_pairing.pending_after({}, [CALL])
    assert pending == {"call_1": "function_call_output"}
    assert refused(tool_pairing.check, pending, [{"type": "message"}], []).message.startswith("No tool output found")
    assert tool_pairing.check(pending, [OUTPUT], []) == {}


def test_call_and_output_in_one_input() -> None:
    assert tool_pairing.check({}, [CALL, OUTPUT], []) == {}


def test_an_output_before_its_call_has_no_call() -> None:
    assert refused(tool_pairing.check, {}, [OUTPUT, CALL], []).message.startswith("No tool call found")


def test_a_second_output_for_an_answered_call_has_its_call() -> None:
    assert tool_pairing.check({}, [OUTPUT], iter([CALL])) == {}


def test_an_output_of_another_kind_does_not_answer() -> None:
    other = {**OUTPUT, "type": "custom_tool_call_output"}
    with pytest.raises(APIError, match="No tool call found"):
        tool_pairing.check({"call_1": "function_call_output"}, [other], [])


SEARCH = {"type": "tool_search_call", "call_id": "call_1", "execution": "client"}


def test_R1_34_a_function_call_output_may_answer_a_search_of_the_client() -> None:
    assert tool_pairing.check({}, [SEARCH, OUTPUT], []) == {}
    pending = tool_pairing.pending_after({}, [SEARCH])
    assert tool_pairing.check(pending, [OUTPUT], []) == {}
    assert tool_pairing.check({}, [OUTPUT], iter([SEARCH])) == {}


@pytest.mark.parametrize(
    ("call", "output"),
    [
        (SEARCH, {"type": "custom_tool_call_output", "call_id": "call_1"}),
        (SEARCH, {**OUTPUT, "call_id": "call_2"}),
        ({**SEARCH, "execution": "server", "call_id": None}, OUTPUT),
        ({"type": "function_call", "call_id": "call_1"}, {"type": "tool_search_output", "call_id": "call_1"}),
    ],
)
def test_R1_34_no_other_output_may(call: dict[str, Any], output: dict[str, Any]) -> None:
    for items, history in (([call, output], []), ([output], [call])):
        with pytest.raises(APIError, match="No tool call found"):
            tool_pairing.check({}, items, history)


@pytest.mark.parametrize(
    ("item", "owed"),
    [
        ({"type": "custom_tool_call", "call_id": "c"}, True),
        ({"type": "computer_call", "call_id": "c"}, True),
        ({"type": "apply_patch_call", "call_id": "c"}, True),
        ({"type": "shell_call", "call_id": "c"}, True),
        ({"type": "shell_call", "call_id": "c", "environment": {"type": "container_reference"}}, False),
        ({"type": "tool_search_call", "call_id": None, "execution": "server"}, False),
        ({"type": "tool_search_call", "call_id": "c", "execution": "client"}, True),
        ({"type": "function_call", "call_id": "c", "async": True}, False),
        ({"type": "web_search_call"}, False),
        ({"type": "message"}, False),
    ],
)
def test_which_calls_the_client_must_answer(item: dict[str, Any], owed: bool) -> None:
    assert tool_pairing.needs_client_output(item) is owed


def test_a_local_shell_output_names_its_call_by_id() -> None:
    call = {"type": "local_shell_call", "call_id": "lsh_1", "action": {}}
    assert tool_pairing.check({}, [call, {"type": "local_shell_call_output", "id": "lsh_1", "output": ""}], []) == {}
