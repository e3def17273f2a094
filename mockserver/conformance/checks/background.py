"""Fixed rules about responses in the background: polled, cancelled, streamed, resumed (R6.1–R6.10)."""

from __future__ import annotations

import time

from mockserver.conformance import expected_errors
from mockserver.conformance.connections import read_until
from mockserver.conformance.held_turns import HeldTurn
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import DAY, NOWHERE, SLOW_S, Item, NotObservable, ServerUnderTest

ENDED = ("completed", "failed", "incomplete", "cancelled")
# A foreign server takes as long as its model does; a slower one shows nothing of these rules, which is no failure.
PATIENCE_S = 60.0


def _poll_to_end(s: ServerUnderTest, response: Item) -> Item:
    """Poll until a response has come to its end."""
    deadline = time.monotonic() + PATIENCE_S
    while (now := s.get(response))["status"] not in ENDED:
        if time.monotonic() > deadline:
            raise NotObservable(f"the response was still {now['status']} after {PATIENCE_S:g} seconds")
        time.sleep(0.25)
    return dict(now)


@rule("R6.1")
def _the_answer_comes_at_once(s: ServerUnderTest) -> None:
    response = s.create(background=True)
    s.check_members("response", response, status="queued", output=[], usage=None, background=True)
    s.check("completed_at is not set", response.get("completed_at") is None)
    if s.mock:
        s.check_members("response", response, service_tier="auto", error=None, store=True)
        s.check("billing comes with the end", "billing" not in response)
    s.check_equal("status in the end", _poll_to_end(s, response)["status"], "completed")


# Needs a clock: between two polls of a foreign server a turn may pass through a status unseen.
@rule("R6.2", needs=("background", "clock", "script"))
def _queued_in_progress_completed(s: ServerUnderTest) -> None:
    s.freeze()
    response = s.slow()
    s.check_members("response", s.get(response), status="queued", output=[], usage=None)
    s.advance(SLOW_S - 1)
    s.check_members("response", s.get(response), status="queued", output=[], usage=None)
    s.advance(1)
    s.check_members("response", s.get(response), status="in_progress", output=[], usage=None, completed_at=None)
    s.finish()
    done = s.get(response)
    s.check_members("response", done, status="completed", error=None, incomplete_details=None)
    s.check("usage and completed_at are set", done["usage"] and done["completed_at"])
    s.check_equal("what GET returns from then on", s.get(response), done)
    s.script({"text": "said at once"}, pacing={"first_token": SLOW_S})
    response = s.create(background=True)
    s.advance(SLOW_S - 0.5)
    s.check_equal("status half a second before the end", s.get(response)["status"], "queued")
    s.advance(0.5)
    s.check_equal("status at the end", s.get(response)["status"], "completed")
    s.script({"text": "cut", "incomplete": "max_output_tokens"})
    s.check_equal("status of an incomplete one", s.get(s.create(background=True))["status"], "incomplete")
    s.script({"failed": {"code": "server_error", "message": "no"}})
    s.check_equal("status of a failed one", s.get(s.create(background=True))["status"], "failed")


# Needs a slow turn: on a foreign server the response may end before the request to cancel arrives.
@rule("R6.3", needs=("background", "clock", "script"))
def _cancelling_twice_is_idempotent(s: ServerUnderTest) -> None:
    s.freeze()
    response = s.slow()
    first = s.call_ok("POST", f"/responses/{response['id']}/cancel")
    s.check_members("response", first, id=response["id"], status="cancelled")
    s.check_equal("cancelled again", s.call_ok("POST", f"/responses/{response['id']}/cancel"), first)
    s.finish()
    s.check_equal("cancelled again later", s.call_ok("POST", f"/responses/{response['id']}/cancel"), first)
    s.check_equal("GET", s.get(response), first)


@rule("R6.4")
def _what_cannot_be_cancelled(s: ServerUnderTest) -> None:
    synchronous = s.create()
    s.check_error(expected_errors.not_cancellable("synchronous"), "POST", f"/responses/{synchronous['id']}/cancel")
    done = s.create(background=True)
    s.check_equal("status", _poll_to_end(s, done)["status"], "completed")
    s.check_error(expected_errors.not_cancellable("completed"), "POST", f"/responses/{done['id']}/cancel")
    s.check_equal("status after the refusal", s.get(done)["status"], "completed")
    unknown = f"resp_{NOWHERE}"
    s.check_error(expected_errors.no_response(unknown), "POST", f"/responses/{unknown}/cancel")
    if s.mock:
        s.script({"failed": {"code": "server_error", "message": "no"}})
        failed = s.create(background=True)
        s.check_equal("status", s.get(failed)["status"], "failed")
        s.check_error(expected_errors.not_cancellable("failed"), "POST", f"/responses/{failed['id']}/cancel")


# The reasoning item is done when the cancel comes, so this also shows that finished items are dropped.
@rule("R6.5", needs=("background", "clock", "script"))
def _a_cancelled_response_is_empty(s: ServerUnderTest) -> None:
    s.freeze()
    response = s.slow(stops={"reasoning": "hm"}, model="gpt-5.2")
    s.advance(SLOW_S + 1.5)
    s.check_equal("items done before", [item["type"] for item in s.get(response)["output"]], ["reasoning"])
    dropped = s.call_ok("POST", f"/responses/{response['id']}/cancel")
    s.check_members("response", dropped, status="cancelled", output=[], usage=None, completed_at=None, error=None)
    s.finish()
    s.check_members("response", s.get(response), status="cancelled", output=[], usage=None)


