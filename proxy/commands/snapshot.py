"""`understudy snapshot`: prints what two snapshots differ in."""

from __future__ import annotations

from collections.abc import Sequence

import click

from mockserver.transport.command_line import USAGE_ERROR, Subcommands, complain, run

NAME = "understudy snapshot"


def diff(before: str, after: str) -> int:
    """Print what was added, removed and changed; returns 0 when nothing was, 1 when something was, 2 if unreadable."""
    from mockserver.engine.snapshot_file import Unreadable, read
    from mockserver.snapshots.diff import differences, format_differences

    try:
        found = differences(read(before), read(after))
    except Unreadable as error:
        complain(NAME, str(error))
        return USAGE_ERROR
    print(format_differences(found))
    return 1 if found else 0


command = Subcommands(
    "snapshot",
    help="Compare snapshots.",
    commands=[
        click.Command(
            "diff",
            callback=diff,
            params=[click.Argument(["before"]), click.Argument(["after"])],
            help="Print what was added, removed and changed. Exit status 1 when something was, 2 for what is none.",
        )
    ],
)


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    return run(command, words, NAME)
