"""The first test of the first page, and the first recording, as somebody does them who has a clone and nothing else.

`python -m tests.newcomer` prints each command and the seconds that it took, in a directory of its own, which is removed
afterwards. The API that is recorded is a mock in this process; it is gone before its recording is replayed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from mockserver import Mock
from tests.docs.pages import EXAMPLES, blocks, commands, section
from tests.support.serving import ROOT

FILES = ("test_joke.py", "test_recorded.py")
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")


def main() -> None:
    """Raise if a command fails, or if a page's test is not green."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(ROOT, Path(place) / "understudy", ignore=LEFT_OUT)
        project = Path(place) / "project"
        project.mkdir()
        for name in FILES:
            shutil.copy(EXAMPLES / name, project)
        (install,), tests = (_commands("README.md", "First test", block) for block in (0, 1))
        installing = _run(*install, project)
        testing = sum(_run(line, shown, project) for line, shown in tests)
        print(f"{installing + testing:6.1f} s to the first green test")
        _, record, replay = _commands("proxy/README.md", "In pytest", 0)  # the first one names the key
        with Mock() as api:
            api.reply("Hello.", "You are Ada.")
            line = record[0].partition("  #")[0]
            recording = _run(f"{line} --openai-upstream={api.base_url}", record[1], project, key="sk-your-own-key")
        replaying = _run(*replay, project)
        print(f"{installing + recording + replaying:6.1f} s from pip install to the first replayed green test")


def _commands(page: str, heading: str, block: int) -> list[tuple[str, str]]:
    """The commands of a console block of a page, with what it shows below each."""
    return [(found.line, found.output) for found in commands(blocks(section(page, heading), "console")[block])]


def _run(line: str, shown: str, project: Path, key: str = "") -> float:
    """Run a command, which must print what is shown; returns the seconds that it took."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI_")}
    environment = {**inherited, **({"OPENAI_API_KEY": key} if key else {})}
    start = time.perf_counter()
    done = subprocess.run(line, shell=True, cwd=project, capture_output=True, text=True, timeout=600, env=environment)
    took = time.perf_counter() - start
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert shown.strip() in done.stdout, done.stdout
    print(f"{took:6.1f} s {line}")
    return took


if __name__ == "__main__":
    main()
