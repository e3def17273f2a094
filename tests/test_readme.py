"""Every block of the README is run. RUN_BY names what runs it; a block that is not in there fails the first test.

Blocks that are run here or in `contract/test_readme_recipes.py` are dealt out by the table itself. Console blocks are
run for real, all of a chapter in one shell, against a server that is started for the chapter.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mockserver.settings import SETTINGS, load
from tests.support.readme import BLOCKS, TEXT, Block, Command, commands, looks_like
from tests.support.serving import PATIENCE_S, ROOT, Served, serving

HERE, CI = "tests/test_readme.py", ".ci/run"
SCENARIOS, FAULTS, PYTHON = (f"tests/test_readme_{name}.py" for name in ("scenarios", "faults", "python"))
RECIPES, CODEX = "tests/contract/test_readme_recipes.py", "tests/contract/test_codex.py"

RUN_BY: Mapping[str, str] = {
    "understudy: console 1": f"{CI}::python3 -m venv",  # both installations, the command, all tests
    "Quick start: console 1": f"{CI}::-m tests.newcomer",
    "Quick start: python 1": f"{HERE}::test_test_files_pass",  # and by the newcomer
    "Quick start: console 2": f"{CI}::-m tests.newcomer",
    "Use it: console 1": f"{HERE}::test_commands_do_what_is_shown",
    "Use it: python 1": f"{HERE}::test_programs_print_what_they_say",
    "Use it: console 2": f"{HERE}::test_commands_do_what_is_shown",
    "Use it: console 3": f"{HERE}::test_commands_do_what_is_shown",
    "Scenarios: yaml 1": f"{SCENARIOS}::test_the_scenario_answers_as_it_says",
    "Scenarios: console 1": f"{HERE}::test_commands_do_what_is_shown",
    "Scenarios: json 1": f"{SCENARIOS}::test_the_refusal_of_strict_is_printed_as_it_is",
    "Scenarios: console 2": f"{HERE}::test_commands_do_what_is_shown",
    "Scenarios: console 3": f"{HERE}::test_commands_do_what_is_shown",
    "Scenarios: console 4": f"{HERE}::test_commands_do_what_is_shown",
    "Scenarios: python 1": f"{SCENARIOS}::test_the_python_block",
    "In your tests: python 1": f"{PYTHON}::test_programs_print_what_they_say",
    "In your tests: python 2": f"{PYTHON}::test_programs_print_what_they_say",
    "pytest: python 1": f"{HERE}::test_test_files_pass",  # with the chapter's own weather.yaml
    "Without a socket: python 1": f"{PYTHON}::test_programs_print_what_they_say",
    "openai: plain, async, streamed: python 1": f"{HERE}::test_test_files_pass",
    "openai-agents: python 1": f"{RECIPES}::test_frameworks",
    "pydantic-ai: python 1": f"{RECIPES}::test_frameworks",
    "langchain: python 1": f"{RECIPES}::test_frameworks",
    "TypeScript: ts 1": f"{RECIPES}::test_typescript",
    "An agent against all the talks there may be: python 1": f"{HERE}::test_test_files_pass",
    "GitHub Actions: yaml 1": f"{HERE}::test_the_workflow",
    "Snapshots: console 1": f"{HERE}::test_commands_do_what_is_shown",
    "Snapshots: console 2": f"{HERE}::test_commands_do_what_is_shown",
    "Faults: console 1": f"{HERE}::test_commands_do_what_is_shown",
    "Journal: console 1": f"{HERE}::test_commands_do_what_is_shown",
    "Journal: python 1": f"{FAULTS}::test_the_program_prints_what_it_says",
    "Verification: python 1": f"{HERE}::test_programs_print_what_they_say",
    "Forward: console 1": f"{HERE}::test_commands_do_what_is_shown",
    "WebSocket mode: python 1": f"{HERE}::test_programs_print_what_they_say",
    "Clients: toml 1": f"{CODEX}::test_a_tool_loop_over_a_websocket_is_resumed",
    "Conformance: console 1": f"{HERE}::test_commands_do_what_is_shown",
    "Property-based tests: python 1": f"{HERE}::test_the_machine_of_an_agent",
    "How fast: console 1": f"{CI}::-m bench tests/bench/bench_mock.py tests/bench/bench_relay.py",  # one round of each
    "How it is built: text 1": f"{HERE}::test_the_rooms_are_there",
}
NOT_RUN: Mapping[str, str] = {
    "Docker: console 1": "needs Docker and an image; test_the_container_s_command reads what it runs",
}


def dealt(test: str) -> list[Block]:
    """Return the blocks that the table gives to a test."""
    return [BLOCKS[name] for name, by in RUN_BY.items() if by == test and name in BLOCKS]


def named(block: Block) -> str:
    return block.name.replace(" ", "-")


# --- nothing is left out ---------------------------------------------------------------------------------------------


def test_every_block_is_run() -> None:
    known = {*RUN_BY, *NOT_RUN}
    assert BLOCKS.keys() - known == set(), "these blocks of the README are run by nothing"
    assert known - BLOCKS.keys() == set(), "these are in the table and not in the README"


@pytest.mark.parametrize("by", sorted(set(RUN_BY.values())))
def test_what_runs_them_is_there(by: str) -> None:
    place, _, name = by.partition("::")
    source = (ROOT / place).read_text(encoding="utf-8")
    if place == CI:
        assert name in source
    else:
        assert name in {one.name for one in ast.parse(source).body if isinstance(one, ast.FunctionDef)}


@pytest.mark.parametrize("name", ["understudy: console 1", "How fast: console 1"])
def test_these_commands_are_those_of_ci(name: str) -> None:
    script = (ROOT / CI).read_text(encoding="utf-8").replace(" --quiet --disable-pip-version-check", "")
    script = re.sub(r'"\$work/\w+/bin/([\w-]+)"', r"\1", script)
    done = [part.strip() for command in commands(BLOCKS[name].text) for part in command.line.split("&&")]
    for part in done:
        part = part.removeprefix(".venv/bin/").replace(" .venv", "")
        assert part in script, part


def test_every_link_leads_to_a_heading() -> None:
    anchors = {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.*)$", TEXT, re.M)
    }
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= anchors


# --- python ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server() -> Iterator[Served]:
    """A server for all of them, at the noon that the README's answers show."""
    with serving("--clock", "2026-11-20T12:00:00Z") as served:
        yield served


