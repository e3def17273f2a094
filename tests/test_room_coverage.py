"""The measure of a room's tests: which room a file belongs to, what is complained about."""

from __future__ import annotations

import pytest

from tests import room_coverage
from tests.room_coverage import complaints, room_of, rooms, sources


@pytest.mark.parametrize(
    ("file", "room"),
    [
        ("mockserver/wire/catalog.py", "wire"),
        ("mockserver/wire/requests/bodies.py", "wire"),
        ("mockserver/conformance/checks/items.py", "conformance"),
        ("proxy/cassette/file.py", "proxy"),
        ("mockserver/__init__.py", "testing"),
        ("mockserver/__main__.py", "transport"),
    ],
)
def test_the_room_of_a_file(file: str, room: str) -> None:
    assert room_of(file) == room


def test_every_source_belongs_to_a_room_with_tests() -> None:
    assert {room_of(file) for file in sources()} == set(rooms())


def test_complaints() -> None:
    here = "mockserver/wire/catalog.py"
    assert complaints({here: 90.0}, {}) == []
    assert complaints({here: 89.9}, {}) == [f"{here}: 89.9 %, it must be 90.0 % at least"]
    assert complaints({here: 70.0}, {here: 70.5}) == []
    assert complaints({here: 60.0}, {here: 70.5}) == [f"{here}: 60.0 %, it must be 70.5 % at least"]
    assert complaints({here: 99.0}, {here: 70.5}) == [f"{here}: 99.0 %, it must leave the list"]
    assert complaints({}, {"mockserver/gone.py": 1.0}) == ["mockserver/gone.py is in the list and does not exist"]


def test_the_list_names_files_that_there_are() -> None:
    assert complaints({}, room_coverage.exceptions()) == []
