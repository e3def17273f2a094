"""A connection without its socket: what frames come to. Spec: R4.*, WE1 to WE8, X4 to X7."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.config.pacing import Pacing
from mockserver.config.settings import Settings
from mockserver.delivery.events import Body
from mockserver.engine.engine import Engine
from mockserver.websocket.session import LIFETIME_S, MOST_WAITING, REMEMBERED
from tests.support.api import Api
from tests.support.driving import NOON, Driver, refused, text_of
from tests.support.sockets import Frames

SLOW = {"pacing": {"first_token": 1, "tokens_per_second": 1}}
STEERABLE = "gpt-6-astra"
CALL = {"type": "function_call", "name": "f", "call_id": "c1", "arguments": {}}
TOOLS = [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}]


@pytest.fixture
def frames() -> Frames:
    return Frames()


def over_http(frames: Frames) -> Driver:
    return Driver(frames.engine, frames.project)


def code(frame: dict[str, Any]) -> Any:
    assert frame["type"] == "error", frame
    return frame["error"]["code"]


def types(said: list[dict[str, Any]]) -> list[str]:
    return [one["type"] for one in said]


# --- Turns and memory --------------------------------------------------------------------------------------------


def test_R4_3_numbers_restart_with_each_response(frames: Frames) -> None:
    for _ in range(2):
        said = frames.send()
        assert [event["sequence_number"] for event in said] == list(range(len(said)))
        assert types(said)[:2] == ["response.created", "response.in_progress"]
        assert said[-1]["type"] == "response.completed"


def test_R4_3_the_events_are_those_of_a_stream() -> None:
    stream = Driver(project="p").stream("say it")
    assert Frames().send("say it", model="gpt-4.1") == stream


def test_R4_5_a_continuation_brings_only_what_is_new(frames: Frames) -> None:
    first = frames.create("one", store=False)
    second = frames.create("two", store=False, previous_response_id=first["id"])
    third = frames.create("three", previous_response_id=second["id"])
    assert text_of(third["output"][0]) == "Mock reply to: three [5 items in context]"
    assert third["previous_response_id"] == second["id"]
    assert third["usage"]["input_tokens"] > second["usage"]["input_tokens"] > first["usage"]["input_tokens"]


def test_R4_5_a_fork_continues_another_lanes_response(frames: Frames) -> None:
    first = frames.create("one", store=False, stream_id="a")
    forks = [frames.create(lane, store=False, stream_id=lane, previous_response_id=first["id"]) for lane in "bc"]
    assert [text_of(fork["output"][0])[-20:] for fork in forks] == ["[3 items in context]"] * 2
    assert frames.create("on", store=False, stream_id="a", previous_response_id=first["id"])["status"] == "completed"


def test_R4_6_only_the_latest_response_of_a_lane_is_remembered(frames: Frames) -> None:
    first = frames.create("one", store=False)
    second = frames.create("two", store=False)
    error = frames.send("three", store=False, previous_response_id=first["id"])[-1]
    assert error == {
        "type": "error",
        "status": 400,
        "error": {
            "type": "invalid_request_error",
            "code": "previous_response_not_found",
            "message": f"Previous response with id '{first['id']}' not found.",
            "param": "previous_response_id",
        },
    }, "WE1"
    assert frames.create("three", previous_response_id=second["id"])["status"] == "completed", "R4.8: not its lane's"


def test_R4_6_a_new_socket_starts_empty(frames: Frames) -> None:
    first = frames.create(store=False)
    assert code(Frames(frames.engine).create(previous_response_id=first["id"])) == "previous_response_not_found"
    assert Driver(frames.engine).engine is frames.engine
    assert frames.create(previous_response_id=first["id"])["status"] == "completed"


def test_R4_7_a_stored_parent_is_loaded_from_storage(frames: Frames) -> None:
    first, _ = frames.create("one"), frames.create("two")
    assert frames.create("three", previous_response_id=first["id"])["status"] == "completed"
    assert Frames(frames.engine).create("four", previous_response_id=first["id"])["status"] == "completed"
    made = over_http(frames).create("by http")
    assert frames.create(previous_response_id=made["id"])["previous_response_id"] == made["id"]


def test_R4_7_whoever_retains_nothing_still_continues_on_the_socket() -> None:
    frames = Frames(Engine(Settings(clock=NOON, set=(("zdr", "on"),))))
    first = frames.create("one")
    assert first["store"] is False
    assert frames.create("two", previous_response_id=first["id"])["status"] == "completed"
    assert code(frames.create("three", previous_response_id=first["id"])) == "previous_response_not_found"


def test_R4_8_a_failed_continuation_evicts_its_parent(frames: Frames) -> None:
    first = frames.create("one", store=False)
    assert code(frames.create("two", model="none", previous_response_id=first["id"])) == "model_not_found"
    assert code(frames.create("two", previous_response_id=first["id"])) == "previous_response_not_found"


def test_R4_8_a_scripted_server_fault_evicts_too(frames: Frames) -> None:
    first = frames.create("one", store=False)
    frames.script({"reply": {"error": {"code": "server_error"}}})
    assert frames.create("two", previous_response_id=first["id"])["status"] == 500
    assert code(frames.create("two", previous_response_id=first["id"])) == "previous_response_not_found"


def test_R4_8_a_turn_that_fails_in_its_stream_evicts_its_parent(frames: Frames) -> None:
    first = frames.create("one", store=False)
    frames.script({"reply": {"failed": {"code": "server_error", "message": "x"}}})
    assert frames.create("two", store=False, previous_response_id=first["id"])["status"] == "failed"
    assert code(frames.create("two", previous_response_id=first["id"])) == "previous_response_not_found"


def test_R4_8_a_failed_fork_keeps_the_parent(frames: Frames) -> None:
    first = frames.create("one", store=False)
    assert frames.create(model="none", stream_id="fork", previous_response_id=first["id"])["type"] == "error"
    assert frames.create("two", previous_response_id=first["id"])["status"] == "completed"


def test_R4_8_what_names_no_parent_evicts_nothing(frames: Frames) -> None:
    first = frames.create("one", store=False)
    for bad in ({"model": "none"}, {"bogus": 1}, {"temperature": 9}, {"previous_response_id": "resp_none"}):
        assert frames.create(**bad)["type"] == "error"
    assert frames(b"{")[0]["type"] == "error"
    assert frames.create("two", previous_response_id=first["id"])["status"] == "completed"


def test_R4_8_a_stored_parent_survives_eviction(frames: Frames) -> None:
    first = frames.create("one")
    assert frames.create(model="none", previous_response_id=first["id"])["type"] == "error"
    assert frames.create("two", previous_response_id=first["id"])["status"] == "completed"


@pytest.mark.parametrize(
    ("input", "message"),
    [
        ("no output", "No tool output found for function call c1."),
        (
            [{"type": "function_call_output", "call_id": "cx", "output": "1"}],
            "No tool call found for function call output with call_id cx.",
        ),
    ],
)
def test_X5_a_missing_or_orphan_output_is_refused_and_evicts(frames: Frames, input: Any, message: str) -> None:
    frames.script({"reply": {"output": [CALL]}})
    first = frames.create(tools=TOOLS, store=False)
    error = frames.create(input, tools=TOOLS, previous_response_id=first["id"])
    assert (error["status"], error["error"]["message"]) == (400, message)
    given = [{"type": "function_call_output", "call_id": "c1", "output": "1"}]
    assert code(frames.create(given, previous_response_id=first["id"])) == "previous_response_not_found"


def test_X10_a_warm_up_then_a_tool_loop_on_one_socket(frames: Frames) -> None:
    """Spec: R4.4, X10."""
    warm = frames.create("context", generate=False, store=False, tools=TOOLS)
    assert (warm["status"], warm["output"]) == ("completed", [])
    frames.script({"when": {"turn": 1}, "reply": {"output": [CALL]}})
    call = frames.create("do it", store=False, tools=TOOLS, previous_response_id=warm["id"])
    assert call["output"][0]["type"] == "function_call"
    output = [{"type": "function_call_output", "call_id": "c1", "output": "42"}]
    last = frames.create(output, store=False, tools=TOOLS, previous_response_id=call["id"])
    assert text_of(last["output"][0]).endswith("[4 items in context]")


def test_X10_a_warm_up_needs_no_input(frames: Frames) -> None:
    """Codex sends all of it with the next frame, which names the warm-up. Spec: R4.4, X10, C1."""
    asked = {"model": "gpt-6.2-sol", "store": False}
    warm = frames.create([], generate=False, **asked)
    assert (warm["status"], warm["output"]) == ("completed", [])
    brought = {"type": "additional_tools", "role": "developer", "tools": TOOLS}
    user = {"role": "user", "content": "do it"}
    frames.script({"when": {"turn": 1, "has_tool": "f"}, "reply": {"text": "done"}})
    turn = frames.create([brought, user], previous_response_id=warm["id"], **asked)
    assert text_of(turn["output"][-1]) == "done"
    assert code(frames.create([], **asked)) == "missing_required_parameter"


def test_R4_4_a_warm_up_says_nothing_and_uses_no_line(frames: Frames) -> None:
    frames.script({"reply": {"text": "scripted"}})
    said = frames.send(generate=False)
    assert types(said) == ["response.created", "response.in_progress", "response.completed"]
    final = said[-1]["response"]
    assert final["output"] == []
    assert final["usage"]["input_tokens"] > 0
    assert final["usage"]["output_tokens"] == 0
    assert over_http(frames).get(final["id"])["output"] == []
    assert text_of(frames.create("go", previous_response_id=final["id"])["output"][0]) == "scripted"


def test_R4_4_prewarm_forces_it_over_http_as_well(frames: Frames) -> None:
    options = {"prompt_cache_options": {"prewarm": True}}
    assert frames.create(**options, generate=True)["output"] == []
    made = over_http(frames).create(**options)
    assert made["output"] == []
    assert over_http(frames).create("go", previous_response_id=made["id"])["output"]


def test_R4_4_pacing_does_not_slow_a_warm_up() -> None:
    frames = Frames(Engine(Settings(clock=NOON, pacing=Pacing(1.0, 1.0))))
    assert frames.create(generate=False)["status"] == "completed"
    assert not frames.playing


def test_R4_14_three_ways_to_recover_on_a_new_socket(frames: Frames) -> None:
    stored, unstored = frames.create("one"), frames.create("one", store=False, stream_id="b")
    again = Frames(frames.engine)
    assert again.create("two", previous_response_id=stored["id"])["status"] == "completed"
    history = [{"role": "user", "content": "one"}, *unstored["output"], {"role": "user", "content": "two"}]
    fresh = again.create(history, store=False, previous_response_id=None)
    assert text_of(fresh["output"][0]).endswith("[3 items in context]")
    body = {"model": "gpt-4.1", "input": history}
    window = json.loads(Api(frames.engine).compact_response(frames.project, json.dumps(body).encode()))["output"]
    based = again.create([*window, {"role": "user", "content": "three"}], store=False, previous_response_id=None)
    assert based["status"] == "completed", "R4.15"
    assert again.create("on", previous_response_id=based["id"])["status"] == "completed"


def test_R4_15_context_management_works_as_over_http(frames: Frames) -> None:
    asked = {"context_management": [{"type": "compaction", "compact_threshold": 1000}]}
    made = frames.create("word " * 1500, **asked, store=False)
    assert "compaction" in [item["type"] for item in made["output"]]
    assert frames.create("next", store=False, previous_response_id=made["id"])["usage"]["input_tokens"] < 1500


def test_a_stored_response_keeps_its_unstored_context(frames: Frames) -> None:
    """Spec: R4.5, R1.20: what the connection remembered outlives it where a stored response goes back to it."""
    first = frames.create("one", store=False)
    second = frames.create("two", store=False, previous_response_id=first["id"])
    third = frames.create("three", previous_response_id=second["id"])
    drive = over_http(frames)
    assert len(drive.context(third["id"])) == 5
    assert text_of(drive.create("four", previous_response_id=third["id"])["output"][0]).endswith("[7 items in context]")
    assert [item["id"] for item in drive.input_items(third["id"], order="asc")["data"]][1] == first["output"][0]["id"]
    assert code(Frames(frames.engine).create(previous_response_id=second["id"])) == "previous_response_not_found"


def test_X4_a_conversation_is_allowed(frames: Frames) -> None:
    drive = over_http(frames)
    id = drive.conversation()["id"]
    made = frames.create("one", conversation=id, store=False)
    assert made["conversation"] == {"id": id}
    assert [item["role"] for item in drive.items(id)["data"]] == ["assistant", "user"]


def test_a_reset_is_a_reset_for_open_sockets_too(frames: Frames) -> None:
    first = frames.create("one", store=False)
    frames.engine.control.reset("p")
    assert code(frames.create(previous_response_id=first["id"])) == "previous_response_not_found"
    assert frames.create("one")["id"].replace("00", "01") == first["id"].replace("00", "01"), "ids come again"


# --- Lanes -------------------------------------------------------------------------------------------------------


def test_R4_9_events_and_errors_of_a_named_lane_are_tagged(frames: Frames) -> None:
    assert {event["stream_id"] for event in frames.send(stream_id="a.B_-1")} == {"a.B_-1"}
    assert not [event for event in frames.send() if "stream_id" in event]
    error = frames.send(stream_id="a", model="none")[0]
    assert list(error) == ["type", "status", "stream_id", "error"], "R4.13"
    assert "stream_id" not in frames.send(model="none")[0]
    for event in frames.send(stream_id="a"):
        assert list(event)[1:] == sorted(list(event)[1:]), "S7"


def test_R4_9_a_busy_lane_queues_and_another_goes_on(frames: Frames) -> None:
    frames.script({"reply": {"text": "slow"}, **SLOW})
    assert frames.send("one") == []
    assert frames.send("two") == []
    assert frames.send("bad", model="none") == [], "errors keep their place in the lane too"
    assert types(frames.send("three", stream_id="b"))[-1] == "response.completed"
    (slow,) = frames.playing
    said = frames.rest(slow)
    ends = [event for event in said if event["type"] in ("response.completed", "error")]
    assert types(ends) == ["response.completed", "response.completed", "error"]
    assert text_of(ends[1]["response"]["output"][0]) == "Mock reply to: two [1 items in context]"


def test_R4_9_reusing_a_lane_without_a_parent_starts_fresh(frames: Frames) -> None:
    frames.create("one", stream_id="a")
    assert text_of(frames.create("two", stream_id="a")["output"][0]).endswith("[1 items in context]")


def test_R4_9_sixteen_in_flight_and_the_rest_is_queued(frames: Frames) -> None:
    frames.script(*[{"reply": {"text": "slow"}, **SLOW}] * 17)
    for number in range(18):
        assert frames.send(stream_id=f"l{number}") == []
    assert len(frames.playing) == 16
    frames.rest(frames.playing[5])
    assert len(frames.playing) == 16
    assert frames.playing[-1].lane == "l16"


def test_WE2_names_that_are_none(frames: Frames) -> None:
    for bad in ("", "a b", "é", "a/b", "x" * 257, 7, [], "a\n"):
        error = frames.send(stream_id=bad)[0]
        assert error == {
            "type": "error",
            "status": 400,
            "error": {
                "type": "invalid_request_error",
                "code": "invalid_stream_id",
                "message": "The 'stream_id' field must be a non-empty string with at most 256 characters and may only "
                "contain letters, numbers, underscores, hyphens, and periods.",
                "param": "stream_id",
            },
        }
    assert frames.create(stream_id="x" * 256)["status"] == "completed"
    assert frames.create(stream_id=None)["status"] == "completed"


def test_WE3_the_thirty_third_name(frames: Frames) -> None:
    for number in range(32):
        frames.create(stream_id=f"agent_{number + 1}")
    assert frames.send(stream_id="agent_33") == [
        {
            "type": "error",
            "status": 400,
            "stream_id": "agent_33",
            "error": {
                "type": "invalid_request_error",
                "code": "websocket_stream_limit_reached",
                "message": "This WebSocket connection has reached its maximum number of distinct stream IDs (32). "
                "Reuse an existing stream_id or open a new WebSocket connection.",
                "param": "stream_id",
            },
        }
    ]
    assert frames.create()["status"] == "completed", "the default lane is not counted"
    assert frames.create(stream_id="agent_7")["status"] == "completed"


def test_R4_11_in_progress_means_that_the_parent_is_captured(frames: Frames) -> None:
    first = frames.create("one", store=False, stream_id="a")
    frames.script({"reply": {"text": "slow fork"}, **SLOW})
    frames.send("fork", store=False, stream_id="b", previous_response_id=first["id"])
    (fork,) = frames.playing
    assert types(frames.step(fork)) == ["response.created", "response.in_progress"]
    frames.create("moves on", store=False, stream_id="a")
    final = frames.rest(fork)[-1]["response"]
    on = frames.create("on", store=False, stream_id="b", previous_response_id=final["id"])
    assert text_of(on["output"][0]).endswith("[5 items in context]"), "with all of the evicted parent's items"


def test_R4_11_a_fork_that_is_still_queued_may_lose_its_parent(frames: Frames) -> None:
    first = frames.create("one", store=False, stream_id="a")
    frames.script({"reply": {"text": "slow"}, **SLOW})
    frames.send("busy", stream_id="b")
    frames.send("fork", stream_id="b", previous_response_id=first["id"])
    frames.create("moves on", store=False, stream_id="a")
    assert code(frames.rest(frames.playing[0])[-1]) == "previous_response_not_found"


def test_R1_32_a_turn_under_way_is_no_parent(frames: Frames) -> None:
    frames.script({"reply": {"text": "slow"}, **SLOW})
    frames.send(store=False)
    (slow,) = frames.playing
    id = frames.step(slow)[0]["response"]["id"]
    assert code(frames.create(stream_id="b", previous_response_id=id)) == "previous_response_not_found"
    frames.rest(slow)
    assert frames.create(stream_id="b", previous_response_id=id)["status"] == "completed"


# --- Frames that are none ----------------------------------------------------------------------------------------


def test_WE8_what_is_no_frame_is_refused_and_the_socket_goes_on(frames: Frames) -> None:
    """Spec: R4.18, WE8."""
    rows: list[tuple[bytes, Any, Any]] = [
        (b"{", "invalid_json", None),
        (b"", "invalid_json", None),
        (b"\xff\xfe", None, None),
        (b"[]", "invalid_type", None),
        (b'"x"', "invalid_type", None),
        (b"{}", "missing_required_parameter", "type"),
        (b'{"type":7}', "invalid_type", "type"),
        (b'{"type":"session.update"}', "invalid_value", "type"),
        (b'{"type":"response.cancel"}', "invalid_value", "type"),  # R4.17
    ]
    for data, wanted, param in rows:
        (error,) = frames(data)
        assert (error["type"], error["status"]) == ("error", 400)
        assert error["error"]["type"] == "invalid_request_error"
        assert (error["error"]["code"], error["error"]["param"]) == (wanted, param), data
    assert frames.create()["status"] == "completed"


def test_R4_2_background_is_refused_and_false_is_fine(frames: Frames) -> None:
    """Spec: R4.2, R6.12, X4."""
    error = frames.create(background=True)
    assert (error["status"], error["error"]["param"]) == (400, "background")
    assert frames.create(background=False)["status"] == "completed"


@pytest.mark.parametrize("window", ["2h", "8h"])
def test_R4_2_only_the_soonest_completion_is_for_sockets(frames: Frames, window: str) -> None:
    error = frames.create(background_options={"completion_window": window})
    expected = (400, "unsupported_value", "background_options.completion_window")
    assert (error["status"], error["error"]["code"], error["error"]["param"]) == expected
    options = {"completion_window": "soonest", "continuation_id": "c"}
    final = frames.create(background_options=options)
    assert final["status"] == "completed" and "background_options" not in final


def test_R4_2_stream_is_a_boolean_that_means_nothing(frames: Frames) -> None:
    for value in (True, False, None):
        assert frames.create(stream=value)["status"] == "completed"
    assert code(frames.create(stream="yes")) == "invalid_type"


def test_R4_10_stream_id_over_http_is_unknown(frames: Frames) -> None:
    error = refused(over_http(frames).create, stream_id="a")
    assert (error.code, error.param) == ("unknown_parameter", "stream_id")
    assert refused(over_http(frames).create, generate=False).code == "unknown_parameter"


def test_WE5_an_error_says_what_it_says_over_http(frames: Frames) -> None:
    """Spec: WE5, WE6."""
    drive = over_http(frames)
    bad_format = {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True}}
    for fields in (
        {"temperature": 3},
        {"bogus": 1},
        {"model": "none"},
        {"text": bad_format},
        {"conversation": "conv_none"},
        {"input": [{"id": "msg_1", "role": "user", "content": "x"}] * 2},
    ):
        frame, error = frames.create(**{"input": "x", **fields}), refused(drive.create, **{"input": "x", **fields})
        assert frame["status"] == error.status
        want = {"type": error.type, "code": error.code, "message": error.message, "param": error.param}
        assert frame["error"] == want
        assert list(frame["error"]) == list(want)
    assert code(frames.create(text=bad_format)) == "invalid_json_schema"


def test_WE5_headers_of_a_scripted_error_stand_in_it(frames: Frames) -> None:
    frames.script({"reply": {"error": {"code": "rate_limit_exceeded", "headers": {"retry-after": "7"}}}})
    error = frames.create()
    assert error["status"] == 429
    assert error["error"]["headers"]["retry-after"] == "7"


def test_WE7_a_turn_that_fails_tells_its_error_in_its_stream(frames: Frames) -> None:
    frames.script({"reply": {"failed": {"code": "server_is_overloaded", "message": "Our servers …"}}})
    said = frames.send(stream_id="a")
    assert types(said) == ["response.created", "response.in_progress", "error", "response.failed"]
    assert said[2] == {
        "type": "error",
        "error": {
            "type": "service_unavailable_error",
            "code": "server_is_overloaded",
            "message": "Our servers …",
            "param": None,
        },
        "sequence_number": 2,
        "stream_id": "a",
    }


def test_errors_in_a_stream_are_nested_on_a_socket_whatever_the_switch_says() -> None:
    """Spec: websocket §4."""
    frames = Frames(Engine(Settings(clock=NOON, set=(("stream_error_shape", "flat"),))))
    frames.script({"reply": {"failed": {"code": "server_error", "message": "x"}}})
    assert frames.send()[2]["error"]["code"] == "server_error"


def test_scripted_lines_know_the_transport(frames: Frames) -> None:
    frames.script({"when": {"transport": "websocket"}, "reply": {"text": "by socket"}})
    assert text_of(over_http(frames).create()["output"][0]) != "by socket"
    assert text_of(frames.create()["output"][0]) == "by socket"


def test_a_fault_of_the_mock_costs_one_turn(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        def respond(self, prompt: Any) -> Any:
            raise RuntimeError("deliberate")

    frames = Frames(Engine(Settings(clock=NOON), model=Broken()))
    error = frames.create(stream_id="a")
    assert (error["status"], error["error"]["type"], error["stream_id"]) == (500, "mock_error", "a")
    assert "deliberate" in caplog.text
    assert frames.create(generate=False, stream_id="a")["status"] == "completed"


def test_X7_an_injection_is_refused(frames: Frames) -> None:
    made = frames.send(stream_id="a")
    id, input = made[-1]["response"]["id"], [{"type": "message", "role": "user", "content": "x"}]
    (refused,) = frames({"type": "response.inject", "response_id": id, "input": input})
    assert refused == {
        "type": "response.inject.failed",
        "response_id": id,
        "input": input,
        "error": {"code": "response_already_completed", "message": f"Response '{id}' has already completed."},
        "sequence_number": len(made),
        "stream_id": "a",
    }
    assert list(refused)[:5] == ["type", "response_id", "input", "error", "sequence_number"]
    (unknown,) = frames({"type": "response.inject", "response_id": "resp_x", "input": input})
    assert unknown["error"]["code"] == "response_not_found"
    assert code(frames({"type": "response.inject", "input": input})[0]) == "missing_required_parameter"
    frames.script({"reply": {"text": "slow"}, **SLOW})
    frames.send()
    id = frames.step(frames.playing[0])[0]["response"]["id"]
    (active,) = frames({"type": "response.inject", "response_id": id, "input": input})
    assert (active["status"], active["error"]["type"]) == (501, "mock_error")


# --- Age, limits, leaving ----------------------------------------------------------------------------------------


def test_R4_12_the_age_counts_on_the_projects_clock(frames: Frames) -> None:
    assert frames.connection.remaining_seconds() == LIFETIME_S == 3600
    frames.engine.control.advance_clock("p", 3000)
    frames.engine.control.advance_clock("other", 9000)
    assert frames.connection.remaining_seconds() == 600


def test_no_more_is_read_than_can_wait(frames: Frames) -> None:
    frames.script({"reply": {"text": "slow"}, **SLOW})
    frames.send()
    for _ in range(MOST_WAITING):
        assert not frames.connection.is_congested
        frames.send("x", model="none")
    assert frames.connection.is_congested
    assert len(frames.rest(frames.playing[0])) > MOST_WAITING
    assert not frames.connection.is_congested


def test_large_frames_count_by_their_size(frames: Frames) -> None:
    frames.script({"reply": {"text": "slow"}, **SLOW})
    frames.send()
    for _ in range(3):
        frames.send("x" * 6_000_000, model="none")
    assert frames.connection.is_congested
    frames.rest(frames.playing[0])
    assert not frames.connection.is_congested


@pytest.mark.parametrize("on_disconnect", ["continue", "cancel"])
def test_R9_20_who_leaves_leaves_turns_behind(on_disconnect: str) -> None:
    """Spec: R9.20, R4.17 (switch `on_disconnect`)."""
    frames = Frames(Engine(Settings(clock=NOON, set=(("on_disconnect", on_disconnect),))))
    drive = over_http(frames)
    conversation = drive.conversation()["id"]
    frames.script({"reply": {"text": "slow"}, **SLOW})
    frames.send("one", conversation=conversation)
    frames.send("never begun")
    id = frames.step(frames.playing[0])[0]["response"]["id"]
    frames.connection.leave()
    if on_disconnect == "continue":
        assert refused(drive.create, conversation=conversation).code == "conversation_locked"
        drive.advance(seconds=100)
        assert drive.get(id)["status"] == "completed"
        assert len(drive.items(conversation)["data"]) == 2
    else:
        assert drive.get(id)["status"] == "cancelled"
        assert drive.create(conversation=conversation)["status"] == "completed"
    assert len(frames.engine.control.list_responses("p", limit=10, after=None)["data"]) == 1 + (
        on_disconnect == "cancel"
    )


def test_frames_that_wait_are_given_up_when_their_client_leaves(frames: Frames) -> None:
    """Spec: R4.9. Whoever heard that they began hears their end; the journal has only what was answered."""
    stream = frames.engine.control.listen()
    frames.script({"reply": {"text": "slow"}, **SLOW})
    assert frames.send("slow") == frames.send("waits") == []
    frames.connection.leave()
    sent = stream.next()
    assert isinstance(sent, Body) and sent.data.count(b"event: exchange.ended") == 2
    assert len(frames.engine.control.journal("p", limit=9)["data"]) == 1


def test_a_turn_that_the_clock_has_ended_waits_no_more(frames: Frames) -> None:
    frames.script({"reply": {"text": "one two three four five"}, **SLOW})
    frames.send()
    (slow,) = frames.playing
    frames.step(slow)
    frames.engine.control.advance_clock("p", 1000)
    over_http(frames).get(slow.turn.id)
    frames.step(slow)
    assert not frames.playing


def test_what_is_remembered_of_ended_turns_is_bounded(frames: Frames) -> None:
    first = frames.create(generate=False)["id"]
    for _ in range(REMEMBERED):
        frames.create(generate=False)
    steer = {"type": "response.steer", "previous_response_id": first, "input": "x"}
    assert frames(steer)[0]["error"]["code"] == "response_not_found"


# --- Steering ----------------------------------------------------------------------------------------------------


def say(text: str) -> dict[str, Any]:
    return {"type": "message", "text": text}


def begin(frames: Frames, *output: dict[str, Any], **fields: Any) -> str:
    """Start a paced turn with this output; returns its id."""
    frames.script({"reply": {"output": list(output)}, **SLOW})
    frames.send("work", **{"model": STEERABLE, "stream_id": "a", **fields})
    return frames.step(frames.playing[0])[0]["response"]["id"]


def into_first_item(frames: Frames) -> None:
    """Play a turn until its first item has begun."""
    while not any(one["type"] == "response.output_item.added" for one in frames.step(frames.playing[0])):
        pass


def steer(frames: Frames, id: str, input: Any = "faster") -> dict[str, Any]:
    said = frames({"type": "response.steer", "previous_response_id": id, "input": input})
    assert len(said) == 1
    return said[0]


def test_R4_16_accepted_is_counted_by_the_target(frames: Frames) -> None:
    id = begin(frames, say("one two"))
    accepted = steer(frames, id)
    assert accepted == {
        "type": "response.steer.accepted",
        "sequence_number": 2,
        "steer": {"id": accepted["steer"]["id"], "previous_response_id": id},
        "stream_id": "a",
    }
    assert accepted["steer"]["id"].startswith("steer_")
    assert len(accepted["steer"]["id"]) == 6 + 32, "X6"
    said = frames.rest(frames.playing[0])
    mine = [one for one in said if one["type"] == "response.incomplete"]
    assert mine[0]["sequence_number"] == 3, "X6: the numbers go on behind it"


def test_R4_16_A_a_turn_stops_at_a_boundary_and_goes_on_as_another(frames: Frames) -> None:
    id = begin(frames, say("one two"), say("three four"), say("five"), store=False, instructions="be brief")
    while not any(one["type"] == "response.output_text.delta" for one in frames.step(frames.playing[0])):
        pass
    steer(frames, id, "stop that")
    said = frames.rest(frames.playing[0])
    at = types(said).index("response.incomplete")
    final = said[at]["response"]
    assert final["incomplete_details"] == {"reason": "steered"}
    assert final["status"] == "incomplete"
    assert final["completed_at"] is None
    assert [text_of(item) for item in final["output"]] == ["one two"]
    assert final["output"][0]["status"] == "completed", "it was said in full"
    assert 0 < final["usage"]["output_tokens"] < 10
    assert [one["sequence_number"] for one in said[: at + 1]] == list(
        range(said[0]["sequence_number"], said[at]["sequence_number"] + 1)
    )
    created, follower = said[at + 1], said[-1]["response"]
    assert created["type"] == "response.created", "the commit point"
    assert created["sequence_number"] == 0
    assert created["stream_id"] == "a"
    assert follower["previous_response_id"] == id
    assert follower["instructions"] == "be brief"
    assert follower["model"] == STEERABLE
    assert follower["store"] is False
    assert text_of(follower["output"][-1]) == "Mock reply to: stop that [3 items in context]"
    assert follower["status"] == "completed"


def test_R4_16_A_before_the_first_item_nothing_is_said(frames: Frames) -> None:
    id = begin(frames, say("one"), say("two"))
    frames({"type": "response.steer", "previous_response_id": id, "input": "a"})
    assert frames.playing[0].woken, "there is nothing to wait for"
    frames({"type": "response.steer", "previous_response_id": id, "input": [{"role": "user", "content": "b"}]})
    said = frames.rest(frames.playing[0])
    assert said[0]["type"] == "response.incomplete"
    assert said[0]["response"]["output"] == []
    assert said[0]["response"]["usage"]["output_tokens"] == 0
    drive = over_http(frames)
    assert drive.get(id)["incomplete_details"] == {"reason": "steered"}
    follower = said[-1]["response"]
    assert drive.context(follower["id"])[:3] == ["work", "a", "b"], "in the order of submission"
    assert len(drive.input_items(follower["id"])["data"]) == 3


def test_R4_16_B_a_turn_that_is_nearly_done_completes(frames: Frames) -> None:
    id = begin(frames, say("one two three"))
    into_first_item(frames)
    steer(frames, id, "more")
    said = frames.rest(frames.playing[0])
    ends = [one for one in types(said) if one in ("response.completed", "response.created", "response.incomplete")]
    assert ends == ["response.completed", "response.created", "response.completed"]
    assert text_of(said[-1]["response"]["output"][-1]) == "Mock reply to: more [3 items in context]"
    assert not frames.playing


def test_R4_16_C_required_input_comes_first(frames: Frames) -> None:
    id = begin(frames, say("calling"), CALL, {**CALL, "call_id": "c2"}, tools=TOOLS, store=False)
    while not any(one["type"] == "response.function_call_arguments.delta" for one in frames.step(frames.playing[0])):
        pass
    ids = [steer(frames, id, text)["steer"]["id"] for text in ("a", "b")]
    said = frames.rest(frames.playing[0])
    at = types(said).index("response.completed")
    number = said[at]["sequence_number"]
    stubs = [{"type": "function_call_output", "call_id": call, "name": "f"} for call in ("c1", "c2")]
    assert said[at + 1 :] == [
        {
            "type": "response.steer.pending",
            "reason": "waiting_for_required_input",
            "required_input": stubs,
            "sequence_number": number + 1 + place,
            "steer": {"id": steer_id, "previous_response_id": id},
            "stream_id": "a",
        }
        for place, steer_id in enumerate(ids)
    ]
    filled = [{**stub, "output": "1"} for stub in stubs]
    for stub in filled:
        del stub["name"]
    last = frames.create(filled, model=STEERABLE, stream_id="a", previous_response_id=id, instructions="own")
    assert last["status"] == "completed"
    assert last["instructions"] == "own", "its own settings"
    drive = over_http(frames)
    assert drive.context(last["id"])[:7] == ["work", "calling", "f", "f", "a", "b", "1"]
    again = frames.create("x", model=STEERABLE, stream_id="a", previous_response_id=last["id"])
    assert len(drive.input_items(again["id"])["data"]) == len(drive.input_items(last["id"])["data"]) + 3


def test_R4_16_C_a_lane_that_goes_on_gives_the_input_back(frames: Frames) -> None:
    id = begin(frames, CALL, tools=TOOLS)
    into_first_item(frames)
    accepted = steer(frames, id, "a")
    frames.rest(frames.playing[0])
    elsewhere = [{"type": "function_call_output", "call_id": "c1", "output": "1"}]
    fork = frames.create(elsewhere, model=STEERABLE, stream_id="b", previous_response_id=id)
    assert "a" not in over_http(frames).context(fork["id"]), "a fork gets none of it"
    said = frames.send("something else", stream_id="a")
    assert said[0]["type"] == "response.steer.failed"
    assert said[0]["error"]["code"] == "successor_creation_failed"
    assert said[0]["steer"] == {"id": accepted["steer"]["id"], "input": "a", "previous_response_id": id}
    assert said[0]["stream_id"] == "a"
    assert said[-1]["type"] == "response.completed"


def test_R4_16_D_a_successor_that_fails_gives_the_input_back(frames: Frames) -> None:
    id = begin(frames, say("one"), say("two"))
    message = [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "a"}]}]
    accepted = steer(frames, id, message)
    frames.script({"reply": {"error": {"code": "rate_limit_exceeded"}}})
    said = frames.rest(frames.playing[0])
    assert types(said) == ["response.incomplete", "response.steer.failed"]
    assert said[1]["steer"] == {"id": accepted["steer"]["id"], "input": message, "previous_response_id": id}
    assert said[1]["error"]["code"] == "successor_creation_failed"
    assert list(said[1]["error"]) == ["type", "code", "message"]
    assert frames.create(stream_id="a")["status"] == "completed", "the lane is free"


def test_R4_16_who_can_be_steered(frames: Frames) -> None:
    conversation = over_http(frames).conversation()["id"]
    compacting = [{"type": "compaction", "compact_threshold": 1000}]
    for fields in ({"model": "gpt-5.6"}, {"conversation": conversation}, {"context_management": compacting}):
        id = begin(frames, say("one"), **fields)
        failed = steer(frames, id)
        assert failed["error"]["code"] == "steering_not_supported"
        assert failed["error"]["type"] == "invalid_request_error"
        assert "id" not in failed["steer"], "none was allocated"
        assert failed["stream_id"] == "a"
        assert failed["sequence_number"] == 2
        frames.rest(frames.playing[0])


def test_R4_16_targets_that_are_none(frames: Frames) -> None:
    assert steer(frames, "resp_none") == {
        "type": "response.steer.failed",
        "error": {
            "type": "invalid_request_error",
            "code": "response_not_found",
            "message": "Response with id 'resp_none' not found.",
        },
        "sequence_number": 0,
        "steer": {"input": "faster", "previous_response_id": "resp_none"},
    }
    done = frames.create(model=STEERABLE, stream_id="a")["id"]
    late = steer(frames, done)
    assert (late["error"]["code"], late["sequence_number"]) == ("response_already_completed", 0), "X6"
    frames.script({"reply": {"text": "x", "incomplete": "max_output_tokens"}})
    stopped = frames.create(model=STEERABLE)["id"]
    assert steer(frames, stopped)["error"]["code"] == "response_not_active"
    elsewhere = Frames(frames.engine)
    assert steer(elsewhere, done)["error"]["code"] == "response_not_found", "only what this connection knows"


def test_R4_16_input_that_is_none(frames: Frames) -> None:
    id = begin(frames, say("one"))
    user = {"type": "message", "role": "user", "content": "x"}
    bad: list[Any] = [
        "",
        [],
        7,
        None,
        [{**user, "role": "system"}],
        [{**user, "id": "msg_1"}],
        [{**user, "content": [{"type": "output_text", "text": "x"}]}],
        [{"type": "function_call_output", "call_id": "c", "output": "x"}],
        [{"type": "item_reference", "id": "msg_1"}],
    ]
    for input in bad:
        failed = steer(frames, id, input)
        assert failed["error"]["code"] == "invalid_input", input
        assert failed["steer"]["input"] == input
    extra = {"type": "response.steer", "previous_response_id": id, "input": "x", "stream_id": "a"}
    assert frames(extra)[0]["error"]["code"] == "invalid_input", "it takes no stream_id"
    for fields in ({"input": "x"}, {"previous_response_id": id}, {"previous_response_id": 7, "input": "x"}):
        assert frames({"type": "response.steer", **fields})[0]["type"] == "error"
    parts = [{"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "data:image/png;base64,AA=="}]
    assert steer(frames, id, [{"role": "user", "content": parts}])["type"] == "response.steer.accepted"


def test_R4_16_too_many_wait(frames: Frames) -> None:
    id = begin(frames, CALL, tools=TOOLS)
    for _ in range(16):
        assert steer(frames, id)["type"] == "response.steer.accepted"
    assert steer(frames, id)["error"]["code"] == "too_many_pending_steers"


def test_X6_a_connection_takes_its_submissions_with_it(frames: Frames) -> None:
    id = begin(frames, CALL, tools=TOOLS)
    into_first_item(frames)
    steer(frames, id)
    frames.rest(frames.playing[0])
    output = [{"type": "function_call_output", "call_id": "c1", "output": "1"}]
    other = Frames(frames.engine)
    made = other.create(output, model=STEERABLE, stream_id="a", previous_response_id=id)
    assert over_http(frames).context(made["id"]) == ["work", "f", "1"]


def test_R4_16_the_clock_ends_a_steered_turn_as_it_was_steered(frames: Frames) -> None:
    id = begin(frames, say("one"), say("two"))
    steer(frames, id)
    frames.connection.leave()
    drive = over_http(frames)
    drive.advance(seconds=100)
    assert drive.get(id)["incomplete_details"] == {"reason": "steered"}
    assert drive.create("on", model=STEERABLE, previous_response_id=id)["status"] == "completed"


# --- Who is told -------------------------------------------------------------------------------------------------


def test_listeners_are_told_when_a_frame_begins_and_ends(frames: Frames) -> None:
    stream = frames.engine.events.listen()
    response = frames.create("one")
    step = stream.next()
    assert isinstance(step, Body)
    lines = step.data.decode().splitlines()
    names = [line[7:] for line in lines if line.startswith("event: ")]
    assert (names[0], names[-1]) == ("exchange.began", "exchange.ended")
    ended = json.loads(lines[-2].removeprefix("data: "))
    assert (ended["transport"], ended["response_id"], ended["exchange"]) == ("websocket", response["id"], 1)
    assert frames.engine.journal.metrics.turns.keys() == {
        ("/v1/responses", response["model"], "websocket", "completed", "default_model")
    }
