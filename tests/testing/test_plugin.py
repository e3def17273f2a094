"""The pytest plugin, in pytest runs of its own; `tests/contract/test_xdist.py` has some in processes of their own."""

from __future__ import annotations

import subprocess
import sys
from textwrap import indent

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
            '  queue[[]0], test_what_is_queued_must_be_used.py:*{"reply":{"text":"left over"}}',
            '*"thrice"*used 0 of 3 times*',
            "*nearest is #1: turn wants 9, found 1",
            "*assert 1 == 2*",
            "*traffic*",
            "lines that were not used:",
            '*{"reply":{"text":"left"}}',
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
            '#1 POST /v1/responses gpt-4.1 -> 200 resp_* "Mock reply to: how are you?*" [[]default model]',
            '*sent user: "how are you?"',
            "#2 GET /v1/responses/resp_none -> 404 *resp_none*",
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


def test_options_belong_to_the_test_that_runs(run, pytester: pytest.Pytester) -> None:
    """A folder's and a module's options are those of their tests alone, in any order; equal ones share a server."""
    options = "import pytest\n\n@pytest.fixture(scope='{}')\ndef openai_mock_options():\n    return {}\n"
    log = str(pytester.path / "seen.txt")
    use = f"""
def test_it(openai_mock):
    with open({log!r}, 'a') as file:
        print(openai_mock.base_url, openai_mock._host.engine.settings.seed, file=file)
"""
    for name, seed, scope in (("a_seven", 7, "session"), ("b_plain", None, ""), ("c_seven", 7, "function")):
        folder = pytester.mkpydir(name)
        if seed:
            (folder / "conftest.py").write_text(options.format(scope, {"seed": seed}))
        (folder / f"test_{name}.py").write_text(use)
    module = options.format("module", {"seed": 9}) + use
    (pytester.path / "a_seven" / "test_module.py").write_text(module)
    run(indent(use, "    ")).assert_outcomes(passed=5)
    lines = [line.split() for line in (pytester.path / "seen.txt").read_text().splitlines()]
    assert sorted(seed for _, seed in lines) == ["0", "0", "7", "7", "9"]
    assert len({tuple(line) for line in lines}) == len({url for url, _ in lines}) == 3


def test_a_marker_sets_options_of_one_test(run, pytester: pytest.Pytester) -> None:
    pytester.makeconftest("""
        import pytest

        @pytest.fixture
        def openai_mock_options():
            return {"clock": "2026-11-20T12:00:00Z", "model": lambda prompt: "always"}
    """)
    found = run("""
    SCENARIO = {"lines": [{"reply": {"text": "scripted"}}]}

    def test_options(openai_mock):
        openai_mock.reply("once")  # a model of one's own may answer what no line does
        assert ask().output_text == "once" and ask().output_text == "always" and openai_mock.clock.frozen

    @pytest.mark.openai_mock(model=None, clock=None, strict=True)
    class TestMarked:
        @pytest.mark.openai_mock(seed=8, strict=False)
        def test_closest_wins(self, openai_mock):
            assert ask().output_text == "Mock reply to: hi [1 items in context]" and not openai_mock.clock.frozen

        def test_strict(self, openai_mock):
            with pytest.raises(Exception, match="No scenario line answers"):
                ask()

    @pytest.mark.openai_mock(model=None, scenario=SCENARIO, api_key="secret")
    def test_scenario_and_key(openai_mock):
        assert ask().output_text == "scripted" and os.environ["OPENAI_API_KEY"] == "secret"

    @pytest.mark.openai_mock(sed=7)
    def test_misspelt(openai_mock):
        raise AssertionError("unreached")

    @pytest.mark.openai_mock(seed="x")
    def test_wrong(openai_mock):
        raise AssertionError("unreached")

    @pytest.mark.openai_mock(7)
    def test_by_place(openai_mock):
        raise AssertionError("unreached")
    """)
    found.assert_outcomes(passed=4, errors=3)
    found.stdout.fnmatch_lines(
        [
            "*Mock() takes no 'sed'; did you mean 'seed'?*",
            "*seed takes a whole number, not 'x'",
            "*takes options by name*",
        ]
    )


def test_a_turn_that_nobody_queued_fails_a_test_that_has_lines(run) -> None:
    found = run(
        """
    def swallow(*args):
        try:
            ask(*args)
        except Exception:
            pass

    def test_default_model(openai_mock):
        openai_mock.script([{"when": {"input_contains": "weather"}, "reply": {"text": "rain"}}])
        openai_mock.reply("hello")
        assert ask("weather?").output_text == "rain"
        ask("hi")
        ask("and the news?")

    @pytest.mark.openai_mock(strict=True)
    @pytest.mark.openai_scenario("rain.yaml")
    def test_swallowed(openai_mock):
        swallow("what now?")

    def test_allowed(openai_mock):
        openai_mock.allow_default()
        openai_mock.reply("hello")
        ask(), ask()

    @pytest.mark.openai_mock(strict=False)
    def test_not_strict(openai_mock):
        openai_mock.reply("hello")
        ask(), ask()

    def test_no_lines_at_all(openai_mock):
        ask(), ask()

    def test_refused_by_the_api(openai_mock):
        openai_mock.reply("hello")
        swallow([])
        ask()

    """,
        rain="lines:\n  - when: {input_contains: weather, turn: 1}\n    reply: {text: rain}\n",
    )
    found.assert_outcomes(passed=4, failed=2)
    found.stdout.fnmatch_lines(
        [
            "1 turn was answered by no line of this test:",
            '  #3 answered by the default model: user: "and the news?"',
            "    All lines had been used before.",
            "*openai_mock.allow_default()*strict=False*",
            "1 turn was answered by no line of this test:",
            '  #1 refused with 501: user: "what now?"',
            '*rain.yaml:2* (1 of 2 keys hold): input_contains wants "weather", found "what now?".',
        ]
    )


def test_mistakes_in_a_reply_are_shown_at_the_line_of_the_test(run) -> None:
    found = run("""
    from mockserver import Mock

    def test_reply(openai_mock):
        openai_mock.reply({"txt": 1})

    def test_option():
        Mock(sed=7)

    def test_fault(openai_mock):
        openai_mock.faults.add("explode")
    """)
    found.assert_outcomes(failed=3)
    found.stdout.fnmatch_lines(
        [
            ">*openai_mock.reply({*",
            "E *MockError: Unknown key 'txt'*",
            ">*Mock(sed=7)*",
            "E *did you mean 'seed'*",
            ">*openai_mock.faults.add*",
        ]
    )
    found.stdout.no_fnmatch_line("*mockserver/testing/*.py:*")
    found.stdout.no_fnmatch_line("*def checked*")


def test_a_failed_test_shows_the_traffic_of_its_own_mocks_too(run) -> None:
    found = run("""
    from mockserver import Mock

    @pytest.fixture
    def other():
        with Mock() as mock:
            yield mock

    def test_fixture(other):
        ask(base_url=other.base_url, api_key="any", input="to the fixture's")
        assert 0

    def test_variable():
        mine = Mock()
        ask(base_url=mine.base_url, api_key="any", input="to the variable's")
        assert 0

    def test_block():
        with Mock() as mock:
            ask(base_url=mock.base_url, api_key="any", input="to the block's")
            assert 0
    """)
    found.assert_outcomes(failed=3)
    found.stdout.fnmatch_lines(
        [
            "*- other traffic -*",
            '*sent user: "to the fixture*',
            "*- mine traffic -*",
            '*sent user: "to the variable*',
            "E *The mock's traffic:",
            'E *sent user: "to the block*',
        ]
    )


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
