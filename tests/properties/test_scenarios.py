"""Whatever stands in a scenario: it is judged, never a crash, and the JSON Schema takes all that the loader takes."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mockserver.scenarios.json_schema import document
from mockserver.scenarios.lines import find_mistakes, parse_scenario
from mockserver.scenarios.loader import read
from tests.support.driving import Driver
from tests.support.examples import examples
from tests.support.item_inputs import INPUTS
from tests.support.prompts import ASKED, prompt
from tests.support.scenario_mistakes import GRAMMAR, SHAPES, reply, state
from tests.support.scripted_items import REPLIES
from tests.support.stream_rules import check_stream

JUDGE = Draft202012Validator(document())
REPLYING: list[Any] = [reply(**one) for one in REPLIES.values()]
GIVING: list[Any] = [
    state(conversations=[{"items": list(items)}], responses=[{"output": "a"}]) for items in INPUTS.values()
]
SEEDS: list[Any] = REPLYING + GIVING + [wrong.value for wrong in SHAPES + GRAMMAR]
WORDS = [
    "",
    "x",
    "completed",
    "message",
    "function_call",
    "call_1",
    "{{ turn }}",
    "type",
    "text",
    "id",
    "call_id",
    "failed",
]
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(-2, 600), st.sampled_from(WORDS), st.floats(-1, 2, width=16))
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=2),
    max_leaves=5,
)


def places(value: Any) -> list[tuple[Any, Any]]:
    """Return every container of a value with each of its keys."""
    pairs = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    return [(value, key) for key, _ in pairs] + [place for _, one in pairs for place in places(one)]


@st.composite
def scenarios(draw: st.DrawFn, seeds: list[Any] = SEEDS, most: int = 3) -> Any:
    """A scenario with a few changes anywhere in it."""
    value = deepcopy(draw(st.sampled_from(seeds)))
    for _ in range(draw(st.integers(0, most))):
        found = places(value)
        if found:
            holder, key = draw(st.sampled_from(found))
            if isinstance(holder, dict) and draw(st.booleans()):
                del holder[key]
            else:
                holder[key] = draw(JSON)
    return value


@given(scenarios() | JSON)
def test_it_is_judged_and_what_is_taken_answers(value: Any) -> None:
    found = list(find_mistakes(value))
    assert all(mistake.message and mistake.path is not None for mistake in found)
    if found:
        return
    errors = [error.message for error in JUDGE.iter_errors(value)]
    assert not errors
    for line in parse_scenario(value).lines:
        line.holds(prompt(*ASKED), {})
        line.reply(prompt(*ASKED))


@examples(300)
@given(scenarios(REPLYING, 1))
def test_S9_what_is_taken_streams_like_the_api(value: Any) -> None:
    if list(find_mistakes(value)):
        return
    drive = Driver()
    drive.script(*value["lines"])
    check_stream(drive.stream())


@given(scenarios())
def test_a_file_is_judged_like_its_value(value: Any) -> None:
    found = read(json.dumps(value))
    assert found.value == value
    assert sorted(one.path for one in found.mistakes) == sorted(one.path for one in find_mistakes(value))


@given(st.text(alphabet="lines: \n-{}[]'\"&*!#|>?%@\treplytx1,", max_size=40))
def test_no_text_is_a_crash(text: str) -> None:
    read(text)
