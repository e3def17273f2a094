"""Query parameters: the three ways to write an array, the defaults and bounds of a list."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.errors.api import APIError
from mockserver.wire.requests import query
from mockserver.wire.requests.query import ListQuery, RetrieveQuery

OUTPUTS, RESULTS = "code_interpreter_call.outputs", "file_search_call.results"


@pytest.mark.parametrize("key", ["include", "include[]", "include[0]"])
def test_P22_include_in_every_spelling(key: str) -> None:
    assert query.include([(key, OUTPUTS), (key, RESULTS), ("beta", "true")]) == (OUTPUTS, RESULTS)


def test_defaults() -> None:
    assert query.list_query([]) == ListQuery(limit=20, order="desc", after=None, before=None, include=())
    assert query.list_query([], default_order="asc").order == "asc"
    assert query.retrieve_query([]) == RetrieveQuery((), stream=False, starting_after=None, include_obfuscation=None)


def test_everything_given() -> None:
    pairs = [("limit", "100"), ("order", "asc"), ("after", "a"), ("before", "b"), ("include[]", OUTPUTS)]
    assert query.list_query(pairs) == ListQuery(100, "asc", "a", "b", (OUTPUTS,))
    pairs = [("include", OUTPUTS), ("stream", "true"), ("starting_after", "7"), ("include_obfuscation", "false")]
    assert query.retrieve_query(pairs) == RetrieveQuery((OUTPUTS,), True, 7, False)


def test_unknown_empty_and_repeated_parameters() -> None:
    pairs = [("beta", "true"), ("after", ""), ("limit", "3"), ("limit", "5"), ("order", "")]
    assert query.list_query(pairs) == ListQuery(limit=5)


INCLUDES = (
    "'file_search_call.results', 'web_search_call.results', 'web_search_call.action.sources', "
    "'message.input_image.image_url', 'computer_call_output.output.image_url', 'code_interpreter_call.outputs', "
    "'reasoning.encrypted_content', and 'message.output_text.logprobs'"
)


@pytest.mark.parametrize(
    ("read", "pair", "param", "code", "message"),
    [
        pytest.param(
            query.list_query,
            ("limit", "1000"),
            "limit",
            "integer_above_max_value",
            "Invalid 'limit': integer above maximum value. Expected a value <= 100, but got 1000 instead.",
            id="E25-E82",
        ),
        pytest.param(
            query.list_query,
            ("limit", "0"),
            "limit",
            "integer_below_min_value",
            "Invalid 'limit': integer below minimum value. Expected a value >= 1, but got 0 instead.",
            id="E24-E82",
        ),
        pytest.param(
            query.list_query,
            ("limit", "x"),
            "limit",
            "invalid_type",
            "Invalid type for 'limit': expected an integer, but got a string instead.",
            id="E10-limit",
        ),
        pytest.param(
            query.list_query,
            ("order", "up"),
            "order",
            "invalid_value",
            "Invalid value: 'up'. Supported values are: 'asc' and 'desc'.",
            id="E83",
        ),
        pytest.param(
            query.list_query,
            ("include[]", "x"),
            "include[0]",
            "invalid_value",
            f"Invalid value: 'x'. Supported values are: {INCLUDES}.",
            id="E22",
        ),
        pytest.param(
            query.retrieve_query,
            ("stream", "yes"),
            "stream",
            "invalid_type",
            "Invalid type for 'stream': expected a boolean, but got a string instead.",
            id="E10-stream",
        ),
        pytest.param(
            query.retrieve_query,
            ("starting_after", "1.5"),
            "starting_after",
            "invalid_type",
            "Invalid type for 'starting_after': expected an integer, but got a string instead.",
            id="E10-starting_after",
        ),
    ],
)
def test_row(read: Callable[[Any], Any], pair: tuple[str, str], param: str, code: str, message: str) -> None:
    with pytest.raises(APIError) as caught:
        read([pair])
    assert (caught.value.message, caught.value.param, caught.value.code) == (message, param, code)


NAMES = st.sampled_from(["limit", "order", "after", "include", "include[]", "stream", "starting_after", "x"])
VALUES = (
    st.text(max_size=6) | st.integers().map(str) | st.sampled_from(["true", "asc", OUTPUTS, "9" * 5000, "²", "1_0"])
)


@given(pairs=st.lists(st.tuples(NAMES, VALUES), max_size=5))
def test_anything_is_read_or_refused(pairs: list[tuple[str, str]]) -> None:
    for read in (query.list_query, query.retrieve_query):
        try:
            read(pairs)
        except APIError as error:
            assert error.status == 400