@pytest.fixture
def served(server: Served) -> Served:
    """The server with nothing in the projects that the README speaks of."""
    for key in ("any", None):
        server.control("POST", "/reset", {}, key=key)
    return server


def environment(base_url: str = "") -> dict[str, str]:
    """Return the environment of whoever follows the README: its commands, its two variables, no proxy."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    scripts = str(Path(sys.executable).parent)
    told = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "any"} if base_url else {}
    path = os.pathsep.join((scripts, os.environ.get("PATH", "")))
    return {**inherited, "PATH": path, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1", **told}


@pytest.mark.parametrize("block", dealt(f"{HERE}::test_programs_print_what_they_say"), ids=named)
def test_programs_print_what_they_say(served: Served, block: Block) -> None:
    command = [sys.executable, "-c", block.text]
    told = environment(served.base_url)
    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=told)
    assert done.returncode == 0, done.stderr
    assert block.shown and done.stdout.splitlines() == block.shown


@pytest.mark.parametrize("block", dealt(f"{HERE}::test_test_files_pass"), ids=named)
def test_test_files_pass(block: Block, tmp_path: Path) -> None:
    run_test_file(Path(sys.executable), block, tmp_path)


def run_test_file(python: Path, block: Block, place: Path) -> None:
    """Run a block as a test file with some interpreter, beside the README's scenario; all of it must pass."""
    file = block.file or "test_it.py"
    (place / file).write_text(block.text, encoding="utf-8")
    (place / "weather.yaml").write_text(BLOCKS["Scenarios: yaml 1"].text, encoding="utf-8")
    tests = len(re.findall(r"^def test_|^Test\w+ = ", block.text, re.M))
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", file]
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=120, env=environment())
    assert done.returncode == 0 and f"{tests} passed" in done.stdout, done.stdout + done.stderr


