"""The compaction pass: the length of the hidden summary, and the place of its item in an output. Spec: R5.3, T10."""

# What must stay true:
# * A compaction item is opaque and has no text, so the length of its hidden summary is all that is made up: 64
#   tokens and a quarter of the context, at most 448, and up to 63 more from the turn's seed.
# * Cues of a reply are keyed by output index; an item that is put first moves them all by one.

from __future__ import annotations

from collections.abc import Callable, Sequence

from mockserver.model.prompt import Item, Reply
from mockserver.model.seeded_random import draw

_LEAST, _MOST, _SPREAD = 64, 448, 64
_QUARTER = 4


def summary_tokens(seed: str, input_tokens: int) -> int:
    """The length of a context's hidden summary in tokens: longer for longer contexts, always below 512."""
    return min(_LEAST + input_tokens // _QUARTER, _MOST) + draw(f"{seed}/summary", _SPREAD)


def compaction_item() -> Item:
    """A compaction item that is not sealed yet."""
    return {"type": "compaction"}


def _last(output: Sequence[Item]) -> tuple[Item, ...]:
    return (*output, compaction_item())


def _first(output: Sequence[Item]) -> tuple[Item, ...]:
    return (compaction_item(), *output)


# switch `compaction_shape` → an output with its compaction items
_SHAPES: dict[str, Callable[[Sequence[Item]], tuple[Item, ...]]] = {
    "last": _last,
    "first": _first,
    "first_and_last": lambda output: _last(_first(output)),
}


def compacting(reply: Reply, shape: str, tokens: int) -> Reply:
    """The reply of a turn that compacts; if it has compaction items already, or fails, its output stays."""
    if reply.failed is not None or any(item["type"] == "compaction" for item in reply.output):
        return reply._replace(summary_tokens=tokens)
    output = _SHAPES[shape](reply.output)
    offset = int(output[0]["type"] == "compaction")
    cues = {str(int(index) + offset): cue for index, cue in reply.cues.items()}
    return reply._replace(output=output, cues=cues, summary_tokens=tokens)
