"""The command line, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mockserver.config.settings import SettingError, Settings
from mockserver.transport import serve
from proxy import cli
from proxy.cli import COMMANDS
from tests.support.raw_upstream import PATIENCE, connect, exchange, get, parse, serving
from tests.support.serving import serving as serving_mock

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys, types
from tests.support.stub_mock import StubMock
stub = types.ModuleType("mockserver.transport.app")
stub.create_app = lambda settings: StubMock()
sys.modules["mockserver.transport.app"] = stub
if __name__ == "__main__":
    from {module} import main
    sys.exit(main(sys.argv[1:]))
"""


def command(tmp_path: Path, *arguments: str, module: str = "proxy.cli", **variables: str) -> subprocess.Popen[str]:
    """Start the command with a stub in the mock's place."""
    script = tmp_path / "program.py"
    script.write_text(PROGRAM.format(module=module))
    environment = {name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")}
    return subprocess.Popen(
        [sys.executable, "-W", "error", str(script), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**environment, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", **variables},
    )


def outcome(tmp_path: Path, *arguments: str, module: str = "proxy.cli", **variables: str) -> tuple[int, str, str]:
    """The status and output of a command that ends by itself."""
    process = command(tmp_path, *arguments, module=module, **variables)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err


@contextmanager
def running(tmp_path: Path, *arguments: str, **options: str) -> Iterator[tuple[subprocess.Popen[str], list[str], int]]:
    """A running command, the lines of its banner, and its port."""
    process = command(tmp_path, *arguments, **options)
    assert process.stdout is not None
    try:
        banner = [process.stdout.readline().rstrip("\n") for _ in range(5)]
        found = re.fullmatch(r"http://.*:(\d+)/_mock/", banner[3])
        assert found, banner
        yield process, banner, int(found[1])
    finally:
        process.kill()
        process.communicate()


def test_banner(tmp_path: Path) -> None:
    with running(tmp_path, "--port", "0") as (_, banner, port):
        assert banner == [
            "understudy 0.1.0 · mode mock",
            f"export OPENAI_BASE_URL=http://127.0.0.1:{port}/v1",
            "export OPENAI_API_KEY=any",
            f"http://127.0.0.1:{port}/_mock/",
            "Press Ctrl-C to stop.",
        ]
        assert parse(exchange(port, get("/v1/models"))).body == b"mock"


@pytest.mark.parametrize(
    ("arguments", "mode", "key"),
    [
        (["serve", "--upstream", "http://up.test/v1"], "forward", "YOUR_API_KEY"),
        (["--upstream", "http://up.test/v1", "--upstream-api-key", "sk-secret"], "forward", "any"),
        (["serve", "--api-key", "sk-secret"], "mock", "YOUR_UNDERSTUDY_API_KEY"),
        (["--upstream", "http://up.test/v1", "--mode", "mock"], "mock", "any"),
    ],
)
def test_banner_shows_no_secret(tmp_path: Path, arguments: list[str], mode: str, key: str) -> None:
    with running(tmp_path, *arguments, "--port", "0") as (_, banner, _port):
        assert banner[0].endswith(f"mode {mode}") and banner[2] == f"export OPENAI_API_KEY={key}"
        assert "sk-secret" not in "".join(banner)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signal_ends_it_even_with_an_open_stream(tmp_path: Path, number: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        upstream = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        with running(tmp_path, "--port", "0", "--upstream", upstream) as (process, _, port), connect(port) as sock:
            sock.sendall(get("/v1/stream"))
            accepted, _ = silent.accept()
            with accepted:
                process.send_signal(number)
                out, err = process.communicate(timeout=PATIENCE)
            assert process.returncode == 0
            assert "Traceback" not in out + err


def test_environment(tmp_path: Path) -> None:
    with running(tmp_path, UNDERSTUDY_PORT="0", UNDERSTUDY_HOST="127.0.0.1") as (_, _banner, port):
        assert parse(exchange(port, get("/v1/models"))).status == 200


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--nonsense"], "--nonsense"),
        (["--port", "many"], "--port takes a port"),
        (["--upstream", "ftp://x"], "--upstream takes a URL"),
        (["--upstream", "http://x:99999/v1"], "--upstream takes a URL"),
        (["--mode", "forward"], "--upstream"),
        (["--mode", "record", "--upstream", "http://up.test"], "--mode record needs --cassette FILE"),
        (["--mode", "replay"], "--mode replay needs --cassette FILE"),
        (["--mode", "replay", "--cassette", "none.yaml"], "none.yaml can't be read: No such file"),
        (["--cassette", "none.yaml"], "none.yaml can't be read: No such file"),
        (["--cassette", "x", "--workers", "2", "--store", "sqlite:///x"], "--workers above 1 can't share a --cassette"),
        (["--match", "metadata"], "--match takes +FIELD to compare a field of a request or -FIELD to ignore it"),
        (["--redact", "("], "--redact takes a regular expression"),
        (["--replay-speed", "-1"], "--replay-speed takes a number, 0 or more"),
        (["--host", "no-such-host.invalid"], "--host"),
        (["--host", "192.0.2.1", "--port", "0"], "--host 192.0.2.1"),
        (["verify", "x.json"], "x.json can't be read"),
        (["conform", "--base-url", "http://127.0.0.1:9/v1"], "no answer from http://127.0.0.1:9/v1"),
        (["scenario", "check", "x"], "x can't be read"),
        (["cassette", "shw", "x"], "there is no command 'shw'; did you mean show?"),
        (["nonsense"], "there is no command 'nonsense'; there are serve, verify, explain, conform"),
        (["serv"], "there is no command 'serv'; did you mean serve?"),
        (["help", "conformn"], "there is no command 'conformn'; did you mean conform?"),
        (["help", "scenario", "chek"], "there is no command 'chek'; did you mean check?"),
        (["help", "serve", "x"], "there is no command 'x'"),
        (["scenario", "chek", "x"], "there is no command 'chek'; did you mean check?"),
        (["--pacig", "1"], "Did you mean"),
        (["--port"], "--port"),
        (["--strict=maybe"], "--strict takes true or false, not 'maybe'"),
        (["serve", "extra"], "extra"),
        (["--port", "0", "--strict", "conform"], "--port, --strict: an option of serve, not of conform"),
        (["explain"], "RULE"),
    ],
)
def test_complaints_are_one_line(tmp_path: Path, arguments: list[str], says: str) -> None:
    status, out, err = outcome(tmp_path, *arguments)
    assert (status, out) == (2, "") and says in err and err.count("\n") == 1


@pytest.mark.parametrize("module", ["proxy.cli", "mockserver.__main__"])
def test_port_in_use(tmp_path: Path, module: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        status, out, err = outcome(tmp_path, "--port", str(taken.getsockname()[1]), module=module)
    assert (status, out) == (2, "") and "in use" in err and "--port" in err and err.count("\n") == 1


def test_an_unknown_variable_is_one_line(tmp_path: Path) -> None:
    for module in ("proxy.cli", "mockserver.__main__"):
        status, out, err = outcome(tmp_path, module=module, UNDERSTUDY_PROT="0")
        assert (status, out) == (2, "") and err.endswith(
            "error: there is no variable UNDERSTUDY_PROT; did you mean UNDERSTUDY_PORT?\n"
        )


@pytest.mark.parametrize("module", ["proxy.cli", "mockserver.__main__"])
def test_version_and_help(tmp_path: Path, module: str) -> None:
    assert outcome(tmp_path, "--version", module=module) == (0, "understudy 0.1.0\n", "")
    assert outcome(tmp_path, "-V", module=module) == (0, "understudy 0.1.0\n", "")
    status, out, err = outcome(tmp_path, "--help", module=module)
    assert (status, err) == (0, "") and "--port" in out and ("--upstream" in out) == (module == "proxy.cli")


def test_the_usage_line_lists_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help"]) == 0
    told = capsys.readouterr().out
    usage, _, rest = " ".join(told.split()).partition("] [OPTIONS]")
    assert usage == f"Usage: understudy [{' | '.join(name for name, row in COMMANDS.items() if row.place)}"
    assert all(f" {name} " in rest for name, row in COMMANDS.items() if row.place), "each with what it does"
    assert cli.main(["--help"]) == 0
    assert capsys.readouterr().out == told


@pytest.mark.parametrize("command", ["serve", "explain", "conform", "scenario", "snapshot", "help"])
def test_help_of_a_command(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert cli.main(["help", command]) == 0
    told = capsys.readouterr().out
    assert told.startswith(f"Usage: understudy {command} ")
    assert cli.main([command, "--help"]) == 0
    assert capsys.readouterr().out == told


def test_help_of_a_command_below_another(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["help", "scenario", "check"]) == 0
    assert capsys.readouterr().out.startswith("Usage: understudy scenario check [OPTIONS] FILE...\n")


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        (["--port", "0", "serve", "--seed", "7"], Settings(port=0, seed=7)),
        (["--strict", "serve"], Settings(strict=True)),
        (["--strict", "off", "serve", "--strict"], Settings(strict=True)),
        (["--strict", "serve", "--strict", "no"], Settings(strict=False)),
        (
            ["--port", "1", "--api-key", "a", "serve", "--port", "2", "--api-key", "b"],
            Settings(port=2, api_key=("a", "b")),
        ),
        (["--strict", "--port=3"], Settings(port=3, strict=True)),
        (["serve"], Settings()),
        ([], Settings()),
    ],
)
def test_options_before_and_after_the_command(
    monkeypatch: pytest.MonkeyPatch, words: list[str], settings: Settings
) -> None:
    served: list[tuple[Settings, object]] = []
    monkeypatch.setattr(serve, "serve", lambda *given: served.append(given) or 7)
    for name in [name for name in os.environ if name.startswith("UNDERSTUDY_")]:
        monkeypatch.delenv(name)
    assert cli.main(words) == 7
    assert served == [(settings, cli.make_app)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--port", "0", "--strict", "explain", "R1.24"], "--port, --strict: an option of serve, not of explain"),
        (["help", "conformn"], "there is no command 'conformn'; did you mean conform?"),
        (["help", "serve", "x"], "there is no command 'x'"),
    ],
)
def test_misplaced_words(capsys: pytest.CaptureFixture[str], words: list[str], says: str) -> None:
    assert cli.main(words) == 2
    out, err = capsys.readouterr()
    assert out == "" and says in err


