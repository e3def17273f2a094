"""Lists a page at a time: conversation items, a response's input items. Spec: R2.14, R3.1–R3.6, P25."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from mockserver.core import conversations
from mockserver.core.background import visible_node
from mockserver.core.lineage import missing
from mockserver.core.records import Record, State
from mockserver.core.semantics import Semantics
from mockserver.core.state import Entry, Item, items_up_to, read_entry
from mockserver.wire.errors import api as errors
from mockserver.wire.errors.api import APIError
from mockserver.wire.requests.query import ListQuery
from mockserver.wire.responses.resources import Listing, page, present, without_bare_texts
from mockserver.wire.responses.text_page import print_page


def conversation_items(state: State, id: str, query: ListQuery, rules: Semantics) -> Listing | bytes:
    """List a conversation's items, newest first unless asked otherwise; raises E64, and E65 for an unknown cursor.

    A page that is bytes is printed already.
    """
    conversations.require(state, id)
    after = _order(state, id, query.after) if query.after is not None else None
    records = state.scan("entry", id, after=after, limit=query.limit + 1, descending=query.order == "desc")
    if query.before is not None:
        stop = _order(state, id, query.before)
        inside = (lambda order: order > stop) if query.order == "desc" else (lambda order: order < stop)
        records = [record for record in records if inside(record.order)]
    more = len(records) > query.limit
    return _print_entries(state, id, records[: query.limit], query, rules, has_more=more)


def _print_entries(
    state: State, id: str, entries: list[Record], query: ListQuery, rules: Semantics, *, has_more: bool
) -> Listing | bytes:
    docs, begin = b",".join([entry.doc for entry in entries]), len(id) + len("/")
    # a name has no quotes, and no node is read twice
    nodes = list(dict.fromkeys(docs.decode().split('"')[1::2]))
    newest_first = query.order == "desc"
    if newest_first:
        nodes.reverse()
    packed = conversations.packed_items(state, nodes)
    item_ids = [entry.id[begin:] for entry in entries]
    printed = print_page(packed, item_ids, newest_first=newest_first, has_more=has_more)
    if printed is not None:
        return printed
    items = dict(zip(nodes, map(orjson.loads, packed), strict=True))
    places = orjson.loads(b"[%b]" % docs)
    return _page_of_items([items[node][place] for node, place, _ in places], query, rules, has_more=has_more)


def _page_of_items(items: list[Item], query: ListQuery, rules: Semantics, *, has_more: bool) -> Listing:
    others = without_bare_texts(items)
    if others:  # which may have something that must be asked for
        include = rules.visible(query.include)
        items = [present(item, include) for item in items]
    return Listing(page(items, has_more=has_more), others)


def _order(state: State, id: str, cursor: str) -> int:
    entry: Entry | None = read_entry(state, id, cursor)
    if entry is None:
        raise errors.item_not_in_conversation(cursor)
    return entry.order


def input_items(state: State, id: str, query: ListQuery, rules: Semantics, now: float) -> Listing:
    """List what a response was made from: the history if that is in scope, then its own input. Spec: R3.3, R3.5."""
    node = visible_node(state, id, rules, now)
    if node is None:
        raise missing(state, id, rules, now)
    items = [*_HISTORY[rules.input_items_scope](state, node.parent), *node.items[: node.own]]
    if query.order == "desc":
        items.reverse()
    start = 0 if query.after is None else _position(items, query.after) + 1
    stop = len(items) if query.before is None else _position(items, query.before)
    chosen = items[start:stop]
    return _page_of_items(chosen[: query.limit], query, rules, has_more=len(chosen) > query.limit)


# switch `input_items_scope` → what stands before a response's own input
_HISTORY: dict[str, Callable[[State, str | None], list[Item]]] = {
    "resolved": items_up_to,
    "own": lambda state, parent: [],
}


def page_of_objects(
    objects: list[dict[str, Any]], query: ListQuery, not_found: Callable[[str], APIError]
) -> dict[str, Any]:
    """A page of objects, which stand oldest first; `not_found` is the error for an unknown cursor. Spec: P25."""
    ordered = objects[::-1] if query.order == "desc" else objects
    places = {one["id"]: place for place, one in enumerate(ordered)}
    for cursor in (query.after, query.before):
        if cursor is not None and cursor not in places:
            raise not_found(cursor)
    start = 0 if query.after is None else places[query.after] + 1
    stop = len(ordered) if query.before is None else places[query.before]
    chosen = ordered[start:stop]
    more = len(chosen) > query.limit
    return page(chosen[: query.limit], has_more=more)


def _position(items: list[Item], cursor: str) -> int:
    for position, item in enumerate(items):
        if item["id"] == cursor:
            return position
    raise errors.item_not_in_conversation(cursor)
