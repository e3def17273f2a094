"""The prompt cache: how much of a prompt is known already, and what is kept of it. Spec: T13, R8.7, R8.8.

An entry is a `cache` record under a hash of what stands before the items (model, tools, instructions, …) and a rolling
hash of the items. A context remembers its own hash and where its last entries are, so a turn costs what its own items
cost. Prompts shorter than `MIN_TOKENS` tokens do nothing of this.
"""

# How it works. A prompt is its head (all that stands before the items) and its items. The items are hashed on and
# on, item by item, and the hash after an item is a place where an entry may end. To look a prompt up, the places
# are tried from the last to the first; the first that has an entry says how many tokens are known. Whatever then
# lies after it is written as new entries.
#
# Two kinds of models (T13): before gpt-5.6 what is cached is rounded down to 128 tokens, so entries also end
# inside long texts, at every multiple of 128, and of the ends of items in one block only the first has one, which may
# be an earlier turn's as long as it lives as long; from
# gpt-5.6 on an entry ends where a prompt ended, three tokens before its end, or where the caller put a breakpoint,
# and the figure is exact. From gpt-6.2 on the instructions come after the items (R1.47): they are part of no head and
# of no entry, so other ones find the same entries.
#
# What must stay true:
# * Reading must not depend on how the prompt was sent: chained, in a conversation or replayed whole, the same
#   hashes come out, for ids and statuses are not hashed (context_hash.py).
# * Prompts shorter than 1024 tokens are not cached by the service, and cost nothing here either.
# * A context remembers its own hash and its last three entries, so no turn reads its ancestors. More than a few
#   would make every stored node longer.
# * A turn that fails learns nothing: entries are handed over as changes and written with the turn, or not at all.

from __future__ import annotations

from collections.abc import Callable, Mapping
from hashlib import blake2b
from operator import itemgetter
from typing import Any, NamedTuple

from mockserver.core.admission import Admission
from mockserver.core.cache_entries import CacheEntries, CacheScope
from mockserver.core.context_hash import (
    CONTENT,
    extend,
    extend_all,
    only_text,
    opening,
    render_item,
    roll,
)
from mockserver.core.prompt_head import head_of
from mockserver.core.records import Change, State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import ContextHash, Item, Mark, items_up_to
from mockserver.wire.catalog import Model
from mockserver.wire.tokens import context as context_tokens

MIN_TOKENS = 1024  # tokens of a prompt that is cached at all
BLOCK = 128  # what models without exact boundaries round down to
END_MARK = 1  # the token after the content of an item
TRAILER_TOKENS = 3  # tokens after the last content of a prompt: its end mark and the priming of the answer
OPENING = 3  # tokens before the text of a message
_MARKS = 3  # so many entries of earlier turns does a context remember

# How long an entry lives, in seconds: since its last use, since it was written.
_TTL = {"30m": (1800.0, float("inf")), "12h": (43_200.0, float("inf"))}
_RETENTION = {"in_memory": (600.0, 3600.0), "24h": (86_400.0, 86_400.0)}


class CacheLookup(NamedTuple):
    """What the cache knows of a prompt and learns from it, in tokens; what is written; the prompt's trail, if any."""

    cached: int = 0
    written: int = 0
    changes: tuple[Change, ...] = ()
    trail: ContextHash | None = None


NOTHING = CacheLookup()


def lookup(state: State, admission: Admission, rules: Semantics, now: float) -> CacheLookup:
    """Look up the prompt of a request; nothing is written yet."""
    if admission.input_tokens < MIN_TOKENS or admission.overflow:
        return NOTHING
    prompt = _prompt(state, admission, rules)
    records = CacheEntries(state, scope_of(prompt.request, prompt.model), now)
    if prompt.model.exact_cache:
        return _exact(prompt, records)
    return _lookup_blocks(prompt, records, _boundaries(prompt))


# --- The prompt and the places where an entry may end ----------------------------------------------------------------


class _Prompt(NamedTuple):
    """A request's prompt: `items` after a context of cost `tally` whose `trail` is known; `end` is the cost of both.

    `last_user` is the position of the last user message among the items, -1 for none; `remembered` says whether the
    next turn will see this context; `priming` are the tokens after the last item: the beginning of the answer, and the
    instructions where they come last (Spec: R1.47).
    """

    request: Mapping[str, Any]
    model: Model
    rules: Semantics
    hidden: context_tokens.Hidden
    tokens: int
    items: list[Item]
    trail: ContextHash
    tally: context_tokens.Tally
    end: context_tokens.Tally
    last_user: int
    remembered: bool
    priming: int

    @property
    def origin(self) -> int:
        """The tokens before the first item of the context."""
        return self.tokens - self.priming - self.position(self.end, len(self.items))

    @property
    def content_end(self) -> int:
        """The tokens up to the end of the last content: what an implicit entry of an exact cache covers. Spec: T13."""
        return self.tokens - self.priming - END_MARK

    def position(self, tally: context_tokens.Tally, at: int) -> int:
        """Return how far into the context a tally reaches whose last item is the own item `at`. Spec: T9."""
        if not self.model.reasoning:
            return tally.total
        if self.trail.reads == "all_turns":
            return tally.total + tally.reasoning_now + tally.reasoning_before
        return tally.total + (tally.reasoning_now if at >= self.last_user else 0)

    def extend(self, tally: context_tokens.Tally, items: list[Item]) -> context_tokens.Tally:
        """A tally with more items."""
        return context_tokens.add(tally, items, self.model, self.rules.count, self.hidden)


