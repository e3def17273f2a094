"""`understudy snapshot`: says what two snapshots differ in."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from mockserver.control.snapshot_diff import differences, told
from mockserver.snapshot_file import Unreadable, read
from mockserver.transport.serve import USAGE_ERROR, Parser


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status: 0 for equal ones, 1 for different ones, 2 when one can't be read."""
    parser = Parser(prog="understudy snapshot", description="Compares snapshots.", allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True, metavar="diff")
    diff = commands.add_parser("diff", help="prints what was added, removed and changed; exit 1 when something was")
    diff.add_argument("before", metavar="BEFORE")
    diff.add_argument("after", metavar="AFTER")
    try:
        options = parser.parse_args(words)
        found = differences(read(options.before), read(options.after))
    except SystemExit as stop:
        return int(stop.code or 0)
    except Unreadable as error:
        print(f"understudy snapshot: error: {error}", file=sys.stderr)
        return USAGE_ERROR
    print(told(found))
    return 1 if found else 0
