"""The verdict on a client: its mistakes in terms of state, found in the journal of its calls.

Each check is a row of `CHECKS` and yields mistakes; those of one rule about the same items become one finding.
"""

# How it works. A check walks the calls of one project, oldest first, and yields each mistake that it can prove
# from the journal alone: what was sent, what was answered, what the context held before.
#
# What must stay true:
# * A check is silent where a client may have been right. A user may say the same words twice, a refused request
#   may be mended on the server's side, an answer that was cut off may be requested again.
# * The same mistake is one finding, however many calls repeat it: findings of a rule about the same items are
#   merged.
# * Texts are matched against the API's own error messages, so a message that changes there changes a pattern
#   here.
# * The order of `CHECKS` is the order of the findings; one walk per check keeps each of them readable by
#   itself.

from __future__ import annotations

import re
from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from mockserver.core.state import Item, Node
from mockserver.core.tool_pairing import OUTPUTS, needs_client_output
from mockserver.journal.history import Call, History, Place, by_user, content_of, texts_of
from mockserver.journal.item_index import HeldItem, ItemIndex
from mockserver.wire.responses.ids import is_marked_unstored, partition_of

BACKOFF_S = 0.5  # the shortest wait before a client may try a locked conversation again
REFUSALS = frozenset((400, 401, 403, 404, 422))  # what the same request gets again; 408, 409, 429 and 5xx may pass
BILLING = "insufficient_quota"  # type of the errors that waiting does not mend. Spec: R13.2
LOCKED = "conversation_locked"

# words of a message that requests the rest of an answer that was cut off
_CONTINUING = re.compile(
    r"\b(continu\w*|go(ing)? on|carry on|keep going|proceed|resume\w*|finish\w*|complete[ds]?|rest|remain\w*|"
    r"more|where you (left|stopped)|cut ?off|truncat\w*|incomplete|weiter\w*|fortsetz\w*|contin[uú]\w*|suite)\b",
    re.IGNORECASE,
)
_NO_OUTPUT = re.compile(r"No tool output found for function call (\S+)\.")
_DUPLICATE = re.compile(r"Duplicate item found with id (\S+)\. ")
_NO_ITEM = re.compile(r"Item with id '(\S+)' not found\.")


class Finding(NamedTuple):
    """One mistake: the rule, a sentence, the exchanges that show it (oldest first), ids of the items involved."""

    rule: str
    sentence: str
    exchanges: tuple[int, ...]
    items: tuple[str, ...] = ()


class Mistake(NamedTuple):
    """One mistake that a check found: a sentence, the calls that show it, the ids of the items involved."""

    sentence: str
    calls: tuple[Call, ...]
    items: tuple[str, ...] = ()


PAUSE = None  # what a check yields after each call: the moment at which others may go on
Steps = Iterator[Mistake | None]


def find_mistakes(history: History) -> Iterator[list[Finding] | None]:
    """Yield None after each step of the work, and at the end every mistake of a client.

    They come in the order of the rules; the same items under one rule count once.
    """
    findings: dict[tuple[Any, ...], Finding] = {}
    for rule, check in CHECKS.items():
        for mistake in check(history):
            if mistake is None:
                yield None
                continue
            shown = tuple(call.id for call in mistake.calls)
            key = (rule, mistake.items) if mistake.items else (rule, shown)
            known = findings.setdefault(key, Finding(rule, mistake.sentence, (), mistake.items))
            findings[key] = known._replace(exchanges=tuple(sorted({*known.exchanges, *shown})))
    yield list(findings.values())


# --- items sent a second time ---------------------------------------------------------------------------------------


def find_resent_history(history: History) -> Steps:
    """Yield turns that continue something and send its items again. Spec: R1.20, R2.8.

    An output of the model or of a tool is a repetition by itself. A user's messages are one only if two or more come
    again in order, or the only one that there was, with something new after them, because a user may say the same
    thing twice; or the last one in front of a tool's output, for then the user has said nothing since.
    """
    index = ItemIndex(history)
    for call in history.turns:
        yield PAUSE
        before = history.place_before(call)
        if before is None:
            continue
        index.add(before)
        repeated = [(item, first) for item in call.items if (first := index.first(item, before, call)) is not None]
        outputs = [held for item, held in repeated if not by_user(item)]
        again = outputs or _repeats(call, before, index)
        if again:
            where = "the conversation" if call.conversation else "the chain of previous_response_id"
            ids = tuple(dict.fromkeys(_id(held.item) for held in again))
            yield Mistake(
                f"The input repeats {_count_noun(again, 'item')} that {where} already holds; send only new items.",
                (call,),
                ids,
            )


