"""`understudy scenario`: judges scenario files, prints the JSON Schema of their format."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from mockserver.model.scenario_schema import document
from mockserver.scenarios import opened
from mockserver.settings import SettingError
from mockserver.transport.serve import USAGE_ERROR, Parser


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status: 0, 1 when a file has mistakes, 2 when one can't be read."""
    parser = Parser(prog="understudy scenario", description="Judges scenario files.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="check|schema")
    check = commands.add_parser("check", help="prints file:line: path: what is wrong; exit 1 when something is")
    check.add_argument("files", nargs="+", metavar="FILE")
    commands.add_parser("schema", help="prints the format's JSON Schema, for editors")
    try:
        options = parser.parse_args(words)
    except SystemExit as stop:
        return int(stop.code or 0)
    if options.command == "schema":
        print(json.dumps(document(), indent=2))
        return 0
    return _check(options.files)


def _check(files: Sequence[str]) -> int:
    lines, wrong, unread = 0, 0, 0
    for file in files:
        try:
            found = opened(file)
        except SettingError as error:
            unread += 1
            print(f"understudy scenario: error: {error}", file=sys.stderr)
            continue
        for mistake in found.mistakes:
            print(f"{file}:{mistake}")
        wrong += len(found.mistakes)
        lines += 0 if found.mistakes else len(found.value["lines"])
    if unread:
        return USAGE_ERROR
    if wrong:
        return 1
    print(f"{_counted(len(files), 'file')}, {_counted(lines, 'line')}: no mistakes")
    return 0


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
