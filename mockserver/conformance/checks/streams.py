"""Fixed rules about streams: order of events, invariants, padding, errors (R9.2–R9.9)."""

from __future__ import annotations

from mockserver.conformance import expected_errors
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import FORCED, NOWHERE, Item, ServerUnderTest

ENDS = ("response.completed", "response.incomplete", "response.failed")


# How many deltas a text is cut into is nobody's promise, so a run of them counts as one event.
def _collapse_deltas(events: list[Item]) -> list[str]:
    """The types of events, each run of deltas as one."""
    types: list[str] = []
    for event in events:
        if not (event["type"].endswith(".delta") and types and types[-1] == event["type"]):
            types.append(event["type"])
    return types


_OPENING = ["response.created", "response.in_progress"]
_TEXT = [
    "response.output_item.added",
    "response.content_part.added",
    "response.output_text.delta",
    "response.output_text.done",
    "response.content_part.done",
    "response.output_item.done",
]
_CALL = [
    "response.output_item.added",
    "response.function_call_arguments.delta",
    "response.function_call_arguments.done",
    "response.output_item.done",
]


@rule("R9.2")
def _the_order_of_events(s: ServerUnderTest) -> None:
    text = s.stream("Say hello.")
    s.check_equal("events of a text", _collapse_deltas(text), [*_OPENING, *_TEXT, "response.completed"])
    added, part = text[2], text[3]
    s.check_members(
        "the item when it is added", added["item"], type="message", status="in_progress", content=[], role="assistant"
    )
    s.check_members("the part when it is added", part["part"], type="output_text", text="", annotations=[])
    call = s.stream("look it up", **FORCED)
    s.check_equal("events of a function call", _collapse_deltas(call), [*_OPENING, *_CALL, "response.completed"])
    s.check_members(
        "the call when it is added", call[2]["item"], type="function_call", arguments="", status="in_progress"
    )
    if s.mock:
        thought = s.stream("think", model="gpt-5.4", reasoning={"effort": "medium"})
        reasoning = ["response.output_item.added", "response.output_item.done"]
        expected = [*_OPENING, *reasoning, *_TEXT, "response.completed"]
        s.check_equal("events of reasoning and text", _collapse_deltas(thought), expected)


@rule("R9.3")
def _the_invariants_of_a_stream(s: ServerUnderTest) -> None:
    for events in (s.stream("Say hello."), s.stream("look it up", **FORCED)):
        numbers = [event["sequence_number"] for event in events]
        s.check_equal("sequence numbers", numbers, list(range(len(events))))
        responses = [event["response"] for event in events if "response" in event]
        s.check_equal("ids of the response", {end["id"] for end in responses}, {responses[0]["id"]})
        s.check_members("the response at first", responses[0], status="in_progress", output=[], usage=None)
        s.check_equal("in_progress repeats created", responses[1], responses[0])
        added = [event for event in events if event["type"] == "response.output_item.added"]
        done = [event for event in events if event["type"] == "response.output_item.done"]
        s.check_equal("indices of the items", [event["output_index"] for event in added], list(range(len(added))))
        s.check_equal("ids of the items", [end["item"]["id"] for end in added], [end["item"]["id"] for end in done])
        s.check_equal("the output is the items that were done", [end["item"] for end in done], responses[-1]["output"])
        s.check_equal(
            "terminal events", [event["type"] for event in events if event["type"] in ENDS], [events[-1]["type"]]
        )
        named = {event["item_id"] for event in events if "item_id" in event}
        s.check_equal("items that the events name", named, {end["item"]["id"] for end in done})
        _check_deltas(s, events)


def _check_deltas(s: ServerUnderTest, events: list[Item]) -> None:
    whole = "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
    ends = {"response.output_text.done": "text", "response.function_call_arguments.done": "arguments"}
    texts = "".join(event[ends[event["type"]]] for event in events if event["type"] in ends)
    s.check_equal("the deltas together", whole, texts)


