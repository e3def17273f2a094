"""How fast a turn is delivered. This file imports nothing of the project, so that settings and core can share it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

# Beyond these a delivery would outlive every client, and `inf` or `nan` would never come due.
MAX_FIRST_TOKEN_S = 1e6
MAX_TOKENS_PER_S = 1e9


@dataclass(frozen=True, slots=True)
class Pacing:
    """How fast a turn is delivered: seconds to the first token, tokens per second (0 means as fast as possible).

    `instant` says that delivery takes no time at all; it is computed once, because every turn reads it.
    """

    first_token_s: float = 0.0
    tokens_per_s: float = 0.0
    instant: bool = field(init=False, compare=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "instant", not self.first_token_s and not self.tokens_per_s)


def parse_pacing(text: str) -> Pacing:
    """Parse `FIRST_TOKEN_S[:TOKENS_PER_S]`; raises ValueError."""
    first, _, rate = text.partition(":")
    return make_pacing((float(first), float(rate or 0)))


def make_pacing(value: float | Sequence[float] | Pacing) -> Pacing:
    """Build a pacing from seconds alone, or from a pair of seconds and tokens per second; raises ValueError."""
    if isinstance(value, Pacing):
        numbers = (value.first_token_s, value.tokens_per_s)
    else:
        numbers = tuple(value) if isinstance(value, list | tuple) else (value,)
    if not 1 <= len(numbers) <= 2 or any(type(number) not in (int, float) for number in numbers):
        raise ValueError(f"no pacing: {value!r}")
    pacing = Pacing(*map(float, numbers))
    # written so that `nan`, which compares false with everything, is refused
    if not (0 <= pacing.first_token_s < MAX_FIRST_TOKEN_S and 0 <= pacing.tokens_per_s < MAX_TOKENS_PER_S):
        raise ValueError(f"no pacing: {value!r}")
    return pacing