class _Breakpoint(NamedTuple):
    """A place in a prompt: after the own item `at` or after `part` of its parts.

    `at` is -1 where the own items begin, and -2 for an entry before that, which is `tokens` into the context. `lasts`
    says that the next user message leaves the prompt up to here as it is; `asked` that the caller wants an entry here.
    """

    hash: str
    at: int
    lasts: bool = True
    asked: bool = False
    part: int | None = None
    tokens: int = 0


def _prompt(state: State, admission: Admission, rules: Semantics) -> _Prompt:
    request, model, items = admission.request, admission.model, admission.items
    hidden = admission.opened.token_counter(rules.hidden_counter(state))
    reads = context_tokens.reasoning_read(request, model) if model.reasoning else ""
    trail, tally, end = admission.before.trail, admission.before.tally or context_tokens.Tally(), admission.tally
    if admission.dropped or admission.restart is not None:  # another prompt than its context's: nothing is known of it
        items, trail, tally = list(admission.newest_first(state))[::-1], ContextHash(reads), context_tokens.Tally()
        end = context_tokens.add(tally, items, model, rules.count, hidden)
    elif trail is None or trail.reads != reads:
        trail = extend_all(ContextHash(reads), items_up_to(state, admission.lineage.head))
    last_user = len(items) - 1
    while last_user >= 0 and items[last_user].get("role") != "user":
        last_user -= 1
    tokens, remembered = admission.input_tokens, not admission.dropped
    priming = priming_of(request, model, rules)
    return _new(
        _Prompt, (request, model, rules, hidden, tokens, items, trail, tally, end, last_user, remembered, priming)
    )


def priming_of(request: Mapping[str, Any], model: Model, rules: Semantics) -> int:
    """The tokens after the last item of a prompt."""
    priming = context_tokens.PRIMING[model.family]
    if model.instructions_last:
        priming += context_tokens.instructions_tokens(request, rules.count)
    return priming


def _places(prompt: _Prompt) -> tuple[list[_Breakpoint], ContextHash]:
    """The places of a prompt, first to last, and the trail at its end."""
    trail, last_user = prompt.trail, prompt.last_user
    outlasts = last_user >= 0 and trail.lasting is not None
    known = trail.lasting_marks if outlasts else trail.marks
    places = [_Breakpoint(hash, -2, True, tokens > 0, None, tokens) for hash, tokens in known]
    places.append(
        _Breakpoint(trail.after_next_user_message if outlasts else trail.now, -1, outlasts or trail.lasting is None)
    )
    for at, item in enumerate(prompt.items):
        before = trail.after_next_user_message if at <= last_user else trail.now
        parts, marked = _breakpoint_parts(item) if prompt.model.exact_cache else ([], [])
        for number in marked:
            if number < len(parts):
                hash = roll(before, render_item(item, number))
                places.append(_Breakpoint(hash, at, at <= last_user or trail.lasting is None, True, number))
        trail = extend(trail, item)
        hash = trail.after_next_user_message if at < last_user else trail.now
        lasts = at < last_user or trail.lasting is None
        places.append(_Breakpoint(hash, at, lasts, bool(marked) and marked[-1] == len(parts)))
    return places, trail


def _breakpoint_parts(item: Item) -> tuple[list[Any], list[int]]:
    """An item's parts, and the numbers (from 1) of those after which the caller asked for an entry."""
    parts = item.get(CONTENT.get(item["type"], ""))
    if not isinstance(parts, list):
        return [], []
    return parts, [number for number, part in enumerate(parts, 1) if part.get("prompt_cache_breakpoint")]


def _final_hash(trail: ContextHash, entries: list[Mark], lasting: list[Mark]) -> ContextHash:
    """The trail at a prompt's end, with its own entries added, and those that last beyond a user message."""
    kept = trail.lasting_marks if trail.lasting is None else _newest(trail.lasting_marks, lasting)
    return trail._replace(marks=_newest(trail.marks, entries), lasting_marks=kept)


