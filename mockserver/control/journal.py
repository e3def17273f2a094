"""The journal: what was asked, which line answered, what the model saw, what changed, how it ended.

An `Exchange` is filled in while its call is under way, by the engine and by the transport; its document is made later,
when it is written. Keys and passwords never get into a document.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextvars import ContextVar
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlencode

import orjson

from mockserver.control import redaction
from mockserver.control.effects import Effect
from mockserver.core.state import Change, Put
from mockserver.core.turn import Turn
from mockserver.faults.rate_limits import Buckets
from mockserver.wire.encoding import stored_json

T = TypeVar("T")

KIND = "exchanges"
DELIVERED, DISCONNECTED, CUT, CLOSED = "delivered", "disconnected", "cut", "closed"


class Exchange:
    """One call: what was asked, and what is told of it as it goes; of what nobody tells, the class has the value.

    `at` is the project's time (unix seconds), `seconds` how long it took, `ended` None while it is under way. `effects`
    are the faults that strike its answer, `buckets` those that it was counted in, by fault. `number` is its place in
    the journal, once it is written; of the turn of an exchange that has ended only its id and what its model `saw` are
    left.
    """

    transport: str = "http"
    query: Sequence[tuple[str, str]] = ()
    at: float | None = None
    status: int = 200
    error: dict[str, Any] | None = None
    line: Any = None
    turn: Turn | None = None
    dropped: Collection[int] = ()
    changes: Sequence[Change] = ()
    events: int = 0
    ended: str | None = None
    started: float = 0.0
    seconds: float = 0.0
    faults: Sequence[str] = ()
    effects: Sequence[Effect] = ()
    buckets: Mapping[str, Buckets] = MappingProxyType({})
    number: int | None = None
    response_id: str | None = None
    saw: dict[str, Any] | None = None
    waits: bool = False  # to be written

    def __init__(
        self,
        method: str = "POST",
        path: str = "",
        headers: Mapping[bytes, bytes] = MappingProxyType({}),
        body: bytes = b"",
        **more: Any,
    ) -> None:
        self.method, self.path, self.headers, self.body = method, path, headers, body
        for name, value in more.items():  # not by way of __dict__, which would be larger and slower
            setattr(self, name, value)

    def changed(self, changes: Sequence[Change]) -> None:
        """Note what else it changed."""
        self.changes = [*self.changes, *changes] if self.changes else changes


_CURRENT: ContextVar[Exchange | None] = ContextVar("exchange", default=None)
current = _CURRENT.get  # the exchange that is told what happens, None where nobody wants to know


def telling(exchange: Exchange, work: Callable[..., T], *args: Any) -> T:
    """Return what a piece of work returns; what happens in it is told to an exchange."""
    before = _CURRENT.set(exchange)
    try:
        return work(*args)
    finally:
        _CURRENT.reset(before)


def closed(exchange: Exchange) -> None:
    """Let go of the turn of an exchange, but for what its document will say of it."""
    turn = exchange.turn
    if turn is not None:
        exchange.response_id, exchange.saw, exchange.turn = turn.id, _saw(turn, exchange.dropped), None


def document_of(exchange: Exchange) -> bytes:
    """Return the document of an exchange as it stands."""
    closed(exchange)
    text, secrets = redaction.body(exchange.body)
    key = (exchange.headers.get(b"authorization") or b"").partition(b" ")[2].strip().decode("latin-1")
    if len(key) >= redaction.SHORTEST:
        secrets.append(key)
    document = {
        "at": exchange.at,
        "transport": exchange.transport,
        "method": exchange.method,
        "path": exchange.path,
        "query": urlencode(exchange.query),
        "headers": redaction.headers(exchange.headers),
        "body": text,
        "status": exchange.status,
        "error": exchange.error,
        "response_id": exchange.response_id,
        "line": exchange.line,
        "faults": exchange.faults,
        "changes": _changed(exchange.changes),
        "events": exchange.events,
        "ended": exchange.ended,
        "duration_ms": round(exchange.seconds * 1000, 3),
        "began": exchange.started,
        "saw": exchange.saw and _told(exchange.saw),
    }
    return redaction.scrubbed(stored_json(document), secrets)


def _saw(turn: Turn, dropped: Collection[int]) -> dict[str, Any]:
    """Return what is kept to tell later what the model saw; of a stored turn, what is lost when it is deleted."""
    final = turn.final
    usage = final["usage"]
    seen = {
        "model": final["model"],
        "instructions": final["instructions"],
        "tools": final["tools"],
        "input_tokens": usage["input_tokens"] if usage else None,
        "dropped": sorted(dropped) if dropped else (),
        "incomplete": (final["incomplete_details"] or {}).get("reason"),
    }
    return seen if turn.stored else {**seen, "node": turn.node}


def _told(saw: dict[str, Any]) -> dict[str, Any]:
    """Return what a model saw as it is kept: without secrets, the node of an unstored turn in full."""
    node = {"node": saw["node"].doc().decode()} if "node" in saw else {}
    return {**saw, "tools": redaction.redacted(saw["tools"]), **node}


# kind of record → what it is called, and where in its id its own id is
_SHOWN = {"response": "response", "conversation": "conversation", "item": "item", "entry": "item"}


def _changed(changes: Iterable[Change]) -> list[dict[str, str]]:
    """Return what was put and deleted of what the API shows, each once."""
    found: dict[tuple[str, str, str], None] = {}
    for change in changes:
        kind = _SHOWN.get(change.kind)
        if kind is not None:
            found["put" if isinstance(change, Put) else "delete", kind, change.id.rpartition("/")[2]] = None
    return [{"change": change, "kind": kind, "id": id} for change, kind, id in found]


def shown(number: int, doc: bytes) -> dict[str, Any]:
    """Return an exchange as it is read, without its context; its body is parsed where it is whole JSON."""
    known = orjson.loads(doc)
    try:
        request = orjson.loads(known["body"])
    except orjson.JSONDecodeError:
        request = None
    at = list(known).index("body") + 1
    members = [("id", number), *((name, value) for name, value in known.items() if name != "began")]
    return dict([*members[: at + 1], ("request", request), *members[at + 1 :]])