def _repeats(call: Call, before: Place, index: ItemIndex) -> list[HeldItem]:
    """The places of a user's messages that come again in order before something new.

    There must be two or more of them, or all that the user has said, or nobody knows that they are not said again. In
    front of what a tool returned it is enough that it was said last.
    """
    again: list[HeldItem] = []
    new = returned = False
    for item in call.items:
        if not _said_by_user(item):
            returned |= bool(again) and not by_user(item)
            continue
        last = again[-1].order if again else (-1, -1)
        held = next((held for held in index.find(item, before, call) if held.order > last), None)
        if held is None:
            new = bool(again)
        else:
            again.append(held)
    if not (new or returned):
        return []
    newest, only = _find_last_said(before)
    return again if len(again) > 1 or (only and new) or (returned and again[0].order == newest) else []


def _find_last_said(place: Place) -> tuple[tuple[int, int] | None, bool]:
    """The place among the items of a context of what the user said last, and whether that is all there was."""
    said: list[tuple[int, int]] = []
    node: Place | None = place
    while node is not None and len(said) < 2:
        said += [(node.depth, at) for at, item in reversed([*enumerate(node.node.items)]) if _said_by_user(item)]
        node = node.parent
    return (said[0] if said else None), len(said) == 1


def _said_by_user(item: Item) -> bool:
    return item["type"] == "message" and item.get("role") == "user"


def find_reused_item_id(history: History) -> Steps:
    """Yield ids that occur twice in one context, or that a client gave to two items. Spec: R1.36, R1.38."""
    named: dict[str, tuple[Hashable, Call]] = {}
    for call in history.turns:
        yield PAUSE
        duplicate = _DUPLICATE.match(call.error.get("message") or "")
        if duplicate:
            yield Mistake(f"Two items of one context have the id {duplicate[1]}.", (call,), (duplicate[1],))
        for item in call.items:
            id = item.get("id")
            if not isinstance(id, str) or item["type"] == "item_reference" or partition_of(id):
                continue  # the service gave it
            content, first = named.setdefault(id, (_content_key(item), call))
            if content != _content_key(item):
                yield Mistake(f"The id {id} was given to two different items.", (first, call), (id,))


def _content_key(item: Item) -> Hashable:
    """The content of an item, outputs and arguments included."""
    values = (item.get("output"), item.get("arguments"), item.get("input"))
    return content_of(item), repr([value for value in values if value is not None])


# --- requests sent again --------------------------------------------------------------------------------------------


def find_retried_refusal(history: History) -> Steps:
    """Yield requests that were sent again, byte for byte, after an error that retries can't mend. Spec: C6.

    If the second one is answered, the state was wrong and the client has mended it; this does not apply to a scripted
    refusal.
    """
    refused: dict[tuple[str, str], list[Call]] = {}
    retried: list[list[Call]] = []
    for call in history.calls:
        yield PAUSE
        if not call.body or call.method == "GET":
            continue
        key = (call.path, call.body)
        tries = refused.pop(key, [])
        if tries and (tries[0].staged or call.status >= 400):
            tries.append(call)
            retried += [tries] if len(tries) == 2 else []
        if _final(call):
            refused[key] = tries or [call]
    for tries in retried:
        why = tries[0].error.get("code") or tries[0].error.get("type")
        yield Mistake(
            f"The same request was sent again after {tries[0].status} {why}, which no retry mends.", tuple(tries)
        )


def _final(call: Call) -> bool:
    if call.error.get("code") == LOCKED:
        return False
    return call.status in REFUSALS or (call.status >= 400 and call.error.get("type") == BILLING)


def find_no_backoff(history: History) -> Steps:
    """Yield turns that tried a locked conversation again at once, by the mock's clock and the real one. Spec: R2.12."""
    locked: dict[str, Call] = {}
    for call in history.turns:
        yield PAUSE
        first = locked.pop(call.body, None)
        if first is not None and call.conversation:
            waited = max(call.at - first.at, call.began - first.began - first.seconds)
            if 0 <= waited < BACKOFF_S:
                yield Mistake(
                    f"The locked conversation was tried again after {waited:.3f} s; wait {BACKOFF_S} s or more.",
                    (first, call),
                    (call.conversation,),
                )
        if call.error.get("code") == LOCKED:
            locked[call.body] = call


# --- missing items --------------------------------------------------------------------------------------------------