def _newest(marks: list[Mark], more: list[Mark]) -> list[Mark]:
    again = dict(more)
    return [*[mark for mark in marks if mark[0] not in again], *more][-_MARKS:]


def scope_of(request: Mapping[str, Any], model: Model) -> CacheScope:
    """The scope of a request's prompt."""
    if model.exact_cache:
        life = _TTL[(request.get("prompt_cache_options") or {}).get("ttl") or "30m"]
    else:
        life = _RETENTION[request.get("prompt_cache_retention") or model.prompt_cache_retention or "in_memory"]
    return CacheScope(head_of(request, model), life)


# --- Models with exact boundaries: an entry ends where a prompt ended, or where the caller asked for it --------------


def _exact(prompt: _Prompt, records: CacheEntries) -> CacheLookup:
    places, trail = _places(prompt)
    found, reached = records.find_last([place.hash for place in places])
    cached = min(reached, prompt.content_end)
    mode = (prompt.request.get("prompt_cache_options") or {}).get("mode")
    lengths = _breakpoint_lengths(prompt, places)
    if mode != "explicit":
        lengths[len(places) - 1] = prompt.content_end
    written = 0
    for number, length in lengths.items():
        if number > found and length + TRAILER_TOKENS >= MIN_TOKENS:
            records.write(places[number].hash, length)
            written = max(written, length - cached)
    entries, lasting = [], []
    for number, place in enumerate(places):
        if number in lengths and place.at >= -1:
            entries.append((place.hash, lengths[number] - prompt.origin if place.asked else 0))
            lasting += entries[-1:] if place.lasts else []
    remembered = _final_hash(trail, entries, lasting) if prompt.remembered else None
    return CacheLookup(cached, written, records.changes(), remembered)


def _breakpoint_lengths(prompt: _Prompt, places: list[_Breakpoint]) -> dict[int, int]:
    """The number of each place where the caller asked for an entry, and how far into the prompt it is."""
    asked = [(number, place) for number, place in enumerate(places) if place.asked]
    last = max((place.at for _, place in asked), default=-1)
    ends, tally = [], prompt.tally
    for at, item in enumerate(prompt.items[: last + 1]):
        tally = prompt.extend(tally, [item])
        ends.append(prompt.origin + prompt.position(tally, at))
    return {
        number: prompt.origin + place.tokens if place.at < 0 else ends[place.at] - _tokens_after(prompt, place)
        for number, place in asked
    }


def _tokens_after(prompt: _Prompt, place: _Breakpoint) -> int:
    """The tokens of an item after a place in its content: those of later parts, and the item's end mark."""
    if place.part is None:
        return END_MARK
    item = prompt.items[place.at]
    parts, count = item[CONTENT[item["type"]]], prompt.rules.count
    whole, first = (context_tokens.content_tokens(some, prompt.model, count) for some in (parts, parts[: place.part]))
    return whole - first + END_MARK


# --- Models that round: whatever two prompts have in common counts, in blocks ----------------------------------------


def _lookup_blocks(prompt: _Prompt, records: CacheEntries, boundaries: _Boundaries) -> CacheLookup:
    hashes, marks, trail = boundaries
    newest: str | None = None
    matched = find_newest(records, marks, prompt.priming)
    if not is_whole(records, matched, prompt.tokens):
        found, reached = records.find_last(hashes)
        if found == len(prompt.items):  # the same prompt again
            matched, newest = reached + prompt.priming, hashes[-1]
        else:
            matched, newest = _go_on(prompt, records, hashes, marks, found, reached)
    kept = note_newest(trail, newest) if prompt.remembered else None
    return _new(CacheLookup, (round_down(matched, prompt.tokens), 0, records.changes(), kept))


def find_newest(records: CacheEntries, marks: list[Mark], priming: int) -> int:
    """How far a prompt is known by the newest entry of its context, after which an answer stands; 0 for none."""
    reached = records.find(marks[-1][0]) if marks else 0
    return reached and reached + priming


def find_earlier(records: CacheEntries, marks: list[Mark], priming: int) -> int:
    """The same by the newest that there still is."""
    _, reached = records.find_first(map(_HASH, reversed(marks)))
    return reached and reached + priming


_HASH: Callable[[Mark], str] = itemgetter(0)


def is_whole(records: CacheEntries, matched: int, tokens: int) -> bool:
    """Whether the entry that was found last says all that could be known of a prompt, as it does of most short turns.

    Then nothing else is to be looked for, and nothing written.
    """
    return records.is_lasting and says_the_same(matched, tokens)


