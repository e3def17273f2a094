"""`understudy cassette`: shows what was recorded, finds what is wrong with it, converts it, and records it anew."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

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
    body, resource = interaction.request.value, interaction.resource
    body = body if isinstance(body, dict) else {}
    resource = resource if isinstance(resource, dict) else {}
    usage = resource.get("usage") or {}
    tokens = f"{usage.get('input_tokens')}+{usage.get('output_tokens')}" if usage else ""
    return [
        str(interaction.id),
        f"{interaction.at:.1f}",
        _endpoint(interaction),
        str(body.get("model") or ""),
        _shorten(str(_parent(body) or "")),
        str(interaction.response.status),
        tokens,
        f"{interaction.response.seconds * 1000:.0f}",
        _ending(interaction),
    ]


def _ending(interaction: Interaction) -> str:
    closing = interaction.response.closing
    if interaction.closes and closing is not None:
        return "lost" if closing.code is None else f"closed {closing.code}"
    return interaction.response.ended + (" rehydrated" if interaction.rehydrated else "")


def _endpoint(interaction: Interaction) -> str:
    request = interaction.request
    path = "/".join(map(_shorten, request.path.removeprefix("/v1").split("/")))
    return f"{'SOCKET' if request.socket else request.method} {path}"


def _parent(body: dict[str, Any]) -> str | None:
    from proxy.cassettes.ledger import conversation_of

    parent = body.get("previous_response_id")
    return parent if isinstance(parent, str) else conversation_of(body)


def _shorten(id: str) -> str:
    return id if len(id) <= 16 else f"{id[:9]}…{id[-6:]}"


def _print_tree(cassette: Cassette) -> None:
    """Print the interactions as a forest: a turn below the response or the conversation that it goes on from."""
    from rich.console import Console
    from rich.markup import escape
    from rich.tree import Tree

    root = Tree(f"{len(cassette.interactions)} interactions")
    branches: dict[str, Tree] = {}
    histories = _histories(cassette)
    for interaction in cassette.interactions:
        body, resource = interaction.request.value, interaction.resource
        parent = _parent(body) if isinstance(body, dict) else None
        parent = parent or next(
            (id for id in branches if id in interaction.request.path), histories.get(interaction.id)
        )
        branch = branches.get(parent or "", root).add(escape(_told(interaction)))
        if isinstance(resource, dict) and isinstance(resource.get("id"), str):
            branches.setdefault(resource["id"], branch)
    Console(highlight=False, width=WIDEST).print(root)


def _histories(cassette: Cassette) -> dict[int, str]:
    """By interaction: the response whose whole context a turn sends again, of clients that keep their history."""
    from proxy.cassettes.canonical import raw_items
    from proxy.cassettes.ledger import TURNS, Ledger

    ledger = Ledger()
    after: dict[bytes, str] = {}  # responses by the context that they left
    found: dict[int, str] = {}
    for interaction in cassette.interactions:
        request, resource = interaction.request, interaction.resource
        body = request.value
        if isinstance(body, dict) and (request.socket or request.path in TURNS):
            context = ledger.parent_of(body)
            for item in raw_items(body.get("input")):
                context = ledger.extend(context, [item])
                if context.digest in after:
                    found[interaction.id] = after[context.digest]
        ledger.note(interaction)
        id = resource.get("id") if isinstance(resource, dict) else None
        if isinstance(id, str) and (left := ledger.responses.get(id)) is not None:
            after[left.digest] = id
    return found


MOST = 60  # characters of what was said
WIDEST = 300  # columns: a tree that can be searched is not cut to a terminal


def _told(interaction: Interaction) -> str:
    from proxy.cassettes.canonical import raw_items

    body, resource, status = interaction.request.value, interaction.resource, interaction.response.status
    asked = raw_items(body.get("input") or body.get("items")) if isinstance(body, dict) else []
    said = f" {_said_by(asked[-1])}" if asked else ""
    heard = _heard_in(resource) if status < 300 else str(status)
    return f"{interaction.id} {_endpoint(interaction)}{said}{f' → {heard}' if heard else ''}"


def _heard_in(resource: Any) -> str:
    if not isinstance(resource, dict):
        return ""
    output, listed = resource.get("output"), resource.get("data")
    if isinstance(output, list) and output:
        return _said_by(output[-1])
    return f"{len(listed)} {'item' if len(listed) == 1 else 'items'}" if isinstance(listed, list) else ""


def _said_by(item: Any) -> str:
    """An item in a few words: what it says, or which function it calls."""
    if not isinstance(item, dict):
        return ""
    if "name" in item:
        return f"{item.get('type')} {item['name']}"
    said = repr(_text_of(item.get("content", item.get("output", item.get("type")))))
    return said if len(said) <= MOST else f"{said[:MOST]}…"


def _text_of(content: Any) -> str:
    if isinstance(content, list):
        return " ".join(str(part.get("text", part.get("type"))) for part in content if isinstance(part, dict))
    return str(content)


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
