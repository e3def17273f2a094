"""The topics of the report: what a rule is about in a builder's words, and how well a server does in each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import NamedTuple

from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED

MACHINE = "machine"
# the first id of each topic within section R1, whose rules are about several things
_OF_R1: tuple[tuple[int, str], ...] = ((50, "requests"), (44, "items"), (43, "chains"), (33, "items"), (20, "chains"))
_OF_SECTION: Mapping[str, str] = {
    "R2": "conversations",
    "R3": "input items",
    "R4": "websocket",
    "X": "websocket",
    "WE": "websocket",
    "R5": "compaction",
    "R6": "background",
    "R7": "window",
    "R8": "tokens",
    "R9": "streams",
    "R10": "formats",
    "R11": "tools",
    "R12": "reasoning",
    "R13": "service",
    "R14": "service",
    "R15": "service",
    MACHINE: MACHINE,
}
TOPICS = tuple(dict.fromkeys(("storage", "chains", "items", "requests", *_OF_SECTION.values())))


@cache
def topic_of(id: str) -> str:
    """The topic of a rule, or of the machine."""
    section, _, number = id.partition(".")
    if section == "R1":
        if number == "45":  # which of parent and prompt is looked up first
            return "chains"
        return next((topic for first, topic in _OF_R1 if int(number) >= first), "storage")
    return _OF_SECTION[section if section in _OF_SECTION else re.sub(r"\d+$", "", section)]


class Score(NamedTuple):
    """How many rules of a topic passed, failed, and could not be observed."""

    passed: int
    failed: int
    hidden: int

    @property
    def percent(self) -> int | None:
        """The share of the observable rules that passed, rounded down; None if none could be observed."""
        seen = self.passed + self.failed
        return self.passed * 100 // seen if seen else None


def scores(verdicts: Iterable[tuple[str, str]]) -> dict[str, Score]:
    """The score of each topic that has a rule among these pairs of id and verdict, in the order of `TOPICS`."""
    found: dict[str, list[str]] = {topic: [] for topic in TOPICS}
    for id, verdict in verdicts:
        found[topic_of(id)].append(verdict)
    kinds = (PASSED, FAILED, NOT_OBSERVABLE)
    return {topic: Score(*(rows.count(kind) for kind in kinds)) for topic, rows in found.items() if rows}
