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

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple
from urllib.parse import urlencode

import orjson

from mockserver.core.records import Change, Put
from mockserver.core.turn import Turn
from mockserver.journal import redaction
from mockserver.wire.responses.encoding import encode_compact

KIND = "exchanges"
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


@dataclass(slots=True, eq=False)
class Exchange:
    """A call's entry in the journal.

    `at` is the project's time (unix seconds), `started` and `seconds` are the process's own clock, `ended` is None
    while it is in progress. `number` is its place in the journal once it is written. After the end only the turn's id
    and what its model `saw` are stored, because a turn is large. `waits` is true until it is written.
    """

    call: Call
    transport: str
    started: float = 0.0
    at: float | None = None
    status: int = 200
    error: dict[str, Any] | None = None
    line: Any = None
    turn: Turn | None = None
    dropped: Collection[int] = ()
    changes: Sequence[Change] = ()
    faults: Sequence[str] = ()
    events: int = 0
    ended: str | None = None
    seconds: float = 0.0
    number: int | None = None
    response_id: str | None = None
    saw: dict[str, Any] | None = None
    waits: bool = False


def document_of(exchange: Exchange) -> bytes:
    """The document of an exchange in its present state."""
    call = exchange.call
    text, secrets = redaction.body(call.body)
    key = (call.headers.get(b"authorization") or b"").partition(b" ")[2].strip().decode("latin-1")
    if len(key) >= redaction.SHORTEST:
        secrets.append(key)
    document = {
        "at": exchange.at,
        "transport": exchange.transport,
        "method": call.method,
        "path": call.path,
        "query": urlencode(call.query),
        "headers": redaction.headers(call.headers),
        "body": text,
        "status": exchange.status,
        "error": exchange.error,
        "response_id": exchange.response_id,
        "line": exchange.line,
        "faults": exchange.faults,
        "changes": _list_changes(exchange.changes),
        "events": exchange.events,
        "ended": exchange.ended,
        "duration_ms": round(exchange.seconds * 1000, 3),
        "began": exchange.started,
        "saw": exchange.saw and _redact_input(exchange.saw),
    }
    return redaction.scrub(encode_compact(document), secrets)


def _redact_input(saw: dict[str, Any]) -> dict[str, Any]:
    """What a model saw, without secrets; the node of an unstored turn is included in full."""
    node = {"node": saw["node"].doc().decode()} if "node" in saw else {}
    return {**saw, "tools": redaction.redact(saw["tools"]), **node}


# kind of record → what it is called, and where in its id its own id is
_SHOWN = {"response": "response", "conversation": "conversation", "item": "item", "entry": "item"}


def _list_changes(changes: Iterable[Change]) -> list[dict[str, str]]:
    """The objects of the API that were stored or deleted, each once."""
    listed: dict[tuple[str, str, str], None] = {}
    for change in changes:
        kind = _SHOWN.get(change.kind)
        if kind is not None:
            listed["put" if isinstance(change, Put) else "delete", kind, change.id.rpartition("/")[2]] = None
    return [{"change": change, "kind": kind, "id": id} for change, kind, id in listed]


def to_public(number: int, doc: bytes) -> dict[str, Any]:
    """The exchange as the control API shows it, without its context; a JSON body is parsed."""
    known = orjson.loads(doc)
    try:
        request = orjson.loads(known["body"])
    except orjson.JSONDecodeError:
        request = None
    index = list(known).index("body") + 1
    members = [("id", number), *((name, value) for name, value in known.items() if name != "began")]
    return dict([*members[: index + 1], ("request", request), *members[index + 1 :]])
