"""How the blocks of each language are checked. Sybil finds the blocks; each of these gets one as an `Example`.

The namespace holds `served` (a running server), `place` (a directory with the examples) and `environment` (that of
whoever follows the pages). An evaluator returns nothing, or raises.
"""

from __future__ import annotations

import contextlib
import gc
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
import warnings
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from sybil import Example, Sybil
from sybil.parsers.markdown import CodeBlockParser

from mockserver import Mock
from tests.docs.pages import EXAMPLES, Command, chapter, commands, included, matches, prints, title
from tests.support.serving import ROOT, Served, serving

LOCAL, OPENAI = "http://127.0.0.1:4010", "https://api.openai.com/v1"
PROGRAM = "python your_program.py"
MARK = "\x1e"
LIMIT_S = 900  # all of `conform` takes a minute on a machine that does nothing else
WORKFLOWS = ("fixtures/examples/github_actions.yaml", "fixtures/examples/conformance.yaml")
RECORDING = ROOT / "fixtures" / "recordings" / "pydantic-ai.yaml"  # for commands that need one of the reader's
STATUS = {  # the pages show the mistakes, and the differences
    "understudy scenario check wrong.yaml": 1,
    "understudy snapshot diff state.json later.json": 1,
}
HEAVY = {("mockserver/conformance/README.md", "understudy conform")}  # chapters that take long
# what only works in a clone of its own, or takes minutes; `.ci/run` does it
_DEVELOPMENT = re.compile(r"python3 -m venv|\.venv/bin/|bash \.ci/run|python -m tests\.|pytest ")
_SERVES = re.compile(r"understudy(?= --?(?!version)\w|$)")


def run_program(example: Example) -> None:
    """Run a Python block, or its file, in this process; it must print what its comments say."""
    name = included(example.document.text, example.start)
    if name is not None and not name.endswith("your_program.py"):
        return  # a test file: `test_examples.py` runs it
    source, printed = str(example.parsed), io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(printed):
        warnings.simplefilter("ignore", ResourceWarning)  # examples leave clients open, as most programs do
        warnings.filterwarnings("ignore", r"connect\(\) must be used", DeprecationWarning)  # openai's own call
        exec(compile(source, f"{example.path}:{example.line}", "exec"), {"__name__": "__main__"})
        gc.collect()
    assert prints(source), "a program must show what it prints"
    assert printed.getvalue().splitlines() == prints(source)


def run_commands(example: Example) -> None:
    """Run a console block in one shell; each command must print what is shown below it."""
    served, place, environment = (example.namespace[name] for name in ("served", "place", "environment"))
    found = commands(str(example.parsed))
    assert found, "a console block must have commands"
    for command in found:
        if is_development(command.line):
            check_targets(command.line)
    once = [one for one in found if not _SERVES.match(one.line) and not is_development(one.line)]
    for command, (printed, status) in zip(once, run_shell(once, served, place, environment), strict=True):
        assert status == STATUS.get(command.line, 0), (command.line, printed)
        expected = _expected(command)
        assert not expected or matches(expected, printed), f"$ {command.line}\n{printed}\n-- shown:\n{expected}"
    for command in found:
        if _SERVES.match(command.line):
            start_and_stop(command.line, place)


def is_development(line: str) -> bool:
    """Whether a command sets up a clone, or runs tests of the repository."""
    return bool(_DEVELOPMENT.match(line))


def check_targets(line: str) -> None:
    """Check that the modules and paths that a command names are in the repository, for what is not run here."""
    words = shlex.split(line, comments=True)
    modules = [word for word in words if re.fullmatch(r"tests(\.\w+)+", word)]
    paths = [word for word in words if re.match(r"(tests|\.ci)/", word)]
    paths += [module.replace(".", "/") + ".py" for module in modules]
    assert all((ROOT / path.partition("::")[0]).exists() for path in paths), line


def _expected(command: Command) -> str:
    """What a command must print; what a program prints stands in the program."""
    if command.line == PROGRAM:
        return "\n".join(prints((EXAMPLES / "your_program.py").read_text(encoding="utf-8")))
    return command.output


