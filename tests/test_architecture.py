"""The house keeps its shape: arrows between rooms, banned imports, where async lives, sizes, docstrings."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*ROOT.glob("mockserver/**/*.py"), *ROOT.glob("proxy/**/*.py")])

# room → rooms it may import (besides itself); settings is open to all, it holds no behaviour
ARROWS = {
    "wire": set(),
    "core": {"wire", "switches"},
    "model": {"wire", "settings"},
    "control": {"faults", "core", "model", "wire"},
    "faults": {"control", "core", "model", "wire"},
    "cassette": {"wire"},
    "store": {"core.state"},
    "settings": {"switches", "delivery.pacing"},
    "switches": set(),
    "delivery": {"wire"},
    "transactions": {"core", "model", "control", "store", "wire", "settings", "switches"},
    "scenarios": {"transactions", "core", "model", "control", "wire", "settings"},
    "snapshot_file": {"model", "faults", "control", "wire", "settings"},
    "logbook": {"transactions", "core", "faults", "control", "wire"},
    "hazards": {"transactions", "core", "model", "faults", "control", "wire"},
    "levers": {
        "transactions",
        "scenarios",
        "snapshot_file",
        "logbook",
        "hazards",
        "core",
        "model",
        "faults",
        "control",
        "wire",
    },
    "engine": {
        "transactions",
        "scenarios",
        "snapshot_file",
        "logbook",
        "hazards",
        "levers",
        "core",
        "model",
        "control",
        "cassette",
        "store",
        "wire",
        "settings",
        "switches",
    },
    "connections": {"engine", "logbook", "core", "faults", "control", "store", "wire"},
    "transport": {
        "faults",
        "connections",
        "engine",
        "logbook",
        "levers",
        "core",
        "model",
        "control",
        "cassette",
        "store",
        "wire",
        "settings",
        "switches",
    },
    "testing": {
        "delivery",
        "scenarios",
        "transport",
        "connections",
        "engine",
        "core",
        "model",
        "control",
        "cassette",
        "store",
        "wire",
        "settings",
    },
    "__main__": {"transport", "engine", "settings"},
    "": {"testing", "model", "wire"},
}
BELOW_ENGINE = {"wire", "core", "model", "control", "faults"}
BANNED = {"asyncio", "time", "random", "uuid", "os", "socket", "sqlite3", "starlette", "httpx", "secrets", "threading"}
PURE_EXTRAS = {"wire": {"pydantic", "pydantic_core", "orjson", "typing_extensions", "imagesize"}, "core": {"orjson"}}
ASYNC_ROOMS = {"transport", "proxy"}
LONGEST_FILE = 500
LONGEST_FUNCTION = 80
BANNED_NAMES = {"utils", "helpers", "common", "manager", "base"}


def room(path: Path) -> str:
    """Return the room of a source file: `core`, `engine`, `proxy`, or "" for the package itself."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "proxy":
        return "proxy"
    return "" if parts[1] == "__init__" else parts[1]


def imports(tree: ast.AST) -> list[str]:
    names: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"relative import at line {node.lineno}"
            module = node.module or ""
            names += [f"{module}.{alias.name}" for alias in node.names] if module == "mockserver" else [module]
    return names


@pytest.fixture(params=SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def source(request: pytest.FixtureRequest) -> tuple[Path, ast.Module]:
    path: Path = request.param
    return path, ast.parse(path.read_text())


def test_arrows_point_one_way(source: tuple[Path, ast.Module]) -> None:
    path, tree = source
    here = room(path)
    for name in imports(tree):
        if name.split(".")[0] == "proxy":
            assert here == "proxy", f"{name}: the mock never imports the proxy"
        if not name.startswith("mockserver.") or here == "proxy":
            continue
        target = name.removeprefix("mockserver.")
        if target == "__version__" or target.split(".")[0] == here:
            continue
        allowed = ARROWS[here]
        assert target.split(".")[0] in allowed or target in allowed, f"{here} may not import {name}"


def test_nothing_impure_below_the_engine(source: tuple[Path, ast.Module]) -> None:
    path, tree = source
    if room(path) in BELOW_ENGINE:
        assert not {name.split(".")[0] for name in imports(tree)} & BANNED


def test_third_parties_of_the_inner_rooms(source: tuple[Path, ast.Module]) -> None:
    import sys

    path, tree = source
    if room(path) not in PURE_EXTRAS:
        return
    outside = {name.split(".")[0] for name in imports(tree)} - sys.stdlib_module_names - {"mockserver"}
    assert outside <= PURE_EXTRAS[room(path)]


def test_async_only_at_the_edge(source: tuple[Path, ast.Module]) -> None:
    path, tree = source
    if room(path) not in ASYNC_ROOMS:
        assert not [node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)]


def test_sizes(source: tuple[Path, ast.Module]) -> None:
    path, tree = source
    assert len(path.read_text().splitlines()) <= LONGEST_FILE
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < LONGEST_FUNCTION, node.name


def test_names_and_docstrings(source: tuple[Path, ast.Module]) -> None:
    path, tree = source
    assert path.stem not in BANNED_NAMES
    assert ast.get_docstring(tree), "a module says in its docstring what it is for"
    for node in tree.body:
        public = isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef) and node.name[0] != "_"
        assert not public or ast.get_docstring(node), f"{node.name} has no docstring"


def test_rooms_introduce_themselves_in_ten_lines() -> None:
    for path in ROOT.glob("*/*/__init__.py"):
        if path.parts[-3] == "mockserver":
            text = ast.get_docstring(ast.parse(path.read_text())) or ""
            assert "import" in text, path
            assert "Start reading" in text or "Empty" in text, path
            assert len(text.splitlines()) <= 10, path


def test_no_cycles_between_modules() -> None:
    modules = {".".join(path.relative_to(ROOT).with_suffix("").parts): path for path in SOURCES}
    graph = {
        name: {one for one in imports(ast.parse(path.read_text())) if one in modules} for name, path in modules.items()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail, name))
        if name not in done:
            for target in graph[name]:
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_sources_mention_no_surroundings() -> None:
    for path in [*SOURCES, *ROOT.glob("tests/**/*.py"), ROOT / "pyproject.toml"]:
        text = path.read_text()
        assert "../" + "shared" not in text, path
        assert "/wor" + "k/" not in text, path