def _go_on(
    prompt: _Prompt, records: CacheEntries, hashes: list[str], marks: list[Mark], found: int, reached: int
) -> tuple[int, str | None]:
    """What is known of a prompt that is new, but for the boundary `found` (-1 for none), which has an entry.

    With it comes the hash of the newest entry, None where that is of an earlier turn.
    """
    newest: str | None = None
    if found >= 0:
        matched, newest = reached + prompt.priming if _collect(prompt, found) else reached, hashes[found]
    else:
        matched = find_earlier(records, marks, prompt.priming)
    covered, looking = matched if records.is_lasting else 0, True
    for number, start, end in _spans(prompt, found, reached):
        if end + prompt.priming < MIN_TOKENS:
            continue
        inside: list[tuple[str, int]] = []
        if number:
            inside = block_ends_in_text(prompt.items[number - 1], hashes[number - 1], start, end, prompt.rules.pieces)
        if looking and inside:
            block, reached = records.find_last([hash for hash, _ in inside])
            matched, inside = max(matched, reached), inside[block + 1 :]
        looking = looking and not inside
        for hash, length in inside:
            records.write(hash, length)
        if not says_the_same(covered, end + prompt.priming):
            records.write(hashes[number], end)
            covered, newest = end, hashes[number]
    return matched, newest


def says_the_same(covered: int, end: int) -> bool:
    """Whether an entry at `end` says no more than that which covers so much, and which all find who would find this.

    Both are rounded down to the same block. A prompt of 20,000 short items has a thousand entries for it, not 20,000.
    """
    return covered // BLOCK == end // BLOCK


def round_down(matched: int, tokens: int) -> int:
    """The tokens that count as cached, of those that are known of a prompt."""
    cached = min(matched, tokens) // BLOCK * BLOCK
    return cached if cached >= MIN_TOKENS else 0


def note_newest(trail: ContextHash, newest: str | None) -> ContextHash:
    """The trail at a prompt's end that remembers its newest entry; None where it does already."""
    if newest is None:
        return trail
    reads, now, marks, lasting, lasting_marks = trail
    if newest in dict(marks):
        marks = [mark for mark in marks if mark[0] != newest]
    marks = [*marks, (newest, 0)][-_MARKS:]
    return _new(ContextHash, (reads, now, marks, lasting, lasting_marks))


_Boundaries = tuple[list[str], list[Mark], ContextHash]


def _boundaries(prompt: _Prompt) -> _Boundaries:
    """The hashes after the context and each own item, the entries known before, and the trail at the end."""
    trail, last_user = prompt.trail, prompt.last_user
    outlasts = last_user >= 0 and trail.lasting is not None
    marks = trail.lasting_marks if outlasts else trail.marks
    hashes = [trail.after_next_user_message if outlasts else trail.now]
    for at, item in enumerate(prompt.items):
        trail = extend(trail, item)
        hashes.append(trail.after_next_user_message if at < last_user else trail.now)
    return hashes, marks, trail


def _collect(prompt: _Prompt, boundary: int) -> bool:
    """Whether an answer follows a boundary, which begins as the priming of the prompt that ended there did."""
    item = prompt.items[boundary]
    return item.get("role") == "assistant" or item["type"] == "reasoning" or item["type"].endswith("_call")


def _spans(prompt: _Prompt, found: int, reached: int) -> list[tuple[int, int, int]]:
    """Each boundary after the one that was found, with where the item before it starts and ends."""
    tally, last = prompt.tally, len(prompt.items)
    origin, spans = prompt.origin, []
    if found > 0:
        end = reached
        if found < last - 1:  # names and states only: what lies before is known by its length
            tally = context_tokens.add(tally, prompt.items[:found], prompt.model, lambda text: 0)
            origin = reached - prompt.position(tally, found - 1)
    else:
        end = origin + prompt.position(tally, -1)
        if found < 0:
            spans.append((0, end, end))
    for number in range(max(found, 0) + 1, last + 1):
        start = end
        if number < last:
            tally = prompt.extend(tally, [prompt.items[number - 1]])
            end = origin + prompt.position(tally, number - 1)
        else:
            end = prompt.tokens - prompt.priming
        spans.append((number, start, end))
    return spans


def block_ends_in_text(
    item: Item, before: str, start: int, end: int, pieces_of: Callable[[str], list[str]]
) -> list[tuple[str, int]]:
    """The hash and the end of each whole block that ends inside the text of an item."""
    text_start = start + OPENING
    text = only_text(item) if end // BLOCK > text_start // BLOCK else None
    if text is None:
        return []
    pieces = pieces_of(text)
    hasher = blake2b(before.encode() + opening(item), digest_size=16, person=b"inside")
    blocks, done = [], 0
    for length in range(text_start // BLOCK * BLOCK + BLOCK, end, BLOCK):
        upto = length - text_start
        if upto > len(pieces):
            break
        hasher.update("".join(pieces[done:upto]).encode())
        done = upto
        if length >= MIN_TOKENS:
            blocks.append((hasher.hexdigest(), length))
    return blocks
