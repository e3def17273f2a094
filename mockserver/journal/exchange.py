"""An exchange of the journal: the request, the line that answered, what the model saw, what changed, how it ended.

A `Call` is the request and never changes. An `Exchange` is its entry in the journal: the engine's recorder fills it in
while the call is in progress. Its document is made when it is written; most entries of a store in memory are never
written at all. Keys and passwords never get into a document.
"""

# How it works. An exchange moves through one process: the recorder fills it in, `document_of` makes its
# document when it is written, and `to_public` adds what can be worked out again when somebody reads (the parsed
# request). So an exchange that is never read costs little more than its fields.
#
# What must stay true: the members of a document are those of `Exchange` in the tests and of `/_mock/journal`,
# in this order; a document that another process wrote has to be readable here.

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from operator import itemgetter
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson

from mockserver.config.redaction import clean
from mockserver.core.records import Change, Put, _new
from mockserver.core.state import Node
from mockserver.core.turn import AnyTurn, SerializedTurn, Turn
from mockserver.journal import redaction
from mockserver.journal.relayed import TURNS, RelayedAnswer, error_in, outcome_of
from mockserver.wire.responses.encoding import encode_compact

KIND = "exchanges"
HEADER = 100  # bytes that a header takes besides its letters
NO_HEADERS: Mapping[bytes, bytes] = MappingProxyType({})


class Call(NamedTuple):
    """A request as it came in: decoded path, query pairs, headers by lower-case name, the whole body.

    `project` is None where the headers say it. `transport` is `http` or `websocket`: the rules of a socket differ.
    """

    method: str = "POST"
    path: str = "/v1/responses"
    body: bytes = b""
    project: str | None = None
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[bytes, bytes] = NO_HEADERS
    transport: str = "http"

    def header(self, name: bytes) -> str | None:
        """The value of a header, None if it was not sent; `name` in lower case."""
        value = self.headers.get(name)
        return None if value is None else value.decode("latin-1")


@dataclass(eq=False)  # without slots: then defaults are the class's, and an entry that begins sets three members
class Exchange:
    """A call's entry in the journal.

    `at` is the project's time (unix seconds), `started` and `seconds` are the process's own clock, `ended` is None
    while it is in progress. `number` is its place in the journal once it is written. After the end only the turn's id
    and what its model `saw` are stored, because a turn is large. `changes` is None where its turn by its documents
    tells all of them: a dozen objects less for each turn, all of which would be looked at for cycles. `waits` is true
    until it is written. A long one keeps its `document`, in pieces of which every other one may be shared, and nothing
    of what that was made from. `weight` is what it takes in memory, in bytes, `size` what its body, its headers, its
    line, its changes and its answer take, `line_size` its line alone, `head_size` its headers, once somebody has asked.
    `announced` is its number among those that a listener was told of, `first_bytes_s` the seconds until its first
    bytes, if more followed.
    What another than the mock has answered is `relayed`, and its `outcome` is read from that when somebody looks.
    """

    call: Call
    transport: str
    started: float = 0.0
    at: float | None = None
    status: int = 200
    error: dict[str, Any] | None = None
    line: Any = None
    line_size: int = 0
    head_size: int = 0
    misses: Sequence[dict[str, Any]] = ()
    turn: AnyTurn | None = None
    dropped: Collection[int] = ()
    changes: Sequence[Change] | None = ()
    faults: Sequence[str] = ()
    events: int = 0
    ended: str | None = None
    seconds: float = 0.0
    number: int | None = None
    response_id: str | None = None
    saw: Seen | SerializedTurn | dict[str, Any] | None = None
    waits: bool = False
    document: tuple[bytes, ...] | None = None
    weight: int = 0
    size: int = 0
    announced: int | None = None
    first_bytes_s: float | None = None
    relayed: RelayedAnswer | None = None
    outcome: dict[str, Any] | None = None

    @classmethod
    def begin(cls, call: Call, started: float) -> Exchange:
        """The entry of a call that has just come in."""
        exchange: Exchange = cls.__new__(cls)
        exchange.call, exchange.transport, exchange.started = call, call.transport, started
        return exchange


