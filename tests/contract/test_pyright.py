"""What pyright says of a user's tests; mypy is asked in `tests/testing/test_options.py`."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.serving import ROOT
from tests.support.type_mistakes import RIGHT, WRONG, lines_of, recipes


def check(pyright: Path, place: Path, *files: str) -> list[tuple[str, int, str]]:
    """The errors of these files of a user: file, line, message."""
    settings: dict[str, Any] = {"include": files, "extraPaths": [str(ROOT)], "typeCheckingMode": "standard"}
    (place / "pyrightconfig.json").write_text(json.dumps(settings))
    command = ["node", str(pyright), "--outputjson", "--pythonpath", sys.executable, "-p", str(place)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] == len(files), done.stdout
    return [
        (Path(one["file"]).name, one["range"]["start"]["line"] + 1, one["message"])
        for one in found["generalDiagnostics"]
        if one["severity"] == "error"
    ]


def test_mistakes_are_errors(pyright: Path, tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    errors = check(pyright, tmp_path, "right.py", "wrong.py")
    assert {file for file, _, _ in errors} == {"wrong.py"}, errors
    assert sorted({line for _, line, _ in errors}) == lines_of(WRONG.splitlines(), r".*  # (\d+)$"), errors


def test_recipes(pyright: Path, tmp_path: Path) -> None:
    assert check(pyright, tmp_path, *recipes(tmp_path)) == []
