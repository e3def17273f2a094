"""How the code is built, in figures: `python -m tests.house [--tree CHECKOUT] [--json]`.

Files and functions, names, comments, five walks through the code, citations, and what libraries do in place of our own
code. `--tree` names another checkout (with any layout since eda55ca) to stand beside this one. Definitions:

* a function's length counts its lines from `def` to its end, decorators and inner functions included;
* a name is a participle if its first or last word ends in -ed or is one of `IRREGULAR`; `ADVERBS` (behind, after …)
  count too. Not counted: `NOT_PARTICIPLES`, what begins with is_, has_, assert_ or with one of `VERBS` and goes on,
  what makes an error (named as the API names it: `conversation_locked`), a rule's check (decorated, named by a sentence
  like a test), and what asyncio's protocols prescribe;
* comments are `#` comments, those at the end of a line of code too, over all lines;
* a walk is one request that the interpreter is watched at, all caches warm. It enters the file of every function of
  the tree that begins to run; a call is the beginning of one (a generator or coroutine that goes on is none);
* a room is a folder of the house. A climb is a call, or a generator that goes on, whose function lives in a room above
  the caller's by `ROOMS`, the arrows from the bottom up: the request comes back to a room that it had left. One pair of
  functions climbs once in a walk. To read the store through the `State` that was handed down is none;
* an aim that is missed makes the exit status 1;
* a citation is an id behind `Spec:` in the source; it resolves if rules.json or a fixture of the error table has it.
"""

from __future__ import annotations

import argparse
import ast
import asyncio
import dis
import importlib
import json
import math
import os
import re
import statistics
import subprocess
import sys
import tokenize
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

PACKAGES = ("mockserver", "proxy")
Function = ast.FunctionDef | ast.AsyncFunctionDef

# --- Names -----------------------------------------------------------------------------------------------------------

IRREGULAR = frozenset(
    """begun bought bound broken brought built caught chosen come cut done drawn driven fallen fed felt forgotten
    found frozen given gone gotten grown heard held hidden hung kept known laid led left lent lost made meant
    met paid put read recut run said seen sent set shown shut spent split spoken stolen struck sunk taken
    taught thought thrown told torn undone understood woken won worn written""".split()
)
# forms that are verbs or nouns as they stand
_ALSO_BASE = frozenset("bound come cut felt found laid left lent put read run set shut split thought".split())
IRREGULAR_ONLY = IRREGULAR - _ALSO_BASE | {"found", "left"}
NOT_PARTICIPLES = frozenset(
    "bed bleed breed embed exceed feed fed led need proceed red seed shed speed succeed weed".split()
)
ADVERBS = frozenset("after again among at_once before behind beside elsewhere inside near own together whole".split())


VERBS = frozenset(
    "cancel check count drop find get keep list mark note on open raise read refuse say wait write".split()
)
PRESCRIBED = frozenset("connection_made connection_lost data_received eof_received".split())


def is_participle(name: str) -> bool:
    """Whether a function's name begins or ends with a participle, or is an adverb."""
    bare = name.strip("_")
    if name.startswith("__") or bare.startswith(("is_", "has_", "assert_")) or name in PRESCRIBED:
        return False
    if bare in ADVERBS:
        return True
    words = bare.split("_")
    if len(words) > 1 and words[0] in VERBS:
        return False
    return any(
        word not in NOT_PARTICIPLES and (word in IRREGULAR_ONLY or re.fullmatch(r"[a-z]{2,}ed", word) is not None)
        for word in (words[0], words[-1])
    )


def badly_named(path: Path) -> Iterator[Function]:
    """Walk the functions of a file that are named by a participle."""
    checks = path.name.startswith("rules_") or path.parent.name == "checks"
    for node in functions(path):
        makes_an_error = node.returns is not None and ast.unparse(node.returns).endswith("Error")
        if is_participle(node.name) and not makes_an_error and not (checks and node.decorator_list):
            yield node


# --- Files and functions ---------------------------------------------------------------------------------------------


