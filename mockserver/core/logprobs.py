"""Log probabilities of a turn's texts: made up where no script gives them, rounded in items. Spec: S6.1, W7."""

# The service shows one figure in two precisions (recorded 2026-04): events have all digits
# (-0.00007493430894101039), items six decimals (-7.5e-05). An item is kept as it is shown, and events are made from
# items; so the digits that rounding takes away are kept beside the item, as a cue of its stream.

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

from mockserver.core.state import Item

Logprob = dict[str, Any]
_DECIMALS = 6


def with_logprobs(item: Item, top: int, pieces: Callable[[str], list[str]]) -> Item:
    """A message with a log probability for each token; those that it has already stay."""
    return {**item, "content": [_part_with_logprobs(part, top, pieces) for part in item["content"]]}


def _part_with_logprobs(part: dict[str, Any], top: int, pieces: Callable[[str], list[str]]) -> dict[str, Any]:
    if part["type"] != "output_text" or part["logprobs"]:
        return part
    return {**part, "logprobs": [_make_logprob(piece, top) for piece in pieces(part["text"])]}


def _make_logprob(token: str, top: int) -> Logprob:
    """One token's log probability: made up, but always the same for the same token."""
    drawn = blake2b(token.encode(), digest_size=2).digest()
    likely = -(int.from_bytes(drawn) + 1) / 65536
    one, *others = [_candidate(token + "'" * k, likely - k) for k in range(max(top, 1))]
    return {**one, "top_logprobs": [one, *others][:top]}


def _candidate(token: str, likely: float) -> Logprob:
    return {"bytes": list(token.encode()), "logprob": likely, "token": token}


def precise_logprobs(item: Item) -> list[list[Logprob]]:
    """A message's log probabilities by part, as its events show them."""
    return [part.get("logprobs") or [] for part in item["content"]]


def round_logprobs(item: Item) -> Item:
    """A message as items show it: six decimals."""
    return {
        **item,
        "content": [
            {**part, "logprobs": [_round(one) for one in part["logprobs"]]} if part.get("logprobs") else part
            for part in item["content"]
        ],
    }


def _round(logprob: Mapping[str, Any]) -> Logprob:
    rounded = dict(logprob)
    if isinstance(rounded.get("logprob"), float):
        rounded["logprob"] = round(rounded["logprob"], _DECIMALS)
    if rounded.get("top_logprobs"):
        rounded["top_logprobs"] = [_round(one) for one in rounded["top_logprobs"]]
    return rounded
