"""The settings table: command line, environment, complaints."""

from __future__ import annotations

import argparse
from dataclasses import fields

import pytest

from mockserver.settings import SETTINGS, Pacing, SettingError, Settings, add_options, environment_of, load, parse_time


def parse(*words: str, proxy: bool = True, **environment: str) -> Settings:
    parser = argparse.ArgumentParser()
    add_options(parser, proxy=proxy)
    return load(vars(parser.parse_args(words)), environment)


def test_the_table_and_the_class_agree() -> None:
    assert {row.name: row.default for row in SETTINGS} == {
        one.name: getattr(Settings(), one.name) for one in fields(Settings)
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
    told = environment_of({"set": [f"{name}={value}" for name, value in chosen]})
    assert load({}, told).set == chosen, "a worker process hears the same"


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
    assert load({}, environment_of({"strict": "true", "scenario": ["a", "b"]})).strict
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


def test_settings_that_need_each_other() -> None:
    with pytest.raises(SettingError, match="--mode forward needs --upstream"):
        parse("--mode", "forward")
    with pytest.raises(SettingError, match="--workers"):
        parse("--workers", "2")
    assert parse("--workers", "2", "--store", "sqlite:///x.db").workers == 2


def test_the_mock_alone_has_no_options_of_the_proxy() -> None:
    with pytest.raises(SystemExit):
        parse("--upstream", "http://x/v1", proxy=False)
