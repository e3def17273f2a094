"""Rate limits as buckets that fill up by the clock: what a call takes, what is left, how long to wait.

How it works: a bucket holds what may be used in a minute and is refilled evenly. Its level is kept with the time of
that level, and `refill` computes the level of any later time; so nothing runs in the background, a frozen clock freezes
the buckets, and advancing it fills them.

What must stay true:
* A refused request takes a request, because failed ones count too, but no tokens. Spec: R13.6.
* The wait that is told is long enough: the same call, repeated after exactly that time on a manual clock, is taken.
  Waits are whole milliseconds, rounded up, because `retry-after-ms` is; `_ROUNDING` takes up what floats lose.
* Tokens are reckoned from the size of the body before anybody reads it. The service reckons them before the model runs
  as well, and the same bytes must always take the same. Spec: W16, E94, E95.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any, NamedTuple

from mockserver.wire.errors import api as errors
from mockserver.wire.errors import validation as validation_errors
from mockserver.wire.errors.api import APIError

MINUTE_S = 60.0
BYTES_PER_TOKEN = 4  # a request is reckoned before it is read
_ROUNDING = 1e-6  # far less than one request or millisecond, far more than the error of adding floats
UNITS = ("requests", "tokens")


class Bucket(NamedTuple):
    """What is left of `capacity` at a time (unix seconds)."""

    capacity: int
    level: float
    at: float

    def refill(self, now: float) -> Bucket:
        """The bucket as it is by now."""
        gained = max(0.0, now - self.at) * self.capacity / MINUTE_S
        return Bucket(self.capacity, min(float(self.capacity), self.level + gained), now)

    def without(self, amount: int) -> Bucket:
        """The bucket after so much was taken; it is never less than empty."""
        return self._replace(level=max(0.0, self.level - amount))

    def holds(self, amount: int) -> bool:
        """Whether so much is left."""
        return self.level + _ROUNDING >= amount

    def wait(self, amount: float) -> float:
        """Return how many seconds pass until so much is left, in whole milliseconds, rounded up."""
        seconds = max(0.0, amount - self.level) * MINUTE_S / self.capacity
        return ceil(seconds * 1000 - _ROUNDING) / 1000

    @property
    def remaining(self) -> int:
        """What is left, in whole units."""
        return int(self.level + _ROUNDING)


Buckets = Mapping[str, Bucket]  # by unit


def load_buckets(limits: Mapping[str, int], kept: Mapping[str, Any], now: float) -> dict[str, Bucket]:
    """The buckets of the given limits by now: new ones are full, `kept` is what `to_document` gave before."""
    found = {}
    for unit, capacity in limits.items():
        level, at = kept.get(unit, (float(capacity), now))
        found[unit] = Bucket(capacity, level, at).refill(now)
    return found


def to_document(buckets: Buckets) -> dict[str, list[float]]:
    """Return what is kept of buckets."""
    return {unit: [bucket.level, bucket.at] for unit, bucket in buckets.items()}


def tokens_of(size: int) -> int:
    """The tokens that a body of so many bytes is reckoned at."""
    return -(-size // BYTES_PER_TOKEN)


def take(buckets: Buckets, tokens: int, model: str) -> tuple[dict[str, Bucket], APIError | None]:
    """Take one request of so many tokens; returns the buckets after it, and the refusal if they don't hold it."""
    wanted = {"requests": 1, "tokens": tokens}
    lacking = next((unit for unit in UNITS if unit in buckets and not buckets[unit].holds(wanted[unit])), None)
    after = {
        unit: bucket if unit == "tokens" and lacking else bucket.without(wanted[unit])
        for unit, bucket in buckets.items()
    }
    # Requests are taken in any case, tokens only together with all else: what is refused was not worked on.
    if lacking is None:
        return after, None
    return after, _refusal(after[lacking], lacking, wanted[lacking], model)


def _refusal(bucket: Bucket, unit: str, wanted: int, model: str) -> APIError:
    if wanted > bucket.capacity:
        return validation_errors.request_too_large(model, limit=bucket.capacity, requested=wanted)
    wait = bucket.wait(wanted)  # after the refused request was taken: so long until the same call would pass
    used = bucket.capacity - bucket.remaining
    error = errors.rate_limit_exceeded(
        model, limit=bucket.capacity, used=used, requested=wanted, wait=span(wait), by=unit
    )
    error.headers = {"retry-after": str(ceil(wait)), "retry-after-ms": str(round(wait * 1000))}
    return error


def span(seconds: float) -> str:
    """A length of time as the service writes it, to the millisecond: 120ms, 1s, 6m0s, 23h55m16.126s."""
    milliseconds = round(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, rest = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1000:.3f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{hours}h{minutes}m{text}"
    return f"{minutes}m{text}" if minutes else text
