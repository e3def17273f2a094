"""A turn is a value: the response it ends in, from which every event of it follows. Spec: S8, S9, S12.

`plan` makes a turn of an admission and a reply; `events_of` spells it out; `fold` is the one accumulator back from
events to a response; `deliver` lays it out in time.
"""

# How it works. `plan` finishes the model's items, counts them and builds the terminal Response. That is the whole
# turn: JSON body, stream, poll and replay are all computed from it, whenever somebody asks. `events_of` writes
# the events one after the other, numbered from 0; `fold` reads them back; `deliver` puts waiting between them.
#
# What must stay true:
# * The same Response gives the same events, always: nothing but the Response and its cues is stored for a replay,
#   and `starting_after` counts on the numbers. Whatever varies (padding, pieces) is drawn from the response's id
#   and text.
# * fold(events_of(final)) == final. The terminal event could be taken at its word; instead the output is rebuilt
#   from the items' own events, so that a stream that tells something else than its end is found out (S9).
# * `created` is the terminal Response with everything taken back that was not known then (W18): no output, no
#   usage, the service tier as asked for.
# * A value that has been made is not changed. A turn that takes time is another turn, with another
#   `completed_at`.
# * What is sealed here (hidden reasoning, a summary) stays beside the items until they have been counted, so that
#   no blob is opened in the turn that made it.

from __future__ import annotations

from collections.abc import Mapping
from operator import methodcaller
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from mockserver.core import compaction, context, tool_pairing
from mockserver.core.admission import Admission
from mockserver.core.context_hash import extend_all
from mockserver.core.encrypted_content import NOTHING_OPENED, DecryptedItems, decrypt, encrypt
from mockserver.core.logprobs import precise_logprobs, round_logprobs, with_logprobs
from mockserver.core.prompt_cache import CacheLookup
from mockserver.core.records import Change, _new
from mockserver.core.semantics import SEALED_REASONING, Semantics
from mockserver.core.state import Item, Node, Summary, decode_node
from mockserver.core.transitions import IN_PROGRESS, MODES, transition
from mockserver.delivery.events import events_of
from mockserver.delivery.item_events import Cues
from mockserver.model.output_limit import mark_cut
from mockserver.wire.responses import response_object
from mockserver.wire.responses.event_list import EventList
from mockserver.wire.responses.ids import IdGenerator
from mockserver.wire.responses.resources import order_keys, output_items, present
from mockserver.wire.tokens import context as context_tokens

_NOTHING_ELSE: Mapping[str, Any] = MappingProxyType({})

Figures = tuple[int, int, int]  # input tokens, how many of these were cached, output tokens


class Turn(NamedTuple):
    """One answered request: `final` is the terminal Response as a JSON body, `node` its step in the context.

    `learned` is what the prompt cache learns from it; `handed_out` are the blobs in it that the mock has not sealed,
    each with what is known of it.
    """

    final: dict[str, Any]
    node: Node
    stored: bool
    conversation: str | None = None
    learned: tuple[Change, ...] = ()
    handed_out: Mapping[str, Any] = _NOTHING_ELSE

    @property
    def id(self) -> str:
        """The response's id."""
        return self.final["id"]

    @property
    def parent(self) -> str | None:
        """The node that its own goes on from."""
        return self.node.parent

    @property
    def model(self) -> str:
        """The model that the response names."""
        return self.final["model"]

    @property
    def status(self) -> str:
        """How it ends."""
        return self.node.status

    @property
    def public_status(self) -> Any:
        """How the response says that it ends: a script may have changed that."""
        return self.final.get("status")

    @property
    def error(self) -> Any:
        """The error in the response, None where there is none."""
        return self.final["error"]

    @property
    def figures(self) -> Figures | None:
        """What is billed, None for a turn that failed."""
        usage = self.final["usage"]
        if usage is None:
            return None
        return usage["input_tokens"], usage["input_tokens_details"]["cached_tokens"], usage["output_tokens"]


