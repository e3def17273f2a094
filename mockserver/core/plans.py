"""Plans: what plain turns of one shape have in common, learnt from one of them.

The shape of a request is all that it says except its input and its parent. Most requests of a test or of a load have
one of a few shapes, and then only ids, texts, times and token counts differ from turn to turn.
"""

# How it works. A plan is learnt, not written down: the second time that a shape comes, its turn is answered in the
# ordinary way (`admission`, the model, `turn.plan`), and if it was plain, its Response becomes a template and what was
# counted around its two texts becomes a few numbers. So no rule of the API stands here a second time: echoes, defaults,
# key order and frames are those of the turn that was learnt from. The third such request only fills in the template
# (`plain_turn`).
#
# What must stay true: whatever could make a difference (`was_plain`) leaves a shape without a plan.

from __future__ import annotations

from operator import itemgetter
from typing import Any, NamedTuple

from mockserver.core import context
from mockserver.core.admission import Admission
from mockserver.core.lineage import KnownConversations, KnownResponses, is_plain
from mockserver.core.plan_marks import NUMBERS, TEXTS, is_marked_once, mark_node, to_template
from mockserver.core.semantics import Semantics
from mockserver.core.state import Summary
from mockserver.core.text_prompts import TextPrompts, text_prompts
from mockserver.core.turn import Turn, public_events
from mockserver.delivery.events import is_token
from mockserver.wire.catalog import Model
from mockserver.wire.responses.encoding import json_body
from mockserver.wire.responses.event_list import LINES, SSE, Template, write
from mockserver.wire.responses.events import Event
from mockserver.wire.responses.text_template import TextTemplate


class Stream(NamedTuple):
    """What stands in a stream before its deltas, and after them."""

    head: Template
    tail: Template


class Plan(NamedTuple):
    """What turns of one shape have in common.

    `named` is the model as a Response names it, `body` the JSON of a Response as a template, `asked` and `answered` are
    its two items to be copied. `node` is its node's document as a template, `stream` that of its events, if there are
    any. Token counts are without those of the texts: `prompt` what stands around the context, `question` and `answer`
    the frames of the two messages as they are read, `output` that of the answer as it is written. `prompts` is what the
    prompt cache knows of theirs, `responses` and `chats` what turns of any shape go on from. `instructions` are those
    of the Response.
    """

    model: Model
    named: str
    body: TextTemplate
    node: TextTemplate
    stream: Stream | None
    asked: dict[str, Any]
    answered: dict[str, Any]
    before: Summary
    prompt: int
    question: int
    answer: int
    output: int
    phased: bool
    prompts: TextPrompts
    responses: KnownResponses
    chats: KnownConversations
    instructions: Any


class Shape(NamedTuple):
    """A request taken apart: what it asks, what it goes on from, and the name of all else."""

    name: bytes
    text: str
    parent: str | None


def was_plain(shape: Shape, admission: Admission, text: str | None, turn: Turn) -> bool:
    """Whether nothing but texts, ids, times and counts can differ in another turn of the same shape.

    `text` is what its model said, if that was a text and nothing else.
    """
    model, final = admission.model, turn.final
    if text is None or model.reasoning or model.cl100k or model.checks_prefix:
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
    return [part.get("text") for item in node.items for part in item["content"]] == [shape.text, text]


def learn_plan(
    shape: Shape,
    admission: Admission,
    turn: Turn,
    rules: Semantics,
    responses: KnownResponses,
    chats: KnownConversations,
) -> Plan | None:
    """The plan of a turn that was plain; None if its Response can't be a template."""
    final, node = turn.final, turn.node
    tally = node.summary.tally
    if tally is None or admission.before.tally is None:
        return None
    asked, answered = node.items
    id, item, text, parent, chat = itemgetter("id", "item", "text", "parent", "chat")(TEXTS)
    numbers = itemgetter("created", "input", "written", "cached", "output", "total")(NUMBERS)
    marked = _fill_response(final, answered, id, item, text, parent, chat, *numbers)
    body = json_body(marked)
    if not is_marked_once(body, final):
        return None
    question, answer = rules.count(shape.text), rules.count(answered["content"][0]["text"])
    marked_asked = {**asked, "id": TEXTS["asked"], "content": [{"type": "input_text", "text": TEXTS["sent"]}]}
    return Plan(
        admission.model,
        final["model"],
        to_template(body, text="printed_text"),
        to_template(mark_node(node, [marked_asked, *marked["output"]]).doc()),
        _learn_stream(marked, turn, rules) if node.streamed else None,
        asked,
        answered,
        context.begin_count(admission.model),
        admission.input_tokens - admission.tally.total,
        admission.tally.total - admission.before.tally.total - question,
        tally.total - admission.tally.total - answer,
        final["usage"]["output_tokens"] - answer,
        tally.answered,
        text_prompts(admission.request, admission.model, rules),
        responses,
        chats,
        final["instructions"],
    )


def _learn_stream(marked: dict[str, Any], turn: Turn, rules: Semantics) -> Stream:
    """The stream of a turn whose Response is given with marks."""
    events = public_events(marked, turn.node.cues, rules)
    deltas = [at for at, event in enumerate(events) if is_token(event)]
    tail = [{**event, "sequence_number": NUMBERS[f"n{at}"]} for at, event in enumerate(events[deltas[-1] + 1 :])]
    return Stream(_template_of(events[: deltas[0]]), _template_of(tail))


def _template_of(events: list[Event]) -> Template:
    return Template(len(events), to_template(write(events, SSE)), to_template(write(events, LINES)))


def _fill_response(
    sample: dict[str, Any],
    item: dict[str, Any],
    id: str,
    item_id: str,
    text: str,
    parent: str | None,
    chat: str | None,
    created: int,
    read: int,
    written: int,
    cached: int,
    output: int,
    total: int,
) -> dict[str, Any]:
    """A Response like a sample, with what differs from turn to turn."""
    part = {**item["content"][0], "text": text}
    response = {
        **sample,
        "id": id,
        "created_at": created,
        "completed_at": created,
        "previous_response_id": parent,
        "output": [{**item, "id": item_id, "content": [part]}],
        "usage": {
            **sample["usage"],
            "input_tokens": read,
            "input_tokens_details": {"cache_write_tokens": written, "cached_tokens": cached},
            "output_tokens": output,
            "total_tokens": total,
        },
    }
    if "conversation" in sample:
        response["conversation"] = {"id": chat}
    return response
