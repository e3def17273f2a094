"""The validator's words: type names, lists, abbreviations, paths, suggestions."""

from __future__ import annotations

from typing import Any

import pytest

from mockserver.wire.errors import text as error_text


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
    assert error_text.type_name(value) == name


def test_lists() -> None:
    assert error_text.list_supported(["a"]) == "'a'"
    assert error_text.list_supported(["a", "b"]) == "'a' and 'b'"
    assert error_text.list_supported(["a", "b", "c"]) == "'a', 'b', and 'c'"
    assert error_text.one_of(["a"]) == "'a'"
    assert error_text.one_of(["a", "b"]) == "one of 'a' or 'b'"
    assert error_text.one_of(["a", "b", "c"]) == "one of 'a', 'b', or 'c'"


def test_names_of_twenty_characters_are_abbreviated() -> None:
    assert error_text.abbreviate("previous_response_id") == "pre..._id"
    assert error_text.abbreviate("conversation") == "conversation"
    assert error_text.abbreviate("k" * 19) == "k" * 19


def test_paths() -> None:
    assert error_text.format_path(("input", 4, "content", 0, "file_data")) == "input[4].content[0].file_data"
    assert error_text.format_path(()) == ""


@pytest.mark.parametrize(
    ("left", "right", "steps"), [("", "", 0), ("a", "", 1), ("kitten", "sitting", 3), ("store", "stop", 2)]
)
def test_distance(left: str, right: str, steps: int) -> None:
    assert error_text.distance(left, right) == error_text.distance(right, left) == steps


def test_E6_suggestions_nearest_first_then_alphabetical_at_most_two() -> None:
    assert error_text.suggestions("tool", ["tools", "pool", "wool", "tooth", "far away"]) == ["pool", "tools"]
    assert error_text.suggestions("xyz", ["tools"]) == []
