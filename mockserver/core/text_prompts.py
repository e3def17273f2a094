"""The prompt cache for prompts that go on with one text, as most do: the same as `prompt_cache`, in fewer steps.

Spec: T13, R8.8.
"""

# What must stay true: figures, trails and entries are those that `lookup` gives for the same prompt as an item;
# property tests compare both. What this file does not know of is looked up that way.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

from mockserver.core.cache_entries import CacheEntries, CacheScope
from mockserver.core.context_hash import extend_by_text, roll_text
from mockserver.core.prompt_cache import (
    BLOCK,
    MIN_TOKENS,
    OPENING,
    CacheLookup,
    block_ends_in_text,
    find_earlier,
    find_newest,
    is_whole,
    note_newest,
    priming_of,
    round_down,
    says_the_same,
    scope_of,
)
from mockserver.core.records import State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import ContextHash, Summary
from mockserver.wire.catalog import Model


class TextPrompts(NamedTuple):
    """What prompts of one shape have in common whose own items are one text of a user.

    Their scope in the cache, the tokens after their last item, how a text falls into tokens, and whether the model has
    exact boundaries.
    """

    scope: CacheScope
    priming: int
    pieces: Callable[[str], list[str]]
    exact: bool


def text_prompts(request: Mapping[str, Any], model: Model, rules: Semantics) -> TextPrompts:
    """What prompts have in common that only differ from this request's in their texts."""
    return TextPrompts(scope_of(request, model), priming_of(request, model, rules), rules.pieces, model.exact_cache)


def lookup_text(
    state: State,
    prompts: TextPrompts,
    before: Summary,
    asked: str,
    said: str,
    read: int,
    tokens: int,
    now: float,
    look_up: Callable[[], CacheLookup],
) -> CacheLookup:
    """Look up a user's text after a context, of which `read` tokens are read; the prompt has `tokens`.

    The trail is that after the answer, a text too. Where the context has no trail yet, as it was shorter, or has more
    than this knows of, `look_up` looks the ordinary way.
    """
    scope, priming, _, exact = prompts
    tally, trail = before.tally, before.trail
    if trail is None or tally is None or exact:
        return _add_answer(look_up(), said)
    reads, context, marks, lasting, _ = trail
    if reads or lasting is not None:
        return _add_answer(look_up(), said)
    records = CacheEntries(state, scope, now)
    end = roll_text(context, "user", asked)
    matched = find_newest(records, marks, priming)
    if not is_whole(records, matched, tokens):
        stop = tokens - priming
        start = stop - read + tally.total
        matched, newest = _go_on_with_text(records, prompts, trail, end, asked, start, stop, matched)
        trail = note_newest(trail, newest)
    kept = extend_by_text(trail, "assistant", said, end)
    return _new(CacheLookup, (round_down(matched, tokens), 0, records.changes(), kept))


def _add_answer(lookup: CacheLookup, said: str) -> CacheLookup:
    """The same with the trail after the answer."""
    trail = lookup.trail
    return lookup if trail is None else lookup._replace(trail=extend_by_text(trail, "assistant", said))


def _go_on_with_text(
    records: CacheEntries,
    prompts: TextPrompts,
    trail: ContextHash,
    end: str,
    asked: str,
    start: int,
    stop: int,
    matched: int,
) -> tuple[int, str | None]:
    """The same as `_go_on` says, of a prompt that ends in a text, from `start` to `stop`.

    `matched` is what the newest entry of the context says.
    """
    context, priming = trail.now, prompts.priming
    found, reached = records.find_first((end, context))
    if found == 0:  # the same prompt again
        return reached + priming, end
    newest: str | None
    if found == 1:  # no answer stands after it, which would begin as the priming did
        matched, newest = reached, _write_ends(records, ((end, stop),), reached, priming) or context
    else:
        matched = matched or find_earlier(records, trail.marks, priming)
        newest = _write_ends(records, ((context, start), (end, stop)), matched, priming)
    if stop // BLOCK > (start + OPENING) // BLOCK:
        matched = max(matched, _look_inside(records, prompts, context, asked, start, stop))
    return matched, newest


def _write_ends(records: CacheEntries, ends: Iterable[tuple[str, int]], matched: int, priming: int) -> str | None:
    """Write the entries of items that end at some lengths where `matched` tokens are known; returns the newest's hash.

    None for no entry.
    """
    covered, newest = matched if records.is_lasting else 0, None
    for hash, length in ends:
        if length + priming >= MIN_TOKENS and not says_the_same(covered, length + priming):
            records.write(hash, length)
            covered, newest = length, hash
    return newest


def _look_inside(records: CacheEntries, prompts: TextPrompts, context: str, asked: str, start: int, stop: int) -> int:
    """How far a text after a context is known by the blocks that end in it; writes the others."""
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": asked}]}
    inside = block_ends_in_text(item, context, start, stop, prompts.pieces)
    block, reached = records.find_last([hash for hash, _ in inside])
    for hash, length in inside[block + 1 :]:
        records.write(hash, length)
    return reached
