"""Every place in a document, and wrong values to put there: for tests that try each in each."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from typing import Any


def deep(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value


VALUES: tuple[Any, ...] = (None, True, -1, 0, 1.5, 10**30, "", "x", [], ["x"], [1], [None], [[]], {}, {"a": 1})
WRONG: tuple[Any, ...] = (*VALUES, {"type": {}}, [{"type": {}}], [{"type": "x"}], deep(300), "resp_1", {"id": "x"})


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document, the document itself too."""
    stack = [(value, path)]
    while stack:
        value, path = stack.pop()
        yield path
        if isinstance(value, dict):
            stack += [(member, (*path, key)) for key, member in value.items()]
        elif isinstance(value, list):
            stack += [(member, (*path, index)) for index, member in enumerate(value)]


def mutate(document: Any, path: tuple[Any, ...], value: Any) -> Any:
    """The document with another value in a place; `...` takes the member away."""
    if not path:
        return None if value is ... else value
    document = deepcopy(document)
    holder = document
    for step in path[:-1]:
        holder = holder[step]
    if value is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = value
    return document