MY_AGENT = """
from openai import OpenAI

def my_agent(base_url, api_key, parent):
    with OpenAI(base_url=base_url, api_key=api_key) as client:
        return client.responses.create(model="gpt-5.5", input="go on", previous_response_id=parent).id
"""
FEW_PROGRAMS = """
from hypothesis import settings

TestAgent.settings = settings(max_examples=5, stateful_step_count=10, deadline=None)
"""


def test_the_machine_of_an_agent(served: Served, tmp_path: Path) -> None:
    block = BLOCKS["Property-based tests: python 1"]
    text = block.text.replace(LOCAL, served.origin)
    assert text != block.text
    run_test_file(Path(sys.executable), block._replace(text=MY_AGENT + text + FEW_PROGRAMS), tmp_path)


# --- commands --------------------------------------------------------------------------------------------------------

LOCAL, OPENAI = "http://127.0.0.1:4010", "https://api.openai.com/v1"
PROGRAM = "your_program.py"
MARK = "\x1e"
STATUS = {  # the README shows the mistakes, and the differences
    "understudy scenario check wrong.yaml": 1,
    "understudy snapshot diff state.json later.json": 1,
}
BEFORE: Mapping[str, Any] = {"Journal": {"model": "gpt-5.5", "input": "hi"}}  # the turn that is shown


def served_by(command: str) -> bool:
    """Say whether a command serves until it is stopped."""
    return re.match(r"understudy($| (?!scenario|snapshot|conform))", command) is not None


def chapters() -> list[str]:
    return list(dict.fromkeys(block.chapter for block in dealt(f"{HERE}::test_commands_do_what_is_shown")))


@pytest.mark.parametrize("chapter", chapters())
def test_commands_do_what_is_shown(served: Served, chapter: str, tmp_path: Path) -> None:
    blocks = [block for block in dealt(f"{HERE}::test_commands_do_what_is_shown") if block.chapter == chapter]
    followed = [command for block in blocks for command in commands(block.text)]
    assert followed
    lay_out(chapter, followed, tmp_path)
    if chapter in BEFORE:
        assert served.request("POST", "/v1/responses", BEFORE[chapter], key="any").status == 200
    once = [command for command in followed if not served_by(command.line)]
    for command, (printed, status) in zip(once, in_one_shell(once, served, tmp_path), strict=True):
        assert status == STATUS.get(command.line, 0), (command.line, printed)
        expected = expected_of(command, chapter)
        assert not expected or looks_like(expected, printed), f"$ {command.line}\n{printed}\n-- shown:\n{expected}"
    for command in followed:
        if served_by(command.line):
            starts_and_stops(command.line, tmp_path)


def lay_out(chapter: str, followed: list[Command], place: Path) -> None:
    """Write the files that a chapter shows: those that blocks name, those that are printed, the program."""
    for block in BLOCKS.values():
        if block.chapter == chapter and block.file:
            (place / block.file).write_text(block.text, encoding="utf-8")
    for command in followed:
        if command.line.startswith("cat "):
            (place / command.line.split()[1]).write_text(command.output, encoding="utf-8")
        elif PROGRAM in command.line:
            (place / PROGRAM).write_text(BLOCKS[f"{chapter}: python 1"].text, encoding="utf-8")


def expected_of(command: Command, chapter: str) -> str:
    """Return what a command must print; what a program prints stands in the program."""
    return "\n".join(BLOCKS[f"{chapter}: python 1"].shown) if PROGRAM in command.line else command.output


