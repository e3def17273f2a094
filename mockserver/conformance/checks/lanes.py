"""Fixed rules about the lanes of a WebSocket, its limits, and steering (R4.9–R4.12, R4.16, X6, X7, WE2–WE4)."""

from __future__ import annotations

import re

from mockserver.conformance import expected_errors
from mockserver.conformance.expected_errors import ExpectedError
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import SLOW_S, Item, NotObservable, ServerUnderTest, text_of
from mockserver.conformance.socket_under_test import TERMINAL, SocketUnderTest, open_socket

ASTRA = "gpt-6-astra"  # a model that can be steered
HOUR = 3600


def _ends(frames: list[Item]) -> list[Item]:
    return [frame for frame in frames if frame["type"] in TERMINAL or frame["type"] == "error"]


def _read_ends(socket: SocketUnderTest, number: int) -> list[Item]:
    return socket.read_until(lambda found: len(_ends(found)) >= number)


@rule("R4.9", needs=("websocket",))
def _lanes(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    for stream_id in ("a", "A-z_0.9", "l" * 256):
        found = {frame.get("stream_id") for frame in socket.turn(stream_id=stream_id)}
        s.check_equal(f"stream_id of the events of lane {stream_id[:9]}", found, {stream_id})
    found = {frame.get("stream_id") for frame in socket.turn()}
    s.check_equal("stream_id of the events of the default lane", found, {None})
    for text in ("first", "second"):
        socket.send(text, stream_id="b")
    socket.send("aside", stream_id="c")
    frames = _read_ends(socket, 3)
    s.check_equal("how three turns end", [end["type"] for end in _ends(frames)], ["response.completed"] * 3)
    marks = ("response.created", "response.completed")
    one_lane = [frame["type"] for frame in frames if frame.get("stream_id") == "b" and frame["type"] in marks]
    s.check_equal("turns of one lane, one after the other", one_lane, [*marks, *marks])


@rule("R4.10")
def _there_are_no_lanes_over_http(s: ServerUnderTest) -> None:
    s.check_create_refused(expected_errors.unknown_parameter("stream_id"), stream_id="a")


@rule("R4.11", needs=("websocket",))
def _a_fork_keeps_its_parent(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    parent = socket.create("one", store=False)
    socket.send("fork", previous_response_id=parent["id"], stream_id="b", store=False)
    begun = socket.read_until(lambda found: found[-1]["type"] in ("response.in_progress", "error"))
    s.check_equal("how the fork begins", begun[-1]["type"], "response.in_progress")
    socket.send("two", store=False)  # evicts the parent
    frames = [*begun, *_read_ends(socket, 2)]
    fork = [frame for frame in frames if frame.get("stream_id") == "b"]
    if not fork:
        raise NotObservable("the events of a lane do not name it, which R4.9 judges")
    s.check_equal("how the fork ends", [frame["type"] for frame in fork][-1:], ["response.completed"])
    socket.remember(fork)
    s.check_context(fork[-1]["response"], "one", *parent["output"], "fork")


_BAD_LANE = (
    "The 'stream_id' field must be a non-empty string with at most 256 characters and may only contain letters, "
    "numbers, underscores, hyphens, and periods."
)
_LANES = 32
_MANY = (
    f"This WebSocket connection has reached its maximum number of distinct stream IDs ({_LANES}). "
    "Reuse an existing stream_id or open a new WebSocket connection."
)


@rule("WE2", needs=("websocket",))
def _names_of_lanes(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    error = ExpectedError("WE2", 400, "invalid_stream_id", "stream_id", _BAD_LANE)
    for name in ("", "a b", "ä", "l" * 257):
        socket.check_refused(error, stream_id=name)
    s.check_equal("status of a turn afterwards", socket.create()["status"], "completed")


@rule("WE3", needs=("websocket",))
def _how_many_lanes(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    for number in range(_LANES):
        socket.create(stream_id=f"lane_{number}")
    error = ExpectedError("WE3", 400, "websocket_stream_limit_reached", "stream_id", _MANY)
    socket.check_refused(error, stream_id="one_more")
    s.check_equal("status on a lane that there is", socket.create(stream_id="lane_0")["status"], "completed")
    s.check_equal("status on the default lane", socket.create()["status"], "completed")


@rule("R4.12", "WE4", needs=("websocket", "clock", "network"))
def _an_hour_is_the_limit(s: ServerUnderTest) -> None:
    s.freeze()
    socket = open_socket(s)
    unstored = socket.create("one", store=False)
    s.advance(HOUR - 1)
    unstored = socket.chain(unstored, "two", store=False)
    s.advance(1)
    frame = socket.wire.receive()
    s.check_equal("keys of the frame", list(frame), ["type", "error", "status"])
    s.check_equal("keys of its error", list(frame["error"]), ["type", "code", "message"])
    s.check_equal("code", frame["error"]["code"], "websocket_connection_limit_reached")
    try:
        socket.wire.receive()
    except AssertionError as closed:
        s.check("the connection is closed", "ConnectionClosed" in str(closed), str(closed))
    else:
        raise AssertionError("expected the end of the connection, found another frame")
    error = expected_errors.no_parent(unstored["id"])
    open_socket(s).check_refused(error, previous_response_id=unstored["id"])


def _steer(socket: SocketUnderTest, id: str, input: str = "and in verse") -> Item:
    socket.wire.send({"type": "response.steer", "previous_response_id": id, "input": input})
    return socket.read_until(lambda found: found[-1]["type"].startswith("response.steer."))[-1]


@rule("R4.16", "X6", needs=("websocket", "steering", "clock", "script"), models=(ASTRA,))
def _steering(s: ServerUnderTest) -> None:
    s.freeze()
    s.script({"text": "one two three"}, pacing={"first_token": SLOW_S})
    socket = open_socket(s)
    socket.send("tell me", model=ASTRA, instructions="Be kind.", store=True)
    begun = socket.read_until(lambda found: found[-1]["type"] == "response.in_progress")
    first = begun[-1]["response"]
    accepted = _steer(socket, first["id"])
    s.check_equal("what is said to the submission", accepted["type"], "response.steer.accepted")
    s.check_equal("the response that it steers", accepted["steer"]["previous_response_id"], first["id"])
    steer_id = accepted["steer"]["id"]
    s.check("a steer id is steer_ and 32 hex digits", re.fullmatch("steer_[0-9a-f]{32}", steer_id), steer_id)
    s.advance(2 * SLOW_S)
    ends = _ends(_read_ends(socket, 2))
    steered, successor = (end["response"] for end in ends)
    if steered["status"] == "incomplete":
        s.check_equal("why it ends", steered["incomplete_details"], {"reason": "steered"})
    else:
        s.check_equal("status of the steered one", steered["status"], "completed")
    s.check_members(
        "the successor", successor, previous_response_id=first["id"], instructions="Be kind.", model=first["model"]
    )
    s.check_context(successor, "tell me", *steered["output"], "and in verse")
    late = _steer(socket, first["id"])
    s.check_equal("what is said to a submission that comes late", late["type"], "response.steer.failed")
    s.check("its code", late["error"]["code"] in ("response_already_completed", "response_not_active"), late)
    unknown = _steer(socket, f"resp_{'f' * 50}")
    s.check_equal("a submission to nothing", unknown["error"]["code"], "response_not_found")


@rule("X7", needs=("websocket", "steering"))
def _injections(s: ServerUnderTest) -> None:
    socket = open_socket(s)
    done = socket.create()
    input = [{"type": "message", "role": "user", "content": text_of(done["output"][-1])}]
    for id, code in ((done["id"], "response_already_completed"), (f"resp_{'f' * 50}", "response_not_found")):
        socket.wire.send({"type": "response.inject", "response_id": id, "input": input})
        frame = socket.wire.receive()
        s.check_members("answer", frame, type="response.inject.failed", response_id=id, input=input)
        s.check_equal("its code", frame["error"]["code"], code)
