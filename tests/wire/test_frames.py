"""Frames: read, judged, and the exact bytes of those that no stream has. Spec: websocket §2 to §5."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests import frames
from mockserver.wire.responses import events

WE1 = (
    '{"type":"error","status":400,"stream_id":"main","error":{"type":"invalid_request_error",'
    '"code":"previous_response_not_found","message":"Previous response with id \'resp_abc\' not found.",'
    '"param":"previous_response_id"}}'
)
WE2 = (
    '{"type":"error","status":400,"error":{"type":"invalid_request_error","code":"invalid_stream_id","message":"The '
    "'stream_id' field must be a non-empty string with at most 256 characters and may only contain letters, numbers, "
    'underscores, hyphens, and periods.","param":"stream_id"}}'
)
WE3 = (
    '{"type":"error","status":400,"stream_id":"agent_33","error":{"type":"invalid_request_error",'
    '"code":"websocket_stream_limit_reached","message":"This WebSocket connection has reached its maximum number of '
    'distinct stream IDs (32). Reuse an existing stream_id or open a new WebSocket connection.","param":"stream_id"}}'
)
WE4 = (
    '{"type":"error","error":{"type":"invalid_request_error","code":"websocket_connection_limit_reached","message":'
    '"Responses websocket connection limit reached (60 minutes). Create a new websocket connection to continue."},'
    '"status":400}'
)


def test_WE1_WE2_WE3_WE4_to_the_byte() -> None:
    """Spec: WE1, WE2, WE3, WE4."""
    assert frames.text(frames.error_frame(errors.previous_response_not_found("resp_abc"), "main")) == WE1
    assert frames.text(frames.error_frame(frames.invalid_stream_id())) == WE2
    assert frames.text(frames.error_frame(frames.stream_limit_reached(), "agent_33")) == WE3
    assert frames.text(frames.connection_limit_error()) == WE4


def test_R4_3_a_frame_is_one_line_of_raw_utf_8() -> None:
    assert frames.text({"type": "x", "delta": "é\n"}) == '{"type":"x","delta":"é\\n"}'


def test_null_members_of_errors() -> None:
    error = errors.duplicate_item("msg_1")
    kept = frames.error_frame(error)["error"]
    assert list(kept) == ["type", "code", "message", "param"]
    assert kept["code"] is None
    assert list(frames.error_frame(error, null_members="omit")["error"]) == ["type", "message", "param"]
    assert frames.error_frame(MockError("x", status=501))["error"]["type"] == "mock_error"


def test_R4_9_a_tag_stands_where_the_alphabet_puts_it() -> None:
    done = events.on_item("response.output_text.done", "msg_1", 0, 4, text="x", content_index=0)
    tagged = frames.with_lane(done, "a")
    assert list(tagged) == ["type", "content_index", "item_id", "output_index", "sequence_number", "stream_id", "text"]
    assert frames.with_lane(done, None) is done
    created = frames.with_lane(events.lifecycle("response.created", {}, 0), "a")
    assert list(created) == ["type", "response", "sequence_number", "stream_id"]


def test_R4_18_only_objects_of_known_types_are_frames() -> None:
    for data in (b"", b"nul", b"[1]", b"1", b"{}", b'{"type":null}', b'{"type":"error"}', b"\xff"):
        with pytest.raises(APIError) as caught:
            frames.read(data)
        assert caught.value.status == 400
    assert frames.read(b'{"type":"response.create"}') == {"type": "response.create"}


@pytest.mark.parametrize("name", ["a", "A-z_0.9", "x" * 256, None])
def test_WE2_names(name: str | None) -> None:
    assert frames.lane_of({"stream_id": name}) == name
    assert frames.lane_of({}) is None


@pytest.mark.parametrize("name", ["", "x" * 257, "a b", "é", "a/b", "a\n", 7, ["a"]])
def test_WE2_names_that_are_none(name: Any) -> None:
    with pytest.raises(APIError) as caught:
        frames.lane_of({"stream_id": name})
    assert (caught.value.status, caught.value.code, caught.value.param) == (400, "invalid_stream_id", "stream_id")


def create(**frame: Any) -> dict[str, Any]:
    body = {"type": "response.create", "model": "gpt-4.1", "input": "x", **frame}
    return frames.create(body, unknown_keys="refuse", stream_field="ignore")


def test_R4_2_a_request_without_what_belongs_to_the_connection() -> None:
    request = create(stream=False, stream_options={"any": 1}, verbosity="low", stream_id="a", generate=False)
    assert request == {"model": "gpt-4.1", "input": "x", "generate": False, "stream": True}
    ignored = {"type": "response.create", "model": "m", "input": "x", "bogus": 1, "stream_options": 1}
    assert frames.create(ignored, unknown_keys="ignore", stream_field="ignore").keys() == {"model", "input", "stream"}


def test_X11_empty_lists_of_clients_are_fine() -> None:
    assert create(include=[], tools=[], stream=True)["include"] == []


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ({"background": True}, "unsupported_parameter", "background"),
        ({"stream": 1}, "invalid_type", "stream"),
        ({"generate": "no"}, "invalid_type", "generate"),
        ({"bogus": 1}, "unknown_parameter", "bogus"),
        ({"model": 1}, "invalid_type", "model"),
    ],
)
def test_R4_2_what_a_create_may_not_say(frame: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(APIError) as caught:
        create(**frame)
    assert (caught.value.code, caught.value.param, caught.value.status) == (code, param, 400)


@pytest.mark.parametrize("field", ["stream", "stream_options", "verbosity"])
def test_R4_2_fields_of_streams_may_be_refused(field: str) -> None:
    frame = {"type": "response.create", "model": "m", "input": "x", field: None}
    with pytest.raises(APIError) as caught:
        frames.create(frame, unknown_keys="ignore", stream_field="refuse")
    assert (caught.value.code, caught.value.param) == ("unknown_parameter", field)


STEER = {"type": "response.steer", "previous_response_id": "resp_1", "input": "x"}
USER = {"role": "user", "content": "x"}


@pytest.mark.parametrize(
    "input", ["x", [USER], [{**USER, "type": "message"}], [{**USER, "content": [{"type": "input_text", "text": "x"}]}]]
)
def test_R4_16_what_a_submission_may_be(input: Any) -> None:
    frames.check_steer({**STEER, "input": input})


@pytest.mark.parametrize(
    "change",
    [
        {"input": ""},
        {"input": []},
        {"input": [{**USER, "role": "assistant"}]},
        {"input": [{**USER, "content": [{"type": "output_text", "text": "x"}]}]},
        {"previous_response_id": 7},
        {"stream_id": "a"},
    ],
)
def test_R4_16_what_it_may_not_be(change: dict[str, Any]) -> None:
    with pytest.raises(APIError) as caught:
        frames.check_steer({**STEER, **change})
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("frame", "code", "param"),
    [
        ({"input": "x"}, "missing_required_parameter", "response_id"),
        ({"response_id": "resp_1"}, "missing_required_parameter", "input"),
        ({"response_id": 7, "input": "x"}, "invalid_type", "response_id"),
    ],
)
def test_a_frame_that_has_no_target_gets_an_error(frame: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(APIError) as caught:
        frames.check_addressed(frame, "response_id")
    assert (caught.value.code, caught.value.param) == (code, param)
    frames.check_addressed({"response_id": "resp_1", "input": "x"}, "response_id")


def test_X7_a_refused_injection_to_the_byte() -> None:
    frame = {"type": "response.inject", "response_id": "resp_123", "input": [{"role": "user"}]}
    assert frames.text(frames.inject_failure(frame, 9, ended=True)) == (
        '{"type":"response.inject.failed","response_id":"resp_123","input":[{"role":"user"}],"error":{"code":'
        '"response_already_completed","message":"Response \'resp_123\' has already completed."},"sequence_number":9}'
    )
    assert frames.inject_failure(frame, 0, ended=False)["error"]["code"] == "response_not_found"


def test_headers_of_an_error_stand_in_its_frame() -> None:
    error = APIError("slow down", status=429, code="slow_down", headers={"retry-after": "1"})
    assert frames.error_frame(error)["error"]["headers"] == {"retry-after": "1"}
    assert "headers" not in frames.error_frame(errors.duplicate_item("msg_1"))["error"]


def test_R4_1_sockets_that_are_switched_off_send_clients_to_http() -> None:
    assert frames.switched_off().status == 426


def test_R4_16_submissions_as_messages() -> None:
    assert frames.steering_input("x") == [{"type": "message", "role": "user", "content": "x"}]
    assert frames.steering_input([{"role": "user", "content": "x"}]) == [
        {"role": "user", "content": "x", "type": "message"}
    ]


def test_R4_16_keys_of_steering_events_are_alphabetical() -> None:
    failed = frames.steer_failure({"input": "x", "previous_response_id": "r"}, "c", "m", 3, "steer_1")
    pending = frames.steer_pending("steer_1", "r", [], 4)
    accepted = frames.steer_acceptance("steer_1", "r", 5)
    for event in (failed, pending, accepted):
        assert list(event)[1:] == sorted(list(event)[1:])
        assert list(event["steer"]) == sorted(event["steer"])
    assert json.loads(frames.text(frames.with_lane(failed, "a")))["stream_id"] == "a"
