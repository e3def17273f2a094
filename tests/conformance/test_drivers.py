"""The conformance kit's drivers: the same calls give the same answers in process and over a socket."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.conformance.drivers import NO_ANSWER, Answer, Driver, EngineDriver, HTTPDriver
from tests.support.serving import FROZEN, serving

ASK = {"model": "gpt-4.1", "input": "ping"}


def talk(driver: Driver) -> tuple[list[Answer], list[str]]:
    made = driver.call("POST", "/responses", ASK)
    streamed = driver.call("POST", "/responses", {**ASK, "stream": True})
    answers = [
        made,
        streamed,
        driver.call("GET", f"/responses/{made.body['id']}"),
        driver.call("GET", f"/responses/{made.body['id']}/input_items", limit="1"),
        driver.call("GET", "/responses/resp_none"),
        driver.call("GET", "/responses/a/b/c"),
        driver.create_over_socket(ASK),
        driver.create_over_socket({**ASK, "previous_response_id": "resp_none"}),
    ]
    return answers, driver.control("POST", "/clock/advance", {"days": 31})["expired"]


def shape(answer: Answer) -> tuple[int, type, list[str]]:
    return answer.status, type(answer.body), [event["type"] for event in answer.events or ()]


def test_engine_and_socket_answer_alike() -> None:
    with serving(*FROZEN) as served:
        over_socket = HTTPDriver(served.base_url)
        assert over_socket.controls
        there, expired_there = talk(over_socket)
        with pytest.raises(LookupError, match="clock"):
            over_socket.control("PUT", "/clock", {"now": "never"})
        over_socket.close()
    engine = EngineDriver()
    here, expired_here = talk(engine)
    with pytest.raises(LookupError, match="clock"):
        engine.control("PUT", "/clock", {"now": "never"})
    engine.close()
    assert [*map(shape, there)] == [*map(shape, here)]
    assert [answer.status for answer in here] == [200, 200, 200, 200, 404, 404, 200, 400]
    assert here[6].events is not None and here[6].events[-1]["type"] == "response.completed"
    assert here[7].error["code"] == "previous_response_not_found"
    assert here[1].events is not None
    assert [here[1].events[at]["type"] for at in (0, -1)] == ["response.created", "response.completed"]
    assert len(expired_here) == len(expired_there) == 3


def test_controls_take_a_query_and_projects_share_their_connections() -> None:
    with serving(*FROZEN) as served:
        for driver in (HTTPDriver(served.base_url), EngineDriver()):
            mine = driver.new_project("mine")
            for _ in range(3):
                mine.call("POST", "/responses", ASK)
            assert len(mine.control("GET", "/responses?limit=2")["data"]) == 2
            if isinstance(mine, HTTPDriver):
                mine.close()
            assert driver.call("POST", "/responses", ASK).status == 200
            assert driver.control("GET", "/responses?limit=2")["has_more"] is False
            driver.close()


def test_fresh_projects_do_not_meet() -> None:
    engine = EngineDriver()
    made = engine.call("POST", "/responses", ASK).body["id"]
    assert engine.new_project("other").call("GET", f"/responses/{made}").status == 404


def test_what_is_not_there_is_an_answer_too() -> None:
    nowhere = HTTPDriver("http://127.0.0.1:9/v1", timeout_s=2)
    answer = nowhere.call("GET", "/models")
    assert (answer.status, answer.error, nowhere.controls) == (0, {}, False)
    assert "Connect" in answer.body
    assert nowhere.new_project("x") is nowhere
    nowhere.close()


def test_projects_where_only_given_keys_are_let_in() -> None:
    with serving(*FROZEN, "--api-key", "secret") as served:
        driver = HTTPDriver(served.base_url, "secret")
        other = driver.new_project("other")
        assert (other.api_key, other.project) == ("secret", "other")
        made = driver.call("POST", "/responses", ASK).body["id"]
        assert other.call("GET", f"/responses/{made}").status == 404
        assert other.create_over_socket({**ASK, "previous_response_id": made}).status == 400
        driver.close()


# --- what takes time or breaks, in process ---------------------------------------------------------------------------

SLOW = {"reply": {"text": "one two"}, "pacing": {"first_token": 3600, "tokens_per_second": 0.1}}


def paced(line: dict[str, Any]) -> EngineDriver:
    driver = EngineDriver()
    driver.control("POST", "/script", {"lines": [line]})
    return driver


def test_an_answer_that_takes_an_hour_is_there_at_once_and_whole() -> None:
    body = paced(SLOW).call("POST", "/responses", ASK).body
    assert body["status"] == "completed"
    stream = paced(SLOW).call("POST", "/responses", {**ASK, "stream": True})
    assert stream.body is None and stream.events is not None
    assert [event["sequence_number"] for event in stream.events] == list(range(len(stream.events)))
    assert stream.events[-1]["response"]["output"][-1]["content"] == body["output"][-1]["content"]


def faulty(do: Any, event: str | None = None) -> EngineDriver:
    driver = EngineDriver()
    place = {"at": {"event": event}} if event else {}
    driver.control("PUT", "/faults", {"faults": [{"do": do, **place}]})
    return driver


@pytest.mark.parametrize(("do", "why"), [("stall", "the answer stalled"), ("cut", "the connection was broken off")])
def test_an_answer_that_never_comes_is_none(do: str, why: str) -> None:
    driver = faulty(do, "response.in_progress")
    assert driver.call("POST", "/responses", {**ASK, "stream": True}) == Answer(NO_ANSWER, why)
    [exchange] = driver.engine.control.journal("default")["data"]
    assert exchange["ended"] != "delivered"


@pytest.mark.parametrize("do", ["stall", "cut"])
def test_frames_before_a_socket_breaks_are_what_a_client_has(do: str) -> None:
    frames = faulty(do, "response.in_progress").create_over_socket(ASK).events or []
    assert [frame["type"] for frame in frames] == ["response.created", "response.in_progress"]


def test_what_can_not_be_read_is_an_event_that_says_so() -> None:
    for answer in (
        faulty("malformed", "response.in_progress").call("POST", "/responses", {**ASK, "stream": True}),
        faulty("malformed", "response.in_progress").create_over_socket(ASK),
    ):
        assert answer.events is not None
        assert [event["type"] for event in answer.events][:3] == [
            "response.created",
            "unreadable",
            "response.output_item.added",
        ]
    assert isinstance(faulty("malformed").call("GET", "/models").body, str)


def test_a_socket_to_nowhere_is_no_answer() -> None:
    nowhere = HTTPDriver("http://127.0.0.1:9/v1", timeout_s=2)
    answer = nowhere.create_over_socket(ASK)
    assert (answer.status, "Connect" in answer.body) == (NO_ANSWER, True)
    nowhere.close()
