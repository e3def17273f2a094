"""What a type checker says of a user's tests: options of `Mock`, its methods, the recipes.

`tests/contract/test_pyright.py` asks another checker.
"""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import resources
from pathlib import Path

import pytest

from tests.support.type_mistakes import RIGHT, WRONG, lines_of
from tests.support.type_mistakes import recipes as copy_recipes

ROOT = Path(__file__).resolve().parents[2]
STRICT = ("-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "--follow-imports=silent")


def check(place: Path, *files: str) -> list[str]:
    """The errors that mypy finds in these files of a user."""
    command = [sys.executable, *STRICT, *files]
    environment = {**os.environ, "MYPYPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, cwd=place, env=environment)
    assert not done.stderr
    return [line for line in done.stdout.splitlines() if ": error: " in line]


@pytest.mark.slow
def test_mistakes_are_errors_of_the_type_checker(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    errors = check(tmp_path, "right.py", "wrong.py")
    assert lines_of(errors, r"wrong\.py:(\d+): error: ") == lines_of(WRONG.splitlines(), r".*  # (\d+)$"), errors
    assert 'Unexpected keyword argument "sed" for "Mock"' in errors[0]


@pytest.mark.slow
def test_recipes_are_typed_strictly(tmp_path: Path) -> None:
    assert check(tmp_path, *copy_recipes(tmp_path)) == []


@pytest.mark.parametrize("package", ["mockserver", "proxy"])
def test_type_checkers_read_the_package(package: str) -> None:
    """PEP 561: without this file they take whatever a user imports for `Any`, and find no mistake."""
    assert resources.files(package).joinpath("py.typed").is_file()
