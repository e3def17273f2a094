"""Rules of the catalogue that no client call shows, because they need a switch, a lost connection, or the bytes."""

from __future__ import annotations

import json
import re

import pytest

from mockserver.config.settings import Settings
from mockserver.delivery.events import Wait
from mockserver.engine.engine import Engine
from mockserver.transport.app import MockApp
from tests.support.asgi import ask
from tests.support.driving import MODEL, Driver, refused, summary

EVENT = re.compile(rb"event: ([a-z_.]+)\ndata: (\{[^\n]*\})\n\n")


def test_R1_5_and_R1_6_an_organisation_that_retains_nothing() -> None:
    drive = Driver(set=(("zdr", "on"),))
    made = drive.create(store=True)
    assert made["store"] is False
    assert refused(drive.get, made["id"]).status == 404
    message = "Previous response cannot be used for this organization due to Zero Data Retention."
    error = (400, message, "previous_response_id", "unsupported_parameter")
    assert summary(refused(drive.create, previous_response_id=made["id"])) == error
    assert refused(drive.create, previous_response_id="resp_" + "f" * 50).message == message


def slow(drive: Driver, **fields: object) -> str:
    drive.script({"reply": {"text": "one two three"}, "pacing": {"first_token": 10, "tokens_per_second": 1}})
    body = json.dumps({"model": MODEL, "input": "u", **fields}).encode()
    delivery = drive.engine.create_response(drive.project, body)
    assert delivery.running and (delivery.steps == [] or any(isinstance(step, Wait) for step in delivery.steps))
    return delivery.id


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("value", ["continue", "cancel"])
def test_R6_9_a_background_response_outlives_its_connection(streamed: bool, value: str) -> None:
    drive = Driver(set=(("on_disconnect", value),))
    id = slow(drive, background=True, stream=streamed)
    drive.engine.leave(drive.project, id)
    assert drive.get(id)["status"] == "queued"
    drive.advance(seconds=60)
    done = drive.get(id)
    assert (done["status"], done["output"][0]["content"][0]["text"]) == ("completed", "one two three")


def test_R9_20_and_R9_21_a_synchronous_turn_goes_on_unseen_without_its_client() -> None:
    drive = Driver()
    id = slow(drive, stream=True)
    drive.engine.leave(drive.project, id)
    assert refused(drive.get, id).status == 404, "not before it is finished"
    drive.advance(seconds=60)
    assert drive.get(id)["status"] == "completed"


@pytest.mark.parametrize("fields", [{}, {"background": True}, {"instructions": 'Sprich: ä 日本\n"x"'}])
def test_R9_1_a_stream_is_events_of_two_lines_and_nothing_else(fields: dict[str, object]) -> None:
    body = json.dumps({"model": MODEL, "input": "grüße\n日本", "stream": True, **fields}).encode()
    status, headers, sent = ask(MockApp(Engine()), "POST", "/v1/responses", body)
    assert (status, headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    assert "content-length" not in headers
    events = EVENT.findall(sent)
    assert b"".join(b"event: %b\ndata: %b\n\n" % event for event in events) == sent, "no comment, no id, no [DONE]"
    parsed = [json.loads(data) for _, data in events]
    assert [one["type"].encode() for one in parsed] == [name for name, _ in events]
    assert parsed[-1]["type"] == "response.completed"
    assert b"\\u" not in sent and "日本".encode() in sent, "raw UTF-8"
    assert b'": ' not in events[-1][1] and b", " not in events[0][1].replace(b"Sprich: ", b""), "compact"


def test_R13_1_keys_are_asked_for_only_when_told_so() -> None:
    body = b'{"model":"gpt-4.1","input":"ping"}'
    assert ask(MockApp(Engine()), "POST", "/v1/responses", body)[0] == 200
    strict = MockApp(Engine(Settings(set=(("auth", "enforce"),))))
    status, _, said = ask(strict, "POST", "/v1/responses", body)
    assert (status, json.loads(said)["error"]["message"]) == (401, "Missing bearer or basic authentication in header")
    assert ask(strict, "POST", "/v1/responses", body, authorization="Bearer any")[0] == 200
    chosen = MockApp(Engine(Settings(api_key=("sk-right",))))
    assert ask(chosen, "POST", "/v1/responses", body, authorization="Bearer sk-right")[0] == 200
    status, _, said = ask(chosen, "POST", "/v1/responses", body, authorization="Bearer sk-wrong")
    error = json.loads(said)["error"]
    assert (status, error["code"]) == (401, "invalid_api_key")
    assert error["message"].startswith("Incorrect API key provided: ")


def test_R13_5_answers_and_errors_carry_their_headers() -> None:
    app = MockApp(Engine())
    seen = set()
    for body in (b'{"model":"gpt-4.1","input":"ping"}', b"{}"):
        _, headers, _ = ask(app, "POST", "/v1/responses", body)
        assert re.fullmatch("req_[0-9a-f]{32}", headers["x-request-id"])
        assert headers["openai-version"] == "2020-10-01" and headers["openai-processing-ms"].isdigit()
        assert "openai-organization" in headers
        seen.add(headers["x-request-id"])
    assert len(seen) == 2, "one for each request"
