"""Whatever a response held goes through a line and comes back as it was, ids and times apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from openai.types.responses import Response
from pydantic import TypeAdapter, ValidationError

from mockserver.scenarios.lines import find_mistakes
from mockserver.scenarios.recorded import reply_of
from mockserver.wire.errors.api import APIError, MockError
from proxy.cassettes.file import load
from tests.support.driving import Driver
from tests.support.examples import examples
from tests.support.recorded_bodies import ITEMS, outputs
from tests.support.scripted_items import INCLUDE, REPLIES
from tests.support.serving import ROOT
from tests.support.stream_rules import check_stream

ACCEPTED = TypeAdapter(Response)
REQUEST: dict[str, Any] = {"model": "gpt-5.6-terra", "include": list(INCLUDE)}
RECORDINGS = sorted((ROOT / "fixtures" / "recordings").glob("*.yaml"))
BILLING = {"payer": "developer"}  # only JSON bodies tell it. Spec: W9
CONTEXT = ("type", "input", "previous_response_id", "conversation", "stream")
SPLIT = {"ttl_12h_tokens": 2, "ttl_30m_tokens": 1}  # Spec: O2
ENDS: list[dict[str, Any]] = [
    {"status": "completed"},
    *(
        {"status": "incomplete", "incomplete_details": {"reason": reason}, "completed_at": None}
        for reason in ("max_output_tokens", "content_filter", "max_messages", "steered")
    ),
    {"status": "failed", "error": {"code": "server_error", "message": "m"}, "usage": None, "completed_at": None},
]


def plain(body: dict[str, Any]) -> dict[str, Any]:
    """A body without what another turn gives anew."""
    return {key: value for key, value in body.items() if key not in ("id", "created_at", "completed_at")}


def base() -> dict[str, Any]:
    drive = Driver()
    drive.script({"reply": {"output": []}})
    return drive.create(**REQUEST)


@st.composite
def bodies(draw: st.DrawFn) -> dict[str, Any]:
    """Bodies that the types accept; what is done is completed where the specification says so (S8, I4)."""
    body = {**base(), **draw(st.sampled_from(ENDS))}
    if body["usage"] is not None:
        details = {"cache_write_tokens": 3, "cached_tokens": 2, "cache_write_tokens_details": SPLIT}
        figures = {"input_tokens": 9, "input_tokens_details": details, "output_tokens": 7, "total_tokens": 16}
        body["usage"] = {**body["usage"], **figures, "output_tokens_details": {"reasoning_tokens": 5}}
    if body["status"] == "failed":
        body["service_tier"] = "auto"  # Spec: S12.2
    body["output"] = draw(outputs())
    for item in body["output"]:
        spoken = item["type"] in ("message", "function_call", "custom_tool_call")
        if body["status"] == "completed" and spoken and item.get("status") in ("in_progress", "incomplete"):
            item["status"] = "completed"
    assume(is_accepted(body))
    return body


def is_accepted(body: dict[str, Any]) -> bool:
    try:
        ACCEPTED.validate_python(body)
    except ValidationError:
        return False
    return True


def check_round_trip(body: dict[str, Any], request: dict[str, Any] = REQUEST) -> None:
    assert is_accepted(body)
    line = {"reply": reply_of(body)}
    assert find_mistakes({"lines": [line]}) == []
    drive = Driver()
    drive.script(line, line)
    answer = drive.create(**request)
    assert plain(answer) == plain(body)
    events = drive.stream(**request)
    check_stream(events)
    try:
        drive.create(**{**request, "previous_response_id": answer["id"]})
    except APIError as error:
        assert error.status == 400  # a call that nobody has answered, or a response that failed


@examples(400)
@given(bodies())
def test_I2_what_the_types_accept_goes_through_a_line(body: dict[str, Any]) -> None:
    check_round_trip(body)


@pytest.mark.parametrize("name", REPLIES)
def test_what_the_mock_answered_goes_through_a_line(name: str) -> None:
    drive = Driver()
    drive.script({"reply": REPLIES[name]})
    check_round_trip(drive.create(**REQUEST))


def test_W7_log_probabilities_go_through_a_line() -> None:
    request = {"model": "gpt-4.1", "include": ["message.output_text.logprobs"], "top_logprobs": 1}
    candidate = {"bytes": [104, 105], "logprob": -7.5e-05, "token": "hi"}
    drive = Driver()
    drive.script({"reply": {"text": "hi"}})
    body = drive.create(**request)
    body["output"][0]["content"][0]["logprobs"] = [{**candidate, "top_logprobs": [candidate]}]
    check_round_trip(body, request)


@pytest.mark.parametrize("file", RECORDINGS, ids=lambda file: file.stem)
def test_what_real_clients_were_answered_goes_through_a_line(file: Path) -> None:
    """Each with the settings of its request, but alone: where the context comes from is no part of what is said."""
    checked = 0
    for interaction in load(file).interactions:
        asked, body = interaction.request.value, interaction.resource
        if isinstance(asked, dict) and "model" in asked and isinstance(body, dict) and body.get("object") == "response":
            request = {key: value for key, value in asked.items() if key not in CONTEXT}
            alone = {key: value for key, value in body.items() if key != "conversation"}
            check_round_trip({"billing": BILLING, **alone, "previous_response_id": None}, request)
            checked += 1
    assert checked >= 6


def test_what_has_no_end_of_its_own_is_no_line() -> None:
    with pytest.raises(MockError, match="A response that is cancelled can't be scripted"):
        reply_of({**base(), "status": "cancelled"})


def test_every_type_of_item_is_tried() -> None:
    assert len(ITEMS) == 28
