"""The metrics as Prometheus reads them: its own parser takes them, and they say what the journal says."""

from __future__ import annotations

import json
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.store.sqlite import StoreUnavailable
from mockserver.transport import metrics
from mockserver.transport.app import MockApp
from tests.support.asgi import PING, ask
from tests.support.driving import CHAT, NOON

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def app() -> MockApp:
    return MockApp(Engine(Settings(clock=NOON)))


def parse(text: bytes) -> Samples:
    """The samples of a text by name and labels; no two may be the same."""
    found: Samples = {}
    for family in text_string_to_metric_families(text.decode()):
        assert family.documentation and family.type != "unknown"
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found
            found[key] = sample.value
    return found


def scrape(app: MockApp) -> Samples:
    status, headers, body = ask(app, "GET", "/_mock/metrics")
    assert (status, headers["content-type"]) == (200, metrics.CONTENT_TYPE.decode())
    return parse(body)


def total(samples: Samples, name: str, **labels: str) -> float:
    return sum(value for (one, named), value in samples.items() if one == name and labels.items() <= set(named))


def create(app: MockApp, **fields: Any) -> dict[str, Any]:
    body = json.dumps({"model": "gpt-4.1", "input": "ping", **fields}).encode()
    return json.loads(ask(app, "POST", "/v1/responses", body)[2])


def test_a_server_that_has_answered_nothing_has_all_names(app: MockApp) -> None:
    samples = scrape(app)
    assert {name for name, _ in samples} >= {f"understudy_{name}" for name in metrics.GAUGES}
    info = {"version": "0.1.0", "mode": "mock", "store": "memory"}
    assert samples["understudy_info", frozenset(info.items())] == 1
    assert samples["understudy_near_misses_total", frozenset()] == 0


def test_counts_are_the_journals(app: MockApp) -> None:
    made = [create(app), create(app, store=False)]
    ask(app, "POST", "/v1/responses", b'{"model":"gpt-4.1","input":"ping","stream":true}')
    create(app, previous_response_id="resp_x")
    ask(app, "GET", f"/v1/responses/{made[0]['id']}")
    ask(app, "POST", "/v1/responses", PING, authorization="Bearer another")
    exchanges: list[Any] = []
    for project in json.loads(ask(app, "GET", "/_mock/projects")[2])["data"]:
        _, _, page = ask(app, "GET", "/_mock/journal?view=summary", x_understudy_project=project["name"])
        exchanges += json.loads(page)["data"]
    samples = scrape(app)
    for status in (200, 400):
        listed = [one for one in exchanges if one["status"] == status]
        assert total(samples, "understudy_requests_total", status=str(status)) == len(listed) > 0
    for transport in ("http", "sse"):
        listed = [one for one in exchanges if one["transport"] == transport]
        assert total(samples, "understudy_duration_seconds_count", transport=transport) == len(listed) > 0
        assert total(samples, "understudy_first_byte_seconds_bucket", transport=transport, le="+Inf") == len(listed)
    turns = [one for one in exchanges if one["response_id"]]
    assert total(samples, "understudy_turns_total", model=CHAT, answered_by="default_model") == len(turns) == 4
    for kind in ("input", "cached", "output"):
        assert total(samples, "understudy_tokens_total", kind=kind) == sum(one[f"{kind}_tokens"] for one in turns)


def test_buckets_count_all_that_took_no_longer(app: MockApp) -> None:
    create(app)
    buckets = sorted(
        (float(dict(labels)["le"]), value)
        for (name, labels), value in scrape(app).items()
        if name == "understudy_duration_seconds_bucket"
    )
    counts = [value for _, value in buckets]
    assert counts == sorted(counts) and counts[-1] == 1 and buckets[-1][0] == float("inf")


def test_what_clients_send_can_not_break_the_text(app: MockApp) -> None:
    ask(app, "POST", '/v1/"\\\n{}', b"")
    create(app, model='"} 1\n')
    create(MockApp(app.engine), model="x" * 10_000)
    assert total(scrape(app), "understudy_requests_total") == 3


def test_a_turn_of_the_background_is_in_progress(app: MockApp) -> None:
    app.engine.control.enqueue("default", [{"reply": {"text": "a b c"}, "pacing": {"first_token": 9}}])
    create(app, background=True)
    assert scrape(app)["understudy_background_turns", frozenset()] == 1


def test_a_proxy_adds_what_it_knows(app: MockApp) -> None:
    sections = {"recorder": {"failures": 2}, "drift": [{}, {}, {}], "cassette_misses": 4, "sockets": {"open": 5}}
    app.engine.control.sections.update({name: lambda value=value: value for name, value in sections.items()})  # type: ignore[misc]
    samples = scrape(app)
    names = ("recorder_failures_total", "drift_findings", "cassette_misses_total", "open_sockets", "busy_lanes")
    assert [samples[f"understudy_{name}", frozenset()] for name in names] == [2, 3, 4, 5, 0]


def test_a_store_that_can_not_be_written_is_not_a_number(app: MockApp, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise StoreUnavailable("locked")

    monkeypatch.setattr(app.engine.store, "check", refuse)
    value = scrape(app)["understudy_store_probe_seconds", frozenset()]
    assert value != value


def test_the_samples_of_workers_are_one() -> None:
    apps = [MockApp(Engine(Settings(clock=NOON))) for _ in range(2)]
    for app in apps:
        create(app)
    ask(apps[0], "POST", "/v1/responses", b'{"model":"gpt-4.1","input":"ping","stream":true}')
    samples = [json.loads(json.dumps(metrics.sample(app.engine))) for app in apps]
    samples[0]["gauges"].update(streams=1, background_turns=7)
    samples[1]["gauges"].update(streams=2, background_turns=7)
    found = parse(metrics.render(samples))
    assert total(found, "understudy_requests_total", transport="http") == 2
    assert total(found, "understudy_requests_total", transport="sse") == 1
    assert total(found, "understudy_duration_seconds_count", transport="http") == 2
    assert found["understudy_streams", frozenset()] == 3
    assert found["understudy_background_turns", frozenset()] == 7  # they see the same store
