"""`understudy cassette`: what is recorded, what is wrong with it."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from proxy import cli
from proxy.cassettes.document import format_interaction
from proxy.cassettes.file import load
from proxy.cassettes.interaction import Interaction, Piece, Request, Response
from proxy.cassettes.lint import find_faults
from tests.support.cassettes import recording
from tests.support.serving import ROOT

NOW = 1_796_000_000.0


def record(path: Path) -> None:
    with recording(path) as url, httpx.Client(base_url=url, trust_env=False) as client:
        first = client.post("/responses", json={"model": "gpt-5.5", "input": "I am Ada"}).json()
        again = {
            "model": "gpt-5.5",
            "input": [{"role": "user", "content": "Who?"}],
            "previous_response_id": first["id"],
        }
        client.post("/responses", json=again)
        client.get(f"/responses/{first['id']}")
        client.get("/responses/resp_0123456789none")


def test_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "talk.yaml"
    record(path)
    with path.open("a") as file:
        file.write("---\nid: 9\n")
    assert cli.main(["cassette", "show", str(path)]) == 0
    out = capsys.readouterr().out
    rows = [line.split() for line in out.splitlines()]
    assert rows[1] == ["id", "at", "endpoint", "model", "parent", "status", "tokens", "ms", "ended"]
    assert [row[0] for row in rows[2:6]] == ["1", "2", "3", "4"] and "gpt-5.5" in rows[2] and "404" in rows[5]
    assert "! " in out and out.endswith("the last document is torn\n")
    assert cli.main(["cassette", "show", "--tree", str(path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "1 POST /responses 'I am Ada'" in lines[2]
    assert "│   ├── 2 POST /responses 'Who?'" in lines[3] and "│   └── 3 GET" in lines[4] and "→ 404" in lines[5]


def test_a_history_that_a_client_keeps_is_a_branch_of_the_tree(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cassette", "show", "--tree", str(ROOT / "fixtures" / "recordings" / "pydantic-ai.yaml")]) == 0
    _, count, *lines = (line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert count == "6 interactions"
    assert lines[:3] == [
        "├── 1 POST /responses 'What is the weather in Paris?' → function_call get_weather",
        "│   └── 2 POST /responses '18 degrees in Paris' → 'It is mild: 18 degrees in Paris.'",
        "│       └── 3 POST /responses 'Say that again.' → 'As I said.'",
    ]


def test_a_tree_tells_what_was_put_into_conversations(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["cassette", "show", "--tree", str(ROOT / "fixtures" / "recordings" / "openai-agents.yaml")]) == 0
    shown = [re.sub("conv_[^/]+", "ID", line).rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "│   ├── 2 GET /conversations/ID/items → 0 items" in shown
    assert "│   ├── 3 POST /conversations/ID/items 'What is the weather in Paris?' → 1 item" in shown


def test_files_that_can_not_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["show"], ["lint"], ["import", "-o", str(tmp_path / "out.yaml")]):
        assert cli.main(["cassette", *words, str(tmp_path / "none.yaml")]) == 2
        assert "can't be read" in capsys.readouterr().err
    record(tmp_path / "talk.yaml")
    assert cli.main(["cassette", "import", str(tmp_path / "talk.yaml"), "-o", str(tmp_path / "no" / "x")]) == 2
    assert "can't be written" in capsys.readouterr().err


def test_lint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "talk.yaml"
    record(path)
    assert cli.main(["cassette", "lint", str(path)]) == 1
    assert "interaction 4: nothing explains resp_0123456789none" in capsys.readouterr().out


def test_lint_finds_what_must_not_be_committed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = Response(200, (("content-type", "application/json"),), (Piece(0, b"{}"),))
    bad = Response(
        200, (("set-cookie", "a"), ("x", "sk-0123456789")), (Piece(0, b'{"k":"sk-0123456789"}'),), ended="cut"
    )
    interactions = (
        Interaction(1, 0, Request("GET", "/v1/files", "api_key=abc", (("cookie", "a"),)), good),
        Interaction(
            2, 0, Request("POST", "/v1/responses/resp_012345678901/cancel", body=b'{"a":"sk-abcdefghij"}'), bad
        ),
    )
    path = tmp_path / "x.yaml"
    head = "understudy: cassette\nversion: 1\nrecorded: 2026-11-01T00:00:00Z\n"
    path.write_text(head + "".join(map(format_interaction, interactions)) + "---\nid: 3\n")
    faults = [fault.partition(": ")[2] for fault in find_faults(load(path), NOW, 86400.0)]
    assert faults == [
        "the last document is torn",
        "recorded 29 days ago",
        "interaction 1: a secret in the query",
        "interaction 1: a secret in the request's headers",
        "interaction 2: a secret in the request's body",
        "interaction 2: a secret in the answer",
        "interaction 2: a secret in the header x",
        "interaction 2: the header set-cookie names an account",
        "interaction 2: nothing explains resp_012345678901",
        "interaction 2: the answer was cut off",
    ]
    path.write_text("understudy: cassette\nversion: 1\nupstream: x\n")
    assert [*find_faults(load(path), NOW, 1.0)] == [f"{path}:1: when it was recorded is not known"]
    assert cli.main(["cassette", "lint", str(path)]) == 0
    assert capsys.readouterr().out == "1 file: nothing to complain about\n"
