"""The settings table: command line, environment, complaints."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import pytest

from mockserver.config.pacing import Pacing
from mockserver.config.settings import (
    MOCK_SETTINGS,
    SETTINGS,
    TIMES,
    SettingError,
    Settings,
    from_python,
    load,
    options_table,
    parse_time,
)
from mockserver.testing.options import MockOptions
from mockserver.transport.command_line import ServeCommand, explicit_options, settings_options
from tests.support.driving import NOON

ROOT = Path(__file__).resolve().parents[2]


def parse(*words: str, proxy: bool = True, **environment: str) -> Settings:
    command = ServeCommand("serve", params=settings_options(proxy=proxy))
    return load(explicit_options(command.make_context("serve", list(words)).params), environment)


def test_the_docs_have_the_table() -> None:
    pages = [ROOT / "README.md", *ROOT.glob("mockserver/**/README.md"), *ROOT.glob("proxy/**/README.md")]
    assert any(options_table() in page.read_text(encoding="utf-8") for page in pages), options_table()


def test_a_mock_s_typed_options_are_the_rows_that_it_takes() -> None:
    assert MockOptions.__annotations__.keys() == MOCK_SETTINGS.keys() - {"scenario"}
    assert not MockOptions.__required_keys__
    assert {row.name for row in SETTINGS} - MOCK_SETTINGS.keys() == {
        *("host", "port", "workers", "head_timeout", "log_format", "log_level"),
        *("mode", "upstream", "upstream_api_key", "upstream_timeout"),
        *("cassette", "replay_speed", "match", "redact"),
    }


def test_defaults_are_those_of_the_contract() -> None:
    settings = parse()
    assert (settings.host, settings.port, settings.store, settings.default_mode) == (
        "127.0.0.1",
        4010,
        "memory",
        "mock",
    )
    assert settings.max_body_bytes == 64 * 1024 * 1024


def test_the_command_line_wins_over_the_environment() -> None:
    assert parse(UNDERSTUDY_PORT="5000").port == 5000
    assert parse("--port", "6000", UNDERSTUDY_PORT="5000").port == 6000


def test_repeatable_settings() -> None:
    assert parse("--api-key", "a", "--api-key", "b").api_key == ("a", "b")
    assert parse(UNDERSTUDY_API_KEY="a,b").api_key == ("a", "b")


def test_switches_are_set_by_repeating_the_option_or_by_one_variable() -> None:
    chosen = (("done_sentinel", "on"), ("chain_onto", "completed,failed"), ("zdr", "on"))
    words = [word for name, value in chosen for word in ("--set", f"{name}={value}")]
    assert parse(*words).set == chosen
    text = "done_sentinel=on,chain_onto=completed,failed, zdr=on"
    assert parse(UNDERSTUDY_SET=text).set == chosen
    assert parse("--set", "auth=enforce", UNDERSTUDY_SET=text).set == (("auth", "enforce"),)


def test_a_switch_that_does_not_exist_names_its_source() -> None:
    with pytest.raises(SettingError, match=r"^UNDERSTUDY_SET: there is no switch 'zrd'; did you mean zdr\?$"):
        parse(UNDERSTUDY_SET="auth=enforce,zrd=on")


def test_values_are_parsed() -> None:
    assert parse("--pacing", "0.3:60").pacing == Pacing(0.3, 60)
    assert parse("--pacing", "0.3").pacing == Pacing(0.3, 0)
    assert parse("--clock", "2026-11-20T12:00:00Z").clock == 1_795_176_000
    assert parse("--clock", "system").clock is None
    assert parse("--upstream", "http://127.0.0.1:1/v1/").upstream == "http://127.0.0.1:1/v1"
    assert parse("--upstream", "http://127.0.0.1:1/v1").default_mode == "forward"
    assert parse_time("2026-11-20T12:00:00") == parse_time("2026-11-20T13:00:00+01:00")


def test_scenarios_and_strict() -> None:
    assert parse("--scenario", "a.yaml", "--scenario", "b.json", "--strict").scenario == ("a.yaml", "b.json")
    assert parse(UNDERSTUDY_SCENARIO="a.yaml,b.json").scenario == ("a.yaml", "b.json")
    assert [parse(*words).strict for words in ([], ["--strict"], ["--strict", "off"])] == [False, True, False]
    assert parse(UNDERSTUDY_STRICT="1").strict and not parse(UNDERSTUDY_STRICT="no").strict
    assert parse("--strict", "--seed", "1").strict and parse("--strict", "--seed", "1").seed == 1
    assert parse().seed is None and parse("--seed", "0").seed == 0


BAD = {
    "--strict": ["maybe"],
    "--scenario": [""],
    "--port": ["-1", "65536", "x", "１"],
    "--upstream": ["api.openai.com", "ftp://x", "https://", "https://x/?q=1"],
    "--store": ["", "postgres", "sqlite:///"],
    "--clock": ["noon", ""],
    "--pacing": ["-1", "a:b", "1:-1", "nan"],
    "--seed": ["x", "1.5"],
    "--workers": ["0", "-1"],
    "--mode": ["mocked"],
    "--max-body-bytes": ["0", "1k"],
    "--head-timeout": ["0", "soon"],
    "--upstream-timeout": ["0", "x"],
    "--log-level": ["loud"],
    "--set": ["", "x", "zdr", "zdr=maybe", "ws_cache=none", "response_ttl_days=-1"],
}


@pytest.mark.parametrize(("option", "text"), [(option, text) for option, texts in BAD.items() for text in texts])
def test_a_bad_value_names_its_option(option: str, text: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(f"{option}={text}")
    assert str(caught.value).startswith(option)
    assert "\n" not in str(caught.value)


def test_a_bad_variable_names_itself() -> None:
    with pytest.raises(SettingError, match=r"^UNDERSTUDY_PORT takes"):
        parse(UNDERSTUDY_PORT="x")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("UNDERSTUDY_PROT", "there is no variable UNDERSTUDY_PROT; did you mean UNDERSTUDY_PORT?"),
        ("UNDERSTUDY_port", "there is no variable UNDERSTUDY_port; did you mean UNDERSTUDY_PORT?"),
        ("UNDERSTUDY_APIKEY", "there is no variable UNDERSTUDY_APIKEY; did you mean UNDERSTUDY_API_KEY?"),
        (
            "UNDERSTUDY_QQQ",
            "there is no variable UNDERSTUDY_QQQ; each is named as its option: --port is UNDERSTUDY_PORT",
        ),
    ],
)
def test_a_variable_that_does_not_exist_is_refused(name: str, says: str) -> None:
    with pytest.raises(SettingError) as caught:
        parse(**{name: "1"})
    assert str(caught.value) == says
    assert parse(UNDERSTUDY="1", UNDER_STUDY_PORT="1") == Settings()


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("clock", datetime(2026, 11, 20, 12, tzinfo=UTC), NOON),
        ("clock", datetime(2026, 11, 20, 12), NOON),
        ("clock", int(NOON), NOON),
        ("clock", "2026-11-20T12:00:00Z", NOON),
        ("pacing", Pacing(1, 2), Pacing(1.0, 2.0)),
        ("pacing", (0.5, 20), Pacing(0.5, 20.0)),
        ("pacing", 1, Pacing(1.0)),
        ("pacing", "1:2", Pacing(1.0, 2.0)),
        ("set", ["done_sentinel=on"], (("done_sentinel", "on"),)),
        ("set", {"response_ttl_days": 3, "zdr": "on"}, (("response_ttl_days", "3"), ("zdr", "on"))),
        ("set", {"chain_onto": ["completed", "failed"]}, (("chain_onto", "completed,failed"),)),
        ("scenario", Path("a.yaml"), ("a.yaml",)),
        ("scenario", [Path("a.yaml"), "b.yaml"], ("a.yaml", "b.yaml")),
        ("api_key", "a,b", ("a,b",)),
        ("strict", True, True),
        ("journal", 0, 0),
        ("seed", -7, -7),
        ("snapshot", None, None),
    ],
)
def test_python_values(name: str, value: Any, setting: Any) -> None:
    assert getattr(from_python({name: value}), name) == setting


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("seed", "x", "seed takes a whole number, not 'x'"),
        ("seed", 1.5, "seed takes a whole number, not 1.5"),
        ("seed", True, "seed takes a whole number, not True"),
        ("strict", 1, "strict takes true or false, not 1"),
        ("journal", -1, "journal takes a whole number, 0 or more, not -1"),
        ("max_body_bytes", 0, "max_body_bytes takes a whole number, 1 or more, not 0"),
        *(
            ("clock", value, f"clock takes system or {TIMES}, not {shown}")
            for value, shown in (
                *((1e30, "1e+30"), ([], "[]"), (-1, "-1"), (2**32, "4294967296"), (float("nan"), "nan")),
                *(("0001-01-01", "'0001-01-01'"), ("2106-02-07T06:28:16Z", "'2106-02-07T06:28:16Z'")),
                *(("0001-01-01T00:00:00+14:00", "'0001"), (datetime(1, 1, 1), "datetime.datetime(1, 1, 1, 0, 0)")),
            )
        ),
        ("pacing", (1, 2, 3), "pacing takes FIRST_TOKEN_S:TOKENS_PER_S, such as 0.3:60, not (1, 2, 3)"),
        ("pacing", float("nan"), "pacing takes FIRST_TOKEN_S:TOKENS_PER_S, such as 0.3:60, not nan"),
        ("pacing", Pacing(-1), "pacing takes FIRST_TOKEN_S:TOKENS_PER_S, such as 0.3:60, not Pacing("),
        ("store", 5, "store takes memory, sqlite:///FILE or postgresql://USER@HOST/DATABASE, not 5"),
        ("api_key", b"key", "api_key takes a value that is not empty, not b'key'"),
        ("set", {"done_sentinel": "maybe"}, "set: done_sentinel takes off or on, not 'maybe'"),
        ("set", {"done_sentinel": True}, "set: done_sentinel takes off or on, not True"),
        ("set", {"zrd": "on"}, "set: there is no switch 'zrd'; did you mean zdr?"),
        ("set", 5, "set takes NAME=VALUE, not 5"),
    ],
)
def test_a_bad_python_value_names_its_option(name: str, value: Any, says: str) -> None:
    with pytest.raises(SettingError) as caught:
        from_python({name: value})
    assert str(caught.value).startswith(says)


def test_a_mock_takes_no_option_of_a_process() -> None:
    with pytest.raises(
        TypeError, match=r"^Mock\(\) takes no 'sead'; did you mean 'seed'\? It takes .*scenario, seed, set"
    ):
        from_python({"sead": 1})
    with pytest.raises(TypeError, match=r"^Mock\(\) takes no 'port'; it takes allow_host, .*, strict$"):
        from_python({"port": 1})


def test_settings_that_need_each_other() -> None:
    with pytest.raises(SettingError, match="--mode forward needs --upstream"):
        parse("--mode", "forward")
    with pytest.raises(SettingError, match="--workers"):
        parse("--workers", "2")
    assert parse("--workers", "2", "--store", "sqlite:///x.db").workers == 2


def test_the_mock_alone_has_no_options_of_the_proxy() -> None:
    with pytest.raises(click.NoSuchOption):
        parse("--upstream", "http://x/v1", proxy=False)