def test_explain_prints_the_rule(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["explain", "R1.24"]) == 0
    assert "R1.24" in capsys.readouterr().out


def test_the_app_that_is_served_is_the_proxy_with_the_mock_in_it() -> None:
    request = get("/v1/models/gpt-5.5", "authorization: Bearer any")
    with serving(cli.make_app(Settings())) as port:
        answer = parse(exchange(port, request))
    assert answer.status == 200 and b'"id": "gpt-5.5"' in answer.body
    assert answer.all(b"x-understudy-source") == [b"mock"]
    with pytest.raises(SettingError, match=r"x\.yaml can't be read"):
        cli.make_app(Settings(mode="replay", cassette=("x.yaml",)))


def test_mock_alone(tmp_path: Path) -> None:
    variables = {"UNDERSTUDY_UPSTREAM": "http://up.test", "UNDERSTUDY_MODE": "forward"}
    with running(tmp_path, "--port", "0", module="mockserver.__main__", **variables) as (_, banner, port):
        assert banner[0] == "understudy 0.1.0 · mode mock"
        answer = parse(exchange(port, get("/v1/files")))
        assert (answer.body, len(answer.all(b"date")), answer.all(b"x-understudy-source")) == (b"mock", 1, [])
        assert parse(exchange(port, get("/v1/files", "origin: https://evil.test"))).status == 403
    assert outcome(tmp_path, "--upstream", "http://up.test", module="mockserver.__main__")[0] == 2


