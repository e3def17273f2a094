"""The catalogue of rules: complete, well formed, and in step with what code and tests cite."""

from __future__ import annotations

import re
from pathlib import Path

import mockserver.testing.catalogue as module
from mockserver.testing.catalogue import catalogue

ROOT = Path(__file__).resolve().parents[2]
CITED = re.compile(r"\bR(\d+)\.(\d+)(b?)\b")
# numbers are never reused, so that what was once given stays; (section, first, last) without a gap
GIVEN = [
    (1, 1, 14),
    (1, 20, 45),
    (1, 50, 55),
    (1, 60, 61),
    (2, 1, 21),
    (3, 1, 6),
    (4, 1, 19),
    (5, 1, 10),
    (6, 1, 12),
    (7, 1, 9),
    (8, 1, 9),
    (9, 1, 9),
    (9, 20, 21),
    (10, 1, 8),
    (11, 1, 10),
    (12, 1, 6),
    (13, 1, 7),
    (14, 1, 1),
    (15, 1, 9),
]


def test_every_number_that_was_given_is_there() -> None:
    given = {f"R{section}.{number}" for section, first, last in GIVEN for number in range(first, last + 1)}
    given |= {"R3.3b", *(f"X{number}" for number in range(1, 12)), *(f"WE{number}" for number in range(1, 9))}
    assert given == set(catalogue())


def test_entries_are_sentences_with_sources() -> None:
    for id, entry in catalogue().items():
        assert entry.id == id and re.fullmatch(r"R\d+\.\d+b?|X\d+|WE\d+", id)
        assert entry.sentence.endswith(".") and entry.sentence[0].isalnum(), id
        assert entry.confidence in ("A", "B", "C"), id
        assert entry.sources, id
        assert all(source.url is None or source.url.startswith("https://") for source in entry.sources), id
        assert entry.why is None or (entry.why and not entry.why.endswith(".")), id


def test_no_two_rules_say_the_same() -> None:
    sentences = [entry.sentence for entry in catalogue().values()]
    assert len(sentences) == len(set(sentences))


def test_what_the_sources_cite_is_in_the_catalogue() -> None:
    known = set(catalogue()) | {"R4.*"}
    for path in [*ROOT.glob("mockserver/**/*.py"), *ROOT.glob("proxy/**/*.py")]:
        for match in CITED.finditer(path.read_text()):
            assert match[0] in known, f"{path.name} cites {match[0]}"


def test_the_data_lies_beside_the_module() -> None:
    assert Path(module.__file__).with_name("rules.json").is_file()
