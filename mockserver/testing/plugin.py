"""The pytest plugin: a mock for each test that uses the fixture, its environment, its script, its traffic on failure.

The first such test loads the mock: a run without one pays for this file alone.
"""

# How it works. Tests with the same options share a host (an engine and, from the first use of `base_url`, one server),
# made by the first of them; each test gets a project of its own on it, by an API key made from the test's name. So a
# test costs a reset, not a server, and tests run by several workers at once do not meet.
#
# What must stay true:
# * This file imports nothing of the project at its top: pytest loads it in every run of a project that has the
#   package installed, also in runs without a test that asks for a mock.
# * Options belong to the test that runs: those of the fixture as this test sees it, and of its markers. No test's
#   options reach another, whatever the order.
# * The key depends on the test's name alone: ids derive from the project, so a test sees the same ids in every
#   run.
# * An unused line, and a turn that no line answered, fail a test that would pass. A test that fails has a better reason
#   to show; its report tells them besides.

from __future__ import annotations

import sys
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mockserver.testing.embedded_server import Host, Hosts
    from mockserver.testing.mock import Mock

MARKERS = (
    "openai_mock(**options): options of this test's openai_mock, as `Mock` takes them; strict=False lets the default "
    "model answer turns that no line answers",
    "openai_scenario(file): the scenario of this test's openai_mock, a file named from the test's own directory",
)
MOCK_MODULE = "mockserver.testing.mock"

MOCK = pytest.StashKey["Mock"]()
COMPLAINED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    """Register the markers."""
    for marker in MARKERS:
        config.addinivalue_line("markers", marker)


@pytest.fixture(scope="session")
def openai_mock_options() -> dict[str, Any]:
    """The options of `openai_mock`, as `Mock` takes them; override this fixture in a conftest.py or a module."""
    return {}


@pytest.fixture(scope="session")
def _openai_mock_hosts() -> Iterator[Hosts]:
    """The servers of this run, or of one worker of it, one for all tests with the same options."""
    from mockserver.testing.embedded_server import Hosts

    hosts = Hosts()
    yield hosts
    hosts.close()


@pytest.fixture
def openai_mock(
    request: pytest.FixtureRequest, openai_mock_options: Mapping[str, Any], _openai_mock_hosts: Hosts
) -> Iterator[Mock]:
    """An empty `Mock`; OPENAI_BASE_URL and OPENAI_API_KEY point to it.

    A queued line that is unused at the end of the test makes it fail; so does a turn that no line answered, where the
    test has lines.
    """
    from mockserver.testing.mock import Mock

    options = _options(request.node, openai_mock_options)
    scenario = options.pop("scenario") if isinstance(options.get("scenario"), Mapping) else None
    host = _host(_openai_mock_hosts, options)
    keys = host.engine.settings.api_key
    key = keys[0] if keys else _key(request.node.nodeid)
    mock = Mock.tenant(host, key)
    mock.reset()
    if options.get("strict") is False:
        mock.allow_default()
    _play(request.node, mock, scenario)
    request.node.stash[MOCK] = mock
    # A context of its own: a test that undoes the fixture `monkeypatch` must not lose the address of the mock.
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OPENAI_BASE_URL", mock.base_url)
        environment.setenv("OPENAI_API_KEY", key)
        yield mock
    del request.node.stash[MOCK]
    mock.reset()


def _options(item: pytest.Item, options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a test: those of the fixture, overridden by its markers, the closest last."""
    merged = dict(options)
    for marker in reversed([*item.iter_markers("openai_mock")]):
        if marker.args:
            pytest.fail("openai_mock takes options by name: @pytest.mark.openai_mock(strict=True)", pytrace=False)
        merged.update(marker.kwargs)
    return merged


def _host(hosts: Hosts, options: Mapping[str, Any]) -> Host:
    from mockserver.config.settings import SettingError

    try:
        return hosts.host_of(options)
    except (SettingError, TypeError) as error:
        message = f"the options of openai_mock: {error}"
    return pytest.fail(message, pytrace=False)


def _key(name: str) -> str:
    """The API key of a test: the same in every run, so that its ids are the same too."""
    from hashlib import blake2b

    return "sk-test-" + blake2b(name.encode(), digest_size=12).hexdigest()


def _play(item: pytest.Item, mock: Mock, scenario: Mapping[str, Any] | None) -> None:
    marker = item.get_closest_marker("openai_scenario")
    if marker is None and scenario is None:
        return
    if marker is not None and (len(marker.args) != 1 or marker.kwargs):
        pytest.fail('openai_scenario takes one file: @pytest.mark.openai_scenario("file.yaml")', pytrace=False)
    from mockserver.wire.errors.api import MockError

    try:
        mock.play(scenario or {} if marker is None else item.path.parent / marker.args[0])
    except MockError as error:
        pytest.fail(error.message, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a test that would pass but leaves queued lines unused, or turns to the default model beside its lines."""
    yield
    mock = item.stash.get(MOCK, None)
    if mock is None:
        return
    from mockserver.testing.report import format_complaint

    if complaint := format_complaint(mock):
        item.stash[COMPLAINED] = True  # the report need not say it again
        pytest.fail(complaint, pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show a failed test's traffic in its report, that of mocks which it made itself too."""
    report = yield
    if report.failed and MOCK_MODULE in sys.modules:
        for name, mock in _mocks_of(item, call).items():
            from mockserver.testing.report import ansi, format_traffic, plain

            paint = ansi if item.config.get_terminal_writer().hasmarkup else plain
            complained = item.stash.get(COMPLAINED, False) and mock is item.stash.get(MOCK, None)
            report.sections.append((f"{name} traffic", format_traffic(mock, paint, unused=not complained)))
    return report


def _mocks_of(item: pytest.Item, call: pytest.CallInfo[None]) -> dict[str, Mock]:
    """The open mocks of a test by name: its fixture, those of other fixtures, of its instance, of its variables."""
    from mockserver.testing.mock import Mock

    places: list[Mapping[str, Any]] = [getattr(item, "funcargs", {}), vars(getattr(item, "instance", None) or object)]
    if call.excinfo is not None:
        places += [entry.frame.f_locals for entry in call.excinfo.traceback]
    shared = item.stash.get(MOCK, None)
    found: dict[int, tuple[str, Mock]] = {} if shared is None else {id(shared): ("openai_mock", shared)}
    for place in places:
        for name, value in place.items():
            if isinstance(value, Mock) and not value.closed:
                found.setdefault(id(value), (name, value))
    return dict(found.values())
