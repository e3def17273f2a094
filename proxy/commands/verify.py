"""`understudy verify`: plays recordings through the mock and prints where it would have answered differently."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from xml.sax.saxutils import escape, quoteattr

import click

from mockserver.transport.command_line import USAGE_ERROR, complain, run

if TYPE_CHECKING:
    from proxy.cassettes.drift import Drift

NAME = "understudy verify"


def verify(files: Sequence[str], as_json: bool, junit: str | None) -> int:
    """Print the differences, grouped; returns 0, 1 when there are any, 2 when a file can't be read."""
    from rich.console import Console
    from rich.progress import track

    from proxy.cassettes.file import load
    from proxy.cassettes.interaction import CassetteError
    from proxy.verify import Verifier

    results: list[tuple[str, int, int, Drift]] = []
    try:
        cassettes = [load(file) for file in files]
    except CassetteError as error:
        complain(NAME, str(error))
        return USAGE_ERROR
    console = Console(stderr=True)
    for cassette in cassettes:
        verifier = Verifier()
        verifier.begin(cassette)
        interactions = cassette.interactions
        shown = track(interactions, cassette.path, console=console, transient=True, disable=not console.is_terminal)
        for interaction in shown:
            verifier.check(interaction)
        verifier.close()
        results.append((cassette.path, verifier.checked, verifier.skipped, verifier.drift))
    if junit is not None and not _write_junit(junit, results):
        return USAGE_ERROR
    print(json.dumps([_to_json(*result) for result in results], indent=2) if as_json else _format(results))
    return 1 if any(drift.groups() for *_, drift in results) else 0


def _to_json(path: str, checked: int, skipped: int, drift: Drift) -> dict[str, Any]:
    findings = [group.to_json() for group in drift.groups()]
    return {"cassette": path, "checked": checked, "skipped": skipped, "findings": findings}


def _format(results: Sequence[tuple[str, int, int, Drift]]) -> str:
    lines = []
    for path, checked, skipped, drift in results:
        groups = drift.groups()
        told = f"{sum(group.count for group in groups)} differences in {len(groups)} places" if groups else "no drift"
        lines.append(f"{path}: {checked} interactions, {told}" + (f", {skipped} not covered" if skipped else ""))
        for group in groups:
            first = group.first
            times = f"{group.count}×" if group.count > 1 else "  "
            lines.append(f"  {times:>4} {first.endpoint}  {first.path}: {first.kind}")
            lines.append(f"         recorded {first.recorded}")
            lines.append(f"         ours     {first.ours}")
            lines.append(f"         interactions {', '.join(map(str, group.exchanges[:10]))}")
    return "\n".join(lines)


def _write_junit(file: str, results: Sequence[tuple[str, int, int, Drift]]) -> bool:
    cases = []
    for path, _, _, drift in results:
        failures = "".join(
            f"<failure message={quoteattr(f'{group.first.endpoint} {group.first.path}: {group.first.kind}')}>"
            f"{escape(f'recorded {group.first.recorded}, ours {group.first.ours}')}</failure>"
            for group in drift.groups()
        )
        cases.append(f"<testcase classname='understudy.verify' name={quoteattr(path)}>{failures}</testcase>")
    failed = sum(1 for *_, drift in results if drift.groups())
    counts = f"tests='{len(results)}' failures='{failed}'"
    text = f"<testsuite name='understudy verify' {counts}>{''.join(cases)}</testsuite>"
    try:
        with open(file, "w", encoding="utf-8") as output:
            output.write(text)
    except OSError as error:
        complain(NAME, f"{file} can't be written: {error.strerror}")
        return False
    return True


command = click.Command(
    "verify",
    callback=verify,
    params=[
        click.Argument(["files"], nargs=-1, required=True, metavar="CASSETTE..."),
        click.Option(["--json", "as_json"], is_flag=True, help="print the findings as JSON"),
        click.Option(["--junit"], metavar="FILE", help="write a report that CI servers read"),
    ],
    help="Play recordings through the mock and print where it would have answered differently; exit status 1 for any.",
)


def main(words: Sequence[str]) -> int:
    """Run the command; returns the exit status."""
    return run(command, words, NAME)
