"""The pytest plugin: a mock for each test that uses the fixture, its environment, its script, its traffic on failure.

The first such test loads the mock: a run without one pays for this file alone.
"""

# How it works. One host (an engine and, from the first use of `base_url`, one server) serves the whole run;
# each test gets a project of its own on it, by an API key made from the test's name. So a test costs a reset,
# not a server, and tests run by several workers at once do not meet.
#
# What must stay true:
# * This file imports nothing of the project at its top: pytest loads it in every run of a project that has the
#   package installed, also in runs without a test that asks for a mock.
# * The key depends on the test's name alone: ids derive from the project, so a test sees the same ids in every
#   run.
# * A line that is queued and never used fails the test, but only a test that would pass: a failing one has a
#   better reason to show.

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mockserver.testing.embedded_server import Host
    from mockserver.testing.mock import Mock

MARKERS = (
    "openai_scenario(file): the scenario of this test's openai_mock, a file named from the test's own directory",
)
MOST = 1000  # calls read from the journal
SHOWN = 20  # calls shown of a failed test's traffic
LONGEST = 500  # characters shown of a body

MOCK = pytest.StashKey["Mock"]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture(scope="session")
def openai_mock_options() -> dict[str, Any]:
    """The options of this run's mock, as `Mock` takes them; override this fixture in a conftest.py."""
    return {}


@pytest.fixture(scope="session")
def _openai_mock_host(openai_mock_options: dict[str, Any]) -> Iterator[Host]:
    """The one server of this run, or of one worker of it; tests use `openai_mock`."""
    from mockserver.testing.embedded_server import Host

    options = dict(openai_mock_options)
    host = Host(options, options.pop("model", None))
    yield host
    host.close()


@pytest.fixture
def openai_mock(request: pytest.FixtureRequest, _openai_mock_host: Host) -> Iterator[Mock]:
    """An empty `Mock`; OPENAI_BASE_URL and OPENAI_API_KEY point to it.

    A queued line that is unused at the end of the test makes it fail.
    """
    from mockserver.testing.mock import Mock

    key = _key(request.node.nodeid)
    mock = Mock.tenant(_openai_mock_host, key)
    mock.reset()
    _play(request.node, mock)
    request.node.stash[MOCK] = mock
    # A context of its own: a test that undoes the fixture `monkeypatch` must not lose the address of the mock.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_BASE_URL", mock.base_url)
        environment.setenv("OPENAI_API_KEY", key)
        yield mock
    del request.node.stash[MOCK]
    mock.reset()


def _key(name: str) -> str:
    """The API key of a test: the same in every run, so that its ids are the same too."""
    from hashlib import blake2b

    return "sk-test-" + blake2b(name.encode(), digest_size=12).hexdigest()


def _play(item: pytest.Item, mock: Mock) -> None:
    marker = item.get_closest_marker("openai_scenario")
    if marker is None:
        return
    if len(marker.args) != 1 or marker.kwargs:
        pytest.fail('openai_scenario takes one file: @pytest.mark.openai_scenario("file.yaml")', pytrace=False)
    from mockserver.wire.errors.api import MockError

    try:
        mock.play(item.path.parent / marker.args[0])
    except MockError as error:
        pytest.fail(error.message, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that would pass but leaves queued lines unused."""
    yield
    mock = item.stash.get(MOCK, None)
    if mock is not None and (unused := mock.queued):
        pytest.fail(_complaint(unused), pytrace=False)


def _complaint(unused: list[dict[str, Any]]) -> str:
    from mockserver.wire.responses.encoding import json_compact

    lines = []
    for line in unused:
        used, times = line.pop("used"), line.get("times", 1)
        often = f" (used {used} of {times} times)" if times > 1 else ""
        lines.append(f"  {_shorten(json_compact(line).decode())}{often}")
    were = "1 line was" if len(unused) == 1 else f"{len(unused)} lines were"
    return f"{were} queued for openai_mock and never used:\n" + "\n".join(lines)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a failed test's traffic in its report."""
    report = yield
    mock = item.stash.get(MOCK, None)
    if mock is not None and report.failed:
        report.sections.append(("openai_mock traffic", traffic(mock)))
    return report


def traffic(mock: Mock) -> str:
    """The newest calls of the mock's journal, with their answers, as text."""
    calls = mock.control("GET", f"/journal?limit={MOST}")["data"]
    lines = [f"({len(calls) - SHOWN} earlier calls)"] if len(calls) > SHOWN else []
    for call in calls[-SHOWN:]:
        error = f" {call['error'].get('message')}" if call["error"] else ""
        known = f" {call['response_id']}" if call["response_id"] else ""
        lines.append(f"{call['method']} {call['path']} -> {call['status']}{known}{_shorten(error)}")
        lines += [f"    {_shorten(call['body'])}"] if call["body"] else []
    return "\n".join(lines) or "no calls"


def _shorten(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"
