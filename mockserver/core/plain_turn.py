"""Plain turns: a text in, a text out. One whose shape has a plan is its two documents, filled in.

What turns of one shape have in common is worked out once (`plans`).
"""

# How it works. A turn by a plan only fills in the template: what comes out are the two documents that are stored, and
# no objects, for nearly nobody asks for these. Neither is it judged as a whole: all but its input and its parent was,
# in the request that the plan was learnt from. What is said comes from the default model or from a script: `open_turn`
# ends where either is asked, `complete` goes on with the text. A reply that says more than a text sends the request the
# ordinary way.
#
# What must stay true:
# * A turn by a plan is the turn that would have been made without it, to the byte: body, node, changes, events. A
#   property test compares both. Whatever could make a difference (`_SHAPING`, `_continues_plainly`) sends a request the
#   ordinary way, and so does anything this file does not know of.
# * A shape that comes once costs its look-up. Shapes are kept by number and by size.
# * The tokens of a text don't depend on what stands around it, so a count is the text's own and a constant (T3, T8).

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from mockserver.core import compaction, lifecycle
from mockserver.core.admission import Admission
from mockserver.core.lineage import FRESH, KnownConversations, KnownResponses, Lineage, is_plain, resolve_lineage
from mockserver.core.plans import Plan, Shape, Stream, learn_plan, was_plain
from mockserver.core.prompt_cache import MIN_TOKENS, NOTHING, CacheLookup, lookup
from mockserver.core.records import Change, State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import ContextHash, ConversationEnd, Item, Summary, items_back
from mockserver.core.text_prompts import lookup_text
from mockserver.core.turn import SerializedTurn, Turn
from mockserver.model.default_model import echo
from mockserver.model.prompt import Prompt, Reply
from mockserver.wire import catalog
from mockserver.wire.catalog import Model
from mockserver.wire.requests.bodies import is_response_id
from mockserver.wire.responses.encoding import json_body, json_compact, without_spare
from mockserver.wire.responses.event_list import EventList, Filled, TextDeltas, tokens_of_text
from mockserver.wire.responses.ids import IdGenerator
from mockserver.wire.responses.resources import assistant_message, text_part
from mockserver.wire.responses.text_template import Decimals
from mockserver.wire.tokens.context import Tally

MOST_SHAPES = 128
LONGEST_SHAPE = 4096  # bytes of JSON
LONGEST_TEXT = 4096  # characters; a longer input is likely to be cached (T13), which no plan covers

# What may shape a plain turn: it is echoed, or costs the same each time. Anything else may change what is answered.
_SHAPING = frozenset(
    (
        *("model", "instructions", "metadata", "temperature", "top_p", "user", "safety_identifier"),
        *("parallel_tool_calls", "truncation", "store", "stream"),
    )
)
_MEMBERS = _SHAPING | {"input", "previous_response_id", "conversation"}


def shape_of(request: Mapping[str, Any]) -> Shape | None:
    """The shape of a request that may begin a plain turn, None for any other."""
    text = request.get("input")
    if type(text) is not str or not 0 < len(text) <= LONGEST_TEXT or not request.keys() <= _MEMBERS:
        return None
    rest = {**request, "input": "conversation" in request}
    parent = rest.pop("previous_response_id", None)
    rest.pop("conversation", None)
    name = orjson.dumps(rest)
    return None if len(name) > LONGEST_SHAPE else _new(Shape, (name, text, parent))


class TurnRequest(NamedTuple):
    """A judged request, and its shape if it may begin a plain turn."""

    request: dict[str, Any]
    shape: Shape | None


class Plans:
    """The plans of one engine, by shape; any thread may ask and learn."""

    def __init__(self) -> None:
        self._plans: dict[bytes, Plan | str | None] = {}
        self._responses, self._chats = KnownResponses(), KnownConversations()

    def find(self, shape: Shape) -> Plan | None:
        """The plan of a shape, None where there is none."""
        plan = self._plans.get(shape.name)
        return plan if isinstance(plan, Plan) else None

    def recognize(self, body: Mapping[str, Any]) -> Shape | None:
        """The shape of a body that needs no judgement, for one of the same shape was answered; None for any other.

        All that it says was judged then, except for its input, which is a short text, and for what it goes on from.
        """
        try:
            shape = shape_of(body)
        except orjson.JSONEncodeError:  # deeper than a request may be
            return None
        if shape is None or not isinstance(self._plans.get(shape.name), Plan):
            return None
        if "previous_response_id" in body and not self._is_parent(shape.parent):
            return None
        return shape if "conversation" not in body or type(body["conversation"]) is str else None

    def _is_parent(self, value: Any) -> bool:
        """Whether a value is an id of a response, as far as can be told at once."""
        return (type(value) is str and value in self._responses.known) or is_response_id(value)

    def learn(self, shape: Shape, admission: Admission, reply: Reply, turn: Turn, rules: Semantics) -> None:
        """Learn from a turn that was made without a plan, if it is at least the second of its shape."""
        if shape.name not in self._plans:
            if len(self._plans) >= MOST_SHAPES:
                self._plans.clear()
            self._plans[without_spare(shape.name)] = _SEEN
        elif self._plans[shape.name] is _SEEN and was_plain(shape, admission, text_of(reply, admission.model), turn):
            self._plans[shape.name] = learn_plan(shape, admission, turn, rules, self._responses, self._chats)

    def forget_turns(self) -> None:
        """Hold nothing of single turns any more: a project was taken away."""
        self._responses.forget()
        self._chats.forget()


