"""The prompt cache: how much of a prompt is known already, and what is kept of it. Spec: T13, R8.7, R8.8.

An entry is a `cache` record under a hash of what stands before the items (model, tools, instructions, …) and a rolling
hash of the items. A context remembers its own hash and where its last entries are, so a turn costs what its own items
cost. Prompts shorter than `LEAST` tokens do nothing of this.
"""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any, NamedTuple

import orjson

from mockserver.core.admission import Admission
from mockserver.core.context import hidden_tokens
from mockserver.core.rules import DAY, Rules
from mockserver.core.state import Change, Delete, Item, Mark, Put, State, Trail, items_up_to
from mockserver.core.trail import CONTENT, extended, follow, only_text, opening, reading, rolled
from mockserver.wire import render
from mockserver.wire.catalog import Model
from mockserver.wire.encoding import json_compact, stored_json

LEAST = 1024  # tokens of a prompt that is cached at all
BLOCK = 128  # what models without exact boundaries round down to
TAIL = 3  # tokens behind the last content of a prompt: its end mark and the priming of the answer
OPENING = 3  # tokens before the text of a message
_MARKS = 3  # so many entries of earlier turns does a context remember
_SWEEPS = "0"  # an entry whose key begins so, one in sixteen, sweeps expired ones away when it is written
_SWEPT = 128  # so many at most
_REFRESHED = 1.0  # seconds that a use must add to an entry's life to be noted

# How long an entry lives, in seconds: since its last use, since it was written.
_TTL = {"30m": (1800.0, float("inf")), "12h": (43_200.0, float("inf"))}
_RETENTION = {"in_memory": (600.0, 3600.0), "24h": (float(DAY), float(DAY))}


class Recall(NamedTuple):
    """What the cache knows of a prompt and learns from it, in tokens; what is written; the prompt's trail, if any."""

    cached: int = 0
    written: int = 0
    changes: tuple[Change, ...] = ()
    trail: Trail | None = None


NOTHING = Recall()


def recall(state: State, admission: Admission, rules: Rules, now: float) -> Recall:
    """Look up the prompt of a request; nothing is written yet."""
    if admission.input_tokens < LEAST or admission.overflow:
        return NOTHING
    prompt = _prompt(state, admission, rules)
    records = _Records(state, prompt, now)
    return _exact(prompt, records) if prompt.model.exact_cache else _rounded(prompt, records)


def head_of(request: Mapping[str, Any], model: Model) -> bytes:
    """Return the hash of what a prompt begins with, and of whose entries it may use. Spec: R8.8."""
    text, reasoning = request.get("text") or {}, request.get("reasoning") or {}
    text_format = text.get("format") or {"type": "text"}
    read = [
        model.id,
        request.get("prompt_cache_key"),
        request.get("instructions"),
        request.get("tools") or [],
        request.get("parallel_tool_calls") is False,
        None if text_format["type"] == "text" else text_format,
        text.get("verbosity") or "medium",
        reasoning.get("effort") or model.default_effort,
        request.get("context_management"),
    ]
    return blake2b(json_compact(read), digest_size=16).digest()


# --- The prompt and the places where an entry may end ----------------------------------------------------------------


class _Prompt(NamedTuple):
    """A request's prompt: `items` behind a context of cost `tally` whose `trail` is known; `end` is the cost of both.

    `last_user` is the position of the last user message among the items, -1 for none; `remembered` says whether the
    next turn will see this context.
    """

    request: Mapping[str, Any]
    model: Model
    rules: Rules
    tokens: int
    items: list[Item]
    trail: Trail
    tally: render.Tally
    end: render.Tally
    last_user: int
    remembered: bool

    @property
    def priming(self) -> int:
        """The tokens behind the last item."""
        return render.PRIMING[self.model.family]

    @property
    def origin(self) -> int:
        """The tokens before the first item of the context."""
        return self.tokens - self.priming - self.position(self.end, len(self.items))

    def position(self, tally: render.Tally, at: int) -> int:
        """Return how far into the context a tally reaches whose last item is the own item `at`. Spec: T9."""
        if not self.model.reasoning:
            return tally.total
        if self.trail.reads == "all_turns":
            return tally.total + tally.reasoning_now + tally.reasoning_before
        return tally.total + (tally.reasoning_now if at >= self.last_user else 0)

    def grown(self, tally: render.Tally, items: list[Item]) -> render.Tally:
        """Return a tally with more items."""
        return render.add(tally, items, self.model, self.rules.count, hidden_tokens(self.rules))


