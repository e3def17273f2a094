"""Where the items of a client's contexts stand: what a turn sends again is found without reading its context anew."""

from __future__ import annotations

from bisect import insort
from collections.abc import Hashable, Iterator
from typing import NamedTuple

from mockserver.core.state import Item
from mockserver.journal.history import Call, History, Place, content_of


class HeldItem(NamedTuple):
    """An item in a context: the node that holds it and its place there."""

    place: Place
    number: int
    item: Item

    @property
    def order(self) -> tuple[int, int]:
        """Its place among the items of its context."""
        return self.place.depth, self.number


class ItemIndex:
    """Where items stand in the contexts of a history; each node is read once, however many turns go on from it.

    Nodes are kept by the root of their contexts, in the order of their depth, for turns come after their parents.
    """

    def __init__(self, history: History) -> None:
        self._history = history
        self._known: set[str] = set()
        self._held: dict[Hashable, list[HeldItem]] = {}

    def add(self, place: Place | None) -> None:
        """Read a node and its ancestors, as far as they are not known."""
        path: list[Place] = []
        while place is not None and place.node.id not in self._known:
            path.append(place)
            place = place.parent
        for new in reversed(path):
            self._known.add(new.node.id)
            for index, item in enumerate(new.node.items):
                held = HeldItem(new, index, item)
                keys = {("id", item.get("id")), ("content", content_of(item))}
                for key in keys:
                    insort(self._held.setdefault((new.root.node.id, key), []), held, key=_order)

    def find(self, item: Item, before: Place, call: Call) -> Iterator[HeldItem]:
        """Yield where the context before a turn holds an item: what has its id, else what is the same."""
        found = False
        if item.get("id"):
            for held in self._of_key(("id", item["id"]), before, call):
                found = True
                yield held
        if not found:
            yield from self._of_key(("content", content_of(item)), before, call)

    def first(self, item: Item, before: Place, call: Call) -> HeldItem | None:
        """The first place of an item, None where the context does not hold it."""
        return next(self.find(item, before, call), None)

    def _of_key(self, key: Hashable, before: Place, call: Call) -> Iterator[HeldItem]:
        for held in self._held.get((before.root.node.id, key), ()):
            if before.goes_back_to(held.place):
                # an identical request may have been cut off, and is no reason to complain
                origin = self._history.of_response.get(held.place.node.id)
                if origin is None or origin.body != call.body:
                    yield held


def _order(held: HeldItem) -> tuple[int, int]:
    return held.order
