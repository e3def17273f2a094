"""Fixed rules about responses in the background: polled, cancelled, streamed, resumed (R6.1–R6.10)."""

from __future__ import annotations

import time

from mockserver.conformance import expected_errors
from mockserver.conformance.registry import rule
from mockserver.conformance.server_under_test import DAY, NOWHERE, SLOW_S, Item, NotObservable, Subject

ENDED = ("completed", "failed", "incomplete", "cancelled")
PATIENCE_S = 60.0


def _ended(s: Subject, response: Item) -> Item:
    """Poll until a response has come to its end."""
    deadline = time.monotonic() + PATIENCE_S
    while (now := s.get(response))["status"] not in ENDED:
        if time.monotonic() > deadline:
            raise NotObservable(f"the response was still {now['status']} after {PATIENCE_S:g} seconds")
        time.sleep(0.25)
    return dict(now)


@rule("R6.1")
def _the_answer_comes_at_once(s: Subject) -> None:
    made = s.create(background=True)
    s.shape("response", made, status="queued", output=[], usage=None, background=True)
    s.holds("completed_at is not set", made.get("completed_at") is None)
    if s.mock:
        s.shape("response", made, service_tier="auto", error=None, store=True)
        s.holds("billing comes with the end", "billing" not in made)
    s.same("status in the end", _ended(s, made)["status"], "completed")


@rule("R6.2", needs=("clock", "script"))
def _queued_in_progress_completed(s: Subject) -> None:
    s.freeze()
    made = s.slow()
    s.shape("response", s.get(made), status="queued", output=[], usage=None)
    s.advance(SLOW_S - 1)
    s.shape("response", s.get(made), status="queued", output=[], usage=None)
    s.advance(1)
    s.shape("response", s.get(made), status="in_progress", output=[], usage=None, completed_at=None)
    s.finish()
    done = s.get(made)
    s.shape("response", done, status="completed", error=None, incomplete_details=None)
    s.holds("usage and completed_at are set", done["usage"] and done["completed_at"])
    s.same("what GET returns from then on", s.get(made), done)
    s.script({"text": "said at once"}, pacing={"first_token": SLOW_S})
    made = s.create(background=True)
    s.advance(SLOW_S - 0.5)
    s.same("status half a second before the end", s.get(made)["status"], "queued")
    s.advance(0.5)
    s.same("status at the end", s.get(made)["status"], "completed")
    s.script({"text": "cut", "incomplete": "max_output_tokens"})
    s.same("status of an incomplete one", s.get(s.create(background=True))["status"], "incomplete")
    s.script({"failed": {"code": "server_error", "message": "no"}})
    s.same("status of a failed one", s.get(s.create(background=True))["status"], "failed")


@rule("R6.3", needs=("clock", "script"))
def _cancelling_twice_is_idempotent(s: Subject) -> None:
    s.freeze()
    made = s.slow()
    first = s.ok("POST", f"/responses/{made['id']}/cancel")
    s.shape("response", first, id=made["id"], status="cancelled")
    s.same("cancelled again", s.ok("POST", f"/responses/{made['id']}/cancel"), first)
    s.finish()
    s.same("cancelled again later", s.ok("POST", f"/responses/{made['id']}/cancel"), first)
    s.same("GET", s.get(made), first)


@rule("R6.4")
def _what_cannot_be_cancelled(s: Subject) -> None:
    synchronous = s.create()
    s.refused(expected_errors.not_cancellable("synchronous"), "POST", f"/responses/{synchronous['id']}/cancel")
    done = s.create(background=True)
    s.same("status", _ended(s, done)["status"], "completed")
    s.refused(expected_errors.not_cancellable("completed"), "POST", f"/responses/{done['id']}/cancel")
    s.same("status after the refusal", s.get(done)["status"], "completed")
    unknown = f"resp_{NOWHERE}"
    s.refused(expected_errors.no_response(unknown), "POST", f"/responses/{unknown}/cancel")
    if s.mock:
        s.script({"failed": {"code": "server_error", "message": "no"}})
        failed = s.create(background=True)
        s.same("status", s.get(failed)["status"], "failed")
        s.refused(expected_errors.not_cancellable("failed"), "POST", f"/responses/{failed['id']}/cancel")


