"""Background responses as functions of the clock. Spec: R6.1–R6.10, R1.13, R2.9, R2.13, S8 i, S11, O6."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from mockserver.config.pacing import Pacing
from mockserver.config.settings import Settings
from mockserver.core.background import drop_until, split
from mockserver.delivery.events import Emit, Wait
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from mockserver.wire.errors import api as errors
from tests.support import virtual_time
from tests.support.api import Api
from tests.support.asgi import ask
from tests.support.driving import NOON, Driver, refused, summary, text_of

SLOW = {"reply": {"reasoning": "hm", "text": "one two three"}, "pacing": {"first_token": 10, "tokens_per_second": 1}}
MODEL = "gpt-5.2"


def slow(**fields: Any) -> tuple[Driver, dict[str, Any]]:
    drive = Driver()
    drive.script(SLOW)
    body = json.dumps({"model": MODEL, "input": "u", "background": True, **fields}).encode()
    delivery = drive.engine.create_response("p", body)
    return drive, {"id": delivery.id} if delivery.body is None else json.loads(delivery.body)


def test_R6_1_the_answer_comes_at_once_and_is_queued() -> None:
    _, made = slow()
    shown = (made["status"], made["output"], made["usage"], made["completed_at"], made["service_tier"])
    assert shown == ("queued", [], None, None, "auto")
    assert made["background"] is True
    assert "billing" not in made


def test_O6_queued_then_in_progress_then_completed_by_the_clock() -> None:
    drive, made = slow()
    assert drive.get(made["id"]) == made
    drive.advance(seconds=10.5)
    begun = drive.get(made["id"])
    assert (begun["status"], begun["output"], begun["usage"]) == ("in_progress", [], None)
    drive.advance(seconds=0.5)
    assert [item["type"] for item in drive.get(made["id"])["output"]] == ["reasoning"]
    assert drive.advance(seconds=60)["completed"] == [made["id"]]
    done = drive.get(made["id"])
    assert (done["status"], len(done["output"]), done["billing"]) == ("completed", 2, {"payer": "developer"})
    assert done["usage"]["output_tokens"] > 0


def test_without_pacing_the_next_call_finds_the_end() -> None:
    drive = Driver()
    made = drive.create(background=True)
    assert made["status"] == "queued"
    assert drive.get(made["id"])["status"] == "completed"
    again = drive.create(background=True)
    assert drive.advance(seconds=0)["completed"] == [again["id"]]


def test_R1_32_a_running_response_cannot_be_continued() -> None:
    drive, made = slow()
    assert refused(drive.create, previous_response_id=made["id"]).code == "previous_response_not_found"
    drive.advance(seconds=60)
    assert drive.create(previous_response_id=made["id"], model=MODEL)["status"] == "completed"


def test_R2_9_and_R2_13_the_conversation_is_locked_until_the_end_or_a_cancel() -> None:
    for cancelled in (False, True):
        drive = Driver()
        drive.script(SLOW)
        conversation = drive.conversation()["id"]
        made = drive.create("u", model=MODEL, background=True, conversation=conversation)
        assert drive.items(conversation)["data"] == []
        assert refused(drive.create, conversation=conversation).code == "conversation_locked"
        if cancelled:
            Api(drive.engine).cancel_response("p", made["id"])
        else:
            drive.advance(seconds=60)
        assert len(drive.items(conversation)["data"]) == (0 if cancelled else 3)
        assert drive.create(conversation=conversation, model=MODEL)["status"] == "completed"


def test_R6_3_and_R6_5_cancel_is_idempotent() -> None:
    drive, made = slow()
    drive.advance(seconds=12)
    first = Api(drive.engine).cancel_response("p", made["id"])
    shown = json.loads(first)
    assert (shown["status"], shown["output"], shown["usage"], shown["completed_at"]) == ("cancelled", [], None, None)
    assert Api(drive.engine).cancel_response("p", made["id"]) == first
    assert drive.advance(seconds=60)["completed"] == []
    assert drive.get(made["id"]) == shown
    assert refused(drive.create, previous_response_id=made["id"]).code == "previous_response_not_found"


def test_R6_4_what_cannot_be_cancelled() -> None:
    drive = Driver()
    synchronous = drive.create()["id"]
    text = "Cannot cancel a synchronous response."
    assert summary(refused(Api(drive.engine).cancel_response, "p", synchronous)) == (400, text, None, None)
    done = drive.create(background=True)["id"]
    text = "Cannot cancel a completed response."
    assert summary(refused(Api(drive.engine).cancel_response, "p", done)) == (400, text, None, None)
    assert refused(Api(drive.engine).cancel_response, "p", "resp_x").status == 404
    drive.script(SLOW)
    body = json.dumps({"model": MODEL, "input": "u"}).encode()
    running = drive.engine.create_response("p", body).id
    assert refused(Api(drive.engine).cancel_response, "p", running).status == 404


def test_R1_13_a_running_response_cannot_be_deleted() -> None:
    drive, made = slow()
    assert summary(refused(drive.delete, made["id"])) == (400, "Cannot delete an in-flight response.", None, None)
    drive.advance(seconds=60)
    assert drive.delete(made["id"])["deleted"] is True


def test_S8i_the_stream_begins_queued_and_is_not_padded() -> None:
    drive, made = slow(stream=True)
    drive.advance(seconds=60)
    stream = drive.replay(made["id"])
    assert [event["type"] for event in stream][:3] == ["response.created", "response.queued", "response.in_progress"]
    assert [event["response"]["status"] for event in stream[:3]] == ["queued", "queued", "in_progress"]
    assert stream[-1]["type"] == "response.completed"
    assert not any("obfuscation" in event for event in stream)


def test_S11_a_running_stream_is_resumed_from_the_clock() -> None:
    drive, made = slow(stream=True)
    whole = drive.replay(made["id"])
    assert [event["sequence_number"] for event in whole] == list(range(len(whole)))
    drive.advance(seconds=12)
    assert drive.replay(made["id"]) == whole
    assert drive.replay(made["id"], starting_after="0") == whole[1:]
    assert drive.replay(made["id"], starting_after="0")[0]["type"] == "response.queued"
    drive.advance(seconds=60)
    assert drive.replay(made["id"]) == whole


def test_E80_a_running_response_that_is_no_stream() -> None:
    drive, made = slow()
    text = "This response cannot be streamed because it was not created with stream=true."
    assert refused(drive.replay, made["id"]).message == text


def test_deliveries_are_split_by_time_and_by_number() -> None:
    first, second, third = ({"sequence_number": number} for number in range(3))
    steps = [Emit([first]), Wait(2), Emit([second]), Wait(3), Emit([third])]
    assert split(steps, 0) == ([first], steps[1:])
    assert split(steps, 1.5) == ([first], [Wait(0.5), *steps[2:]])
    assert split(steps, 2) == ([first, second], steps[3:])
    assert split(steps, 99) == ([first, second, third], [])
    assert drop_until(steps, 0) == [Emit([]), *steps[1:]]


def follow(app: MockApp, path: str, meanwhile: Any) -> list[str]:
    """Return the event types that a stream sends when something happens after its first write."""
    sent: list[bytes] = []

    async def scene() -> None:
        messages = [{"type": "http.request", "body": b""}]

        async def receive() -> Any:
            if not messages:
                await asyncio.Event().wait()
            return messages.pop()

        async def send(message: Any) -> None:
            if message.get("body"):
                sent.append(message["body"])
                if len(sent) == 1:
                    meanwhile()

        scope = {"type": "http", "method": "GET", "path": path, "query_string": b"stream=true", "headers": []}
        await app(scope, receive, send)

    virtual_time.run(scene())
    return [line[7:].decode() for body in sent for line in body.split(b"\n") if line.startswith(b"event: ")]


def slow_app() -> tuple[MockApp, str]:
    app = MockApp(Engine(Settings(clock=NOON)))
    line = {"reply": {"text": "one two"}, "pacing": {"first_token": 0.1, "tokens_per_second": 100}}
    ask(app, "POST", "/_mock/script", json.dumps({"lines": [line]}).encode())
    body = json.dumps({"model": "gpt-4.1", "input": "u", "background": True, "stream": True}).encode()
    return app, app.engine.create_response("default", body).id


def test_S12_5_an_attached_stream_ends_when_the_response_is_cancelled() -> None:
    app, id = slow_app()
    types = follow(app, f"/v1/responses/{id}", lambda: Api(app.engine).cancel_response("default", id))
    assert types == ["response.created", "response.failed"]


def test_an_attached_stream_waits_no_longer_once_the_clock_has_passed_the_end() -> None:
    app, id = slow_app()
    types = follow(app, f"/v1/responses/{id}", lambda: app.engine.control.advance_clock("default", 3600))
    assert types[-1] == "response.completed"


@pytest.mark.parametrize("method", ["POST"])
def test_P4_over_http(method: str) -> None:
    app, id = slow_app()
    status, _, body = ask(app, method, f"/v1/responses/{id}/cancel", b"", content_type="application/json")
    assert (status, json.loads(body)["status"]) == (200, "cancelled")


def test_R3_5_input_items_and_R14_1_listings_of_what_still_runs() -> None:
    drive = Driver(pacing=Pacing(5.0, 10.0))
    done = drive.create("first")
    made = drive.create("hello", background=True, previous_response_id=done["id"])
    assert text_of(drive.input_items(made["id"])["data"][0]) == "hello"
    assert drive.context(made["id"])[-1] == "hello"
    listed = drive.engine.control.list_responses("p", limit=9, after=None)["data"]
    assert [(one["id"], one["status"]) for one in listed] == [(made["id"], "queued"), (done["id"], "completed")]
    running = drive.engine.control.list_responses("p", limit=9, after=None, status="queued")["data"]
    assert [one["id"] for one in running] == [made["id"]]
    drive.advance(seconds=60)
    assert drive.engine.control.list_responses("p", limit=9, after=None, status="queued")["data"] == []


def test_R6_8_a_finished_response_is_replayed_to_who_created_it_as_a_stream_where_others_are_refused() -> None:
    drive = Driver(set=(("get_stream_finished", "refuse"),))
    plain, streamed = drive.create(background=True), drive.stream(background=True)[0]["response"]
    assert drive.replay(streamed["id"])[-1]["type"] == "response.completed"
    assert refused(drive.replay, plain["id"]).message == errors.stream_without_stream().message
    assert refused(drive.replay, drive.create()["id"]).message == errors.stream_without_background().message
