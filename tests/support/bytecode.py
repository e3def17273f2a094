"""What Python and pytest compile is kept, and compiled by one worker: without that, it is a quarter of a run's CPU.

Where `PYTHONDONTWRITEBYTECODE` is set, as images of containers have it, each server that a test starts would compile
the whole product (0.8 s of CPU, and 0.4 with bytecode at hand), and each worker would rewrite the assertions of all
test modules (18 s).
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def keep_bytecode() -> None:
    """Let this process, and all that it starts, write down what they compile."""
    sys.dont_write_bytecode = False
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def import_share(arguments: Iterable[str], worker: int, workers: int) -> None:
    """Import a worker's share of the test modules before it collects them all, and so finds the others' compiled."""
    for path in sorted(_modules(arguments))[worker::workers]:
        with suppress(Exception):  # collecting it says what is wrong
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def _modules(arguments: Iterable[str]) -> Iterator[Path]:
    for argument in arguments:
        path = ROOT / argument
        if path.is_dir() and path.is_relative_to(ROOT):
            yield from (one for one in path.rglob("test_*.py") if one.parent.name != "browser")
