"""The ledger: what the API knew when each request came, worked out from requests and answers alone."""

# It is read like an account: an interaction at a time, in order. `key_of` says what a request asks in the state so far;
# `note` books what its answer made of it.
#
# * A context is a linked list of steps: its parent, the canonical items of its own, and a hash that rolls over all of
#   them. Two contexts are equal exactly if their hashes are, so a key costs the same at any depth.
# * A response's context is its request's, then its output. A conversation's context is what was appended to it: by
#   hand, and by turns that finished (Spec: R2.10). Items are taken out of it by id where the id is known, else the
#   removal itself is an item of the context: what is not known must not look like nothing.
# * Encrypted content differs from run to run. What stands for it is where it came from: the place of its item in the
#   context that it was made in. So a blob in another place, or of another turn, is another question.
# * What is large is not held: a context has its hash, and the items of it are on disk (`spool`).
# * An output that nobody has read (of a background turn that was never polled) stands in the context as just that.
# * What a turn makes of a ledger depends on its bytes and on the context that it goes on from. On the same context a
#   replay repeats that step (`repeat`): to work it out anew would be half of what a turn costs.
#
# What must stay true: two ledgers that have noted the same interactions give the same keys. Nothing here looks at time,
# randomness or the order of a dict.

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, NamedTuple
from urllib.parse import unquote

from proxy.cassettes.canonical import BLOB, IGNORED, blanks_of, canonical_fields, canonical_item, encode, raw_items
from proxy.cassettes.interaction import Interaction, Request
from proxy.cassettes.spool import SMALL, Spool, Stored, loaded

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"
# turns, and what is asked about a turn that is not made
TURNS = frozenset((RESPONSES, f"{RESPONSES}/compact", f"{RESPONSES}/input_tokens"))
_FINISHED = ("completed", "incomplete")
_CONVERSATION_ITEMS = re.compile(r"/v1/conversations/([^/]+)/items(?:/([^/]+))?$")
_CONVERSATION = re.compile(r"/v1/conversations/([^/]+)$")


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """Items that a model sees, oldest first: those of `parent`, then its own. `names` number the ties of all."""

    parent: Context | None
    items: tuple[Any, ...]
    raw: tuple[Any, ...]
    digest: bytes
    count: int
    names: Mapping[str, int]

    def steps(self) -> list[Context]:
        """The contexts from the first to this one."""
        steps: list[Context] = []
        step: Context | None = self
        while step is not None:
            steps.append(step)
            step = step.parent
        return steps[::-1]

    def all_items(self) -> list[Any]:
        """The canonical items."""
        return loaded(item for step in self.steps() for item in step.items)

    def last_items(self, most: int) -> list[Any]:
        """The last canonical items, so many at most."""
        found: list[Any] = []
        step: Context | None = self
        while step is not None and len(found) < most:
            found = [*step.items[len(found) - most :], *found]
            step = step.parent
        return loaded(found)

    def all_raw(self) -> list[Any]:
        """The items as they were sent and answered."""
        return loaded(item for step in self.steps() for item in step.raw)


EMPTY = Context(None, (), (), b"", 0, {})


class Step(NamedTuple):
    """What a turn has made of a ledger: its response's context after `before`, which its parent named, and its items.

    It is the same for each ledger in which `before` is what the parent means. Its items are known to the ledger that
    made it.
    """

    parent: str | None
    conversation: str | None
    before: Context
    response: str
    asked: Context
    answered: Context
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """What a request asks: the endpoint, fields by name, and the context where it is a turn."""

    endpoint: str
    fields: Mapping[str, Any]
    context: Context | None = None
    digest: bytes = field(init=False)

    def __post_init__(self) -> None:
        context = b"-" if self.context is None else self.context.digest
        text = b"\0".join((self.endpoint.encode(), encode(self.fields), context))
        object.__setattr__(self, "digest", blake2b(text, digest_size=16).digest())

    def keep_fields(self, spool: Spool) -> Key:
        """The same key, its large fields on disk."""
        kept = copy(self)
        object.__setattr__(kept, "fields", {name: spool.keep(value) for name, value in self.fields.items()})
        return kept

    def loaded_fields(self) -> dict[str, Any]:
        """The fields, those on disk read."""
        return dict(zip(self.fields, loaded(self.fields.values()), strict=True))


