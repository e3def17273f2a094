"""What a start imports: it is fast because of what it leaves out, so that is pinned here, by name."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable

import pytest

from tests.support.serving import ROOT, serving

# What printing a text needs none of.
SERVER = frozenset(
    "asyncio email.utils httptools httpx importlib.metadata jsonschema logging mockserver.core mockserver.engine"
    " mockserver.wire orjson pydantic pydantic_core rich socket starlette tiktoken uvicorn websockets yaml".split()
)
# What belongs to scenarios, faults, snapshots, an upstream, WebSockets, readers of the journal, the control API, other
# stores, tests or mistakes, and comes with the first.
LATER = frozenset(
    "difflib hypothesis httpx importlib.metadata jsonschema mockserver.conformance mockserver.core.graph"
    " mockserver.core.steering mockserver.engine.journal_pages mockserver.engine.journal_reading"
    " mockserver.faults.schema mockserver.journal.client_findings mockserver.journal.history"
    " mockserver.scenarios.document mockserver.scenarios.loader mockserver.scenarios.schema"
    " mockserver.snapshots.document mockserver.snapshots.records mockserver.store.postgres mockserver.store.sqlite"
    " mockserver.testing mockserver.transport.control_api mockserver.transport.metrics mockserver.transport.viewer"
    " mockserver.transport.waiting mockserver.transport.websocket mockserver.websocket openai proxy.relay"
    " proxy.relay_websocket proxy.upstream pydantic pydantic_core pytest rich sqlite3 starlette.responses tiktoken"
    " websockets yaml".split()
)
OBSERVED = {"PYTHONPROFILEIMPORTTIME": "1"}  # the interpreter then logs the name of each module that it imports


def imports_in(log: str) -> set[str]:
    """Return the modules in the interpreter's log of imports."""
    return {line.rpartition("|")[2].strip() for line in log.splitlines() if line.startswith("import time:")}


def among(modules: Iterable[str], unwanted: frozenset[str]) -> set[str]:
    """Return the modules that are unwanted, or are inside of one that is."""
    return {name for name in modules if any(f"{name}.".startswith(f"{one}.") for one in unwanted)}


@pytest.mark.parametrize("module", ["proxy.cli", "mockserver.__main__"])
@pytest.mark.parametrize("word", ["--version", "--help"])
def test_what_only_prints_loads_no_server(module: str, word: str) -> None:
    code = f"import sys; from {module} import main; main([{word!r}]); print(*sys.modules, file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    loaded = done.stderr.split()
    assert "mockserver.config.settings" in loaded
    assert not among(loaded, SERVER)


def test_a_plain_server_loads_what_its_first_answers_need() -> None:
    with serving(env=OBSERVED) as served:
        turn = served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "hello"})
        assert turn.json["output"][0]["content"][0]["text"] == "Mock reply to: hello [1 items in context]"
        loaded = imports_in(served.logged())
        assert {"mockserver.engine.engine", "mockserver.wire.tokens.tokenizer", "uvicorn"} <= loaded
        assert not among(loaded, LATER)

        # and what was left out comes with the first thing that needs it
        served.request("POST", "/v1/responses", {"model": "gpt-4.1", "input": "hello", "tools": []})
        assert "pydantic_core" in imports_in(served.logged())
        served.control("POST", "/script", {"lines": [{"reply": {"text": "scripted"}}]})
        assert "mockserver.scenarios.schema" in imports_in(served.logged())
        served.control("GET", "/snapshot")
        assert "mockserver.snapshots.document" in imports_in(served.logged())
