"""Every rule has a topic and a profile; a topic's score is the share of what could be observed."""

from __future__ import annotations

import pytest

from mockserver.conformance.rule_catalog import catalogue
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED
from mockserver.conformance.terms import STATE, WIRE
from mockserver.conformance.topics import MACHINE, TOPICS, Score, scores, topic_of


def test_every_rule_has_a_topic_and_every_topic_a_rule() -> None:
    assert {topic_of(id) for id in [*catalogue(), MACHINE]} == set(TOPICS)


@pytest.mark.parametrize(
    ("id", "topic"),
    [
        ("R1.14", "storage"),
        ("R1.20", "chains"),
        ("R1.32", "chains"),
        ("R1.33", "items"),
        ("R1.43", "chains"),
        ("R1.45", "chains"),
        ("R1.46", "items"),
        ("R1.61", "requests"),
        ("R3.3b", "input items"),
        ("X5", "websocket"),
        ("WE1", "websocket"),
        ("machine", "machine"),
    ],
)
def test_the_topic_of_a_rule(id: str, topic: str) -> None:
    assert topic_of(id) == topic


def test_every_rule_that_servers_are_judged_by_says_its_profile() -> None:
    assert {entry.profile for entry in catalogue().values()} == {STATE, WIRE}
    assert catalogue()["R1.24"].profile == STATE, "whether a parent is still there"
    assert catalogue()["R1.51"].profile == WIRE, "the members of an error"


def test_a_score_counts_what_could_be_observed() -> None:
    rows = [("R1.1", PASSED), ("R1.2", FAILED), ("R1.3", PASSED), ("R1.4", NOT_OBSERVABLE), ("R2.1", NOT_OBSERVABLE)]
    told = scores(rows)
    assert told == {"storage": Score(2, 1, 1), "conversations": Score(0, 0, 1)}
    assert (told["storage"].percent, told["conversations"].percent) == (66, None)
