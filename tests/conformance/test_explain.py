"""The command `understudy explain`: rules by name, group, range and section; what it says of each."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mockserver.conformance.explain import UNKNOWN, document, main, resolve
from mockserver.conformance.rule_catalog import pages, sections, specification


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(words)
    out, err = capsys.readouterr()
    return status, out, err


def test_a_rule_with_sources_confidence_and_switch(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "90")
    assert run(capsys, "s12") == (
        0,
        "S12       An error in a stream is an event error with its members below error, in the\n"
        "          order type, code, message, param; the types of the SDK have them flat.\n"
        "          source: measured – recorded traffic, 2025-03 to 2026-08; observed on the clients\n"
        "          in the versions of November 2026\n"
        "          confidence: A, measured\n"
        "          switch: stream_error_shape\n"
        "S12.1     The order is response.created, response.in_progress, error, response.failed,\n"
        "          end.\n"
        "S12.2     The error of response.failed has only code and message; usage and completed_at\n"
        "          are null and service_tier is auto.\n"
        "S12.3     No other event has a top-level key error, because SDKs raise on it.\n"
        "S12.4     An input over the window with stream true is error and then response.failed.\n"
        "S12.5     The open stream of a background response that is cancelled ends with\n"
        "          response.failed whose response has status cancelled.\n",
        "",
    )


def test_where_the_mock_differs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    # made up, because the mock is to follow every rule in the end
    monkeypatch.setitem(document()["rules"]["R1.47"], "mock", "differs: instructions are sung")
    status, out, _ = run(capsys, "R1.47", "R1.23")
    assert status == 0
    assert "          this mock differs: instructions are sung\n" in out
    assert out.count("this mock") == 1


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("r1.24", ("R1.24",)),
        ("R3.3b", ("R3.3b",)),
        ("we1", ("WE1",)),
        ("S8 (i)", ("S8 i",)),
        ("s8i", ("S8 i",)),
        ("R4.16 A", ("R4.16 A",)),
        ("R9", ("R9.1", "R9.2", "R9.3", "R9.4", "R9.5", "R9.6", "R9.7", "R9.8", "R9.9", "R9.20", "R9.21")),
        ("R12.*", ("R12.1", "R12.2", "R12.3", "R12.4", "R12.5", "R12.6")),
        ("r1.33–r1.35", ("R1.33", "R1.34", "R1.35")),
        ("S11", ("S11", "S11.1", "S11.2", "S11.3")),
        ("E58-E60", ("E58", "E60")),
        ("WE", tuple(f"WE{number}" for number in range(1, 9))),
        ("errors §3 step 6", ("errors §3 step 6",)),
        ("endpoints.md §5.5", ("endpoints §5.5",)),
        ("tokens 1", ("tokens §1",)),
        ("R1.99", ()),
        ("R1.24-R1.99", ()),
        ("R", tuple(id for id in specification() if id[0] == "R")),
        ("wire.md", tuple(name for name in sections() if name.startswith("wire "))),
    ],
)
def test_names(name: str, names: tuple[str, ...]) -> None:
    assert resolve(name) == names


def test_everything_is_found_by_its_own_name(capsys: pytest.CaptureFixture[str]) -> None:
    for name in (*specification(), *sections()):
        assert resolve(name)[:1] == (name,)
        assert run(capsys, *name.split())[:2] == run(capsys, name)[:2]
    assert all(resolve(page) for page in pages())


def test_unknown_names_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(capsys, "R1.24", "R1.399", "R1.25") == (
        UNKNOWN,
        "",
        "understudy explain: error: there is no rule 'R1.399'; the nearest are R1.39, R1.9, R1.3\n",
    )
    status, out, err = run(capsys, "conversation")
    assert (status, out) == (UNKNOWN, "")
    assert (
        err == "understudy explain: error: there is no rule 'conversation'; rules are named such as R1.24, E60 or S8\n"
    )


def test_usage(capsys: pytest.CaptureFixture[str]) -> None:
    status, out, err = run(capsys)
    assert (status, out) == (UNKNOWN, "") and err.startswith("usage: understudy explain RULE [RULE ...]\n")
    status, out, err = run(capsys, "--help")
    assert (status, err) == (0, "") and out.startswith("usage: understudy explain RULE [RULE ...]\n")


def test_it_needs_only_the_standard_library() -> None:
    code = (
        "import sys\n"
        "from mockserver.conformance.explain import main\n"
        "assert main(['R1.24']) == 0\n"
        "print([name for name in ('orjson', 'pydantic', 'starlette', 'httpx', 'yaml') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
