"""Snapshots in files: what every project starts from, or what is compared."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from mockserver.config.settings import SettingError, Settings
from mockserver.core.project import Clock, Restored
from mockserver.faults.spec import parse_fault
from mockserver.scenarios.lines import parse_lines
from mockserver.wire.errors.api import MockError

if TYPE_CHECKING:
    from mockserver.snapshots.document import Document

# The format, which is made of pydantic models, is imported with the first snapshot: it takes 70 ms.


class Unreadable(Exception):
    """A file that holds no snapshot; the message names it and says why."""


def read(path: str) -> Document:
    """Return the document in a file, of the current version; raises Unreadable."""
    from mockserver.snapshots.document import MARK, VERSION, upgrade

    try:
        return {MARK: VERSION, **upgrade(orjson.loads(Path(path).read_bytes()))}
    except OSError as error:
        raise Unreadable(f"{path} can't be read: {error.strerror or error}") from None
    except orjson.JSONDecodeError as error:
        raise Unreadable(f"{path} is not JSON: {error}") from None
    except MockError as error:
        raise Unreadable(f"{path}: {error.message}") from None


def validate(document: Any, seed: int) -> Restored:
    """Return what a document holds, scripted lines and faults judged too; raises MockError for the first mistake."""
    from mockserver.snapshots.document import restore

    found = restore(document, seed)
    for put in found.records:
        if put.kind == "line":
            parse_lines([orjson.loads(put.doc)["line"]], f"lines.{put.id}")
        elif put.kind == "scenario":
            parse_lines(orjson.loads(put.doc)["lines"], f"scenario.{put.id}.lines")
        elif put.kind == "fault":
            parse_fault(orjson.loads(put.doc)["fault"], f"faults.{put.id}.fault")
    return found


def start_of(settings: Settings) -> tuple[Restored | None, Settings]:
    """Return what every project starts from, if `--snapshot` names it, and the settings with the seed that it needs.

    A clock that the settings freeze is also the start's. Raises SettingError for what can't be used.
    """
    if settings.snapshot is None:
        return None, settings
    try:
        document = read(settings.snapshot)
        seed = document["seed"] if settings.seed is None and isinstance(document.get("seed"), int) else settings.seed
        found = validate(document, seed or 0)
    except Unreadable as error:
        raise SettingError(f"--snapshot {error}") from None
    except MockError as error:
        raise SettingError(f"--snapshot {settings.snapshot}: {error.message}") from None
    if settings.clock is not None:
        found = found._replace(project=found.project._replace(clock=Clock(frozen=settings.clock)))
    return found, replace(settings, seed=seed)
