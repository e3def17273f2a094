"""Journals as they are read: exchanges with what their models saw, and the history of a client for the verdict."""

# How it works. What a model saw is not in the journal: it is a walk through the project's nodes, and for turns that
# are not stored through the nodes in the journal itself. A listing says only where it can be read (`reference`), for
# the contexts of a chain of n turns hold n² items.
#
# What must stay true: readers are lazy and yield one exchange at a time, so that a long listing can let other calls
# pass between two of them.

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from itertools import islice
from typing import Any

import orjson

from mockserver.core import inspection
from mockserver.core.lifecycle import read_running
from mockserver.core.state import Node, decode_node, read_node
from mockserver.engine.transactions import Transactions
from mockserver.journal.exchange import Entry, to_public
from mockserver.journal.history import History, call_of
from mockserver.journal.redaction import redact
from mockserver.journal.summary import summarize_document

CONTEXTS = ("reference", "full", "none")
VIEWS = ("whole", "summary")


def list_exchanges(
    calls: Transactions,
    project: str,
    entries: Iterator[Entry],
    every: Callable[[], Iterable[Entry]],
    limit: int,
    path: str | None,
    response_id: str | None,
    context: str,
    view: str,
) -> Iterator[dict[str, Any] | None]:
    """Yield the exchanges that match as the control API shows them, None between two steps of the work.

    `every` reads all of the journal.
    """
    contexts = Contexts(calls, project, every) if context == "full" else None
    for entry in islice((entry for entry in entries if _matches(entry, path, response_id)), limit + 1):
        if view == "summary":
            yield summarize_document(entry.number, entry.doc)
            continue
        exchange = to_public(entry.number, entry.doc)
        saw = exchange.pop("saw")
        if contexts is not None:
            whole = None if saw is None else contexts.of(exchange["response_id"], saw)
            yield None
            exchange["context"] = redact(whole)
            yield None
        elif context == "reference":
            exchange["context"] = None if saw is None else _refer(entry.number, saw)
        yield exchange


def _refer(number: int, saw: dict[str, Any]) -> dict[str, Any]:
    """Where a context can be read, and what it cost."""
    href = f"/_mock/journal?after={number - 1}&limit=1&context=full"
    return {"href": href, "input_tokens": saw["input_tokens"]}


def read_history(
    transactions: Transactions, project: str, every: Callable[[], Iterable[Entry]]
) -> Iterator[History | None]:
    """Yield None after each exchange, at the end the journal as the history of a client."""
    contexts = Contexts(transactions, project, every)
    calls = []
    for entry in every():
        document = orjson.loads(entry.doc)
        if "answered_by" in document:  # what another has answered is no state of this mock's
            continue
        calls.append(call_of(entry.number, document, contexts.new_node(document)))
        yield None
    yield History(calls, contexts.node)


def _matches(entry: Entry, path: str | None, response_id: str | None) -> bool:
    if path is None and response_id is None:
        return True
    if response_id is not None and response_id.encode(errors="replace") not in entry.doc:
        return False
    exchange = orjson.loads(entry.doc)
    if path is not None and not fnmatchcase(exchange["path"], path):
        return False
    return response_id in (None, exchange["response_id"])


class Contexts:
    """What models saw, read from the project's records and, for unstored turns, from the journal itself."""

    def __init__(self, transactions: Transactions, project: str, every: Callable[[], Iterable[Entry]]) -> None:
        self._rules, self._every = transactions.rules, every
        self._unstored: dict[str, str] | None = None
        self._state = transactions.view(project)

    def of(self, response_id: str, saw: dict[str, Any]) -> dict[str, Any] | None:
        """The effective context of a turn, None if a part of it is lost."""
        node = self._step(response_id, saw)
        if node is None:
            return None
        nodes = list(self._back(node))
        if nodes[-1].parent is not None:
            return None
        before = [item for step in reversed(nodes[1:]) for item in step.items]
        whole = [*before, *node.items[: node.own]]
        return inspection.effective_context(whole, saw["dropped"], saw, self._rules)

    def new_node(self, document: dict[str, Any]) -> Node | None:
        """The node that an exchange added to a context, None if it is no turn or lost."""
        return None if document["saw"] is None else self._step(document["response_id"], document["saw"])

    def _step(self, response_id: str, saw: dict[str, Any]) -> Node | None:
        if "node" not in saw:
            return self._read_node(response_id)
        return None if saw["node"] is None else decode_node(saw["node"])

    def _read_node(self, id: str) -> Node | None:
        node = read_node(self._state, id)
        running = read_running(self._state, id) if node is None else None
        return node if running is None else decode_node(running.node)

    def _back(self, node: Node | None) -> Iterator[Node]:
        while node is not None:
            yield node
            node = None if node.parent is None else self.node(node.parent)

    def node(self, id: str) -> Node | None:
        """The node of a context by its id, None if it is lost."""
        node = read_node(self._state, id)
        if node is not None:
            return node
        if self._unstored is None:
            self._unstored = dict(self._read_unstored())
        doc = self._unstored.get(id)
        return None if doc is None else decode_node(doc)

    def _read_unstored(self) -> Iterator[tuple[str, str]]:
        for entry in self._every():
            exchange = orjson.loads(entry.doc)
            saw = exchange["saw"]
            if saw is not None and saw.get("node") is not None:
                yield exchange["response_id"], saw["node"]
