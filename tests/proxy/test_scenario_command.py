"""`understudy scenario check` and `schema`, and scenarios of a running server."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mockserver.scenarios.json_schema import document
from proxy import cli
from proxy.commands import scenario
from tests.support.serving import ROOT, serving

FIXTURES = sorted(str(file) for file in (ROOT / "fixtures" / "scenarios").iterdir())
WRONG = "seed: x\nlines:\n  - when: {turn: 0}\n    reply: {txt: a}\n"


def test_files_without_mistakes(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["scenario", "check", *FIXTURES]) == 0
    assert capsys.readouterr() == ("3 files, 13 lines: no mistakes\n", "")
    assert scenario.main(["check", next(file for file in FIXTURES if "weather" in file)]) == 0
    assert capsys.readouterr().out == "1 file, 5 lines: no mistakes\n"


def test_every_mistake_of_every_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = tmp_path / "one.yaml", tmp_path / "two.json"
    one.write_text(WRONG)
    two.write_text('{"lines": [\n{"reply": {"output": [{"type": "item_reference"}]}}]}')
    assert scenario.main(["check", str(one), str(two)]) == 1
    out, err = capsys.readouterr()
    assert (out.splitlines(), err) == (
        [
            f"{one}:1: seed: must be a whole number, not 'x'.",
            f"{one}:3: lines[0].when.turn: must be a whole number from 1, not 0.",
            f"{one}:4: lines[0].reply.txt: Unknown key 'txt' in 'lines[0].reply'. Did you mean 'text'?",
            f"{two}:2: lines[0].reply.output[0].type: 'item_reference' is an input item; no response puts one out.",
        ],
        "",
    )


def test_lax_turns_refusals_into_warnings(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd, torn = tmp_path / "odd.yaml", tmp_path / "torn.yaml"
    odd.write_text("lines:\n  - reply: {error: {code: rate_limited}}\n")
    torn.write_text("lines: [\n")
    assert scenario.main(["check", "--lax", str(odd)]) == 0
    warning, summary = capsys.readouterr().out.splitlines()
    assert warning.startswith(f"{odd}:2: warning: lines[0].reply.error.code: is no error code of the API")
    assert summary == "1 file, 1 line: 1 warning"
    assert scenario.main(["check", "--lax", str(odd), str(torn)]) == 1
    assert "neither YAML nor JSON" in capsys.readouterr().out


def test_a_file_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    binary, wrong = tmp_path / "binary.yaml", tmp_path / "wrong.yaml"
    binary.write_bytes(b"\xff")
    wrong.write_text(WRONG)
    assert scenario.main(["check", str(tmp_path / "none.yaml"), str(binary), str(wrong)]) == 2
    out, err = capsys.readouterr()
    assert out.count("wrong.yaml") == 3 and err.count("can't be read") == 2


@pytest.mark.parametrize("words", [[], ["check"], ["chek", "x"], ["schema", "x"]])
def test_wrong_words_are_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert scenario.main(words) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_schema_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert scenario.main(["schema"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed == document()  # which is a valid schema: `tests/scenarios/test_json_schema.py`


def test_a_server_with_scenarios_and_strict() -> None:
    with serving("--strict", *(word for file in FIXTURES for word in ("--scenario", file))) as server:
        body = {"model": "gpt-4.1", "input": "refuse"}
        assert server.request("POST", "/v1/responses", body).json["output"][0]["content"][0]["type"] == "refusal"
        refused = server.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "unheard of"})
        assert refused.status == 501 and refused.json["error"]["type"] == "mock_error"
        assert {name.lower(): value for name, value in refused.headers.items()}["x-should-retry"] == "false"
        found = server.control("GET", "/scenario")
        assert (found["seed"], len(found["lines"]), len(found["unused"])) == (7, 13, 12)
        own = {"lines": [{"reply": {"text": "own"}}]}
        assert server.control("PUT", "/scenario", own)["lines"] == [{"reply": {"text": "own"}, "used": 0}]
        wrong = server.request("PUT", "/_mock/scenario", {"lines": [{"reply": {}}]})
        assert (wrong.status, wrong.json["error"]["param"]) == (400, "lines[0].reply")
        assert server.request("DELETE", "/_mock/scenario").status == 204
        assert server.control("GET", "/scenario")["lines"] == []
        server.control("POST", "/reset", {"only": ["scenario"]})
        assert len(server.control("GET", "/scenario")["unused"]) == 13


@pytest.mark.slow  # three interpreters
def test_workers_share_the_counts(tmp_path: Path) -> None:
    file = tmp_path / "once.yaml"
    file.write_text("lines:\n  - reply: {text: once}\n    times: 3\n")
    options = ("--workers", "2", "--store", f"sqlite:///{tmp_path}/x.db", "--scenario", str(file))
    with serving(*options) as server:
        body = {"model": "gpt-4.1", "input": "hi"}
        said = [server.request("POST", "/v1/responses", body).json["output"][0]["content"][0]["text"] for _ in range(6)]
        assert said == ["once"] * 3 + ["Mock reply to: hi [1 items in context]"] * 3
