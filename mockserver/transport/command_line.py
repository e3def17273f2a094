"""The command line, as far as the programs share it: options of the settings, lazy commands, mistakes in one line.

click reads the words, because what it does is what we had written ourselves and less well: usage, help, nearest names,
completion of shells. It does not read the values or the environment: a `Mock` and a scenario's author make the same
mistakes as somebody at a terminal and get the same message, so the readers stand in `settings`.

Everything else is imported by the command that needs it. `--version` and `--help` take 0.07 s so; with the server
and the tokenizer they would take 0.2 s. A server in turn imports what a first answer needs: what belongs to scenarios,
faults, snapshots, an upstream or WebSockets comes with the first of them. Both are pinned by name in a test.
"""

# Where click's way is not ours, and why:
# * Settings are options whose value stays text. Their readers live in `config.settings`, which a `Mock` in a test uses
#   too: one reader, one message, whichever way a value came.
# * `--strict` is a flag and takes a value, `--strict=off`. click has optional values, but then the `serve` of
#   `--strict serve` would be the value; the words are spelt out before click sees them.
# * A table names where each command lives, and its help line stands there. click imports every command to list them.
# * Mistakes are one line and status 2, without the usage, like those that the settings' readers find.

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from mockserver.config.kinds import FLAG_WORDS
from mockserver.config.settings import SETTINGS, Setting, SettingError, Settings, settings_of_program
from mockserver.config.switches import nearest
from mockserver.version import __version__

if TYPE_CHECKING:
    from starlette.types import ASGIApp

USAGE_ERROR = 2
INTERRUPTED = 130  # what a shell makes of SIGINT
CONTEXT = {"help_option_names": ["-h", "--help"]}
EPILOG = "Each option is also an environment variable: --max-body-bytes is UNDERSTUDY_MAX_BODY_BYTES."
WIDEST = 120


def run(command: click.Command, words: Sequence[str] | None, name: str) -> int:
    """Run a command; returns the exit status. A mistake of the user is one line on standard error and status 2."""
    words = list(sys.argv[1:] if words is None else words)
    try:
        status = command.main(words, name, standalone_mode=False, max_content_width=WIDEST)
    except click.Abort:
        return INTERRUPTED
    except click.ClickException as error:
        context = error.ctx if isinstance(error, click.UsageError) else None
        complain(context.command_path if context else name, error.format_message())
        return USAGE_ERROR
    except SettingError as error:
        complain(name, str(error))
        return USAGE_ERROR
    return status if isinstance(status, int) else 0


def complain(name: str, message: str) -> None:
    """Say in one line what is wrong."""
    print(f"{name}: error: {' '.join(message.splitlines())}", file=sys.stderr)


def start_server(settings: Settings, make_app: Callable[[Settings], ASGIApp]) -> int:
    """Import the server and serve until a signal; returns the exit status, raises SettingError.

    Until it serves, the garbage collector is off: it would walk the imported modules again and again and find nothing,
    a tenth of the time from start to first answer. Scenarios, faults and snapshots are read by pydantic's models, which
    come with the first of them; then its search for plugins in every installed distribution is left out, for a plugin
    that watches models has nothing to see in a server of its own.
    """
    gc.disable()  # until `serve.spare_the_collector`
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from mockserver.transport.serve import serve

        return serve(settings, make_app)
    finally:
        gc.enable()


# --- options of the settings -----------------------------------------------------------------------------------------


def settings_options(*, proxy: bool) -> list[click.Parameter]:
    """An option of click for each setting of a program; its value is text, or None where it was not given."""
    return [
        click.Option(
            [row.option, row.name], metavar=row.metavar, help=_help(row), multiple=row.repeatable, default=None
        )
        for row in settings_of_program(proxy=proxy)
    ]


def version_option() -> click.Parameter:
    """Return `-V`, `--version`."""

    def show(context: click.Context, _: click.Parameter, wanted: bool) -> None:
        if wanted and not context.resilient_parsing:
            click.echo(f"understudy {__version__}")
            context.exit()

    return click.Option(
        ["-V", "--version"], is_flag=True, expose_value=False, is_eager=True, help="Print the version.", callback=show
    )


def _help(row: Setting) -> str:
    return row.help if row.shown is None else f"{row.help} (default: {row.shown})"


def explicit_options(*parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that were given, of several sets of parameters; later ones win, or add to repeatable ones."""
    given: dict[str, Any] = {}
    for row in SETTINGS:
        for values in parameters:
            value = values.get(row.name)
            if value is not None and value != ():
                given[row.name] = (*given.get(row.name, ()), *value) if row.repeatable else value
    return given


def spell_out_flags(words: Sequence[str]) -> list[str]:
    """The words with a value for each bare flag: `--strict` alone means true, `--strict off` is known too.

    click can do that, but would take the `serve` of `--strict serve` for the value.
    """
    flags = {row.option for row in SETTINGS if row.flag}
    spelt: list[str] = []
    for index, word in enumerate(words):
        following = words[index + 1].lower() if index + 1 < len(words) else ""
        spelt.append(f"{word}=true" if word in flags and following not in FLAG_WORDS else word)
    return spelt


# --- commands --------------------------------------------------------------------------------------------------------


class ServeCommand(click.Command):
    """A command that takes the settings as options."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spell_out_flags(args))


class Subcommands(click.Group):
    """A group of which one command must be named; an unknown one is told the nearest name, which click 8.1 can't."""

    def __init__(self, name: str | None = None, **more: Any) -> None:
        super().__init__(name, no_args_is_help=False, **more)
        self.subcommand_metavar = f"[{' | '.join(self.names())}] {'[OPTIONS]' if self.params else '...'}"
        self.options_metavar = None

    def names(self) -> Sequence[str]:
        """The names of the commands, in the order of the help."""
        return list(self.commands)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names of the commands, in the order of the help."""
        return list(self.names())

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the words name; raises UsageError with the nearest name for an unknown one."""
        if self.get_command(ctx, args[0]) is None:
            ctx.fail(unknown_command(args[0], self.names()))
        return super().resolve_command(ctx, args)


class LazyCommand(NamedTuple):
    """Where a command is, as `module:name`, and what it does in a line; no place: it is not built yet."""

    place: str | None
    does: str


class LazyCommands(Subcommands):
    """A group of commands that are imported when they are called, and that takes the settings as options itself."""

    def __init__(self, table: Mapping[str, LazyCommand], **more: Any) -> None:
        self._table = table
        super().__init__(**more)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, spell_out_flags(args))

    def names(self) -> Sequence[str]:
        """The names of the commands that are built: no other is offered."""
        return [name for name, row in self._table.items() if row.place is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, imported now; None for an unknown name."""
        row = self._table.get(cmd_name)
        if row is None:
            return None
        if row.place is None:
            return _unbuilt(cmd_name)
        module, _, name = row.place.partition(":")
        command: click.Command = getattr(import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write what each command does, from the table: click's own way would import all of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, self._table[name].does) for name in self.names()])


def unknown_command(name: str, known: Sequence[str]) -> str:
    """The complaint about a command that does not exist."""
    close = nearest(name, known)
    return f"there is no command {name!r}; " + (f"did you mean {close}?" if close else f"there are {', '.join(known)}")


def _unbuilt(name: str) -> click.Command:
    def refuse(words: Sequence[str]) -> None:
        raise click.UsageError(f"{name} is not built yet")

    return click.Command(
        name,
        callback=refuse,
        params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
        context_settings={"ignore_unknown_options": True},
        add_help_option=False,
    )
