"""Judging a scenario by its shape."""

from __future__ import annotations

import pytest

from mockserver.model.scenario import mistakes_of
from mockserver.model.scenario_mistakes import joined, members, mistakes, near, shown, told
from mockserver.wire.fields import TEXT, array, integer
from tests.support.scenario_mistakes import GRAMMAR, SHAPES, Wrong


@pytest.mark.parametrize("wrong", SHAPES + GRAMMAR, ids=lambda wrong: f"{wrong.path} {wrong.words}")
def test_a_mistake_is_named_once_with_its_place(wrong: Wrong) -> None:
    [found] = mistakes_of(wrong.value)
    assert (found.param, found.status) == (wrong.path, 400)
    assert wrong.words in found.message


def test_every_mistake_is_found() -> None:
    shape = members({"a": integer(least=1)}, {"b": array(TEXT)})
    found = [mistake.param for mistake in mistakes(shape, {"b": [1, "x", 2], "c": 1}, "top")]
    assert found == ["top.c", "top.a", "top.b[0]", "top.b[2]"]


def test_a_text_with_a_template_may_stand_wherever_a_text_may() -> None:
    item = {"type": "function_call", "name": "{{ metadata.tool }}", "id": "{{ metadata.id }}"}
    assert not list(mistakes_of({"lines": [{"reply": {"output": [item]}}]}))


def test_words() -> None:
    assert (joined("", "a"), joined("a", 1), joined("a[1]", "b")) == ("a", "a[1]", "a[1].b")
    assert near("tims", ["times", "when"]) == " Did you mean 'times'?"
    assert near("zzz", ["a", "b"]) == " Known are: a, b."
    assert (shown({}), shown(None), shown(True), shown("x")) == ("an object", "null", "true", "'x'")
    assert told(TEXT, "about")["metadata"]["about"] == "about" and "metadata" not in TEXT
