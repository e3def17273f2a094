"""The README's quick start, as somebody does it who has a clone and nothing else: `python -m tests.newcomer`.

Prints each command and the seconds that it took, in a directory of its own, which is gone afterwards.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from pathlib import Path

from tests.support.readme import BLOCKS, commands
from tests.support.serving import ROOT

CHAPTER = "Quick start"
LEFT_OUT = shutil.ignore_patterns(".git", ".venv*", "__pycache__", ".*_cache", ".hypothesis", "*.egg-info")


def main() -> None:
    """Raise when a command fails, or when the README's test is not green."""
    with tempfile.TemporaryDirectory() as place:
        shutil.copytree(ROOT, Path(place) / "understudy", ignore=LEFT_OUT)
        project = Path(place) / "project"
        project.mkdir()
        begun = time.perf_counter()
        for block in BLOCKS.values():
            if block.chapter != CHAPTER:
                continue
            if block.file:
                (project / block.file).write_text(block.text, encoding="utf-8")
                print(f"         {block.file}: {len(block.text.splitlines())} lines, copied")
            else:
                _follow(block.text, project)
        print(f"{time.perf_counter() - begun:6.1f} s in all")


def _follow(block: str, project: Path) -> None:
    for command in commands(block):
        begun = time.perf_counter()
        done = subprocess.run(command.line, shell=True, cwd=project, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, f"{command.line}\n{done.stdout}{done.stderr}"
        assert command.output.strip() in done.stdout, done.stdout
        print(f"{time.perf_counter() - begun:6.1f} s {command.line}")


if __name__ == "__main__":
    main()
