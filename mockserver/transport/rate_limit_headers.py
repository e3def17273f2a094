"""Rate-limit headers of every answer of the public API. Spec: W16, E94, E95.

Unless a fault limits the rate there are no buckets behind them: each answer says what a full bucket holds after this
one request, and when it is full again. So they are a function of the model and the size of the body, the same on every
run and in every process. A request is reckoned as four bytes to a token, as must who limits before reading.
"""

# How it works. The six headers of W16 are a function of the model's limits and the size of the request. Limits that a
# fault sets have real buckets, and their values stand in the place of these.
#
# What must stay true:
# * No state and no clock without a fault: the same request gets the same headers in any order, on any worker.
# * A 429 agrees with itself. Its sentence names the limit and the wait, so the headers are read from the sentence; for
#   a scripted sentence without figures they are the default limit and one second.
# * `retry-after` is in whole seconds (RFC 9110 §10.2.3), rounded up: a client that comes back early is refused again.
#   `retry-after-ms` is what OpenAI's clients look at first (Spec: C6).
# * Spans are written like the service's: `6ms`, `1s`, `6m0s`.

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from mockserver.faults.rate_limits import Bucket, span
from mockserver.wire.errors.api import APIError, MockError

Headers = tuple[tuple[bytes, bytes], ...]

BYTES_PER_TOKEN = 4
RETRY_AFTER_S = 1.0


class Limits(NamedTuple):
    """What a model may be asked for in a minute."""

    requests: int
    tokens: int


# By what a model's name ends in or contains, the first match counts; the figures are ours.
_LIMITS = (("-nano", Limits(30_000, 180_000_000)), ("-mini", Limits(30_000, 150_000_000)))
DEFAULT = Limits(10_000, 30_000_000)
_REACHED = re.compile(
    r"(?:Rate limit reached|Request too large) for .* on (tokens|requests) per min \(\w+\): Limit (\d{1,15})(?!\d)"
)
_WAIT = re.compile(r"Please try again in (\d+(?:\.\d+)?)(ms|s)\.")


def limits_of(model: str) -> Limits:
    """The limits of a model."""
    return next((limits for part, limits in _LIMITS if part in model), DEFAULT)


@lru_cache(maxsize=4096)
def of_request(model: str, size: int) -> Headers:
    """The headers of an answer to a body of so many bytes; `model` is empty where there is none."""
    limits, tokens = limits_of(model), max(1, size // BYTES_PER_TOKEN)
    left = Limits(limits.requests - 1, max(0, limits.tokens - tokens))
    return _headers(limits, left, 60 / limits.requests, 60 * tokens / limits.tokens)


def of_error(error: APIError | MockError, size: int) -> Headers:
    """The headers of a refusal; one for its rate says of the bucket in its message that nothing is left.

    What a script says in headers of its own stands; a `rate_limit_exceeded` says when to come back.
    """
    code = error.code if isinstance(error, APIError) else None
    if code != "rate_limit_exceeded":
        found = of_request("", size)
    else:
        wait = _wait(error.message)
        headers = *_empty_bucket_headers(error.message, wait, size), (b"retry-after", b"%d" % -(-wait // 1))
        found = *headers, (b"retry-after-ms", b"%d" % round(wait * 1000))
    # a name in both places would be sent twice, and clients join such values with a comma
    said = {name.lower().encode("latin-1") for name in error.headers}
    return tuple(header for header in found if header[0] not in said) if said else found


def with_buckets(headers: Headers, buckets: Iterable[Mapping[str, Bucket]]) -> Headers:
    """Headers that tell of buckets, where there are any; of two for the same unit the emptier one counts."""
    # the last value of a name stands
    emptiest_last = sorted((pair for held in buckets for pair in held.items()), key=lambda pair: -_share(pair[1]))
    told = {name: value for unit, bucket in emptiest_last for name, value in _of_bucket(unit, bucket)}
    return tuple((name, told.get(name, value)) for name, value in headers) if told else headers


def _share(bucket: Bucket) -> float:
    return bucket.level / bucket.capacity


def _of_bucket(unit: str, bucket: Bucket) -> Headers:
    values = {
        "limit": str(bucket.capacity),
        "remaining": str(bucket.remaining),
        "reset": span(bucket.wait(bucket.capacity)),
    }
    return tuple((f"x-ratelimit-{name}-{unit}".encode(), value.encode()) for name, value in values.items())


def _wait(message: str) -> float:
    match = _WAIT.search(message)
    return RETRY_AFTER_S if match is None else float(match[1]) / (1000 if match[2] == "ms" else 1)


def _empty_bucket_headers(message: str, wait: float, size: int) -> Headers:
    match = _REACHED.search(message)
    by, limit = (match[1], int(match[2])) if match else ("tokens", DEFAULT.tokens)
    tokens = max(1, size // BYTES_PER_TOKEN)
    if by == "requests":
        limits = DEFAULT._replace(requests=limit)
        return _headers(limits, Limits(0, limits.tokens - tokens), wait, 60 * tokens / limits.tokens)
    limits = DEFAULT._replace(tokens=limit)
    return _headers(limits, Limits(limits.requests - 1, 0), 60 / limits.requests, wait)


def _headers(limits: Limits, left: Limits, requests_s: float, tokens_s: float) -> Headers:
    values = {
        "limit-requests": limits.requests,
        "limit-tokens": limits.tokens,
        "remaining-requests": left.requests,
        "remaining-tokens": left.tokens,
        "reset-requests": span(requests_s),
        "reset-tokens": span(tokens_s),
    }
    return tuple((b"x-ratelimit-" + name.encode(), str(value).encode()) for name, value in values.items())