def in_one_shell(followed: list[Command], served: Served, place: Path) -> list[tuple[str, int]]:
    """Run commands one after the other in one shell, curl so that it fails where the server refuses."""
    lines = ['curl() { command curl --fail-with-body "$@"; }']
    for command in followed:
        line = command.line.replace(LOCAL, served.origin).replace(OPENAI, served.base_url)
        lines += [line, f"printf '{MARK}%s{MARK}' $?"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=place, capture_output=True, text=True, timeout=120, env=environment()
    )
    found = done.stdout.split(MARK)
    assert len(found) == 2 * len(followed) + 1, done.stdout + done.stderr
    if any(int(status) for status in found[1::2]):
        print(done.stderr)
    return [(printed, int(status)) for printed, status in zip(found[::2], found[1::2], strict=False)]


def starts_and_stops(command: str, place: Path) -> None:
    """Serve with the options of a command, on a free port, in a directory."""
    words = shlex.split(command, comments=True)[1:]
    with serving(*[str(place / word) if (place / word).is_file() else word for word in words]) as served:
        assert served.control("GET", "/health")["status"] == "ok"


def options_are_known(command: str) -> None:
    """Read a command that serves as the product reads it; raises for an option or a value that it does not take."""
    names = {setting.name.replace("_", "-"): setting for setting in SETTINGS}
    words = iter(shlex.split(command)[1:])
    given: dict[str, Any] = {}
    for word in words:
        setting = names[word.removeprefix("--")]
        value = "true" if setting.name == "strict" else next(words)
        given[setting.name] = [value] if setting.repeatable else value
    load(given, {})


# --- files -----------------------------------------------------------------------------------------------------------


def test_the_workflow(served: Served, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    block = BLOCKS["GitHub Actions: yaml 1"]
    workflow = yaml.load(block.text, yaml.BaseLoader)
    assert block.file == ".github/workflows/test.yml" and workflow.keys() == {"name", "on", "jobs"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    assert all(len(step.keys() & {"uses", "run"}) == 1 and step.keys() <= {"uses", "run", "with"} for step in steps)
    commands = [step["run"] for step in steps if "run" in step]
    (serves,) = [command for command in commands if served_by(command)]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests" / "weather.yaml").write_text(BLOCKS["Scenarios: yaml 1"].text)
    options_are_known(serves.removesuffix(" &"))
    (asks,) = [command for command in commands if command.startswith("curl")]
    done = subprocess.run(shlex.split(asks.replace(LOCAL, served.origin)), capture_output=True, env=environment())
    assert done.returncode == 0 and json.loads(done.stdout)["status"] == "ok"
    assert workflow["jobs"]["node"]["env"] == {"OPENAI_BASE_URL": f"{LOCAL}/v1", "OPENAI_API_KEY": "any"}


def test_the_container_s_command() -> None:
    (command,) = commands(BLOCKS["Docker: console 1"].text)
    install, serves = shlex.split(command.line)[-1].split(" && ")
    assert install == "pip install -q /src"
    options_are_known(serves)


def test_the_rooms_are_there() -> None:
    text = BLOCKS["How it is built: text 1"].text
    named = re.findall(r"(?:^|  )([a-z]+/|[a-z_]+\.py)(?= |$)", text, re.M)
    below = {path.name for path in (ROOT / "mockserver").iterdir()} | {path.name for path in ROOT.iterdir()}
    assert len(named) > 10
    assert {name.rstrip("/") for name in named} <= below


def test_commands_go_on_while_quotes_are_open() -> None:
    first, second = commands("$ curl -d '{\n  }' x\nshown\n$ ls  # it's all\n")
    assert first == Command("curl -d '{\n  }' x", "shown\n")
    assert second == Command("ls  # it's all", "")


@pytest.mark.parametrize(
    ("shown", "printed", "alike"),
    [('{"a": …}', '{\n  "a": 1\n}\n', True), ('["a", …]', '["b", "c"]', False), ("1 …", "1", True), ("", "x", False)],
)
def test_what_is_left_out_may_be_anything(shown: str, printed: str, alike: bool) -> None:
    assert looks_like(shown, printed) is alike
