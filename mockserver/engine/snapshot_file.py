"""Snapshot files: the start of every project (`--snapshot`), or the files to compare."""

# `snapshots.document` knows shapes and references but neither scripts nor faults: its room stands beside theirs
# and imports nothing of them. So their checks meet here, one floor up, where `restore` and `--snapshot` both
# pass.

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from mockserver.config.kinds import check_moment
from mockserver.config.settings import SettingError, Settings
from mockserver.core.state import Clock, Restored
from mockserver.faults.spec import parse_fault
from mockserver.scenarios.lines import parse_given, parse_lines
from mockserver.wire.errors.api import MockError

if TYPE_CHECKING:
    from mockserver.snapshots.document import Document

# The format, which is made of pydantic models, is imported with the first snapshot: it takes 70 ms.


class Unreadable(Exception):
    """A file is not a snapshot; the message names it and says why."""


def read(path: str) -> Document:
    """Read a snapshot file and upgrade it to the current version; raises Unreadable."""
    from mockserver.snapshots.document import MARK, VERSION, upgrade

    try:
        return {MARK: VERSION, **upgrade(orjson.loads(Path(path).read_bytes()))}
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror or error}") from None
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"{path} is not JSON: {error}") from None
    except MockError as error:
        raise Unreadable(f"{path}: {error.message}") from None


def validate(document: Any, seed: int, wall: float) -> Restored:
    """Validate a document, its scripted lines, its faults and its clock, when the system's clock says `wall`.

    Raises MockError for the first mistake.
    """
    from mockserver.snapshots.document import restore

    restored = restore(document, seed)
    try:
        check_moment(restored.project.clock.reading(wall))
    except ValueError:
        raise MockError("clock: takes times from 1970 to 2106-02-07.", param="clock") from None
    for put in restored.records:
        if put.kind == "line":
            parse_lines([orjson.loads(put.doc)["line"]], f"lines.{put.id}")
        elif put.kind == "scenario":
            scenario = orjson.loads(put.doc)
            parse_lines(scenario["lines"], f"scenario.{put.id}.lines")
            if "given" in scenario:
                parse_given(scenario["given"], f"scenario.{put.id}.given")
        elif put.kind == "fault":
            parse_fault(orjson.loads(put.doc)["fault"], f"faults.{put.id}.fault")
    return restored


def start_of(settings: Settings, wall: float) -> tuple[Restored | None, Settings]:
    """The state that every project starts from (`--snapshot`), and the settings with the seed that it needs.

    If the settings freeze the clock, that time replaces the snapshot's. Raises SettingError for an unusable file.
    """
    if settings.snapshot is None:
        return None, settings
    try:
        document = read(settings.snapshot)
        seed = document["seed"] if settings.seed is None and isinstance(document.get("seed"), int) else settings.seed
        restored = validate(document, seed or 0, wall)
    except Unreadable as error:
        raise SettingError(f"--snapshot {error}") from None
    except MockError as error:
        raise SettingError(f"--snapshot {settings.snapshot}: {error.message}") from None
    if settings.clock is not None:
        restored = restored._replace(project=restored.project._replace(clock=Clock(frozen=settings.clock)))
    return restored, replace(settings, seed=seed)
