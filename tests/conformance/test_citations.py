"""What code and documents cite can be looked up in this repository."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import citations
from tests.support.citations import all_citations, cited


def test_every_citation_can_be_looked_up() -> None:
    lost = [f"{one.path}:{one.line}: {one.text}" for one in all_citations() if not one.names]
    assert not lost, "no rule or section is called so:\n" + "\n".join(lost)


def test_citations_are_found_where_they_are() -> None:
    paths = {one.path.split("/")[0] for one in all_citations()}
    assert {"mockserver", "tests", "fixtures", "README.md"} <= paths
    assert len(all_citations()) > 2000


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("Spec: R1.24, E60.", ["R1.24", "E60"]),
        ("Spec: R3.1–R3.3, R2.14.", ["R3.1 R3.2 R3.3", "R2.14"]),
        ("Spec: R3.3–R3.4", ["R3.3 R3.3b R3.4"]),
        ("WE1 to WE3, E18-E20", ["WE1 WE2 WE3", "E18 E19 E20"]),
        ("S8 i, S11.1, R4.16 B and S8 (g, h)", ["S8 i", "S11.1", "R4.16 B", "S8 g S8 h"]),
        ("X1 a client", ["X1"]),
        ("id='E24-R5.2'", ["E24 R5.2"]),
        ("errors §3 steps 6–7, websocket §2 to §4", ["errors §3 step 6 errors §3 step 7", "websocket §2 websocket §4"]),
        ("endpoints.md I1, RFC 9110 §7.6.1", ["I1", None]),
        ("def test_S8g_and_R7_6_and_T10_costs() -> None:", ["S8 g", "R7.6", "T10"]),
        ("E404, R1.90–R1.95, S8 z, §5.5, state §4", ["", "", None, "", ""]),
        ("MAX1, gpt-R1, a/E1, %F0, 0xE1, # noqa: E731", []),
    ],
)
def test_reading_a_line(line: str, found: list[str | None]) -> None:
    told = [" ".join(names) for _, names in cited(line)]
    for expected in found:
        assert expected is None or expected in told, told
    assert len(told) == len(found)


def test_what_is_lost_is_named_by_file_and_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.py").write_text('"""Spec: R1.24."""\n\n# Spec: R1.98, errors §9\n')
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "b.py").write_text("# Spec: E404\n")
    monkeypatch.setattr(citations, "ROOT", tmp_path)
    all_citations.cache_clear()
    try:
        assert citations.main() == 1
    finally:
        all_citations.cache_clear()
    assert capsys.readouterr().out.splitlines()[:2] == ["a.py:3: R1.98", "a.py:3: errors §9"]