class _Place(NamedTuple):
    """A place in a prompt: behind the own item `at` or behind `part` of its parts.

    `at` is -1 where the own items begin, and -2 for an entry before that, which is `tokens` into the context. `lasts`
    says that the next user message leaves the prompt up to here as it is; `asked` that the caller wants an entry here.
    """

    hash: str
    at: int
    lasts: bool = True
    asked: bool = False
    part: int | None = None
    tokens: int = 0


def _prompt(state: State, admission: Admission, rules: Rules) -> _Prompt:
    request, model, items = admission.request, admission.model, admission.items
    reads = render.reasoning_read(request, model)
    trail, tally, end = admission.before.trail, admission.before.tally or render.Tally(), admission.tally
    if admission.dropped:  # with items gone it is another prompt than its context's, of which nothing is known
        items, trail, tally = list(admission.newest_first(state))[::-1], Trail(reads), render.Tally()
        end = render.add(tally, items, model, rules.count, hidden_tokens(rules))
    elif trail is None or trail.reads != reads:
        trail = extended(Trail(reads), items_up_to(state, admission.lineage.head))
    last_user = max((at for at, item in enumerate(items) if item.get("role") == "user"), default=-1)
    tokens, remembered = admission.input_tokens, not admission.dropped
    return _Prompt(request, model, rules, tokens, items, trail.copy(), tally, end, last_user, remembered)


def _places(prompt: _Prompt) -> list[_Place]:
    """Return the places of a prompt, first to last; its trail is then at its end."""
    trail, last_user = prompt.trail, prompt.last_user
    outlasts = last_user >= 0 and trail.lasting is not None
    known = trail.lasting_marks if outlasts else trail.marks
    places = [_Place(hash, -2, True, tokens > 0, None, tokens) for hash, tokens in known]
    places.append(_Place(trail.standing if outlasts else trail.now, -1, outlasts or trail.lasting is None))
    for at, item in enumerate(prompt.items):
        before = trail.standing if at <= last_user else trail.now
        parts, marked = _marked(item) if prompt.model.exact_cache else ([], [])
        for number in marked:
            if number < len(parts):
                hash = rolled(before, reading(item, number))
                places.append(_Place(hash, at, at <= last_user or trail.lasting is None, True, number))
        follow(trail, item)
        hash = trail.standing if at < last_user else trail.now
        lasts = at < last_user or trail.lasting is None
        places.append(_Place(hash, at, lasts, bool(marked) and marked[-1] == len(parts)))
    return places


def _marked(item: Item) -> tuple[list[Any], list[int]]:
    """Return an item's parts, and the numbers (from 1) of those behind which the caller asked for an entry."""
    parts = item.get(CONTENT.get(item["type"], ""))
    if not isinstance(parts, list):
        return [], []
    return parts, [number for number, part in enumerate(parts, 1) if part.get("prompt_cache_breakpoint")]


def _remembered(prompt: _Prompt, entries: list[tuple[_Place, int]]) -> Trail | None:
    """Return the trail at a prompt's end, with the places of its own entries (and their tokens) added."""
    if not prompt.remembered:
        return None
    trail = prompt.trail
    trail.marks = _newest(trail.marks, [(place.hash, tokens) for place, tokens in entries])
    if trail.lasting is not None:
        lasting = [(place.hash, tokens) for place, tokens in entries if place.lasts]
        trail.lasting_marks = _newest(trail.lasting_marks, lasting)
    return trail


def _newest(marks: list[Mark], more: list[Mark]) -> list[Mark]:
    again = {hash for hash, _ in more}
    return [*[mark for mark in marks if mark[0] not in again], *more][-_MARKS:]


# --- The entries ---------------------------------------------------------------------------------------------------


