"""WebSocket frames: what comes in, judged, and the frames that no stream of events has. Spec: websocket §2 to §5.

An event of a turn is a frame as it is; on a named lane it carries `stream_id`. Keys of events are alphabetical behind
`type` (Spec: S7), those of error frames have the order of the service's own examples.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError, MockError
from mockserver.wire.requests import bodies
from mockserver.wire.requests.bodies import UnknownKeys
from mockserver.wire.requests.parts import TOOL_CONTENT
from mockserver.wire.requests.schema import TEXT, array, either, enum, shape, string
from mockserver.wire.requests.validation import Validator
from mockserver.wire.responses.encoding import json_compact
from mockserver.wire.responses.events import Event, bare

Frame = dict[str, Any]
Lane = str | None

CREATE, STEER, INJECT = "response.create", "response.steer", "response.inject"
TYPES = (CREATE, STEER, INJECT)
MOST_LANES = 32
_LANE = re.compile(r"[A-Za-z0-9_.-]{1,256}")

# Sent by clients that know streams over HTTP only; switch `ws_stream_field` says what becomes of them. Spec: R4.2.
STREAM_FIELDS = ("stream", "stream_options", "verbosity")


# --- What comes in -----------------------------------------------------------------------------------------------


def read(data: bytes) -> Frame:
    """The object of a frame whose type is known; raises APIError. Spec: R4.18, WE8."""
    frame = bodies.read_object(data)
    if "type" not in frame:
        raise errors.missing_parameter("type")
    kind = frame["type"]
    if not isinstance(kind, str):
        raise errors.invalid_type("type", "a string", kind)
    if kind not in TYPES:
        raise errors.invalid_value("type", kind, TYPES)
    return frame


def lane_of(frame: Frame) -> Lane:
    """The lane that a `response.create` names, None for the default lane; raises WE2. Spec: R4.9."""
    lane = frame.get("stream_id")
    if lane is None or (isinstance(lane, str) and _LANE.fullmatch(lane)):
        return lane
    raise invalid_stream_id()


def create(frame: Frame, *, unknown_keys: UnknownKeys, stream_field: str) -> dict[str, Any]:
    """The judged request of a `response.create`: a POST body that is always streamed, and `generate`.

    Spec: R4.1, R4.2 (switch `ws_stream_field`), R6.12, X4.
    """
    if stream_field == "refuse":
        for key in STREAM_FIELDS:
            if key in frame:
                raise errors.unknown_parameter(key)
    stream = frame.get("stream")
    if not isinstance(stream, bool | None):
        raise errors.invalid_type("stream", "a boolean", stream)
    request = bodies.create_frame(frame, unknown_keys=unknown_keys)
    if request.get("background"):
        raise background_unsupported()
    request["stream"] = True
    return request


_MESSAGE = shape(
    {
        "role": enum("user"),
        "content": either("one of a string or array of content parts", string=TEXT, array=TOOL_CONTENT),
    },
    {"type": enum("message")},
)
_STEER = Validator(
    shape(
        {
            "type": enum(STEER),
            "previous_response_id": TEXT,
            "input": either(
                "one of a string or array of user messages",
                string=string(shortest=1),
                array=array(_MESSAGE, expected="an array of user messages", shortest=1),
            ),
        }
    )
)


def check_steer(frame: Frame) -> None:
    """Raise the first complaint about a `response.steer`, which has exactly three members. Spec: R4.16."""
    _STEER.validate(frame)


def steering_input(submitted: str | list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages that a steering submission stands for."""
    if isinstance(submitted, str):
        return [{"type": "message", "role": "user", "content": submitted}]
    return [{**message, "type": "message"} for message in submitted]


# --- What goes out -----------------------------------------------------------------------------------------------


def text(event: Mapping[str, Any]) -> str:
    """The text of a frame: one line of compact JSON, raw UTF-8. Spec: R4.3, S1."""
    return json_compact(event).decode()


def with_lane(event: Event, lane: Lane) -> Event:
    """An event as its lane's frame carries it; those of the default lane never have `stream_id`. Spec: R4.9."""
    if lane is None:
        return event
    tail = [key for key in event if key > "stream_id" and key != "type"]
    if not tail:
        return {**event, "stream_id": lane}
    head = {key: value for key, value in event.items() if key not in tail}
    return {**head, "stream_id": lane, **{key: event[key] for key in tail}}


