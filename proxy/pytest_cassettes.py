"""The pytest plugin for cassettes: a proxy for a test, with a recording beside it."""

# `@pytest.mark.openai_cassette` gives a test a cassette of its own and a proxy to it; OPENAI_BASE_URL leads there while
# the test runs. `--openai-record` takes the words of pytest-recording and means the same:
#
#   none          replay; what was not recorded is a miss (the default where CI is set)
#   once          record what has no cassette yet, else replay (the default elsewhere)
#   new_episodes  replay, and record what was not recorded (mode `auto`)
#   all           record anew
#
# What must stay true:
# * Nothing of the project is imported until a test with the marker runs.
# * A recording of a test that failed is not kept: it would be replayed for ever. It is written beside the cassette and
#   moved there at the end of a test that passed.

from __future__ import annotations

import os
import re
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from proxy.testing import Proxy

MARKER = (
    "openai_cassette(file=None, *, strict=False, **options): a recording of this test's calls, by default "
    "cassettes/MODULE/TEST.yaml beside the test; strict=True fails a test that leaves recordings unused"
)
RECORD = ("none", "once", "new_episodes", "all")
UPSTREAM = "https://api.openai.com/v1"
REPLAYING_KEY = "sk-replayed"  # clients want one, nobody looks at it


class Plan(NamedTuple):
    """What a test's proxy does: its mode, the file it uses, and the one that this becomes if the test passes."""

    mode: str
    file: Path
    becomes: Path | None = None


class Running(NamedTuple):
    """A proxy that is in use, and how strict its test is."""

    proxy: Proxy
    strict: bool


RUNNING = pytest.StashKey[Running]()
PASSED = pytest.StashKey[bool]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options for recordings."""
    group = parser.getgroup("understudy")
    group.addoption(
        "--openai-record",
        choices=RECORD,
        default=None,
        help="record real answers for tests with openai_cassette (default: none where CI is set, else once)",
    )
    group.addoption(
        "--openai-upstream", metavar="URL", default=UPSTREAM, help=f"what is recorded (default: {UPSTREAM})"
    )


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line("markers", MARKER)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Let a test with the marker have the proxy, also where it does not name the fixture."""
    if item.get_closest_marker("openai_cassette") and "openai_proxy" not in (
        names := getattr(item, "fixturenames", [])
    ):
        names.append("openai_proxy")


@pytest.fixture
def openai_proxy(request: pytest.FixtureRequest) -> Iterator[Proxy]:
    """A `Proxy` that records or replays this test's cassette; OPENAI_BASE_URL and OPENAI_API_KEY lead to it."""
    marker = request.node.get_closest_marker("openai_cassette")
    options = {} if marker is None else dict(marker.kwargs)
    strict = bool(options.pop("strict", False))
    plan = _plan(request, _file_of(request.node, marker, options))
    proxy = _start(plan, options, request.config.getoption("--openai-upstream"))
    request.node.stash[RUNNING] = Running(proxy, strict)
    # A context of its own: a test that undoes the fixture `monkeypatch` must not lose the address of the proxy.
    try:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("OPENAI_BASE_URL", proxy.base_url)
            if plan.mode == "replay":
                environment.setenv("OPENAI_API_KEY", os.environ.get("OPENAI_API_KEY") or REPLAYING_KEY)
            yield proxy
    finally:
        del request.node.stash[RUNNING]
        proxy.close()
        _keep(plan, request.node.stash.get(PASSED, False))


def _file_of(item: pytest.Item, marker: pytest.Mark | None, options: dict[str, Any]) -> Path:
    given = marker.args[0] if marker is not None and marker.args else options.pop("file", None)
    if given is not None:
        return item.path.parent / given
    # a parametrized test has a cassette for each set of its parameters
    name = re.sub(r"[^\w.\-]+", "-", item.name).strip("-")
    return item.path.parent / "cassettes" / item.path.stem / f"{name}.yaml"


def _plan(request: pytest.FixtureRequest, file: Path) -> Plan:
    record = request.config.getoption("--openai-record") or ("none" if os.environ.get("CI") else "once")
    if record == "none" or (record == "once" and file.exists()):
        if not file.exists():
            pytest.fail(f"there is no recording {file}; record it with --openai-record=once", pytrace=False)
        return Plan("replay", file)
    if not os.environ.get("OPENAI_API_KEY"):
        pytest.fail(
            f"recording {file.name} needs a real key in OPENAI_API_KEY (--openai-record={record})", pytrace=False
        )
    if record == "new_episodes" and file.exists():
        return Plan("auto", file)
    fresh = file.with_name(f"{file.name}.recording")
    fresh.unlink(missing_ok=True)
    return Plan("record", fresh, file)


def _start(plan: Plan, options: dict[str, Any], upstream: str) -> Proxy:
    from mockserver.config.settings import SettingError
    from proxy.testing import Proxy

    if plan.mode != "replay":
        options["upstream"] = upstream
    try:
        return Proxy(mode=plan.mode, cassette=plan.file, **options)
    except (SettingError, TypeError) as error:
        return pytest.fail(f"openai_cassette: {error}", pytrace=False)


def _keep(plan: Plan, passed: bool) -> None:
    if plan.becomes is None:
        return
    if passed:
        os.replace(plan.file, plan.becomes)
    else:
        plan.file.unlink(missing_ok=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Fail a strict test that would pass but leaves recordings unused."""
    yield
    running = item.stash.get(RUNNING, None)
    if running is not None and running.strict and (unused := running.proxy.unused):
        pytest.fail("recordings that were not used:\n" + "\n".join(f"  {line}" for line in unused), pytrace=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show in a test's report what was asked and not found, and what was recorded and not asked."""
    report = yield
    running = item.stash.get(RUNNING, None)
    if running is not None and report.when == "call":
        item.stash[PASSED] = report.passed
        if misses := running.proxy.misses:
            report.sections.append(("openai_proxy misses", "\n".join(miss.message for miss in misses)))
        if unused := running.proxy.unused:
            report.sections.append(("openai_proxy unused recordings", "\n".join(unused)))
    return report