def head_size_of(exchange: Exchange) -> int:
    """The bytes that the headers of an exchange take, which may be most of it: 64 KB may be long ones, or 10,000."""
    size = exchange.head_size
    if not size:
        headers = exchange.call.headers
        size = HEADER * len(headers) + sum(map(len, headers)) + sum(map(len, headers.values()))
        exchange.head_size = size
    return size


def describe_source(line: Any, faults: Sequence[str], *, is_turn: bool) -> str | None:
    """Who answered: the place of a scripted line, a fault, the default model, None for a call that is no turn."""
    if line is not None:
        return str(line["place"])
    if faults:
        return f"fault {', '.join(faults)}"
    return "default model" if is_turn else None


class Entry(NamedTuple):
    """One exchange of a journal, to be read: its number and its document."""

    number: int
    doc: bytes


def release_sources(exchange: Exchange, document: tuple[bytes, ...]) -> None:
    """Keep only the document of an exchange that has ended, and let go what it was made from."""
    exchange.document = document
    exchange.call = exchange.call._replace(body=b"", headers=NO_HEADERS, query=())
    exchange.saw, exchange.changes, exchange.line, exchange.error, exchange.misses = None, (), None, None, ()


def release_turn(exchange: Exchange) -> None:
    """Drop the turn of an exchange, except for what its document needs of it."""
    turn = exchange.turn
    if turn is not None:
        saw = see(turn, exchange.dropped) if isinstance(turn, Turn) else turn.without_documents()
        exchange.response_id, exchange.saw, exchange.turn = turn.id, saw, None


def see(turn: Turn, dropped: Collection[int]) -> Seen:
    final, node = turn.final, None if turn.stored else turn.node
    return _new(Seen, (*_about_input(final), *map(final.get, _OPTIONAL), dropped, node))


def _see_serialized(turn: SerializedTurn) -> Seen:
    """The same of a turn by its documents, which are not read for it."""
    read, cached, written = turn.figures
    usage = {"input_tokens": read, "input_tokens_details": {"cached_tokens": cached}, "output_tokens": written}
    conversation = None if turn.conversation is None else {"id": turn.conversation}
    ended = None, turn.public_status, turn.previous_response_id, conversation
    return _new(Seen, (turn.model, turn.instructions, [], usage, *ended, None, (), None))


def read_relayed(exchange: Exchange) -> None:
    """Read what another than the mock has answered, as far as a summary and a document say it."""
    relayed = exchange.relayed
    if relayed is None or exchange.outcome is not None:
        return
    resource, call = relayed.read_resource(), exchange.call
    exchange.outcome = outcome_of(resource) if (call.method, call.path) == TURNS else {}
    exchange.response_id = exchange.outcome.get("id")
    exchange.error = error_in(resource) if exchange.status >= 400 else None


class Seen(NamedTuple):
    """What a model saw: members of a Response of which the rest is dropped, and the node of one that is not stored.

    A tuple, for nearly every turn ends in one that nobody reads; `to_json` is what a document says of it.
    """

    model: str
    instructions: Any
    tools: list[Any]
    usage: dict[str, Any] | None
    incomplete_details: dict[str, Any] | None
    status: str | None
    previous_response_id: str | None
    conversation: dict[str, Any] | None
    input_transformations: list[dict[str, Any]] | None
    dropped: Collection[int]
    node: Node | None

    def to_json(self) -> dict[str, Any]:
        """The data about what the model saw; for a stored turn, only what is lost when it is deleted."""
        usage, conversation, transformations = self.usage, self.conversation, self.input_transformations
        details = usage and usage["input_tokens_details"]
        data = {
            "model": self.model,
            "instructions": self.instructions,
            "tools": self.tools,
            "input_tokens": usage["input_tokens"] if usage else None,
            "dropped": sorted(self.dropped),
            "incomplete": (self.incomplete_details or {}).get("reason"),
            "status": self.status,
            "previous_response_id": self.previous_response_id,
            "conversation": conversation and conversation["id"],
            "store": self.node is None,
            "cached_tokens": details and details["cached_tokens"],
            "output_tokens": usage and usage["output_tokens"],
        }
        if transformations:
            data["withheld"] = [one["id"] for one in transformations if one["reason"] == "prefix_mismatch"]
        return data if self.node is None else {**data, "node": self.node}


_about_input = itemgetter(*Seen._fields[:5])
_OPTIONAL = Seen._fields[5:9]  # which a Response may lack


