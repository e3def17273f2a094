"""What the core needs to know besides state and request: lengths of time, the tokenizer, the key of sealed content."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Rules:
    """The parameters of the semantics.

    `count` and `pieces` are the tokenizer (text → number of tokens, text → its tokens as text); `key` signs encrypted
    content; `response_ttl_days` 0 means never (Spec: R1.2).
    """

    count: Callable[[str], int]
    pieces: Callable[[str], list[str]]
    key: bytes
    response_ttl_days: float = 30
    chain_onto: tuple[str, ...] = ("completed", "incomplete")
    conversation_write_on: tuple[str, ...] = ("completed", "incomplete")

    def expired(self, created_at: float, now: float) -> bool:
        """Whether a response of that age is gone: at 30 days to the second, and not by use. Spec: R1.2, R1.3."""
        return bool(self.response_ttl_days) and now >= created_at + self.response_ttl_days * DAY
