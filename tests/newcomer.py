"""The first test of the first page, as somebody does it who has a clone and nothing else: `python -m tests.newcomer`.

Prints each command and the seconds that it took, in a directory of its own, which is removed afterwards.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.docs.pages import EXAMPLES, blocks, commands, section
from tests.support.serving import ROOT

FILE = "test_joke.py"
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")


def main() -> None:
    """Raise if a command fails, or if the page's test is not green."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(ROOT, Path(place) / "understudy", ignore=LEFT_OUT)
        project = Path(place) / "project"
        project.mkdir()
        shutil.copy(EXAMPLES / FILE, project)
        start = time.perf_counter()
        for block in blocks(section("README.md", "First test"), "console"):
            for command in commands(block):
                _run(command.line, command.output, project)
        print(f"{time.perf_counter() - start:6.1f} s in all")


def _run(line: str, shown: str, project: Path) -> None:
    start = time.perf_counter()
    done = subprocess.run(line, shell=True, cwd=project, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
    assert shown.strip() in done.stdout, done.stdout
    print(f"{time.perf_counter() - start:6.1f} s {line}")


if __name__ == "__main__":
    main()