def list_seen(exchange: Exchange) -> dict[str, Any] | None:
    """What the model of an exchange saw, as a document says it; None for a call that is no turn."""
    saw = exchange.saw
    if isinstance(saw, SerializedTurn):
        saw = _see_serialized(saw)
    return saw.to_json() if isinstance(saw, Seen) else saw


LONGEST = 256 * 1024  # bytes of a body that are kept, and of one part of it
LONGEST_NODE = 4 * LONGEST  # bytes of the items of an unstored turn
_PART = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=_\\-"  # what a long part consists of


def document_of(exchange: Exchange) -> bytes:
    """The document of an exchange in its present state.

    One that can't be written is kept as its outline: nothing that a client sends may cost others their entries.
    """
    try:
        return _write_document(exchange)
    except Exception:  # whatever it is, what waits beside it has to be written
        return _write_outline(exchange)


def _write_document(exchange: Exchange) -> bytes:
    read_relayed(exchange)
    call = exchange.call
    kept, mark = keep_body(call.body)
    text, secrets = redaction.clean_text(kept)
    headers = redaction.headers(call.headers)
    secrets += headers.secrets
    if len(call.body) > LONGEST:
        secrets += redaction.secrets_beyond(call.body, LONGEST)
    document = {
        "at": exchange.at,
        "transport": exchange.transport,
        "method": call.method,
        "path": call.path,
        "query": redaction.query(call.query),
        "headers": orjson.Fragment(headers.written),
        "body": text + mark,
        "status": exchange.status,
        "error": redaction.redact_noting(exchange.error, secrets),
        "response_id": exchange.response_id,
        "line": redaction.redact_noting(exchange.line, secrets),
        "near_misses": redaction.redact_noting([*exchange.misses], secrets),
        "faults": exchange.faults,
        "changes": list_changes(changes_of(exchange)),
        "events": exchange.events,
        "ended": exchange.ended,
        "duration_ms": round(exchange.seconds * 1000, 3),
        "began": exchange.started,
        "saw": (saw := list_seen(exchange)) and _redact_input(saw, secrets),
        **_relayed_members(exchange, secrets),
    }
    return redaction.scrub(encode_compact(document), secrets)


def _relayed_members(exchange: Exchange, secrets: list[str]) -> dict[str, Any]:
    """What only the document of a call has that another than the mock has answered."""
    relayed = exchange.relayed
    if relayed is None:
        return {}
    kept, mark = keep_body(relayed.read_body())
    text, found = redaction.clean_text(kept)
    secrets += found
    outcome = redaction.redact_noting(exchange.outcome, secrets)
    return {"answered_by": relayed.answered_by, "answer": text + mark, "outcome": outcome}


def _write_outline(exchange: Exchange) -> bytes:
    """The document of an exchange that can't be redacted: nothing that its client sent, except by length and hash."""
    call = exchange.call
    outline: dict[str, Any] = {
        "at": exchange.at,
        "transport": exchange.transport,
        "method": call.method,
        "path": clean(call.path.encode(errors="replace").decode()),
        "query": "",
        "headers": {},
        "body": unreadable(call.body),
        "status": exchange.status,
        "error": None,
        "response_id": exchange.response_id,
        "line": None,
        "near_misses": [],
        "faults": [],
        "changes": [],
        "events": exchange.events,
        "ended": exchange.ended,
        "duration_ms": round(exchange.seconds * 1000, 3),
        "began": exchange.started,
        "saw": None,
    }
    return encode_compact(outline)


def unreadable(sent: bytes) -> str:
    """What stands in place of a body that can't be shown."""
    return f"unreadable, {len(sent)} bytes, sha256 {sha256(sent).hexdigest()}"


def keep_body(sent: bytes) -> tuple[str, str]:
    """What is kept of a body, and what stands after it where it was cut.

    Long parts (images, files) are kept by length and hash, and of the rest no more than `LONGEST` bytes.
    """
    kept = _without_long_parts(sent)
    if len(kept) <= LONGEST:
        return kept.decode(errors="replace"), ""
    mark = f"… [cut, {len(sent)} bytes in all, sha256 {sha256(sent).hexdigest()}]"
    return kept[:LONGEST].decode(errors="replace"), mark


