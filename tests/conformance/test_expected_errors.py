"""The errors that the rules expect: where the fixtures of the error table have the row, they agree."""

from __future__ import annotations

import pytest

from mockserver.conformance import expected_errors
from mockserver.conformance.expected_errors import ExpectedError


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            expected_errors.not_one_of("order", "x", ("asc", "desc")),
            "Invalid value: 'x'. Supported values are: 'asc' and 'desc'.",
        ),
        (
            expected_errors.not_one_of("text.verbosity", "x", ("low", "medium", "high")),
            "Invalid value: 'x'. Supported values are: 'low', 'medium', and 'high'.",
        ),
        (expected_errors.unknown_parameter("text.zzz"), "Unknown parameter: 'text.zzz'."),
        (expected_errors.no_parent("resp_x"), "Previous response with id 'resp_x' not found."),
        (
            expected_errors.twice("msg_x"),
            "Duplicate item found with id msg_x. Remove duplicate items from your input and try again.",
        ),
        (expected_errors.no_tool_call("call_x"), "No tool call found for function call output with call_id call_x."),
    ],
)
def test_sentences(error: ExpectedError, message: str) -> None:
    """Spec: R1.52."""
    assert error.message == message


def test_rows_and_statuses() -> None:
    """Spec: R1.24, R1.33, R1.34, R1.37, R2.7, R2.12."""
    told = {
        error.row: (error.status, error.code)
        for error in (
            expected_errors.no_parent("x"),
            expected_errors.no_conversation_to_continue("x"),
            expected_errors.conversation_locked(),
            expected_errors.no_item("x"),
            expected_errors.no_item_without_store("x"),
            expected_errors.twice("x"),
            expected_errors.no_tool_output("x"),
            expected_errors.no_tool_call("x"),
            expected_errors.no_response("x"),
        )
    }
    assert told == {
        "E60": (400, "previous_response_not_found"),
        "E63": (404, None),
        "E67": (400, "conversation_locked"),
        "E68": (404, None),
        "E69": (404, None),
        "E70": (400, None),
        "E71": (400, None),
        "E72": (400, None),
        "E75": (404, None),
    }
