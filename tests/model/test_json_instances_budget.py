"""What a schema may cost: beyond its budget a turn is told so, and patterns that take for ever are not tried."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mockserver.model.json_instances import generate
from mockserver.model.json_instances.budget import MOST_STEPS, VALUE, Budget, BudgetSpent
from mockserver.model.json_instances.generate import instance
from mockserver.model.json_instances.schemas import matches
from mockserver.model.json_instances.strings import may_explode, takes_long
from mockserver.wire.errors.api import MockError
from tests.support.driving import MODEL, Driver


def doubled(levels: int) -> dict[str, Any]:
    """A schema whose instance has twice as many values with each level."""
    both = {"type": "object", "required": ["a", "b"]}
    defs = {
        f"d{n}": {**both, "properties": {key: {"$ref": f"#/$defs/d{n + 1}"} for key in "ab"}} for n in range(levels)
    }
    return {"$ref": "#/$defs/d0", "$defs": {**defs, f"d{levels}": {"type": "string"}}}


LONG_TEXTS = {"type": "array", "minItems": 1000, "items": {"type": "string", "minLength": 20_000}}


def test_an_instance_over_the_budget_is_told() -> None:
    with pytest.raises(MockError) as caught:
        instance(LONG_TEXTS, "x")
    assert caught.value.status == 501 and f"in {MOST_STEPS:,} steps" in caught.value.message


def test_a_turn_over_the_budget_is_a_501_and_the_next_one_is_answered() -> None:
    drive = Driver()
    text = {"format": {"type": "json_schema", "name": "n", "schema": LONG_TEXTS}}
    with pytest.raises(MockError) as caught:
        drive.create(text=text)
    assert caught.value.status == 501
    assert drive.engine.control.list_responses("p", limit=9, after=None)["data"] == []
    entry = drive.engine.control.journal("p")["data"][-1]
    assert (entry["status"], entry["error"]["type"]) == (501, "mock_error")
    assert drive.create(model=MODEL)["status"] == "completed"


def test_what_doubles_with_each_level_ends() -> None:
    assert json.dumps(instance(doubled(40), "x"))
    assert isinstance(instance({"type": "string", "pattern": "((((a{1000}){1000}){1000}){1000})"}, "x"), str)


def test_small_instances_do_not_depend_on_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    schema = {
        "type": "object",
        "properties": {
            "city": {"type": "string"},
            "code": {"type": "string", "pattern": r"^[A-Z]{3}-\d{4}$"},
            "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 3},
        },
        "required": ["city", "code", "tags"],
    }
    values = [instance(schema, str(seed)) for seed in range(8)]
    budgets: list[Budget] = []

    class Unbounded(Budget):
        def __init__(self) -> None:
            self.left = 10**12
            budgets.append(self)

    monkeypatch.setattr(generate, "Budget", Unbounded)
    assert [instance(schema, str(seed)) for seed in range(8)] == values
    assert max(10**12 - budget.left for budget in budgets) < MOST_STEPS / 100


def test_an_earlier_value_counts_where_later_tries_spend_the_budget(monkeypatch: pytest.MonkeyPatch) -> None:
    """A schema that nothing fits is walked several times, all of them on one budget."""
    schema = {"type": "string", "not": {"type": "string"}}
    first = instance({"type": "string"}, "x")
    walks: list[int] = []

    class Scarce(Budget):
        def __init__(self) -> None:
            self.left = VALUE + 50

        def spend(self, steps: int) -> None:
            walks.append(steps)
            super().spend(steps if len(walks) < 3 else 1000)

    monkeypatch.setattr(generate, "Budget", Scarce)
    assert instance(schema, "x") == first and len(walks) >= 3


def test_a_budget_is_spent_to_its_last_step() -> None:
    budget = Budget()
    budget.spend(MOST_STEPS)
    with pytest.raises(BudgetSpent):
        budget.spend(1)


EXPLODING = [
    *("(a+)+", "(a*)*$", "^(a+)+$", "(?:a+?)+?", "((a|b)+c*)*", "(x+x+)+y", "(a|aa)+$", "(?=(a+)+)b", "(?!(a*)*)b"),
    *("(foo|foobar)*", "((a{2,9})b)*", "(?P<n>(?:a*b)*)", "((a+)b?)+"),
    *("(a)?(?(1)(b+)+|c)", "(.*a){25}"),
]
ORDINARY = [
    *("", "^[A-Z]{3}-\\d{4}$", "^\\d{2,5}$", "^\\S+@\\S+\\.com$", "^[a-z]+-[a-z]+$", "red|green", "^(red|green) \\w+$"),
    *("^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$", "^https?://\\S+$", "(?i)^abc$", "^(?!0)\\d{2,5}$", "(ab){2,9}"),
    *("^\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2})?$", "(a?b){3}", "^\\+?[1-9]\\d{1,14}$"),
]


@pytest.mark.parametrize("pattern", EXPLODING)
def test_patterns_that_may_explode(pattern: str) -> None:
    assert may_explode(pattern)


@pytest.mark.parametrize("pattern", ORDINARY)
def test_ordinary_patterns_do_not(pattern: str) -> None:
    assert not may_explode(pattern)


@pytest.mark.parametrize("pattern", EXPLODING)
def test_texts_are_not_held_against_patterns_that_may_explode(pattern: str) -> None:
    """Each search would outlast the test's patience."""
    schema = {"enum": ["a" * 4000 + "!", "x" * 4000 + "!"], "pattern": pattern + "never$"}
    assert instance(schema, "x") in schema["enum"]
    named = {"type": "object", "required": ["a" * 4000 + "!"], "patternProperties": {pattern + "never$": False}}
    assert list(instance(named, "x")) == named["required"]