class SerializedTurn(NamedTuple):
    """A completed, stored turn as its two documents: `body` is its response, `node_doc` its step in the context.

    Most turns are answered, written and never looked at again. Whoever wants the objects of one reads them from the
    documents, anew each time. `item_ids` are those of its items, `learned` what the prompt cache learns from it.
    The journal says of each turn what it went on from and was told: `previous_response_id`, the id of its
    `conversation`, and `instructions` are those of its response. It has no tools.
    """

    id: str
    model: str
    figures: Figures
    body: bytes
    node_doc: bytes
    parent: str | None
    item_ids: tuple[str, ...]
    learned: tuple[Change, ...] = ()
    public_status: str = "completed"
    previous_response_id: str | None = None
    conversation: str | None = None
    instructions: Any = None

    @property
    def final(self) -> dict[str, Any]:
        """The terminal Response as a JSON body."""
        return orjson.loads(self.body)

    @property
    def node(self) -> Node:
        """Its step in the context."""
        return decode_node(self.node_doc)

    @property
    def stored(self) -> bool:
        """Only such turns are kept as documents."""
        return True

    @property
    def status(self) -> str:
        """How it ends, as its response says."""
        return self.public_status

    @property
    def error(self) -> None:
        """A completed turn has none."""

    def without_documents(self) -> SerializedTurn:
        """What a journal keeps of it: the rest is in the store."""
        id, model, figures, _, _, parent, item_ids, _, *others = self
        return _new(SerializedTurn, (id, model, figures, b"", b"", parent, item_ids, (), *others))

    def read(self) -> Turn:
        """The same turn as objects."""
        node = self.node
        return Turn(self.final, node, True, node.conversation, self.learned)


AnyTurn = Turn | SerializedTurn


class Outcome(NamedTuple):
    """What a model's reply leaves open: how the turn ends and what was counted."""

    status: str
    error: dict[str, Any] | None
    reason: str | None
    usage: dict[str, Any] | None


def plan(
    admission: Admission, reply: Any, recalled: CacheLookup, rules: Semantics, now: float, *, warming: bool = False
) -> Turn:
    """Make a turn of a reply: items finished, usage counted, the terminal Response built.

    `reply` has the attributes of a model's Reply; its `error` has been raised before. `recalled` is what the prompt
    cache knows of the prompt. A turn that is only `warming` up does not count as one: nobody has spoken (R4.4).
    """
    finished = finish_items(admission, reply, rules, now)
    items, request = _with_async(finished.items, admission), admission.request
    outcome = _outcome(admission, reply, items, recalled, rules)
    # what a model or a script made of the turn must be an end that the table knows
    transition(MODES[request.get("background", False)], IN_PROGRESS, "end", to=outcome.status)
    identifier = finished.id_generator.new("resp")
    include = _include(admission, rules)
    conversation = None if admission.lineage.conversation is None else admission.lineage.conversation.id
    created = int(now)
    final = response_object.response_object(
        request,
        admission.model,
        identifier=identifier,
        created_at=created,
        stored=request.get("store", True),
        conversation=conversation,
        loaded=admission.loaded,
    )
    final["status"], final["error"], final["usage"] = outcome.status, outcome.error, outcome.usage
    final["output"] = [present(item, include) for item in items]
    if reply.model is not None:
        final["model"] = reply.model
    if outcome.status == "completed":
        final["completed_at"] = created
    if outcome.reason is not None:
        final["incomplete_details"] = {"reason": outcome.reason}
    if outcome.error is None:
        final["service_tier"] = response_object.final_tier(request.get("service_tier"))
        final["tool_usage"] = response_object.tool_usage(items)
    if admission.origin is not None and admission.origin.withheld:
        final = response_object.with_fields(final, admission.origin.echo)
    if reply.fields:
        final = response_object.with_fields(final, reply.fields)
    trail = None if recalled.trail is None else extend_all(recalled.trail, items)
    own = admission.items
    summary = context.add_turn(
        admission.before,
        own,
        admission.tally,
        items,
        admission.model,
        rules,
        hidden=finished.opened.token_counter(rules.count_hidden_tokens)
        if finished.opened.payloads
        else rules.count_hidden_tokens,
        turns=not warming,
        trail=trail,
        prefix=None if admission.origin is None else admission.origin.prefix_after(items),
    )
    if admission.configuration is not None or summary.configuration is not None:
        summary = _with_configuration(summary, admission, items)
    node = _new(
        Node,
        (
            identifier,
            admission.lineage.head,
            [*own, *items],
            len(own),
            created,
            summary,
            admission.id_generator.partition,
            outcome.status,
            conversation,
            False,
            sorted(include) if include else [],
            {**finished.cues, **response_object.cues_of(request)} if "service_tier" in request else finished.cues,
            bool(request.get("stream")),
        ),
    )
    learned = () if outcome.usage is None else recalled.changes  # a turn that fails leaves nothing behind
    return _new(Turn, (final, node, admission.stored, conversation, learned, finished.foreign))


