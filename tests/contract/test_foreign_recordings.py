"""Recordings made by the tools themselves: vcrpy with pytest-recording, mitmproxy. Each answers the recorded program.

The API that is recorded is a mock that compresses, as the real one does. It is gone when its recording is replayed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.middleware.gzip import GZipMiddleware

from mockserver.config.settings import Settings
from mockserver.transport.app import create_app
from proxy import cli
from proxy.cassettes.file import load
from tests.support.cassettes import replaying
from tests.support.patience import until
from tests.support.raw_upstream import serving

TALK = Path(__file__).with_name("vcr_talk.py")
NAMES = ("sync", "async")
KEY = "sk-a-real-key-of-somebody"
LIMIT_S = 600


@contextmanager
def compressing_upstream() -> Iterator[str]:
    """A mock whose whole bodies come with gzip; yields its base URL."""
    settings = Settings(log_level="warning")
    with serving(GZipMiddleware(create_app(settings), minimum_size=1), settings) as port:
        yield f"http://127.0.0.1:{port}/v1"


def run(python: Path, place: Path, base_url: str, *options: str) -> list[str]:
    """Run the talk as tests of a project in `place`; returns what each test got."""
    shutil.copy(TALK, place / "test_talk.py")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "PYTEST_"))}
    told = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": KEY, "SAID": str(place), "NO_PROXY": "127.0.0.1"}
    command = [str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "test_talk.py"]
    done = subprocess.run(
        command, cwd=place, env={**inherited, **told}, capture_output=True, text=True, timeout=LIMIT_S
    )
    assert done.returncode == 0 and "2 passed" in done.stdout, done.stdout + done.stderr
    return [(place / name).read_text() for name in NAMES]


def assert_usable(capsys: pytest.CaptureFixture[str], kind: str, files: list[Path], ours: Path) -> None:
    """Nothing of the files is left out, they become one of ours without the key, and the mock agrees with them."""
    cassettes = [load(file) for file in files]
    assert [(cassette.kind, cassette.problems) for cassette in cassettes] == [(kind, ())] * len(files)
    count = sum(len(cassette.interactions) for cassette in cassettes)
    streams = [one.response for cassette in cassettes for one in cassette.interactions if one.response.streamed]
    assert count == 8 and len(streams) == 2 and all(len(stream.pieces) > 8 for stream in streams)
    capsys.readouterr()
    assert cli.main(["cassette", "import", *map(str, files), "-o", str(ours)]) == 0
    assert f"{count} interactions of {kind}" in capsys.readouterr().out
    assert (load(ours).kind, KEY in ours.read_text()) == ("understudy", False)
    status = cli.main(["verify", *map(str, files), str(ours)])
    assert (status, capsys.readouterr().out.count("no drift")) == (0, len(files) + 1)


@pytest.mark.newest
@pytest.mark.parametrize("major", [3, 2], ids=["httpx2", "httpx"])
def test_vcrpy(vcr_pythons: Mapping[int, Path], major: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with compressing_upstream() as upstream:
        said = run(vcr_pythons[major], tmp_path, upstream, "--record-mode=once")
    files = sorted(tmp_path.glob("cassettes/test_talk/*.yaml"))
    assert [file.stem for file in files] == ["test_async", "test_sync"]
    ours = tmp_path / "ours.yaml"
    assert_usable(capsys, "vcrpy", files, ours)
    for cassettes in (files, [ours]):
        with replaying(*cassettes) as base_url:
            assert run(vcr_pythons[major], tmp_path, base_url, "--disable-recording") == said


@contextmanager
def mitmproxy_between(mitmdump: Path, upstream: str, place: Path) -> Iterator[str]:
    """What mitmproxy makes of a talk is in `place`/talk.har afterwards; yields the base URL that passes it."""
    origin = upstream.removesuffix("/v1")
    sets = (f"mode=reverse:{origin}", "listen_host=127.0.0.1", "listen_port=0", f"hardump={place / 'talk.har'}")
    command = [str(mitmdump), *(word for one in (*sets, f"confdir={place / 'mitm'}") for word in ("--set", one))]
    log = place / "mitmdump.txt"
    with log.open("w") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            until(lambda: "listening at" in log.read_text())
            found = re.search(r"listening at 127\.0\.0\.1:(\d+)", log.read_text())
            assert found, log.read_text()
            yield f"http://127.0.0.1:{found[1]}/v1"
        finally:
            process.terminate()
            process.wait(LIMIT_S)


@pytest.mark.heavy
def test_a_har_of_mitmproxy(
    vcr_pythons: Mapping[int, Path], mitmdump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with compressing_upstream() as upstream, mitmproxy_between(mitmdump, upstream, tmp_path) as base_url:
        said = run(vcr_pythons[3], tmp_path, base_url, "--disable-recording")
    file, ours = tmp_path / "talk.har", tmp_path / "ours.yaml"
    assert_usable(capsys, "HAR", [file], ours)
    for cassette in (file, ours):
        with replaying(cassette) as base_url:
            assert run(vcr_pythons[3], tmp_path, base_url, "--disable-recording") == said