def find_dropped_tool_output(history: History) -> Steps:
    """Yield tool calls that a client left unanswered: an error said so, or it replayed the history without them.

    An input replays a history if it begins with the whole context of an earlier turn and continues after it. The
    longest such turn counts: each call at its end must be among the items, or have been answered before (then the
    history was edited, or compacted). Spec: R1.33, N8.
    """
    prefixes = _Prefixes(history)
    turns_by_prefix: dict[int, list[Call]] = {}
    answered: set[str | None] = set()
    for call in history.calls:
        yield PAUSE
        answered.update(item.get("call_id") for item in call.items if item["type"] in OUTPUTS)
        if not call.asks:
            continue
        unanswered = _NO_OUTPUT.match(call.error.get("message") or "")
        if unanswered:
            yield Mistake(f"The call {unanswered[1]} was left without its output.", (call,), (unanswered[1],))
        elif call.parent is None and call.conversation is None:
            yield from _calls_without_output(call, prefixes, turns_by_prefix, answered)
        if call.node is not None:
            turns_by_prefix.setdefault(prefixes.of_context(call, call.node), []).append(call)


def _calls_without_output(
    call: Call, prefixes: _Prefixes, turns_by_prefix: Mapping[int, list[Call]], answered: Container[str | None]
) -> Iterator[Mistake]:
    numbers = prefixes.of_items(call.items)[:-1]  # without the whole: that would be the same question once more
    earlier: list[Call] = next(
        (turns_by_prefix[number] for number in reversed(numbers) if number and number in turns_by_prefix), []
    )
    there = {item.get("call_id") for item in call.items}
    missing = [
        [
            id
            for item in turn.output
            if needs_client_output(item) and (id := item["call_id"]) not in there and id not in answered
        ]
        for turn in earlier
    ]
    if missing and all(missing):
        for id in missing[-1]:
            yield Mistake(f"The history was replayed without the call {id} and its output.", (earlier[-1], call), (id,))