def _with_async(items: list[Item], admission: Admission) -> list[Item]:
    """The output with `async` on the calls of tools that have it; before gpt-6 there are none. Spec: F8.9."""
    if not admission.model.async_tools:
        return items
    tools = admission.effective_request.get("tools")
    return tool_pairing.mark_async_calls(items, tools) if tools else items


def _with_configuration(summary: Summary, admission: Admission, output: list[Item]) -> Summary:
    """A turn's summary with what is configured after it: sealed items of its input say more than they show."""
    return summary._replace(configuration=context.apply_configuration(admission.configuration, output))


def _include(admission: Admission, rules: Semantics) -> frozenset[str]:
    """Return what of the items is shown: what the caller includes, and sealed reasoning as the switch has it."""
    sealed = admission.model.reasoning and (rules.encrypted_content, admission.stored) in _SEALED_UNASKED
    shown = _SEALED if sealed else _NOTHING
    asked = admission.request.get("include")
    return shown.union(asked) if asked else shown


_NOTHING: frozenset[str] = frozenset()
_SEALED = frozenset({SEALED_REASONING})

# (switch `encrypted_content`, whether the response is stored) in which sealed reasoning is shown unasked (Spec: R1.41)
_SEALED_UNASKED = frozenset({("always", True), ("always", False), ("stateless_or_included", False)})


class Finished(NamedTuple):
    """The output items of a turn, what was sealed in them, the source of the ids after theirs, and the cues.

    `foreign` is what is known of the blobs that came sealed.
    """

    items: list[Item]
    opened: DecryptedItems
    id_generator: IdGenerator
    foreign: Mapping[str, Any]
    cues: dict[str, dict[str, Any]]


def finish_items(admission: Admission, reply: Any, rules: Semantics, now: float) -> Finished:
    """The output items of a turn in full: ids, statuses, sealed reasoning, log probabilities where asked for."""
    drafts = reply.output if reply.incomplete is None else mark_cut(reply.output)
    items, id_generator = output_items(drafts, admission.id_generator)
    hidden = reply.reasoning_tokens
    payloads: dict[str | None, Any] = {}
    foreign: dict[str, Any] = {}
    scripted_logprobs = False
    for at, item in enumerate(items):
        kind, blob = item["type"], item.get("encrypted_content")
        if "encrypted_content" in item and not blob:
            continue  # a script wants it without
        if kind == "compaction":
            pending = tool_pairing.pending_after(admission.before.pending, [*admission.items, *items[:at]])
            # of a summary that came sealed nothing is known, nor billed (`_passes`)
            payload = compaction.payload(
                item["id"], 0 if blob else reply.summary_tokens, pending, admission.configuration
            )
        elif kind == "reasoning" and (blob or _needs_blob(item, drafts[at])):
            payload = {"tokens": hidden, "id": item["id"]}
            if admission.origin is not None:
                payload["origins"] = [list(admission.origin.origin_after(items[:at]))]
            hidden = 0  # one reply has one figure; its first reasoning item carries it
        else:
            if kind == "message":
                scripted_logprobs = scripted_logprobs or any(map(_logprobs_of, item["content"]))
            elif item.get("caller") and not drafts[at].get("status") and _waits_in_program(item, items):
                items[at] = {**item, "status": "in_progress"}
            continue
        if blob:  # a script's, which leaves as it is and is known again by its record (R1.42)
            inside = decrypt(blob, rules.key)
            if inside is None:
                foreign[blob] = payload
            else:  # the mock's own, from an earlier run
                payload = inside
        else:
            blob = encrypt(payload, rules.key, item["id"], now)
            items[at] = {**item, "encrypted_content": blob} if kind == "compaction" else _with_blob(item, blob)
        payloads[blob] = payload
    cues = dict(reply.cues) if reply.cues else {}
    if scripted_logprobs or "message.output_text.logprobs" in admission.request.get("include", ()):
        items, cues = _finish_logprobs(items, cues, admission.request, rules)
    opened = DecryptedItems(payloads) if payloads else NOTHING_OPENED
    return _new(Finished, (items, opened, id_generator, foreign, cues))


_logprobs_of = methodcaller("get", "logprobs")  # of a part of a message, None where it has none
_REASONING_ORDER = ("id", "type", "content", "encrypted_content", "summary")


