"""Rate limits as buckets: refill, refusals word for word, how long to wait. Spec: R13.6, W16, E94, E95."""

from __future__ import annotations

import pytest

from mockserver.faults.rate_limits import Bucket, load_buckets, span, take, to_document, tokens_of

MODEL = "gpt-4.1"


def test_a_new_bucket_is_full_and_a_minute_refills_it() -> None:
    full = load_buckets({"requests": 60}, {}, 100.0)["requests"]
    assert full.remaining == 60 and full.wait(60) == 0
    empty = full.without(1000)
    assert (empty.level, empty.remaining) == (0, 0)
    assert empty.refill(100.5).level == pytest.approx(0.5)
    assert empty.refill(130.0).remaining == 30
    assert empty.refill(1e6).remaining == 60
    assert empty.refill(50.0).level == 0  # a clock that was set back gives nothing and takes nothing


def test_E94_requests() -> None:
    """Three in a minute: the fourth waits for 20 seconds, and coming too early starts the waiting anew."""
    held = load_buckets({"requests": 3}, {}, 0.0)
    for _ in range(3):
        held, error = take(held, 10, MODEL)
        assert error is None
    held, error = take(held, 10, MODEL)
    assert error is not None and (error.status, error.type, error.code) == (429, "requests", "rate_limit_exceeded")
    assert error.message == (
        "Rate limit reached for gpt-4.1 in organization org-understudy on requests per min (RPM): Limit 3, Used 3, "
        "Requested 1. Please try again in 20s. Visit https://platform.openai.com/account/rate-limits to learn more."
    )
    assert error.headers == {"retry-after": "20", "retry-after-ms": "20000"}
    kept = to_document(held)
    held, error = take(load_buckets({"requests": 3}, kept, 19.0), 10, MODEL)
    assert error is not None and held["requests"].level == 0
    assert take(load_buckets({"requests": 3}, kept, 20.0), 10, MODEL)[1] is None


def test_E94_tokens() -> None:
    held, error = take(load_buckets({"requests": 10, "tokens": 30000}, {}, 0.0), 29000, MODEL)
    assert error is None
    held, error = take(held, 3000, MODEL)
    assert error is not None and error.type == "tokens"
    assert "on tokens per min (TPM): Limit 30000, Used 29000, Requested 3000. Please try again in 4s." in error.message
    assert (
        held["requests"].remaining == 8 and held["tokens"].remaining == 1000
    )  # a refused request is one, but has no tokens
    assert take(load_buckets({"requests": 10, "tokens": 30000}, to_document(held), 4.0), 3000, MODEL)[1] is None


def test_the_wait_that_is_told_is_long_enough_and_no_longer() -> None:
    for capacity in (7, 13, 97, 30001):
        held, _ = take(load_buckets({"tokens": capacity}, {}, 0.0), capacity, MODEL)
        _, error = take(held, capacity // 3, MODEL)
        assert error is not None
        wait = int(error.headers["retry-after-ms"]) / 1000
        assert take(load_buckets({"tokens": capacity}, to_document(held), wait), capacity // 3, MODEL)[1] is None
        assert (
            take(load_buckets({"tokens": capacity}, to_document(held), wait - 0.002), capacity // 3, MODEL)[1]
            is not None
        )


def test_E95_a_single_request_that_is_too_large() -> None:
    held, error = take(load_buckets({"tokens": 100}, {}, 0.0), 101, MODEL)
    assert error is not None and held["tokens"].remaining == 100
    assert error.message == (
        "Request too large for gpt-4.1 in organization org-understudy on tokens per min (TPM): Limit 100, Requested "
        "101. The input or output tokens must be reduced in order to run successfully. "
        "Visit https://platform.openai.com/account/rate-limits to learn more."
    )


def test_W16_spans() -> None:
    assert [span(seconds) for seconds in (0.12, 1, 360, 86116.126, 0.3121, 20, 0)] == [
        "120ms",
        "1s",
        "6m0s",
        "23h55m16.126s",
        "312ms",
        "20s",
        "0s",
    ]


def test_tokens_are_reckoned_from_bytes_and_rounded_up() -> None:
    assert [tokens_of(size) for size in (0, 1, 4, 5)] == [0, 1, 1, 2]
    assert Bucket(10, 9.9999999, 0.0).remaining == 10
