"""Plain turns: a text in, a text out. What such turns of one shape have in common is worked out once, as a plan.

The shape of a request is all that it says except its input and its parent. Most requests of a test or of a load have
one of a few shapes, and then only ids, texts, times and token counts differ from turn to turn.
"""

# How it works. A plan is learnt, not written down: the second time that a shape comes, its turn is answered in the
# ordinary way (`admission`, the model, `turn.plan`), and if it was plain, its Response becomes a template and what was
# counted around its two texts becomes a few numbers. So no rule of the API stands here a second time: echoes, defaults,
# key order and frames are those of the turn that was learnt from. The third such request only fills in the template.
# What is said comes from the default model or from a script: `open_turn` ends where either is asked, `complete` goes on
# with the text. A reply that says more than a text sends the request the ordinary way.
#
# What must stay true:
# * A turn by a plan is the turn that would have been made without it, to the byte: body, node, changes, events. A
#   property test compares both. Whatever could make a difference (`_SHAPING`, `_continues_plainly`) sends a request
#   the ordinary way, and so does anything this file does not know of.
# * The tokens of a text don't depend on what stands around it, so a count is the text's own and a constant (T3, T8).
# * A shape that comes once costs its look-up. Shapes are kept by number and by size.

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from itertools import chain
from operator import attrgetter
from typing import Any, NamedTuple

import orjson

from mockserver.core import compaction, context
from mockserver.core.admission import Admission
from mockserver.core.context_hash import extend_all
from mockserver.core.lineage import FRESH, Lineage, resolve_lineage
from mockserver.core.prompt_cache import MIN_TOKENS, NOTHING, lookup
from mockserver.core.records import State, _new
from mockserver.core.semantics import Semantics
from mockserver.core.state import Item, Node, Summary, items_back
from mockserver.core.turn import Turn
from mockserver.model.default_model import echo
from mockserver.model.prompt import Prompt, Reply
from mockserver.wire import catalog
from mockserver.wire.catalog import Model
from mockserver.wire.responses.encoding import json_body
from mockserver.wire.responses.ids import IdGenerator
from mockserver.wire.responses.resources import assistant_message, text_part
from mockserver.wire.tokens.context import Tally

MOST_SHAPES = 128
LONGEST_SHAPE = 4096  # bytes of JSON
LONGEST_TEXT = 4096  # characters; a longer input is likely to be cached (T13), which no plan covers
ROOM = (
    2 * MIN_TOKENS
)  # tokens that a model must have for a prompt and for an answer, so that no limit cuts a plain turn

# What may shape a plain turn: it is echoed, or costs the same each time. Anything else may change what is answered.
_SHAPING = frozenset(
    (
        *("model", "instructions", "metadata", "temperature", "top_p", "user", "safety_identifier"),
        *("parallel_tool_calls", "truncation", "store", "stream"),
    )
)


class Plan(NamedTuple):
    """What turns of one shape have in common.

    `response` is a Response to be copied, `body` its JSON as a `%` template, `asked` and `answered` are its two items
    to be copied. Token counts are without those of the texts: `prompt` what stands around the context, `question` and
    `answer` the frames of the two messages as they are read, `output` that of the answer as it is written.
    """

    model: Model
    response: dict[str, Any]
    body: bytes
    asked: dict[str, Any]
    answered: dict[str, Any]
    before: Summary
    prompt: int
    question: int
    answer: int
    output: int
    phased: bool
    streamed: bool


class Shape(NamedTuple):
    """A request taken apart: what it asks, what it goes on from, and the name of all else."""

    name: bytes
    text: str
    parent: str | None


def shape_of(request: Mapping[str, Any]) -> Shape | None:
    """The shape of a request that may begin a plain turn, None for any other."""
    text, conversation = request.get("input"), request.get("conversation")
    if type(text) is not str or not 0 < len(text) <= LONGEST_TEXT or request.get("store") is False:
        return None
    rest = {key: value for key, value in request.items() if key not in _FREE}
    if not rest.keys() <= _SHAPING:
        return None
    name = orjson.dumps([conversation is None, rest])
    return None if len(name) > LONGEST_SHAPE else _new(Shape, (name, text, request.get("previous_response_id")))


_FREE = frozenset(("input", "previous_response_id", "conversation"))