@rule("R9.4")
def _the_last_event_is_what_is_stored(s: ServerUnderTest) -> None:
    final = s.stream("Say hello.")[-1]["response"]
    stored = s.get(final)
    if s.lenient:
        s.check_output("GET", stored, final)
        s.check_equal("status on GET", stored["status"], final["status"])
        return
    s.check_equal("GET, except billing", {key: value for key, value in stored.items() if key != "billing"}, final)
    s.check("billing is in no event", "billing" not in final)


_STREAM_OPTIONS = "The 'stream_options' parameter is only allowed when 'stream' is enabled."


@rule("R9.5")
def _deltas_are_padded(s: ServerUnderTest) -> None:
    # Delta and padding together are a multiple of 16 characters, unless the caller declines (S6).
    deltas = [event for event in s.stream("Say hello.") if event["type"].endswith(".delta")]
    for event in deltas:
        s.check("a delta carries obfuscation", "obfuscation" in event, event)
        length = len(event["delta"]) + len(event["obfuscation"])
        s.check_equal("its length with the delta's, over 16", length % 16, 0)
    plain = s.stream("Say hello.", stream_options={"include_obfuscation": False})
    s.check("none when it is declined", not any("obfuscation" in event for event in plain))
    path = f"/responses/{plain[0]['response']['id']}"
    again = s.call_ok("GET", path, stream="true", include_obfuscation="false")
    s.check("none on GET when it is declined", not any("obfuscation" in event for event in again))
    s.check_create_refused(
        expected_errors.guess("E58", 400, None, "stream_options", _STREAM_OPTIONS),
        stream_options={"include_obfuscation": False},
    )


@rule("R9.6", needs=("script",))
def _the_error_event(s: ServerUnderTest) -> None:
    s.script({"failed": {"code": "server_error", "message": "The model gave up."}})
    events = s.stream()
    s.check_equal("events", [event["type"] for event in events], [*_OPENING, "error", "response.failed"])
    error = events[2]
    s.check_equal("members of the error event", list(error), ["type", "error", "sequence_number"])
    s.check_equal("members of its error", list(error["error"]), ["type", "code", "message", "param"])
    s.check_members("its error", error["error"], code="server_error", message="The model gave up.")
    s.check_equal("its number", error["sequence_number"], 2)


@rule("R9.7", needs=("script",))
def _the_failed_response(s: ServerUnderTest) -> None:
    s.script({"failed": {"code": "server_error", "message": "The model gave up."}})
    failed = s.stream()[-1]["response"]
    s.check_equal("error", failed["error"], {"code": "server_error", "message": "The model gave up."})
    s.check_members(
        "failed response", failed, status="failed", usage=None, completed_at=None, service_tier="auto", output=[]
    )
    s.check_members("the same on GET", s.get(failed), status="failed", error=failed["error"], usage=None)


# One error of each stage: parent, conversation, validation, pairing. None may open a stream first (S3).
@rule("R9.8")
def _errors_before_the_first_byte(s: ServerUnderTest) -> None:
    id, conversation = f"resp_{NOWHERE}", f"conv_{NOWHERE[:48]}"
    s.check_create_refused(expected_errors.no_parent(id), previous_response_id=id, stream=True)
    s.check_create_refused(
        expected_errors.no_conversation_to_continue(conversation), conversation=conversation, stream=True
    )
    s.check_create_refused(expected_errors.too_small("max_output_tokens", 16, 1), max_output_tokens=1, stream=True)
    s.check_create_refused(
        expected_errors.no_tool_call("call_x"),
        [{"type": "function_call_output", "call_id": "call_x", "output": "x"}],
        stream=True,
    )


@rule("R9.9")
def _moderation_when_asked_for(s: ServerUnderTest) -> None:
    s.check_members("a plain response", s.create(), moderation=None)
    if s.mock:
        response = s.create(moderation={"model": "omni-moderation-latest"})
        for side in ("input", "output"):
            s.check_members(f"moderation.{side}", response["moderation"][side], type="moderation_result", flagged=False)
