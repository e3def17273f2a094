"""A text with gaps, and what fills them: what is the same in many bodies and events is written once."""

# Why not `%`: it reads the whole text for gaps each time, which takes four times as long as to join what stands between
# them.

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from typing import Any


class TextTemplate:
    """The `pieces` of a text, between which the values of `names` stand: one name fewer than pieces."""

    __slots__ = ("_pick", "_row")

    def __init__(self, pieces: Sequence[str], names: Sequence[str]) -> None:
        self._row = [""] * (2 * len(names) + 1)
        self._row[::2] = pieces
        self._pick: Callable[[Mapping[str, str]], Iterable[Any]]
        if len(names) > 1:
            self._pick = itemgetter(*names)
        else:  # a getter of one item gives no tuple
            self._pick = partial(_pick_one, names[0]) if names else _pick_nothing

    def fill(self, values: Mapping[str, str]) -> bytes:
        """The text with these values by name, in UTF-8."""
        row = self._row.copy()
        row[1::2] = self._pick(values)
        return "".join(row).encode()


def _pick_one(name: str, values: Mapping[str, str]) -> tuple[str]:
    return (values[name],)


def _pick_nothing(values: Mapping[str, str]) -> tuple[()]:
    return ()


MOST_NUMBERS = 2048


class Decimals(dict[int, str]):
    """Whole numbers in decimal: nine stand in each turn, most are small, and one is found in a fifth of the time."""

    def __missing__(self, number: int) -> str:
        if len(self) >= MOST_NUMBERS:
            self.clear()
        written = self[number] = str(number)
        return written
