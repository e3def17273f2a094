"""Where tests live and what they may do: a folder per room, no test imports another, none waits for time to pass."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
FOLDERS = {
    # a room of the house each
    *("config", "wire", "delivery", "model", "core", "scenarios", "faults", "snapshots", "journal", "store", "engine"),
    *("websocket", "transport", "testing", "conformance", "proxy"),
    # what crosses rooms
    *("properties", "contract", "attack", "browser", "docs", "bench", "support"),
}
FILES = [path for path in sorted(TESTS.rglob("*.py")) if "node_modules" not in path.parts]
CLOCKS = {"sleep", "perf_counter", "perf_counter_ns", "monotonic", "monotonic_ns", "process_time", "time"}
MODULES = {"time", "asyncio", "anyio"}
# What a file's text holds if it looks at a clock; what any import of it says. Others need no parsing, which takes 5 s.
_MAY_CALL = re.compile(rf"\b(?:{'|'.join(CLOCKS)})\s*\(|Event\(\)\.wait")
_IMPORT = re.compile(r"^[ \t]*(?:from|import)\b[^(\n]*(?:\([^)]*\))?", re.M)
# Who may look at a clock or sleep. The list only shrinks.
CLOCK_READERS = {
    "contract/agents_sessions.py": "polls a real server from another program",
    "contract/background.py": "polls a real server from another program, as users do",
    "newcomer.py": "prints seconds",
    "support/virtual_time.py": "nothing waits there",
    "support/patience.py": "the one place that polls, and gives up in the end",
}


def name(path: Path) -> str:
    return str(path.relative_to(TESTS))


def clock_calls(source: str) -> Iterator[str]:
    """Yield calls that look at a clock or wait for some time; `sleep(0)` and `time.sleep` as a value are neither."""
    for node in ast.walk(ast.parse(source)) if _MAY_CALL.search(source) else ():
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        module, _, function = called.rpartition(".")
        at_once = function == "sleep" and ast.unparse(node.args[0]) == "0"
        reads = module in MODULES and function in CLOCKS and not at_once
        waits = called.endswith("Event().wait") and bool(node.args)
        if reads or waits:
            yield f"{node.lineno}: {ast.unparse(node)}"


def test_clock_calls_are_found() -> None:
    source = (
        "import time, asyncio\ntime.sleep(1)\nawait asyncio.sleep(0)\nthreading.Event().wait(2)\nx = time.monotonic()"
    )
    assert [line.partition(":")[0] for line in clock_calls(source)] == ["2", "4", "5"]
    assert [*clock_calls("await asyncio.Event().wait()\nmonkeypatch.setattr(time, 'sleep', print)")] == []


def test_every_folder_is_a_room_or_crosses_rooms() -> None:
    found = {path.parent.name for path in FILES if path.parent.parent == TESTS}
    assert found <= FOLDERS
    assert not [
        name(path) for path in FILES if path.name.startswith("test_") and len(path.relative_to(TESTS).parts) > 2
    ]


@pytest.mark.parametrize("path", FILES, ids=name)
def test_nothing_imports_from_a_test_module(path: Path) -> None:
    source = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(source)) if any("test_" in one for one in _IMPORT.findall(source)) else ():
        imported = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
        imported += [one.name for one in node.names] if isinstance(node, ast.Import | ast.ImportFrom) else []
        assert not [one for one in imported if any(part.startswith("test_") for part in one.split("."))]


def test_no_test_waits_for_time_or_measures_it() -> None:
    found = {
        name(path): [*clock_calls(path.read_text(encoding="utf-8"))] for path in FILES if path.parent.name != "bench"
    }
    wrong = {file: calls for file, calls in found.items() if calls and file not in CLOCK_READERS}
    assert not wrong, "wait for an event (support/patience.py) or run in virtual time (support/virtual_time.py)"
    assert set(CLOCK_READERS) <= {file for file, calls in found.items() if calls}, "the list of exceptions shrinks"
