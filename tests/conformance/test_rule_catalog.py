"""The rules of the specification: complete, well formed, and found by `understudy explain`."""

from __future__ import annotations

import re
from pathlib import Path

import mockserver.conformance.rule_catalog as module
from mockserver.config.switches import SWITCHES
from mockserver.conformance.rule_catalog import catalogue, pages, sections, specification
from tests.support.citations import cited

# numbers are never reused, so that what was once given stays; (section, first, last) without a gap
GIVEN = [
    (1, 1, 14),
    (1, 20, 47),
    (1, 50, 55),
    (1, 60, 61),
    (2, 1, 21),
    (3, 1, 6),
    (4, 1, 19),
    (5, 1, 10),
    (6, 1, 13),
    (7, 1, 9),
    (8, 1, 9),
    (9, 1, 9),
    (9, 20, 21),
    (10, 1, 8),
    (11, 1, 11),
    (12, 1, 6),
    (13, 1, 7),
    (14, 1, 1),
    (15, 1, 9),
]
# (family, first, last) without a gap, and what stands between
FAMILIES = [
    ("X", 1, 11),
    ("WE", 1, 8),
    ("P", 1, 25),
    ("F", 1, 12),
    ("F8.", 1, 10),
    ("O", 1, 8),
    ("I", 1, 8),
    ("S", 1, 16),
    ("S11.", 1, 3),
    ("S12.", 1, 5),
    ("E", 1, 58),
    ("E", 60, 84),
    ("E", 90, 103),
    ("W", 1, 21),
    ("T", 1, 15),
    ("C", 1, 9),
    ("N", 1, 28),
]
BETWEEN = {"R3.3b", "S6.1", *(f"S8 {part}" for part in "abcdefghij"), *(f"R4.16 {part}" for part in "ABCD")}
KINDS = {"measured", "documented", "types", "reported", "imitation", "guess", "design"}


def test_every_number_that_was_given_is_there() -> None:
    given = {f"R{section}.{number}" for section, first, last in GIVEN for number in range(first, last + 1)}
    given |= {f"{family}{number}" for family, first, last in FAMILIES for number in range(first, last + 1)}
    assert given | BETWEEN == set(specification())


def test_a_server_is_judged_by_the_rules_of_state_and_sockets() -> None:
    assert {re.match("[A-Z]+", id)[0] for id in catalogue()} == {"R", "X", "WE"}  # type: ignore[index]
    assert not BETWEEN & catalogue().keys() - {"R3.3b"}
    assert list(catalogue()) == [id for id in specification() if id in catalogue()]


def test_entries_are_sentences_with_sources() -> None:
    for id, entry in specification().items():
        assert entry.id == id
        assert entry.sentence.endswith(".") and entry.sentence[0].isalnum(), id
        assert len(entry.sentence) <= 520, id
        assert entry.confidence in ("A", "B", "C"), id
        assert entry.sources, id
        assert entry.kinds and set(entry.kinds) <= KINDS, id
        assert all(source.url is None or source.url.startswith("https://") for source in entry.sources), id
        assert entry.why is None or (entry.why and not entry.why.endswith(".")), id
        assert entry.differs is None or re.fullmatch(r"differs: .*[^.]", entry.differs), id


def test_no_two_rules_say_the_same() -> None:
    sentences = [*(entry.sentence for entry in specification().values()), *sections().values(), *pages().values()]
    assert len(sentences) == len(set(sentences))
    assert all(sentence.strip() for sentence in sentences)


def test_switches_are_those_of_the_mock() -> None:
    controlled = {switch for entry in specification().values() for switch in entry.switches}
    assert controlled <= set(SWITCHES)
    # `ws_null_members` belongs to a section, websocket §4
    assert set(SWITCHES) - controlled == {"ws_null_members"}
    for name, row in SWITCHES.items():
        for id in row.rule.split(", "):
            assert id not in specification() or name in specification()[id].switches, (name, id)


def test_what_rules_cite_is_there() -> None:
    for id, entry in specification().items():
        for text, names in cited(entry.sentence):
            assert names, f"{id} cites {text}"
    for name, sentence in sections().items():
        assert all(names for _, names in cited(sentence)), name
        assert name.split()[0] in pages()


def test_the_data_lies_beside_the_module() -> None:
    assert Path(module.__file__).with_name("rules.json").is_file()
