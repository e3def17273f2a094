"""Which recording answers a request, and what to say where none does."""

# All recordings are keyed once, in their order, by a ledger that reads them. A session (one per caller's project) has a
# ledger of its own, which notes the interactions that it was answered with: so a conversation has, at every moment of
# the replay, the items that it had at that moment of the recording, whatever other sessions and chains do.
#
# Several recordings with the same key are taken in recorded order. First come those that are also equal in what the key
# leaves out (ids, metadata): if two users asked the same, each goes on in his own chain.
#
# Most requests of a replay are, byte for byte, one that was recorded. Such a one is looked up by its bytes, and has the
# key of the recording as long as its parent means the same to the session: to read it would give no other.

from __future__ import annotations

import threading
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from hashlib import blake2b
from heapq import nlargest
from typing import Any, TypeAlias

from proxy.cassettes.canonical import IGNORED, encode, raw_items
from proxy.cassettes.interaction import Cassette, Interaction, Request
from proxy.cassettes.ledger import EMPTY, Key, Ledger, Step, conversation_of

Words: TypeAlias = "array[int]"  # 64-bit hashes; a set would take ten times the memory
NEAREST = 3
LONGEST = 200  # characters of a value that a message shows
BEFORE = 40  # characters that it shows of what two long texts have in common


class Recorded:
    """A recording with its key and where it stands; one of a large file is read from there when it is asked for.

    `step` is what a plain turn makes of a ledger.
    """

    __slots__ = ("_source", "features", "key", "place", "step")

    def __init__(self, source: Interaction | Callable[[], Interaction], key: Key, place: str, features: Words) -> None:
        self._source, self.key, self.place, self.features = source, key, place, features
        self.step: Step | None = None

    @property
    def interaction(self) -> Interaction:
        """What was recorded."""
        return self._source() if callable(self._source) else self._source


@dataclass
class Difference:
    """The first thing in which a request differs from a recording: a JSON path, and both values."""

    path: str
    recorded: Any
    sent: Any

    @property
    def texts(self) -> tuple[str, str]:
        """Both values as a message shows them."""
        recorded, sent = self.recorded, self.sent
        if isinstance(recorded, str) and isinstance(sent, str):
            recorded, sent = _from_the_difference(recorded, sent)
        return _show(recorded), _show(sent)

    def __str__(self) -> str:
        recorded, sent = self.texts
        return f"{self.path}: recorded {recorded}, sent {sent}"


class Missing:
    """What stands for a value that is not there."""

    def __repr__(self) -> str:
        return "nothing"


MISSING = Missing()


@dataclass
class Miss:
    """A request that no recording answers: the nearest ones, and what differs."""

    request: Request
    key: Key
    nearest: list[tuple[Recorded, Difference]] = field(default_factory=list)
    used_up: Recorded | None = None

    @property
    def message(self) -> str:
        """What is wrong, in one line."""
        asked = self.key.endpoint
        if self.used_up is not None:
            return (
                f"{asked}: each recording of this request was answered with already ({self.used_up.place}); "
                "without --strict the last one would repeat."
            )
        if not self.nearest:
            return f"{asked}: the cassette has no recording of this endpoint."
        places: dict[str, list[str]] = {}
        for recorded, difference in self.nearest:
            places.setdefault(str(difference), []).append(recorded.place)
        told = [f"{_list(same)} at {difference}" for difference, same in places.items()]
        return f"{asked}: no recording asks this. Nearest: {'; '.join(told)}."


