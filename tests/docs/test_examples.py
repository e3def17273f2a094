"""The files of `fixtures/examples/`: the pages show them as they are, and each one works.

`tests/contract/test_readme_recipes.py` runs those that need other clients.
"""

from __future__ import annotations

import gc
import json
import re
import shlex
import shutil
import subprocess
import tomllib
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import openai
import pytest
import respx
import yaml

from mockserver import Mock
from mockserver.testing import ResponsesMachine
from mockserver.transport import http_protocol
from tests.docs.evaluators import LOCAL, is_development, newcomer_environment
from tests.docs.pages import EXAMPLES, PAGES, blocks, inclusions, refresh, section, title
from tests.support.examples import first_of
from tests.support.serving import ROOT, serving

pytest_plugins = ["pytester"]

Ask = Callable[[str], httpx2.Response]
# once, for all runs: the C part of the last one knows no second time
LOADED = (openai, respx, ResponsesMachine, http_protocol)
UNSHOWN = {"ruff.toml", "wrong.yaml"}  # the linter's; `cat` shows it in a console block
FOREIGN = {"test_agents.py", "test_pydantic_ai.py", "test_langchain.py"}  # need other clients
SERVER = "test_agent_machine.py"  # needs a server besides
RECORDED = "test_recorded.py"  # needs an API to record
SEARCHES = {"test_agent.py"}  # for the shortest program that shows a bug: it takes 7 s
FILES = sorted({path.name for path in EXAMPLES.glob("test_*.py")} - FOREIGN - {SERVER, RECORDED})


@pytest.mark.parametrize("page", PAGES, ids=title)
def test_a_block_shows_its_file(page: Path) -> None:
    for name, content in inclusions(page):
        assert content == (ROOT / name).read_text(encoding="utf-8"), f"run python -m tests.docs.pages: {name}"
    text = page.read_text(encoding="utf-8")
    assert refresh(text) == text


def test_every_file_is_shown() -> None:
    shown = {name.removeprefix("fixtures/examples/") for page in PAGES for name, _ in inclusions(page)}
    paths = (path.relative_to(EXAMPLES) for path in EXAMPLES.rglob("*") if path.is_file())
    files = {path.as_posix() for path in paths if not any(re.match(r"[._]", part) for part in path.parts)}
    assert files - UNSHOWN == shown


def run(pytester: pytest.Pytester, *arguments: str) -> None:
    """Run test files in this process; every warning is an error there, and no test may fail.

    The examples leave clients open, as most programs do. Their sockets are collected here, before another test has to
    answer for them.
    """
    pytester.makeini(
        "[pytest]\nfilterwarnings =\n  error\n  ignore::ResourceWarning\naddopts = --strict-markers -p no:cacheprovider"
    )
    outcomes = pytester.runpytest_inprocess(*arguments).parseoutcomes()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()
    assert outcomes.keys() == {"passed"}, outcomes


@pytest.mark.parametrize("name", first_of(sorted(FILES, key=SEARCHES.__contains__), len(FILES) - len(SEARCHES)))
def test_a_test_file_passes(name: str, pytester: pytest.Pytester) -> None:
    shutil.copy(EXAMPLES / name, pytester.path)
    shutil.copy(EXAMPLES / "weather.yaml", pytester.path)
    run(pytester, name)


def test_a_recorded_test_needs_its_api_once(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(EXAMPLES / RECORDED, pytester.path)
    with Mock() as api:
        api.reply("Hello.", "You are Ada.")
        monkeypatch.setenv("OPENAI_API_KEY", "sk-your-own-key")
        run(pytester, RECORDED, "--openai-record=once", f"--openai-upstream={api.base_url}")
    monkeypatch.delenv("OPENAI_API_KEY")
    run(pytester, RECORDED, "--openai-record=none")
    text = (ROOT / "proxy" / "README.md").read_text(encoding="utf-8")
    (cassette,) = pytester.path.glob("cassettes/*/*.yaml")
    assert f"`{cassette.relative_to(pytester.path).as_posix()}`" in text


def test_options_in_a_conftest(pytester: pytest.Pytester) -> None:
    shutil.copytree(EXAMPLES / "options", pytester.path, dirs_exist_ok=True)
    run(pytester)


def test_a_machine_for_an_agent(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copy(EXAMPLES / SERVER, pytester.path)
    with serving() as served:  # and no `Mock`, whose clients all share a project
        monkeypatch.setenv("OPENAI_BASE_URL", served.base_url)
        run(pytester)


@pytest.fixture
def ask(monkeypatch: pytest.MonkeyPatch) -> Iterator[Ask]:
    """A function that asks a mock with the example's scenario, of which every turn needs a line."""
    monkeypatch.chdir(EXAMPLES)
    with Mock(scenario="weather.yaml", strict=True) as mock, httpx2.Client(transport=mock.transport()) as client:
        url = "http://mock/v1/responses"
        yield lambda text: client.post(url, json={"model": "gpt-4.1", "input": text})


def test_the_scenario_answers_as_it_says(ask: Ask) -> None:
    output = ask("hello").json()["output"]
    assert [item["type"] for item in output] == ["reasoning", "message"]
    assert output[0]["summary"][0]["text"] == "Echo it."
    assert output[1]["content"][0]["text"] == "You said: hello"


def test_the_refusal_of_strict_is_printed_as_it_is(ask: Ask) -> None:
    (shown,) = blocks(section("mockserver/README.md", "Scenarios").partition("\n### ")[0], "json")
    assert ask("weather?").status_code == 200
    answer = ask("weather?")
    assert (answer.status_code, answer.json()) == (501, json.loads(shown))


def test_the_workflow() -> None:
    workflow = yaml.load((EXAMPLES / "github_actions.yaml").read_text(encoding="utf-8"), yaml.BaseLoader)
    assert workflow.keys() == {"name", "on", "jobs"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(len(step.keys() & {"uses", "run"}) == 1 and step.keys() <= {"uses", "run", "with"} for step in steps)
    ran = [step["run"] for step in steps if "run" in step]
    (starts,) = [line for line in ran if line.startswith("understudy")]
    (asks,) = [line for line in ran if line.startswith("curl")]
    words = shlex.split(starts.removesuffix(" &"))[1:]
    options = [str(EXAMPLES / "weather.yaml") if word == "tests/weather.yaml" else word for word in words]
    with serving(*options) as served:
        command = shlex.split(asks.replace(LOCAL, served.origin))
        done = subprocess.run(command, capture_output=True, env=newcomer_environment())
    assert done.returncode == 0 and json.loads(done.stdout)["status"] == "ok"
    assert workflow["jobs"]["node"]["env"] == {"OPENAI_BASE_URL": f"{LOCAL}/v1", "OPENAI_API_KEY": "any"}


def test_codex_is_led_to_the_server() -> None:
    assert tomllib.loads((EXAMPLES / "codex.toml").read_text()) == {"openai_base_url": f"{LOCAL}/v1"}


def test_the_two_commands_come_first() -> None:
    (console,) = blocks(section("README.md", "Two commands"), "console")
    lines = [line.removeprefix("$ ") for line in console.splitlines()]
    assert len(lines) == 2 and all(map(is_development, lines))
    script = Counter((ROOT / ".ci" / "run").read_text(encoding="utf-8").split())
    for part in ("-e", "'.[test]'", "."):
        assert script[part], f".ci/run does not install {part}"