def error_frame(error: APIError | MockError, lane: Lane = None, *, null_members: str = "keep") -> Event:
    """The frame of an error, request-scoped when it names a lane. Spec: R4.13, WE1 to WE6, WE8.

    `null_members` is the value of switch `ws_null_members`.
    """
    said: dict[str, Any] = {"type": "mock_error", "code": None, "message": error.message, "param": error.param}
    if isinstance(error, APIError):
        said["type"], said["code"] = error.type, error.code
        if error.headers:
            said["headers"] = dict(error.headers)
    place = {} if lane is None else {"stream_id": lane}
    return {"type": "error", "status": error.status, **place, "error": members(said, null_members)}


def members(error: dict[str, Any], null_members: str) -> dict[str, Any]:
    """The members of an error as the switch `ws_null_members` has them. Spec: websocket §4."""
    if null_members == "keep":
        return error
    return {key: value for key, value in error.items() if value is not None}


def invalid_stream_id() -> APIError:
    """A `stream_id` that is no name. Spec: WE2."""
    return APIError(
        "The 'stream_id' field must be a non-empty string with at most 256 characters and may only contain letters, "
        "numbers, underscores, hyphens, and periods.",
        param="stream_id",
        code="invalid_stream_id",
    )


def stream_limit_reached() -> APIError:
    """One lane too many. Spec: WE3."""
    return APIError(
        "This WebSocket connection has reached its maximum number of distinct stream IDs "
        f"({MOST_LANES}). Reuse an existing stream_id or open a new WebSocket connection.",
        param="stream_id",
        code="websocket_stream_limit_reached",
    )


def background_unsupported() -> APIError:
    """Sockets have no background mode; the sentence follows E84's template. Spec: R4.2, R6.12."""
    return APIError(
        "Unsupported parameter: 'background' is not supported in WebSocket mode.",
        param="background",
        code="unsupported_parameter",
    )


def connection_limit_error() -> Event:
    """The last frame of a connection that has reached its age. Spec: WE4."""
    return {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "code": "websocket_connection_limit_reached",
            "message": "Responses websocket connection limit reached (60 minutes). "
            "Create a new websocket connection to continue.",
        },
        "status": 400,
    }


def switched_off() -> MockError:
    """WebSocket mode is off: the upgrade is answered with 426, which sends clients to HTTP at once. Spec: R4.1."""
    return MockError("WebSocket mode is switched off (websocket=off); use HTTP.", status=426)


# --- Steering ----------------------------------------------------------------------------------------------------


def steer_acceptance(steer_id: str, response_id: str, number: int) -> Event:
    """The server owns the input. Spec: R4.16."""
    steer = {"id": steer_id, "previous_response_id": response_id}
    return bare("response.steer.accepted", number, steer=steer)


def steer_pending(steer_id: str, response_id: str, required: Iterable[Mapping[str, Any]], number: int) -> Event:
    """The input waits for what only the client can give. Spec: R4.16 C."""
    return bare(
        "response.steer.pending",
        number,
        reason="waiting_for_required_input",
        required_input=list(required),
        steer={"id": steer_id, "previous_response_id": response_id},
    )


def steer_failure(frame: Mapping[str, Any], code: str, message: str, number: int, steer_id: str | None = None) -> Event:
    """The input goes back; `frame` holds what was submitted, an id stands only where one was given. Spec: R4.16 D."""
    named = {} if steer_id is None else {"id": steer_id}
    steer = {**named, "input": frame["input"], "previous_response_id": frame["previous_response_id"]}
    error = {"type": "invalid_request_error", "code": code, "message": message}
    return bare("response.steer.failed", number, error=error, steer=steer)


def check_addressed(frame: Frame, key: str) -> None:
    """Raise what is wrong with a frame that can't even be answered in its own terms: no target, or no input."""
    for name in (key, "input"):
        if name not in frame:
            raise errors.missing_parameter(name)
    if not isinstance(frame[key], str):
        raise errors.invalid_type(key, "a string", frame[key])


def inject_failure(frame: Frame, number: int, *, ended: bool) -> Event:
    """Refuse an injection, which only beta multi-agent responses take. Spec: X7."""
    id = frame["response_id"]
    error = {"code": "response_not_found", "message": f"Response with id '{id}' not found."}
    if ended:
        error = {"code": "response_already_completed", "message": f"Response '{id}' has already completed."}
    return {
        "type": "response.inject.failed",
        "response_id": id,
        "input": frame["input"],
        "error": error,
        "sequence_number": number,
    }
