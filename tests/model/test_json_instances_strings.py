"""Texts by format, pattern, name and length."""

from __future__ import annotations

import re

import pytest

from mockserver.model.json_instances.strings import matching, text

PATTERNS = [r"^[A-Z]{3}-\d{4}$", r"^(red|green) \w+$", r"^\S+@\S+\.com$", r"[^a-z]", r"^(?!0)\d{2,5}$", r"^.{5,}$"]
OTHER_PATTERNS = [r"(a)\1b?", r"^[\w.-]+$", r"^[^\s/]{3}$", r"\bfoo\b", r"^\D\W\S$", "a|b", "(?i)^abc$", "x*?y"]


@pytest.mark.parametrize("pattern", PATTERNS + OTHER_PATTERNS)
def test_matching(pattern: str) -> None:
    for seed in "abcdef":
        found = matching(pattern, seed)
        assert found is not None and re.search(pattern, found)


def test_lengths_hold() -> None:
    assert 30 <= len(text({"minLength": 30, "maxLength": 33}, "x", "city")) <= 33
    assert len(text({"maxLength": 2}, "x", "")) <= 2
    made = text({"pattern": "^[a-z]+$", "minLength": 12, "maxLength": 14}, "x", "")
    assert re.search("^[a-z]{12,14}$", made)


def test_a_pattern_of_another_dialect_is_ignored() -> None:
    assert matching("(unclosed", "x") is None
    assert text({"pattern": "(unclosed"}, "x", "")
