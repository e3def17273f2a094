"""Branch coverage of each source file from its own room's tests: `python -m tests.room_coverage [ROOM…]`.

A file that reaches less than 90 % stands in `room_coverage.json` with what it reaches; the figure may only rise, and a
file that is good enough leaves the list. `--write` writes the list anew.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
EXCEPTIONS = TESTS / "room_coverage.json"
ENOUGH = 90.0
SLACK = 1.0  # what threads and Hypothesis make of it from run to run


def room_of(file: str) -> str | None:
    """Return the room of a source file, None for the package's own files."""
    parts = file.split("/")
    if parts[0] == "proxy":
        return "proxy"
    return parts[1] if len(parts) > 2 else None


def rooms() -> list[str]:
    """Return the rooms that have tests."""
    return sorted({room for room in map(room_of, sources()) if room and (TESTS / room).is_dir()})


def sources() -> Iterable[str]:
    """Return the source files, as paths from the root."""
    for package in ("mockserver", "proxy"):
        yield from sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py"))


def measure(room: str) -> dict[str, float]:
    """Run a room's tests; returns the coverage of its files in per cent. Raises CalledProcessError if a test fails."""
    with tempfile.TemporaryDirectory() as place:
        report = Path(place) / "coverage.json"
        packages = ("--cov=mockserver", "--cov=proxy", "--cov-branch", f"--cov-report=json:{report}")
        command = [sys.executable, "-m", "pytest", f"tests/{room}", *packages, "-p", "no:cacheprovider"]
        told = {**os.environ, "COVERAGE_FILE": str(Path(place) / "data")}
        done = subprocess.run(command, cwd=ROOT, env=told, capture_output=True, text=True)
        if done.returncode:
            print(done.stdout, done.stderr, sep="\n")
            raise subprocess.CalledProcessError(done.returncode, command)
        files = json.loads(report.read_text())["files"]
    summaries = {Path(file).as_posix(): found["summary"] for file, found in files.items()}
    return {
        file: round(summaries[file]["percent_covered"], 1) if file in summaries else 0.0
        for file in sources()
        if room_of(file) == room and (file not in summaries or summaries[file]["num_statements"])
    }


def exceptions() -> dict[str, float]:
    """Return the files that may reach less, each with what it reached."""
    return json.loads(EXCEPTIONS.read_text()) if EXCEPTIONS.exists() else {}


def complaints(found: Mapping[str, float], allowed: Mapping[str, float]) -> list[str]:
    """Return what is worse than it may be, and the exceptions that are none any more."""
    wrong = []
    for file, percent in sorted(found.items()):
        least = allowed.get(file, ENOUGH)
        if percent < least - (SLACK if file in allowed else 0):
            wrong.append(f"{file}: {percent} %, it must be {least} % at least")
        elif file in allowed and percent >= ENOUGH + SLACK:
            wrong.append(f"{file}: {percent} %, it must leave the list")
    known = set(sources())
    return wrong + [f"{file} is in the list and does not exist" for file in sorted(allowed) if file not in known]


def main(argv: Sequence[str] | None = None) -> int:
    """Measure rooms, print what is below the mark; returns 1 if a file is worse than it may be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true", help="write the list of exceptions as it is now")
    parser.add_argument("rooms", nargs="*", help="only these rooms")
    asked = parser.parse_args(argv)
    allowed = exceptions()
    found: dict[str, float] = {}
    for room in asked.rooms or rooms():
        of_room = measure(room)
        found |= of_room
        good = sum(percent >= ENOUGH for percent in of_room.values())
        print(f"{room:12} {good} of {len(of_room)} files at {ENOUGH:.0f} % or more", flush=True)
    low = {file: percent for file, percent in sorted(found.items()) if percent < ENOUGH}
    for file, percent in low.items():
        print(f"  {percent:5.1f} %  {file}")
    if asked.write:
        kept = {file: percent for file, percent in allowed.items() if file not in found and (ROOT / file).exists()}
        EXCEPTIONS.write_text(json.dumps(dict(sorted({**kept, **low}.items())), indent=2) + "\n")
        return 0
    wrong = complaints(found, allowed)
    print(*wrong, sep="\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
