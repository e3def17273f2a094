"""A recorded Response as a scripted reply: its end, its figures, its output, and nothing that its request says."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.scenarios.lines import find_mistakes
from mockserver.scenarios.recorded import reply_of
from mockserver.wire.errors.api import MockError

MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "hello", "annotations": [], "logprobs": []}],
}
USAGE: dict[str, Any] = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 0},
    "output_tokens": 3,
    "output_tokens_details": {"reasoning_tokens": 0},
    "total_tokens": 12,
}


def recorded(**members: Any) -> dict[str, Any]:
    """A Response that ended well, with other members."""
    body = {"id": "resp_1", "object": "response", "status": "completed", "model": "gpt-4.1", "output": [MESSAGE]}
    return {**body, "error": None, "incomplete_details": None, "usage": USAGE, **members}


def check(response: dict[str, Any]) -> dict[str, Any]:
    """The reply of a Response, which must be one that a line may have."""
    reply = reply_of(response)
    assert find_mistakes({"lines": [{"reply": reply}]}) == []
    return reply


def test_a_completed_response_gives_output_model_and_usage() -> None:
    reply = check(recorded())
    assert reply == {"output": [{**MESSAGE, "phase": None}], "model": "gpt-4.1", "usage": USAGE}


def test_what_a_request_says_is_left_out() -> None:
    reply = check(recorded(temperature=0.5, instructions="Be brief.", metadata={"a": "b"}, tools=[], store=False))
    assert set(reply) == {"output", "model", "usage"}


def test_a_response_without_usage_gives_none() -> None:
    assert "usage" not in check(recorded(usage=None))


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_an_incomplete_one_says_its_reason(reason: str) -> None:
    reply = check(recorded(status="incomplete", incomplete_details={"reason": reason}))
    assert reply["incomplete"] == reason and reply["usage"] == USAGE


def test_a_failed_one_says_its_error() -> None:
    error = {"code": "server_error", "message": "The model failed."}
    reply = check(recorded(status="failed", error=error, usage=None, output=[]))
    assert reply == {"failed": error, "model": "gpt-4.1"}


def test_a_failed_one_keeps_what_it_had_said() -> None:
    error = {"code": "server_error", "message": "The model failed."}
    reply = check(recorded(status="failed", error=error, usage=None))
    assert reply["output"] == [{**MESSAGE, "phase": None}] and reply["failed"] == error


@pytest.mark.parametrize("status", ["in_progress", "queued", "cancelled"])
def test_one_without_an_end_of_its_own_is_refused(status: str) -> None:
    with pytest.raises(MockError) as caught:
        reply_of(recorded(status=status))
    assert caught.value.param == "status" and status in caught.value.message


def test_a_phase_is_kept() -> None:  # Spec: I5
    (item,) = check(recorded(output=[{**MESSAGE, "phase": "final_answer"}]))["output"]
    assert item["phase"] == "final_answer"


def test_reasoning_without_a_blob_says_so() -> None:  # Spec: R1.41
    thought = {"id": "rs_1", "type": "reasoning", "summary": []}
    sealed = {**thought, "id": "rs_2", "encrypted_content": "gAAAAABrecorded"}
    bare, kept, _ = check(recorded(model="gpt-5.4", output=[thought, sealed, MESSAGE]))["output"]
    assert bare == {**thought, "encrypted_content": None}
    assert kept == sealed


def test_reasoning_with_its_text_and_calls_stay_as_they_are() -> None:
    thought = {"type": "reasoning", "summary": [], "content": [{"type": "reasoning_text", "text": "so"}]}
    call = {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": "{}", "status": "completed"}
    assert reply_of(recorded(output=[thought, call]))["output"] == [thought, call]


def test_what_does_not_follow_from_the_request_is_said() -> None:
    reply = check(recorded(service_tier="default", moderation=None))
    assert reply["response"] == {"service_tier": "default"}


def test_text_that_looks_like_a_template_is_verbatim() -> None:
    part = {**MESSAGE["content"][0], "text": "use {{input}} here"}
    assert check(recorded(output=[{**MESSAGE, "content": [part]}]))["verbatim"] is True
    assert "verbatim" not in check(recorded())


def test_the_recording_is_not_changed() -> None:
    response = recorded(service_tier="default")
    reply_of(response)
    assert response == recorded(service_tier="default")