class Ledger:
    """What is known after some interactions; `fallback` is asked about ids that they did not bring."""

    def __init__(
        self, ignored: frozenset[str] = IGNORED, fallback: Ledger | None = None, *, blobs: bool = True
    ) -> None:
        self._ignored = ignored
        self._blanks = blanks_of(ignored)
        self._compares_blobs = blobs
        self._fallback = fallback
        self.spool: Spool = Spool() if fallback is None else fallback.spool
        self.responses: dict[str, Context] = {}
        self.conversations: dict[str, Context] = {}
        self._inputs: dict[str, Context] = {}  # of responses whose output has not come yet
        self._items: dict[str, Any] = {}
        self._blobs: dict[str, int] = {}
        self.origins: dict[str, str] = {}

    # --- what a request asks -------------------------------------------------------------------------------------

    def key_of(self, request: Request) -> Key:
        """The key of a request in the state so far."""
        path = unquote(request.path)
        body = request.value
        endpoint = "WEBSOCKET" if request.socket else request.method
        if isinstance(body, dict) and (request.socket or (request.method == "POST" and path in TURNS)):
            if request.socket and body.get("type") != "response.create":
                return Key(f"{endpoint} {body.get('type')}", self._located(body))
            fields = canonical_fields({name: value for name, value in body.items() if name != "type"}, self._ignored)
            return Key(f"{endpoint} {path}", self._blank(fields), self.context_of(body))
        fields = {"query": self._located(_query(request.query))} if request.query else {}
        if isinstance(body, dict):
            fields |= self._located({name: value for name, value in body.items() if name not in self._ignored})
        elif body is not None or request.body:
            fields["body"] = self._located(body) if body is not None else request.body.decode(errors="replace")
        return Key(f"{endpoint} {'/'.join(self._place(part) for part in path.split('/'))}", self._blank(fields))

    def context_of(self, body: Mapping[str, Any]) -> Context:
        """What the model sees for the body of a turn."""
        return self.extend(self.parent_of(body), raw_items(body.get("input")))

    def parent_of(self, body: Mapping[str, Any]) -> Context:
        """What a turn goes on from: a response, a conversation, or nothing; an unknown one is an item of its own."""
        return self._find_parent(*_parents_of(body))

    def _find_parent(self, parent: str | None, conversation: str | None) -> Context:
        if parent is not None:
            return self.find_response(parent) or self._unknown("response", parent)
        if conversation is not None:
            return self.find_conversation(conversation) or self._unknown("conversation", conversation)
        return EMPTY

    def find_response(self, id: str) -> Context | None:
        """The context after a response, None for an unknown one."""
        found = self.responses.get(id)
        if found is None and id in self._inputs:
            return self.extend(self._inputs[id], [{"type": "unread_output"}])
        return found or (self._fallback.find_response(id) if self._fallback else None)

    def find_conversation(self, id: str) -> Context | None:
        """The context of a conversation, None for an unknown one."""
        return self.conversations.get(id) or (self._fallback.find_conversation(id) if self._fallback else None)

    def _unknown(self, kind: str, id: str) -> Context:
        return self.extend(EMPTY, [{"type": f"unknown_{kind}", "name": self._locate(id)}])

    def _locate(self, text: str) -> str:
        """Where an id comes from, for a known one; any other text as it is."""
        return self.origins.get(text) or (self._fallback.origins.get(text) if self._fallback else None) or text

    def _place(self, part: str) -> str:
        """A part of a path: in braces where an id comes from, for a known one."""
        origin = self._locate(part)
        return part if origin is part else f"{{{origin}}}"

    def _located(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._locate(value)
        if isinstance(value, list):
            return [self._located(member) for member in value]
        if isinstance(value, dict):
            return {name: self._located(member) for name, member in value.items()}
        return value

    def _blank(self, value: Any) -> Any:
        """A value without the texts that are not compared."""
        if not self._blanks:
            return value
        if isinstance(value, str):
            for pattern in self._blanks:
                value = pattern.sub("…", value)
            return value
        if isinstance(value, list):
            return [self._blank(member) for member in value]
        if isinstance(value, dict):
            return {name: self._blank(member) for name, member in value.items()}
        return value

    # --- contexts ------------------------------------------------------------------------------------------------

    def extend(self, context: Context, items: list[Any]) -> Context:
        """A context with more items."""
        if not items:
            return context
        names = dict(context.names)
        kept, raw = [], []
        digest = context.digest
        for item in items:
            item = self._resolve(item)
            canonical = self._blank(canonical_item(item, names, self._blob_of(item)))
            text = encode(canonical)
            digest = blake2b(digest + text, digest_size=16).digest()
            kept.append(self.spool.keep(canonical, text))
            # the canonical form is a little smaller, but for sealed content: an item that is small in it is small
            sealed = isinstance(item, dict) and BLOB in item
            small = len(text) <= SMALL // 2 and not sealed and not self._blanks
            raw.append(item if small else self.spool.keep(item))
        return Context(context, tuple(kept), tuple(raw), digest, context.count + len(kept), names)

    def _resolve(self, item: Any) -> Any:
        """The item that an `item_reference` means, where it is known."""
        if isinstance(item, dict) and item.get("type") == "item_reference":
            return self.find_item(item.get("id")) or {**item, "name": self._locate(str(item.get("id")))}
        return item

    def find_item(self, id: Any) -> Any:
        """An item that some answer has shown, None for an unknown one."""
        item = self._items.get(id)
        if item is None:
            return self._fallback.find_item(id) if self._fallback else None
        return item.load() if isinstance(item, Stored) else item

    def _blob_of(self, item: Any) -> Any:
        blob = item.get(BLOB) if isinstance(item, dict) and self._compares_blobs else None
        if not isinstance(blob, str):
            return None
        place = self._place_of(blob)
        return f"unknown {blake2b(blob.encode(), digest_size=6).hexdigest()}" if place is None else f"of item {place}"

    def _place_of(self, blob: str) -> int | None:
        place = self._blobs.get(blob)
        return self._fallback._place_of(blob) if place is None and self._fallback else place

    # --- what an answer makes of it ------------------------------------------------------------------------------

    def note(self, interaction: Interaction) -> Step | None:
        """Book an interaction; `key_of` its request was asked before, if it was asked.

        Returns the step that others may repeat, None where they have to work it out themselves.
        """
        request, response = interaction.request, interaction.response
        if response.status >= 300:
            return None
        path, body, resource = unquote(request.path), request.value, interaction.resource
        turn = request.socket or (request.method == "POST" and path == RESPONSES)
        step = None
        if turn and isinstance(body, dict):
            step = self._note_turn(body, resource, interaction)
        elif request.method in ("POST", "DELETE") and path.startswith(CONVERSATIONS):
            self._note_conversation(request.method, path, body, resource, interaction)
        elif isinstance(resource, dict) and resource.get("object") == "response":
            self._note_response(resource)
        self._learn(resource, interaction)
        return step

    def repeat(self, step: Step) -> bool:
        """Book what an interaction has made of the ledger behind this one, if it makes the same of this one."""
        if self._fallback is None or not self.is_before(step):
            return False
        self._inputs[step.response], self.responses[step.response] = step.asked, step.answered
        if step.conversation is not None:
            self.conversations[step.conversation] = step.answered
        for id in step.items:
            self._items.setdefault(id, self._fallback._items[id])
        return True

    def is_before(self, step: Step) -> bool:
        """Whether a step goes on from what its parent is now."""
        return self._find_parent(step.parent, step.conversation) is step.before

    def _note_turn(self, body: Mapping[str, Any], resource: Any, interaction: Interaction) -> Step | None:
        if not isinstance(resource, dict) or not isinstance(resource.get("id"), str):
            return None
        id, (parent, conversation) = resource["id"], _parents_of(body)
        before, own = self._find_parent(parent, conversation), raw_items(body.get("input"))
        asked = self._inputs[id] = self.extend(before, own)
        output = _output_of(resource, interaction)
        self._note_output(resource, output)
        if resource.get("status") not in _FINISHED:
            return None
        answered = self.responses[id]
        if conversation is not None:
            self.conversations[conversation] = answered
        items = tuple([item["id"] for item in _shown_items(resource)])
        if not _mean_the_same_everywhere([*own, *output]) or any(map(self._items.__contains__, items)):
            return None
        return Step(parent, conversation, before, id, asked, answered, items)

    def _note_response(self, resource: Mapping[str, Any]) -> None:
        """Book the output of a response that was read later: of a background turn, or a stream that was resumed."""
        if resource.get("id") in self._inputs and resource["id"] not in self.responses:
            self._note_output(resource, _items_in(resource.get("output")))
            conversation = conversation_of(resource)
            if conversation is not None and resource.get("status") in _FINISHED:
                self.conversations[conversation] = self.responses[resource["id"]]

    def _note_output(self, resource: Mapping[str, Any], output: list[Any]) -> None:
        """Book a response's context, once its output is there."""
        if resource.get("status") in ("queued", "in_progress") and not output:
            return
        before = self._inputs[resource["id"]]
        for place, item in enumerate(output, before.count + 1):
            if isinstance(item, dict) and isinstance(item.get(BLOB), str):
                self._blobs.setdefault(item[BLOB], place)
        self.responses[resource["id"]] = self.extend(before, output)

    def _note_conversation(self, method: str, path: str, body: Any, resource: Any, interaction: Interaction) -> None:
        if method == "POST" and path == CONVERSATIONS and isinstance(resource, dict):
            items = _items_in(body.get("items")) if isinstance(body, dict) else []
            self.conversations[str(resource.get("id"))] = self.extend(EMPTY, raw_items(items))
        elif found := _CONVERSATION_ITEMS.match(path):
            id, item = found[1], found[2]
            context = self.find_conversation(id) or self._unknown("conversation", id)
            if method == "DELETE" and item:
                self.conversations[id] = self._without(context, item)
            elif method == "POST" and not item and isinstance(resource, dict):
                self.conversations[id] = self.extend(context, _items_in(resource.get("data")))
        elif method == "DELETE" and (found := _CONVERSATION.match(path)):
            self.conversations.pop(found[1], None)

    def _without(self, context: Context, id: str) -> Context:
        """A conversation's context without an item."""
        item = self.find_item(id)
        raw = context.all_raw()
        wanted = None if item is None else encode(canonical_item(item, {}, None))
        for index in range(len(raw) - 1, -1, -1):
            known = isinstance(raw[index], dict) and raw[index].get("id") == id
            if known or (wanted is not None and encode(canonical_item(raw[index], {}, None)) == wanted):
                return self.extend(EMPTY, [*raw[:index], *raw[index + 1 :]])
        return self.extend(context, [{"type": "deleted_item", "name": self._locate(id)}])

    def _learn(self, resource: Any, interaction: Interaction) -> None:
        """Remember the items that an answer shows, and where each id in it comes from."""
        for item in _shown_items(resource):
            if item["id"] not in self._items:
                self._items[item["id"]] = self.spool.keep(item)
        for kind, id in _ids_in(resource):
            if id not in self.origins and not (self._fallback and id in self._fallback.origins):
                self.origins[id] = f"{kind} of interaction {interaction.id}"


def _parents_of(body: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """The response that a turn goes on from, else the conversation; the API takes no turn with both."""
    parent = body.get("previous_response_id")
    return (parent, None) if isinstance(parent, str) else (None, conversation_of(body))


def _mean_the_same_everywhere(items: list[Any]) -> bool:
    """Whether no item names another one or has content whose origin counts, for these mean what a ledger knows."""
    return all(type(item) is dict and item.get("type") != "item_reference" and BLOB not in item for item in items)


def conversation_of(body: Mapping[str, Any]) -> str | None:
    """The id of the conversation that a body or a Response names."""
    conversation = body.get("conversation")
    id = conversation.get("id") if isinstance(conversation, dict) else conversation
    return id if isinstance(id, str) else None


def _items_in(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _output_of(resource: Mapping[str, Any], interaction: Interaction) -> list[Any]:
    """The output of a turn; of a stream that broke off, the items that were done."""
    output = _items_in(resource.get("output"))
    if output or not interaction.events:
        return output
    done = [event for event in interaction.events if event.get("type") == "response.output_item.done"]
    return [event.get("item") for event in done]


def _shown_items(resource: Any) -> Iterator[Any]:
    if not isinstance(resource, dict):
        return
    for listed in (resource.get("output"), resource.get("data"), [resource]):
        for item in _items_in(listed):
            if isinstance(item, dict) and isinstance(item.get("id"), str) and "type" in item:
                yield item


def _ids_in(resource: Any) -> Iterator[tuple[str, str]]:
    """Yield the ids that an answer brings, each with what it is of."""
    if not isinstance(resource, dict):
        return
    if isinstance(resource.get("id"), str):
        yield str(resource.get("object") or resource.get("type") or "object"), resource["id"]
    for listed in (resource.get("output"), resource.get("data")):
        for number, item in enumerate(_items_in(listed), 1):
            if isinstance(item, dict) and isinstance(item.get("id"), str):
                yield f"{item.get('type') or item.get('object') or 'object'} {number}", item["id"]


def _query(query: str) -> dict[str, Any]:
    """A query as an object, in the order of its names: which of two comes first says nothing."""
    pairs = [part.partition("=") for part in query.split("&") if part]
    values: dict[str, list[str]] = {}
    for name, _, value in sorted((unquote(name), "", unquote(value)) for name, _, value in pairs):
        values.setdefault(name, []).append(value)
    return {name: found[0] if len(found) == 1 else found for name, found in values.items()}