def test_warning_for_other_machines(tmp_path: Path) -> None:
    with running(tmp_path, "--host", "0.0.0.0", "--port", "0") as (process, banner, port):
        assert banner[1] == f"export OPENAI_BASE_URL=http://127.0.0.1:{port}/v1"
        process.terminate()
        assert "warning: 0.0.0.0" in process.communicate(timeout=PATIENCE)[1]


def test_workers(tmp_path: Path) -> None:
    arguments = ("--workers", "2", "--store", f"sqlite:///{tmp_path}/x.db", "--port", "0")
    with running(tmp_path, *arguments, "--allow-host", "mock.test", "--api-key", "a,b") as (process, banner, port):
        assert banner[2] == "export OPENAI_API_KEY=YOUR_UNDERSTUDY_API_KEY"
        assert parse(exchange(port, get("/v1/models"))).body == b"mock"
        request = get("/v1/models").replace(b"host: localhost", b"host: mock.test")
        assert parse(exchange(port, request)).status == 200
        process.terminate()
        assert process.wait(PATIENCE) == 0


def test_log_in_json(tmp_path: Path) -> None:
    arguments = ("--port", "0", "--upstream", "http://127.0.0.1:1/v1", "--log-format", "json")
    with running(tmp_path, *arguments) as (process, _, port):
        assert parse(exchange(port, get("/v1/x?k=sk-query", "authorization: Bearer sk-secret"))).status == 502
        process.terminate()
        err = process.communicate(timeout=PATIENCE)[1]
    failure, request = err.splitlines()
    assert re.fullmatch(
        r'\{"time": ".*Z", "level": "warning", "logger": "understudy.proxy", "message": ".*"\}', failure
    )
    told = json.loads(request)
    assert (told["logger"], told["method"], told["path"], told["status"]) == ("understudy.access", "GET", "/v1/x", 502)
    assert told["answered_by"] == "upstream" and told["ms"] > 0
    assert "sk-" not in err


def test_a_stop_with_an_open_stream_logs_no_error() -> None:
    body = b'{"model":"gpt-4.1","input":"a stream of a minute","stream":true}'
    head = b"POST /v1/responses HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
    with serving_mock("--pacing", "0:1", "--log-level", "warning") as served:
        with socket.create_connection(("127.0.0.1", served.port), PATIENCE) as client:
            client.sendall(b"%bcontent-length: %d\r\n\r\n%b" % (head, len(body), body))
            assert b"200 OK" in client.recv(4096)
            served.process.send_signal(signal.SIGINT)
            assert served.process.wait(PATIENCE) == 0
        assert served.logged() == ""


def test_an_upstream_that_is_the_server_itself_is_refused_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--upstream", "http://localhost:4010/v1"]) == 2
    assert "leads back to this server" in capsys.readouterr().err