class Plans:
    """The plans of one engine, by shape; any thread may ask and learn."""

    def __init__(self) -> None:
        self._plans: dict[bytes, Plan | str | None] = {}

    def find(self, shape: Shape) -> Plan | None:
        """The plan of a shape, None where there is none."""
        plan = self._plans.get(shape.name)
        return plan if isinstance(plan, Plan) else None

    def learn(self, shape: Shape, admission: Admission, reply: Reply, turn: Turn, rules: Semantics) -> None:
        """Learn from a turn that was made without a plan, if it is at least the second of its shape."""
        if shape.name not in self._plans:
            if len(self._plans) >= MOST_SHAPES:
                self._plans.clear()
            self._plans[shape.name] = _SEEN
        elif self._plans[shape.name] is _SEEN and _was_plain(shape, admission, reply, turn):
            self._plans[shape.name] = _learn(shape, admission, turn, rules)


_SEEN = "seen"


def _was_plain(shape: Shape, admission: Admission, reply: Reply, turn: Turn) -> bool:
    """Whether nothing but texts, ids, times and counts can differ in another turn of the same shape."""
    model, final = admission.model, turn.final
    if model.reasoning or model.cl100k or model.checks_prefix:
        return False
    node = turn.node
    if (
        final["status"] != "completed"
        or not turn.stored
        or turn.learned
        or turn.handed_out
        or node.cues
        or node.include
    ):
        return False
    if admission.dropped or admission.compacts or admission.configuration is not None or not is_plain(admission.before):
        return False
    said = [part.get("text") for item in node.items for part in item["content"]]
    text = text_of(reply, model)
    return text is not None and said == [shape.text, text]


def is_plain(before: Summary) -> bool:
    """Whether a context is one of texts alone, of which nothing is owed, configured or hidden."""
    _, _, pending, reasoned, configuration, orphaned, _, _, _, prefix = before
    return not (pending or reasoned or configuration or orphaned or prefix)


# Stand in for what differs while a template is made; a Response that holds one of them by chance gets no plan.
_COUNTED = ("created", "input", "written", "cached", "output", "total")
_TEXTS = {key: f"understudy\x1a{key}" for key in ("id", "item", "text", "parent", "conversation")}
_NUMBERS = {key: 8_610_203_040_000 + place for place, key in enumerate(_COUNTED)}


def _learn(shape: Shape, admission: Admission, turn: Turn, rules: Semantics) -> Plan | None:
    """The plan of a turn that was plain; None if its Response can't be a template."""
    final, node = turn.final, turn.node
    template = _template_of(final)
    if template is None or node.summary.tally is None or admission.before.tally is None:
        return None
    asked, answered = node.items
    question, answer = rules.count(shape.text), rules.count(answered["content"][0]["text"])
    return Plan(
        admission.model,
        final,
        template,
        asked,
        answered,
        context.begin_count(admission.model),
        admission.input_tokens - admission.tally.total,
        admission.tally.total - admission.before.tally.total - question,
        node.summary.tally.total - admission.tally.total - answer,
        final["usage"]["output_tokens"] - answer,
        node.summary.tally.answered,
        node.streamed,
    )


def _template_of(final: dict[str, Any]) -> bytes | None:
    """A Response's JSON with `%` where turns differ; None if it holds what stands for that."""
    (item,) = final["output"]
    marked = _fill_response(final, item, _TEXTS, _NUMBERS)
    body = json_body(marked).replace(b"%", b"%%")
    for key, text in _TEXTS.items():
        known = key != "conversation" or "conversation" in final
        if body.count(json_body(text)) != known:
            return None
        body = body.replace(json_body(text), b"%%(%b)b" % key.encode())
    for key, number in _NUMBERS.items():
        if body.count(b"%d" % number) != 1 + (key == "created"):
            return None
        body = body.replace(b"%d" % number, b"%%(%b)d" % key.encode())
    return body


def _fill_response(
    sample: dict[str, Any], item: dict[str, Any], texts: Mapping[str, str | None], numbers: Mapping[str, int]
) -> dict[str, Any]:
    """A Response like a sample, with what differs from turn to turn."""
    response = sample.copy()
    response["id"], response["previous_response_id"] = texts["id"], texts["parent"]
    response["created_at"] = response["completed_at"] = numbers["created"]
    if "conversation" in response:
        response["conversation"] = {"id": texts["conversation"]}
    part = {**item["content"][0], "text": texts["text"]}
    response["output"] = [{**item, "id": texts["item"], "content": [part]}]
    response["usage"] = {
        **sample["usage"],
        "input_tokens": numbers["input"],
        "input_tokens_details": {"cache_write_tokens": numbers["written"], "cached_tokens": numbers["cached"]},
        "output_tokens": numbers["output"],
        "total_tokens": numbers["total"],
    }
    return response


