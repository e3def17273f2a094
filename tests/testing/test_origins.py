"""Where a test's lines were set."""

from __future__ import annotations

from pathlib import Path

import pytest

from mockserver import Mock
from mockserver.testing.origins import Origins, shorten_path
from mockserver.wire.responses.encoding import encode_compact

LINE = {"reply": {"text": "a"}}


def test_the_same_line_has_its_places_in_the_order_of_its_use() -> None:
    origins = Origins()
    origins.note_queued([LINE, LINE])
    origins.note_queued([LINE])
    key = encode_compact(LINE)
    first, second, third = (str(origins.queued_at(key, number)) for number in range(3))
    assert first == second and int(third.partition(":")[2]) == int(first.partition(":")[2]) + 1
    assert origins.queued_at(key, 3) is None and origins.queued_at(b"other", 0) is None
    origins.forget()
    assert origins.queued_at(key, 0) is None


def test_lines_of_a_scenario_have_their_places_while_it_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("rain.yaml").write_text("lines:\n  - reply: {text: a}\n")
    with Mock() as mock:
        mock.play(tmp_path / "rain.yaml")
        assert mock._origins.played_at("lines[0]", [LINE]) == "rain.yaml:2"
        assert mock._origins.played_at("lines[0]", [{"reply": {"text": "b"}}]) == "lines[0]", "another plays"
        assert mock._origins.played_at("other.yaml:3", [LINE]) == "other.yaml:3", "a file of the server's"
        mock.play({"lines": [LINE]})
        assert mock._origins.played_at("lines[0]", [LINE]).startswith("lines[0], ")


def test_paths_are_short_below_the_working_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert (
        shorten_path(str(tmp_path / "a" / "b.py")) == "a/b.py" and shorten_path("/elsewhere/b.py") == "/elsewhere/b.py"
    )
