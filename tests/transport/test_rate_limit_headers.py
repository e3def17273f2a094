"""Rate-limit headers: which, on what, in which formats. Spec: W15, W16, E94, E95."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from mockserver.config.settings import Settings
from mockserver.engine.engine import Engine
from mockserver.faults.rate_limits import span
from mockserver.transport.app import MockApp
from mockserver.transport.rate_limit_headers import limits_of, of_error, of_request
from mockserver.wire.errors import api as errors
from mockserver.wire.errors import validation as validation_errors
from tests.support.asgi import PING, ask
from tests.support.driving import NOON

NAMES = [f"x-ratelimit-{what}-{of}" for what in ("limit", "remaining", "reset") for of in ("requests", "tokens")]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (0.006, "6ms"),
        (0.12, "120ms"),
        (0.9996, "1s"),
        (1, "1s"),
        (11.054, "11.054s"),
        (59.9999, "1m0s"),
        (90.5, "1m30.5s"),
        (360, "6m0s"),
        (3600, "1h0m0s"),
        (86_116.126, "23h55m16.126s"),
    ],
)
def test_W16_formats_of_time(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_W16_a_full_bucket_after_one_request() -> None:
    headers = {name.decode(): value.decode() for name, value in of_request("gpt-5.6-terra", 400_000)}
    assert sorted(headers) == sorted(NAMES)
    assert headers == {
        "x-ratelimit-limit-requests": "10000",
        "x-ratelimit-limit-tokens": "30000000",
        "x-ratelimit-remaining-requests": "9999",
        "x-ratelimit-remaining-tokens": "29900000",
        "x-ratelimit-reset-requests": "6ms",
        "x-ratelimit-reset-tokens": "200ms",
    }
    assert limits_of("gpt-5-mini").requests == limits_of("gpt-4.1-nano").requests == 30_000
    assert dict(of_request("", 10**9))[b"x-ratelimit-remaining-tokens"] == b"0"


def test_W16_on_every_answer_of_the_public_api_and_on_no_other() -> None:
    app = MockApp(Engine(Settings(api_key=("k",))))
    key = "Bearer k"
    streamed = PING[:-1] + b',"stream":true}'
    for body, status in ((PING, 200), (streamed, 200), (b"{", 400), (b'{"model":"nope","input":"x"}', 400)):
        got, headers, _ = ask(app, "POST", "/v1/responses", body, authorization=key)
        assert got == status
        assert [name for name in headers if name.startswith("x-ratelimit")] == NAMES, body
    assert set(NAMES) <= set(ask(app, "POST", "/v1/responses", PING)[1]), "401"
    for method, path, body in (
        ("GET", "/v1/models", b""),
        ("POST", "/v1/responses/input_tokens", PING),
        ("GET", "/v1/responses", b""),
        ("POST", "/v1/conversations", b"{}"),
    ):
        assert set(NAMES) <= set(ask(app, method, path, body, authorization=key)[1]), path
    assert not set(NAMES) & set(ask(app, "GET", "/_mock/clock", authorization=key)[1])


def test_W16_the_same_on_every_run() -> None:
    first, again = (ask(MockApp(Engine()), "POST", "/v1/responses", PING)[1] for _ in range(2))
    assert {name: first[name] for name in NAMES} == {name: again[name] for name in NAMES}


def scripted(error: dict[str, Any]) -> tuple[int, dict[str, str], Any]:
    app = MockApp(Engine())
    app.engine.control.enqueue("default", [{"reply": {"error": error}}])
    status, headers, body = ask(app, "POST", "/v1/responses", PING)
    return status, headers, json.loads(body)["error"]


def test_E94_a_scripted_rate_limit_says_when_to_come_back() -> None:
    status, headers, error = scripted({"code": "rate_limit_exceeded"})
    [wait] = re.findall(r"try again in (\d+)s", error["message"])
    assert status == 429
    assert (headers["retry-after"], headers["retry-after-ms"]) == (wait, f"{wait}000")
    assert (headers["x-ratelimit-limit-tokens"], headers["x-ratelimit-remaining-tokens"]) == ("30000", "0")
    assert headers["x-ratelimit-reset-tokens"] == f"{wait}s"
    assert headers["x-ratelimit-remaining-requests"] == "9999"


def test_a_rate_limit_without_a_time_means_a_second() -> None:
    _, headers, _ = scripted({"code": "rate_limit_exceeded", "message": "No."})
    assert (headers["retry-after"], headers["retry-after-ms"]) == ("1", "1000")


def test_headers_of_the_script_stand() -> None:
    own = {"Retry-After": "7", "x-ratelimit-remaining-requests": "3"}
    _, headers, _ = scripted({"code": "rate_limit_exceeded", "headers": own})
    assert headers["Retry-After"] == "7"
    assert "retry-after" not in headers
    assert headers["x-ratelimit-remaining-requests"] == "3"
    assert headers["x-ratelimit-remaining-tokens"] == "0"


@pytest.mark.parametrize("code", ["insufficient_quota", "slow_down", "server_is_overloaded"])
def test_other_refusals_do_not_say_when(code: str) -> None:
    headers = scripted({"code": code})[1]
    assert set(NAMES) <= set(headers)
    assert not {"retry-after", "retry-after-ms"} & set(headers)


def test_E94_and_E95_by_message() -> None:
    error = errors.rate_limit_exceeded("gpt-4.1", limit=500, used=500, requested=1, wait="312ms", by="requests")
    said = dict(of_error(error, 400))
    assert (said[b"x-ratelimit-limit-requests"], said[b"x-ratelimit-remaining-requests"]) == (b"500", b"0")
    assert (said[b"x-ratelimit-reset-requests"], said[b"retry-after"], said[b"retry-after-ms"]) == (
        b"312ms",
        b"1",
        b"312",
    )
    large = dict(of_error(validation_errors.request_too_large("gpt-4.1", limit=30_000, requested=40_000), 400))
    assert (large[b"x-ratelimit-limit-tokens"], large[b"retry-after"]) == (b"30000", b"1")


def test_E94_buckets_of_a_fault_stand_in_the_place_of_full_ones() -> None:
    """Spec: W16, E94."""
    app = MockApp(Engine(Settings(clock=NOON)))
    app.engine.control.set_faults(
        "default",
        [
            {"do": {"rate_limit": {"requests_per_minute": 4}}},
            {"do": {"rate_limit": {"requests_per_minute": 2, "tokens_per_minute": 6000}}},
        ],
    )
    status, headers, _ = ask(app, "POST", "/v1/responses", PING)
    assert status == 200
    assert (headers["x-ratelimit-limit-requests"], headers["x-ratelimit-remaining-requests"]) == ("2", "1")
    assert headers["x-ratelimit-reset-requests"] == "30s", "the emptier bucket counts"
    assert headers["x-ratelimit-limit-tokens"] == "6000"
    ask(app, "POST", "/v1/responses", PING)
    status, headers, _ = ask(app, "POST", "/v1/responses", PING)
    assert status == 429
    assert (headers["x-ratelimit-remaining-requests"], headers["retry-after"]) == ("0", "30")