class Library:
    """The recordings of some cassettes by what they ask. Threads may share it."""

    def __init__(self, cassettes: Iterable[Cassette], ignored: frozenset[str] = IGNORED) -> None:
        self.ignored = ignored
        self.ledger = Ledger(ignored)  # all that the recordings tell: ids that a session did not bring are known here
        self.recorded: list[Recorded] = []
        self._by_key: dict[bytes, list[int]] = {}
        self._by_bytes: dict[bytes, Recorded] = {}  # of several that ask the same in the same bytes the last one
        self._closings: dict[int, int] = {}  # the last recording of a socket → how that was closed afterwards
        self._last_on: dict[tuple[int, int], int] = {}
        self._cassette = 0
        for self._cassette, cassette in enumerate(cassettes):
            for index, interaction in enumerate(cassette.interactions):
                place = f"interaction {interaction.id} ({cassette.path}{_line(cassette, interaction)})"
                self.add(interaction, place, source_in(cassette, index))

    def add(self, interaction: Interaction, place: str, source: Callable[[], Interaction] | None = None) -> int:
        """Key one more recording; returns its number. `source` reads it again: then it is not held itself."""
        key = self.ledger.key_of(interaction.request)
        number = self.hold(interaction, key, place, source)
        recorded, step = self.recorded[number], self.ledger.note(interaction)
        if step is not None and key.context is not None:
            recorded.step = step
            self._by_bytes[_hash_bytes(interaction.request)] = recorded
        return number

    def hold(
        self, interaction: Interaction, key: Key, place: str, source: Callable[[], Interaction] | None = None
    ) -> int:
        """Hold a recording under a key; returns its number."""
        number = len(self.recorded)
        before = self._note_socket(interaction, number)
        if interaction.closes and before is not None:
            self._closings[before] = number
        else:
            self._by_key.setdefault(key.digest, []).append(number)
        features = array("q", _features(key))
        kept = key.keep_fields(self.ledger.spool)
        self.recorded.append(Recorded(source or interaction, kept, place, features))
        return number

    def _note_socket(self, interaction: Interaction, number: int) -> int | None:
        """Note what came last over a socket; returns what came before it there."""
        if interaction.connection is None:
            return None
        place = self._cassette, interaction.connection
        before = self._last_on.get(place)
        self._last_on[place] = number
        return before

    def closing_after(self, number: int) -> int | None:
        """The recording of how a socket was closed after this one, before another turn was asked on it."""
        return self._closings.get(number)

    def with_key(self, key: Key) -> list[int]:
        """The numbers of the recordings with a key."""
        return self._by_key.get(key.digest, [])

    def with_bytes(self, request: Request) -> Recorded | None:
        """A recorded turn that asks in these very bytes, and whose key depends on nothing but them and its parent."""
        return self._by_bytes.get(_hash_bytes(request))

    def nearest(self, key: Key) -> list[tuple[Recorded, Difference]]:
        """The recordings of the same endpoint that have the most in common with a key."""
        asked = _features(key)
        size, in_common = len(asked), asked.intersection
        # a client that falls back to HTTP from sockets asks there what was recorded here
        other = "WEBSOCKET" if key.endpoint.startswith("POST ") else "POST"
        for endpoint in (key.endpoint, f"{other} {key.endpoint.partition(' ')[2]}"):
            scored = [
                # what both have counts for a recording, what only one has a tenth as much against it
                (1.2 * len(in_common(recorded.features)) - 0.1 * (len(recorded.features) + size), -number)
                for number, recorded in enumerate(self.recorded)
                if recorded.key.endpoint == endpoint
            ]
            if scored:
                best = [self.recorded[-number] for _, number in nlargest(NEAREST, scored)]
                return [(recorded, first_difference(recorded.key, key)) for recorded in best]
        return []  # of a path with an id, another method or another object may have been recorded


def _hash_bytes(request: Request) -> bytes:
    """The hash of all that the key of a turn is made of."""
    hash = blake2b(f"{request.socket} {request.method} {request.path}\0".encode(), digest_size=16)
    hash.update(request.body)
    return hash.digest()


def source_in(cassette: Cassette, index: int) -> Callable[[], Interaction] | None:
    """What reads an interaction of a large file again; None where all of them are in memory."""
    interactions = cassette.interactions
    return None if isinstance(interactions, tuple) else partial(interactions.__getitem__, index)