def run_shell(found: list[Command], served: Served, place: Path, environment: dict[str, str]) -> list[tuple[str, int]]:
    """Run commands one after the other in one shell, curl so that it fails if the server refuses."""
    if not found:
        return []
    lines = ['curl() { command curl --fail-with-body "$@"; }']
    for command in found:
        line = command.line.replace(LOCAL, served.origin).replace(OPENAI, served.base_url)
        lines += [line, f"printf '{MARK}%s{MARK}' $?"]
    done = subprocess.run(
        ["bash", "-c", "\n".join(lines)], cwd=place, capture_output=True, text=True, timeout=LIMIT_S, env=environment
    )
    parts = done.stdout.split(MARK)
    assert len(parts) == 2 * len(found) + 1, done.stdout + done.stderr
    if any(int(status) for status in parts[1::2]):
        print(done.stderr)
    return [(printed, int(status)) for printed, status in zip(parts[::2], parts[1::2], strict=False)]


def start_and_stop(line: str, place: Path) -> None:
    """Serve with a command's options, on a free port."""
    words = shlex.split(line, comments=True)[1:]
    with serving(*[str(place / word) if (place / word).is_file() else word for word in words]) as served:
        assert served.control("GET", "/health")["status"] == "ok"


def check_yaml(example: Example) -> None:
    """Load a scenario; a workflow only has to be YAML, `test_examples.py` looks at it."""
    if included(example.document.text, example.start) in WORKFLOWS:
        assert yaml.safe_load(str(example.parsed))
        return
    with Mock() as mock:
        mock.play(yaml.safe_load(str(example.parsed)))


def check_json(example: Example) -> None:
    """Parse a block; a line of a scenario must be one."""
    value = json.loads(str(example.parsed))
    if isinstance(value, dict) and "reply" in value:
        with Mock() as mock:
            mock.script([value])


def check_toml(example: Example) -> None:
    """Parse a block."""
    assert tomllib.loads(str(example.parsed))


def lint_docker(example: Example) -> None:
    """Read what a container would run; Docker itself is not needed."""
    (line,) = str(example.parsed).splitlines()
    words = shlex.split(line)
    assert words[:2] == ["docker", "run"]
    install, serve = words[-1].split(" && ")
    assert install == "pip install -q /src"
    start_and_stop(serve.replace("--host 0.0.0.0", "--host 127.0.0.1"), EXAMPLES)


def check_elsewhere(example: Example, *, by: str) -> None:
    """Check that the test exists which checks a block."""
    assert (ROOT / by).exists()


def run_chapter(page: Path, heading: str, served: Served, environment: dict[str, str], place: Path) -> None:
    """Check the blocks of a chapter in order, in a directory with the examples."""
    shutil.copytree(EXAMPLES, place, dirs_exist_ok=True)
    shutil.copy(RECORDING, place / "talk.yaml")
    document = SYBIL.parse(page)
    document.namespace.update(served=served, place=place, environment=environment)
    for example in document.examples():
        if chapter(document.text, example.start) == heading:
            try:
                example.evaluate()
            except Exception as error:
                error.add_note(f"{title(page)}:{example.line}")
                raise


def newcomer_environment(base_url: str = "") -> dict[str, str]:
    """The environment of whoever follows the pages: the product's commands, the two variables, no proxy."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "UNDERSTUDY_"))}
    variables = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "any"} if base_url else {}
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", "")))
    return {**inherited, "PATH": path, "NO_PROXY": "127.0.0.1", "PYTHONDONTWRITEBYTECODE": "1", **variables}


EVALUATORS: dict[str, Any] = {
    "python": run_program,
    "console": run_commands,
    "yaml": check_yaml,
    "json": check_json,
    "toml": check_toml,
    "sh": lint_docker,
    "nginx": partial(check_elsewhere, by="tests/transport/test_nginx.py"),
    "ts": partial(check_elsewhere, by="tests/contract/test_readme_recipes.py"),
    "text": partial(check_elsewhere, by="tests/docs/test_paths.py"),
}
SYBIL = Sybil([CodeBlockParser(language, evaluator) for language, evaluator in EVALUATORS.items()])