def sources(tree: Path) -> list[Path]:
    """Return the source files of the two packages."""
    return sorted(path for package in PACKAGES for path in (tree / package).rglob("*.py"))


def functions(path: Path) -> Iterator[Function]:
    """Walk all functions of a file, inner ones too."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, Function):
            yield node


def length(node: Function) -> int:
    """Count a function's lines."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    return (node.end_lineno or node.lineno) - first + 1


def measure_source(tree: Path) -> dict[str, Any]:
    """Measure what can be read from the source alone."""
    files = sources(tree)
    nodes = [node for path in files for node in functions(path)]
    lengths = sorted(length(node) for node in nodes)
    lines = [len(path.read_text("utf-8").splitlines()) for path in files]
    named = [node.name for path in files for node in badly_named(path)]
    returns = sum((ast.get_docstring(node) or "").startswith("Return") for node in nodes)
    return {
        "files": len(files),
        "lines": sum(lines),
        "longest file": max(lines),
        "median file": statistics.median(lines),
        "functions": len(nodes),
        "median function": statistics.median(lengths),
        "p99 function": lengths[int(len(lengths) * 0.99)],
        "longest function": lengths[-1],
        "participle names": len(named),
        "participle share": round(100 * len(named) / len(nodes), 1),
        "comment share": round(100 * sum(map(count_comments, files)) / sum(lines), 1),
        "docstrings that start with Return": returns,
    }


def count_comments(path: Path) -> int:
    """Count the comments of a file."""
    with path.open("rb") as file:
        return sum(token.type == tokenize.COMMENT for token in tokenize.tokenize(file.readline))


# --- Citations -------------------------------------------------------------------------------------------------------

_ID = re.compile(r"\b(R\d+\.\d+|WE\d+|[EXTSPFWOICN]\d+(?:\.\d+)?)\b")
_CITATION = re.compile(r"Spec: ((?:[^.\n\"]|\.(?=\d)|\n\s+(?:#\s*)?(?=[A-Z]+\d))*)")


def measure_citations(tree: Path) -> dict[str, Any]:
    """Count the citations in the source, and those that can be looked up in the tree."""
    known = {path.stem for path in (tree / "fixtures" / "errors").glob("*.json")}
    for path in (tree / "mockserver").rglob("rules.json"):
        known |= set(_ids(json.loads(path.read_text("utf-8"))))
    cited = [
        id for path in sources(tree) for text in _CITATION.findall(path.read_text("utf-8")) for id in _ID.findall(text)
    ]
    resolved = sum(id in known or id.split(".")[0] in known for id in cited)
    return {"citations": len(cited), "citations resolved": round(100 * resolved / len(cited), 1) if cited else 100.0}


