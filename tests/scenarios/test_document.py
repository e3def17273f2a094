"""The building blocks of documents."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import AfterValidator

from mockserver.scenarios.document import (
    Accepts,
    Count,
    Figure,
    Flag,
    FlagOrId,
    Object,
    OneOf,
    ScriptObject,
    Text,
    TextMap,
    Whole,
    optional,
    reject,
)
from mockserver.scenarios.validation import DocumentValidator


@pytest.mark.parametrize(
    ("type_", "taken", "refused", "accepts"),
    [
        (Text, ["", "a"], [1, None, b"a"], "a text"),
        (Flag, [True, False], [1, 0, "true", None], "true or false"),
        (Whole, [-1, 10**30], [1.0, True, "1"], "a whole number"),
        (Count, [1], [0, 1.0, True], "a whole number from 1"),
        (Figure, [0], [-1], "a whole number from 0"),
        (Object, [{}, {"a": None}], [[], "a", None], "an object"),
        (TextMap, [{"a": "b"}], [[]], "an object"),
        (FlagOrId, [True, "id"], [1, None, {}], "true, false or an id"),
        (Annotated[str, OneOf(("a", "b"))], ["a"], ["c", 1, None, []], "one of a, b"),
        (Annotated[Text, Accepts("a colour")], ["red"], [1], "a colour"),
    ],
)
def test_types_are_strict_and_say_what_they_accept(type_: Any, taken: list, refused: list, accepts: str) -> None:
    judge: DocumentValidator[Any] = DocumentValidator(lambda: type_)
    for value in taken:
        assert judge.validate(value, "x") == value
    for value in refused:
        [found] = judge.find_mistakes(value, "x")
        assert found.message.startswith(f"'x' must be {accepts}, not ")


class Thing(ScriptObject):
    name: Text = optional("a name")
    other: Text | None = optional("a text or nothing", alias="else")


def test_what_is_optional_may_be_left_out_but_not_null_unless_its_type_says_so() -> None:
    judge: DocumentValidator[Thing] = DocumentValidator(lambda: Thing)
    assert judge.validate({"else": None}).model_fields_set == {"other"}
    assert [found.path for found in judge.find_mistakes({"name": None, "other": "x"})] == ["name", "other"]


def test_a_rule_may_report_several_places() -> None:
    def check(value: Any) -> Any:
        reject([((0, "a"), "is {odd}"), ((1,), "is even")])
        return value

    judge: DocumentValidator[Any] = DocumentValidator(lambda: Annotated[list[Any], AfterValidator(check)])
    found = judge.find_mistakes([{"a": 1}, 2], "x")
    assert [finding.message for finding in found] == ["'x[0].a' is {odd}.", "'x[1]' is even."]
