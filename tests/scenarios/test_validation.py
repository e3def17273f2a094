"""Judging a scenario by its shape."""

from __future__ import annotations

from typing import Annotated

import pytest
from pydantic import Strict

from mockserver.scenarios.document import Count, ScriptObject, Text
from mockserver.scenarios.lines import find_mistakes
from mockserver.scenarios.validation import DocumentValidator, format_value, join_path, suggest
from mockserver.wire.errors.api import MockError
from tests.support.scenario_mistakes import GRAMMAR, SHAPES, Wrong

Strings = Annotated[list[Text], Strict()]


class Inner(ScriptObject):
    b: Text


class Some(ScriptObject):
    a: Count
    b: Strings
    d: Inner


@pytest.mark.parametrize("wrong", SHAPES + GRAMMAR, ids=lambda wrong: f"{wrong.path} {wrong.words}")
def test_a_mistake_is_named_once_with_its_place(wrong: Wrong) -> None:
    [found] = find_mistakes(wrong.value)
    assert (found.path, found.error().param, found.error().status) == (wrong.path, wrong.path, 400)
    assert wrong.words in found.message


def test_every_mistake_is_found() -> None:
    judge: DocumentValidator[Some] = DocumentValidator(lambda: Some)
    value = {"b": [1, "x", 2], "c": 1, "d": {"zz": 1}}
    found = [finding.path for finding in judge.find_mistakes(value, "top")]
    assert found == ["top.b[0]", "top.b[2]", "top.c", "top.d.zz", "top.d.b", "top.a"]
    with pytest.raises(MockError) as raised:
        judge.validate(value, "top")
    assert (raised.value.param, raised.value.message) == ("top.b[0]", "'top.b[0]' must be a text, not 1.")
    assert judge.validate({"a": 1, "b": [], "d": {"b": "x"}}).a == 1


def test_a_text_with_a_template_may_stand_wherever_a_text_may() -> None:
    item = {"type": "function_call", "name": "{{ metadata.tool }}", "id": "{{ metadata.id }}"}
    assert not list(find_mistakes({"lines": [{"reply": {"output": [item]}}]}))


def test_words() -> None:
    assert (join_path("", "a"), join_path("a", 1), join_path("a[1]", "b")) == ("a", "a[1]", "a[1].b")
    assert suggest("tims", ["times", "when"]) == " Did you mean 'times'?"
    assert suggest("zzz", ["a", "b"]) == " Known are: a, b."
    assert (format_value({}), format_value(None), format_value(True), format_value("x")) == (
        "an object",
        "null",
        "true",
        "'x'",
    )
