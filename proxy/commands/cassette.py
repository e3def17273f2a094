"""`understudy cassette`: shows what was recorded, finds what is wrong with it, converts it, and records it anew."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import click

from mockserver.transport.command_line import USAGE_ERROR, Subcommands, complain, run

if TYPE_CHECKING:
    from proxy.cassettes.interaction import Cassette, Interaction

NAME = "understudy cassette"
DAY = 86400.0


def show(files: Sequence[str], tree: bool) -> int:
    """Print a table of the recorded exchanges, or what goes on from what; returns the exit status."""
    status = 0
    for cassette in _load_all(files):
        if cassette is None:
            status = USAGE_ERROR
            continue
        head = cassette.head
        print(f"{cassette.path} ({cassette.kind}): {head.upstream or 'unknown upstream'}, {head.recorded or 'no date'}")
        _print_tree(cassette) if tree else _print_table(cassette)
        for problem in cassette.problems:
            print(f"  ! {problem}")
    return status


def _load_all(files: Sequence[str]) -> Iterator[Cassette | None]:
    """Yield each file, read; None for one that can't be, after saying so."""
    from proxy.cassettes.file import load
    from proxy.cassettes.interaction import CassetteError

    for file in files:
        try:
            yield load(file)
        except CassetteError as error:
            complain(NAME, str(error))
            yield None


COLUMNS = ("id", "at", "endpoint", "model", "parent", "status", "tokens", "ms", "ended")
NUMBERS = frozenset(("id", "at", "status", "tokens", "ms"))


def _print_table(cassette: Cassette) -> None:
    """Print the interactions, one on a line: a table that can be searched and cut is not folded to a terminal."""
    rows = [list(COLUMNS), *map(_cells, cassette.interactions)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(COLUMNS))]
    for row in rows:
        cells = [
            cell.rjust(width) if name in NUMBERS else cell.ljust(width)
            for name, cell, width in zip(COLUMNS, row, widths, strict=True)
        ]
        print("  ".join(cells).rstrip())


def _cells(interaction: Interaction) -> list[str]:
    from proxy.cassettes.outline import describe_ending, endpoint_of, parent_in, shorten_id

    body, resource = interaction.request.value, interaction.resource
    body = body if isinstance(body, dict) else {}
    resource = resource if isinstance(resource, dict) else {}
    usage = resource.get("usage") or {}
    tokens = f"{usage.get('input_tokens')}+{usage.get('output_tokens')}" if usage else ""
    return [
        str(interaction.id),
        f"{interaction.at:.1f}",
        endpoint_of(interaction),
        str(body.get("model") or ""),
        shorten_id(str(parent_in(body) or "")),
        str(interaction.response.status),
        tokens,
        f"{interaction.response.seconds * 1000:.0f}",
        describe_ending(interaction),
    ]


WIDEST = 300  # columns: a tree that can be searched is not cut to a terminal


def _print_tree(cassette: Cassette) -> None:
    """Print the interactions as a forest: a turn below the response or the conversation that it goes on from."""
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    from proxy.cassettes.outline import describe, find_histories, parent_in

    root = Tree(f"{len(cassette.interactions)} interactions")
    branches: dict[str, Tree] = {}
    histories = find_histories(cassette)
    for interaction in cassette.interactions:
        body, resource = interaction.request.value, interaction.resource
        parent = parent_in(body) if isinstance(body, dict) else None
        parent = parent or next(
            (id for id in branches if id in interaction.request.path), histories.get(interaction.id)
        )
        branch = branches.get(parent or "", root).add(escape(describe(interaction)))
        if isinstance(resource, dict) and isinstance(resource.get("id"), str):
            branches.setdefault(resource["id"], branch)
    Console(highlight=False, width=WIDEST).print(root)


def lint(files: Sequence[str], max_age: float | None) -> int:
    """Print what is wrong with cassettes; returns 1 when something is, 2 when a file can't be read."""
    from proxy.cassettes.lint import find_faults

    status, faults = 0, 0
    for cassette in _load_all(files):
        if cassette is None:
            status = USAGE_ERROR
            continue
        for problem in find_faults(cassette, time.time(), None if max_age is None else max_age * DAY):
            faults += 1
            print(problem)
    if not faults and not status:
        print(f"{len(files)} {'file' if len(files) == 1 else 'files'}: nothing to complain about")
    return status or (1 if faults else 0)


