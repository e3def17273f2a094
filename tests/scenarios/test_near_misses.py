"""Why no line answered."""

from __future__ import annotations

from mockserver.scenarios.lines import Line, parse_lines
from mockserver.scenarios.near_misses import Candidate, explain, list_nearest, short
from tests.support.prompts import ASKED, prompt, user


def line(**when: object) -> Line:
    return parse_lines([{"when": when, "reply": {"text": "a"}}])[0]


def test_the_line_of_which_most_held_comes_first() -> None:
    candidates = [
        Candidate("far", line(input_contains="snow", turn=9), spent=False),
        Candidate("near", line(input_contains="hi", turn=1, has_tool="f"), spent=False),
    ]
    tools = [{"type": "function", "name": "g"}]
    said = explain(candidates, prompt(user("hi"), tools=tools))
    assert said == (
        'Nearest: near (2 of 3 keys hold): has_tool wants "f", found ["g"]; '
        'far (0 of 2 keys hold): input_contains wants "snow", found "hi" and turn wants 9, found 1.'
    )


def test_the_nearest_as_values_for_the_journal() -> None:
    candidates = [
        *(Candidate(f"far{number}", line(input_contains="snow", turn=9), spent=False) for number in range(3)),
        Candidate("near", line(input_contains="x" * 99, turn=1), spent=True),
    ]
    nearest, *others = list_nearest(candidates, prompt(user("hi")))
    assert [one["place"] for one in others] == ["far0", "far1"]
    mismatch = {"key": "input_contains", "wants": '"' + "x" * 58 + "…", "found": '"hi"'}
    assert nearest == {"place": "near", "spent": True, "keys": 2, "mismatches": [mismatch]}
    assert list_nearest([], prompt()) == []


def test_only_the_nearest_are_told() -> None:
    said = explain([Candidate(str(number), line(turn=number + 2), spent=False) for number in range(5)], prompt())
    assert said.startswith("Nearest of 5: 0 (") and said.count("keys hold") == 3


def test_a_line_that_is_used_up() -> None:
    assert "x (no keys): it was used as often as `times` allows" in explain(
        [Candidate("x", line(), spent=True)], prompt()
    )


def test_every_key_says_what_it_found() -> None:
    asked: dict[str, object] = {
        "model": "gpt-5",
        "input_matches": "^x",
        "input_equals": "x",
        "instructions_contains": "x",
        "context_contains": "x",
        "last_item": "message",
        "tool_output": {"name": "other"},
        "previous_response_id": True,
        "conversation": "conv_1",
        "store": False,
        "stream": True,
        "transport": "sse",
        "format": "json_schema",
        "metadata": {"a": "b"},
    }
    said = explain([Candidate("x", line(**asked), spent=False)], prompt(*ASKED))
    for key in asked:
        assert f"{key} wants" in said
    assert 'found [{"name":"get_weather","output":"18 degrees"}]' in said
    assert 'last_item wants "message", found "function_call_output"' in said


def test_nothing_to_be_near_to() -> None:
    assert "nothing is queued" in explain([], prompt())


def test_values_are_shortened() -> None:
    assert len(short("x" * 500)) == 60 and short({"a": 1}) == '{"a":1}'


def test_a_line_that_holds_but_is_used_up_is_nearest() -> None:
    candidates = [
        Candidate("half", line(input_contains="hi", turn=9), spent=False),
        Candidate("spent", line(), spent=True),
    ]
    assert explain(candidates, prompt(user("hi"))).startswith("Nearest: spent")
