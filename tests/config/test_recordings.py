"""Settings of recordings: how their values are read, and what a mode can't do without."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from mockserver.config.recordings import NEEDS, missing_setting, read_factor, read_field, read_pattern


@pytest.mark.parametrize(
    ("given", "number"), [(0, 0.0), (1, 1.0), ("0.5", 0.5), (2.25, 2.25), ("999999999", 999999999.0)]
)
def test_a_factor_is_a_number_that_is_not_negative(given: Any, number: float) -> None:
    assert read_factor(given) == number


@pytest.mark.parametrize("given", [-1, "-0.1", True, False, "fast", "", "nan", "inf", 1e9])
def test_what_is_no_factor_is_refused(given: Any) -> None:
    with pytest.raises(ValueError):
        read_factor(given)


@pytest.mark.parametrize("given", ["key", r"cus_[0-9]+", "a|b"])
def test_a_pattern_is_kept_as_its_text(given: str) -> None:
    assert read_pattern(given) == given


@pytest.mark.parametrize("given", ["", "(", "[a", None, 7, ["a"]])
def test_what_is_no_regular_expression_is_refused(given: Any) -> None:
    with pytest.raises(ValueError) as caught:
        read_pattern(given)
    assert type(caught.value) is ValueError  # a setting's reader tells of nothing else


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("+user", "+user"),
        ("-prompt_cache_key", "-prompt_cache_key"),
        (" +a ", "+a"),
        ("+metadata,-tools", "+metadata,-tools"),
        ("-/[0-9]{1,2} s/", "-/[0-9]{1,2} s/"),
    ],
)
def test_a_field_has_a_sign_and_a_name(given: str, field: str) -> None:
    assert read_field(given) == field


@pytest.mark.parametrize("given", ["user", "+", "+User", "+-a", "+a b", "", None, 1, "-//", "+/a/", "-/(/", "-a,"])
def test_what_has_no_sign_or_no_name_is_no_field(given: Any) -> None:
    with pytest.raises(ValueError):
        read_field(given)


@pytest.mark.parametrize(
    ("mode", "missing"),
    [
        ("mock", None),
        ("forward", "--upstream URL"),
        ("record", "--upstream URL and --cassette FILE"),
        ("replay", "--cassette FILE"),
        ("auto", "--upstream URL and --cassette FILE"),
        ("shadow", "--upstream URL"),
    ],
)
def test_a_mode_names_all_that_it_lacks(mode: str, missing: str | None) -> None:
    assert missing_setting(mode, SimpleNamespace(upstream=None, cassette=None)) == missing


@pytest.mark.parametrize("mode", NEEDS)
def test_a_mode_that_has_all_lacks_nothing(mode: str) -> None:
    assert missing_setting(mode, SimpleNamespace(upstream="https://a.test/v1", cassette="a.jsonl")) is None


def test_only_what_is_missing_is_named() -> None:
    assert missing_setting("record", SimpleNamespace(upstream="https://a.test", cassette=None)) == "--cassette FILE"
    assert missing_setting("record", SimpleNamespace(upstream=None, cassette="a")) == "--upstream URL"
