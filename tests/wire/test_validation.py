"""The validator: which of several faults is named, and where; speed is measured in tests/bench."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mockserver.wire.errors.api import APIError
from mockserver.wire.requests.schema import (
    TEXT,
    array,
    either,
    enum,
    integer,
    mapping,
    nullable,
    opaque,
    shape,
    string,
    union_by_tag,
)
from mockserver.wire.requests.validation import Validator

INNER = shape({"a": TEXT, "b": integer(least=1)}, {"c": enum("x", "y")})
CHOICES = union_by_tag({"one": shape({"type": TEXT, "n": integer()}), "two": shape({"type": TEXT}, {"inner": INNER})})
SHAPE = shape(
    {"first": TEXT, "second": INNER},
    {
        "either": either("one of a string or object", string=string(longest=2), object=INNER),
        "list": array(CHOICES, shortest=1, longest=3),
        "map": mapping(TEXT, most=2, longest_key=3),
        "deep": nullable(array(array(either(string=TEXT, number=integer()), expected="an array of strings"))),
    },
)
VALIDATOR = Validator(SHAPE)
GOOD: dict[str, Any] = {"first": "", "second": {"a": "", "b": 1}}


def complaint(**changes: Any) -> tuple[str | None, str]:
    with pytest.raises(APIError) as caught:
        VALIDATOR.validate({**GOOD, **changes})
    return caught.value.param, caught.value.message


def test_a_good_value_passes_quietly() -> None:
    items = [{"type": "one", "n": 1}, {"type": "two", "inner": {"a": "", "b": 1, "c": None}}]
    VALIDATOR.validate({**GOOD, "either": "xy", "list": items, "map": {"k": "v"}, "deep": [["x", 1]]})
    VALIDATOR.validate({**GOOD, "either": None, "list": None, "map": None, "deep": None})


@pytest.mark.parametrize(
    ("changes", "param", "start"),
    [
        ({"first": 1}, "first", "Invalid type for 'first': expected a string, but got an integer"),
        ({"first": None}, "first", "Invalid type for 'first': expected a string, but got an object"),
        ({"second": {"a": None, "b": 1}}, "second.a", "Invalid type for 'second.a': expected a string, but got null"),
        ({"second": {"b": 0}}, "second.a", "Missing required parameter: 'second.a'."),
        ({"second": {"a": 1, "b": 1, "z": 1}}, "second.z", "Unknown parameter: 'second.z'."),
        ({"second": {"a": 1, "b": 0}}, "second.a", "Invalid type"),
        ({"either": 5}, "either", "Invalid type for 'either': expected one of a string or object, but got an integer"),
        ({"either": "xyz"}, "either", "Invalid 'either': string too long."),
        ({"either": {"a": "", "b": 0}}, "either.b", "Invalid 'either.b': integer below minimum value."),
        ({"list": []}, "list", "Invalid 'list': empty array."),
        ({"list": [{}]}, "list[0].type", "Missing required parameter: 'list[0].type'."),
        ({"list": [{"type": 5}]}, "list[0].type", "Invalid type for 'list[0].type': expected a string"),
        ({"list": [{"type": "x"}]}, "list[0].type", "Invalid value: 'x'. Supported values are: 'one' and 'two'."),
        ({"list": [{"type": "two", "inner": {"a": 1, "b": 1}}]}, "list[0].inner.a", "Invalid type"),
        ({"list": [{"type": "two"}, {"type": "one"}]}, "list[1].n", "Missing required parameter: 'list[1].n'."),
        ({"list": [{"type": "two"}] * 4}, "list", "Invalid 'list': array too long."),
        ({"map": {"a": "", "b": "", "c": ""}}, "map", "Invalid 'map': too many properties."),
        ({"map": {"kkkk": ""}}, "map.kkkk", "Invalid property name in 'map'"),
        ({"map": {"k": 1}}, "map.k", "Invalid type for 'map.k'"),
        ({"deep": [["x"], ["x", True]]}, "deep[1][1]", "Invalid type for 'deep[1][1]'"),
        ({"deep": [["x"], "x"]}, "deep[1]", "Invalid type for 'deep[1]': expected an array of strings"),
        ({"map": 5, "list": 5, "either": 5}, "either", "Invalid type"),
        ({"either": 5, "zzz": 1, "first": 5}, "zzz", "Unknown parameter: 'zzz'."),
    ],
)
def test_the_first_complaint(changes: dict[str, Any], param: str, start: str) -> None:
    where, message = complaint(**changes)
    assert where == param
    assert message.startswith(start)


def test_nothing_is_converted() -> None:
    for wrong in ("1", 1.0, True):
        assert complaint(second={"a": "", "b": wrong})[0] == "second.b"


def test_an_opaque_object_takes_any_other_key() -> None:
    Validator(opaque({"type": TEXT})).validate({"type": "x", "other": [1]})


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["type", "inner", "a", "b", "n", "z"]), inner, max_size=4)
    ),
    max_leaves=6,
)


@given(changes=st.dictionaries(st.sampled_from(["first", "second", "either", "list", "map", "deep", "z"]), ANYTHING))
def test_every_fault_finds_its_words(changes: dict[str, Any]) -> None:
    try:
        VALIDATOR.validate({**GOOD, **changes})
    except APIError as error:
        assert error.param is not None
        assert error.param.partition(".")[0].partition("[")[0] in changes