@rule("R6.5", needs=("clock", "script"))
def _a_cancelled_response_is_empty(s: Subject) -> None:
    s.freeze()
    made = s.slow(stops={"reasoning": "hm"}, model="gpt-5.2")
    s.advance(SLOW_S + 1.5)
    s.same("items done before", [item["type"] for item in s.get(made)["output"]], ["reasoning"])
    dropped = s.ok("POST", f"/responses/{made['id']}/cancel")
    s.shape("response", dropped, status="cancelled", output=[], usage=None, completed_at=None, error=None)
    s.finish()
    s.shape("response", s.get(made), status="cancelled", output=[], usage=None)


@rule("R6.6")
def _background_needs_storage(s: Subject) -> None:
    message = "Unsupported parameter: 'background' is not supported when 'store' is false."
    s.no(
        expected_errors.guess("E84", 400, "unsupported_parameter", "background", message), background=True, store=False
    )
    s.same("status when store is silent", s.create(background=True)["status"], "queued")
    s.same("status when store is true", s.create(background=True, store=True)["status"], "queued")


def _numbers(events: list[Item]) -> list[int]:
    return [event["sequence_number"] for event in events]


@rule("R6.7")
def _streams_are_resumed(s: Subject) -> None:
    events = s.stream("tell me", background=True)
    types = [event["type"] for event in events]
    s.same("first events", types[:3], ["response.created", "response.queued", "response.in_progress"])
    s.same("statuses", [event["response"]["status"] for event in events[:3]], ["queued", "queued", "in_progress"])
    s.same("last event", types[-1], "response.completed")
    path = f"/responses/{events[0]['response']['id']}"
    s.same("the stream again", s.ok("GET", path, stream="true"), events)
    for number in (0, 1, len(events) - 2):
        resumed = s.ok("GET", path, stream="true", starting_after=str(number))
        s.same(f"events behind number {number}", resumed, events[number + 1 :])
    s.same("sequence numbers", _numbers(events), list(range(len(events))))
    s.same("events behind the last", s.ok("GET", path, stream="true", starting_after=str(len(events) - 1)), [])
    s.holds("background streams are not padded", not any("obfuscation" in event for event in events))


@rule("R6.8", needs=("clock", "script"))
def _what_can_be_streamed(s: Subject) -> None:
    s.freeze()
    made = s.slow()
    message = "This response cannot be streamed because it was not created with stream=true."
    refused = expected_errors.guess("E80", 400, None, "stream", message)
    s.refused(refused, "GET", f"/responses/{made['id']}", stream="true")
    s.finish()
    again = s.ok("GET", f"/responses/{made['id']}", stream="true")
    s.same(
        "events of a finished one", [again[0]["type"], again[-1]["type"]], ["response.created", "response.completed"]
    )
    events = s.stream()
    replayed = s.ok("GET", f"/responses/{events[0]['response']['id']}", stream="true")
    s.same("a finished synchronous stream again", replayed, events)


@rule("R6.10", needs=("clock",))
def _polled_for_thirty_days(s: Subject) -> None:
    s.freeze()
    events = s.stream(background=True)
    id = events[0]["response"]["id"]
    for seconds in (600, 30 * DAY - 601):
        s.advance(seconds)
        s.same("status", s.ok("GET", f"/responses/{id}")["status"], "completed")
        s.same("the stream again", s.ok("GET", f"/responses/{id}", stream="true"), events)
    s.advance(1)
    s.refused(expected_errors.no_response(id), "GET", f"/responses/{id}")
    s.refused(expected_errors.no_response(id), "GET", f"/responses/{id}", stream="true")