_SEEN = "seen"

# A turn that was made by a plan, the changes of its conversation, and its events if it is streamed.
Planned = tuple[SerializedTurn, Sequence[Change], EventList | None]


class Opening(NamedTuple):
    """A plain turn of which the model has not spoken yet: what it goes on from, what it asks, and what that costs.

    `read` are the tokens of the context with the question, `sent` those that are billed. `ids` are the turn's
    partition, the ids of its two items, and its own, from `id_generator`.
    """

    plan: Plan
    shape: Shape
    lineage: Lineage
    before: Summary
    ids: tuple[str, str, str, str]
    id_generator: IdGenerator
    read: int
    sent: int

    @property
    def asked(self) -> Item:
        """Its own item."""
        content = [{"type": "input_text", "text": self.shape.text}]
        return {**self.plan.asked, "id": self.ids[1], "content": content}

    def prompt(self, request: dict[str, Any], state: State, seed: str, transport: str) -> Prompt:
        """What the model, a script or a fault sees of it."""
        newest_first = partial(_newest_first, self, state)
        count, turn = self.before.count + 1, self.before.turn + 1
        asked, model = (self.asked,), self.plan.model
        return Prompt(request, model, asked, newest_first, count, turn, seed, transport, self.sent)

    def echo(self) -> str:
        """What the default model says."""
        return echo(self.shape.text, self.before.count + 1)


def _newest_first(opening: Opening, state: State) -> Iterator[Item]:
    return compaction.read_back(chain((opening.asked,), items_back(state, opening.lineage.head)))


def open_turn(
    plan: Plan, shape: Shape, state: State, request: dict[str, Any], rules: Semantics, ids: IdGenerator, now: float
) -> Opening | None:
    """Begin the turn of a request of this plan, None where it is no plain one; raises what its parent is refused with.

    Spec: R1.24.
    """
    lineage, before, parent = FRESH, plan.before, shape.parent
    if parent is not None or "conversation" in request:
        if parent is None:
            known = plan.chats.find(state, request["conversation"])
        else:
            known = None if "conversation" in request else plan.responses.find(state, parent, rules, now)
        lineage = known or resolve_lineage(state, request, rules, now, read=plan.responses.read)
        if lineage.head is not None:
            before = lineage.summary
        if before.cost_class != plan.before.cost_class or not (known or _continues_plainly(lineage, before)):
            return None
    if before.tally is None:
        return None
    model = plan.model
    if rules.shutdown_models == "refuse" and catalog.is_shut_down(model, now):
        return None
    read = before.tally.total + plan.question + rules.count(shape.text)
    sent = read + plan.prompt
    if sent > model.max_input_tokens:
        return None
    return _new(Opening, (plan, shape, lineage, before, ids.message_ids(lineage.partition), ids, read, sent))


def text_of(reply: Reply, model: Model) -> str | None:
    """What a reply says, if it says a text and nothing else."""
    if len(reply.output) != 1 or any(_extras_of(reply)):
        return None
    content = reply.output[0].get("content")
    text = content[0].get("text") if content else None
    return text if text is not None and reply.output[0] == assistant_message(model, text_part(text)) else None


# the members of a reply that make it more than its text; its pace is none of them
_extras_of = attrgetter(*[name for name in Reply._fields if name not in ("output", "output_tokens", "pacing")])