def _without_long_parts(written: bytes) -> bytes:
    if len(written) <= LONGEST:
        return written
    pieces, done = list[bytes](), 0
    for start, end in find_runs(written, LONGEST + 1, _PART):
        if start and end < len(written) and written[start - 1] in b"\"'," and written[end] in b"\"'":
            part = written[start:end]
            pieces += [written[done:start], f"[{len(part)} bytes, sha256 {sha256(part).hexdigest()}]".encode()]
            done = end
    return b"".join([*pieces, written[done:]]) if pieces else written


def find_runs(written: bytes, least: int, letters: bytes) -> Iterator[tuple[int, int]]:
    """Yield where the runs of at least so many bytes begin and end that consist of these letters alone.

    No other thread may go on inside of a search, so a block at a time is looked at. A long run covers whole blocks, and
    where a block is not one, only its end can be the beginning of a run.
    """
    length, start = least // 4, 0
    only = re.compile(b"[%b]*" % re.escape(letters))
    for block in range(0, len(written), length):
        end = min(block + length, len(written))
        match = only.match(written, block, end)
        stop = block if match is None else match.end()
        if stop == end:
            continue
        if stop - start >= least:
            yield start, stop
        start = block + len(written[block:end].rstrip(letters))
    if len(written) - start >= least:
        yield start, len(written)


def _redact_input(saw: dict[str, Any], secrets: list[str]) -> dict[str, Any]:
    """What a model saw, without secrets, its instructions as far as a body is kept.

    Of an unstored turn the node is part of it, unless that is too long.
    """
    instructions = saw.get("instructions")
    if isinstance(instructions, str) and len(instructions) > LONGEST:
        saw = {**saw, "instructions": "".join(keep_body(instructions.encode(errors="replace")))}
    shown = {**saw}
    for name in _SENT:
        value = saw.get(name)
        if value:
            shown[name] = redaction.redact_noting(value, secrets)
    if "node" not in saw:
        return shown
    del shown["node"]
    doc = _without_long_parts(saw["node"].doc())
    if len(doc) > LONGEST_NODE:
        return {**shown, "node": None}
    text, found = redaction.clean_text(doc.decode())
    secrets += found
    return {**shown, "node": text}


# what of a model's input others have a say in; the rest are counts
_SENT = (
    *("model", "instructions", "tools", "previous_response_id", "conversation", "withheld"),
    *("incomplete", "status"),  # a script may name its own
)
# kind of record → what it is called, and where in its id its own id is
_SHOWN = {"response": "response", "conversation": "conversation", "item": "item", "entry": "item"}


def changes_of(exchange: Exchange) -> Sequence[Change]:
    """What an exchange has changed, as far as the API shows it."""
    if exchange.changes is not None:
        return exchange.changes
    turn = exchange.saw or exchange.turn
    assert isinstance(turn, SerializedTurn)
    stored = [Put("response", turn.id, turn.body), *[Put("item", id, b"") for id in turn.item_ids]]
    return stored if turn.conversation is None else [*stored, Put("conversation", turn.conversation, b"")]


def list_changes(changes: Iterable[Change]) -> list[dict[str, str]]:
    """The objects of the API that were stored or deleted, each once."""
    listed: dict[tuple[str, str, str], dict[str, str]] = {}
    for change in changes:
        kind = _SHOWN.get(change[0])
        if kind is not None:
            verb, id = "put" if len(change) > 2 else "delete", change[1]
            if "/" in id:
                id = id.rpartition("/")[2]
            listed[verb, kind, id] = {"change": verb, "kind": kind, "id": id}
    return [*listed.values()]


def to_public(number: int, doc: bytes) -> dict[str, Any]:
    """The exchange as the control API shows it, without its context; a JSON body is parsed."""
    known = orjson.loads(doc)
    index = list(known).index("body") + 1
    members = [("id", number), *((name, value) for name, value in known.items() if name not in _PRIVATE)]
    return dict([*members[: index + 1], ("request", parse_body(known["body"])), *members[index + 1 :]])


_PRIVATE = frozenset(("began", "outcome"))


def parse_body(body: str) -> Any:
    """The value of a JSON body, None for any other and for one that is too deep to be shown."""
    try:
        value = orjson.loads(body)
        if body.count("{") + body.count("[") >= DEEP:
            orjson.dumps([[[[value]]]])
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    return value


DEEP = 200  # orjson writes 254 levels, and what is shown stands some levels deep itself
