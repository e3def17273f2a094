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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
EXCEPTIONS = TESTS / "room_coverage.json"
ENOUGH = 90.0
SLACK = 1.0  # what threads and Hypothesis make of it from run to run
# rooms run side by side, each in one process; the room of the stores needs its PostgreSQL
CHOSEN = "not slow and not clients and not heavy and not bench and not attack"
PYTEST = ("pytest", "-n", "0", "-p", "no:cacheprovider", "-m", CHOSEN)
LONGEST = ("conformance",)  # it runs the kit, which takes longer than its size says


# the package's own files, by the room whose tests know them: what users import, how the mock is started
NO_ROOM = {
    "mockserver/__init__.py": "testing",
    "mockserver/__main__.py": "transport",
    "mockserver/version.py": "testing",
    "mockserver/viewer/__init__.py": "transport",
}


def room_of(file: str) -> str:
    """Return the room whose tests cover a source file."""
    parts = file.split("/")
    return NO_ROOM.get(file) or ("proxy" if parts[0] == "proxy" else parts[1])


def rooms() -> list[str]:
    """Return the rooms that have tests."""
    return sorted({room for room in map(room_of, sources()) if (TESTS / room).is_dir()})


def sources() -> Iterable[str]:
    """Return the source files, as paths from the root."""
    for package in ("mockserver", "proxy"):
        yield from sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / package).rglob("*.py"))


def measure(room: str) -> dict[str, float]:
    """Run a room's tests; returns the coverage of its files in per cent. Raises CalledProcessError if a test fails.

    Coverage begins before pytest does, which loads the plugin of the room `testing` before any plugin of its own.
    """
    with tempfile.TemporaryDirectory() as place:
        data, report = f"--data-file={place}/data", Path(place) / "coverage.json"
        coverage = [sys.executable, "-m", "coverage"]
        _run([*coverage, "run", "--branch", "--source=mockserver,proxy", data, "-m", *PYTEST, f"tests/{room}"])
        _run([*coverage, "json", "-q", data, "-o", str(report)])
        files = json.loads(report.read_text())["files"]
    summaries = {Path(file).as_posix(): found["summary"] for file, found in files.items()}
    return {
        file: round(summaries[file]["percent_covered"], 1) if file in summaries else 0.0
        for file in sources()
        if room_of(file) == room and (file not in summaries or summaries[file]["num_statements"])
    }


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        print(done.stdout, done.stderr, sep="\n", flush=True)
        raise subprocess.CalledProcessError(done.returncode, command)


def measure_all(names: Sequence[str]) -> Iterator[tuple[str, dict[str, float]]]:
    """Measure rooms and yield each when it is done; the long ones begin first.

    One more than there are cores at a time: tests wait for servers of theirs a third of the time.
    """
    with ThreadPoolExecutor((os.cpu_count() or 1) + 1) as pool:
        running = {pool.submit(measure, room): room for room in sorted(names, key=_size, reverse=True)}
        for done in as_completed(running):
            yield running[done], done.result()


def _size(room: str) -> tuple[bool, int]:
    tests = TESTS / room
    return room in LONGEST, sum(path.stat().st_size for path in tests.rglob("*.py"))


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
    try:
        for room, of_room in measure_all(asked.rooms or rooms()):
            found |= of_room
            good = sum(percent >= ENOUGH for percent in of_room.values())
            print(f"{room:12} {good} of {len(of_room)} files at {ENOUGH:.0f} % or more", flush=True)
    except subprocess.CalledProcessError as error:
        print(error)
        return 1
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
