"""The README's chapters on faults and on the journal do what they say: every block of them is run here."""

from __future__ import annotations

import contextlib
import io
import json
import re
from pathlib import Path
from typing import Any

from mockserver.delivery.schedule import Cut
from mockserver.faults.schema import KINDS
from mockserver.faults.spec import parse_faults
from mockserver.settings import SETTINGS
from tests.test_logbook import PROJECT, Caller

README = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")


def chapter(name: str) -> str:
    return README.partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def blocks(name: str, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", chapter(name), re.S)


def test_the_faults_are_taken_and_strike() -> None:
    (block,) = blocks("Faults", "console")
    given = json.loads(re.findall(r"-d '(.*?)'", block, re.S)[0])
    assert [fault.kind for fault in parse_faults(given["faults"])] == ["error", "cut", "delay", "rate_limit"]
    call = Caller()
    assert call("PUT", "/_mock/faults", given) == {"faults": [{**one, "used": 0} for one in given["faults"]]}
    statuses = [(call.create()["error"] or {}).get("code") for _ in range(3)]
    assert statuses == ["server_is_overloaded", "server_is_overloaded", None]
    answer = call.create("a long story", stream=True)
    assert answer.steps[-1] == Cut() and "cut" in call.last()["faults"]


def test_every_kind_has_its_row() -> None:
    rows = [line for line in chapter("Faults").splitlines() if line.startswith("| `")]
    named = [re.findall(r"[a-z_]+", row.partition("`")[2])[0] for row in rows if not row.startswith("| `do`")]
    assert sorted(named) == sorted(KINDS)
    values = [re.findall(r"`(.*?)`", row)[0] for row in rows if not row.startswith("| `do`")]
    filled = {"seconds": "1", "code": "1011", "n": "1", "{...}": '{"code": "slow_down"}'}
    for value in values:
        text = re.sub(r"\{\.\.\.\}|(?<=: )[a-z]+(?=[,}])", lambda match: filled[match[0]], value)
        parse_faults([{"do": json.loads(text)}])


def test_an_exchange_looks_as_it_is_shown() -> None:
    (block,) = blocks("Journal", "console")
    shown = re.findall(r'^ {2,8}"(\w+)":', block, re.M)
    call = Caller()
    call("POST", "/v1/responses", {"model": "gpt-5.5", "input": "hi"})
    page: Any = call("GET", "/_mock/journal", path="/v1/responses", limit="1")
    assert shown == [*list(page)[:2], *page["data"][0], *list(page)[2:]]
    known = page["data"][0]
    for key in (
        "id",
        "at",
        "transport",
        "method",
        "path",
        "query",
        "status",
        "error",
        "line",
        "faults",
        "events",
        "ended",
    ):
        written = re.findall(rf'^      "{key}": (.*?),?$', block, re.M)[0]
        assert json.loads(written) == known[key], key
    for key in ("body", "request"):
        assert json.loads(re.findall(rf'^      "{key}": (.*?),?$', block, re.M)[0]) == known[key]
    context = re.findall(r'"context": (.*)$', block, re.M)[0]
    assert re.findall(r'"(\w+)":', context) == list(known["context"])
    assert f'"input_tokens": {known["context"]["input_tokens"]}' in context


def test_the_program_prints_what_it_says() -> None:
    (program,) = blocks("Journal", "python")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(program, "README.md", "exec"), {})
    assert printed.getvalue().splitlines() == re.findall(r"# (.*)$", program, re.M)


def test_the_calls_of_the_control_api() -> None:
    call = Caller()
    assert call("PUT", "/_mock/faults", [{"do": "cut"}])["faults"][0]["used"] == 0
    assert call("DELETE", "/_mock/faults") is None and call("GET", "/_mock/faults") == {"faults": []}
    assert call("PUT", "/_mock/faults", {"fault": []})["error"]["param"] == "fault"
    assert call("PUT", "/_mock/faults", {"faults": [{"do": "x"}]})["error"]["param"] == "faults[0].do.x"
    assert call("PUT", "/_mock/faults", {})["error"]["type"] == "mock_error"
    call.create()
    assert call("GET", "/_mock/journal", after="x")["error"]["param"] == "after"
    assert call("GET", "/_mock/journal", model="x")["error"]["param"] == "model"
    assert call("GET", "/_mock/journal", limit="0")["error"]["param"] == "limit"
    assert len(call("GET", "/_mock/journal", after="0")["data"]) == 1
    assert call("DELETE", "/_mock/journal") is None and call.levers.journal(PROJECT)["data"] == []


def test_the_number_that_is_kept_is_the_settings_default() -> None:
    (setting,) = [one for one in SETTINGS if one.name == "journal"]
    assert f"The last {setting.default} exchanges" in chapter("Journal")