@rule("R6.6")
def _what_is_not_stored_can_be_polled(s: ServerUnderTest) -> None:
    response = s.create(background=True, store=False)
    s.check_members("response", response, status="queued", store=False, background=True)
    done = _poll_to_end(s, response)
    s.check_members("response in the end", done, status="completed", store=False)
    s.check_equal("its input items", len(s.inputs(response)), 1)
    s.check_create_refused(expected_errors.no_parent(response["id"]), previous_response_id=response["id"])
    s.check_equal("status when store is silent", s.create(background=True)["status"], "queued")
    s.check_equal("status when store is true", s.create(background=True, store=True)["status"], "queued")
    if not s.mock:  # nobody waits eleven minutes
        return
    s.freeze()
    response, kept = s.create(background=True, store=False), s.create(background=True)
    s.advance(9 * 60)
    s.check_equal("status after nine minutes", s.get(response)["status"], "completed")
    s.advance(2 * 60)
    s.check_error(expected_errors.no_response(response["id"]), "GET", f"/responses/{response['id']}")
    s.check_equal("status of a stored one", s.get(kept)["status"], "completed")


@rule("R6.13")
def _how_long_completion_may_take(s: ServerUnderTest) -> None:
    soonest = s.create(background_options={"completion_window": "soonest", "continuation_id": "mine"})
    s.check("background_options is not echoed", "background_options" not in soonest)
    long = {"background_options": {"completion_window": "2h"}}
    message = (
        "Unsupported value: '2h' is only supported with 'background' set to true, standard processing, "
        "and no streaming."
    )
    place = "background_options.completion_window"
    error = expected_errors.guess("E102", 400, "unsupported_value", place, message)
    for fields in ({}, {"background": True, "stream": True}, {"background": True, "service_tier": "priority"}):
        s.check_error(error, "POST", "/responses", {"model": s.model, "input": "x", **long, **fields})
    if s.mock:  # elsewhere it may take its two hours
        s.check_equal("status", s.create(background=True, **long)["status"], "queued")


def _numbers(events: list[Item]) -> list[int]:
    return [event["sequence_number"] for event in events]


@rule("R6.7")
def _streams_are_resumed(s: ServerUnderTest) -> None:
    events = s.stream("tell me", background=True)
    types = [event["type"] for event in events]
    s.check_equal("first events", types[:3], ["response.created", "response.queued", "response.in_progress"])
    s.check_equal(
        "statuses", [event["response"]["status"] for event in events[:3]], ["queued", "queued", "in_progress"]
    )
    s.check_equal("last event", types[-1], "response.completed")
    path = f"/responses/{events[0]['response']['id']}"
    s.check_equal("the stream again", s.call_ok("GET", path, stream="true"), events)
    # The first event, an early one, and the last but one: the ends are where a cursor is off by one.
    for number in (0, 1, len(events) - 2):
        resumed = s.call_ok("GET", path, stream="true", starting_after=str(number))
        s.check_equal(f"events after number {number}", resumed, events[number + 1 :])
    s.check_equal("sequence numbers", _numbers(events), list(range(len(events))))
    s.check_equal(
        "events after the last", s.call_ok("GET", path, stream="true", starting_after=str(len(events) - 1)), []
    )
    s.check("background streams are not padded", not any("obfuscation" in event for event in events))
    if s.mock or s.terms.upstream is not None:
        _check_resumed_in_progress(s)


def _check_resumed_in_progress(s: ServerUnderTest) -> None:
    turn = HeldTurn(s, "tell me", background=True)
    last = turn.events[-1]["sequence_number"]
    turn.drop()
    path = f"/responses/{turn.response['id']}"
    stream = s.connections.open_stream(None, path, stream="true", starting_after=str(last))
    s.opened.append(stream.drop)
    turn.let_go()
    resumed = read_until(stream.read, lambda found: found[-1]["type"] == "response.completed")
    numbers = list(range(last + 1, last + 1 + len(resumed)))
    s.check_equal("numbers of a stream that is resumed while it runs", _numbers(resumed), numbers)


@rule("R6.8", needs=("background", "clock", "script"))
def _what_can_be_streamed(s: ServerUnderTest) -> None:
    s.freeze()
    response = s.slow()
    message = "This response cannot be streamed because it was not created with stream=true."
    refused = expected_errors.guess("E80", 400, None, "stream", message)
    s.check_error(refused, "GET", f"/responses/{response['id']}", stream="true")
    s.finish()
    again = s.call_ok("GET", f"/responses/{response['id']}", stream="true")
    s.check_equal(
        "events of a finished one", [again[0]["type"], again[-1]["type"]], ["response.created", "response.completed"]
    )
    events = s.stream()
    replayed = s.call_ok("GET", f"/responses/{events[0]['response']['id']}", stream="true")
    s.check_equal("a finished synchronous stream again", replayed, events)


@rule(
    "R6.10",
    needs=(
        "background",
        "clock",
    ),
)
def _polled_for_thirty_days(s: ServerUnderTest) -> None:
    s.freeze()
    events = s.stream(background=True)
    id = events[0]["response"]["id"]
    # Ten minutes, because shorter windows of 5 to 10 minutes were reported (R6.10); then the last second.
    for seconds in (600, 30 * DAY - 601):
        s.advance(seconds)
        s.check_equal("status", s.call_ok("GET", f"/responses/{id}")["status"], "completed")
        s.check_equal("the stream again", s.call_ok("GET", f"/responses/{id}", stream="true"), events)
    s.advance(1)
    s.check_error(expected_errors.no_response(id), "GET", f"/responses/{id}")
    s.check_error(expected_errors.no_response(id), "GET", f"/responses/{id}", stream="true")
