"""What the programs share of the command line; whole programs are in `tests/proxy/test_cli.py`."""

from __future__ import annotations

import gc
import os
from typing import Any

import click
import pytest

from mockserver.config.settings import SETTINGS, SettingError, Settings
from mockserver.transport import serve
from mockserver.transport.command_line import (
    INTERRUPTED,
    LazyCommand,
    LazyCommands,
    Subcommands,
    complain,
    explicit_options,
    run,
    settings_options,
    spell_out_flags,
    start_server,
    version_option,
)
from mockserver.version import __version__


@pytest.mark.parametrize(
    ("words", "spelt"),
    [
        (["--strict"], ["--strict=true"]),
        (["--strict", "serve"], ["--strict=true", "serve"]),
        (["--strict", "OFF"], ["--strict", "OFF"]),
        (["--strict=off", "x"], ["--strict=off", "x"]),
        (["--port", "1"], ["--port", "1"]),
    ],
)
def test_a_bare_flag_gets_its_value(words: list[str], spelt: list[str]) -> None:
    assert spell_out_flags(words) == spelt


def test_later_options_win_or_add() -> None:
    before = {"port": "1", "api_key": ("a",), "seed": None, "set": ()}
    after = {"port": "2", "api_key": ("b", "c"), "seed": None, "set": ()}
    assert explicit_options(before, after) == {"port": "2", "api_key": ("a", "b", "c")}
    assert explicit_options(before, {"port": None, "api_key": ()}) == {"port": "1", "api_key": ("a",)}


def test_each_setting_is_an_option_and_the_mock_alone_has_none_of_the_proxy() -> None:
    assert [option.name for option in settings_options(proxy=True)] == [row.name for row in SETTINGS]
    names = {option.name for option in settings_options(proxy=False)}
    assert {row.name for row in SETTINGS} - names == {"mode", "upstream", "upstream_api_key", "upstream_timeout"}


def test_a_complaint_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    complain("prog", "a\nb")
    assert capsys.readouterr() == ("", "prog: error: a b\n")


@pytest.mark.parametrize(
    ("outcome", "status", "err"),
    [
        (3, 3, ""),
        (None, 0, ""),
        (SettingError("--x takes y"), 2, "prog: error: --x takes y\n"),
        (click.UsageError("no"), 2, "prog: error: no\n"),
        (click.ClickException("not it"), 2, "prog: error: not it\n"),
    ],
)
def test_the_exit_status(capsys: pytest.CaptureFixture[str], outcome: Any, status: int, err: str) -> None:
    def callback() -> Any:
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    assert run(click.Command("c", callback=callback), [], "prog") == status
    assert capsys.readouterr() == ("", err)


def test_an_interrupt_is_no_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    def callback() -> None:
        raise KeyboardInterrupt

    assert run(click.Command("c", callback=callback), [], "prog") == INTERRUPTED
    assert "Traceback" not in capsys.readouterr().err


def test_a_command_is_imported_when_it_is_called(capsys: pytest.CaptureFixture[str]) -> None:
    table = {
        "gone": LazyCommand("no_such_module:command", "Do what no file does."),
        "later": LazyCommand(None, "Do it one day."),
    }
    group = LazyCommands(table)
    assert run(group, ["--help"], "prog") == 0
    shown = capsys.readouterr().out
    assert "Do what no file does." in shown and "later" not in shown, "what is not built is offered nowhere"
    assert run(group, ["later", "--anything", "x"], "prog") == 2
    assert "later is not built yet" in capsys.readouterr().err
    with pytest.raises(ModuleNotFoundError):
        run(group, ["gone"], "prog")
    assert group.get_command(click.Context(group), "none") is None


ran: list[str] = []


@click.command()
def lazily() -> None:
    ran.append("lazily")


def test_a_command_of_the_table_runs() -> None:
    group = LazyCommands({"run": LazyCommand(f"{__name__}:lazily", "Run it.")})
    assert run(group, ["run"], "prog") == 0
    assert ran.pop() == "lazily"


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("checl", "there is no command 'checl'; did you mean check?"),
        ("zzz", "there is no command 'zzz'; there are check, diff"),
    ],
)
def test_an_unknown_command_gets_the_nearest_name(
    capsys: pytest.CaptureFixture[str], word: str, complaint: str
) -> None:
    group = Subcommands(commands={name: click.Command(name) for name in ("check", "diff")})
    assert run(group, [word], "prog") == 2
    assert capsys.readouterr() == ("", f"prog: error: {complaint}\n")
    assert run(group, ["check"], "prog") == 0
    assert run(group, ["--help"], "prog") == 0
    assert "[check | diff] ..." in capsys.readouterr().out


def test_the_version_is_printed_before_anything_is_read(capsys: pytest.CaptureFixture[str]) -> None:
    command = click.Command("c", params=[version_option(), click.Option(["--x"], required=True)])
    assert run(command, ["-V"], "prog") == 0
    assert capsys.readouterr() == (f"understudy {__version__}\n", "")


def test_the_collector_is_off_until_the_server_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []
    monkeypatch.setenv("PYDANTIC_DISABLE_PLUGINS", os.environ.get("PYDANTIC_DISABLE_PLUGINS", "__all__"))
    monkeypatch.setattr(serve, "serve", lambda *_: seen.append(gc.isenabled()) or 5)
    assert start_server(Settings(), lambda _: None) == 5  # type: ignore[arg-type, return-value]
    assert seen == [False] and gc.isenabled()