LONG_SEARCHES = [
    *("^a*a*a*a*c$", "^" + "a?" * 28 + "b$", "^" + "(?:aa|a|aaa)" * 26 + "b$", "^" + "a{0,9}" * 9 + "b$", "a*a*a*c"),
    *("^(a?b?){30}c$", "(?m)^a*a*a*c$"),
]


@pytest.mark.parametrize("pattern", LONG_SEARCHES)
def test_rows_of_repeats_and_choices_take_long_in_long_texts(pattern: str) -> None:
    """None of them explodes by repeats of repeats, and each would hold all threads up for minutes or for ever."""
    assert takes_long(pattern, 4000)
    schema = {"enum": ["a" * 4000, "a" * 4001], "pattern": pattern}
    assert instance(schema, "x") in schema["enum"]


@pytest.mark.parametrize("pattern", ORDINARY)
def test_ordinary_patterns_take_no_long_time(pattern: str) -> None:
    assert not takes_long(pattern, 120)


def test_patterns_that_take_no_long_time_are_obeyed() -> None:
    assert instance({"enum": ["no", "a-b", "a b"], "pattern": "^[a-z]+-[a-z]+$"}, "x") == "a-b"
    assert instance({"enum": ["a" * 300, "b" * 300], "pattern": "^a*a*$"}, "x") == "a" * 300
    assert instance({"enum": [1, "b"], "pattern": "^a$"}, "x") == 1, "a pattern says nothing of what is no string"


@pytest.mark.parametrize("form", ["enum", "property"])
def test_searches_are_work(form: str) -> None:
    """Each takes some hundredths of a second, in which no other thread goes on; a thousand of them would take long."""
    texts = [f"{'a' * 700}{number}" for number in range(1000)]
    assert not takes_long("^a*a*b$", 700)
    schema: dict[str, Any] = {"type": "string", "enum": texts, "pattern": "^a*a*b$"}
    if form == "property":
        names = {"type": "string", "minLength": 600, "pattern": "^a*a*b$|^(?!x)[a-z]*[a-z]*!$"}
        schema = {"type": "array", "minItems": 900, "items": names}
    with pytest.raises(MockError) as caught:
        instance(schema, "x")
    assert caught.value.status == 501


def test_a_search_among_few_ways_costs_nothing() -> None:
    budget = Budget()
    assert matches("^[a-z]+-[a-z]+$", "a-b", budget) and budget.left == Budget().left
    assert not matches("^a*a*b$", "a" * 600, budget) and budget.left < Budget().left


def test_the_values_of_an_enum_are_judged_once() -> None:
    schema = {"type": "array", "minItems": 900, "items": {"enum": [f"v{n}" for n in range(1000)], "pattern": "9$"}}
    made = instance(schema, "x")
    assert len(made) == 900 and all(value.endswith("9") for value in made)
