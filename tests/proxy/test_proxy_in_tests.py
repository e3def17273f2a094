"""`Proxy` and the marker `openai_cassette`: what a test sees of recordings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from importlib.metadata import entry_points
from pathlib import Path

import openai
import pytest
import yaml
from openai import OpenAI

from mockserver import MockError
from mockserver.config.settings import SettingError, Settings
from proxy import Proxy
from proxy.mock import make_mock
from tests.support.cassettes import mock_upstream

pytest_plugins = ["pytester"]
# pytester forgets what a run imported, and the C part of yaml can't be imported a second time: it is here before
assert yaml.__with_libyaml__ is not None

CLIENT = """
    import os
    import pytest
    from openai import OpenAI

    def ask(input="hi", **more):
        with OpenAI(max_retries=0) as client:
            return client.responses.create(model="gpt-4.1", input=input, **more)
"""
INSTALLED = any(point.name == "understudy_cassettes" for point in entry_points(group="pytest11"))


@pytest.fixture
def upstream() -> Iterator[str]:
    with mock_upstream() as (_, url):
        yield url


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, upstream: str):
    """Run a test file against an upstream, with a key in the environment unless it is taken away."""
    monkeypatch.setenv("OPENAI_API_KEY", "sk-real-0123456789")
    monkeypatch.delenv("CI", raising=False)
    pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers -p no:cacheprovider")

    # what is imported before pytester looks is not imported again by each of its runs
    record(upstream, str(pytester.path / "warm-up.yaml"))

    def run_file(source: str, *options: str) -> pytest.RunResult:
        pytester.makepyfile(test_talk=CLIENT + source)
        # an environment that was made before the plugin existed has no entry point for it
        plugin = () if INSTALLED else ("-p", "proxy.pytest_cassettes")
        return pytester.runpytest_inprocess(*plugin, f"--openai-upstream={upstream}", *options)

    return run_file


TEST = """
    @pytest.mark.openai_cassette
    @pytest.mark.parametrize("name", ["Ada", "Bob"])
    def test_who(openai_proxy, name):
        first = ask(f"I am {name}")
        second = ask("Who am I?", previous_response_id=first.id, metadata={"time": os.environ["TIME"]})
        assert "3 items in context" in second.output_text
        print("MODE", openai_proxy.mode)