class _Entry(NamedTuple):
    """What is kept under a key: how far into the prompt it reaches in tokens, and times in unix seconds."""

    length: int
    written_at: float
    expires_at: float


class _Records:
    """The entries that a prompt may use, and what becomes of them."""

    def __init__(self, state: State, prompt: _Prompt, now: float) -> None:
        request, model = prompt.request, prompt.model
        self._state, self._now = state, now
        self._head = head_of(request, model)
        self._puts: dict[str, Put] = {}
        self._stale: set[str] = set()
        if model.exact_cache:
            self._life = _TTL[(request.get("prompt_cache_options") or {}).get("ttl") or "30m"]
        else:
            self._life = _RETENTION[
                request.get("prompt_cache_retention") or model.prompt_cache_retention or "in_memory"
            ]

    def _key(self, hash: str) -> str:
        return blake2b(self._head + hash.encode(), digest_size=16).hexdigest()

    def find(self, hash: str) -> int | None:
        """Return how far the entry under a hash reaches, None when there is none; being found prolongs its life."""
        key = self._key(hash)
        doc = self._state.get("cache", key)
        if doc is None:
            return None
        entry = _Entry(*orjson.loads(doc))
        if self._now >= entry.expires_at:
            self._stale.add(key)
            return None
        idle, longest = self._life
        expires_at = max(entry.expires_at, min(self._now + idle, entry.written_at + longest))
        if expires_at >= entry.expires_at + _REFRESHED:
            self._put(key, entry._replace(expires_at=expires_at))
        return entry.length

    def last(self, hashes: list[str]) -> tuple[int, int]:
        """Return the number of the last hash that has an entry, and how far that reaches; -1 and 0 for none."""
        for number in range(len(hashes) - 1, -1, -1):
            length = self.find(hashes[number])
            if length is not None:
                return number, length
        return -1, 0

    def write(self, hash: str, length: int) -> None:
        """Keep that a prompt is known up to a hash, `length` tokens."""
        self._put(self._key(hash), _Entry(length, self._now, self._now + self._life[0]))

    def _put(self, key: str, entry: _Entry) -> None:
        self._puts[key] = Put("cache", key, stored_json(list(entry)), "", int(entry.expires_at))

    def changes(self) -> tuple[Change, ...]:
        """Return what is to be written; some who write sweep away what has expired."""
        gone = set(self._stale)
        if any(key[0] == _SWEEPS for key in self._puts) and self._expired(1):
            gone.update(self._expired(_SWEPT))
        deletes = [Delete("cache", key) for key in sorted(gone - self._puts.keys())]
        return (*deletes, *self._puts.values())

    def _expired(self, most: int) -> list[str]:
        return [record.id for record in self._state.scan("cache", limit=most) if record.order < int(self._now)]


# --- Models with exact boundaries: an entry ends where a prompt ended, or where the caller asked for it --------------


def _exact(prompt: _Prompt, records: _Records) -> Recall:
    places = _places(prompt)
    found, reached = records.last([place.hash for place in places])
    cached = min(reached, prompt.tokens - TAIL)
    mode = (prompt.request.get("prompt_cache_options") or {}).get("mode")
    lengths = _asked_lengths(prompt, places)
    if mode != "explicit":
        lengths[len(places) - 1] = prompt.tokens - TAIL
    written = 0
    for number, length in lengths.items():
        if number > found and length + TAIL >= LEAST:
            records.write(places[number].hash, length)
            written = max(written, length - cached)
    own = [
        (place, lengths[number] - prompt.origin if place.asked else 0)
        for number, place in enumerate(places)
        if number in lengths and place.at >= -1
    ]
    return Recall(cached, written, records.changes(), _remembered(prompt, own))


def _asked_lengths(prompt: _Prompt, places: list[_Place]) -> dict[int, int]:
    """Return the number of each place where the caller asked for an entry, and how far into the prompt it is."""
    asked = [(number, place) for number, place in enumerate(places) if place.asked]
    last = max((place.at for _, place in asked), default=-1)
    ends, tally = [], prompt.tally
    for at, item in enumerate(prompt.items[: last + 1]):
        tally = prompt.grown(tally, [item])
        ends.append(prompt.origin + prompt.position(tally, at))
    return {
        number: prompt.origin + place.tokens if place.at < 0 else ends[place.at] - _behind(prompt, place)
        for number, place in asked
    }


