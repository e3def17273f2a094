"""The mock alone, `python -m mockserver`: what it serves and which options it takes. Whole programs: `tests/proxy`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

import mockserver.__main__ as program
from mockserver.config.settings import Settings
from mockserver.version import __version__
from tests.support.asgi import ask


def test_the_app_is_dated_and_lets_no_page_of_another_origin_in() -> None:
    app: Any = program.make_app(Settings())
    status, headers, body = ask(app, "GET", "/_mock/health", host="127.0.0.1")
    assert (status, "switches" in json.loads(body), "date" in headers) == (200, True, True)
    status, headers, _ = ask(app, "GET", "/_mock/health", host="127.0.0.1", origin="https://evil.test")
    assert (status, "date" in headers) == (403, True)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """The settings with which a server would have been started."""
    started: list[Settings] = []

    def start(settings: Settings, make_app: Callable[[Settings], Any]) -> int:
        assert make_app is program.make_app
        started.append(settings)
        return 0

    monkeypatch.setattr(program, "start_server", start)
    return started


def test_options_win_over_variables_and_those_of_the_proxy_mean_nothing(
    served: list[Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"PORT": "1", "SEED": "7", "UPSTREAM": "http://up.test", "MODE": "forward"}.items():
        monkeypatch.setenv(f"UNDERSTUDY_{name}", value)
    assert program.main(["--port", "2"]) == 0
    [settings] = served
    assert (settings.port, settings.seed, settings.upstream) == (2, 7, None)


def test_options_of_the_proxy_are_refused(served: list[Settings], capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--upstream", "http://up.test"]) == 2
    out, err = capsys.readouterr()
    assert (served, out) == ([], "")
    assert err.startswith("python -m mockserver: error: ") and "--upstream" in err


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert program.main(["--version"]) == 0
    assert capsys.readouterr().out == f"understudy {__version__}\n"