def _line(cassette: Cassette, interaction: Interaction) -> str:
    line = cassette.lines.get(interaction.id)
    return f":{line}" if line else ""


class Session:
    """One caller's way through a library: which recordings it had, and what it knows because of them."""

    def __init__(self, library: Library, strict: bool = False) -> None:
        self._library = library
        self._strict = strict
        self._lock = threading.Lock()
        self.ledger = Ledger(library.ignored, library.ledger)
        self.used: dict[int, int] = {}

    def find(self, request: Request) -> Recorded | Miss:
        """The recording that answers a request, which is noted as used; else what to say."""
        with self._lock:
            key = self._find_key(request)
            numbers = self._library.with_key(key) or self._resume(request, key)
            if not numbers:
                return Miss(request, key, self._library.nearest(key))
            unused = [number for number in numbers if number not in self.used]
            if not unused and self._strict:
                return Miss(request, key, used_up=self._library.recorded[numbers[-1]])
            number = self._choose(request, unused or numbers, repeats=not unused)
            self.used[number] = self.used.get(number, 0) + 1
            recorded = self._library.recorded[number]
            if recorded.step is None or not self.ledger.repeat(recorded.step):
                self.ledger.note(recorded.interaction)
            return recorded

    def _find_key(self, request: Request) -> Key:
        known = self._library.with_bytes(request)
        if known is not None and known.step is not None and self.ledger.is_before(known.step):
            return known.key
        return self.ledger.key_of(request)

    def adopt(self, interaction: Interaction, place: str) -> None:
        """Add a recording that was made for this session just now."""
        with self._lock:
            self.used[self._library.add(interaction, place)] = 1
            self.ledger.note(interaction)

    def find_closing(self, recorded: Recorded) -> Interaction | None:
        """How the upstream closed the socket after a recording, which is noted as used; None where it did not."""
        with self._lock:
            number = next((one for one in reversed(self.used) if self._library.recorded[one] is recorded), None)
            closing = None if number is None else self._library.closing_after(number)
            if closing is None:
                return None
            self.used[closing] = self.used.get(closing, 0) + 1
            return self._library.recorded[closing].interaction

    def find_unused(self, request: Request) -> Recorded | None:
        """The next recording of a request that was not used yet, which is noted as used; None where there is none."""
        with self._lock:
            numbers = self._library.with_key(self.ledger.key_of(request))
            number = next((number for number in numbers if number not in self.used), None)
            if number is None:
                return None
            self.used[number] = 1
            return self._library.recorded[number]

    def _resume(self, request: Request, key: Key) -> list[int]:
        """The recordings of a turn in a conversation that this session has not been in: it may begin in its middle.

        What such a conversation holds is not known; so the first recording in it that asks the same is meant.
        """
        body = request.value
        conversation = conversation_of(body) if isinstance(body, dict) and key.context is not None else None
        if conversation is None or conversation in self.ledger.conversations:
            return []
        own = self.ledger.extend(EMPTY, raw_items(body.get("input"))).digest
        for number, recorded in enumerate(self._library.recorded):
            if number in self.used or recorded.key.endpoint != key.endpoint:
                continue
            other = recorded.interaction.request.value
            if (
                conversation_of(other) == conversation
                and recorded.key.loaded_fields() == key.fields
                and self.ledger.extend(EMPTY, raw_items(other.get("input"))).digest == own
            ):
                parent = recorded.key.context.parent if recorded.key.context else None
                self.ledger.conversations[conversation] = parent or EMPTY
                return [number]
        return []

    def _choose(self, request: Request, numbers: list[int], *, repeats: bool) -> int:
        """The recording that is most like the request in what the key leaves out; the first, or the last one again."""
        if len(numbers) == 1:
            return numbers[0]
        sent = request.value
        likeness = [_likeness(sent, self._library.recorded[number].interaction.request.value) for number in numbers]
        best = max(likeness)
        chosen = [number for number, likely in zip(numbers, likeness, strict=True) if likely == best]
        return chosen[-1] if repeats else chosen[0]


