"""The JSON Schema takes what the loader takes, and refuses what a schema can tell."""

from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from mockserver.scenarios.json_schema import document
from mockserver.scenarios.lines import find_mistakes
from mockserver.scenarios.loader import read
from tests.support.scenario_mistakes import GRAMMAR, SHAPES, Wrong, line, other, reply
from tests.support.scripted_items import REPLIES

FILES = sorted((Path(__file__).parents[2] / "fixtures" / "scenarios").iterdir())
JUDGE = Draft202012Validator(document())


@pytest.mark.slow  # 6 s: the schema of schemas refers to itself everywhere
def test_it_is_a_schema_of_draft_2020_12() -> None:
    Draft202012Validator.check_schema(document())
    assert document()["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_the_fixtures_pass_and_say_where_their_facts_come_from(file: Path) -> None:
    text = file.read_text()
    assert "Facts: " in text and ".md" in text
    found = read(text)
    assert not found.mistakes
    JUDGE.validate(found.value)


@pytest.mark.parametrize("wrong", SHAPES + GRAMMAR, ids=lambda wrong: f"{wrong.path} {wrong.words}")
def test_it_refuses_what_it_can_tell(wrong: Wrong) -> None:
    assert JUDGE.is_valid(wrong.value) is not wrong.told


@pytest.mark.parametrize("name", REPLIES)
def test_it_takes_what_the_api_can_send(name: str) -> None:
    JUDGE.validate(reply(**REPLIES[name]))


@pytest.mark.parametrize(
    "value",
    [
        line(when={"turn": 3, "conversation": "conv_1", "tool_output": {"name": "f"}}, times=None, pacing={}),
        reply(error={"code": "rate_limit_exceeded", "param": None, "headers": {"retry-after": "1"}}),
        reply(output=[{"type": "function_call", "name": "{{ metadata.tool }}", "call_id": "{{ turn }}"}]),
        reply(json=[None, {"a": 1}], reasoning="Think."),
        {"$schema": "scenario.schema.json", "seed": -3, "lines": []},
        {"given": {"conversations": [{"id": "conv_1", "items": [{"role": "user", "content": "a"}]}]}, "lines": []},
        {"given": {"responses": [{"input": "a", "output": "b", "age": {"days": 1.5}}]}, "lines": []},
        reply(error={"code": "own", "status": 418, "type": "t", "message": "m"}),
        reply(text="{{ no template }}", verbatim=True),
        other(),
        other(when={"path": "/v1/files/*", "method": "GET"}, times=2, pacing=None),
        other(reply={"http": {"status": 503, "json": {"a": "{{ b }}"}, "headers": {"retry-after": "1"}}}),
        other(reply={"http": {"status": 204, "headers": {"x-a": "b"}}}),
    ],
)
def test_both_take_it(value: object) -> None:
    JUDGE.validate(value)
    assert not list(find_mistakes(value))


def test_what_stands_in_several_places_is_said_once() -> None:
    names = document()["$defs"]
    assert names and all(f'"#/$defs/{name}"' in str(document()).replace("'", '"') for name in names)
