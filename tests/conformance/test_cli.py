"""The command `understudy conform`: over a socket, in every form of output, on servers that are none."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from mockserver.conformance import cli
from mockserver.conformance.drivers import EngineDriver
from mockserver.conformance.rule_catalog import catalogue
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED
from tests.support.serving import ROOT, Served, serving

TOUCHED = ("storage", "conversations", "tools", "service", "machine")
FEW = ("R1.2", "R1.5", "R2.12", "R11.4", "R13.4")


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with serving("--api-key", "secret") as running:
        yield running


@pytest.fixture(autouse=True)
def no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = cli.main(words)
    told = capsys.readouterr()
    return status, told.out, told.err


def test_the_mock_conforms_twice_in_a_row(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--base-url", served.base_url, "--api-key", "secret", "--only", *FEW, "machine", "--examples", "2")
    for _ in range(2):
        status, out, err = run(capsys, *words)
        assert (status, err) == (0, ""), out
        rows = [line for line in out.splitlines() if line and not line.startswith(" ")]
        assert [row.split()[0] for row in rows[:6]] == [*FEW, "machine"]
        assert [row.split() for row in rows[6:-1]] == [
            ["topic", "passed", "failed", "not", "observable", "score"],
            *([topic, "1", "0", "1" if topic == "storage" else "0", "100", "%"] for topic in TOUCHED),
        ]
        assert rows[-1] == "5 passed, 0 failed, 1 not observable"
        assert catalogue()["R2.12"].sentence in out


def test_json_and_junit_from_the_environment(
    served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", served.base_url)
    monkeypatch.setenv("OPENAI_API_KEY", "secret")
    report = tmp_path / "report.xml"
    status, out, err = run(capsys, "--json", "--junit", str(report), "--only", "R3")
    assert (status, err) == (0, "")
    told = json.loads(out)
    assert told["server"] == "understudy"
    assert {row["id"].split(".")[0] for row in told["rules"]} == {"R3"}
    assert {row["verdict"] for row in told["rules"]} == {"passed"}
    suite = ElementTree.fromstring(report.read_bytes())
    assert suite.get("tests") == str(len(told["rules"]))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ((), "--base-url is needed"),
        (("--base-url", "http://127.0.0.1:9/v1"), "no answer from http://127.0.0.1:9/v1"),
        (("--base-url", "nonsense"), "no answer from nonsense"),
        (("--base-url", "http://x", "--only", "R99.1"), "there is no such rule"),
        (("--base-url", "http://x", "--junit", "/no/such/place.xml"), "--junit /no/such/place.xml"),
        (("--nonsense",), "--nonsense"),
        (("--base-url", "http://x", "--examples", "many"), "--examples"),
    ],
)
def test_complaints_are_one_line(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str) -> None:
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "") and says in err and err.count("\n") == 1


def test_a_wrong_key_and_a_wrong_path_are_told(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    status, _, err = run(capsys, "--base-url", served.base_url)
    assert status == 2 and "refuses the key" in err and err.count("\n") == 1
    status, _, err = run(capsys, "--base-url", served.origin, "--api-key", "secret")
    assert status == 2 and f"{served.base_url} is" in err


def test_behind_a_proxy_the_mock_is_a_server_like_any_other(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    with serving("--upstream", served.base_url) as proxy:
        words = (
            "--base-url",
            proxy.base_url,
            "--api-key",
            "secret",
            "--json",
            "--only",
            "R1.1",
            "R1.2",
            "R1.28",
            "R3.3",
        )
        status, out, err = run(capsys, *words)
    told = json.loads(out)
    assert (status, err, told["server"]) == (0, "", "other")
    verdicts = {row["id"]: row["verdict"] for row in told["rules"]}
    assert verdicts == {"R1.1": "passed", "R1.2": "not observable", "R1.28": "passed", "R3.3": "passed"}


class Stranger(BaseHTTPRequestHandler):
    """A server that has other things to do."""

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        body = b"<html>welcome</html>"
        self.send_response(200)
        self.send_header("content-type", "text/html")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_GET = do_POST = do_DELETE = answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_any_server_gets_a_verdict_for_every_rule(capsys: pytest.CaptureFixture[str]) -> None:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        status, out, err = run(capsys, "--base-url", url, "--json")
        server.shutdown()
    told = json.loads(out)
    assert (status, err, told["server"]) == (1, "", "other")
    assert sorted(row["id"] for row in told["rules"]) == sorted([*catalogue(), "machine"])
    assert {row["verdict"] for row in told["rules"]} == {"failed", "not observable"}
    assert told["rules"][-1]["verdict"] == "failed", "the machine, too, has a verdict"
    assert all(row["evidence"] for row in told["rules"])


def test_the_machine_without_hypothesis(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cli, "find_spec", lambda name: None)
    engine = EngineDriver()
    row = next(cli.Judging(engine, "gpt-4.1").run(["machine"]))
    assert (row.verdict, "not installed" in row.evidence) == (NOT_OBSERVABLE, True)
    none = next(cli.Judging(engine, "gpt-4.1", examples=0).run(["machine"]))
    assert (none.verdict, "--examples 0" in none.evidence) == (NOT_OBSERVABLE, True)
    engine.close()


def test_what_the_machine_finds_is_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    import mockserver.conformance.machine.hypothesis_machine as machine

    said: list[Exception | None] = [AssertionError("state.run()"), RuntimeError("no"), None]

    def run_machine(driver: Any, **options: Any) -> None:
        if (error := said.pop(0)) is not None:
            raise error

    monkeypatch.setattr(machine, "run_machine", run_machine)
    engine = EngineDriver()
    rows = [next(cli.Judging(engine, "gpt-4.1").run(["machine"])) for _ in range(3)]
    assert [row.verdict for row in rows] == [FAILED, FAILED, PASSED]
    assert [row.evidence.split(" of")[0] for row in rows] == ["state.run()", "RuntimeError: no", "40 programs"]
    engine.close()


def test_serving_loads_nothing_of_it() -> None:
    code = "import sys, proxy.cli; print([name for name in sys.modules if 'testing' in name or 'hypothesis' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert "mockserver.testing" not in done.stdout
    assert "hypothesis" not in done.stdout
    assert importlib.util.find_spec("mockserver.conformance.cli")
