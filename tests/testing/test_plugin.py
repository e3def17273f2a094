"""The pytest plugin, in pytest runs of its own; `tests/contract/test_xdist.py` has some in processes of their own."""

from __future__ import annotations

import subprocess
import sys

import openai
import pytest

from mockserver.testing import embedded_server

pytest_plugins = ["pytester"]

CLIENT = """
    import os
    import pytest
    from openai import OpenAI

    def ask(input="hi", **more):
        with OpenAI(max_retries=0, **more) as client:
            return client.responses.create(model="gpt-4.1", input=input)
"""


LOADED = (openai, embedded_server)  # once for all runs


@pytest.fixture
def run(pytester: pytest.Pytester):
    """Run a test file; every warning is an error there."""

    def run_file(source: str, *options: str, **files: str) -> pytest.RunResult:
        pytester.makeini("[pytest]\nfilterwarnings = error\naddopts = --strict-markers -p no:cacheprovider")
        pytester.makepyfile(CLIENT + source)
        for name, text in files.items():
            pytester.makefile(".yaml", **{name: text})
        return pytester.runpytest_inprocess(*options)

    return run_file


def test_a_test_gets_a_mock_of_its_own(run) -> None:
    found = run("""
    seen = {}

    @pytest.mark.parametrize("name", ["one", "other"])
    def test_alone(openai_mock, name):
        assert openai_mock.responses() == []
        openai_mock.reply(name)
        assert ask().output_text == name
        seen[name] = os.environ["OPENAI_BASE_URL"], os.environ["OPENAI_API_KEY"]
        assert seen[name][0] == openai_mock.base_url
        (stored,) = openai_mock.responses()

    def test_apart():
        assert seen["one"][0] == seen["other"][0] and seen["one"][1] != seen["other"][1]
        assert "OPENAI_BASE_URL" not in os.environ and "OPENAI_API_KEY" not in os.environ

    def test_whatever_the_key(openai_mock):
        openai_mock.reply("mine")
        assert ask(api_key="another").output_text == "mine"
    """)
    found.assert_outcomes(passed=4)


def test_the_environment_is_put_back(run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "before")
    run("""
    def test_set(openai_mock, monkeypatch):
        assert os.environ["OPENAI_API_KEY"] != "before"
        monkeypatch.undo()
        assert os.environ["OPENAI_API_KEY"] != "before"

    def test_put_back():
        assert os.environ["OPENAI_API_KEY"] == "before"
    """).assert_outcomes(passed=2)


def test_the_same_run_gives_the_same_ids(run, pytester: pytest.Pytester) -> None:
    def ids() -> str:
        run("""
    def test_id(openai_mock):
        openai_mock.clock.freeze("2026-11-20T12:00:00Z")
        with open("id.txt", "w") as file:
            file.write(ask().id)
        """).assert_outcomes(passed=1)
        return (pytester.path / "id.txt").read_text()

    assert ids() == ids()


def test_what_is_queued_must_be_used(run) -> None:
    found = run("""
    def test_left(openai_mock):
        openai_mock.reply("used", "left over")
        openai_mock.script([{"reply": {"text": "thrice"}, "when": {"turn": 9}, "times": 3}])
        ask()

    def test_emptied(openai_mock):
        openai_mock.reply("left")
        openai_mock.reset("scenario")

    def test_fails_by_itself(openai_mock):
        openai_mock.reply("left")
        assert 1 == 2

    def test_skips(openai_mock):
        openai_mock.reply("left")
        pytest.skip()

    @pytest.mark.xfail(strict=True)
    def test_expects_it(openai_mock):
        openai_mock.reply("left")
    """)
    found.assert_outcomes(passed=1, failed=2, skipped=1, xfailed=1)
    found.stdout.fnmatch_lines(
        [
            "2 lines were queued for openai_mock and never used:",
            '*{"reply":{"text":"left over"}}',
            '*"thrice"*used 0 of 3 times*',
            "*assert 1 == 2*",
        ]
    )


def test_a_failed_test_shows_its_traffic(run) -> None:
    found = run("""
    def test_silent(openai_mock):
        assert False

    def test_talks_and_fails(openai_mock):
        answer = ask("how are you?")
        with OpenAI() as client, pytest.raises(Exception):
            client.responses.retrieve("resp_none")
        assert answer is None
    """)
    found.assert_outcomes(failed=2)
    found.stdout.fnmatch_lines(["*openai_mock traffic*", "no calls"])
    found.stdout.fnmatch_lines(
        [
            "*openai_mock traffic*",
            "POST /v1/responses -> 200 resp_*",
            "*how are you?*",
            "GET /v1/responses/resp_none -> 404 *resp_none*",
        ]
    )


def test_scenarios_of_a_test(run) -> None:
    found = run(
        """
    @pytest.mark.openai_scenario("rain.yaml")
    def test_rain(openai_mock):
        assert ask("weather?").output_text == "rain"

    def test_none(openai_mock):
        assert ask("weather?").output_text != "rain"

    @pytest.mark.openai_scenario("none.yaml")
    def test_missing(openai_mock):
        raise AssertionError("unreached")

    @pytest.mark.openai_scenario
    def test_nothing(openai_mock):
        raise AssertionError("unreached")

    @pytest.mark.openai_scenario("wrong.yaml")
    def test_wrong(openai_mock):
        raise AssertionError("unreached")
    """,
        rain="lines:\n  - when: {input_contains: weather}\n    reply: {text: rain}\n",
        wrong="lines:\n  - reply: {txt: rain}\n",
    )
    found.assert_outcomes(passed=2, errors=3)
    found.stdout.fnmatch_lines(["*none.yaml can't be read*", "*takes one file*", "*wrong.yaml:2: *txt*"])
    found.stdout.no_fnmatch_line("*unreached*assert*")


def test_options_of_the_run_s_mock(run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import pytest

        @pytest.fixture(scope="session")
        def openai_mock_options():
            return {"clock": "2026-11-20T12:00:00Z", "model": lambda prompt: "always"}
    """)
    run("""
    def test_options(openai_mock):
        assert ask().output_text == "always" and openai_mock.clock.frozen
    """).assert_outcomes(passed=1)


def test_a_test_can_not_close_what_others_use(run) -> None:
    run("""
    def test_closes(openai_mock):
        with openai_mock:
            ask()

    def test_goes_on(openai_mock):
        ask()
    """).assert_outcomes(passed=2)


def test_it_can_be_turned_off(run) -> None:
    found = run("\n    def test_it(openai_mock): pass\n", "-p", "no:understudy")
    found.assert_outcomes(errors=1)
    found.stdout.fnmatch_lines(["*fixture 'openai_mock' not found*"])


def test_async_tests_and_classes(run) -> None:
    run("""
    import asyncio, unittest
    from openai import AsyncOpenAI

    def test_async(openai_mock):
        async def main():
            async with AsyncOpenAI() as client:
                return (await client.responses.create(model="gpt-4.1", input="hi")).output_text
        openai_mock.reply("async")
        assert asyncio.run(main()) == "async"

    @pytest.mark.usefixtures("openai_mock")
    class TestCase(unittest.TestCase):
        def test_method(self):
            assert ask().status == "completed"
    """).assert_outcomes(passed=2)


def test_it_costs_nothing_where_it_is_not_used() -> None:
    program = (
        "import sys, pytest; before = {*sys.modules}; import mockserver.testing.plugin;"
        "print(*sorted({*sys.modules} - before))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert loaded == {"mockserver", "mockserver.testing", "mockserver.testing.plugin", "mockserver.version"}
