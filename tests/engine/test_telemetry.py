"""The counters of an engine: what each exchange adds, that labels are bounded, that each is counted once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.engine import telemetry
from mockserver.engine.engine import Engine
from mockserver.engine.telemetry import BUCKETS_S, OTHER, Histogram, Metrics, endpoint_of
from mockserver.journal.exchange import Call, Exchange
from mockserver.journal.relayed import RelayedAnswer
from mockserver.wire.errors.api import APIError
from tests.support.driving import CHAT, Driver


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [
        ("/v1/responses", "/v1/responses"),
        ("/v1/responses/resp_1", "/v1/responses/{id}"),
        ("/v1/responses/resp_1/input_items", "/v1/responses/{id}/input_items"),
        ("/v1/responses/compact", "/v1/responses/compact"),
        ("/v1/conversations/conv_1/items/msg_1", "/v1/conversations/{id}/items/{id}"),
        ("/v1/files/file_1/content", "/v1/files/{id}/content"),
        ("/v1/vector_stores/vs_1/file_batches/b_1/files", "/v1/vector_stores/{id}/file_batches/{id}/files"),
        ("/v1/responses/resp_1/anything", OTHER),
        ("/v1/vector_stores/a/files/b/files/c", OTHER),
        ("/v1/responsesx", OTHER),
        ("/v1/embeddings", OTHER),
        ("/", OTHER),
    ],
)
def test_a_path_is_one_of_a_bounded_number(path: str, endpoint: str) -> None:
    assert endpoint_of(path) == endpoint


def test_a_turn_adds_to_its_counters() -> None:
    drive = Driver()
    usage = drive.create()["usage"]
    drive.script({"reply": {"text": "x", "usage": {"input_tokens_details": {"cached_tokens": 3}}}})
    scripted = drive.create()["usage"]
    metrics = drive.engine.journal.metrics
    assert metrics.requests == {
        ("/v1/responses", "POST", "http", "200", "default_model"): 1,
        ("/v1/responses", "POST", "http", "200", "queue"): 1,
    }
    assert metrics.turns == {
        ("/v1/responses", CHAT, "http", "completed", "default_model"): 1,
        ("/v1/responses", CHAT, "http", "completed", "queue"): 1,
    }
    assert metrics.tokens == {
        (CHAT, "input"): usage["input_tokens"] + scripted["input_tokens"],
        (CHAT, "cached"): 3,
        (CHAT, "output"): usage["output_tokens"] + scripted["output_tokens"],
    }
    place = "/v1/responses", "http"
    assert sum(metrics.durations[place].counts) == sum(metrics.first_bytes[place].counts) == 2
    assert metrics.durations[place].sum > 0


def test_who_answered_is_one_of_four() -> None:
    drive = Driver()
    drive.engine.control.set_faults("p", [{"do": {"delay": 0.001}, "times": 1}])
    drive.create()
    drive.engine.control.set_scenario("p", {"lines": [{"when": {"input_contains": "a"}, "reply": {"text": "x"}}]})
    drive.create("a")
    drive.create("b")
    metrics = drive.engine.journal.metrics
    assert [key[4] for key in metrics.turns] == ["fault", "scenario", "default_model"]
    assert (metrics.faults, metrics.misses) == ({("delay",): 1}, 1)


def test_refusals_are_requests_and_no_turns_also_of_callers_who_are_not_let_in() -> None:
    engine = Engine(Settings(api_key=("k",)))
    engine.handle(Call("POST", "/v1/responses", b"{}"))
    engine.handle(Call("BREW", "/v1/coffee", b"", headers={b"authorization": b"Bearer k"}))
    metrics = engine.journal.metrics
    assert metrics.requests == {
        ("/v1/responses", "POST", "http", "401", "mock"): 1,
        (OTHER, OTHER, "http", "501", "mock"): 1,
    }
    assert metrics.turns == {}


def test_without_a_journal_everything_is_counted_all_the_same() -> None:
    drive = Driver(journal=0)
    drive.create()
    assert sum(drive.engine.journal.metrics.requests.values()) == 1


def test_a_stream_is_in_progress_between_its_first_bytes_and_its_end() -> None:
    metrics = Metrics()
    exchange = Exchange(Call(), "sse", seconds=0.002)
    metrics.count(exchange)
    metrics.count(exchange)  # it was told of twice
    assert (metrics.streams, metrics.requests) == (1, {})
    exchange.ended, exchange.seconds = "delivered", 7.0
    metrics.count(exchange)
    place = "/v1/responses", "sse"
    assert (metrics.streams, metrics.first_bytes[place].sum, metrics.durations[place].sum) == (0, 0.002, 7.0)


def test_unknown_models_are_one() -> None:
    drive = Driver(set=(("unknown_models", "allow"),))
    for number in range(3):
        drive.create(model=f"my-model-{number}")
    drive.create(model="ft:gpt-4.1-2025-04-14:org::abc")
    assert {key[1]: count for key, count in drive.engine.journal.metrics.turns.items()} == {OTHER: 3, CHAT: 1}


def test_a_turn_without_usage_counts_no_tokens() -> None:
    drive = Driver()
    drive.script({"reply": {"text": "slow"}, "pacing": {"first_token": 10, "tokens_per_second": 1}})
    drive.script({"reply": {"failed": {"code": "server_error", "message": "no"}}})
    drive.stream(background=True)
    metrics = drive.engine.journal.metrics
    assert metrics.tokens == {} or all(count >= 0 for count in metrics.tokens.values())


def test_counts_add_up_to_the_journals() -> None:
    drive = Driver()
    id = drive.create()["id"]
    drive.stream()
    drive.get(id)
    with pytest.raises(APIError):
        drive.create(previous_response_id="resp_x")
    drive.delete(id)
    listed: list[Any] = drive.engine.control.journal("p", limit=100)["data"]
    assert sum(drive.engine.journal.metrics.requests.values()) == len(listed) == 5
    turns = [one for one in listed if one["response_id"]]
    assert sum(drive.engine.journal.metrics.turns.values()) == len(turns) == 2
    json.dumps(listed)


@pytest.mark.parametrize(
    ("seconds", "bucket"), [(0.0, 0), (BUCKETS_S[0], 0), (0.0006, 1), (60.0, len(BUCKETS_S) - 1), (61.0, -1)]
)
def test_a_duration_falls_into_the_first_bucket_that_holds_it(seconds: float, bucket: int) -> None:
    histogram = Histogram()
    histogram.add(seconds)
    assert histogram.counts[bucket] == 1 and sum(histogram.counts) == 1


def test_a_forwarded_call_is_counted_by_what_is_known_of_it() -> None:
    metrics = Metrics()
    metrics.count_forwarded("/v1/embeddings", ("POST", "http", 200, "upstream"), 0.01, 0.02)
    assert metrics.requests == {(OTHER, "POST", "http", "200", "upstream"): 1}
    assert metrics.first_bytes[OTHER, "http"].sum == 0.01 and metrics.durations[OTHER, "http"].sum == 0.02


def test_what_a_cassette_answers_is_counted_and_is_no_stream_of_the_mock() -> None:
    metrics, exchange = Metrics(), Exchange.begin(Call(), 0.0)
    exchange.relayed, exchange.ended, exchange.first_bytes_s = RelayedAnswer("cassette", 0.0), "delivered", 0.5
    metrics.count(exchange)
    assert list(metrics.requests) == [("/v1/responses", "POST", "http", "200", "cassette")]
    assert (metrics.streams, metrics.turns) == (0, {})


def test_a_model_of_a_long_name_is_counted_and_its_name_is_not_kept() -> None:
    name = f"ft:gpt-4.1-2025-04-14:{'a' * 1000}::x"
    before = telemetry._model_of.cache_info().currsize
    assert telemetry._find_model(name) == telemetry._find_model("gpt-4.1-2025-04-14") != OTHER
    assert telemetry._model_of.cache_info().currsize <= before + 1