def complete(
    opening: Opening, text: str, state: State, request: dict[str, Any], rules: Semantics, now: float
) -> Planned | None:
    """The turn whose model says a text; None if that is too long to be plain."""
    plan, shape, lineage, before, (partition, asked_id, item_id, id), _, read, sent = opening
    model, said = plan.model, rules.count(text)
    written = said + plan.output
    if written > model.max_output_tokens or written > model.context_window - sent:
        return None
    recalled = NOTHING
    if sent >= MIN_TOKENS:
        look_up = partial(_look_up, opening, state, request, rules, now)
        recalled = lookup_text(state, plan.prompts, before, shape.text, text, read, sent, now, look_up)
    cached, cache_written, learned, trail = recalled
    head, chat = lineage.head, lineage.conversation
    text_json = json_compact(text).decode()
    values = {
        "id": id,
        "item": item_id,
        "asked": asked_id,
        "partition": partition,
        "after": "null" if shape.parent is None else f'"{shape.parent}"',
        "node": "null" if head is None else f'"{head}"',
        "in_chat": "null" if chat is None else json_compact(chat.id).decode(),
        "written_text": text_json,
        "printed_text": text_json if text_json.isascii() and "\x7f" not in text else json_body(text).decode(),
        "sent_text": json_compact(shape.text).decode(),
        "created": _numbers[int(now)],
        "input": _numbers[sent],
        "written": _numbers[cache_written],
        "cached": _numbers[cached],
        "output": _numbers[written],
        "total": _numbers[sent + written],
        "count": _numbers[before.count + 2],
        "turn": _numbers[before.turn + 1],
        "tally": _numbers[read + said + plan.answer],
        "trail": "null" if trail is None else json_compact(trail[:]).decode(),
    }
    figures, item_ids = (sent, cached, written), (asked_id, item_id)
    body, node_doc = plan.body.fill(values), plan.node.fill(values)
    in_conversation: Sequence[Change] = ()
    if lineage is not FRESH:
        summary = _summarize_after(plan, before, read + said + plan.answer, trail)
        after = _new(Lineage, (id, summary, partition, None))
        if chat is None:
            plan.responses.add(node_doc, int(now), after)
        else:
            in_conversation = _go_on(plan, chat, after, node_doc, item_ids, rules)
    went_on = shape.parent, None if chat is None else chat.id, plan.instructions
    turn = _new(
        SerializedTurn,
        (id, plan.named, figures, body, node_doc, head, item_ids, learned, "completed", *went_on),
    )
    events = None if plan.stream is None else _stream(plan.stream, text, values, rules)
    return turn, in_conversation, events


_numbers = Decimals()


def _summarize_after(plan: Plan, before: Summary, total: int, trail: ContextHash | None) -> Summary:
    """The summary of a context after a turn, as its node's document says it: what a next turn goes on from."""
    tally = _new(Tally, (total, 0, 0, (), plan.phased))
    count, turn, *plain = before[:7]
    return _new(Summary, (count + 2, turn + 1, *plain, tally, trail, None))


def _go_on(
    plan: Plan, chat: ConversationEnd, after: Lineage, node_doc: bytes, item_ids: Sequence[str], rules: Semantics
) -> Sequence[Change]:
    """The changes of a conversation in which no turn runs, after a turn whose node has this document."""
    if "completed" not in rules.conversation_write_on:
        return (chat.put(),)
    id, summary, partition, _ = after
    changes, put, end = lifecycle.append_items(chat, id, item_ids, id)  # type: ignore[arg-type]
    plan.chats.add(put, node_doc, _new(Lineage, (id, summary, partition, end)))
    return changes


def _stream(stream: Stream, text: str, values: dict[str, str], rules: Semantics) -> EventList:
    """The events of a turn that says a text, with these values."""
    head, tail = stream
    tokens = tokens_of_text(text, rules.pieces)
    padding = tokens.padding(values["id"]) if rules.obfuscation == "on" else None
    begin = head.size
    row = TextDeltas(values["item"], 0, 0, tokens, padding, begin)
    end = begin + len(tokens.pieces)
    values.update(n0=f"{end}", n1=f"{end + 1}", n2=f"{end + 2}", n3=f"{end + 3}")
    parts = Filled(head, values), row, Filled(tail, values)
    return EventList.lay_out(parts, (0, begin, end), end + tail.size)


def _look_up(opening: Opening, state: State, request: dict[str, Any], rules: Semantics, now: float) -> CacheLookup:
    """What the prompt cache knows of the request, looked up the ordinary way."""
    plan, _, lineage, before, _, ids, read, sent = opening
    ids = ids.in_partition(lineage.partition)
    tally = Tally(read)
    admission = Admission(request, plan.model, lineage, ids, [opening.asked], before, tally, sent, stored=True)
    return lookup(state, admission, rules, now)


def _continues_plainly(lineage: Lineage, before: Summary) -> bool:
    """Whether the context of a turn is a plain one, that nothing else goes on from now."""
    return is_plain(before) and (lineage.conversation is None or lineage.conversation.running is None)
