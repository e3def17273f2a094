"""The kit on servers of others, each with our echo model behind it: nothing fails but what is known to be wrong there.

The known failures stand in `servers/`, one file for each server; what is mended there has to be taken off.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import Client, interpreter, node_packages
from tests.support.patience import until
from tests.support.serving import ROOT, Served, serving

pytestmark = [pytest.mark.heavy, pytest.mark.servers]

KNOWN = Path(__file__).with_name("servers")
AGENTIC = Client("agentic-api", "0.9.0")
LITELLM = Client("litellm", "1.108.7", extra="[proxy]")
AIMOCK = Client("@copilotkit/aimock", "1.43.0", npm=True)
SECONDS = "5"  # of the machine
LEAST = {"agentic-api": 35, "litellm": 20, "aimock": 4, "understudy": 60}  # rules of the profile that are observable


@pytest.fixture(scope="module")
def echo() -> Iterator[Served]:
    with serving("--model", "echo") as running:
        yield running


@contextmanager
def started(port: int, *command: str, home: Path, **environment: str) -> Iterator[str]:
    """Run a server until it answers; yields its base URL."""
    log = (home / "log.txt").open("w")
    variables = {**os.environ, "HOME": str(home), "OPENAI_API_KEY": "test", **environment}
    process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT, env=variables, cwd=home)
    try:
        until(lambda: _answers(port) or process.poll() is not None)
        assert process.poll() is None, (home / "log.txt").read_text()
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.kill()
        process.wait()
        log.close()


def _answers(port: int) -> bool:
    try:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/models", timeout=5).close()
    except urllib.error.HTTPError as error:
        error.close()
    except OSError:
        return False
    return True


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def judge(name: str, base_url: str, directory: Path, *more: str) -> Mapping[str, Any]:
    """Judge a server by what it keeps; returns the report, once nothing fails that is not known."""
    words = ["--base-url", base_url, "--api-key", "test", "--profile", "state", "--machine-seconds", SECONDS]
    words += ["--scripts", str(directory), "--json", *more]
    known = KNOWN / f"{name}.txt"
    words += ["--expect", str(known)] if known.exists() else []
    command = [sys.executable, "-m", "proxy.cli", "conform", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    report: Mapping[str, Any] = json.loads(done.stdout)
    failed = [f"{row['id']}: {row['evidence'][:300]}" for row in report["rules"] if row["verdict"] == "failed"]
    assert done.returncode == 0, "\n".join(failed)
    assert report["summary"]["passed"] + report["summary"]["failed"] >= LEAST[name], report["summary"]
    print(f"{name}: {report['topics']}")
    return report


def run_script(script: Path, base_url: str) -> int:
    """Run a Python file of the report against a server; returns its status."""
    environment = {**os.environ, "OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "test"}
    return subprocess.run([sys.executable, str(script)], capture_output=True, env=environment).returncode


def check_scripts(directory: Path, base_url: str, echo: Served, *rules: str) -> None:
    """The scripts of these rules fail there and pass on us."""
    for rule in rules:
        found = (run_script(directory / f"{rule}.py", base_url), run_script(directory / f"{rule}.py", echo.base_url))
        assert found == (1, 0), rule


def test_agentic_api(echo: Served, tmp_path: Path) -> None:
    program = interpreter("agentic-api", AGENTIC).with_name("agentic-server")
    port = free_port()
    words = ("--gateway-host", "127.0.0.1", "--gateway-port", str(port), "--skip-llm-ready-check")
    words += ("--llm-api-base", echo.origin, "--db-url", f"sqlite://{tmp_path}/a.db")
    with started(port, str(program), *words, home=tmp_path) as base_url:
        journal = ("--upstream-journal", f"http://test@127.0.0.1:{echo.port}")
        judge("agentic-api", base_url, tmp_path / "scripts", *journal)
        check_scripts(tmp_path / "scripts", base_url, echo, "R1.22", "R1.37", "R1.43", "R2.7", "R2.18")


def test_litellm(echo: Served, tmp_path: Path) -> None:
    program = interpreter("litellm", LITELLM).with_name("litellm")
    parameters = {"model": "openai/*", "api_base": echo.base_url, "api_key": "test"}
    (tmp_path / "c.json").write_text(json.dumps({"model_list": [{"model_name": "*", "litellm_params": parameters}]}))
    port = free_port()
    variables = {
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_TELEMETRY": "False",
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    }
    words = ("--config", str(tmp_path / "c.json"), "--host", "127.0.0.1", "--port", str(port))
    with started(port, str(program), *words, home=tmp_path, **variables) as base_url:
        judge("litellm", base_url, tmp_path / "scripts", "--upstream-journal", f"http://test@127.0.0.1:{echo.port}")
        check_scripts(tmp_path / "scripts", base_url, echo, "R3.1")


def test_aimock(tmp_path: Path) -> None:
    program = node_packages("aimock", AIMOCK) / "node_modules" / ".bin" / "llmock"
    (tmp_path / "fixtures").mkdir()
    fixtures = {"fixtures": [{"match": {}, "response": {"content": "Hello."}}]}
    (tmp_path / "fixtures" / "all.json").write_text(json.dumps(fixtures))
    port = free_port()
    with started(port, str(program), "-p", str(port), "-f", str(tmp_path / "fixtures"), home=tmp_path) as base_url:
        judge("aimock", base_url, tmp_path / "scripts")


def test_ourselves_in_front_of_ourselves(echo: Served, tmp_path: Path) -> None:
    with serving("--upstream", echo.base_url) as proxy:
        report = judge("understudy", proxy.base_url, tmp_path)
    assert report["server"] == "other" and report["lacks"].keys() <= {"websocket"}