def _ids(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (key for key in value if _ID.fullmatch(key))
        if isinstance(value.get("id"), str):
            yield value["id"]
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from _ids(item)


# --- Walks -----------------------------------------------------------------------------------------------------------

# From the bottom up; an arrow may point only to what stands earlier. Rooms in one row are neighbours.
ROOMS = (
    ("config",),
    ("wire",),
    ("model", "delivery"),
    ("core",),
    ("scenarios", "faults", "snapshots", "journal", "store", "control"),
    ("engine",),
    ("websocket",),
    ("transport",),
    ("testing", "conformance", "viewer"),
    ("proxy",),
)
LEVELS = {room: level for level, row in enumerate(ROOMS) for room in row}
# modules that lay flat in mockserver/ at eda55ca, by the room that they belong to
FLAT = {
    **dict.fromkeys(("settings", "switches", "version", "__init__"), "config"),
    **dict.fromkeys(("engine", "transactions", "hazards", "levers", "logbook", "scenarios", "snapshot_file"), "engine"),
    "connections": "websocket",
    "__main__": "transport",
}


def room_of(path: str) -> str:
    """Return the room of a file, named from the tree's root."""
    parts = path.split("/")
    if parts[0] == "proxy":
        return "proxy"
    return parts[1] if len(parts) > 2 else FLAT.get(parts[1].removesuffix(".py"), "engine")


class Walk:
    """Watches which functions of the tree run between `start` and `stop`."""

    def __init__(self, tree: Path, packages: tuple[str, ...] = PACKAGES) -> None:
        self._root = str(tree) + os.sep
        self._packages = tuple(self._root + package + os.sep for package in packages)
        self.calls: list[tuple[str, str]] = []  # file and function
        self.climbs: dict[tuple[str, str, str, str], None] = {}

    def start(self) -> None:
        """Begin to watch this thread."""
        sys.setprofile(self._note)

    def stop(self) -> None:
        """Watch no more."""
        sys.setprofile(None)

    def _note(self, frame: FrameType, event: str, _: Any) -> None:
        if event != "call" or not frame.f_code.co_filename.startswith(self._packages):
            return
        path, name = self._place(frame)
        if begins(frame):
            self.calls.append((path, name))
        caller = frame.f_back
        while caller is not None and not caller.f_code.co_filename.startswith(self._packages):
            caller = caller.f_back
        if caller is not None:
            source, whose = self._place(caller)
            if room_of(path) != "store" and LEVELS[room_of(path)] > LEVELS[room_of(source)]:
                self.climbs[source, whose, path, name] = None

    def _place(self, frame: FrameType) -> tuple[str, str]:
        code = frame.f_code
        return code.co_filename.removeprefix(self._root).replace(os.sep, "/"), code.co_qualname

    def result(self) -> dict[str, Any]:
        """Return the figures, and the climbs one by one."""
        return {
            "files": len({path for path, _ in self.calls}),
            "calls": len(self.calls),
            "climbs": len(self.climbs),
            "climbing": [f"{source} {whose} -> {path} {name}" for source, whose, path, name in self.climbs],
            "entered": sorted({path for path, _ in self.calls}),
        }


def begins(frame: FrameType) -> bool:
    """Whether a function begins to run, and doesn't go on behind a yield or an await."""
    return frame.f_lasti < first_yield(frame.f_code)


@cache
def first_yield(code: CodeType) -> float:
    """Return where a function may stop for the first time."""
    return min((step.offset for step in dis.get_instructions(code) if step.opname == "YIELD_VALUE"), default=math.inf)


def look_up(*names: str) -> Any:
    """Import the first of several `module:name` that there is: layouts differ."""
    for place in names:
        module, _, name = place.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except (ImportError, AttributeError):
            continue
    raise LookupError(" or ".join(names))


def settings(**options: Any) -> Any:
    """Return parsed settings, from options as the command line has them."""
    load = look_up("mockserver.config.settings:load", "mockserver.settings:load")
    return load({"clock": "2026-11-20T12:00:00Z", **options}, {})


def app() -> Any:
    """Return the mock as an ASGI app."""
    return look_up("mockserver.transport.app:create_app")(settings())


HEADERS = [(b"host", b"localhost"), (b"authorization", b"Bearer house"), (b"content-type", b"application/json")]


def asgi_scope(kind: str, path: str) -> dict[str, Any]:
    """Return the head of a call as an ASGI server describes it."""
    return {
        "type": kind,
        "http_version": "1.1",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": HEADERS,
        "client": ("127.0.0.1", 1),
        "server": ("localhost", 80),
    }


async def post(target: Any, path: str, body: Any, walk: Walk | None = None, method: str = "POST") -> bytes:
    """Send one request to an ASGI app; `walk` watches it."""
    scope = asgi_scope("http", path) | {"method": method}
    incoming = [{"type": "http.request", "body": json.dumps(body).encode(), "more_body": False}]
    sent = []

    async def receive() -> Any:
        return incoming.pop() if incoming else await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    if walk is not None:
        walk.start()
    try:
        await target(scope, receive, send)
    finally:
        if walk is not None:
            walk.stop()
    assert sent[0]["status"] < 300, sent
    return b"".join(message.get("body", b"") for message in sent[1:])


def turn(text: str, **more: Any) -> dict[str, Any]:
    """Return the body of a request for a turn."""
    return {"model": "gpt-4.1", "input": text, **more}


WARM_UPS = 3


async def walk_json(walk: Walk) -> None:
    """A chained POST, answered as JSON."""
    target, last = app(), dict[str, str]()
    for number in range(WARM_UPS + 1):
        body = await post(target, "/v1/responses", turn(f"turn {number}", **last), walk if number == WARM_UPS else None)
        last = {"previous_response_id": json.loads(body)["id"]}


async def walk_sse(walk: Walk) -> None:
    """A streamed POST with pacing, struck by a fault."""
    target = app()
    fault = {"do": "drop_event", "at": {"event": "response.output_text.delta"}, "when": {"stream": True}}
    await post(target, "/_mock/faults", {"faults": [fault]}, method="PUT")
    line = {"reply": {"text": "one two three"}, "pacing": {"first_token": 0.001, "tokens_per_second": 10_000}}
    await post(target, "/_mock/scenario", {"lines": [line]}, method="PUT")
    for number in range(WARM_UPS + 1):
        body = turn(f"turn {number}", stream=True)
        await post(target, "/v1/responses", body, walk if number == WARM_UPS else None)


async def walk_socket(walk: Walk) -> None:
    """A chained turn on a WebSocket that is open."""
    target, last = app(), ""
    frames = iter(range(WARM_UPS + 1))
    ended = asyncio.Event()
    ended.set()
    scope = asgi_scope("websocket", "/v1/responses") | {"subprotocols": []}
    connected = False

    async def receive() -> Any:
        nonlocal connected
        if not connected:
            connected = True
            return {"type": "websocket.connect"}
        await ended.wait()
        ended.clear()
        number = next(frames, None)
        if number is None:
            return {"type": "websocket.disconnect", "code": 1000}
        frame = {"type": "response.create", **turn(f"turn {number}")}
        if last:
            frame["previous_response_id"] = last
        if number == WARM_UPS:
            walk.start()
        return {"type": "websocket.receive", "text": json.dumps(frame)}

    async def send(message: Any) -> None:
        nonlocal last
        event = json.loads(message.get("text") or "{}")
        if event.get("type") == "response.completed":
            walk.stop()
            last = event["response"]["id"]
            ended.set()

    await target(scope, receive, send)


async def walk_forward(walk: Walk) -> None:
    """A POST that the proxy forwards to a server on this machine."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = re.search(rb"(?i)content-length: *(\d+)", head)
                await reader.readexactly(int(size[1]) if size else 0)
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}")

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    proxy = look_up("proxy.app:ProxyApp")(app(), settings(upstream=f"http://127.0.0.1:{port}/v1"))
    for number in range(WARM_UPS + 1):
        assert await post(proxy, "/v1/responses", turn("x"), walk if number == WARM_UPS else None) == b"{}"
    server.close()


async def walk_reply(walk: Walk) -> None:
    """`mock.reply("x")`."""
    with look_up("mockserver:Mock")() as mock:
        for _ in range(WARM_UPS):
            mock.reply("x")
        walk.start()
        mock.reply("x")
        walk.stop()
        mock.reset()


WALKS: dict[str, tuple[Callable[[Walk], Any], tuple[str, ...], int]] = {
    "chained POST": (walk_json, PACKAGES, 25),
    "SSE with fault and pacing": (walk_sse, PACKAGES, 30),
    "WebSocket turn": (walk_socket, PACKAGES, 30),
    "forwarded POST": (walk_forward, ("proxy",), 9),
    'mock.reply("x")': (walk_reply, PACKAGES, 10),
}


def measure_walks(tree: Path) -> dict[str, Any]:
    """Walk all five ways."""
    results = {}
    for name, (way, packages, _) in WALKS.items():
        walk = Walk(tree, packages)
        asyncio.run(way(walk))
        results[name] = walk.result()
    return results


# --- What libraries do now -------------------------------------------------------------------------------------------

# what (library): lines of the files that did it at eda55ca, and of those that do it now. Where they grew, the library
# brought what there was not: nearest names, types, descriptions in the schema, colours, files beside the pages.
REPLACED: dict[str, tuple[int, int]] = {
    "options and commands (click)": (842, 1167),
    "scenario and fault documents, lines of code (pydantic)": (1013, 1121),
    "JSON Schema of instances (jsonschema)": (145, 109),
    "headers of images (imagesize)": (150, 127),
    "table and progress of conform (rich)": (322, 369),
    "blocks of the docs (sybil)": (759, 896),
}

# --- The table -------------------------------------------------------------------------------------------------------

AIMS = {
    "participle share": "≤ 3",
    "comment share": "≥ 4",
    "citations resolved": "100",
    "longest file": "≤ 500",
    "longest function": "≤ 80",
    **{f"{name}: files": f"≤ {most}" for name, (_, _, most) in WALKS.items()},
    "chained POST: calls": "≤ 150",
    "chained POST: climbs": "0",
}


def measure(tree: Path) -> dict[str, Any]:
    """Measure a tree, which must be the one that is imported."""
    return {**measure_source(tree), **measure_citations(tree), "walks": measure_walks(tree)}


def measure_other(tree: Path) -> dict[str, Any]:
    """Measure another checkout in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(tree)}
    command = [sys.executable, "-P", __file__, "--json", "--here", str(tree)]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE).stdout)


