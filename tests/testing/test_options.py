"""The options of `Mock` for a type checker, as the code of a user meets them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
RIGHT = """
from datetime import datetime
from pathlib import Path

from mockserver import Mock

Mock(seed=7, clock="2026-11-20T12:00:00Z", pacing=(0.3, 60), set={"done_sentinel": "on"}, scenario="a.yaml")
Mock(clock=datetime(2026, 11, 20), scenario=[Path("a.yaml")], api_key=["a", "b"], strict=True, journal=0)
Mock(scenario={"lines": []}, model=lambda prompt: "text", set=["zdr=on"], snapshot=None)
"""
WRONG = """
from mockserver import Mock

Mock(sead=7)
Mock(seed="7")
Mock(port=0)
"""


def test_a_misspelt_option_is_an_error_of_the_type_checker(tmp_path: Path) -> None:
    (tmp_path / "right.py").write_text(RIGHT)
    (tmp_path / "wrong.py").write_text(WRONG)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file=", "--no-error-summary", "right.py", "wrong.py"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert errors == [
        'wrong.py:4: error: Unexpected keyword argument "sead" for "Mock"  [call-arg]',
        'wrong.py:5: error: Argument "seed" to "Mock" has incompatible type "str"; expected "int | None"  [arg-type]',
        'wrong.py:6: error: Unexpected keyword argument "port" for "Mock"  [call-arg]',
    ], done.stderr