def _with_blob(item: Item, blob: str) -> Item:
    sealed = {**item, "encrypted_content": blob}
    if len(sealed) == len(_REASONING_ORDER):  # as nearly always; what a script wrote may have more members, or fewer
        return {key: sealed[key] for key in _REASONING_ORDER}
    return order_keys(sealed)


def _needs_blob(item: Item, draft: Item) -> bool:
    """Whether reasoning is sealed: what is in the open is not, nor what a script says has no blob (null)."""
    return "encrypted_content" not in draft and not item.get("content")


def _waits_in_program(item: Item, items: list[Item]) -> bool:
    """Whether a function call comes from a program that has not ended: it stays in progress. Spec: I4, S8 c."""
    caller = item["caller"]
    if item["type"] != "function_call" or caller.get("type") != "program":
        return False
    return not any(one["type"] == "program_output" and one["call_id"] == caller.get("caller_id") for one in items)


def _finish_logprobs(
    items: list[Item], cues: dict[str, dict[str, Any]], request: Mapping[str, Any], rules: Semantics
) -> tuple[list[Item], dict[str, dict[str, Any]]]:
    """Make up what is missing, round it in items, and keep it for the events of whoever asked. Spec: S6.1."""
    included = "message.output_text.logprobs" in request.get("include", ())
    for at, item in enumerate(items):
        if item["type"] != "message":
            continue
        if included:
            item = with_logprobs(item, request.get("top_logprobs") or 0, rules.pieces)
            cues = {**cues, str(at): {**cues.get(str(at), {}), "logprobs": precise_logprobs(item)}}
        items[at] = round_logprobs(item)
    return items, cues


def _outcome(admission: Admission, reply: Any, items: list[Item], recalled: CacheLookup, rules: Semantics) -> Outcome:
    if reply.failed is not None:
        return Outcome("failed", dict(reply.failed), None, None)
    usage = _usage(admission, reply, items, recalled, rules)
    if reply.incomplete is not None:
        return Outcome("incomplete", None, reply.incomplete, usage)
    return _new(Outcome, ("completed", None, None, usage))


def _usage(
    admission: Admission, reply: Any, items: list[Item], recalled: CacheLookup, rules: Semantics
) -> dict[str, Any]:
    """The usage of a turn, counted by the formulas, figures of a script put over them. Spec: O2, T8, T13."""
    model, asked = admission.model, reply.usage
    output = reply.output_tokens
    if output is None:
        output = context_tokens.output_tokens(items, reply.reasoning_tokens, admission.request, model, rules.count)
    if reply.summary_tokens:
        output += reply.summary_tokens * _passes(reply)
    counted = {
        "input_tokens": admission.input_tokens,
        "input_tokens_details": {"cache_write_tokens": recalled.written, "cached_tokens": recalled.cached},
        "output_tokens": output,
        "output_tokens_details": {"reasoning_tokens": context_tokens.round_reasoning(reply.reasoning_tokens, model)},
        "total_tokens": 0,
    }
    if asked:
        _put_scripted_figures(counted, asked)
    if "total_tokens" not in asked:
        counted["total_tokens"] = counted["input_tokens"] + counted["output_tokens"]
    return counted


def _put_scripted_figures(counted: dict[str, Any], asked: Mapping[str, Any]) -> None:
    details = counted["output_tokens_details"]
    for key, value in asked.items():
        counted[key] = {**counted[key], **value} if isinstance(value, dict) else value
    scripted = counted["output_tokens_details"]["reasoning_tokens"]
    if "output_tokens" not in asked and scripted > counted["output_tokens"]:
        counted["output_tokens_details"] = details  # the limit cut the reasoning short, whatever the script says of it


def _passes(reply: Any) -> int:
    """Return how many compaction passes a turn is billed for: those that this mock made up. Spec: T10."""
    return sum(item["type"] == "compaction" and "encrypted_content" not in item for item in reply.output)


def public_events(final: dict[str, Any], cues: Cues, rules: Semantics, *, padded: bool | None = None) -> EventList:
    """A turn's events as the switches have them; `padded` is what the caller says of obfuscation."""
    return events_of(
        final,
        rules.pieces,
        obfuscate=rules.obfuscation == "on" and padded is not False,
        cues=cues,
        error_shape=rules.stream_error_shape,
        overflow=rules.stream_overflow,
    )