def flat(figures: dict[str, Any]) -> dict[str, Any]:
    """Return the figures as rows of a table."""
    rows = {name: value for name, value in figures.items() if name != "walks"}
    for name, walk in figures["walks"].items():
        rows |= {f"{name}: {what}": walk[what] for what in ("files", "calls", "climbs")}
    return rows


def missed_aims(figures: dict[str, Any]) -> list[str]:
    """The rows of the table that miss their aims, each with its figure and its aim."""
    rows, missed = flat(figures), []
    for row, aim in AIMS.items():
        sign, value, figure = aim[0], float(aim.strip("≤≥ ")), float(rows[row])
        if not (figure <= value if sign == "≤" else figure >= value if sign == "≥" else figure == value):
            missed.append(f"{row}: {figure:g}, aim {aim}")
    return missed


def print_table(columns: dict[str, dict[str, Any]]) -> None:
    """Print all figures as a table in Markdown, then what libraries replaced."""
    rows = {name: flat(figures) for name, figures in columns.items()}
    print("| | " + " | ".join(rows) + " | aim |\n|---|" + "---:|" * len(rows) + "---|")
    for row in next(iter(rows.values())):
        print(f"| {row} | " + " | ".join(f"{column[row]:g}" for column in rows.values()) + f" | {AIMS.get(row, '')} |")
    if REPLACED:
        print("\n| our own lines that a library replaced | before | after |\n|---|---:|---:|")
        for what, (before, after) in REPLACED.items():
            print(f"| {what} | {before} | {after} |")


def main() -> int:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.house", description="Figures of how the code is built.")
    parser.add_argument("--tree", type=Path, help="another checkout to stand before this one")
    parser.add_argument("--json", action="store_true", help="all figures as JSON, with every climb and every file")
    parser.add_argument("--names", action="store_true", help="list the functions named by a participle")
    parser.add_argument("--here", type=Path, default=Path(__file__).resolve().parents[1], help=argparse.SUPPRESS)
    options = parser.parse_args()
    here = options.here.resolve()
    if options.names:
        for path in sources(here):
            for node in badly_named(path):
                print(f"{path.relative_to(here)}:{node.lineno}: {node.name}")
        return 0
    columns = {"before": measure_other(options.tree.resolve())} if options.tree else {}
    columns["now"] = measure(here)
    if options.json:
        print(json.dumps(columns if options.tree else columns["now"], indent=2, ensure_ascii=False))
        return 0
    print_table(columns)
    missed = missed_aims(columns["now"])
    print(*(f"missed: {one}" for one in missed), sep="\n", end="\n" if missed else "", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
