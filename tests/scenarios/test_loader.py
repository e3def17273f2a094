"""One loader for YAML and JSON that knows on which line everything stands."""

from __future__ import annotations

import json

import pytest

from mockserver.scenarios.loader import line_of, read

YAML = """\
# a comment
seed: 7
lines:
  - when: {input_contains: "a: b", turn: 2}
    reply:
      text: "it's"
  - reply: {json: [1.5, -2, 1e3, null, ~, true, yes, 2026-11-20, 0x10, 010, '5', !!str 5]}
"""


def test_yaml_has_the_scalars_of_json() -> None:
    found = read(YAML)
    assert not found.mistakes and found.value["seed"] == 7
    assert found.value["lines"][0]["when"] == {"input_contains": "a: b", "turn": 2}
    values = found.value["lines"][1]["reply"]["json"]
    assert values == [1.5, -2, 1000.0, None, None, True, "yes", "2026-11-20", "0x10", 10, "5", "5"]


def test_every_place_has_its_line() -> None:
    lines = read(YAML).lines
    places = ("seed", "lines[0].when.turn", "lines[0].reply", "lines[0].reply.text", "lines[1].reply.json[3]")
    assert [lines[place] for place in places] == [2, 4, 5, 6, 7]
    assert line_of("lines[0].reply.txt.deeper[1]", lines) == 5 and line_of("nowhere", lines) == 2


@pytest.mark.parametrize("indent", [None, 2, "\t"])
def test_json_is_read_the_same(indent: int | str | None) -> None:
    value = {"seed": 1, "lines": [{"reply": {"text": 'ta\tb "q" 😀 \\ / é', "usage": {"input_tokens": 3}}}]}
    assert read(json.dumps(value, indent=indent)).value == value
    assert read(json.dumps(value, indent=indent, ensure_ascii=False)).value == value


@pytest.mark.parametrize(
    ("text", "line", "path", "words"),
    [
        ("", 1, "", "empty"),
        ("lines:\n\t- a\n", 2, "", "neither YAML nor JSON"),
        ("lines: [\n", 2, "", "neither YAML nor JSON"),
        ("a: b: c\n", 1, "", "neither YAML nor JSON"),
        ("\x00", 1, "", "neither YAML nor JSON"),
        ("lines: []\nlines: []\n", 2, "lines", "twice"),
        ("lines:\n  - reply: {1: a, text: b}\n", 2, "lines[0].reply", "must be a text"),
        ("lines:\n  - reply: {json: !thing {}}\n", 2, "lines[0].reply.json", "tag"),
        ("lines:\n  - reply: {json: !!int a}\n", 2, "lines[0].reply.json", "not what its tag says"),
        ("lines:\n  - reply: {json: 1e999}\n", 2, "lines[0].reply.json", "too large"),
        ("lines:\n  - reply: {json: 99999999999999999999}\n", 2, "lines[0].reply.json", "too large"),
        ("lines:\n  - reply: &a\n      json: *a\n", 2, "lines[0].reply.json", "holds itself"),
        ("- reply: {}\n", 1, "", "must be an object"),
        ("lines:\n  - reply:\n      txt: a\n      text: b\n", 3, "lines[0].reply.txt", "Did you mean 'text'"),
    ],
)
def test_a_mistake_has_its_line(text: str, line: int, path: str, words: str) -> None:
    first = read(text).mistakes[0]
    assert (first.line, first.path) == (line, path) and words in first.message
    assert "\n" not in str(first)


def test_all_mistakes_are_told_in_the_file_s_order() -> None:
    text = "lines:\n  - reply: {text: 1}\n    times: 0\n  - when: {turn: x}\n    reply: {text: a, text: b}\n"
    assert [(one.line, one.path) for one in read(text).mistakes] == [
        (2, "lines[0].reply.text"),
        (3, "lines[0].times"),
        (4, "lines[1].when.turn"),
        (5, "lines[1].reply.text"),
    ]


def test_an_anchor_is_read_wherever_it_is_named() -> None:
    text = "lines:\n  - &one\n    reply: {text: a}\n  - *one\n"
    assert read(text).value["lines"] == [{"reply": {"text": "a"}}] * 2


@pytest.mark.parametrize("levels", [220, 3000])
def test_what_is_nested_too_deeply_is_a_mistake(levels: int) -> None:
    [mistake] = read('{"lines": [{"reply": {"json": ' + "[" * levels + "]" * levels + "}}]}").mistakes
    assert "deep" in mistake.message