def convert(files: Sequence[str], output: str) -> int:
    """Write the exchanges of files, in their order, to one cassette of ours; returns the exit status."""
    from dataclasses import replace

    from proxy.cassettes.file import save
    from proxy.cassettes.interaction import Cassette, CassetteError, Head

    read = list(_load_all(files))
    known = [cassette for cassette in read if cassette is not None]
    if len(known) < len(read):
        return USAGE_ERROR
    interactions = [interaction for cassette in known for interaction in cassette.interactions]
    numbered = tuple(replace(interaction, id=number) for number, interaction in enumerate(interactions, 1))
    recorded = next((cassette.head.recorded for cassette in known if cassette.head.recorded), None)
    head = Head(known[0].head.upstream, recorded)
    try:
        save(Cassette(output, head, numbered), output)
    except CassetteError as error:
        complain(NAME, str(error))
        return USAGE_ERROR
    for cassette in known:
        for problem in cassette.problems:
            print(f"left out: {problem}")
    print(f"{output}: {len(numbered)} interactions of {', '.join(cassette.kind for cassette in known)}")
    return 0


def refresh(file: str, upstream: str, output: str | None, redact: Sequence[str]) -> int:
    """Record the requests of a cassette anew and print what the API changed; returns the exit status."""
    import os

    from rich.console import Console
    from rich.progress import Progress

    from mockserver.config.settings import SettingError, from_python
    from proxy.refresh import Refresher, RefreshError

    key = os.environ.get("OPENAI_API_KEY")
    if not key:
        complain(NAME, "recording anew needs the upstream's key in OPENAI_API_KEY")
        return USAGE_ERROR
    (cassette,) = _load_all([file])
    if cassette is None:
        return USAGE_ERROR
    console = Console(stderr=True)
    target = output or file
    try:
        settings = from_python({"upstream": upstream, "upstream_api_key": key, "redact": list(redact)}, "Proxy")
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(file, total=len(cassette.interactions))
            done = Refresher(settings).refresh(cassette, target, lambda: progress.advance(task))
    except (SettingError, RefreshError) as error:
        complain(NAME, f"{error}; {target} is as it was" if isinstance(error, RefreshError) else str(error))
        return USAGE_ERROR
    for problem in (*cassette.problems, *done.warnings):
        print(f"  ! {problem}")
    groups = done.changes.groups()
    told = f"{sum(group.count for group in groups)} changes in {len(groups)} places" if groups else "no changes"
    print(f"{target}: {done.count} interactions recorded from {upstream}, {told}")
    for group in groups:
        first = group.first
        times = f"{group.count}×" if group.count > 1 else ""
        print(f"  {times:>4} {first.endpoint}  {first.path}: {first.kind}")
        print(f"         was {first.recorded}")
        print(f"         now {first.ours}")
        print(f"         interactions {', '.join(map(str, group.exchanges[:10]))}")
    return 0


_FILES = click.Argument(["files"], nargs=-1, required=True, metavar="FILE...")
command = Subcommands(
    "cassette",
    help="List recorded exchanges, find secrets and torn ones, convert recordings of other tools, record them anew.",
    commands=[
        click.Command(
            "show",
            callback=show,
            params=[_FILES, click.Option(["--tree"], is_flag=True, help="what goes on from what, instead of a table")],
            help="Print the exchanges of cassettes, also of vcrpy, VCR and HAR files.",
        ),
        click.Command(
            "lint",
            callback=lint,
            params=[
                _FILES,
                click.Option(
                    ["--max-age"], type=float, metavar="DAYS", help="complain about recordings older than this"
                ),
            ],
            help="Print secrets, torn documents, unexplained ids, models that were shut down. Exit status 1 for any.",
        ),
        click.Command(
            "import",
            callback=convert,
            params=[
                _FILES,
                click.Option(["-o", "--output", "output"], required=True, metavar="OUT", help="the file to write"),
            ],
            help="Convert recordings of vcrpy, VCR (Ruby) and HAR files to one cassette.",
        ),
        click.Command(
            "refresh",
            callback=refresh,
            params=[
                click.Argument(["file"], metavar="FILE"),
                click.Option(["--upstream"], required=True, metavar="URL", help="the API that is recorded"),
                click.Option(["-o", "--output", "output"], metavar="OUT", help="the file to write, by default FILE"),
                click.Option(["--redact"], multiple=True, metavar="REGEX", help="what else must not be written down"),
            ],
            help="Send the requests of a cassette again, with the key in OPENAI_API_KEY, record the answers, and print "
            "what the API changed since.",
        ),
    ],
)


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    return run(command, words, NAME)
