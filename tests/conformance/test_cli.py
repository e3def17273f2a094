"""The command `understudy conform`: over a socket, in every form of output, on servers that are none."""

from __future__ import annotations

import importlib.util
import json
import shlex
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml

from mockserver.conformance import cli
from mockserver.conformance.drivers import EngineDriver
from mockserver.conformance.rule_catalog import catalogue
from mockserver.conformance.runner import FAILED, NOT_OBSERVABLE, PASSED
from tests.support.serving import ROOT, Served, serving

TOUCHED = ("storage", "conversations", "tokens", "tools", "service", "machine")
FEW = ("R1.2", "R1.5", "R2.12", "R8.8", "R11.4", "R13.4")


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


@pytest.mark.slow
def test_the_mock_conforms_twice_in_a_row(served: Served, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--base-url", served.base_url, "--api-key", "secret", "--only", *FEW, "machine", "--examples", "2")
    for _ in range(2):
        status, out, err = run(capsys, *words)
        assert (status, err) == (0, ""), out
        rows = [line for line in out.splitlines() if line and not line.startswith(" ")]
        assert [row.split()[0] for row in rows[:7]] == [*FEW, "machine"]
        assert [row.split() for row in rows[7:-1]] == [
            ["topic", "passed", "failed", "not", "observable", "score"],
            *([topic, "1", "0", "1" if topic == "storage" else "0", "100", "%"] for topic in TOUCHED),
        ]
        assert rows[-1] == "6 passed, 0 failed, 1 not observable"
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


@pytest.mark.slow
def test_the_recipe_of_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    workflow = yaml.safe_load((ROOT / "fixtures" / "examples" / "conformance.yaml").read_text(encoding="utf-8"))
    ran = [step["run"] for step in workflow["jobs"]["state"]["steps"] if "run" in step]
    echo = next(line for line in ran if line.startswith("understudy --model"))
    words = shlex.split(next(line for line in ran if line.startswith("understudy conform")))
    monkeypatch.chdir(tmp_path)
    Path("known-failures.txt").write_text("")
    with (
        serving(*shlex.split(echo.removesuffix(" &"))[1:3]) as model,
        serving("--upstream", model.base_url) as server,
    ):
        given = [word.replace("http://127.0.0.1:9000/v1", server.base_url) for word in words[2:]]
        assert cli.main([*given, "--machine-seconds", "1"]) == 0
    assert "| chains | " in Path("report.md").read_text()
    assert json.loads(Path("badge.json").read_text())["color"] == "brightgreen"
    assert ElementTree.parse("report.xml").getroot().get("failures") == "0"


@pytest.mark.parametrize("profile", ["state", "wire"])
def test_a_profile_has_its_rules_only(served: Served, capsys: pytest.CaptureFixture[str], profile: str) -> None:
    words = ("--base-url", served.base_url, "--api-key", "secret", "--profile", profile, "--only", "R2", "R3", "R10")
    status, out, _ = run(capsys, *words, "--json")
    told = json.loads(out)
    assert (status, told["profile"], {row["profile"] for row in told["rules"]}) == (0, profile, {profile})
    status, _, err = run(capsys, *words[:4], "--profile", "wire", "--only", "machine")
    assert status == 2 and "none of it is in the profile wire" in err


def test_known_failures_and_scripts(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    known, place = tmp_path / "known.txt", tmp_path / "scripts"
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        words = ("--base-url", f"http://127.0.0.1:{server.server_port}/v1", "--only", "R1.1", "R1.24")
        known.write_text("R1.1\n")
        status, out, _ = run(capsys, *words, "--expect", str(known), "--scripts", str(place))
        assert status == 1 and "new: R1.24" in out.splitlines()
        known.write_text("R1.1 R1.24\n")
        status, out, _ = run(capsys, *words, "--expect", str(known))
        assert status == 0 and "new:" not in out
        status, _, err = run(capsys, *words, "--scripts", str(known))
        assert status == 2 and "--scripts" in err
        server.shutdown()
    assert sorted(path.name for path in place.iterdir()) == ["R1.1.py", "R1.1.sh", "R1.24.py", "R1.24.sh"]


def test_what_is_mended_is_told(served: Served, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    known = tmp_path / "known.txt"
    known.write_text("R3.1\n")
    words = ("--base-url", served.base_url, "--api-key", "secret", "--only", "R3.1", "--expect")
    status, out, _ = run(capsys, *words, str(known))
    assert status == 0 and "mended, no longer to be expected: R3.1" in out.splitlines()
    for path, says in ((tmp_path / "no.txt", "No such file"), (tmp_path, "directory")):
        status, _, err = run(capsys, *words, str(path))
        assert status == 2 and says in err


def test_two_reports_are_compared(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for name, verdict in (("a", "passed"), ("b", "failed")):
        (tmp_path / f"{name}.json").write_text(json.dumps({"rules": [{"id": "R1.1", "verdict": verdict}]}))
    a, b = str(tmp_path / "a.json"), str(tmp_path / "b.json")
    assert run(capsys, "--compare", a, b) == (1, "storage        1/1 -> 0/1\nfails now: R1.1\n", "")
    assert run(capsys, "--compare", b, a)[0] == 0
    (tmp_path / "b.json").write_text("{}")
    assert "no report" in run(capsys, "--compare", a, b)[2]


@pytest.mark.slow
def test_the_journal_of_the_mock_behind_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    with serving() as model, serving("--upstream", model.base_url, "--upstream-api-key", "behind") as server:
        words = ("--base-url", server.base_url, "--profile", "state", "--only", "R1.20", "R1.21", "R10.7", "--json")
        journal = f"127.0.0.1:{model.port}"
        status, out, _ = run(capsys, *words, "--upstream-journal", f"http://behind@{journal}")
        assert status == 0 and json.loads(out)["summary"] == {"passed": 2, "failed": 0, "not observable": 0}
        status, out, _ = run(
            capsys, "--base-url", server.base_url, "--only", "R10.7", "--upstream-journal", f"http://behind@{journal}"
        )
        assert status == 0 and "R10.7    passed" in out, "the model is scripted behind the server"
        status, _, err = run(capsys, *words, "--upstream-journal", f"http://other@{journal}")
        assert status == 2 and "no turn of the server arrived there with the key 'other'" in err
        status, _, err = run(capsys, *words, "--upstream-journal", "http://127.0.0.1:9")
        assert status == 2 and "--upstream-journal: GET /journal" in err


def test_the_machine_abroad_prints_what_it_found(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with HTTPServer(("127.0.0.1", 0), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/v1"
        status, out, _ = run(capsys, "--base-url", url, "--only", "machine", "--machine-seconds", "1")
        server.shutdown()
    assert status == 1 and "As a Python file:" in out and "As a script of bash, curl and jq:" in out
