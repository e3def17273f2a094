"""The versions of clients that the tests run: pins, or the newest; and how a failure names them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.contract.conftest import SECTION, pytest_runtest_makereport
from tests.support import environments
from tests.support.environments import CODEX, OPENAI, SWITCH


@pytest.fixture
def released(monkeypatch: pytest.MonkeyPatch) -> None:
    """The registries have something newer than the pins."""
    monkeypatch.setenv(SWITCH, "newest")
    monkeypatch.setattr(environments, "_newest", {CODEX: "9.1.0", OPENAI[2]: "2.99.0"})


def test_the_pins_are_what_is_tested(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(SWITCH, raising=False)
    assert CODEX.requirement == f"@openai/codex@{CODEX.pin}"
    assert OPENAI[2].requirement == f"openai[realtime]=={OPENAI[2].pin}"
    assert environments._place("codex", (CODEX, "ws@^8")).name == "codex"


@pytest.mark.usefixtures("released")
def test_the_newest_has_an_environment_beside_the_pin() -> None:
    assert (CODEX.requirement, OPENAI[2].requirement) == ("@openai/codex@9.1.0", "openai[realtime]==2.99.0")
    assert environments._place("codex", (CODEX, "ws@^8")).name == "codex-newest"


def test_a_newest_that_is_the_pin_shares_its_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "newest")
    monkeypatch.setattr(environments, "_newest", {CODEX: CODEX.pin})
    assert environments._place("codex", (CODEX,)).name == "codex"


def test_other_values_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SWITCH, "latest")
    with pytest.raises(pytest.UsageError, match="'latest'; it can be 'pinned' or 'newest'"):
        environments.chosen_versions()


@pytest.mark.usefixtures("released")
@pytest.mark.parametrize(
    ("failed", "used", "named"),
    [
        (True, ["codex_program", "mock"], [(SECTION, f"@openai/codex of npm 9.1.0 (newest; the pin is {CODEX.pin})")]),
        (True, ["mock"], []),
        (False, ["codex_program"], []),
    ],
)
def test_a_failure_names_its_clients(failed: bool, used: list[str], named: list[Any]) -> None:
    report: Any = SimpleNamespace(failed=failed, sections=[])
    item: Any = SimpleNamespace(fixturenames=used)
    making: Any = pytest_runtest_makereport(item)
    next(making)
    with pytest.raises(StopIteration):
        making.send(report)
    assert report.sections == named
