"""The command `understudy`: which commands there are. What serves is imported when something is served."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

from mockserver.config.settings import SETTINGS, Settings, load
from mockserver.transport.command_line import (
    CONTEXT,
    EPILOG,
    LazyCommand,
    LazyCommands,
    ServeCommand,
    explicit_options,
    run,
    settings_options,
    start_server,
    unknown_command,
    version_option,
)

if TYPE_CHECKING:
    from proxy.app import ProxyApp

COMMANDS = {
    "serve": LazyCommand(
        "proxy.cli:serve_command", "One process: the proxy, the mock, the control API and the viewer (the default)."
    ),
    "verify": LazyCommand(
        "proxy.commands.verify:command", "Play recordings through the mock, print where it answers differently."
    ),
    "explain": LazyCommand("proxy.cli:explain_command", "Print rules of the API's behaviour, such as R1.24."),
    "conform": LazyCommand(
        "mockserver.conformance.cli:command", "Run the state rules against any server that speaks the two APIs."
    ),
    "scenario": LazyCommand(
        "proxy.commands.scenario:command", "Check scenario files, print the JSON Schema of the format, or a recording."
    ),
    "cassette": LazyCommand(
        "proxy.commands.cassette:command", "List recorded exchanges, find secrets in them, convert those of others."
    ),
    "snapshot": LazyCommand("proxy.commands.snapshot:command", "Print what two snapshots differ in."),
    "help": LazyCommand("proxy.cli:help_command", "Print this help, or that of a command."),
}


def make_app(settings: Settings) -> ProxyApp:
    """The proxy with the mock in it; raises SettingError for a file that can't be used, and for a loop."""
    from mockserver.engine.telemetry import is_logging
    from proxy.app import ProxyApp
    from proxy.loops import refuse_loop
    from proxy.mock import make_mock

    refuse_loop(settings)
    app = ProxyApp(make_mock(settings), settings)
    app.logs_requests = is_logging(settings)
    return app


def serve(options: dict[str, Any]) -> int:
    """Serve with the options of the command line and the environment until a signal; returns the exit status."""
    return start_server(load(options, os.environ), make_app)


@click.pass_context
def _serve_here(context: click.Context, **options: Any) -> int:
    before = context.parent.params if context.parent else {}
    return serve(explicit_options(before, options))


@click.pass_context
def _serve_by_default(context: click.Context, **options: Any) -> int | None:
    """Serve where no command is named; options before `serve` are its own, before another command a mistake."""
    command = context.invoked_subcommand
    if command is None:
        return serve(explicit_options(options))
    if command != "serve" and (given := explicit_options(options)):
        names = ", ".join(row.option for row in SETTINGS if row.name in given)
        raise click.UsageError(f"{names}: an option of serve, not of {command}")
    return None


def _explain(rules: Sequence[str]) -> int:
    status: int = import_module("mockserver.conformance.explain").main(list(rules))
    return status


@click.pass_context
def _help(context: click.Context, words: Sequence[str]) -> None:
    """Print the help of the command that the words name, of the program where there are none."""
    here = context.find_root()
    for word in words:
        group = here.command
        known = group.list_commands(here) if isinstance(group, click.Group) else []
        command = group.get_command(here, word) if isinstance(group, click.Group) else None
        if command is None:
            context.fail(unknown_command(word, known))
        here = click.Context(command, parent=here, info_name=word)
    click.echo(here.get_help())


serve_command = ServeCommand(
    "serve",
    callback=_serve_here,
    params=settings_options(proxy=True),
    help=COMMANDS["serve"].does,
    epilog=EPILOG,
)
explain_command = click.Command(
    "explain",
    callback=_explain,
    params=[click.Argument(["rules"], nargs=-1, required=True, metavar="RULE...")],
    help=COMMANDS["explain"].does,
)
help_command = click.Command(
    "help",
    callback=_help,
    params=[click.Argument(["words"], nargs=-1, metavar="[COMMAND]")],
    help=COMMANDS["help"].does,
)
program = LazyCommands(
    COMMANDS,
    callback=_serve_by_default,
    invoke_without_command=True,
    params=[*settings_options(proxy=True), version_option()],
    help="A local OpenAI-compatible proxy with a deterministic, stateful mock.",
    epilog=EPILOG,
    context_settings=CONTEXT,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit status."""
    return run(program, argv, "understudy")


if __name__ == "__main__":
    sys.exit(main())