class _Prefixes:
    """A number for each beginning of a list of items (without reasoning), the same for the same beginning.

    Contexts that go on from each other share their beginnings, so each node is read once.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._trie: dict[tuple[int, Hashable], int] = {}
        self._ends: dict[str, int] = {}  # node → the number of a context that ends with it

    def of_items(self, items: Iterable[Item], number: int = 0) -> list[int]:
        """The numbers of all beginnings of a list, after a beginning that has a number."""
        numbers, trie = [number], self._trie
        for item in items:
            if item["type"] != "reasoning":
                numbers.append(trie.setdefault((numbers[-1], content_of(item)), len(trie) + 1))
        return numbers

    def of_context(self, call: Call, node: Node) -> int:
        """The number of everything that the model saw in a turn, which added a node."""
        place, path = self._history.place_before(call), list[Node]()
        while place is not None and place.node.id not in self._ends:
            path.append(place.node)
            place = place.parent
        number = 0 if place is None else self._ends[place.node.id]
        for before in reversed(path):
            number = self._ends[before.id] = self.of_items(before.items, number)[-1]
        return self.of_items(node.items[: node.own], number)[-1]


def find_lost_phase(history: History) -> Steps:
    """Yield messages of the model that a client replayed without their phase. Spec: R1.43, R12.4.

    A message without an id counts as the model's if every message of the model with this text has a phase.
    """
    messages: dict[Hashable, list[Item]] = {}
    for call in history.turns:
        yield PAUSE
        for item in call.items:
            if item["type"] == "message" and item.get("role") == "assistant" and not item.get("phase"):
                known = messages.get(item.get("id")) or messages.get(texts_of(item)) or []
                if known and all(message.get("phase") for message in known):
                    phase, id = known[-1]["phase"], _id(known[-1])
                    yield Mistake(f"The message {id} was replayed without its phase, {phase}.", (call,), (id,))
        for item in call.output:
            if item["type"] == "message" and any(texts_of(item)):
                messages.setdefault(item["id"], []).append(item)
                messages.setdefault(texts_of(item), []).append(item)


def find_edited_prefix(history: History) -> Steps:
    """Yield turns whose model did not read reasoning because what stands before it was changed. Spec: R1.46."""
    for call in history.turns:
        yield PAUSE
        if call.withheld:
            yield Mistake(
                f"What stands before the reasoning {', '.join(call.withheld)} is not what it was when the model "
                "thought it, so the model did not read it; append to the history and change nothing.",
                (call,),
                call.withheld,
            )


# --- wrong continuations --------------------------------------------------------------------------------------------


def find_chained_on_unstored(history: History) -> Steps:
    """Yield turns that continue a response which was not stored. Spec: R1.4, W1.

    A response of a WebSocket can be continued there while the socket remembers it, which no client can know.
    """
    for call in history.turns:
        yield PAUSE
        parent, origin = call.parent, history.of_response.get(call.parent or "")
        refused = call.status >= 400 and call.error.get("param") == "previous_response_id"
        if parent is None or not refused or (origin is not None and origin.transport == "websocket"):
            continue
        if is_marked_unstored(parent) or (origin is not None and origin.request.get("store") is False):
            calls = (call,) if origin is None else (origin, call)
            yield Mistake(f"{parent} was not stored (store: false), so nothing can be chained on it.", calls, (parent,))


def find_used_unstored_item(history: History) -> Steps:
    """Yield turns that name an item which was not stored. Spec: R1.37, N10."""
    for call in history.turns:
        yield PAUSE
        match = _NO_ITEM.match(call.error.get("message") or "")
        if match and is_marked_unstored(match[1]):
            yield Mistake(
                f"{match[1]} was not stored (store: false); send its content instead of its id.", (call,), (match[1],)
            )


def find_ignored_incomplete(history: History) -> Steps:
    """Yield turns that continue a response cut off at max_output_tokens as if it were whole. Spec: R7.6.

    They chain on it, or replay its last message or call, and then answer a call that was cut off, send the message as
    completed, or continue with a user's message that does not request the rest (`continue`, `go on`, …).
    """
    cut: dict[int, Call] = {}
    by_item: dict[Hashable, list[int]] = {}  # what is known of an item that was cut off → the turns that put it out
    for call in history.turns:
        yield PAUSE
        for number in _cut_before(call, cut, by_item):
            first = cut[number]
            following = _items_after(first, call)
            if following is None:
                continue
            del cut[number]
            what = _as_if_whole(first, call, following)
            if what:
                yield Mistake(
                    f"{first.response_id} is incomplete, but {what}.", (first, call), (first.response_id or "",)
                )
        if call.incomplete == "max_output_tokens" and call.status < 400 and call.response_id:
            cut[call.id] = call
            for key in [call.response_id, *_keys(_partial_items(call))]:
                by_item.setdefault(key, []).append(call.id)


def _cut_before(call: Call, cut: Mapping[int, Call], by_item: Mapping[Hashable, list[int]]) -> list[int]:
    """The turns that were cut off and that a turn may continue: it names them, or sends what they put out."""
    if not cut:
        return []
    keys = [call.parent, call.node and call.node.parent, *_keys(call.items)]
    return sorted({number for key in keys for number in by_item.get(key, ()) if number in cut})


def _keys(items: Iterable[Item]) -> Iterator[Hashable]:
    """What items are known by: their ids, and what they say."""
    for item in items:
        yield content_of(item)
        if item.get("id"):
            yield "id", item["id"]


def _partial_items(call: Call) -> list[Item]:
    """The items that a turn was putting out when it was cut off."""
    return [item for item in call.output if item.get("status") == "incomplete"]


def _items_after(first: Call, call: Call) -> list[Item] | None:
    """The items that a turn adds after a response that it continues, None if it does not continue it."""
    if call.parent == first.response_id or (call.conversation and call.node and call.node.parent == first.response_id):
        return call.items
    known = set(_keys(_partial_items(first)))
    replayed = [place for place, item in enumerate(call.items) if not known.isdisjoint(_keys([item]))]
    return call.items[replayed[-1] + 1 :] if replayed else None


def _as_if_whole(first: Call, call: Call, following: list[Item]) -> str | None:
    partial = {item.get("call_id") for item in _partial_items(first)} - {None}
    if any(item["type"] in OUTPUTS and item.get("call_id") in partial for item in following):
        return "its call, which was cut off, was answered"
    ids = {item["id"] for item in _partial_items(first)}
    if any(item.get("id") in ids and item.get("status") == "completed" for item in call.items):
        return "its message was replayed as completed"
    messages: list[Item] = []
    for item in following:
        if not by_user(item):
            break
        messages.append(item)
    users = [item for item in messages if item.get("role") == "user"]
    words = [*(text for item in messages for text in texts_of(item)), str(call.request.get("instructions") or "")]
    return "the next message does not ask for the rest" if users and not any(map(_CONTINUING.search, words)) else None


def _id(item: Item) -> str:
    return str(item.get("id") or item.get("call_id") or "")


def _count_noun(things: list[Any], noun: str) -> str:
    return f"1 {noun}" if len(things) == 1 else f"{len(things)} {noun}s"


CHECKS: Mapping[str, Callable[[History], Steps]] = {
    "resent_history": find_resent_history,
    "retried_refusal": find_retried_refusal,
    "dropped_tool_output": find_dropped_tool_output,
    "lost_phase": find_lost_phase,
    "edited_prefix": find_edited_prefix,
    "chained_on_unstored": find_chained_on_unstored,
    "used_unstored_item": find_used_unstored_item,
    "ignored_incomplete": find_ignored_incomplete,
    "reused_item_id": find_reused_item_id,
    "no_backoff": find_no_backoff,
}