def _likeness(sent: Any, recorded: Any) -> tuple[bool, bool, bool]:
    """How much two bodies with the same key have in common: all; the parent; the way in which they have one."""
    if not isinstance(sent, dict) or not isinstance(recorded, dict):
        return sent == recorded, True, True
    ties = ("previous_response_id", "conversation")
    return (
        sent == recorded,
        all(sent.get(tie) == recorded.get(tie) for tie in ties),
        all((sent.get(tie) is None) == (recorded.get(tie) is None) for tie in ties),
    )


# --- what differs ----------------------------------------------------------------------------------------------------


def _features(key: Key) -> set[int]:
    """What two keys may have in common: fields with their values, and items at their place in the context."""
    found: set[int] = {hash(name) ^ hash(encode(value)) for name, value in key.loaded_fields().items()}
    if key.context is not None:
        for place, item in enumerate(key.context.last_items(_LAST)):
            found.add(hash((place, encode(item))))
            found |= {hash((place, word)) for word in _words(item)}
    return found


_LAST = 12  # items of a context that are compared in order to find the nearest one


def _words(item: Any) -> Iterator[str]:
    """Some of the words that an item says, so that a prompt in which one word differs is near."""
    text = ""
    for part in item.get("content", ()) if isinstance(item, dict) and isinstance(item.get("content"), list) else ():
        if isinstance(part, dict) and isinstance(part.get("text"), str):
            text += part["text"][:400] + " "
    yield from text.split()[:24]


def first_difference(recorded: Key, sent: Key) -> Difference:
    """The first thing in which two keys differ: a field, else the first item of the context that is not the same."""
    # the context last: a field is the simpler explanation, and nearly always wrong by itself
    one_fields, other_fields = recorded.loaded_fields(), sent.loaded_fields()
    for name in sorted({*one_fields, *other_fields}):
        found = _compare(name, one_fields.get(name, MISSING), other_fields.get(name, MISSING))
        if found is not None:
            return found
    one = recorded.context.all_items() if recorded.context else []
    other = sent.context.all_items() if sent.context else []
    for place in range(max(len(one), len(other))):
        found = _compare(f"context[{place}]", _at(one, place), _at(other, place))
        if found is not None:
            return found
    return Difference("endpoint", recorded.endpoint, sent.endpoint)


def _at(items: list[Any], place: int) -> Any:
    return items[place] if place < len(items) else MISSING


def _compare(path: str, one: Any, other: Any) -> Difference | None:
    """The first difference of two JSON values, None if they are equal."""
    if isinstance(one, dict) and isinstance(other, dict):
        for key in [*one, *(key for key in other if key not in one)]:
            found = _compare(f"{path}.{key}", one.get(key, MISSING), other.get(key, MISSING))
            if found is not None:
                return found
        return None
    if isinstance(one, list) and isinstance(other, list):
        for place in range(max(len(one), len(other))):
            found = _compare(f"{path}[{place}]", _at(one, place), _at(other, place))
            if found is not None:
                return found
        return None
    return None if one == other and type(one) is type(other) else Difference(path, one, other)


def _list(places: list[str]) -> str:
    """Places as a subject with its verb: `1 differs`, `1, 2 and 3 differ`."""
    *others, last = places
    return f"{', '.join(others)} and {last} differ" if others else f"{last} differs"


def _from_the_difference(one: str, other: str) -> tuple[str, str]:
    """Two texts from a little before the place where they part, where that is far from their beginning."""
    same = next((place for place, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), 0)
    start = same - BEFORE if same > LONGEST // 2 else 0
    return (f"…{one[start:]}", f"…{other[start:]}") if start else (one, other)


def _show(value: Any) -> str:
    text = repr(value) if value is MISSING else encode(value).decode(errors="replace")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
