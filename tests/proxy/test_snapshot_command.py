"""`understudy snapshot diff`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from proxy import cli
from tests.support.driving import Driver


def test_equal_different_unreadable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    driver = Driver()
    files = [tmp_path / name for name in ("before.json", "same.json", "after.json")]
    for file in files:
        if file.name == "after.json":
            response = driver.create("hi")
        file.write_text(json.dumps(driver.engine.control.snapshot(driver.project)))
    before, same, after = map(str, files)
    assert cli.main(["snapshot", "diff", before, same]) == 0
    assert capsys.readouterr().out == "no differences\n"
    assert cli.main(["snapshot", "diff", before, after]) == 1
    out = capsys.readouterr().out
    assert out.startswith("calls\n  ~ calls: 0 → 1\nresponses\n") and f"\n  + responses.{response['id']}: {{" in out
    assert cli.main(["snapshot", "diff", before, str(tmp_path / "none.json")]) == 2
    assert capsys.readouterr().err.startswith(f"understudy snapshot: error: {tmp_path / 'none.json'} can't be read: ")
    files[1].write_text("[")
    assert cli.main(["snapshot", "diff", same, before]) == 2
    assert "is not JSON" in capsys.readouterr().err


def test_a_wrong_command_is_two(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["snapshot"]) == 2
    assert cli.main(["snapshot", "diff", "one"]) == 2
    assert cli.main(["snapshot", "diff", "--help"]) == 0
    assert capsys.readouterr()