def _behind(prompt: _Prompt, place: _Place) -> int:
    """Return the tokens of an item behind a place in its content: those of later parts, and the item's end mark."""
    if place.part is None:
        return 1
    item = prompt.items[place.at]
    parts, count = item[CONTENT[item["type"]]], prompt.rules.count
    whole, first = (render.content_tokens(some, prompt.model, count) for some in (parts, parts[: place.part]))
    return whole - first + 1


# --- Models that round: whatever two prompts have in common counts, in blocks ----------------------------------------


def _rounded(prompt: _Prompt, records: _Records) -> Recall:
    places = _places(prompt)
    found, reached = records.last([place.hash for place in places])
    matched = reached + prompt.priming if found >= 0 and _answered(prompt, places[found]) else reached
    looking = found < 0 or places[found].at >= -1
    for number, (start, end) in _spans(prompt, places, found, reached):
        place = places[number]
        if end + prompt.priming < LEAST:
            continue
        inside = [] if place.at < 0 else _inside(prompt, places[number - 1].hash, place.at, start, end)
        if looking and inside:
            block, reached = records.last([hash for hash, _ in inside])
            matched, inside = max(matched, reached), inside[block + 1 :]
        looking = looking and place.at < 0
        for hash, length in [*inside, (place.hash, end)]:
            records.write(hash, length)
    cached = min(matched, prompt.tokens) // BLOCK * BLOCK
    end_place = [(places[-1], 0)]
    return Recall(cached if cached >= LEAST else 0, 0, records.changes(), _remembered(prompt, end_place))


def _answered(prompt: _Prompt, place: _Place) -> bool:
    """Whether an answer follows a place, which begins as the priming of the prompt that ended there did."""
    if place.at == -2 or place.at + 1 == len(prompt.items):
        return True
    item = prompt.items[place.at + 1]
    return item.get("role") == "assistant" or item["type"] == "reasoning" or item["type"].endswith("_call")


def _spans(prompt: _Prompt, places: list[_Place], found: int, reached: int) -> list[tuple[int, tuple[int, int]]]:
    """Return the places behind the one that was found, by number, each with where its item starts and ends."""
    first, last = len(places) - len(prompt.items), len(places) - 1
    tally, origin = prompt.tally, prompt.origin
    spans, end = [], origin + prompt.position(tally, -1)
    if found < first - 1:
        spans.append((first - 1, (end, end)))
    elif found >= first:
        end = reached
        if found < last - 1:  # names and states only: what lies before is known by its length
            at = found - first
            tally = render.add(tally, prompt.items[: at + 1], prompt.model, lambda text: 0)
            origin = reached - prompt.position(tally, at)
    for number in range(max(found + 1, first), len(places)):
        at, start = number - first, end
        if number < last:
            tally = prompt.grown(tally, [prompt.items[at]])
            end = origin + prompt.position(tally, at)
        else:
            end = prompt.tokens - prompt.priming
        spans.append((number, (start, end)))
    return spans


def _inside(prompt: _Prompt, before: str, at: int, start: int, end: int) -> list[tuple[str, int]]:
    """Return the hash and the end of each whole block that ends inside the text of an item."""
    item, text_start = prompt.items[at], start + OPENING
    text = only_text(item) if end // BLOCK > text_start // BLOCK else None
    if text is None:
        return []
    pieces = prompt.rules.pieces(text)
    hasher = blake2b(before.encode() + opening(item), digest_size=16, person=b"inside")
    blocks, done = [], 0
    for length in range(text_start // BLOCK * BLOCK + BLOCK, end, BLOCK):
        upto = length - text_start
        if upto > len(pieces):
            break
        hasher.update("".join(pieces[done:upto]).encode())
        done = upto
        if length >= LEAST:
            blocks.append((hasher.hexdigest(), length))
    return blocks
