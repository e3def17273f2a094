"""The validator's words: type names, lists, abbreviations, paths, suggestions."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire import vocabulary


@pytest.mark.parametrize(
    ("value", "name"),
    [
        ("", "a string"),
        (1, "an integer"),
        (1.0, "a decimal number"),
        (True, "a boolean"),
        ({}, "an object"),
        ([], "an array"),
        (None, "null"),
    ],
)
def test_type_names(value: Any, name: str) -> None:
    assert vocabulary.type_name(value) == name


def test_lists() -> None:
    assert vocabulary.supported(["a"]) == "'a'"
    assert vocabulary.supported(["a", "b"]) == "'a' and 'b'"
    assert vocabulary.supported(["a", "b", "c"]) == "'a', 'b', and 'c'"
    assert vocabulary.one_of(["a"]) == "'a'"
    assert vocabulary.one_of(["a", "b"]) == "one of 'a' or 'b'"
    assert vocabulary.one_of(["a", "b", "c"]) == "one of 'a', 'b', or 'c'"


def test_names_of_twenty_characters_are_abbreviated() -> None:
    assert vocabulary.abbreviate("previous_response_id") == "pre..._id"
    assert vocabulary.abbreviate("conversation") == "conversation"
    assert vocabulary.abbreviate("k" * 19) == "k" * 19


def test_paths() -> None:
    assert vocabulary.dotted(("input", 4, "content", 0, "file_data")) == "input[4].content[0].file_data"
    assert vocabulary.dotted(()) == ""


@pytest.mark.parametrize(
    ("left", "right", "steps"), [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("store", "stop", 2)]
)
def test_distance(left: str, right: str, steps: int) -> None:
    assert vocabulary.distance(left, right) == vocabulary.distance(right, left) == steps


def test_E6_suggestions_nearest_first_then_alphabetical_at_most_two() -> None:
    assert vocabulary.suggestions("tool", ["tools", "pool", "wool", "tooth", "far away"]) == ["pool", "tools"]
    assert vocabulary.suggestions("xyz", ["tools"]) == []
