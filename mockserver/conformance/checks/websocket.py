"""Fixed rules about WebSocket mode: handshake, frames, warm-ups, what a connection remembers (R4, R6.12, X, WE)."""

from __future__ import annotations

from typing import Any

from mockserver.conformance import expected_errors
from mockserver.conformance.connections import Refused
from mockserver.conformance.expected_errors import ExpectedError
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import (
    FORCED,
    NOWHERE,
    TOOL,
    Item,
    NotObservable,
    ServerUnderTest,
    call_of,
    output_for,
    text_of,
    texts_of,
    user,
)
from mockserver.conformance.socket_under_test import TERMINAL, open_socket

UNSTORED = {"store": False}
# refused by every server whose model has the API's limits, whatever came before
TOO_SMALL = {"max_output_tokens": 1}
_SDK = {
    "accept": "application/json",
    "content-type": "application/json",
    "user-agent": "OpenAI/Python 3.57.0",
    "x-stainless-lang": "python",
}


def too_small() -> ExpectedError:
    """The error of `TOO_SMALL`."""
    return expected_errors.too_small("max_output_tokens", 16, 1)


@rule("R4.1", needs=("websocket", "network"))
def _a_bearer_token_is_enough(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    handshake = socket.wire.handshake
    s.check_equal("status of the handshake", handshake and handshake.status, 101)
    s.check_equal("status of a turn", socket.create()["status"], "completed")


@rule("X1", needs=("websocket", "network"))
def _the_handshake(s: ServerUnderTest) -> None:
    for compression in (None, "deflate"):
        socket = open_socket(s, compression=compression)
        handshake = socket.wire.handshake
        s.check_equal("subprotocol", handshake and handshake.subprotocol, None)
        s.check_equal(f"status of a turn with compression {compression}", socket.create()["status"], "completed")
    try:
        s.connections.open_socket(path="/responses/a/b/c").close()
    except Refused as refusal:
        s.check("another path is refused with a status of HTTP", 400 <= refusal.status < 600, refusal.status)
    else:
        raise AssertionError("a handshake on /responses/a/b/c: expected a refusal, found 101")


@rule("X2", needs=("websocket", "network"))
def _headers_of_the_handshake(s: ServerUnderTest) -> None:
    socket = open_socket(s, headers=_SDK)
    handshake = socket.wire.handshake
    s.check("the answer has no request id", handshake and "x-request-id" not in handshake.headers, handshake)
    s.check_equal("status of a turn", socket.create()["status"], "completed")


@rule("X3", needs=("websocket", "network"))
def _pings_and_no_greeting(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    s.check("a ping is answered", socket.wire.ping())
    s.check_equal("the first frame", socket.turn()[0]["type"], "response.created")
    s.check("a ping is answered after a turn", socket.wire.ping())


@rule("R4.2", needs=("websocket",))
def _a_frame_has_the_members_of_a_post(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    ignored: list[Item] = [
        {"stream": True},
        {"stream": False},
        {"stream_options": {"include_obfuscation": False}},
        {"verbosity": "low"},
        {"background": False},
        {"background_options": {"completion_window": "soonest", "continuation_id": "mine"}},
    ]
    for fields in ignored:
        s.check_equal(f"status with {fields}", socket.create(**fields)["status"], "completed")
    named = socket.create(instructions="Be brief.", metadata={"k": "v"}, user="u")
    s.check_members("response", named, instructions="Be brief.", metadata={"k": "v"}, user="u")
    socket.check_refused(_NO_BACKGROUND, background=True)
    socket.wire.send({"type": "response.create", "model": s.model, "input": "x", **_WITHIN_HOURS})
    s.check_equal("answer to a completion window of two hours", socket.read_turn()[0].get("status"), 400)


_WITHIN_HOURS = {"background_options": {"completion_window": "2h"}}


_NO_BACKGROUND = ExpectedError(
    "R6.12",
    400,
    "unsupported_parameter",
    "background",
    "Unsupported parameter: 'background' is not supported in WebSocket mode.",
    expected_errors.GUESSED,
)


@rule("R6.12", needs=("websocket",))
def _nothing_runs_in_the_background(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    socket.wire.send({"type": "response.create", "model": s.model, "input": "x", "background": True})
    frame = socket.read_turn()[0]
    s.check_equal("type of the first frame", frame["type"], "error")
    s.check_equal("status of the error", frame.get("status"), 400)
    s.check_equal("status of a turn afterwards", socket.create()["status"], "completed")


@rule("R4.3", needs=("websocket",))
def _frames_are_events(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    for text in ("one", "two"):
        frames = socket.turn(text)
        s.check("every frame is an object with a type", all(frame.get("type") for frame in frames), frames[0])
        s.check_equal("types at first", [frame["type"] for frame in frames[:2]], _OPENING)
        numbers = [frame["sequence_number"] for frame in frames]
        s.check_equal("sequence numbers", numbers, list(range(len(frames))))
        s.check_equal("terminal frames", [frame["type"] for frame in frames if frame["type"] in TERMINAL], [_END])


_OPENING, _END = ["response.created", "response.in_progress"], "response.completed"


@rule("R4.4", needs=("websocket",))
def _a_warm_up_can_be_continued(s: ServerUnderTest) -> None:
    for store in (True, False):
        socket = open_socket(s)
        warm = socket.create("warm", generate=False, store=store)
        s.check_equal("output of a warm-up", warm["output"], [])
        s.check_context(socket.chain(warm, "go", store=store), "warm", "go")
    if s.mock:
        prewarm = {"model": "gpt-5.6-terra", "prompt_cache_options": {"prewarm": True}}
        s.check_equal("output with prewarm", open_socket(s).create("warm", **prewarm)["output"], [])


@rule("X10", needs=("websocket", "tools"))
def _a_session_of_codex(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    plain: Item = {"store": False, "stream": True, "include": []}
    warm = socket.create("the rules", generate=False, tools=[TOOL], **plain)
    calling = socket.chain(warm, "look it up", **FORCED, **plain)
    call = call_of(calling)
    answered = socket.chain(calling, [output_for(call)], **plain)
    s.check_context(answered, "the rules", "look it up", *calling["output"], output_for(call))


@rule("R4.5", needs=("websocket",))
def _a_continuation_brings_what_is_new(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    first = socket.create("one")
    second = socket.chain(first, "two")
    s.check_members("the second response", second, previous_response_id=first["id"])
    s.check_context(second, "one", *first["output"], "two")
    fork = socket.chain(first, "elsewhere", stream_id="a")
    s.check_context(fork, "one", *first["output"], "elsewhere")
    s.check_context(s.chain(second, "over HTTP"), "one", *first["output"], "two", *second["output"], "over HTTP")


@rule("R4.6", needs=("websocket",))
def _the_latest_response_of_each_lane(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    older, side = socket.create("one", **UNSTORED), socket.create("side", stream_id="a", **UNSTORED)
    latest = socket.create("two", **UNSTORED)
    later = socket.chain(side, "more", stream_id="a", **UNSTORED)
    s.check_context(later, "side", *side["output"], "more")
    s.check_context(socket.chain(latest, "three", stream_id="b"), "two", *latest["output"], "three")
    error = expected_errors.no_parent(older["id"])
    socket.check_refused(error, previous_response_id=older["id"])
    error = expected_errors.no_parent(latest["id"])
    open_socket(s).check_refused(error, previous_response_id=latest["id"])


@rule("R4.7", needs=("websocket",))
def _a_stored_parent_is_loaded(s: ServerUnderTest) -> None:
    stored, over_http = open_socket(s).create("one"), s.create("two")
    unstored = open_socket(s).create("one", **UNSTORED)
    socket = open_socket(s)
    s.check_context(socket.chain(stored, "next"), "one", *stored["output"], "next")
    s.check_context(socket.chain(over_http, "next"), "two", *over_http["output"], "next")
    socket.check_refused(expected_errors.no_parent(unstored["id"]), previous_response_id=unstored["id"])
    s.check_create_refused(expected_errors.no_parent(unstored["id"]), previous_response_id=unstored["id"])


@rule("R4.8", needs=("websocket",))
def _a_failure_evicts_its_parent(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    parent = socket.create("one", **UNSTORED)
    if s.lenient and s.call("POST", "/responses", {"model": s.model, "input": "x", **TOO_SMALL}).status == 200:
        raise NotObservable("needs a limit that fails a turn, and the server takes max_output_tokens of 1")
    socket.check_refused(too_small(), previous_response_id=parent["id"], stream_id="fork", **TOO_SMALL)
    child = socket.chain(parent, "two", **UNSTORED)
    s.check_context(child, "one", *parent["output"], "two")
    socket.check_refused(too_small(), **TOO_SMALL)
    s.claims.append("a failure without a parent evicts nothing")
    last = socket.chain(child, "three", **UNSTORED)
    socket.check_refused(too_small(), previous_response_id=last["id"], **TOO_SMALL)
    socket.check_refused(expected_errors.no_parent(last["id"]), previous_response_id=last["id"])


@rule("X5", needs=("websocket", "tools"))
def _half_a_pair_evicts_its_parent(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    calling = socket.create("look it up", **FORCED, **UNSTORED)
    call = call_of(calling)
    socket.check_refused(expected_errors.no_tool_output(call["call_id"]), "well?", previous_response_id=calling["id"])
    gone = expected_errors.no_parent(calling["id"])
    socket.check_refused(gone, [output_for(call)], previous_response_id=calling["id"])
    plain = socket.create("one", **UNSTORED)
    stray = output_for({"call_id": "call_nobody"})
    socket.check_refused(expected_errors.no_tool_call("call_nobody"), [stray], previous_response_id=plain["id"])
    socket.check_refused(expected_errors.no_parent(plain["id"]), "two", previous_response_id=plain["id"])


@rule("R4.13", needs=("websocket",))
def _a_socket_survives_an_error(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    for stream_id in (None, "a"):
        lane = {} if stream_id is None else {"stream_id": stream_id}
        frame = socket.check_refused(too_small(), **lane, **TOO_SMALL)
        s.check_equal("stream_id of the error frame", frame.get("stream_id"), stream_id)
        s.check_equal("status of a turn afterwards", socket.create(**lane)["status"], "completed")


@rule("R4.14", needs=("websocket",))
def _going_on_with_another_socket(s: ServerUnderTest) -> None:
    stored = open_socket(s).create("one")
    unstored = open_socket(s).create("one", **UNSTORED)
    s.check_context(open_socket(s).chain(stored, "two"), "one", *stored["output"], "two")
    history = [user("one"), {"role": "assistant", "content": text_of(unstored["output"][-1])}, user("two")]
    again = open_socket(s).create(history, previous_response_id=None, **UNSTORED)
    s.check_context(again, "one", *unstored["output"], "two")


@rule("R4.15", needs=("websocket", "compact"), models=("gpt-4.1",))
def _a_compacted_window_begins_a_chain(s: ServerUnderTest) -> None:
    window = s.call_ok("POST", "/responses/compact", {"model": "gpt-4.1", "input": [user("one"), user("two")]})
    socket = open_socket(s)
    first = socket.create([*window["output"], user("next")], model="gpt-4.1", **UNSTORED)
    s.check_members("the first response", first, previous_response_id=None, status="completed")
    s.check_equal("status of the second", socket.chain(first, "more", model="gpt-4.1")["status"], "completed")
    if s.has("compaction"):
        manage = [{"type": "compaction", "compact_threshold": 1000}]
        done = socket.create(" word" * 2000, model="gpt-4.1", context_management=manage)
        s.check(
            "it compacts by itself", "compaction" in [item["type"] for item in done["output"]], texts_of(done["output"])
        )


@rule("R4.17", needs=("websocket",))
def _no_frame_cancels(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    socket.send("go on")
    frames = socket.read_until(lambda found: found[-1]["type"] == "response.created")
    socket.wire.send({"type": "response.cancel", "response_id": frames[-1]["response"]["id"]})

    def is_over(found: list[Item]) -> bool:
        types = [frame["type"] for frame in found]
        return "error" in types and any(end in types for end in TERMINAL)

    frames = socket.read_until(is_over)
    ends = [frame for frame in frames if frame["type"] in TERMINAL]
    s.check_equal("how the turn ends", ends[0]["type"], "response.completed")
    s.check_equal("status of the error", next(one for one in frames if one["type"] == "error").get("status"), 400)


@rule("R4.18", "WE8", needs=("websocket",))
def _malformed_frames(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    frames: list[Any] = ["{not json", "[]", "7", {"type": "bogus"}, {}]
    for frame in frames:
        socket.wire.send(frame)
        answer = socket.read_turn()[0]
        kind = (answer["type"], answer.get("status"), answer.get("error", {}).get("type"))
        s.check_equal(f"answer to {frame}", kind, ("error", 400, "invalid_request_error"))
    s.check_equal("status of a turn afterwards", socket.create()["status"], "completed")


@rule("X4", needs=("websocket", "conversations"))
def _a_turn_in_a_conversation(s: ServerUnderTest) -> None:
    talk = s.conversation(user("old"))
    socket = open_socket(s)
    response = socket.create("asked", conversation=talk["id"])
    s.check_members("response", response, conversation={"id": talk["id"]})
    s.check_context(response, "old", "asked")
    s.check_equal("items", texts_of(s.items(talk)), ["old", "asked", *texts_of(response["output"])])


@rule("X11", needs=("websocket",))
def _going_on_after_an_unknown_parent(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    as_agents: Item = {"stream": True, "include": [], "tools": []}
    for _ in range(2):
        id = f"resp_{NOWHERE}"
        socket.check_refused(expected_errors.no_parent(id), previous_response_id=id, **as_agents)
        s.check_context(socket.create("one", **as_agents), "one")


@rule("WE1", needs=("websocket",))
def _unknown_parents(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    for id in (f"resp_{NOWHERE}", s.create(store=False)["id"]):
        frame = socket.check_refused(expected_errors.no_parent(id), previous_response_id=id)
        if not s.lenient:
            s.check_equal("its members", sorted(frame["error"]), ["code", "message", "param", "type"])
            s.check_equal("its type", frame["error"]["type"], "invalid_request_error")


@rule("WE5", needs=("websocket",))
def _errors_are_those_of_http(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    bad: list[Item] = [
        TOO_SMALL,
        {"temperature": 3},
        {"model": "no-such-model"},
        {"input": [user("a", id="msg_own"), user("b", id="msg_own")]},
        {"input": [output_for({"call_id": "call_nobody"})]},
    ]
    for fields in bad:
        body = {"model": s.model, "input": "x", **fields}
        over_http = s.call("POST", "/responses", body)
        s.check(f"{sorted(fields)} is refused over HTTP", over_http.status >= 400, over_http.status)
        socket.wire.send({"type": "response.create", **body})
        frame = socket.read_turn()[0]
        s.check_equal(f"status with {sorted(fields)}", frame.get("status"), over_http.status)
        s.check_equal(f"error with {sorted(fields)}", frame["error"], over_http.error)


@rule("WE6", needs=("websocket",))
def _bad_schemas(s: ServerUnderTest) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    form = {"type": "json_schema", "name": "out", "strict": True, "schema": schema}
    error = ExpectedError("WE6", 400, "invalid_json_schema", "text.format.schema", "", ("message",))
    socket = open_socket(s)
    socket.send(text={"format": form})
    frame = socket.read_turn()[0]
    found = (
        frame["type"],
        frame.get("status"),
        frame.get("error", {}).get("code"),
        frame.get("error", {}).get("param"),
    )
    s.check_equal("error frame", found, ("error", error.status, error.code, error.param))


@rule("WE7", needs=("websocket", "script"))
def _an_overloaded_service(s: ServerUnderTest) -> None:
    s.script({"failed": {"code": "server_is_overloaded", "message": "Our servers are currently overloaded."}})
    socket = open_socket(s)
    socket.send()
    frame = next((one for one in socket.read_turn() if one["type"] == "error"), None)
    if frame is None:
        raise AssertionError("expected an error frame, found none")
    kind = {"type": "service_unavailable_error", "code": "server_is_overloaded"}
    s.check_members("its error", frame["error"], **kind)
    s.check("it has the number of its place in the stream", isinstance(frame.get("sequence_number"), int), frame)
