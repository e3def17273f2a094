"""The graph of a project's responses: every one that is stored, runs, or is needed by others, without what it says."""

# How it works. Responses are scanned once; what each goes on from stands in the first line of its node. A parent that
# is no response any more was deleted, and its node says so: it is shown too, and so are its own ancestors. Who reads
# only what came after a response (a page that has read the rest) gets a stored parent as well: to be continued may have
# given it a longer life.
#
# What must stay true: nothing here reads the items of a node, or the time would grow with what was said. A mark of a
# compaction is looked for in the bytes: inside of a text its quotes would be escaped.

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import orjson

from mockserver.core.lifecycle import Running
from mockserver.core.lineage import DAY, is_expired, last_use
from mockserver.core.records import Record, State
from mockserver.core.semantics import Semantics
from mockserver.core.state import Node, decode_node, read_node
from mockserver.core.truncation import read_dropped
from mockserver.wire.errors.api import MockError
from mockserver.wire.responses.ids import is_marked_unstored

FIRST_LOOK = 64  # responses among which the one is looked for after which a reader goes on
_COMPACTION = b'"type":"compaction"'
_COPY_MARK = re.compile(r"[+-]")


def find_stored(state: State, after: str | None) -> list[Record]:
    """The stored responses in the order of their creation, all or those after one; raises MockError for an unknown."""
    if after is None:
        return state.scan("response")
    if state.get("response", after) is None:
        raise MockError(f"after: no response with id '{after}' is stored.", param="after")
    limit = FIRST_LOOK
    while True:
        newest = state.scan("response", limit=limit, descending=True)
        ids = [record.id for record in newest]
        if after in ids or len(ids) < limit:  # else deleted by another thread meanwhile
            return newest[: ids.index(after) if after in ids else None][::-1]
        limit *= 4


def list_nodes(state: State, stored: list[Record], rules: Semantics, now: float) -> Iterator[dict[str, Any]]:
    """Yield responses as nodes: `stored` ones, then those that run, then what these go on from besides.

    A node has `state` (`live`, `expired`, `running`, `deleted`), `expires_at` (unix seconds, None for never) and
    `parent`, the response whose context it goes on from.
    """
    shown, parents = set[str](), set[str]()
    for record in stored:
        node = read_node(state, record.id)
        if node is None:  # deleted by another thread meanwhile
            continue
        shown.add(node.id)
        view = _show_stored(state, node, record.doc, rules, now)
        if view["parent"] is not None:
            parents.add(view["parent"])
        yield view
    for record in state.scan("running"):
        running = Running(**orjson.loads(record.doc))
        node = decode_node(running.node)
        shown.add(node.id)
        view = _show(state, node, None if running.body is None else orjson.loads(running.body), rules)
        status = "in_progress" if now > running.started_at or not running.background else "queued"
        view |= {"state": "running", "status": status, "usage": None}
        if view["parent"] is not None:
            parents.add(view["parent"])
        yield view
    yield from _list_parents(state, parents - shown, shown, rules, now)


def _list_parents(
    state: State, ids: set[str], shown: set[str], rules: Semantics, now: float
) -> Iterator[dict[str, Any]]:
    todo = sorted(ids)
    while todo:
        id = todo.pop()
        node = read_node(state, id)
        if node is None or id in shown:
            continue
        shown.add(id)
        doc = state.get("response", id)
        if doc is not None:  # what is before it was read before
            yield _show_stored(state, node, doc, rules, now)
            continue
        view = _show(state, node, None, rules)
        if view["parent"] is not None:
            todo.append(view["parent"])
        # a turn that was not stored leaves such a node as well, where its conversation goes on from it
        yield {**view, "state": "deleted", "store": False if is_marked_unstored(id) else None}


def _show_stored(state: State, node: Node, doc: bytes, rules: Semantics, now: float) -> dict[str, Any]:
    view = _show(state, node, orjson.loads(doc), rules)
    expired = is_expired(state, node.id, node.created_at, node.conversation, rules, now)
    view["state"] = "expired" if expired else "live"
    return view


def _show(state: State, node: Node, response: dict[str, Any] | None, rules: Semantics) -> dict[str, Any]:
    known = response or {}
    usage = known.get("usage")
    dropped = state.get("dropped", node.id)
    return {
        "id": node.id,
        "state": "live",
        "status": node.status,
        "created_at": node.created_at,
        "expires_at": _expires_at(state, node, rules),
        "model": known.get("model"),
        "parent": _find_parent(state, node),
        "previous_response_id": known.get("previous_response_id"),
        "conversation": node.conversation,
        "store": known.get("store"),
        "background": known.get("background"),
        "usage": usage and _summarize_usage(usage),
        "compacted": isinstance(node.packed, bytes) and _COMPACTION in node.packed,
        "dropped": 0 if dropped is None else len(read_dropped(state, node.id)),
    }


def _summarize_usage(usage: dict[str, Any]) -> dict[str, int]:
    cached = (usage.get("input_tokens_details") or {}).get("cached_tokens", 0)
    return {"input_tokens": usage["input_tokens"], "cached_tokens": cached, "output_tokens": usage["output_tokens"]}


def _expires_at(state: State, node: Node, rules: Semantics) -> float | None:
    """When a response expires, None for one that never does. Spec: R1.2, R1.3, R1.9."""
    if not rules.response_ttl_days or (node.conversation is not None and rules.conversation_response_ttl == "keep"):
        return None
    born = node.created_at if rules.ttl_from == "created_at" else last_use(state, node.id, node.created_at)
    return float(born + rules.response_ttl_days * DAY)


def _find_parent(state: State, node: Node) -> str | None:
    """The response that a context goes on from; items that were added by hand stand in between."""
    id = node.parent
    while id is not None:
        if id.startswith("resp_"):
            return _find_original(state, id)
        before = read_node(state, id)
        id = None if before is None else before.parent
    return None


def _find_original(state: State, id: str) -> str:
    """The response that a node is of; one that was made for a conversation has a longer id (`lifecycle.rebase`)."""
    if state.get("response", id) is not None:
        return id
    original = _COPY_MARK.split(id, maxsplit=1)[0]
    return id if state.get("node", original) is None else original