class Opening(NamedTuple):
    """A plain turn of which the model has not spoken yet: what it goes on from, what it asks, and what that costs.

    `read` are the tokens of the context with the question, `sent` those that are billed; `ids` are the turn's.
    """

    plan: Plan
    shape: Shape
    lineage: Lineage
    before: Summary
    asked: dict[str, Any]
    ids: tuple[str, ...]
    id_generator: IdGenerator
    read: int
    sent: int

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
    lineage = FRESH
    if shape.parent is not None or "conversation" in request:
        lineage = resolve_lineage(state, request, rules, now)
    before = plan.before if lineage.head is None else lineage.summary
    if not _continues_plainly(plan, lineage, before) or before.tally is None:
        return None
    model = plan.model
    if rules.shutdown_models == "refuse" and catalog.is_shut_down(model, now):
        return None
    read = before.tally.total + plan.question + rules.count(shape.text)
    sent = read + plan.prompt
    if sent > model.max_input_tokens:
        return None
    ids = ids.in_partition(lineage.partition)
    row = ids.row(_PREFIXES)
    asked = {**plan.asked, "id": row[0], "content": [{"type": "input_text", "text": shape.text}]}
    return _new(Opening, (plan, shape, lineage, before, asked, row, ids, read, sent))


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
) -> tuple[Turn, bytes] | None:
    """The turn whose model says a text, and its body; None if that is too long to be plain."""
    plan, shape, lineage, before, asked, (_, item_id, id), ids, read, sent = opening
    model, created, said = plan.model, int(now), rules.count(text)
    written = said + plan.output
    if written > min(model.max_output_tokens, model.context_window - sent):
        return None
    recalled = NOTHING
    if sent >= MIN_TOKENS:
        recalled = lookup(state, _admit(opening, request), rules, now)
    conversation = None if lineage.conversation is None else lineage.conversation.id
    counts = (created, sent, recalled.written, recalled.cached, written, sent + written)
    numbers = dict(zip(_COUNTED, counts, strict=True))
    texts = {"id": id, "item": item_id, "text": text, "parent": shape.parent, "conversation": conversation}
    final = _fill_response(plan.response, plan.answered, texts, numbers)
    items = [asked, final["output"][0]]
    tally = _new(Tally, (read + said + plan.answer, 0, 0, (), plan.phased))
    trail = None if recalled.trail is None else extend_all(recalled.trail, items[1:])
    summary = _new(
        Summary,
        (before.count + 2, before.turn + 1, before.pending, False, None, None, before.cost_class, tally, trail, None),
    )
    partition, streamed = ids.partition, plan.streamed
    node = _new(
        Node,
        (id, lineage.head, items, 1, created, summary, partition, "completed", conversation, False, [], {}, streamed),
    )
    body = plan.body % {
        b"id": b'"%b"' % id.encode(),
        b"item": b'"%b"' % item_id.encode(),
        b"text": json_body(text),
        b"parent": b"null" if shape.parent is None else b'"%b"' % shape.parent.encode(),
        b"conversation": b"null" if conversation is None else json_body(conversation),
        b"created": created,
        b"input": sent,
        b"written": recalled.written,
        b"cached": recalled.cached,
        b"output": written,
        b"total": sent + written,
    }
    return Turn(final, node, True, conversation, recalled.changes), body


def _admit(opening: Opening, request: dict[str, Any]) -> Admission:
    """The request as the prompt cache reads it."""
    plan, _, lineage, before, asked, _, ids, read, sent = opening
    return Admission(request, plan.model, lineage, ids, [asked], before, Tally(read), sent, stored=True)


def _continues_plainly(plan: Plan, lineage: Lineage, before: Summary) -> bool:
    """Whether the context of a turn is a plain one, counted as the plan's, that nothing else goes on from now."""
    if not is_plain(before) or before.cost_class != plan.before.cost_class or before.tally is None:
        return False
    if lineage.conversation is not None and lineage.conversation.running is not None:
        return False
    return not (before.tally.reasoning_now or before.tally.reasoning_before or before.tally.pending)


_PREFIXES = ("msg", "msg", "resp")