"""


def test_a_test_is_recorded_once_and_replayed(run, pytester: pytest.Pytester, monkeypatch) -> None:
    monkeypatch.setenv("TIME", "1")
    recorded = run(TEST, "-s")
    recorded.assert_outcomes(passed=2)
    recorded.stdout.fnmatch_lines(["*MODE record*"])
    files = sorted(path.relative_to(pytester.path) for path in pytester.path.glob("cassettes/**/*.*"))
    assert files == [Path(f"cassettes/test_talk/test_who-{name}.yaml") for name in ("Ada", "Bob")]
    assert "sk-real" not in (pytester.path / files[0]).read_text()
    monkeypatch.setenv("TIME", "2")
    monkeypatch.delenv("OPENAI_API_KEY")
    for more in ((), ("--openai-record=none",), ("--openai-upstream=http://127.0.0.1:9/v1",)):
        replayed = run(TEST, "-s", *more)
        replayed.assert_outcomes(passed=2)
        replayed.stdout.fnmatch_lines(["*MODE replay*"])


@pytest.mark.slow
def test_workers_of_xdist_replay_each_their_own(run, pytester: pytest.Pytester, monkeypatch) -> None:
    """Two users with the same last question, in tests that run side by side."""
    source = """
    @pytest.mark.parametrize("name", ["Ada", "Bob", "Eve", "Dan"])
    @pytest.mark.openai_cassette(strict=True)
    def test_who(name, openai_proxy):
        first = ask(f"I am {name}.")
        assert ask("Who am I?", previous_response_id=first.id).previous_response_id == first.id
        assert not openai_proxy.misses
    """
    run(source).assert_outcomes(passed=4)
    monkeypatch.setenv("CI", "true")
    monkeypatch.setenv("OPENAI_API_KEY", "")
    plugin = () if INSTALLED else ("-p", "proxy.pytest_cassettes")
    pytester.runpytest_subprocess(*plugin, "-n", "2").assert_outcomes(passed=4)


def test_a_changed_prompt_is_a_miss_that_says_what_changed(run, monkeypatch) -> None:
    monkeypatch.setenv("TIME", "1")
    run(TEST).assert_outcomes(passed=2)
    changed = run(TEST.replace("Who am I?", "Who was I?"))
    changed.assert_outcomes(failed=2)
    changed.stdout.fnmatch_lines(
        [
            "*openai_proxy misses*",
            '*differs at context[[]2].content[[]0].text: recorded "Who am I?", sent "Who was I?"*',
            "*openai_proxy unused recordings*",
        ]
    )
    run(TEST.replace("Who am I?", "Who was I?"), "--openai-record=new_episodes").assert_outcomes(passed=2)
    run(TEST.replace("Who am I?", "Who was I?"), "--openai-record=none").assert_outcomes(passed=2)
    run(TEST, "--openai-record=none").assert_outcomes(passed=2)
    run(TEST.replace("Who am I?", "What?"), "--openai-record=all").assert_outcomes(passed=2)
    run(TEST, "--openai-record=none").assert_outcomes(failed=2)


def test_what_is_missing_is_said_in_a_line(run, pytester: pytest.Pytester, monkeypatch) -> None:
    monkeypatch.setenv("TIME", "1")
    run(TEST, "--openai-record=none").stdout.fnmatch_lines(["*there is no recording *record it with*"])
    monkeypatch.setenv("CI", "1")
    run(TEST).stdout.fnmatch_lines(["*there is no recording *record it with*"])
    monkeypatch.delenv("OPENAI_API_KEY")
    run(TEST, "--openai-record=once").stdout.fnmatch_lines(["*needs a real key in OPENAI_API_KEY*"])
    assert not [*pytester.path.glob("cassettes/**/*.*")]


def test_a_failed_test_leaves_no_recording(run, pytester: pytest.Pytester) -> None:
    failing = """
    @pytest.mark.openai_cassette
    def test_fails():
        ask()
        assert False
    """
    run(failing).assert_outcomes(failed=1)
    assert not [*pytester.path.glob("cassettes/**/*.*")]


def test_a_marker_with_a_file_and_strict(run, pytester: pytest.Pytester) -> None:
    source = """
    @pytest.mark.openai_cassette("talk.yaml", strict=True)
    def test_talk():
        ask("one")
        if os.environ.get("MORE", "yes") == "yes":
            ask("two")
    """
    run(source).assert_outcomes(passed=1)
    assert (pytester.path / "talk.yaml").is_file()
    run(source.replace('== "yes"', '== "no"')).stdout.fnmatch_lines(["*recordings that were not used:*"])
    run(source).assert_outcomes(passed=1)
    run(source.replace("strict=True", "nonsense=1")).stdout.fnmatch_lines(["*openai_cassette: Proxy() takes no*"])


def test_proxy(tmp_path: Path, upstream: str) -> None:
    path = tmp_path / "talk.yaml"
    with (
        Proxy(cassette=path, mode="auto", upstream=upstream) as proxy,
        OpenAI(base_url=proxy.base_url, api_key="sk-real-0123456789", max_retries=0) as client,
    ):
        assert client.responses.create(model="gpt-4.1", input="hi").output_text.startswith("Mock reply")
        assert proxy.control("GET", "/health")["recorder"]["recorded"] == 1
    with (
        Proxy(cassette=path, replay_speed=0) as proxy,
        OpenAI(base_url=proxy.base_url, api_key="x", max_retries=0) as client,
    ):
        assert (proxy.mode, len(proxy.unused)) == ("replay", 1)
        with pytest.raises(openai.InternalServerError, match="no recording asks this"):
            client.responses.create(model="gpt-4.1", input="ho")
        client.responses.create(model="gpt-4.1", input="hi")
        assert (len(proxy.misses), proxy.unused, proxy.drift()) == (1, [], [])
        assert proxy.misses[0].request.value["input"] == "ho"
    proxy.close()
    with Proxy() as proxy, OpenAI(base_url=proxy.base_url, api_key="x", max_retries=0) as client:
        assert client.responses.create(model="gpt-4.1", input="hi").id
        assert (proxy.misses, proxy.unused, proxy.drift()) == ([], [], [])
        with pytest.raises(MockError):
            proxy.control("GET", "/nothing")


async def use_async() -> str:
    async with Proxy() as proxy:
        return proxy.mode


def test_proxy_where_it_is_awaited() -> None:
    import asyncio

    assert asyncio.run(use_async()) == "mock"


def test_what_a_proxy_can_not_do(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"Proxy\(\) takes no 'cassete'; did you mean 'cassette'"):
        Proxy(cassete="x")  # type: ignore[call-arg]
    with pytest.raises(SettingError, match="can't be read"):
        Proxy(cassette=tmp_path / "none.yaml")
    with pytest.raises(SettingError, match="--mode record needs --upstream URL"):
        Proxy(mode="record", cassette="x")


def record(upstream: str, file: str) -> None:
    with Proxy(upstream=upstream, cassette=file, mode="record") as proxy:
        ask(proxy)


def ask(proxy: Proxy) -> None:
    with OpenAI(base_url=proxy.base_url, api_key="any", max_retries=0) as client:
        client.responses.create(model="gpt-4.1", input="hi")


def test_a_proxy_in_a_test_logs_no_requests(caplog: pytest.LogCaptureFixture, upstream: str, tmp_path: Path) -> None:
    caplog.set_level("INFO", "understudy")
    file = str(tmp_path / "talk.yaml")
    record(upstream, file)
    with Proxy(cassette=file, mode="mock") as proxy:
        ask(proxy)
    assert [record.getMessage() for record in caplog.records if "POST" in record.getMessage()] == []


def test_a_served_mock_of_a_cassette_logs_requests_like_any_other(tmp_path: Path, upstream: str) -> None:
    file = str(tmp_path / "talk.yaml")
    record(upstream, file)
    for settings in (Settings(), Settings(cassette=(file,), mode="mock")):
        assert make_mock(settings).engine.journal.is_logged
        assert not make_mock(replace(settings, log_level="warning")).engine.journal.is_logged
