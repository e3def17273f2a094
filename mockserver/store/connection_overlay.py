"""What one connection remembers of responses that are not stored, laid over the project's records. Spec: R4.5 to R4.8.

Each lane's latest response can be continued; what it goes back to is kept as long as something needs it.
"""

# How it works. A socket may continue a response that was never stored, as long as it is the latest of its lane.
# Such responses live in `ConnectionRecords`; a view lays them over the project's records, so the core never knows
# where a node came from.
#
# What must stay true:
# * Counting holders keeps memory bounded: a node is needed by the lane whose latest it is, by a turn in progress
#   that goes on from it, and by nodes after it. When the last need ends it is dropped, and so on back through
#   its ancestors.
# * Once a stored response is built on an unstored one, the ancestors are written too, marked deleted: the
#   response must be continued after the socket is gone, its ancestors must not be.
# * When the project was reset, its calls are counted anew and ids come again. What the socket remembers then
#   belongs to another world and is forgotten.

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass

from mockserver.core.records import Change, Put, Record, State
from mockserver.core.state import Node, decode_node, item_pointers


class ConnectionRecords:
    """The connection's own records, and which response is the latest of each lane."""

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], bytes] = {}
        self._latest: dict[Hashable, str] = {}
        self._holders: Counter[str] = Counter()  # node id → how many lanes, turns in progress and children need it
        self.last_ordinal = -1  # the number of the project's call that last got through

    def get(self, kind: str, id: str) -> bytes | None:
        """A record's document, None when it is not one of the connection's."""
        return self._records.get((kind, id))

    def reset_if_restarted(self, ordinal: int) -> None:
        """Forget everything when the project has begun anew: its calls are counted from 0, and ids come again."""
        if ordinal <= self.last_ordinal:
            self.forget()

    def forget(self) -> None:
        """Forget everything: nothing goes on from it any more."""
        self._records.clear()
        self._latest.clear()
        self._holders.clear()

    def __len__(self) -> int:
        return len(self._records)

    def latest(self, lane: Hashable) -> str | None:
        """The id of the lane's latest response, None when it has none or it was evicted."""
        return self._latest.get(lane)

    def remember(self, lane: Hashable, id: str, node: Node | None) -> None:
        """Make a response the lane's latest; `node` is its step in the context when it is not stored. Spec: R4.6."""
        if node is not None:
            self._write(node._replace(deleted=False))
            self.retain(node.parent)
            self._holders[node.id] += 1
        self.evict(lane)
        self._latest[lane] = id

    def evict(self, lane: Hashable) -> None:
        """Forget the lane's latest response; it can't be continued any more unless it is stored. Spec: R4.8."""
        id = self._latest.pop(lane, None)
        node = self._node(id)
        if node is not None:
            for change in item_pointers(node):
                self._records.pop((change.kind, change.id), None)
            self._records["node", node.id] = node._replace(deleted=True).doc()
            self.release(node.id)

    def retain(self, id: str | None) -> None:
        """Keep a node although its lane may move on: a turn that continues it is in progress. Spec: R4.11."""
        if id is not None and ("node", id) in self._records:
            self._holders[id] += 1

    def release(self, id: str | None) -> None:
        """Undo one `retain`; nodes that nobody needs are dropped, back to the beginning of the context."""
        while id is not None and id in self._holders:
            self._holders[id] -= 1
            if self._holders[id] > 0:
                return
            del self._holders[id]
            id = decode_node(self._records.pop(("node", id))).parent

    def ancestors(self, id: str | None) -> list[Change]:
        """Return what a stored response must bring along, so that its context outlives the connection."""
        changes: list[Change] = []
        while (node := self._node(id)) is not None:
            changes.append(node._replace(deleted=True).put())
            id = node.parent
        return changes

    def goes_on_from(self, id: str) -> bool:
        """Whether something that is remembered goes back to a node of the project."""
        nodes = (decode_node(doc) for (kind, _), doc in self._records.items() if kind == "node")
        return any(node.parent == id for node in nodes)

    def _node(self, id: str | None) -> Node | None:
        doc = self._records.get(("node", id or ""))
        return None if doc is None else decode_node(doc)

    def _write(self, node: Node) -> None:
        for change in (node.put(), *item_pointers(node)):
            if isinstance(change, Put):
                self._records[change.kind, change.id] = change.doc


@dataclass(slots=True)
class Layered:
    """A project's records as one of its connections sees them: the core's `State`."""

    near: ConnectionRecords
    far: State

    def get(self, kind: str, id: str) -> bytes | None:
        """A record's document, the connection's own first."""
        return self.near.get(kind, id) or self.far.get(kind, id)

    def scan(
        self,
        kind: str,
        parent: str = "",
        *,
        after: int | None = None,
        limit: int | None = None,
        descending: bool = False,
    ) -> list[Record]:
        """The project's records in order; what is the connection's own is never listed."""
        return self.far.scan(kind, parent, after=after, limit=limit, descending=descending)
