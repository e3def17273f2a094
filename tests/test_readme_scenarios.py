"""The README's chapter on scenarios does what it says: every block of it is run here."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from mockserver.engine import Engine
from mockserver.model.scenario_file import read
from mockserver.model.scenario_schema import document
from mockserver.settings import Settings
from mockserver.transport.app import MockApp
from proxy import cli
from tests.support.driving import NOON, Driver, text_of
from tests.transport.test_app import ask

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
CHAPTER = README.partition("\n## Scenarios\n")[2].partition("\n## ")[0]
TOOL = {"type": "function", "name": "get_weather", "parameters": {"type": "object", "properties": {}}}


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", CHAPTER, re.S)


def commands(text: str) -> list[tuple[str, str]]:
    """Return each command of a console block with what it prints."""
    parts = re.split(r"^\$ ", text, flags=re.M)[1:]
    return [(command, output) for command, _, output in (part.partition("\n") for part in parts)]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with the chapter's files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weather.yaml").write_text(blocks("yaml")[0])
    wrong = next(output for command, output in every_command() if command == "cat wrong.yaml")
    (tmp_path / "wrong.yaml").write_text(wrong)
    return tmp_path


def every_command() -> list[tuple[str, str]]:
    return [one for block in blocks("console") for one in commands(block)]


def test_every_kind_of_block_is_known_here() -> None:
    assert set(re.findall(r"^```(\w+)$", CHAPTER, re.M)) == {"yaml", "console", "json", "python"}
    words = [shlex.split(command)[:2] for command, _ in every_command()]
    assert {tuple(one) for one in words} == {
        ("understudy", "scenario"),
        ("understudy", "--scenario"),
        ("cat", "wrong.yaml"),
        ("curl", "-s"),
    }


@pytest.mark.usefixtures("here")
def test_the_scenario_answers_as_it_says() -> None:
    drive = Driver(scenario=("weather.yaml",), strict=True)
    assert drive.engine.settings.seed == 7
    asked = drive.create("weather in Paris?", tools=[TOOL])
    call = asked["output"][0]
    assert (call["name"], call["arguments"]) == ("get_weather", '{"city":"Paris"}')
    output = [{"type": "function_call_output", "call_id": call["call_id"], "output": "18 degrees"}]
    told = drive.create(output, previous_response_id=asked["id"])
    assert text_of(told["output"][0]) == "18 degrees in Paris."
    echo = drive.create("hello")
    assert [item["type"] for item in echo["output"]] == ["reasoning", "message"]
    assert text_of(echo["output"][1]) == "You said: hello"


@pytest.mark.usefixtures("here")
def test_the_refusal_of_strict_is_printed_as_it_is() -> None:
    app = MockApp(Engine(Settings(clock=NOON, scenario=("weather.yaml",), strict=True)))
    body = json.dumps({"model": "gpt-4.1", "input": "weather?"}).encode()
    assert ask(app, "POST", "/v1/responses", body)[0] == 200
    status, _, answer = ask(app, "POST", "/v1/responses", body)
    assert (status, json.loads(answer)) == (501, json.loads(blocks("json")[0]))


@pytest.mark.usefixtures("here")
def test_the_commands_print_what_they_print(capsys: pytest.CaptureFixture[str]) -> None:
    checked = [(command, output) for command, output in every_command() if "scenario check" in command]
    statuses = [cli.main(shlex.split(command)[1:]) for command, _ in checked]
    assert capsys.readouterr().out == "".join(output for _, output in checked)
    assert statuses == [0, 1]
    assert any(command == "understudy scenario schema > scenario.schema.json" for command, _ in every_command())
    assert cli.main(["scenario", "schema"]) == 0


def test_the_control_calls() -> None:
    app = MockApp(Engine(Settings(clock=NOON)))
    calls = [(shlex.split(command)[2:], output) for command, output in every_command() if command.startswith("curl")]
    for words, output in calls:
        assert curl(app, words) == output.removesuffix("\n"), words


def curl(app: Any, words: list[str]) -> str:
    body = words[words.index("-d") + 1].encode() if "-d" in words else b""
    method = words[words.index("-X") + 1] if "-X" in words else "POST" if body else "GET"
    url = next(word for word in words if word.startswith("http"))
    return ask(app, method, "/" + url.split("/", 3)[3], body)[2].decode()


def test_the_python_block() -> None:
    made: dict[str, Any] = {}
    exec(compile(blocks("python")[0], "README.md", "exec"), made)
    assert text_of(Driver(made["engine"]).create("hello")["output"][0]) == "HELLO"


def test_the_schema_takes_the_yaml_and_every_line_that_the_readme_shows() -> None:
    judge = Draft202012Validator(document())
    judge.validate(read(blocks("yaml")[0]).value)
    shown = re.findall(r"/_mock/script -d '(.*?)'", README, re.S)
    assert shown
    for body in shown:
        judge.validate(json.loads(body))
