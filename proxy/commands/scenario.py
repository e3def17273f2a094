"""`understudy scenario`: checks scenario files, prints the JSON Schema of their format."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from mockserver.transport.command_line import USAGE_ERROR, Subcommands, complain, run

NAME = "understudy scenario"


def check(files: Sequence[str], *, lax: bool = False) -> int:
    """Print what is wrong in which line; returns 0, 1 when a file has mistakes, 2 when one can't be read.

    With `lax`, what a scenario may not hold is a warning; only what is neither YAML nor JSON is a mistake.
    """
    from mockserver.config.settings import SettingError
    from mockserver.scenarios.loader import load_file

    lines, warned, wrong, unread = 0, 0, 0, 0
    for file in files:
        try:
            document = load_file(file)
        except SettingError as error:
            unread += 1
            complain(NAME, str(error))
            continue
        for mistake in document.mistakes:
            warns = lax and mistake.refusal
            print(f"{file}:{mistake.line}: warning: {mistake.sentence}" if warns else f"{file}:{mistake}")
            warned, wrong = warned + warns, wrong + (not warns)
        lines += _line_count(document.value)
    if unread:
        return USAGE_ERROR
    if wrong:
        return 1
    found = _count(warned, "warning") if warned else "no mistakes"
    print(f"{_count(len(files), 'file')}, {_count(lines, 'line')}: {found}")
    return 0


def _line_count(document: Any) -> int:
    lines = document.get("lines") if isinstance(document, dict) else None
    return len(lines) if isinstance(lines, list) else 0


def print_schema() -> None:
    """Print the JSON Schema of the format."""
    from mockserver.scenarios.json_schema import document

    print(json.dumps(document(), indent=2))


def print_recorded(files: Sequence[str]) -> int:
    """Print recordings as a scenario; returns 2 when one can't be read."""
    import yaml

    from mockserver.config.settings import SettingError
    from proxy.cassettes.file import load
    from proxy.recorded_model import scenario_of

    try:
        scenario = scenario_of(map(load, files))
    except SettingError as error:
        complain(NAME, str(error))
        return USAGE_ERROR
    print(yaml.safe_dump(scenario, sort_keys=False, allow_unicode=True, width=120), end="")
    return 0


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


command = Subcommands(
    "scenario",
    help="Check scenario files, print the JSON Schema of their format, or a recording as a scenario.",
    commands=[
        click.Command(
            "check",
            callback=check,
            params=[
                click.Argument(["files"], nargs=-1, required=True, metavar="FILE..."),
                click.Option(["--lax"], is_flag=True, help="Only warn about what a scenario may not hold."),
            ],
            help="Print file:line: path: what is wrong. Exit status 1 when something is, 2 when a file can't be read.",
        ),
        click.Command(
            "from",
            callback=print_recorded,
            params=[click.Argument(["files"], nargs=-1, required=True, metavar="CASSETTE...")],
            help="Print the turns of recordings as a scenario, to be edited.",
        ),
        click.Command("schema", callback=print_schema, help="Print the JSON Schema of the format, for editors."),
    ],
)


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    return run(command, words, NAME)
